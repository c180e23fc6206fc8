"""Where a symlink or junction of a layer leads: into the layer, out of the container, or nowhere.

Windows resolves the substitute name ([MS-FSCC] 2.1.2.4 and 2.1.2.5): a path of the
object manager (`\\??\\C:\\Windows`), or, of a symlink with the relative flag, one that
begins in the link's own directory, or with a `\\` at the root of its volume. In a
container the volume of `Files` is drive C:, and in a utility VM that of
`UtilityVM/Files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..union.rules import FILES, UTILITY_VM_FILES
from ..win32.reparse import IO_REPARSE_TAG_MOUNT_POINT, ReparseLink

__all__ = ["LinkTarget", "link_leads"]

_OBJECT: Final = "\\??\\"  # the directory of DOS devices
_UNC: Final = "UNC\\"
_VOLUME: Final = "VOLUME{"
_RELATIVE: Final = 1  # SYMLINK_FLAG_RELATIVE


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """Where a link leads: to `path` in the layer, None where it leads out of it.

    leaves: where to instead, a noun phrase. with_files: does it begin with the layer's own folder, `Files\\`, as if it
    were a path of the tar? pathless: a junction that is no absolute path, which Windows cannot follow.
    """

    path: str | None = None
    leaves: str | None = None
    with_files: bool = False
    pathless: bool = False


def link_leads(path: str, link: ReparseLink) -> LinkTarget:
    """Where the link at `path` of the layer leads."""
    volume = UTILITY_VM_FILES if path.startswith(f"{UTILITY_VM_FILES}/") else FILES
    name = link.substitute_name
    if link.flags & _RELATIVE:
        if name.startswith(_OBJECT):
            # hcsshim writes the print name alone, and reads this as a path of the volume.
            return LinkTarget(leaves=f"the object {name}")
        above = [] if name.startswith("\\") else path[len(volume) + 1 :].split("/")[:-1]
        found = _inside(volume, above, name)
        # In the tar the target may have slashes, which are backslashes by now.
        return LinkTarget(found.path, found.leaves, with_files=name.startswith("Files\\"))
    if not name.startswith(_OBJECT):
        if link.tag == IO_REPARSE_TAG_MOUNT_POINT and not name.startswith("\\"):
            return LinkTarget(pathless=True, with_files=name.startswith("Files\\"))
        return LinkTarget(leaves=f"the object {name}")
    rest = name[len(_OBJECT) :]
    start = rest[: len(_VOLUME)].upper()
    if start.startswith(_UNC):
        return LinkTarget(leaves="another computer")
    if start == _VOLUME:
        return LinkTarget(leaves="a volume of the host, by its GUID")
    if rest[1:2] != ":" or not (rest[0].isascii() and rest[0].isalpha()):
        return LinkTarget(leaves=f"the device {rest.partition(chr(92))[0]}")
    if rest[0] not in "Cc":
        return LinkTarget(leaves=f"drive {rest[0].upper()}:")
    return _inside(volume, [], rest[2:])


def _inside(volume: str, above: list[str], name: str) -> LinkTarget:
    """The target `name`, resolved in the directory `above` of the volume."""
    parts = list(above)
    for part in name.split("\\"):
        if part == "..":
            if not parts:
                return LinkTarget(leaves="above the root of the drive")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return LinkTarget("/".join((volume, *parts)))
