"""Stages: the instructions between one FROM and the next, and which stages are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .parse import REFERENCE, Dockerfile, Environment, Instruction

__all__ = ["Stage", "Stages", "check_possible", "find_stages"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*", re.ASCII)
SCRATCH: Final = "scratch"
_DIGITS: Final = 10
_REFUSED: Final = {
    "RUN": (
        "RUN needs a Windows to run in",
        "do it elsewhere and take the result: COPY it, or COPY --from=NAME with --build-context NAME=FOLDER",
    ),
    "ONBUILD": ("ONBUILD is for images that others build on with a Windows", "put its instruction there"),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage.

    base: an earlier stage, the name of an image, or `scratch`. platform: --platform's value, else "". empty: variables
    in its FROM that are empty.
    """

    number: int
    name: str | None
    base: Stage | str
    platform: str
    start: Instruction
    instructions: tuple[Instruction, ...]
    empty: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """What to do where the image of its FROM cannot be, as a variable is empty."""
        return _hint(self.empty)

    def __str__(self) -> str:
        return self.name or str(self.number)


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages, and the variables that are set before the first FROM."""

    dockerfile: Dockerfile
    stages: tuple[Stage, ...]
    arguments: Environment
    used: frozenset[str]  # build arguments that the first lines ask for

    def target(self, name: str | None) -> Stage:
        """The stage with that name or number; the last one for None. Raises SpecError."""
        if name is None:
            return self.stages[-1]
        found = self.find(name, len(self.stages))
        if found is None:
            names = ", ".join(str(stage) for stage in self.stages)
            raise self.dockerfile.error(self.stages[-1].start, "no such stage", expected=names, got=name)
        return found

    def find(self, name: str, before: int) -> Stage | None:
        """The stage with that name or number among the first `before`; None if there is none."""
        if name.isascii() and name.isdecimal():
            digits = name.lstrip("0") or "0"
            number = int(digits) if len(digits) < _DIGITS else before
            return self.stages[number] if number < before else None
        return next((stage for stage in reversed(self.stages[:before]) if stage.name == name.lower()), None)


def find_stages(dockerfile: Dockerfile, given: Mapping[str, str], predefined: Mapping[str, str]) -> Stages:
    """Group the instructions into stages.

    given: build arguments. predefined: variables that exist without an ARG: TARGETPLATFORM, BUILDOS and so on.
    Raises SpecError.
    """
    arguments = Environment(predefined)
    used: set[str] = set()
    stages: list[Stage] = []
    start: Instruction | None = None
    body: list[Instruction] = []
    for instruction in dockerfile.instructions:
        if instruction.name == "FROM":
            if start is not None:
                stages.append(_stage(dockerfile, stages, start, body, arguments))
            start, body = instruction, []
        elif start is not None:
            body.append(instruction)
        elif instruction.name == "ARG":
            for word in instruction.args:
                name, equals, default = word.partition("=")
                used.add(name)
                if name in given:
                    arguments[name] = given[name]
                elif equals:
                    arguments[name] = dockerfile.word(instruction, default, arguments)
        else:
            raise dockerfile.error(instruction, f"{instruction.name} before the first FROM", expected="FROM, ARG")
    if start is None:
        raise dockerfile.error(dockerfile.instructions[-1], "no FROM", expected="a base image, or scratch")
    stages.append(_stage(dockerfile, stages, start, body, arguments))
    return Stages(dockerfile, tuple(stages), arguments, frozenset(used))


def check_possible(dockerfile: Dockerfile, stage: Stage, *, is_target: bool) -> None:
    """Raise SpecError for a stage that needs another system, or a Windows to run; before its base is fetched."""
    instead = f"do it elsewhere and give the result: --build-context {stage.name or 'NAME'}=FOLDER"
    instead += "" if stage.name else ", with AS NAME in its FROM"
    if stage.platform and stage.platform.partition("/")[0].lower() != "windows":
        raise dockerfile.error(
            stage.start,
            "a platform that is not Windows",
            expected="--platform=windows/amd64",
            got=stage.platform,
            hint=None if is_target else instead,
        )
    for instruction in stage.instructions:
        if instruction.name in _REFUSED:
            message, hint = _REFUSED[instruction.name]
            if instruction.name == "RUN" and not is_target:
                hint = instead
            raise dockerfile.error(instruction, message, got=instruction.text[:80], hint=hint)


def _hint(empty: Sequence[str]) -> str:
    options = " ".join(f"--build-arg {name}=VALUE" for name in empty)
    return f"{', '.join(empty)} is empty: {options}, with an ARG before the first FROM"


def _stage(
    dockerfile: Dockerfile,
    before: Sequence[Stage],
    start: Instruction,
    body: Sequence[Instruction],
    arguments: Environment,
) -> Stage:
    args = [dockerfile.word(start, word, arguments) for word in start.args]
    references = dict.fromkeys(found[1] for word in start.args[:1] for found in REFERENCE.finditer(word))
    empty = tuple(name for name in references if not arguments.get(name))
    if len(args) not in (1, 3) or (len(args) == 3 and args[1].upper() != "AS"):
        raise dockerfile.error(start, "a FROM", expected="FROM IMAGE [AS NAME]", got=start.text)
    for flag in start.flags:
        if flag != "platform":
            raise dockerfile.error(start, "an unknown flag of FROM", expected="--platform", got=f"--{flag}")
    name = args[2].lower() if len(args) == 3 else None
    if name is not None and (not _NAME.fullmatch(name) or name == SCRATCH):
        raise dockerfile.error(
            start, "the name of a stage", expected="a letter, then letters, digits, _ . -", got=args[2]
        )
    if not args[0]:
        raise dockerfile.error(
            start, "a FROM whose image is empty", got=start.text, hint=_hint(empty) if empty else None
        )
    earlier = next((stage for stage in reversed(before) if stage.name == args[0].lower()), None)
    base = SCRATCH if args[0] == SCRATCH else earlier or args[0]
    platform = dockerfile.word(start, start.flags.get("platform", ("",))[-1], arguments)
    return Stage(len(before), name, base, platform, start, tuple(body), empty)
