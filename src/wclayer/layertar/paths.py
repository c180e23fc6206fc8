"""Paths in a tar as paths in a layer: relative, with `/`, and never out of the layer."""

from __future__ import annotations

from typing import Final

from ..codes import Code
from ..errors import ConfinementError, FormatError, InvalidNameError
from ..win32.names import check_component, check_path_length, decode_wtf8

__all__ = ["WHITEOUT_PREFIX", "layer_path"]

WHITEOUT_PREFIX: Final = ".wh."  # as in every OCI layer; hcsshim deletes the name that follows it


def layer_path(name: bytes, what: str, offset: int) -> str:
    """Turn `name` into the path of an entry: without leading `./` and trailing `/`; "" for the layer's root.

    what: names the path in errors ("an entry"). offset: the member's place in the tar.

    A `:` in the last component separates a stream's name, which is not checked here. Raises ConfinementError for a
    path that leaves the layer, InvalidNameError for a component that NTFS cannot hold.
    """
    try:
        path = decode_wtf8(name)
    except FormatError as error:
        error.at(name.decode("utf-8", "backslashreplace"), offset)
        raise
    if path[:1] == "." or path[-1:] == "/":  # few paths, so the others skip the loop
        while path.startswith("./"):
            path = path[2:].lstrip("/") if path != "./" else ""
        path = "" if path == "." else path.rstrip("/") or path[:1]
    if not path:
        if name:
            return ""
        raise InvalidNameError(f"{what} without a name", path="", offset=offset, rule=Code.NAME_IMPOSSIBLE)
    components = path.split("/")
    # `C:/x`, `C:\x` and `C:` are paths on a drive; `C:x` could be one too, but here it is a stream of the file `C`.
    drive = components[0][1:2] == ":" and (len(components) > 1 or path[2:3] in ("", "\\"))
    if not components[0] or ".." in components or drive:
        raise ConfinementError(
            f"{what} that leaves the layer",
            path=path,
            offset=offset,
            expected="a relative path without `..` and without a drive",
            hint="the tar was not made for Windows layers: paths begin with Files/",
            rule=Code.LEAVES_LAYER,
        )
    last = components[-1]
    if ":" in last:
        components[-1] = last.partition(":")[0]
    try:
        check_path_length(path)
        for component in components:
            check_component(component)
    except FormatError as error:
        error.at(path, offset)
        raise
    return path
