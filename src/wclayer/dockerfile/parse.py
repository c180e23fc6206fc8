"""Parse a Dockerfile into instructions, each with its line, and replace the variables in words.

The grammar is BuildKit's (frontend/dockerfile/parser, shell), by e2b-dockerfile-utils.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from e2b_dockerfile_utils import (
    DockerfileHeredoc,
    DockerfileSyntaxError,
    ShellLex,
    chomp_heredoc_content,
    parse_dockerfile_ast,
)

from ..builder.ignore import check_text
from ..errors import SpecError, WclayerError, printable

__all__ = [
    "MAX_SIZE",
    "REFERENCE",
    "Dockerfile",
    "Environment",
    "Fallback",
    "Heredoc",
    "Instruction",
    "parse_dockerfile",
]

MAX_SIZE: Final = 1 << 20  # bytes
# By how many characters variables may make a word or heredoc longer; Windows' environment holds 32,767 in all.
_MAX_EXPANDED: Final = 1 << 17
REFERENCE: Final = re.compile(r"\$\{?(\w+)")
# Variables with a pattern: the lexer tries every way to match one, so patterns with many stars are refused.
_PATTERN: Final = re.compile(r"\$\{\w+[/#%][^}]*\}?")
_MAX_STARS: Final = 3
_BARE_FLAGS: Final = frozenset(("link", "parents", "unpack", "keep-git-dir"))

T = TypeVar("T", str, list[str])
Fallback: TypeAlias = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A heredoc, a file in the Dockerfile itself; expand: variables in it are replaced."""

    name: str
    content: str
    expand: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction.

    text: all of it, with continuation lines joined. args: as BuildKit's parser gives them. json: they were a JSON
    array. flags: `--name=value`, repeated ones included.
    """

    name: str
    line: int
    text: str
    args: tuple[str, ...] = ()
    json: bool = False
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The instructions of the file `source`, and its escape character."""

    source: str
    escape: str
    instructions: tuple[Instruction, ...]

    def error(
        self,
        instruction: Instruction,
        message: str,
        *,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> SpecError:
        """An error about an instruction."""
        return SpecError(f"line {instruction.line}: {message}", path=self.source, expected=expected, got=got, hint=hint)

    @contextmanager
    def at(self, instruction: Instruction) -> Iterator[None]:
        """Name the instruction in errors of the block, unless they are about the Dockerfile itself."""
        try:
            yield
        except WclayerError as error:
            if error.requested_by is None and error.path != self.source:
                error.requested_by = f"{self.source}, line {instruction.line}"
            raise

    def word(self, instruction: Instruction, text: str, env: Environment) -> str:
        """One word without quotes and escapes, its variables replaced. Raises SpecError."""
        return self._expanded(instruction, text, env, lambda: self._lex(env).process_word(text))

    def words(self, instruction: Instruction, text: str, env: Environment) -> list[str]:
        """The words of a text; a variable may expand to several words. Raises SpecError."""
        return self._expanded(instruction, text, env, lambda: self._lex(env).process_words(text))

    def _lex(self, env: Environment) -> ShellLex:
        return ShellLex(self.escape, env=env, skip_unset_env=False)

    def _expanded(self, instruction: Instruction, text: str, env: Environment, expand: Callable[[], T]) -> T:
        if any(found[0].count("*") > _MAX_STARS for found in _PATTERN.finditer(text)):
            raise self.error(instruction, "a pattern of so many wildcards", expected=f"at most {_MAX_STARS}")
        # Before the expansion, which takes seconds for a megabyte.
        if sum(len(env.own(found[1]) or "") for found in REFERENCE.finditer(text)) > _MAX_EXPANDED:
            raise self.error(
                instruction, "variables make this too long", expected=f"at most {_MAX_EXPANDED:,} characters"
            )
        try:
            return expand()
        except ValueError as error:
            raise self.error(instruction, printable(str(error))) from None

    def heredoc(self, instruction: Instruction, heredoc: Heredoc, env: Environment) -> str:
        """The content of a heredoc, its variables replaced unless its delimiter was quoted. Raises SpecError."""
        if not heredoc.expand:
            return heredoc.content
        lex = ShellLex("\\", env=env, skip_unset_env=False, skip_process_quotes=True)
        return self._expanded(instruction, heredoc.content, env, lambda: lex.process_word(heredoc.content))


class Environment(dict[str, str]):
    """Variables: looked up as spelled, else in any case, as on Windows.

    fallback: gives the value of a variable that is not set here, or None.
    """

    def __init__(self, values: Mapping[str, str] | None = None, fallback: Fallback | None = None) -> None:
        super().__init__(values or {})
        self._fallback = fallback

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = self.own(key)
        if found is None and self._fallback is not None:
            found = self._fallback(key)
        return default if found is None else found

    def own(self, key: str) -> str | None:
        """The value of a variable that is set here."""
        found = super().get(key)
        if found is None:
            wanted = key.upper()
            found = next((value for name, value in self.items() if name.upper() == wanted), None)
        return found

    def put(self, key: str, value: str) -> None:
        """Set a variable; it replaces one whose name differs only in case."""
        for name in [name for name in self if name.upper() == key.upper()]:
            del self[name]
        self[key] = value


def parse_dockerfile(data: bytes, source: str) -> Dockerfile:
    """The instructions in a Dockerfile; `source` names it in errors. Raises SpecError, with the line."""
    if len(data) > MAX_SIZE:
        raise SpecError("a Dockerfile this large", path=source, expected=f"at most {MAX_SIZE:,} bytes")
    check_text(data, source)
    try:
        text = data.decode("utf-8")
        found = parse_dockerfile_ast(text)
    except DockerfileSyntaxError as error:
        message = str(error).partition(": ")[2]
        where = "" if error.line is None else f"line {error.line}: "
        raise SpecError(f"{where}{printable(message)}", path=source) from None
    except UnicodeDecodeError as error:
        raise SpecError("a Dockerfile that is no UTF-8", path=source, offset=error.start) from None
    except RecursionError:
        raise SpecError("a Dockerfile nested too deeply", path=source) from None
    instructions = []
    for one in found.instructions:
        flags = _flags(one.flags, source, one.start_line)
        heredocs = tuple(_heredoc(heredoc) for heredoc in one.heredocs)
        args = tuple(one.args)
        instructions.append(Instruction(one.name, one.start_line, one.original, args, one.json, flags, heredocs))
    if not instructions:
        raise SpecError("a Dockerfile without instructions", path=source, expected="FROM at least")
    return Dockerfile(source, found.escape_token, tuple(instructions))


def _flags(given: list[str], source: str, line: int) -> dict[str, tuple[str, ...]]:
    flags: dict[str, tuple[str, ...]] = {}
    for flag in given:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not equals and name not in _BARE_FLAGS:
            raise SpecError(f"line {line}: a flag without a value", path=source, expected=f"--{name}=...", got=flag)
        flags[name] = (*flags.get(name, ()), value if equals else "true")
    return flags


def _heredoc(found: DockerfileHeredoc) -> Heredoc:
    content = chomp_heredoc_content(found.content) if found.chomp else found.content
    return Heredoc(found.name, content, found.expand)
