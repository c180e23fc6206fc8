"""Where paths with symlinks and junctions lead, by the rules of Windows: a model that knows nothing of src.

A tree is a dictionary of paths on drive C:, in upper case as a tuple of names: "directory", "file", or a link: its kind
("relative" and "absolute" symlinks, "junction") and substitute name. In ASCII, so upper() is NTFS's upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

Names: TypeAlias = tuple[str, ...]
Link: TypeAlias = tuple[str, str]
Tree: TypeAlias = Mapping[Names, "str | Link"]

MOST_LINKS: Final = 63
DEVICES: Final = ("\\??\\", "\\DOSDEVICES\\", "\\GLOBAL??\\")


def up(names: Names) -> Names:
    return tuple(name.upper() for name in names)


def target(at: Names, link: Link) -> Names | None:
    """What the link at a path leads to; None for a link that Windows cannot follow on drive C:."""
    kind, name = link
    here = list(at[:-1]) if kind == "relative" and name[:1] != "\\" else []
    if kind == "relative":
        if name.upper().startswith((*DEVICES, "\\\\")) or name[1:2] == ":" or not name:
            return None
    else:
        device = next((one for one in DEVICES if name.upper().startswith(one)), None)
        if device is None or name[len(device) :].partition("\\")[0].upper() != "C:":
            return None
        name = name[len(device) + 2 :]
    for part in name.split("\\"):
        if part == ".." and not here:
            return None
        if part == "..":
            here.pop()
        elif part not in ("", "."):
            here.append(part)
    return tuple(here)


def reach(tree: Tree, path: Names) -> tuple[str, Names]:
    """What is at a path, "directory", "file", "missing" or "refused", and where, if it is there."""
    followed = at = 0
    while at < len(path):
        found = tree.get(up(path[: at + 1]), "missing")
        at += 1
        if isinstance(found, tuple):
            further = target(path[:at], found)
            followed += 1
            if further is None or followed > MOST_LINKS:
                return "refused", ()
            path, at = further + path[at:], 0
        elif found == "missing" or (found == "file" and at < len(path)):
            return "missing", ()
    return str(tree[up(path)]) if path else "directory", path
