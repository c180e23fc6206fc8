"""What an ntfs-3g volume holds of an entry, and what that means beside the record; what ntfsinfo prints."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts import WINDOWS, posix_only
from tests.strategies import EAS, LINKS, TIMES, files
from wclayer.entry import Directory, ExtendedAttribute, File
from wclayer.errors import StorageError, UnsupportedError
from wclayer.stores.folder.body import PiecesBody, _allocated
from wclayer.stores.folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from wclayer.stores.ntfs.metadata import NtfsMetadata, entry_of
from wclayer.stores.ntfs3g.attributes import (
    NtfsFiles,
    _as_stat_says,
    _ea_list,
    _with_owner,
    get_attribute,
    has_changed,
    merged,
    unheld_attributes,
)
from wclayer.stores.ntfs3g.raw_volume import RawVolume, ShortName, _runs
from wclayer.stores.root.open_root import open_root
from wclayer.stores.root.root_posix import PosixRoot
from wclayer.win32.ea import parse_ea_list
from wclayer.win32.filetime import UNIX_EPOCH
from wclayer.win32.names import upcase
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.security import SecurityDescriptor

NTFSINFO = Path(__file__).parents[3] / "data/ntfsinfo"
# What ntfs_set_ntfs_attrib() of libntfs-3g's object.c lets us set: FILE_ATTR_SETTABLE, of directories COMPRESSED too.
SETTABLE, COMPRESSED = 0x1 | 0x2 | 0x4 | 0x20 | 0x100 | 0x1000 | 0x2000, 0x800
DIRECTORY, NORMAL, SPARSE, REPARSE = 0x10, 0x80, 0x200, 0x400
UNHELD = ("descriptor", "extended attributes", "reparse data", "object ID", "short name")

Object = Directory | File

# --- a model of the driver ------------------------------------------------------------------------------


def held(entry: Object, unheld: set[str], *, sparse: bool = False, now: int = 5) -> NtfsMetadata:
    """What the driver would hold of an entry, but for the fields `unheld`."""
    directory = isinstance(entry, Directory)
    attributes = entry.file_attributes & (SETTABLE | (COMPRESSED if directory else 0))
    attributes |= DIRECTORY if directory else 0
    attributes |= SPARSE if sparse and not directory else 0
    attributes |= REPARSE if entry.reparse_data is not None and "reparse data" not in unheld else 0
    write = entry.last_write_time
    some = next(
        (t for t in (write, entry.creation_time, entry.last_access_time, entry.change_time) if t is not None), now
    )
    times = [some if t is None else t for t in (entry.creation_time, entry.last_access_time, write)]
    default = DIRECTORY_DESCRIPTOR if directory else FILE_DESCRIPTOR
    object_id = None if entry.object_id is None else entry.object_id.ljust(64, b"\0")
    return NtfsMetadata(
        attributes or NORMAL,
        (times[0], times[1], times[2], now),
        default if "descriptor" in unheld else entry.security_descriptor or default,
        () if "extended attributes" in unheld else entry.extended_attributes,
        None if "reparse data" in unheld else entry.reparse_data,
        None if "object ID" in unheld else object_id,
        None if "short name" in unheld else entry.short_name,
    )


ATTRIBUTES = st.integers(0, (1 << 32) - 1) | st.sampled_from([0, NORMAL, 0x20, 0x420, 0x220, COMPRESSED, 0x80000000])


@st.composite
def objects(draw: st.DrawFn) -> Object:
    file, _, _ = draw(files("f"))
    assert isinstance(file, File)
    common = {
        field.name: getattr(file, field.name)
        for field in fields(Directory)
        if field.name not in ("path", "file_attributes")
    }
    common |= {
        "creation_time": draw(st.none() | TIMES),
        "last_write_time": draw(st.none() | TIMES),
        "object_id": draw(st.none() | st.binary(min_size=16, max_size=16) | st.binary(min_size=64, max_size=64)),
    }
    if draw(st.booleans()):
        return Directory("d", file_attributes=draw(ATTRIBUTES) | DIRECTORY, **common)
    return replace(file, file_attributes=draw(ATTRIBUTES) & ~DIRECTORY, **common)


SETS = st.sets(st.sampled_from(UNHELD))


@given(objects(), SETS, st.booleans())
def test_what_the_driver_holds_of_an_entry_is_that_entry(recorded: Object, unheld: set[str], sparse: bool) -> None:
    live = held(recorded, unheld, sparse=sparse)
    assert merged(recorded, live, unheld) is recorded
    assert merged(recorded, replace(live, times=(*live.times[:3], 77)), unheld) is recorded
    times = (recorded.creation_time, recorded.last_access_time, recorded.last_write_time, recorded.change_time)
    directory = isinstance(recorded, Directory)
    if not directory or recorded.last_write_time is not None:
        assert not has_changed(recorded.file_attributes, (live.attributes, live.times), times, directory=directory)
    # Any access time, and, for directories, any write time: it changes with what lies in them.
    live = replace(live, times=(live.times[0], 123, 456 if directory else live.times[2], live.times[3]))
    assert merged(recorded, live, unheld) is recorded


def only(recorded: Object, found: Object, live: NtfsMetadata, *names: str) -> None:
    """Only these fields are otherwise, and the access and change times the volume's."""
    expected = replace(recorded, last_access_time=live.times[1], change_time=live.times[3])
    for field in fields(recorded):
        if field.name not in names:
            assert getattr(found, field.name) == getattr(expected, field.name), field.name


def flipped(live: int, bit: int, *, directory: bool) -> int:
    """Live attributes with another bit, as the driver shows them."""
    bits = (live & ~NORMAL) ^ bit
    return bits or (0 if directory else NORMAL)


@given(objects(), SETS, st.data())
def test_a_change_of_attributes(recorded: Object, unheld: set[str], data: st.DataObject) -> None:
    live = held(recorded, unheld)
    directory = isinstance(recorded, Directory)
    mask = SETTABLE | (COMPRESSED if directory else 0)
    bit = 1 << data.draw(st.sampled_from([n for n in range(32) if mask >> n & 1]))
    changed = replace(live, attributes=flipped(live.attributes, bit, directory=directory))
    found = merged(recorded, changed, unheld)
    only(recorded, found, changed, "file_attributes")
    # What the driver holds is as on the volume; what it does not, as it was. NORMAL stands alone.
    assert found.file_attributes & mask == (recorded.file_attributes ^ bit) & mask
    kept = recorded.file_attributes & ~mask & ~NORMAL
    assert found.file_attributes & ~mask & ~NORMAL == kept
    assert bool(found.file_attributes & NORMAL) == (found.file_attributes == NORMAL)
    times = (recorded.creation_time, recorded.last_access_time, recorded.last_write_time, recorded.change_time)
    assert has_changed(recorded.file_attributes, (changed.attributes, live.times), times, directory=directory)


@pytest.mark.parametrize("bit", [0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x400000])
def test_attributes_that_windows_alone_sets(bit: int) -> None:
    """One that is new on the volume is Windows' doing; that one is not there is the driver's."""
    for recorded in (File("f", file_attributes=0x20), Directory("d", file_attributes=0x10)):
        live = held(recorded, set())
        found = merged(recorded, replace(live, attributes=live.attributes | bit), set())
        assert found.file_attributes == recorded.file_attributes | bit
        both = replace(recorded, file_attributes=recorded.file_attributes | bit)
        assert merged(both, held(both, set()), set()) is both
        assert merged(both, replace(held(both, set()), attributes=live.attributes | bit), set()) is both
        assert unheld_attributes(both) == bit
        assert unheld_attributes(recorded) == 0


def test_compressed_is_held_of_directories_alone() -> None:
    assert unheld_attributes(File("f", file_attributes=0x820)) == 0x800
    assert unheld_attributes(Directory("d", file_attributes=0x810)) == 0
    folder = Directory("d", file_attributes=0x810)
    assert merged(folder, replace(held(folder, set()), attributes=0x10), set()).file_attributes == 0x10
    file = File("f", file_attributes=0x820)
    assert merged(file, replace(held(file, set()), attributes=0x20), set()) is file
    assert merged(File("f"), replace(held(file, set()), attributes=0x820), set()).file_attributes == 0x820


@given(objects(), SETS, TIMES)
def test_a_change_of_the_creation_time(recorded: Object, unheld: set[str], time: int) -> None:
    live = held(recorded, unheld)
    changed = replace(live, times=(time, *live.times[1:]))
    found = merged(recorded, changed, unheld)
    if recorded.creation_time in (None, time):
        assert found is recorded
    else:
        only(recorded, found, changed, "creation_time")
        assert found.creation_time == time


@given(objects(), SETS, TIMES)
def test_a_change_of_the_write_time(recorded: Object, unheld: set[str], time: int) -> None:
    live = held(recorded, unheld)
    changed = replace(live, times=(*live.times[:2], time, 99))
    found = merged(recorded, changed, unheld)
    if isinstance(recorded, Directory) or recorded.last_write_time in (None, time):
        assert found is recorded
    else:
        only(recorded, found, changed, "last_write_time")
        assert found.last_write_time == time
        assert found.change_time == 99


@given(objects(), SETS, st.data())
def test_a_change_of_anything_else(recorded: Object, unheld: set[str], data: st.DataObject) -> None:
    live = held(recorded, unheld)
    choices: dict[str, tuple[str, str, st.SearchStrategy[Any]]] = {
        "descriptor": ("security_descriptor", "descriptor", st.binary(min_size=20, max_size=40)),
        "extended attributes": ("extended_attributes", "extended_attributes", EAS),
        "object ID": ("object_id", "object_id", st.none() | st.binary(min_size=64, max_size=64)),
        "short name": ("short_name", "short_name", st.text("ABC~1", min_size=1, max_size=8)),
    }
    kind = data.draw(st.sampled_from(sorted(choices)))
    name, field, values = choices[kind]
    value: Any = data.draw(values)
    changed = replace(live, **{field: value})
    found = merged(recorded, changed, unheld)
    same = value == getattr(live, field) or (kind == "short name" and value == upcase(recorded.short_name or ""))
    if same or (kind in unheld and kind != "short name"):
        assert found is recorded
    else:
        only(recorded, found, changed, name)
        assert getattr(found, name) == value


@given(objects(), SETS, st.none() | LINKS)
def test_a_change_of_the_reparse_data(recorded: Object, unheld: set[str], reparse: bytes | None) -> None:
    live = held(recorded, unheld)
    attributes = flipped(live.attributes & ~REPARSE, 0 if reparse is None else REPARSE, directory=False)
    changed = replace(live, attributes=attributes, reparse_data=reparse)
    found = merged(recorded, changed, unheld)
    if "reparse data" in unheld or reparse == recorded.reparse_data:
        assert found is recorded
    else:
        only(recorded, found, changed, "reparse_data", "file_attributes")
        assert found.reparse_data == reparse
        # The attribute is that of what it is now.
        assert bool(found.file_attributes & REPARSE) == (reparse is not None)
        others = ~REPARSE & ~NORMAL
        assert found.file_attributes & others == recorded.file_attributes & others
        assert found.file_attributes != 0 or isinstance(recorded, Directory)


def test_a_short_name_in_another_case_is_no_other() -> None:
    recorded = File("f", short_name="ÄB~1.x")
    live = held(recorded, set())
    assert merged(recorded, replace(live, short_name="äb~1.X"), set()) is recorded
    assert merged(recorded, replace(live, short_name=None), set()) is recorded  # a file with several names
    assert merged(recorded, replace(live, short_name="AB~1.X"), set()).short_name == "AB~1.X"


def test_a_descriptor_that_is_gone() -> None:
    recorded = File("f", security_descriptor=b"x")
    assert merged(recorded, replace(held(recorded, set()), descriptor=None), set()).security_descriptor is None
    # Of an entry without one the volume has the default.
    assert merged(File("f"), replace(held(File("f"), set()), descriptor=FILE_DESCRIPTOR), set()) == File("f")
    assert merged(File("f"), replace(held(File("f"), set()), descriptor=b"x"), set()).security_descriptor == b"x"


# --- without a record --------------------------------------------------------------------------------------


@given(objects(), st.integers(0, 1 << 40))
def test_an_entry_that_no_record_knows(entry: Object, size: int) -> None:
    live = held(entry, set())
    found = entry_of("a/b", live, size)
    assert found.path == "a/b"
    assert type(found) is type(entry)
    assert found.file_attributes == live.attributes
    times = (found.creation_time, found.last_access_time, found.last_write_time, found.change_time)
    assert times == live.times
    assert found.security_descriptor == live.descriptor
    assert found.extended_attributes == entry.extended_attributes
    assert found.reparse_data == entry.reparse_data
    assert found.object_id == live.object_id
    assert found.short_name == entry.short_name
    assert found.backup_streams == ()
    if isinstance(found, File):
        assert (found.size, found.data_stream) == (size, size > 0)
    assert merged(found, live, set()) is found


# --- values for the driver -----------------------------------------------------------------------------------


@given(EAS)
def test_the_list_of_extended_attributes_that_the_driver_wants(eas: tuple[ExtendedAttribute, ...]) -> None:
    data = _ea_list(File("f", extended_attributes=eas))
    if not eas:
        assert data is None
        return
    assert data is not None
    assert parse_ea_list(data) == eas
    # As ntfs_set_ntfs_ea() of libntfs-3g's ea.c checks it: each entry points to the next one, the last to the end.
    at = 0
    for _ in eas:
        following, _, name_size, value_size = struct.unpack_from("<IBBH", data, at)
        assert following >= 8 + name_size + 1 + value_size
        assert following % 4 == 0
        at += following
    assert at == len(data)


@pytest.mark.parametrize(
    ("ticks", "ns"),
    [(1, 100), (0, 0), (-1, 0), (-10_000_000, -(10**9)), (-15_000_000, -(10**9)), (-25_000_000, -2 * 10**9)],
)
def test_times_as_the_driver_gives_them_to_stat(ticks: int, ns: int) -> None:
    """Cut to whole seconds, towards zero, before 1970: ntfs-3g's ntfstime.h."""
    assert _as_stat_says(UNIX_EPOCH + ticks) == ns


def test_an_extended_attribute() -> None:
    file = File("f", extended_attributes=(ExtendedAttribute(b"A", b"v", 0x80), ExtendedAttribute(b"BC", b"", 0)))
    assert _ea_list(file) == bytes.fromhex("0c000000 80 01 0100 41 00 76 00  0c000000 00 02 0000 42 43 00 00")


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("D:(A;;FA;;;WD)", "O:BAG:SYD:(A;;FA;;;WD)"),
        ("O:SYD:(A;;FA;;;WD)", "O:SYG:SYD:(A;;FA;;;WD)"),
        ("G:BUD:P(D;OICI;FA;;;WD)", "O:BAG:BUD:P(D;OICI;FA;;;WD)"),
        ("O:SYG:BUD:(A;;FA;;;WD)S:(AU;FA;FA;;;WD)", "O:SYG:BUD:(A;;FA;;;WD)S:(AU;FA;FA;;;WD)"),
        ("", "O:BAG:SY"),
        ("D:", "O:BAG:SYD:"),
    ],
)
def test_an_owner_for_a_descriptor(given_: str, expected: str) -> None:
    data = parse_sddl(given_)
    for slack in (b"", b"\0" * 12):
        found = _with_owner(data + slack, FILE_DESCRIPTOR)
        assert found is not None
        assert format_sddl(found) == expected
        one, other = SecurityDescriptor.from_bytes(data), SecurityDescriptor.from_bytes(found)
        assert (one.control, one.dacl, one.sacl) == (other.control, other.dacl, other.sacl)
        assert _with_owner(found, FILE_DESCRIPTOR) == found


@given(st.binary(max_size=80))
def test_a_broken_descriptor_has_no_owner_to_be_given(data: bytes) -> None:
    found = _with_owner(data, DIRECTORY_DESCRIPTOR)
    if found is not None:
        descriptor = SecurityDescriptor.from_bytes(found)
        assert descriptor.owner is not None
        assert descriptor.group is not None


def test_broken_descriptors() -> None:
    for data in (b"", b"\1", FILE_DESCRIPTOR[:19], FILE_DESCRIPTOR[:-1], b"\2" + FILE_DESCRIPTOR[1:]):
        assert _with_owner(data, FILE_DESCRIPTOR) is None


# --- another file system ---------------------------------------------------------------------------------------


@posix_only("extended attributes")
def test_other_file_systems_have_no_such_attributes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    path = os.fsencode(tmp_path / "f")
    for name in (b"system.ntfs_times", b"system.ntfs_attrib", b"ntfs.streams.list", b"user.none"):
        assert get_attribute(path, name) is None
        with pytest.raises(OSError, match=r"not supported|No data"):
            get_attribute(path, name, frozenset())
    with pytest.raises(FileNotFoundError):
        get_attribute(path + b"none", b"user.none")
    root = PosixRoot(os.fsencode(tmp_path))
    try:
        ntfs = NtfsFiles(root)
        assert ntfs.get(b"f", b"system.ntfs_acl") is None
        assert ntfs.streams(b"f") == []
        for call in (
            lambda: ntfs.basics(b"f", root.lstat(b"f")),
            lambda: ntfs.attributes(b"f"),
            lambda: ntfs.live(b"f", root.lstat(b"f")),
            lambda: ntfs.set_attributes(b"f", 1),
        ):
            with pytest.raises(OSError, match="not supported"):
                call()
        assert "descriptor" not in os.listxattr(path)
    finally:
        root.close()


# --- what ntfsinfo prints ----------------------------------------------------------------------------------------


def printed(name: str) -> bytes:
    return (NTFSINFO / f"{name}.txt").read_bytes()


def runs(text: bytes, stream: bytes = b"") -> list[tuple[int, int, bool]]:
    return list(_runs(io.BytesIO(text), stream))


def test_runs() -> None:
    assert runs(printed("sparse")) == [
        (0, 0x100, True),
        (0x100, 2, False),
        (0x102, 0xFF, True),
        (0x201, 1, False),
        (0x202, 0xDB, True),
    ]
    assert runs(printed("sparse"), b"full") == [(0, 3, False)]
    assert runs(printed("sparse"), "ström".encode()) == [(0, 1, False), (1, 15, True), (16, 1, False)]
    assert runs(printed("sparse"), b"none") == []
    assert runs(printed("short")) == []  # in the record itself
    assert runs(printed("mft")) == []
    assert runs(b"") == []


def test_what_compression_saves_is_no_hole() -> None:
    assert b"<HOLE>" in printed("compressed")
    assert [run for run in runs(printed("compressed")) if run[2]] == []
    # Windows has files that are both.
    both = printed("compressed").replace(b"flags:\t 0x0001", b"flags:\t 0x8001")
    assert [run for run in runs(both) if run[2]] == []


def test_a_stream_with_a_name_of_several_lines() -> None:
    """Its runs are those of nobody else."""
    for name in (b"a\nb", b"\n", b"a'\n", b"\n'"):
        text = printed("sparse").replace("'ström'".encode(), b"'" + name + b"'")
        assert runs(text) == runs(printed("sparse"))
        assert runs(text, b"full") == [(0, 3, False)]
    text = printed("sparse").replace(b"'full'", b"'it's'")
    assert runs(text, b"it's") == [(0, 3, False)]


@pytest.fixture
def ntfsinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that prints what the real one has printed, by what it is asked for."""
    if WINDOWS:
        pytest.skip("programs of POSIX")
    program = tmp_path / "ntfsinfo"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --force ] || exit 9\nshift\n'
        f'[ "$1" = --mft ] && [ "$2" = /dev/none ] && exec cat {NTFSINFO}/mft.txt\n'
        'case "$1 $2 $4" in\n'
        f'"--verbose --inode /dev/none") [ $3 = 65 ] && exec cat {NTFSINFO}/sparse.txt\n'
        f"[ $3 = 66 ] && exec cat {NTFSINFO}/short.txt\n"
        f"[ $3 = 68 ] && exec cat {NTFSINFO}/compressed.txt;;\n"
        'esac\necho "first line" >&2\necho "Error loading node: No such file" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_allocated_ranges(ntfsinfo: None) -> None:
    volume = RawVolume(b"/dev/none")
    assert volume.extents(65, 3_000_000, "f") == ((0x100 * 4096, 2 * 4096), (0x201 * 4096, 4096))
    assert volume.extents(65, 65546, "f:s", "ström") == ((0, 4096), (65536, 10))
    assert volume.extents(65, 9000, "f:full", "full") is None
    assert volume.extents(66, 1, "f") is None
    assert volume.extents(68, 200_000, "f") is None
    # A file that has become shorter since.
    assert volume.extents(65, 0x101 * 4096 + 1, "f") == ((0x100 * 4096, 4097),)
    assert volume.extents(65, 5, "f") == ()


def test_the_short_name_of_a_file_with_several_names(ntfsinfo: None) -> None:
    volume = RawVolume(b"/dev/none")
    assert volume.short_name(66, "f") == ShortName("LONGNA~1.TEX", 64, "Long name ä.text".encode())
    assert volume.short_name(65, "f") is None


def test_ntfsinfo_fails(ntfsinfo: None) -> None:
    for call in (lambda: RawVolume(b"/dev/none").short_name(5, "f"), lambda: RawVolume(b"/x").extents(65, 1, "f")):
        with pytest.raises(StorageError, match="f: ntfsinfo cannot read it from the volume: Error loading node"):
            call()


def test_a_volume_on_no_known_device(ntfsinfo: None, tmp_path: Path) -> None:
    volume = RawVolume(None)
    (tmp_path / "ntfscat").symlink_to("ntfsinfo")
    for call in (
        lambda: volume.extents(65, 1, "f"),
        lambda: volume.short_name(65, "f"),
        lambda: next(volume.data(65, "f"), b""),
    ):
        with pytest.raises(UnsupportedError, match=r"f: ntfs-3g does not show all of this file; .* disk:IMAGE//DIR"):
            call()
    for name in ("ntfsinfo", "ntfscat"):
        (tmp_path / name).unlink()
    with pytest.raises(UnsupportedError, match="the program ntfsinfo is missing -- install ntfs-3g"):
        volume.short_name(65, "f")
    with pytest.raises(UnsupportedError, match="the program ntfscat is missing -- install ntfs-3g"):
        next(volume.data(65, "f"))


# --- a body in pieces --------------------------------------------------------------------------------------------


@st.composite
def pieces(draw: st.DrawFn) -> tuple[bytes, list[bytes], tuple[tuple[int, int], ...]]:
    content = bytes(n % 251 + 1 for n in range(draw(st.integers(0, 300))))
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    edges = sorted(draw(st.lists(st.integers(0, len(content)), unique=True, max_size=10)))
    return content, parts, tuple((a, b - a) for a, b in zip(edges[::2], edges[1::2], strict=False))


@given(pieces())
def test_what_lies_in_extents(made: tuple[bytes, list[bytes], tuple[tuple[int, int], ...]]) -> None:
    content, parts, extents = made
    expected = b"".join(content[offset : offset + length] for offset, length in extents)
    assert b"".join(_allocated(iter(parts), extents)) == expected


@given(pieces(), st.integers(1, 50))
def test_a_body(made: tuple[bytes, list[bytes], tuple[tuple[int, int], ...]], step: int) -> None:
    content, parts, extents = made
    parts = [part for part in parts if part]
    root = open_root(os.fsencode(os.getcwd()))
    try:
        whole = PiecesBody(root, b"f", len(content), None, (part for part in parts), "f")
        assert b"".join(iter(lambda: whole.read(step), b"")) == content
        holed = PiecesBody(root, b"f", len(content), extents, (part for part in parts), "f")
        expected = bytearray(len(content))
        for offset, length in extents:
            expected[offset : offset + length] = content[offset : offset + length]
        assert b"".join(iter(lambda: holed.read(step), b"")) == expected
        chunked = PiecesBody(root, b"f", len(content), extents, (part for part in parts), "f")
        found = bytearray(len(content))
        for offset, chunk in chunked.chunks():
            found[offset : offset + len(chunk)] = chunk
        assert found == expected
        for body in (whole, holed, chunked):
            body.close()
    finally:
        root.close()
