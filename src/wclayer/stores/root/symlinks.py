"""Symlinks of Windows as symlinks of the host, and back.

Only a relative symlink that cannot leave its volume becomes one: the target goes
up by leading `..` alone, and no further than the root of the volume. Since links
are made below real directories only, following any number of such links stays
inside.
"""

from __future__ import annotations

from typing import Final

from ...errors import FormatError, InexpressibleError, with_context
from ...win32.names import decode_wtf8, encode_wtf8
from ...win32.reparse import IO_REPARSE_TAG_SYMLINK, build_link, link_target, reparse_tag

__all__ = ["host_target", "windows_link"]


_MAX_TARGET: Final = 4096  # characters; hosts hold no longer ones


def _inside(parts: list[str], depth: int) -> bool:
    """Does a relative target stay inside, seen from a directory `depth` levels below the volume's root?"""
    ups = 0
    while ups < len(parts) and parts[ups] == "..":
        ups += 1
    rest = parts[ups:]
    return ups <= depth and bool(parts) and not any(part in ("", "..") for part in rest)


def _depth(path: str) -> int:
    """How many directories there are between the root of its volume and `path`; -1 outside of both volumes."""
    for root in ("Files/", "UtilityVM/Files/"):
        if path.startswith(root):
            return path[len(root) :].count("/")
    return -1


def host_target(path: str, reparse_data: bytes) -> bytes | None:
    """The target of the host's symlink for the reparse point at `path`, None where it gets none."""
    if reparse_tag(reparse_data) != IO_REPARSE_TAG_SYMLINK:
        return None
    found = link_target(reparse_data)
    if found is None:
        return None
    target, _ = found
    if not target or "\0" in target or ":" in target or len(target) > _MAX_TARGET:
        return None
    if build_link(target, False) != reparse_data:
        return None
    parts = target.replace("\\", "/").split("/")
    return encode_wtf8("/".join(parts)) if _inside(parts, _depth(path)) else None


def windows_link(path: str, target: bytes) -> bytes:
    """The reparse buffer for a symlink that somebody made at `path` of the host's tree.

    Raises InexpressibleError for a target outside the volume, or none that Windows could follow.
    """
    with with_context(path=path, only=FormatError):
        text = decode_wtf8(target)
    parts = [part for part in text.split("/") if part != "."]
    while parts and not parts[-1]:
        parts.pop()
    if text.startswith("/") or "\\" in text or ":" in text or not _inside(parts or ["."], _depth(path)):
        raise InexpressibleError(
            "a symlink that Windows could not follow inside the layer",
            path=path,
            expected="a relative target below the volume's root",
            got=text,
            hint="make the link relative, or replace it by what it points to",
        )
    return build_link("\\".join(parts or ["."]), False)
