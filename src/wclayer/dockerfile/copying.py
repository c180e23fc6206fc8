"""COPY and ADD: the words of an instruction become rules of the builder ([buildkit] dispatchCopy)."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from e2b_dockerfile_utils import parse_heredoc

from ..builder.recipe import FilesRule, Ignoring, Security
from ..errors import NotFoundError, SpecError, UsageError, WclayerError, with_context
from ..host.errors import host_errors
from ..layers.lookup.patterns import is_malformed
from ..win32.accounts import parse_account
from ..win32.names import decode_wtf8, encode_wtf8
from .ignore import DockerIgnore
from .json_form import JSON_HINT, has_control_characters, is_meant_as_json
from .parse import Dockerfile, Instruction
from .paths import absolute, drive_relative, lost_backslash, relative_to_root
from .running import Running
from .sources import FileSource, unpack

__all__ = ["Copied", "Copying"]

_REMOTE: Final = re.compile(r"(?:https?|ftp|git|ssh)://|git@", re.IGNORECASE)
_FLAGS: Final = {
    "COPY": frozenset(("from", "link", "chown", "exclude")),
    "ADD": frozenset(("link", "chown", "exclude", "unpack", "checksum")),
}
_NOT_HERE: Final = {
    "chmod": "modes mean nothing to Windows: in an image.toml, acl and sddl say who may do what",
    "parents": "name the folders in the destination",
    "keep-git-dir": "only for git, which is not fetched here",
}


@dataclass(frozen=True, slots=True)
class Copied:
    """The rules of one instruction, and its text in the history."""

    rules: tuple[FilesRule, ...]
    said: str


class Copying:
    """COPY and ADD of one build.

    temp_dir: a folder that lives as long as the build. time: the time of files that the Dockerfile itself contains or
    fetches, in ns since 1970. warn: called with a warning about what is probably a mistake. fetch: writes what is at
    an https URL to a file, if it has the given digest.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        temp_dir: str,
        time: int,
        warn: Callable[[str], None],
        fetch: Callable[[str, str, BinaryIO], None],
    ) -> None:
        self._dockerfile = dockerfile
        self._temporary = temp_dir
        self._time = time
        self._warn = warn
        self._fetch = fetch

    def words(self, instruction: Instruction, running: Running) -> tuple[list[str], str]:
        """The sources that are not heredocs, and the destination, with variables replaced. Raises SpecError."""
        args = list(instruction.args)
        if is_meant_as_json(instruction):
            raise self._dockerfile.error(
                instruction,
                f"{instruction.name} of an invalid JSON array",
                expected="text in double quotes, separated by commas",
                got=instruction.text[:80],
                hint=JSON_HINT,
            )
        if len(args) < 2:
            raise self._dockerfile.error(instruction, f"a {instruction.name}", expected="sources and a destination")
        *given, destination = args
        sources = [word for word in given if not (instruction.heredocs and parse_heredoc(word))]
        target = self._word(instruction, destination, running)
        if has_control_characters(instruction) and not target.isprintable():
            raise self._dockerfile.error(
                instruction, "a control character in the destination", got=target, hint=JSON_HINT
            )
        return [self._word(instruction, word, running) for word in sources], target

    def patterns(self, instruction: Instruction, running: Running) -> list[str]:
        """The sources as paths of an image."""
        return [self._pattern(instruction, word) for word in self.words(instruction, running)[0]]

    def _pattern(self, instruction: Instruction, word: str) -> str:
        with self._dockerfile.at(instruction):
            pattern = relative_to_root(word)
        if any(map(is_malformed, pattern.split("/"))):
            raise self._dockerfile.error(
                instruction, "a malformed wildcard", expected="a class such as [ab] or [a-c]", got=word
            )
        return pattern

    def rules(self, instruction: Instruction, running: Running, source: FileSource) -> Copied:
        """The rules for what the instruction copies out of `source`. Raises SpecError and what reading it raises."""
        self._check_flags(instruction)
        sources, destination = self.words(instruction, running)
        if "checksum" in instruction.flags and not (len(instruction.args) == 2 and _REMOTE.match(sources[0])):
            raise self._dockerfile.error(instruction, "ADD --checksum", expected="one source, an https URL")
        security = self._security(instruction, running)
        excluding = self._excluding(instruction)
        with self._dockerfile.at(instruction):
            target, is_directory = absolute(running.directory, destination)
        target = target.lstrip("/")
        count = len(sources) + len(instruction.heredocs)
        if count > 1 and not is_directory:
            raise self._dockerfile.error(
                instruction, "several sources", expected=r"a destination that ends in / or \ ", got=destination
            )
        rules: list[FilesRule] = []
        for word in sources:
            if _REMOTE.match(word):
                rules.append(self._remote(instruction, running, word, destination, is_directory))
                continue
            pattern = self._pattern(instruction, word)
            with self._dockerfile.at(instruction):
                try:
                    found = source.find(pattern)
                except NotFoundError as error:
                    if has_control_characters(instruction):
                        error.hint = JSON_HINT
                    raise
                if not found:
                    self._warn(f"{self._dockerfile.source}, line {instruction.line}: {word} fits nothing")
                if len(found) > 1 and not is_directory:
                    raise UsageError("several files fit", expected=r"a destination that ends in /", got=word)
                for path in found:
                    rules += self._rule(instruction, source, path, excluding)
        rules += [self._inline(instruction, running, number) for number in range(len(instruction.heredocs))]
        into = True if is_directory else None
        placed = tuple(replace(rule, target=target, into=into, security=security) for rule in rules)
        heredocs = [f"<<{heredoc.name}" for heredoc in instruction.heredocs]
        owner = [f"--chown={security.owner}"] if security.owner else []
        return Copied(placed, " ".join([instruction.name, *owner, *sources, *heredocs, destination]))

    # --- parts ------------------------------------------------------------------

    def _rule(
        self, instruction: Instruction, source: FileSource, path: str, excluding: Ignoring | None
    ) -> list[FilesRule]:
        rule = source.rule(path)
        name = path.rpartition("/")[2]
        if source.is_directory(path):
            excluded = () if excluding is None else (excluding,)
            return [replace(rule, ignore=(*(rule.ignore or ()), *excluded))]
        host = os.fsencode(name) if rule.folder is None else encode_wtf8(name)
        if excluding is not None and excluding.match(host, False):
            return []
        if rule.folder is None:
            if self._flag(instruction, "unpack", instruction.name == "ADD") and os.path.isfile(rule.source):
                folder = tempfile.mkdtemp(dir=self._temporary)
                if unpack(rule.source, folder):
                    return [replace(rule, source=folder, ignore=())]
                os.rmdir(folder)
            with with_context(path=rule.source):
                name = decode_wtf8(host)
        return [replace(rule, name=name)]

    def _flag(self, instruction: Instruction, name: str, default: bool) -> bool:
        """The value of a boolean flag."""
        text = instruction.flags.get(name, (str(default),))[-1].lower()
        if text not in ("true", "false"):
            raise self._dockerfile.error(instruction, f"--{name}", expected="true or false", got=text)
        return text == "true"

    def _inline(self, instruction: Instruction, running: Running, number: int) -> FilesRule:
        """A rule for a heredoc, a file whose content is in the Dockerfile."""
        heredoc = instruction.heredocs[number]
        content = self._dockerfile.heredoc(instruction, heredoc, running.env)
        path = os.path.join(tempfile.mkdtemp(dir=self._temporary), "inline")
        with open(path, "wb") as file:
            file.write(content.encode("utf-8", "surrogateescape"))
        os.utime(path, ns=(self._time, self._time))
        return FilesRule(source=path, name=heredoc.name)

    def _remote(
        self, instruction: Instruction, running: Running, url: str, destination: str, is_directory: bool
    ) -> FilesRule:
        """A rule for what is at an https URL; only of given bytes, as the same Dockerfile makes the same image."""
        checksum = instruction.flags.get("checksum", ("",))[-1]
        is_add, scheme = instruction.name == "ADD", url.partition("://")[0].lower()
        if scheme not in ("http", "https"):
            raise self._dockerfile.error(
                instruction, "nothing is fetched from elsewhere", got=url, hint="fetch it before, and COPY the file"
            )
        if not is_add or scheme == "http" or not checksum:
            hint = "ADD takes URLs" if not is_add else "write https" if scheme == "http" else None
            raise self._dockerfile.error(
                instruction,
                "a URL that is not fetched",
                expected="ADD --checksum=sha256:HEX https://...",
                got=url,
                hint=hint or "sha256sum prints the HEX of a file; or fetch it before, and COPY the file",
            )
        name = unquote(urlsplit(url).path).rpartition("/")[2]
        if is_directory and not name:
            raise self._dockerfile.error(
                instruction, "a URL without a name", got=url, hint=f"write the name of the file behind {destination}"
            )
        path = os.path.join(tempfile.mkdtemp(dir=self._temporary), "fetched")
        with self._dockerfile.at(instruction), host_errors(path):
            with open(path, "wb") as file:
                self._fetch(url, self._word(instruction, checksum, running), file)
            os.utime(path, ns=(self._time, self._time))
        if self._flag(instruction, "unpack", False):
            folder = tempfile.mkdtemp(dir=self._temporary)
            if unpack(path, folder):
                return FilesRule(source=folder, ignore=())
        return FilesRule(source=path, name=name or None)

    def _check_flags(self, instruction: Instruction) -> None:
        for flag in instruction.flags:
            if flag in _NOT_HERE:
                raise self._dockerfile.error(
                    instruction, f"{instruction.name} --{flag} is not possible here", hint=_NOT_HERE[flag]
                )
            if flag not in _FLAGS[instruction.name]:
                raise self._dockerfile.error(instruction, f"an unknown flag of {instruction.name}", got=f"--{flag}")
        self._flag(instruction, "link", True)
        self._flag(instruction, "unpack", True)

    def _security(self, instruction: Instruction, running: Running) -> Security:
        owner = instruction.flags.get("chown")
        if owner is None:
            return Security()
        name = self._word(instruction, owner[-1], running)
        try:
            parse_account(name)
        except WclayerError:
            raise self._dockerfile.error(
                instruction,
                "--chown for Windows",
                expected="an account such as ContainerUser, or a SID",
                got=name,
            ) from None
        return Security(owner=name)

    def _excluding(self, instruction: Instruction) -> Ignoring | None:
        patterns = instruction.flags.get("exclude")
        if patterns is None:
            return None
        try:
            ignore = DockerIgnore(patterns, source="--exclude")
        except SpecError as error:
            message = f"--exclude: {error.message}"
            raise self._dockerfile.error(instruction, message, got=error.got, hint=error.hint) from None
        for warning in ignore.warnings:
            self._warn(f"{self._dockerfile.source}, line {instruction.line}: {warning}")
        return ignore

    def _word(self, instruction: Instruction, text: str, running: Running) -> str:
        word = self._dockerfile.word(instruction, text, running.env)
        if drive_relative(word):
            self._warn(lost_backslash(self._dockerfile.source, instruction.line, word))
        return word
