"""The vectors through transport folders: what hcsshim writes and reads lives there unchanged, or is refused by rule."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.rules import bad_name, file_name, malformed
from tests.conformance.vectors import Vector, cases, unzb64
from tests.strategies import Item, items_of, tar_of
from wclayer import TransportFolder, export_layer_to_tar, import_layer_from_tar
from wclayer.entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import FormatError, InexpressibleError, WclayerError
from wclayer.layertar.writer import TarWriter
from wclayer.stores.folders import open_folder
from wclayer.stores.ntfs.backup import entries_from_backup
from wclayer.win32.names import encode_wtf8, upcase, win32_problem

TIMES: dict[str, Any] = {"creation_time": 1, "last_write_time": 1}


def cannot_live(entries: list[Entry]) -> str | None:
    """Why a layer cannot go through a transport folder, of what a layer folder takes; None if it can."""
    for entry in entries:
        root, _, below = entry.path.partition("/")
        if root == "UtilityVM":
            return "the utility VM does not go through it"
        if isinstance(entry, Whiteout):
            continue
        name = encode_wtf8(entry.path.rpartition("/")[2])
        if name.lower().endswith(b".$wcidirs$"):
            return "the name is that of a directory's metadata"
        if len(name) + (len(b".$wcidirs$") if isinstance(entry, Directory) else 0) > 255:
            return "the host has no names of this length, and none can stand for it"
        if root == "Hives" and below and (not isinstance(entry, File) or entry.reparse_data is not None):
            return "Hives holds plain files alone"
    return None


def below_files(tar: bytes) -> bytes:
    """A tar with `Files/` before those names of its members that are in no root of a layer; nothing else is changed."""
    data, position = bytearray(tar), 0
    while data[position : position + 512].strip(b"\0"):
        block = bytearray(data[position : position + 512])
        if block[156:157] not in b"xgLK":
            for start in (0, 157) if block[156:157] == b"1" else (0,):
                name = bytes(block[start : start + 100]).rstrip(b"\0")
                if name.partition(b"/")[0] not in (b"Files", b"Hives", b"UtilityVM", b".") and len(name) <= 94:
                    block[start : start + 100] = (b"Files/" + name).ljust(100, b"\0")
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
            data[position : position + 512] = block
        size = int(bytes(block[124:136]).rstrip(b"\0 ") or b"0", 8)
        position += 512 + -(-size // 512) * 512
    return bytes(data)


def as_layer(tar: bytes) -> tuple[bytes, bytes | None]:
    """A vector's tar with the directories that it leaves out before it, and the tar of a parent that it needs."""
    items = items_of(tar)
    there = {upcase(entry.path) for entry, _, _ in items if not isinstance(entry, AlternateStream | Whiteout)}
    output = io.BytesIO()
    writer = TarWriter(output)
    below: dict[str, Item] = {}
    made: set[str] = set()

    def directories(path: str, into: dict[str, Item] | None) -> None:
        parts = path.split("/")[:-1]
        for number in range(1, len(parts) + 1):
            above = "/".join(parts[:number])
            entry = Directory(above, **TIMES)
            if into is not None:
                into.setdefault(upcase(above), (entry, None, None))
            elif upcase(above) not in there | made:
                made.add(upcase(above))
                writer.add(entry)

    for entry, _, _ in items:
        directories(entry.path, None)
        if isinstance(entry, HardLink) and upcase(entry.target) not in there:
            directories(entry.target, below)
            below[upcase(entry.target)] = (File(entry.target, size=2, **TIMES), b"in", None)
    if "FILES" not in there | made:
        writer.add(Directory("Files", **TIMES))
    base = not below and not any(isinstance(e, Whiteout) or e.path.startswith("Hives") for e, _, _ in items)
    below.setdefault("FILES", (Directory("Files", **TIMES), None, None))
    return output.getvalue() + tar, None if base else tar_of(below.values())


def outcome(tar: bytes, place: Path | TransportFolder, parents: list[Path]) -> tuple[bytes, bytes] | type[WclayerError]:
    """What a folder gives in the original and in the canonical framing, or why it takes nothing."""
    try:
        import_layer_from_tar(io.BytesIO(tar), place, parents)
    except (FormatError, InexpressibleError) as error:
        return type(error)
    original, canonical = io.BytesIO(), io.BytesIO()
    export_layer_to_tar(place, original, framing="original")
    export_layer_to_tar(place, canonical, framing="canonical")
    return original.getvalue(), canonical.getvalue()


def holds(name: str) -> bool:
    """Can Windows, and wine's host, have a file of that name?"""
    return win32_problem(name) is None and name.isprintable()


LIVED: dict[str, int] = {}  # why, and how often: at the end, most must have


def through(tar: bytes, folder: Path) -> None:
    try:
        items_of(tar)  # which refuses what could not be taken apart below
        tar = below_files(tar)
        items = items_of(tar)
        tar, below = as_layer(tar)
    except (FormatError, InexpressibleError):
        LIVED["no layer tar"] = LIVED.get("no layer tar", 0) + 1
        return
    if os.name == "nt" and any(not holds(part) for entry, _, _ in items for part in entry.path.split("/")):
        LIVED["names that the host does not have"] = LIVED.get("names that the host does not have", 0) + 1
        return
    parents: list[Path] = []
    if below is not None:
        parents.append(folder / "below")
        import_layer_from_tar(io.BytesIO(below), parents[0])
    plain = outcome(tar, folder / "plain", parents)
    found = outcome(tar, TransportFolder(folder / "transport"), parents)
    reason = cannot_live([entry for entry, _, _ in items])
    if isinstance(plain, type):
        reason = f"no layer folder takes it: {plain.__name__}"
        assert found in (plain, InexpressibleError)
    elif reason is not None:
        assert found is InexpressibleError
    else:
        assert found == plain
        assert plain[0] == tar
    LIVED[reason or ""] = LIVED.get(reason or "", 0) + 1


@cases("tar2bak")
def test_what_import_takes(vector: Vector, tmp_path: Path) -> None:
    through(unzb64(vector["tar_zb64"]), tmp_path)


@cases("bak2tar")
def test_what_export_writes(vector: Vector, tmp_path: Path) -> None:
    if vector.get("tar_zb64"):
        through(unzb64(vector["tar_zb64"]), tmp_path)


def test_most_of_them_live_there() -> None:
    if sum(LIVED.values()) < 150:
        pytest.skip("only a part of this file was run")
    assert LIVED[""] > sum(LIVED.values()) / 2, LIVED


def without_times(entry: Entry) -> Entry:
    if not isinstance(entry, Directory | File):
        return entry
    return replace(entry, creation_time=None, last_access_time=None, last_write_time=None, change_time=None)


@cases("bak2tar")
def test_backup_streams_as_files(vector: Vector, tmp_path: Path) -> None:
    """The objects that hcsshim exported, as files of a folder that Windows might have made."""
    (tmp_path / "Files").mkdir()
    (tmp_path / "Files.$wcidirs$").write_bytes(b"\x10\0\0\0")
    for number, file in enumerate(vector["files"]):
        if "stream_hex" not in file or bad_name(file):
            continue
        data = bytes.fromhex(file["stream_hex"])
        path = f"Files/{number}"
        directory = bool(file["attributes"] & 0x10)
        if directory:
            (tmp_path / path).mkdir()
        stored = tmp_path / (f"{path}.$wcidirs$" if directory else path)
        stored.write_bytes(file["attributes"].to_bytes(4, "little") + data)
        with open_folder(TransportFolder(tmp_path)) as layer:
            if malformed({**file, "size": len(data)}) and malformed({k: v for k, v in file.items() if k != "size"}):
                with pytest.raises(FormatError):
                    list(layer.entries())
                os.unlink(stored)
                if directory:
                    (tmp_path / path).rmdir()
                continue
            none = (None, None, None, None)
            expected = [
                (entry, None if body is None else body.read())
                for entry, body in entries_from_backup(path, file["attributes"], none, io.BytesIO(data))
            ]
            found = [
                (without_times(entry), None if body is None else body.read())
                for entry, body in layer.entries()
                if entry.path == path
            ]
            assert [(entry, content or b"") for entry, content in found] == [
                (entry, content or b"") for entry, content in expected
            ], file_name(file)
