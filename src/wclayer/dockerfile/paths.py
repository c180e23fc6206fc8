"""Paths in Dockerfiles for Windows, as BuildKit reads them (util/system): both slashes, drive C: or no drive."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from ..errors import UsageError

__all__ = ["absolute", "drive_relative", "lost_backslash", "relative_to_root", "workdir"]

_DRIVE: Final = re.compile(r"([A-Za-z]):(.*)", re.DOTALL)


def _without_drive(path: str) -> str:
    """The path with `/` and without a drive. Raises UsageError for a drive other than C: and for a network path."""
    if len(path) == 2 and path[1] == ":":
        raise UsageError("a drive without a path", expected="C:\\", got=path)
    text = path.replace("\\", "/")
    if text.startswith("//"):
        raise UsageError("a path of the network", expected="a path of drive C:", got=path)
    drive = _DRIVE.fullmatch(text)
    if drive is None:
        return text
    if drive[1].upper() != "C":
        raise UsageError("a path of another drive", expected="a path of drive C:", got=path)
    return drive[2]


def drive_relative(path: str) -> bool:
    """Is the path relative to the drive's working directory, as `C:app`? Usually an unescaped `\\` was lost."""
    return bool(re.match(r"[A-Za-z]:[^\\/]", path))


def lost_backslash(source: str, line: int, word: str) -> str:
    """The warning about a drive-relative path."""
    return (
        f"{source}, line {line}: {word} is relative to the working directory; "
        "write C:/ or begin the Dockerfile with `# escape=` and a backtick"
    )


def absolute(current: str, path: str) -> tuple[str, bool]:
    """The absolute path, `/a/b`, of a path in the working directory `current`, and whether it must be a directory.

    Raises UsageError.
    """
    text = _without_drive(path)
    is_directory = text in ("", ".", "..") or text.endswith(("/", "/.", "/.."))
    joined = posixpath.join(_without_drive(current) or "/", text)
    return posixpath.normpath("/" + joined.lstrip("/")), is_directory


def relative_to_root(path: str) -> str:
    """A source as a path below the root of a context or image, without a leading `/`. Raises UsageError."""
    return posixpath.normpath("/" + _without_drive(path).lstrip("/")).lstrip("/")


def workdir(current: str, path: str) -> str:
    """The new working directory as the config has it: `\\a\\b`. Raises UsageError."""
    return absolute(current, path)[0].replace("/", "\\")
