"""Symlinks of a build's sources, converted to those of Windows.

A POSIX target has `/` between names and begins at `/`; one of Windows has `\\` and begins at
`C:\\`. A symlink of Windows also has an attribute for whether it leads to a directory, so that
is looked up in the new tree and in the layers below; `union.links` follows links on the way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, cast

from ..entry import Directory, File, Lower
from ..errors import FormatError, InexpressibleError, InvalidNameError, ReparseError, with_context
from ..union.links import MOST_LINKS, link_of, resolve_link
from ..union.rules import FILES
from ..win32.names import check_component, decode_wtf8, win32_problem
from ..win32.reparse import ReparseLink, build_link
from .recipe import JunctionRule, SymlinkRule
from .source_tree import Kind, Node, SourceTree

__all__ = ["leads_to_directory", "posix_target", "windows_target"]

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")


def posix_target(node: Node, target: bytes) -> str:
    """The target on Windows for the host's symlink `node`, whose target is `target`.

    Raises InexpressibleError for a target that leads out of drive C:, InvalidNameError for one that Windows could not
    follow.
    """
    with with_context(path=node.shown, only=FormatError):
        text = decode_wtf8(target)
    if _DRIVE.match(text):  # made for Windows
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
    """The target on Windows for a target that a rule gives, with `/` or `\\` between names. Raises InvalidNameError."""
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
    """The names without `..`, which stays at the root where POSIX goes above it."""
    result: list[str] = []
    for part in parts:
        if part != "..":
            result.append(part)
        elif result:
            result.pop()
    return result


def leads_to_directory(path: str, target: str, tree: SourceTree, below: Lower | None) -> bool | None:
    """Does a symlink at `path` of drive C: to `target`, as Windows spells it, lead to a directory? None if to nothing.

    Links that Windows does not follow, and paths with more links than it allows, lead to nothing.
    """
    at, link, rest = f"{FILES}/{path}", _windows_link(target), ""
    for _ in range(MOST_LINKS):
        place = resolve_link(at, link).path
        if place is None:
            return None
        found, at, rest = _walk(f"{place}/{rest}".rstrip("/"), tree, below)
        if not isinstance(found, ReparseLink):
            return None if found is None else found is Kind.DIRECTORY
        link = found
    return None


def _walk(path: str, tree: SourceTree, below: Lower | None) -> tuple[Kind | ReparseLink | None, str, str]:
    """Go along `path`, up to the first link: what is there, its path, and what of `path` is left after it."""
    names = path.split("/")[1:]
    for count in range(1, len(names) + 1):
        found = _look(names[:count], tree, below)
        if isinstance(found, ReparseLink):
            return found, "/".join((FILES, *names[:count])), "/".join(names[count:])
        if found is not Kind.DIRECTORY:
            return None if count < len(names) else found, path, ""
    return Kind.DIRECTORY, path, ""


def _look(names: Sequence[str], tree: SourceTree, below: Lower | None) -> Kind | ReparseLink | None:
    """The kind of what is at a path: DIRECTORY, FILE, a link, or None if it does not exist."""
    node = tree.find(names)
    if node is not None:
        link = _link_of(node)
        return link if link is not None else None if node.kind is Kind.REMOVED else node.kind
    entry = None if below is None else below.lookup("/".join((FILES, *names)))
    if not isinstance(entry, Directory | File):
        return None
    link = _link_in(entry)
    if link is not None:
        return link
    return Kind.DIRECTORY if isinstance(entry, Directory) else Kind.FILE


def _link_of(node: Node) -> ReparseLink | None:
    """The symlink or junction that a node of the tree becomes; None for anything else."""
    if node.kind is Kind.LINK and isinstance(node.rule, SymlinkRule | JunctionRule):
        return _windows_link(node.rule.target, junction=isinstance(node.rule, JunctionRule))
    if node.kind is Kind.SYMLINK:
        origin = node.origins[0]
        known = origin.folder.entry(origin.host)
        link = None if known is None else _link_in(known)
        return link or _windows_link(posix_target(node, origin.folder.readlink(origin.host)))
    return None


def _link_in(entry: Directory | File) -> ReparseLink | None:
    """The link that an entry is; None for a malformed one too, which Windows does not follow."""
    try:
        return link_of(entry.reparse_data)
    except ReparseError:
        return None


def _windows_link(target: str, *, junction: bool = False) -> ReparseLink:
    """The link that is made for a target."""
    # link_of returns None only for reparse points that are not links; build_link makes none of those.
    return cast("ReparseLink", link_of(build_link(target.replace("/", "\\"), junction)))
