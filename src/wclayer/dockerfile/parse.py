"""A Dockerfile taken apart into instructions, each with its line; and words with their variables put in.

The grammar is BuildKit's (frontend/dockerfile/parser, shell), by e2b-dockerfile-utils.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from e2b_dockerfile_utils import (
    DockerfileHeredoc,
    DockerfileSyntaxError,
    ShellLex,
    chomp_heredoc_content,
    parse_dockerfile_ast,
)

from ..errors import SpecError, WclayerError

__all__ = ["MAX_SIZE", "Dockerfile", "Environment", "Heredoc", "Instruction", "parse_dockerfile"]

MAX_SIZE: Final = 1 << 20  # bytes
_BARE_FLAGS: Final = frozenset(("link", "parents", "unpack", "keep-git-dir"))


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A file that stands in the Dockerfile itself; expand: with variables put in."""

    name: str
    content: str
    expand: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction. text: all of it, continuations joined. args: as BuildKit's parser gives them; json: they stood in
    brackets. flags: `--name=value`, those of several values among them."""

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
        self, line: int, message: str, *, expected: object = None, got: object = None, hint: str | None = None
    ) -> SpecError:
        """An error about a line."""
        return SpecError(f"line {line}: {message}", path=self.source, expected=expected, got=got, hint=hint)

    @contextmanager
    def at(self, instruction: Instruction) -> Iterator[None]:
        """Say of errors below which line they are about."""
        try:
            yield
        except WclayerError as error:
            said = error.path == self.source or error.message.startswith(f"{self.source}, line ")
            if not said:
                error.message = f"{self.source}, line {instruction.line}: {error.message}"
            raise

    def word(self, instruction: Instruction, text: str, env: Environment) -> str:
        """One word with quotes and escapes taken away and variables put in. Raises SpecError."""
        try:
            return ShellLex(self.escape, env=env, skip_unset_env=False).process_word(text)
        except ValueError as error:
            raise self.error(instruction.line, str(error)) from None

    def words(self, instruction: Instruction, text: str, env: Environment) -> list[str]:
        """The words of a text in which a variable may become several. Raises SpecError."""
        try:
            return ShellLex(self.escape, env=env, skip_unset_env=False).process_words(text)
        except ValueError as error:
            raise self.error(instruction.line, str(error)) from None

    def heredoc(self, instruction: Instruction, heredoc: Heredoc, env: Environment) -> str:
        """The content of a heredoc, with variables put in where it wants that. Raises SpecError."""
        if not heredoc.expand:
            return heredoc.content
        try:
            lex = ShellLex("\\", env=env, skip_unset_env=False, skip_process_quotes=True)
            return lex.process_word(heredoc.content)
        except ValueError as error:
            raise self.error(instruction.line, str(error)) from None


class Environment(dict[str, str]):
    """Variables: found as they are spelled, else in any case, as Windows has them."""

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = super().get(key)
        if found is None:
            wanted = key.upper()
            found = next((value for name, value in self.items() if name.upper() == wanted), default)
        return found

    def put(self, key: str, value: str) -> None:
        """Set a variable, in place of one that is spelled otherwise."""
        for name in [name for name in self if name.upper() == key.upper()]:
            del self[name]
        self[key] = value


def parse_dockerfile(data: bytes, source: str) -> Dockerfile:
    """The instructions in a Dockerfile; `source` names it in errors. Raises SpecError, with the line."""
    if len(data) > MAX_SIZE:
        raise SpecError("a Dockerfile this large", path=source, expected=f"at most {MAX_SIZE:,} bytes")
    try:
        text = data.decode("utf-8")
        found = parse_dockerfile_ast(text)
    except DockerfileSyntaxError as error:
        message = str(error).partition(": ")[2]
        where = "" if error.line is None else f"line {error.line}: "
        raise SpecError(f"{where}{message}", path=source) from None
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
