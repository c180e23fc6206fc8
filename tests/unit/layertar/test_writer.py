"""What the canonical tar cannot hold, and the permission bits that are asked for."""

from __future__ import annotations

import base64
import io
import tarfile

import pytest

from tests.strategies import items_of, tar_of
from wclayer.body import BytesBody, HoledBody
from wclayer.entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import InexpressibleError, LayerError, StorageError
from wclayer.layertar.writer import TarWriter
from wclayer.win32.reparse import build_link

LAYER: list[tuple[Entry, bytes | None, None]] = [
    (Directory("Files"), None, None),
    (Directory("Files/d"), None, None),
    (File("Files/d/f", size=1), b"x", None),
    (File("Files/d/empty", data_stream=False), None, None),
    (HardLink("Files/d/g", "Files/d/f"), None, None),
    (File("Files/l", 0x420, reparse_data=build_link("d", False), data_stream=False), None, None),
    (Directory("UtilityVM"), None, None),
    (Directory("UtilityVM/Files"), None, None),
]


def modes(tar: bytes) -> dict[str, int]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        return {member.name: member.mode for member in found}


def test_modes() -> None:
    """Without: the type alone, as hcsshim. With: as in Microsoft's own tars, the roots left out (go-winio#184)."""
    plain = {
        "Files": 0o040000,
        "Files/d": 0o040000,
        "Files/d/f": 0o100000,
        "Files/d/empty": 0,
        "Files/d/g": 0o644,
        "Files/l": 0o120000,
        "UtilityVM": 0o040000,
        "UtilityVM/Files": 0o040000,
    }
    assert modes(tar_of(LAYER)) == plain
    added = {"Files/d": 0o755, "Files/d/f": 0o644, "Files/d/empty": 0o644, "Files/l": 0o644}
    assert modes(tar_of(LAYER, modes=True)) == {name: mode | added.get(name, 0) for name, mode in plain.items()}


@pytest.mark.parametrize(
    "entry",
    [
        File("Files/.wh.x"),
        Directory("Files/.wh.d"),
        File("Files/a:b"),
        File("Files/a\\b"),
        File("Files/../x"),
        File("/Files/x"),
        File(""),
        File("Files/a\0b"),
        HardLink("Files/l", "../x"),
        HardLink("Files/.wh.l", "Files/x"),
        Whiteout("Files/../x"),
        File("Files/f", extended_attributes=(ExtendedAttribute(b"a=b", b""),)),
        File("Files/f", extended_attributes=(ExtendedAttribute(b"a", b"1"), ExtendedAttribute(b"a", b"2"))),
        File("Files/f", security_descriptor=bytes(1 << 20)),
        File("Files/f", backup_streams=((7, b""),)),
    ],
    ids=lambda entry: f"{type(entry).__name__} {entry.path!r}"[:40],
)
def test_what_no_tar_can_hold(entry: Entry) -> None:
    with pytest.raises(InexpressibleError) as caught:
        TarWriter(io.BytesIO()).add(entry)
    assert caught.value.path is not None
    assert caught.value.exit_code == 18


def test_streams_follow_their_owner() -> None:
    writer = TarWriter(io.BytesIO())
    writer.add(File("f"))
    writer.add(AlternateStream("f", "a"))
    writer.add(AlternateStream("f", "b"))
    writer.add(Whiteout("x"))
    with pytest.raises(LayerError):
        writer.add(AlternateStream("f", "c"))
    writer.add(File("g"))
    with pytest.raises(InexpressibleError):
        writer.add(AlternateStream("g", "a:b"))


def test_what_only_we_restore_is_counted() -> None:
    eas = (ExtendedAttribute(b"A", b"", 0x80), ExtendedAttribute(b"B.C", b"", 1), ExtendedAttribute(b"D", b""))
    with TarWriter(io.BytesIO()) as writer:
        writer.add(File("f", extended_attributes=eas, object_id=b"0" * 16, backup_streams=((6, b""), (10, b""))))
        writer.add(File("g", 0x420, reparse_data=build_link("d", False), data_stream=False))
        writer.add(File("h", 0x420, reparse_data=build_link("d/e", False), data_stream=False))
        summary = writer.commit()
    assert summary.own_records == {
        "WCLAYER.eaflags": 2,
        "WCLAYER.objectid": 1,
        "WCLAYER.reparse": 1,
        "WCLAYER.stream": 2,
    }


@pytest.mark.parametrize(
    ("directory", "base", "split"),
    [(94, 1, False), (95, 1, True), (155, 95, True), (156, 1, None), (150, 96, True), (150, 97, None)],
)
def test_where_a_whiteout_s_name_is_split(directory: int, base: int, split: bool | None) -> None:
    """In the name alone up to 100 bytes, then in prefix (155) and name (100), else in a PAX record."""
    path = f"{'d' * directory}/{'b' * base}"
    written = f"{'d' * directory}/.wh.{'b' * base}"
    tar = tar_of([(Whiteout(path), None, None)])
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        [member] = found
    assert member.name == written
    assert (tar[156:157] == b"x") == (split is None)
    if split is not None:
        assert (tar[345:346] != b"\0") == split


@pytest.mark.parametrize(
    ("path", "field"),
    [  # as Go 1.27 writes them: formatString of archive/tar makes one slash a NUL
        (f"Files/{'a' * 92}/\u00e9/b", b"Files/" + b"a" * 92 + b"\0/"),
        (f"Files/{'a' * 91}/\u00e9/\u00e9/b", b"Files/" + b"a" * 91 + b"\0//"),
        (f"Files/{'a' * 93}/b", b"Files/" + b"a" * 93 + b"\0"),
        (f"Files/{'a' * 94}/b", b"Files/" + b"a" * 94),
    ],
)
def test_slashes_where_a_name_is_cut(path: str, field: bytes) -> None:
    tar = tar_of([(File(path), None, None)])
    at = tar.rindex(b"Files/aaaa")
    assert tar[at : at + 100] == field
    tar = tar_of([(HardLink("Files/x", path), None, None)])
    at = tar.rindex(b"Files/aaaa")
    assert tar[at : at + 100] == field


def test_holes_without_the_attribute() -> None:
    """NTFS has no holes in a file that is not FILE_ATTRIBUTE_SPARSE_FILE, so the tar does not list them."""
    for attributes, sparse in ((0x20, None), (0x220, "0,4096")):
        body = HoledBody(1 << 16, ((0, 4096),), io.BytesIO(bytes(4096)).read)
        output = io.BytesIO()
        TarWriter(output).add(File("f", attributes, size=1 << 16), body)
        output.seek(0)
        with tarfile.open(fileobj=output) as found:
            [member] = found
        assert member.pax_headers.get("WCLAYER.sparse") == sparse


@pytest.mark.parametrize("mount_point", [False, True])
def test_a_nul_in_a_print_name(mount_point: bool) -> None:
    """No link target of a tar can hold it (C programs end the name there), so only our own record has the buffer."""
    link = File("l", 0x420, reparse_data=build_link("a\0b", mount_point), data_stream=False)
    tar = tar_of([(link, None, None)])
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        [member] = found
    assert member.isreg()
    assert base64.b64decode(member.pax_headers["WCLAYER.reparse"]) == link.reparse_data
    [(entry, _, _)] = items_of(tar)
    assert isinstance(entry, File)
    assert entry.reparse_data == link.reparse_data


@pytest.mark.parametrize("body", [b"", b"12", b"1234"])
def test_bodies_of_another_size(body: bytes) -> None:
    with pytest.raises(StorageError, match="not as long"):
        TarWriter(io.BytesIO()).add(File("f", size=3), BytesBody(body))
