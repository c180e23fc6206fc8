r"""Where symlinks and junctions of a layer lead: drive C: is `Files`, that of the utility VM is `UtilityVM/Files`.

Windows follows the substitute name, not the print name ([MS-FSCC] 2.1.2.4, 2.1.2.5):

    \??\C:\Windows\x    from the root of the drive; `\\?\C:\` and `C:\` are taken for it
    \Windows\x          a relative symlink's, from the root of the volume that it is on
    ..\x                a relative symlink's, from the directory that the link is in
    \??\UNC\..., \??\Volume{...}\..., \??\D:\...   out of the layer

`..` takes away the name before it, whatever that is, as Windows does. A junction must be
absolute.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import LayerError
from ..win32.names import upcase
from ..win32.reparse import (
    IO_REPARSE_TAG_MOUNT_POINT,
    IO_REPARSE_TAG_SYMLINK,
    ReparseLink,
    decode,
    reparse_tag,
    tag_name,
)
from .rules import FILES, UTILITY_VM_FILES

__all__ = ["MOST_LINKS", "is_link", "link_of", "link_place"]

MOST_LINKS: Final = 63  # reparse points on one path, as Windows allows

_LINKS: Final = (IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT)
_TAG: Final = 4  # bytes of a tag
_RELATIVE: Final = 1  # SYMLINK_FLAG_RELATIVE
_DRIVE_C: Final = re.compile(r"(?:\\\?\?\\|\\\\[?.]\\|\\DosDevices\\|\\GLOBAL\?\?\\)?C:(?=[\\/]|\Z)", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"[\\/]{2}|\\\?\?\\|[A-Za-z]:|\\DosDevices\\|\\GLOBAL\?\?\\", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r"[\\/]")


def is_link(reparse_data: bytes | None) -> bool:
    """Is it the reparse buffer of a symlink or junction, though perhaps a malformed one? link_of() knows."""
    return reparse_data is not None and len(reparse_data) >= _TAG and reparse_tag(reparse_data) in _LINKS


def link_of(reparse_data: bytes | None) -> ReparseLink | None:
    """The symlink or junction in a reparse buffer; None for any other, and for none. Raises ReparseError."""
    found = None if reparse_data is None else decode(reparse_data)
    return None if isinstance(found, int) else found


def link_place(path: str, link: ReparseLink) -> str:
    """The path in the layer that the link at `path` leads to, spelled as the link does.

    Raises LayerError, which names the target, for one that is not on the link's own volume.
    """
    volume = UTILITY_VM_FILES if _is_on(path, UTILITY_VM_FILES) else FILES
    target = link.substitute_name
    drive = _DRIVE_C.match(target)
    parts: list[str] = []
    if drive is not None:
        target = target[drive.end() :]
    elif _ABSOLUTE.match(target) or not target:
        raise _leaves(path, link, "leads out of drive C: of the layer" if target else "leads nowhere")
    elif link.tag == IO_REPARSE_TAG_MOUNT_POINT or not link.flags & _RELATIVE:
        raise _leaves(path, link, "is not absolute, so that Windows does not follow it")
    elif not _is_on(path, volume):
        raise _leaves(path, link, "is on no volume")
    elif target[0] not in "\\/":
        parts = path[len(volume) + 1 :].split("/")[:-1]
    for part in _SEPARATOR.split(target):
        if part == "..":
            if not parts:
                raise _leaves(path, link, "leads above the root of its volume")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join((volume, *parts))


def _is_on(path: str, volume: str) -> bool:
    return upcase(f"{path}/").startswith(upcase(f"{volume}/"))


def _leaves(path: str, link: ReparseLink, why: str) -> LayerError:
    kind = "junction" if link.tag == IO_REPARSE_TAG_MOUNT_POINT else tag_name(link.tag).lower()
    return LayerError(
        f"a {kind} that {why}",
        path=path,
        expected="a target below drive C:",
        got=link.substitute_name or "nothing",
        hint="name what it stands for by its own path",
    )
