"""Which inputs wclayer treats in another way than hcsshim, and why: decided from a vector itself, never by its id.

Other vectors of the same kinds are run through these rules too (WCLAYER_VECTORS).
"""

from __future__ import annotations

import posixpath
import re
from fractions import Fraction
from typing import Any

from tests.conformance import model as m
from tests.conformance.vectors import Vector, unzb64
from wclayer.errors import InvalidNameError, SddlError
from wclayer.win32.names import decode_wtf8, encode_wtf8
from wclayer.win32.sddl import parse_sddl

TIMES = ("creation", "access", "write", "change")
_UINT16 = 0xFFFF
_LONG = re.compile(r"\(\d+ chars, see the tar\)")


def go_time(value: Any) -> int | None:
    """A Go time of a vector, [seconds, nanoseconds], as a FILETIME; what is finer than 100 ns is not compared."""
    return None if not value else m.EPOCH + (value[0] * 10**9 + value[1]) // 100


def raw_bytes(item: Vector, key: str) -> bytes:
    """A name: `KEY_hex` where it is not UTF-8, else `KEY`."""
    return bytes.fromhex(item[f"{key}_hex"]) if f"{key}_hex" in item else str(item.get(key) or "").encode()


def vector_name(item: Vector, key: str = "name") -> bytes:
    """A path of hcsshim's as one in a layer; a leading ./ is the tar's framing."""
    return raw_bytes(item, key).replace(b"\\", b"/").rstrip(b"/").removeprefix(b"./")


# --- tars: tar2bak.json ----------------------------------------------------------------


def confined(name: str) -> bool:
    parts = name.removeprefix("./").rstrip("/").split("/")
    drive = len(parts) > 1 and parts[0][1:2] == ":"
    return not (drive or "\\" in name or "\0" in name or {"", ".", ".."} & set(parts))


def is_root(name: str) -> bool:
    """`./` and its like, which belong to the framing: we skip them."""
    return name != "" and not name.startswith("/") and set(name.split("/")) <= {"", "."}


def is_unicode(name: bytes) -> bool:
    try:
        name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def full_headers(vector: Vector) -> list[Vector]:
    """The headers of a vector; long texts, which it gives as `(N chars, see the tar)`, as they are in the tar."""
    headers: list[Vector] = vector["headers"]
    if not any(_LONG.fullmatch(text) for header in headers for text in (header["name"], header.get("linkname") or "")):
        return headers
    members = iter(m.read_tar(unzb64(vector["tar_zb64"])))
    result: list[Vector] = []
    for header in headers:
        if header.get("typeflag") != "g":
            info = next(members).info
            header = {**header, "name": info.name, "linkname": info.linkname}  # noqa: PLW2901
        result.append(header)
    return result


def must_refuse(vector: Vector) -> str | None:
    """Why we refuse on purpose a tar that hcsshim takes; None if we do not."""
    owner: str | None = None
    for header in full_headers(vector):
        name, typeflag = header["name"], header.get("typeflag") or "0"
        base = name.rstrip("/").rpartition("/")[2]
        if typeflag == "g" or is_root(name):
            continue
        if "name_hex" in header and not is_unicode(bytes.fromhex(header["name_hex"])):
            return "a name that no file can have"
        if not confined(name):
            return "a path that leaves the layer, or is none"
        if typeflag not in "\x000125":
            return "data that hcsshim drops by type"
        if base.startswith(".wh."):
            owner = None
            if base in (".wh.", ".wh..", ".wh...") or ":" in base:
                return "a whiteout of the parent, or of a stream"
            if header.get("size"):
                return "a whiteout whose data hcsshim drops"
            continue
        if typeflag == "1" and (not confined(header.get("linkname", "")) or ":" in header["linkname"]):
            return "a link out of the layer, or to a stream"
        if ":" in base:
            stream = base.partition(":")[2].removesuffix(":$DATA")
            if typeflag != "0" or name.removeprefix("./").partition(":")[0] != owner:
                return "a stream that follows no owner, which hcsshim takes for a file"
            if stream in ("", ".", "..") or ":" in stream:
                return "a stream of no name, or of another type than NTFS has"
        if ":" not in base:
            owner = name.removeprefix("./").rstrip("/") if typeflag != "1" else None
            if name.endswith("/") and typeflag == "0":
                return "a file whose name ends in a slash"
        if any(time is not None and not 0 <= time < 1 << 64 for time in header_times(header)):
            return "a time that no FILETIME can hold, which hcsshim wraps"
    tar = unzb64(vector["tar_zb64"])
    if len(tar) % 512:
        return "an archive cut inside the padding of its last file, which hcsshim takes for whole"
    if any(header.get("typeflag") == "2" for header in vector["headers"]) and links_wrap(tar):
        return "a link target too long for 16-bit lengths, which hcsshim wraps"
    return None


def links_wrap(tar: bytes) -> bool:
    """Has a tar a symlink whose reparse buffer has lengths of more than 16 bits, which is not in WCLAYER.reparse?"""
    return any(
        read.info.issym()
        and b"WCLAYER.reparse" not in read.records
        and m.link_data_size(read.info.linkname.replace("/", "\\"), b"MSWINDOWS.mountpoint" in read.records) > _UINT16
        for read in m.read_tar(tar)
    )


def header_times(header: Vector) -> list[int | None]:
    """The times of a header as exact FILETIMEs, in range or not."""
    times = [go_time(header.get(key)) for key in ("mtime", "atime", "ctime")]
    creation = (header.get("pax") or {}).get("LIBARCHIVE.creationtime")
    plain = re.fullmatch(r"[+-]?\d+(\.\d*)?", creation or "", re.ASCII)
    return [*times, m.EPOCH + int(Fraction(creation.rstrip(".")) * 10**7) if creation and plain else None]


def with_globals(expected: Vector, vector: Vector) -> Vector:
    """What hcsshim makes of an entry, with the global headers before it, which it does not honour."""
    common: dict[str, str] = {}
    for header in vector["headers"]:
        own = header.get("pax") or {}
        if header.get("typeflag") == "g":
            common |= own
        elif expected.get("name", "").replace("\\", "/") == header["name"]:
            common = {key: value for key, value in common.items() if key not in own}
            break
    changed = dict(expected)
    times = {"LIBARCHIVE.creationtime": "creation", "atime": "access", "mtime": "write", "ctime": "change"}
    for key, value in common.items():
        if key == "MSWINDOWS.fileattr":
            changed["attributes"] = int(value)
        elif key in times:
            changed[times[key]] = m.EPOCH + int(Fraction(value) * 10**7)
    if "mtime" in common and "LIBARCHIVE.creationtime" not in common:
        changed["creation"] = changed["write"]
    return changed


def old_sddl_unreadable(vector: Vector) -> bool:
    """Is there SDDL that Wine takes and Windows would not? `test_sddl` has the rules."""
    for header in vector["headers"]:
        pax = header.get("pax") or {}
        if "MSWINDOWS.sd" in pax and "MSWINDOWS.rawsd" not in pax:
            try:
                parse_sddl(pax["MSWINDOWS.sd"])
            except SddlError:
                return True
    return False


# --- files with backup streams: bak2tar.json ----------------------------------------------


def file_name(file: Vector) -> str:
    return decode_wtf8(raw_bytes(file, "name").replace(b"\\", b"/"))


def bad_name(file: Vector) -> bool:
    """A name that no NTFS directory has, or that import would take for something else."""
    try:
        name = file_name(file)
    except InvalidNameError:  # not Unicode
        return True
    base = name.rpartition("/")[2]
    parts = name.split("/")
    return (
        not base
        or "\0" in name
        or ":" in base
        or ".." in parts
        or "." in parts
        or (not file.get("whiteout") and base.startswith(".wh."))
    )


def malformed(file: Vector) -> bool:
    """Is the stream none that an NTFS object could have given, or of another size than the file system reports?"""
    if "stream_hex" not in file:
        return False
    try:
        model = m.parse_backup(bytes.fromhex(file["stream_hex"]))
    except m.MalformedError:
        return True
    buffer = model.small.get(8)
    if buffer is not None and m.link_lies_outside(buffer):
        return True
    directory = bool(file["attributes"] & 0x10)
    size = len(model.data or b"")
    if directory:
        return model.data is not None  # BackupRead gives none; hcsshim sets a mode bit for it
    return bool(file.get("size", size) != size)


def unspeakable(file: Vector) -> bool:
    """An extended attribute whose name PAX cannot hold."""
    if "stream_hex" not in file or malformed(file):
        return False
    model = m.parse_backup(bytes.fromhex(file["stream_hex"]))
    return any(b"=" in name or b"\0" in name for name in model.eas)


def refused(file: Vector) -> bool:
    """Do we refuse to export the file?"""
    return bad_name(file) or malformed(file) or unspeakable(file)


def bad_files(vector: Vector) -> bool:
    """Does the vector have what we refuse, or what hcsshim does?"""
    return bool(vector["error"]) or any(map(refused, vector["files"]))


def written_name(file: Vector) -> bytes:
    """The name that hcsshim writes: Go cleans the directory of a whiteout's path."""
    name = file_name(file)
    if file.get("whiteout"):
        directory = posixpath.normpath(name.rpartition("/")[0])
        name = f"{directory}/.wh.{name.rstrip('/').rpartition('/')[2]}"
    return encode_wtf8(name)


def seekless(files: list[Vector]) -> bool:
    """Was a file read through a reader that cannot seek? Then go-winio loses what follows the data."""
    return any(file.get("seekable") is False for file in files)
