r"""Where the symlinks and junctions of a layer lead, for all commands: the volume of `Files` is drive C:.

In a utility VM drive C: is `UtilityVM/Files`. Windows follows the substitute name, not the
print name ([MS-FSCC] 2.1.2.4 and 2.1.2.5):

    ..\x, x             of a symlink with SYMLINK_FLAG_RELATIVE: from the directory that the link is in
    \Windows\x          of the same: from the root of the volume that the link is on
    \??\C:\Windows\x    of a junction, or a symlink without the flag: a path of the object manager

`\DosDevices` and `\GLOBAL??` are other names of `\??` in the object manager. They mean nothing in a
relative symlink, which the I/O manager appends to a path of the volume; neither does `\??` there,
though tars with such targets exist. `\??\C:x` is not a path on C: (Win32 knows a current directory of
a drive, the kernel does not) but a device called `C:x`.

A substitute name may have `.` and `..` ([MS-FSCC] 2.1.2.4). `..` takes away the name before it, whatever
that is. Win32 stays at the root where a path that a program gives has too many; a reparse buffer is
read by the kernel, and no specification lets it do the same. So such a link is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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

__all__ = ["MOST_LINKS", "LinkTarget", "follow_link", "is_link", "link_of", "resolve_link"]

MOST_LINKS: Final = 63
"""Reparse points on one path: the limit of Windows ("Reparse Points" in the Win32 documentation).

Windows may stop earlier, at 31, where targets are fully qualified paths.
"""

_LINKS: Final = (IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT)
_TAG: Final = 4  # bytes of a tag
_RELATIVE: Final = 1  # SYMLINK_FLAG_RELATIVE
_DEVICES: Final = re.compile(r"\\(?:\?\?|DosDevices|GLOBAL\?\?)\\", re.IGNORECASE)
_NOT_RELATIVE: Final = re.compile(rf"{_DEVICES.pattern}|\\\\|[A-Za-z]:", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r"[\\/]")
_ABOVE_ROOT: Final = "above the root of the drive"


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """Where a link leads: to `path` in the layer, or None if it does not lead into the layer.

    leaves: where it leads instead, a noun phrase; None if Windows cannot follow it at all. with_files: does it begin
    with the layer's own folder, `Files\\`, as if it were a path of the tar? pathless: a junction whose target is not an
    absolute path.
    """

    path: str | None = None
    leaves: str | None = None
    with_files: bool = False
    pathless: bool = False


def is_link(reparse_data: bytes | None) -> bool:
    """Is it the reparse buffer of a symlink or junction? It may be malformed: only link_of() checks that."""
    return reparse_data is not None and len(reparse_data) >= _TAG and reparse_tag(reparse_data) in _LINKS


def link_of(reparse_data: bytes | None) -> ReparseLink | None:
    """The symlink or junction in a reparse buffer; None for any other tag, and for None. Raises ReparseError."""
    found = None if reparse_data is None else decode(reparse_data)
    return None if isinstance(found, int) else found


def resolve_link(path: str, link: ReparseLink) -> LinkTarget:
    """Where the link at `path` of a layer leads; other links on the way to its target are not followed."""
    volume = UTILITY_VM_FILES if _is_on(path, UTILITY_VM_FILES) else FILES
    name = link.substitute_name
    with_files = name.startswith(f"{FILES}\\")
    if link.flags & _RELATIVE and link.tag != IO_REPARSE_TAG_MOUNT_POINT:
        if _NOT_RELATIVE.match(name):
            return LinkTarget(leaves=f"the object {name}")
        if not name or not _is_on(path, volume):
            return LinkTarget()
        directory = [] if name[0] in "\\/" else path[len(volume) + 1 :].split("/")[:-1]
        return _inside(volume, directory, name, with_files=with_files)
    devices = _DEVICES.match(name)
    if devices is None:
        if link.tag == IO_REPARSE_TAG_MOUNT_POINT and not name.startswith("\\"):
            return LinkTarget(pathless=True, with_files=with_files)
        return LinkTarget(leaves=f"the object {name}")
    device, _, rest = name[devices.end() :].replace("/", "\\").partition("\\")
    if upcase(device) == "C:":
        return _inside(volume, [], rest)
    return LinkTarget(leaves=_device_phrase(device))


def follow_link(path: str, link: ReparseLink) -> str:
    """The path in the layer that the link at `path` leads to, spelled as the link spells it.

    Raises LayerError, which names the target, for a link that leads out of its volume or that Windows cannot follow.
    """
    target = resolve_link(path, link)
    if target.path is not None:
        return target.path
    if target.leaves == _ABOVE_ROOT:
        why = "leads above the root of its volume"
    elif target.leaves is not None:
        why = f"leads out of drive C: of the layer, to {target.leaves}"
    elif not link.substitute_name:
        why = "leads nowhere"
    elif target.pathless:
        why = "is not absolute, so that Windows does not follow it"
    else:
        why = "is on no volume"
    kind = "junction" if link.tag == IO_REPARSE_TAG_MOUNT_POINT else tag_name(link.tag).lower()
    raise LayerError(
        f"a {kind} that {why}",
        path=path,
        expected="a target below drive C:",
        got=link.substitute_name or "nothing",
        hint="use the path of what it stands for",
    )


def _inside(volume: str, directory: list[str], name: str, *, with_files: bool = False) -> LinkTarget:
    """The target `name`, resolved in a directory of the volume."""
    parts = list(directory)
    for part in _SEPARATOR.split(name):
        if part == "..":
            if not parts:
                return LinkTarget(leaves=_ABOVE_ROOT, with_files=with_files)
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return LinkTarget("/".join((volume, *parts)), with_files=with_files)


def _device_phrase(device: str) -> str:
    if upcase(device) == "UNC":
        return "another computer"
    if upcase(device).startswith("VOLUME{"):
        return "a volume of the host, by its GUID"
    if len(device) == 2 and device[1] == ":" and device[0].isascii() and device[0].isalpha():
        return f"drive {device[0].upper()}:"
    return f"the device {device}"


def _is_on(path: str, volume: str) -> bool:
    return upcase(f"{path}/").startswith(upcase(f"{volume}/"))
