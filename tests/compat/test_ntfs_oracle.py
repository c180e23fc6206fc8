"""The other side of comparisons of NTFS volumes, tested itself: what was written is what it reads, by three programs.

Nothing in here is wclayer's. What these tests leave unseen, the tests of the product would not see either.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compat.ntfs import OPTIONS, apply_wim, facts, mounted, volume
from tests.compat.ntfs_facts import Facts, differences, stream_of
from tests.compat.ntfs_info import ntfsinfo_differences
from tests.compat.ntfs_rich import enrich, get_xattr, set_xattr
from tests.compat.ntfs_wim import capture, through_wim, wim_facts

SIZE = 64 << 20
Tree = Mapping[str, Facts]


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tree, Tree]:
    """An unmounted volume, what was written to it, and what is read of it."""
    image = volume(tmp_path_factory.mktemp("ntfs") / "rich.img", SIZE)
    with mounted(image) as mount:
        written = enrich(mount)
    return image, written, facts(image)


def test_what_was_written_is_read(rich: tuple[Path, Tree, Tree]) -> None:
    _, written, read = rich
    assert differences(written, read) == []
    assert len(read) > 180
    assert all(found.change_time is not None and found.eas is not None for found in read.values())
    # Fields that `differences` passes over where one side is silent have to be there.
    assert all(found.descriptor for found in read.values())
    assert all((found.data is None) == bool(found.attributes & 0x10) for found in read.values())
    streams = [stream for found in read.values() for stream in (found.data, *found.streams.values()) if stream]
    assert all(stream.sha1 and stream.holes is not None for stream in streams)


def test_ntfsinfo_says_the_same(rich: tuple[Path, Tree, Tree]) -> None:
    image, _, read = rich
    assert ntfsinfo_differences(image, read) == []
    path = "Files/links/first"
    one = read[path]
    for change in (
        replace(one, attributes=0x22),
        replace(one, creation_time=(one.creation_time or 0) + 10_000_000),
        replace(one, change_time=(one.change_time or 0) - 10_000_000),
        replace(one, links=frozenset()),
        replace(one, data=stream_of(b"")),
        replace(one, streams={"another": stream_of(b"x")}),
        replace(one, reparse=read["Files/reparse/junction"].reparse),
        replace(one, object_id=bytes(16)),
        replace(one, eas={b"LINKED": (0x80, b"x")}),
    ):
        assert len(ntfsinfo_differences(image, {path: change})) == 1, change


def test_a_read_only_mount_shows_the_same_and_changes_nothing(rich: tuple[Path, Tree, Tree], tmp_path: Path) -> None:
    image, written, read = rich
    before = image.stat().st_mtime_ns
    with mounted(image, readonly=True) as mount:
        for path, found in written.items():
            place = os.fsencode(mount) + b"/" + path.encode("utf-8", "surrogatepass")
            assert get_xattr(place, "system.ntfs_acl") == found.descriptor
            assert struct.unpack_from("<QQQ", get_xattr(place, "system.ntfs_times")) == (
                found.creation_time,
                found.last_write_time,
                found.last_access_time,
            )
            if found.reparse is not None:
                assert get_xattr(place, "system.ntfs_reparse_data") == found.reparse
        with pytest.raises(OSError, match="Read-only"):
            (mount / "new").touch()
    assert not mount.exists()
    assert image.stat().st_mtime_ns == before
    assert facts(image) == read


def test_what_is_no_volume_does_not_mount(tmp_path: Path) -> None:
    image = tmp_path / "none.img"
    image.write_bytes(bytes(1 << 20))
    with pytest.raises(AssertionError, match="ntfs-3g did not mount"), mounted(image):
        pass
    assert not (tmp_path / "none.img.mount").exists()


def test_other_options(tmp_path: Path) -> None:
    image = volume(tmp_path / "v.img", 16 << 20)
    with mounted(image, options=OPTIONS.replace("windows", "none")) as mount:
        (mount / "a:b").write_bytes(b"a colon like any other")
    assert facts(image)["a:b"].data == stream_of(b"a colon like any other")


def test_a_volume_from_a_wim(rich: tuple[Path, Tree, Tree], tmp_path: Path) -> None:
    image, _, read = rich
    wim = tmp_path / "rich.wim"
    capture(image, wim)
    dumped = wim_facts(wim)
    assert differences(through_wim(read), dumped) == []
    applied = facts(apply_wim(wim, tmp_path / "applied.img", SIZE))
    assert differences(dumped, applied) == []
    assert differences(through_wim(read), applied) == []
    lost = differences(read, applied)
    assert {line.partition(": ")[2].split()[0] for line in lost} == {"EA", "hard"}
    assert sum(": EA " in line for line in lost) == sum(len(found.eas or ()) for found in read.values())


def test_below_a_folder(tmp_path: Path) -> None:
    image = volume(tmp_path / "v.img", 16 << 20)
    with mounted(image) as mount:
        (mount / "layers" / "one" / "Files").mkdir(parents=True)
        (mount / "layers" / "one" / "Files" / "a").write_bytes(b"x")
        os.link(mount / "layers/one/Files/a", mount / "layers/one/b")
        (mount / "pagefile.sys").write_bytes(b"what wimlib leaves out unless told")
    assert facts(image)["pagefile.sys"].data == stream_of(b"what wimlib leaves out unless told")
    found = facts(image, "layers/one")
    assert found.keys() == {"Files", "Files/a", "b"}
    assert found["b"].links == {"Files/a", "b"}


# --- changes on a volume are seen, and nothing else --------------------------------


def _rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[bytes], None]:
    return lambda path: set_xattr(path, name, change(get_xattr(path, name)))


def _write(stream: bytes, data: bytes, offset: int = 0) -> Callable[[bytes], None]:
    def act(path: bytes) -> None:
        descriptor = os.open(path + stream, os.O_WRONLY | os.O_CREAT)
        os.pwrite(descriptor, data, offset)
        os.close(descriptor)

    return act


def _times(place: int) -> Callable[[bytes], bytes]:
    """One tick more in one of the four."""

    def change(value: bytes) -> bytes:
        times = list(struct.unpack("<QQQQ", value))
        times[place] += 1
        return struct.pack("<QQQ", *times[:3])

    return change


_EA = struct.pack("<IBBH", 16, 0, 3, 1) + b"NEW\0" + b"1" + bytes(3)

CHANGES: list[tuple[str, Callable[[bytes], None], str]] = [
    ("Files/attributes/0001", _rewrite("system.ntfs_attrib", lambda _: struct.pack("<I", 3)), "attributes 0x1 and 0x3"),
    (
        "Files/attributes/0800 directory",
        _rewrite("system.ntfs_attrib", lambda _: struct.pack("<I", 0x10)),
        "attributes 0x810 and 0x10",
    ),
    (
        "Files/descriptors/SACL",
        _rewrite("system.ntfs_acl", lambda old: old[:-1] + bytes([old[-1] ^ 1])),
        "security descriptor",
    ),
    ("Files/times/1969", _rewrite("system.ntfs_times", _times(0)), "creation time"),
    ("Files/times/1970", _rewrite("system.ntfs_times", _times(1)), "last write time"),
    ("Files/times/first", _rewrite("system.ntfs_times", _times(2)), "last access time"),
    ("Files/dos/a long directory", _rewrite("system.ntfs_dos_name", lambda _: b"ALONGD~9"), "short name"),
    (
        "Files/reparse/relative symlink",
        _rewrite("system.ntfs_reparse_data", lambda old: old.replace(b"1\0", b"2\0", 1)),
        "reparse data",
    ),
    (
        "Files/reparse/symlink with the reserved field",
        _rewrite("system.ntfs_reparse_data", lambda old: old[:6] + b"\1\0" + old[8:]),
        "reparse data",
    ),
    ("Files/sizes/5000", _write(b"", b"!"), "data: SHA-1"),
    ("Files/sizes/600", _write(b"", b"!", 600), "data: 600 and 601 bytes"),
    ("Files/sparse/middle", _write(b"", bytes(10), 8192), "data: holes"),
    ("Files/sparse/end", _write(b":sparse", bytes(10), 16384), "stream 'sparse': holes"),
    ("Files/streams/file", _write(b":empty", b"1"), "stream 'empty': 0 and 1 bytes"),
    ("Files/streams", _write(b":of a directory", b"S"), "stream 'of a directory': SHA-1"),
    ("Files/streams/no content", _write(b":more", b""), "stream 'more': only in the second"),
    (
        "Files/unreadable/with streams",
        lambda path: set_xattr(path, "system.ntfs_ea", _EA),
        "EA b'NEW' none and 31 (flags",
    ),
    (
        "Files/eas/needed",
        _rewrite("system.ntfs_ea", lambda old: old[:4] + b"\0" + old[5:]),
        "EA b'$CI.CATALOGHINT'",
    ),
    ("Files/ids/short", _rewrite("system.ntfs_object_id", lambda old: b"\1" * 16 + old[16:]), "object ID"),
    ("Files/ids/with births", _rewrite("system.ntfs_object_id", lambda old: old[:63] + b"\0"), "object ID"),
]


def test_changes_on_a_volume_are_seen(rich: tuple[Path, Tree, Tree], tmp_path: Path) -> None:
    _, _, read = rich
    image = tmp_path / "changed.img"
    shutil.copyfile(rich[0], image)
    with mounted(image) as mount:

        def place(path: str) -> bytes:
            return os.fsencode(mount / path)

        # What the driver changes by itself, to be put back: the times of what is written and of the folder that it is
        # in, and the archive bit.
        changed = [
            *((path, "system.ntfs_attrib") for path, _, expected in CHANGES if "attributes" not in expected),
            *((path, "system.ntfs_times") for path, _, expected in CHANGES if "time" not in expected),
            *((path.rpartition("/")[0], "system.ntfs_times") for path, _, _ in CHANGES),
        ]
        kept = [(place(path), name, get_xattr(place(path), name)) for path, name in changed]
        for path, act, _ in CHANGES:
            act(place(path))
        for path_bytes, name, value in kept:
            set_xattr(path_bytes, name, value[:24])
    found = differences(read, facts(image))
    for path, _, expected in CHANGES:
        mine = [line for line in found if line.startswith(f"{path!r}: ")]
        assert len(mine) == 1, (path, mine)
        assert mine[0].partition(": ")[2].startswith(expected), mine
        found.remove(mine[0])
    assert found == []


def test_names_that_come_and_go_on_a_volume_are_seen(rich: tuple[Path, Tree, Tree], tmp_path: Path) -> None:
    _, _, read = rich
    image = tmp_path / "changed.img"
    shutil.copyfile(rich[0], image)
    with mounted(image) as mount:
        # A junction is a symlink to the driver, which is not removed as a directory.
        (mount / "Files/reparse/junction").unlink()
        (mount / "Files/links/below/third").unlink()
        (mount / "Files/names/new").mkdir()
        os.link(mount / "Files/names/CON", mount / "Files/links/CON")
    found = [line for line in differences(read, facts(image)) if " time " not in line]
    one, other = sorted(read["Files/links/first"].links), sorted(read["Files/links/first"].links)
    other.remove("Files/links/below/third")
    assert sorted(found) == sorted(
        [
            "'Files/reparse/junction': only in the first",
            "'Files/links/below/third': only in the first",
            "'Files/names/new': only in the second",
            "'Files/links/CON': only in the second",
            "'Files/names/CON': hard links [] and ['Files/links/CON', 'Files/names/CON']",
            *(f"{path!r}: hard links {one} and {other}" for path in other),
        ]
    )
