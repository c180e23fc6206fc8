"""Symlinks of a build's sources as Windows has them.

POSIX separates with `/` and begins at `/`; Windows separates with `\\`, begins at
`C:\\`, and wants to know of every link whether it leads to a directory. That is
found out in the new tree and in the layers below, other links on the way followed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..entry import Directory, File, Lower
from ..errors import FormatError, InexpressibleError, InvalidNameError, with_context
from ..win32.names import check_component, decode_wtf8, win32_problem
from ..win32.reparse import link_target
from .recipe import JunctionRule, SymlinkRule
from .source_tree import Kind, Node, SourceTree

__all__ = ["leads_to_directory", "posix_target", "steps", "windows_target"]

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
_DRIVE_C: Final = re.compile(r"(?:\\\\\?\\|\\\?\?\\)?[Cc]:[\\/]")
_MOST_LINKS: Final = 40  # as Linux's own bound; Windows' is 63


def posix_target(node: Node, target: bytes) -> str:
    """What Windows is to have for the host's symlink `node`, whose target is `target`.

    Raises InexpressibleError for a target that leads out of drive C:, InvalidNameError for one that Windows could not
    follow.
    """
    with with_context(path=node.shown, only=FormatError):
        text = decode_wtf8(target)
    if _DRIVE.match(text):  # somebody made it for Windows
        return windows_target(node.path, text)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    depth = node.path.count("/")
    for part in parts:
        _check(node.shown, text, part)
        depth += -1 if part == ".." else 1
        if depth < 0 and not text.startswith("/"):
            raise InexpressibleError(
                "a symlink that leads out of the context, which is to be drive C:",
                path=node.shown,
                expected="a target inside",
                got=text,
                hint="replace it by what it points to, or leave it out with .wclayerignore",
            )
    if text.startswith("/"):
        return "C:\\" + "\\".join(_plain(parts))
    return "\\".join(parts) or "."


def windows_target(path: str, target: str) -> str:
    """A target as a rule gives it, `/` or `\\` between the names, as Windows has it."""
    text = target.replace("/", "\\")
    drive = _DRIVE.match(text)
    for part in text[drive.end() if drive else 0 :].split("\\"):
        if part not in ("", ".", "?", "??") and not _DRIVE.match(part + "\\"):
            _check(path, target, part)
    return text


def _check(path: str, target: str, part: str) -> None:
    if part == "..":
        return
    try:
        check_component(part)
    except InvalidNameError as error:
        raise InvalidNameError(f"a symlink's target: {error.message}", path=path, got=target) from None
    if (problem := win32_problem(part)) is not None:
        raise InvalidNameError(f"a symlink to a name that Windows cannot open: {problem}", path=path, got=target)


def _plain(parts: Sequence[str]) -> list[str]:
    """`..` taken away, as at the root of a volume it leads nowhere."""
    result: list[str] = []
    for part in parts:
        if part != "..":
            result.append(part)
        elif result:
            result.pop()
    return result


def leads_to_directory(path: str, target: str, tree: SourceTree, below: Lower | None) -> bool | None:
    """Does a link at `path` of drive C: to `target`, as Windows has it, lead to a directory? None if to nothing."""
    left = steps(path.rpartition("/")[0], target)
    here: list[str] = []  # always a directory
    followed = 0
    while left:
        step = left.pop(0)
        if step == "..":
            here = here[:-1]
            continue
        found = _look([*here, step], tree, below)
        if found is Kind.DIRECTORY:
            here.append(step)
        elif isinstance(found, str):
            followed += 1
            further = steps("/".join(here), found)
            if further is None or followed > _MOST_LINKS:
                return None
            left, here = further + left, []
        else:
            return None if found is None or left else False
    return None if left is None else True


def _look(names: Sequence[str], tree: SourceTree, below: Lower | None) -> Kind | str | None:
    """What is at a path: DIRECTORY, FILE, the target of a link, or None for nothing."""
    node = tree.find(names)
    if node is not None:
        text = _link_of(node)
        return text if text is not None else None if node.kind is Kind.REMOVED else node.kind
    entry = None if below is None else below.lookup("/".join(("Files", *names)))
    if not isinstance(entry, Directory | File):
        return None
    link = None if entry.reparse_data is None else link_target(entry.reparse_data)
    if link is not None:
        return link[0]
    return Kind.DIRECTORY if isinstance(entry, Directory) else Kind.FILE


def _link_of(node: Node) -> str | None:
    """What a link of the tree leads to, as Windows has it; None for what is no link."""
    if node.kind is Kind.LINK and isinstance(node.rule, SymlinkRule | JunctionRule):
        return node.rule.target
    if node.kind is Kind.SYMLINK:
        origin = node.origins[0]
        known = origin.folder.entry(origin.host)
        if known is not None and known.reparse_data is not None and (link := link_target(known.reparse_data)):
            return link[0]
        return posix_target(node, origin.folder.readlink(origin.host))
    return None


def steps(directory: str, target: str) -> list[str] | None:
    """The names to go through from the root of drive C: to `target`; None for what leads elsewhere."""
    text = target.replace("/", "\\")
    if (drive := _DRIVE_C.match(text)) is not None:
        text, start = text[drive.end() :], []
    elif text.startswith(("\\\\", "\\??\\")) or _DRIVE.match(text):
        return None
    else:
        start = [] if text.startswith("\\") else directory.split("/")
    return [part for part in (*start, *text.split("\\")) if part not in ("", ".")]
