"""The vectors: where they are, which keys they have, and one shape for all of them.

Large bytes are `NAME_zb64` in place of `NAME_hex`, and Go writes an empty list as null. `load` gives `NAME_hex` and
lists only. A key that is not in SHAPES is an error: what it says would be compared with nothing.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER = Path(os.environ.get("WCLAYER_VECTORS") or Path(__file__).parents[1] / "data" / "vectors")

Vector = dict[str, Any]

_TIMES: Final = "creation access write change"
# What hcsshim's import passed on for an entry: its backup stream is cut where it is long, its digest is of all of it.
_IMPORTED: Final = (
    f"name name_hex attributes {_TIMES} link link_hex target target_hex whiteout whiteout_hex"
    " stream_hex stream_sha256 stream_size tar_size typeflag"
)
# A header of Go's archive/tar. Times are [seconds, nanoseconds].
_HEADER: Final = (
    "name name_hex linkname linkname_hex typeflag format size mode mtime atime ctime pax{}"
    " uid gid uname gname devmajor devminor"
)
_EA: Final = "name name_hex value_hex flags"

# Kind -> path of the object -> its keys. `[]` ends the key of a list of objects, `{}` that of a map with any keys.
SHAPES: Final[dict[str, dict[str, str]]] = {
    "bak2tar": {
        "": "id note error files[] reverse tar_sha256 tar_size tar_zb64",
        "files": f"name name_hex attributes {_TIMES} stream_hex size seekable link whiteout file_id",
        "reverse": "error total entries[]",
        "reverse.entries": _IMPORTED,
    },
    "tar2bak": {
        "": "id note error parse_error write_error cut total headers[] parsed[] entries[] tar_sha256 tar_size tar_zb64",
        "headers": f"{_HEADER} data_hex",
        "parsed": f"{_HEADER} raw_name raw_name_hex data_len data_sha256",
        "entries": _IMPORTED,
    },
    "tarwriter": {"": "id note error header tar_size tar_zb64", "header": _HEADER},
    "time": {
        "": "note filetime_to_pax[] paxtime_to_filetime[] unix_to_filetime[]",
        "filetime_to_pax": "note error ft ns sec nsec pax",
        "paxtime_to_filetime": "note error text ft",
        "unix_to_filetime": "note error sec nsec ft unixnano",
    },
    "reparse": {
        "": "note decode[] encode[]",
        "decode": "note error hex text mount",
        "encode": "note error target mount hex back back_error",
    },
    "ea": {
        "": "note decode[] encode[]",
        "decode": "note error hex eas[]",
        "decode.eas": _EA,
        "encode": "note error hex eas[]",
        "encode.eas": _EA,
    },
    "backupstream": {
        "": "note read[] write[]",
        "read": "note error hex streams[]",
        "read.streams": "id attributes name name_hex offset size read sha256",
        "write": "note error hex streams[]",
        "write.streams": "ID Attributes Name Offset Size data_hex",
    },
    "sddl": {
        "": "note sddl2sd[] sd2sddl[]",
        "sddl2sd": "note text error hex back back_error",
        "sd2sddl": "note error hex text",
    },
    "vmcompute": {
        "": "name note command fail exit output calls[] transport_folder",
        "calls": "call path name id folder hr result os_major os_minor info{} parents[] parent length buffer",
        "calls.parents": "guid_bytes flags path",
    },
}


@lru_cache
def load(name: str) -> Any:
    """The vectors of one kind. A folder without them, an empty file or an unknown key is an error."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert found, f"no vectors in {name}.json"
    return shaped(name, found)


def shaped(kind: str, found: Any, path: str = "") -> Any:
    """Bring vectors of a kind, or their part at `path`, into one shape; unknown keys raise ValueError."""
    if isinstance(found, list):
        return [shaped(kind, item, path) for item in found]
    shapes = SHAPES[kind]
    keys = {key.rstrip("[]{}"): key for key in shapes[path].split()}
    result: Vector = {}
    for key, value in found.items():
        name = key if key == "tar_zb64" else key.replace("zb64", "hex")
        if name not in keys:
            where = found.get("id") or found.get("note") or found.get("name") or ""
            raise ValueError(f"{kind}.json: unknown key {path}{'.' if path else ''}{key} ({where})")
        inner = f"{path}.{name}".removeprefix(".")
        if name != key:
            result[name] = unzb64(value).hex()
        elif keys[name].endswith(("[]", "{}")):
            empty: Any = [] if keys[name].endswith("[]") else {}
            result[name] = shaped(kind, value or empty, inner) if inner in shapes else value or empty
        elif inner in shapes and value is not None:
            result[name] = shaped(kind, value, inner)
        elif f"{name.removesuffix('hex')}zb64" not in found:  # hexadecimal beside it is cut
            result[name] = value
    return result


def cases(name: str, part: str | None = None) -> pytest.MarkDecorator:
    """The mark that runs a test with each vector of a kind, or of a part of it."""
    found = load(name)
    vectors = found[part] if part else found
    assert vectors
    ids = [str(v.get("id") or v.get("note") or number).replace(" ", "-") for number, v in enumerate(vectors)]
    return pytest.mark.parametrize("vector", vectors, ids=ids)


def unzb64(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def vector_bytes(vector: Vector) -> bytes:
    """The bytes that a vector of a codec is about."""
    return bytes.fromhex(vector.get("hex") or "")
