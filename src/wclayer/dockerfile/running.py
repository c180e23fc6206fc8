"""Instructions that set how a container runs: the config's own `config`, and the history ([buildkit] dispatch).

Keys, order and history texts are BuildKit's, but for its mark `# buildkit`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from ..builder.recipe import Step
from ..errors import ImageError
from .json_form import JSON_HINT
from .parse import Dockerfile, Environment, Fallback, Instruction
from .paths import workdir

__all__ = ["Running"]

_SHELL: Final = ("cmd", "/S", "/C")
_PATH: Final = r"PATH=c:\Windows\System32;c:\Windows"
_PORTS: Final = re.compile(r"(?:[^/]*:)?([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp)?)?", re.ASCII | re.IGNORECASE)
_SIGNAL: Final = re.compile(r"[0-9]{1,3}|(?:SIG)?[A-Z][A-Z0-9+-]*", re.ASCII | re.IGNORECASE)
_DURATION: Final = re.compile(r"0|(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_DURATIONS: Final = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_UNITS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MAX_PORTS: Final = 1 << 16


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


# Keys whose old value an instruction adds to or removes from.
_TYPES: Final[dict[str, tuple[str, Callable[[object], bool]]]] = {
    "Env": ("a list of text", _is_texts),
    "Shell": ("a list of text", _is_texts),
    "Labels": ("an object of texts", _is_map),
    "Volumes": ("an object", lambda value: isinstance(value, dict)),
    "ExposedPorts": ("an object", lambda value: isinstance(value, dict)),
    "WorkingDir": ("text", lambda value: isinstance(value, str)),
}


class Running:
    """The state of a stage.

    config: the `config` so far. env: the variables that words may use. history: the new entries. used: the build
    arguments that an ARG declares.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        config: Mapping[str, Any] | None,
        given: Mapping[str, str],
        arguments: Mapping[str, str],
        inherited: Fallback | None = None,
    ) -> None:
        """config: the base's; None for `scratch`. given: build arguments. arguments: ARGs before the first FROM, for an
        ARG without a default. inherited: gives variables of the base that its config does not have.

        Raises ImageError.
        """
        self._dockerfile = dockerfile
        self._given = given
        self._arguments = arguments
        self._inherited = inherited
        self.config: dict[str, Any] = {"Env": [_PATH], "WorkingDir": "\\"} if config is None else deepcopy(dict(config))
        for key, (text, fits) in _TYPES.items():
            found = self.config.get(key)
            if found is not None and not fits(found):
                raise ImageError(f'"{key}" in the config of the base', expected=text, got=repr(found)[:100])
        self.used: set[str] = set()
        self.env = Environment(fallback=self._fallback)
        for line in self.config.get("Env") or ():
            name, _, value = str(line).partition("=")
            self.env.put(name, value)
        if self.config.get("WorkingDir"):
            self.config["WorkingDir"] = workdir("", str(self.config["WorkingDir"]))
        self.history: list[Step] = []
        self.author: str | None = None
        self._cmd_is_ours = False

    def copy(self) -> Running:
        """A copy of this state, for a stage that is built on this one."""
        result = Running(self._dockerfile, self.config, self._given, self._arguments, self._inherited)
        result.env.update(self.env)
        result.used = set(self.used)
        result.author = self.author
        result.history = list(self.history)
        return result

    def _fallback(self, name: str) -> str | None:
        """A variable of the base's registry; an ARG without a value is empty in Docker, so it hides one."""
        declared = any(name.upper() == used.upper() for used in self.used)
        return None if declared or self._inherited is None else self._inherited(name)

    @property
    def directory(self) -> str:
        """The working directory."""
        return str(self.config.get("WorkingDir") or "\\")

    @property
    def knows(self) -> Mapping[str, Callable[[Instruction], None]]:
        """The names of the instructions that this class handles."""
        return {
            "ARG": self._arg,
            "CMD": self._cmd,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "EXPOSE": self._expose,
            "HEALTHCHECK": self._healthcheck,
            "LABEL": self._label,
            "MAINTAINER": self._maintainer,
            "SHELL": self._shell,
            "STOPSIGNAL": self._stop_signal,
            "USER": self._user,
            "VOLUME": self._volume,
        }

    def step(self, text: str, *, layer: bool = False) -> None:
        """Add an entry to the history."""
        self.history.append(Step(created_by=text, layer=layer))

    def change_directory(self, instruction: Instruction) -> tuple[str, str]:
        """WORKDIR: the new working directory, absolute and with `/`, and the path as it was written."""
        path = self._word(instruction, self._one(instruction))
        self.config["WorkingDir"] = workdir(self.directory, path)
        return self.directory.replace("\\", "/"), path

    # --- instructions -----------------------------------------------------------

    def _arg(self, instruction: Instruction) -> None:
        said = []
        for word in instruction.args:
            name, equals, default = word.partition("=")
            self.used.add(name)
            value: str | None = self._given.get(name)
            if value is None and equals:
                value = self._word(instruction, default)
            elif value is None:
                value = self._arguments.get(name)
            if value is not None:
                self.env.put(name, value)
            said.append(name if value is None else f"{name}={value}")
        self.step(f"ARG {' '.join(said)}")

    def _cmd(self, instruction: Instruction) -> None:
        args = self._command(instruction)
        self.config["Cmd"] = args
        self.config["ArgsEscaped"] = True
        self._cmd_is_ours = True
        self.step(f"CMD {_quoted(args)}")

    def _entrypoint(self, instruction: Instruction) -> None:
        args = self._command(instruction)
        self.config["Entrypoint"] = args
        if not self._cmd_is_ours:
            self.config.pop("Cmd", None)
        self.step(f"ENTRYPOINT {_quoted(args)}")

    def _env(self, instruction: Instruction) -> None:
        pairs = self._pairs(instruction)
        for name, value in pairs:
            self.env.put(name, value)
            lines = {line.partition("=")[0].upper(): line for line in self.config.get("Env") or ()}
            lines[name.upper()] = f"{name}={value}"
            self.config["Env"] = list(lines.values())
        self.step("ENV " + " ".join(f"{name}={value}" for name, value in pairs))

    def _expose(self, instruction: Instruction) -> None:
        ports: list[str] = []
        # BuildKit sorts the words, before it replaces variables.
        for arg in sorted(instruction.args, key=os.fsencode):
            for word in self._dockerfile.words(instruction, arg, self.env):
                found = _PORTS.fullmatch(word)
                first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
                if found is None or not 0 < first <= last < _MAX_PORTS:
                    raise self._dockerfile.error(
                        instruction, "a port", expected="such as 80, 53/udp, 8000-8010", got=word
                    )
                protocol = (found[3] or "tcp").lower()
                if len(ports) + last - first >= _MAX_PORTS:
                    raise self._dockerfile.error(instruction, "so many ports", expected=f"below {_MAX_PORTS:,}")
                ports += (f"{number}/{protocol}" for number in range(first, last + 1))
        if not ports:
            raise self._dockerfile.error(instruction, "EXPOSE of nothing", expected="a port")
        exposed = {**(self.config.get("ExposedPorts") or {}), **{port: {} for port in ports}}
        self.config["ExposedPorts"] = dict(sorted(exposed.items()))
        self.step(f"EXPOSE [{' '.join(ports)}]")

    def _healthcheck(self, instruction: Instruction) -> None:
        kind, *args = instruction.args or ("",)
        if kind.upper() == "NONE" and not args:
            test = ["NONE"]
        elif kind.upper() == "CMD" and args and args[0]:
            test = ["CMD", *args] if instruction.json else ["CMD-SHELL", *args]
        else:
            raise self._dockerfile.error(instruction, "a HEALTHCHECK", expected="NONE, or CMD and a command")
        check: dict[str, Any] = {"Test": test}
        for flag, values in instruction.flags.items():
            if flag == "retries":
                if not (values[-1].isascii() and values[-1].isdecimal() and len(values[-1]) < 10):
                    raise self._dockerfile.error(instruction, "--retries", expected="a number", got=values[-1])
                check["Retries"] = int(values[-1])
            elif flag in ("interval", "timeout", "start-period", "start-interval"):
                key = "".join(part.capitalize() for part in flag.split("-"))
                check[key] = self._duration(instruction, flag, values[-1])
            else:
                raise self._dockerfile.error(instruction, "an unknown flag of HEALTHCHECK", got=f"--{flag}")
        self.config["Healthcheck"] = {key: value for key, value in check.items() if value}
        told = [f"Test:[{' '.join(test)}]", *(f"{key}:{_go_duration(check.get(key, 0))}" for key in _DURATIONS)]
        self.step(f"HEALTHCHECK {{{' '.join(told)} Retries:{check.get('Retries', 0)}}}")

    def _label(self, instruction: Instruction) -> None:
        pairs = self._pairs(instruction)
        self.config["Labels"] = dict(sorted({**(self.config.get("Labels") or {}), **dict(pairs)}.items()))
        self.step("LABEL " + " ".join(f"{name}={value}" for name, value in pairs))

    def _maintainer(self, instruction: Instruction) -> None:
        self.author = self._word(instruction, self._one(instruction))
        self.step(f"MAINTAINER {self.author}")

    def _shell(self, instruction: Instruction) -> None:
        if not instruction.json or not instruction.args:
            raise self._dockerfile.error(
                instruction,
                "SHELL without a valid JSON array",
                expected='an array such as ["powershell", "-Command"]',
                got=instruction.text[:80],
                hint=JSON_HINT,
            )
        self.config["Shell"] = list(instruction.args)
        self.step(f"SHELL [{' '.join(instruction.args)}]")

    def _stop_signal(self, instruction: Instruction) -> None:
        signal = self._word(instruction, self._one(instruction))
        if not _SIGNAL.fullmatch(signal):
            raise self._dockerfile.error(
                instruction, "a STOPSIGNAL", expected="a number or a name such as SIGTERM", got=signal
            )
        self.config["StopSignal"] = signal
        self.step(f"STOPSIGNAL {signal}")

    def _user(self, instruction: Instruction) -> None:
        user = self._word(instruction, self._one(instruction))
        self.config["User"] = user
        self.step(f"USER {user}")

    def _volume(self, instruction: Instruction) -> None:
        paths = [self._word(instruction, word) for word in instruction.args]
        if not paths or not all(paths):
            raise self._dockerfile.error(instruction, "a VOLUME", expected="paths, none of them empty")
        volumes = {**(self.config.get("Volumes") or {}), **{path: {} for path in paths}}
        self.config["Volumes"] = dict(sorted(volumes.items()))
        self.step(f"VOLUME [{' '.join(paths)}]")

    # --- parts ------------------------------------------------------------------

    def _command(self, instruction: Instruction) -> list[str]:
        """The arguments; in shell form the shell comes first."""
        if instruction.json:
            return list(instruction.args)
        return [*(self.config.get("Shell") or _SHELL), " ".join(instruction.args)]

    def _pairs(self, instruction: Instruction) -> list[tuple[str, str]]:
        """The pairs of ENV and LABEL. Every value sees the variables as they were before the instruction."""
        args = instruction.args
        pairs = [
            (self._word(instruction, args[at]), self._word(instruction, args[at + 1])) for at in range(0, len(args), 3)
        ]
        if not pairs or not all(name for name, _ in pairs):
            raise self._dockerfile.error(instruction, f"{instruction.name} without a name", expected="NAME=VALUE")
        return pairs

    def _one(self, instruction: Instruction) -> str:
        if len(instruction.args) != 1:
            raise self._dockerfile.error(
                instruction, f"{instruction.name} of nothing", expected=f"{instruction.name} and a word"
            )
        return instruction.args[0]

    def _word(self, instruction: Instruction, text: str) -> str:
        return self._dockerfile.word(instruction, text, self.env)

    def _duration(self, instruction: Instruction, flag: str, text: str) -> int:
        """The nanoseconds of a duration in Go's notation, `1m30s`."""
        if not _DURATION.fullmatch(text):
            raise self._dockerfile.error(instruction, f"--{flag}", expected="a duration such as 30s or 1m30s", got=text)
        parts = re.findall(r"([0-9.]+)([a-zµ]+)", text)
        total = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if total >= 1 << 63:
            raise self._dockerfile.error(instruction, f"--{flag}", expected="a duration such as 30s or 1m30s", got=text)
        return int(total)


def _go_duration(ns: int) -> str:
    """A duration as Go's time.Duration prints it."""
    if ns < 10**9:
        unit = next((unit for unit in ("ms", "µs", "ns") if ns >= _UNITS[unit]), "s")
        return f"{ns / _UNITS[unit]:.9f}".rstrip("0").rstrip(".") + unit
    minutes, rest = divmod(ns, _UNITS["m"])
    seconds = f"{rest / 10**9:.9f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + seconds


def _quoted(args: list[str]) -> str:
    """A list of strings as Go's %q prints it."""
    return f"[{' '.join(json.dumps(arg, ensure_ascii=False) for arg in args)}]"
