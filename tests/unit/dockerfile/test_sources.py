"""Where COPY and ADD take from: folders of the host, and archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts import posix_only
from tests.unit.builder.test_source_tree import make
from wclayer.dockerfile.ignore import DockerIgnore
from wclayer.dockerfile.sources import HostFolder, unpack
from wclayer.errors import ConfinementError, FormatError, NotFoundError, WclayerError
from wclayer.layers.lookup.patterns import is_wild

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

posix = posix_only("links and names")


def folder(path: Path, *patterns: str) -> HostFolder:
    return HostFolder(str(path), DockerIgnore(patterns, source="i"))


def test_is_wild() -> None:
    assert all(map(is_wild, ("*", "a?", "x/[a]")))
    assert not is_wild("a/b.c")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.txt", ["a.txt"]),
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[b-z].txt", ["b.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("*", [".hidden", "a.txt", "b.txt", "d", "é"]),
        ("d", ["d"]),
        ("d/*", ["d/c.txt", "d/e"]),
        ("*/*.txt", ["d/c.txt"]),
        ("*/*/*", ["d/e/f"]),
        ("", [""]),
        ("*.none", []),
        ("none/*", []),
        ("a.txt/*", []),
        ("[!a].txt", ["a.txt"]),  # Go negates with ^ alone
    ],
)
def test_find(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    context = make(tmp_path / "c", "a.txt", "b.txt", "d/c.txt", "d/e/f", ".hidden", "é")
    assert folder(context).find(pattern) == expected


@posix
def test_backslashes_in_names_are_no_separators(tmp_path: Path) -> None:
    assert folder(make(tmp_path / "c", "a\\b")).find("a*b") == ["a\\b"]


def test_what_is_not_there(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "a", "d/x")
    with pytest.raises(NotFoundError) as caught:
        folder(context).find("b")
    assert caught.value.hint is None
    assert caught.value.path == str(context / "b")
    for pattern in ("a", "d/x", "d"):
        with pytest.raises(NotFoundError, match=r"\.dockerignore leaves it out"):
            folder(context, "a", "d").find(pattern)
    assert folder(context, "a").find("*") == ["d"]
    # What is let in again below it brings the folder back.
    assert folder(context, "d", "!d/x").find("d") == ["d"]


def test_rules(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "a", "d/x")
    source = folder(context)
    assert source.rule("a").source == str((context / "a").resolve())
    assert source.rule("").source == str(context.resolve())
    assert source.is_directory("d")
    assert source.is_directory("")
    assert not source.is_directory("a")
    assert not source.is_directory("none")


@posix
def test_symlinks(tmp_path: Path) -> None:
    make(tmp_path, "outside/secret", "c-not/x")
    context = make(tmp_path / "c", "d/x")
    for name, target in {
        "in": "d/x",
        "dir": "d",
        "out": "../outside/secret",
        "abs": str(tmp_path / "outside"),
        "near": "../c-not/x",
        "round": "../c/d",
    }.items():
        (context / name).symlink_to(target)
    source = folder(context)
    assert source.rule("in").source == str(context.resolve() / "d/x")
    assert source.rule("dir").source == str(context.resolve() / "d")
    assert source.rule("round").source == str(context.resolve() / "d")
    assert source.is_directory("dir")
    assert source.find("dir/x") == ["dir/x"]
    for name in ("out", "abs", "abs/secret", "near"):
        with pytest.raises(ConfinementError, match="a symlink that leads out of the context"):
            source.rule(name)


@posix
def test_a_symlink_to_what_is_left_out(tmp_path: Path) -> None:
    """Docker does not even send it; so it is not there."""
    context = make(tmp_path / "c", "secret/key")
    (context / "link").symlink_to("secret/key")
    source = folder(context, "secret")
    with pytest.raises(WclayerError):
        [source.rule(path) for path in source.find("link")]


# --- archives -------------------------------------------------------------------


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.mtime = 1_600_000_000
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


PLAIN = archive(
    member("./d/", type=tarfile.DIRTYPE, mode=0o755),
    member("./d/f", b"content" * 1000),
    member("other/g", b"g"),
    member("none", type=tarfile.DIRTYPE, mode=0),
    member("none/h", b"h"),
)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}


def unpacked(path: Path) -> dict[str, bytes]:
    return {found.relative_to(path).as_posix(): found.read_bytes() for found in path.rglob("*") if found.is_file()}


def put(tmp_path: Path, data: bytes) -> tuple[str, str]:
    """A file of these bytes, and an empty folder."""
    (tmp_path / "archive").write_bytes(data)
    (tmp_path / "into").mkdir()
    return str(tmp_path / "archive"), str(tmp_path / "into")


@pytest.mark.parametrize("kind", PACKERS)
def test_unpack(tmp_path: Path, kind: str) -> None:
    assert unpack(*put(tmp_path, PACKERS[kind](PLAIN)))
    assert unpacked(tmp_path / "into") == {"d/f": b"content" * 1000, "other/g": b"g", "none/h": b"h"}
    assert (tmp_path / "into/d/f").stat().st_mtime == 1_600_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"x" * 512,
        bytes(512),
        bytes(10240),
        gzip.compress(b"no tar", mtime=0),
        bz2.compress(b"no tar"),
        lzma.compress(b""),
        zstd.compress(b"no tar" * 1000),
        b"BZh broken",
        b"\x1f\x8b broken",
        b"\xfd7zXZ\0 broken",
        b"\x28\xb5\x2f\xfd broken",
        PLAIN[:511],
    ],
)
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    assert not unpack(*put(tmp_path, data))
    assert os.listdir(tmp_path / "into") == []


@pytest.mark.parametrize(
    "hostile",
    [
        member("../out", b"x"),
        member("a/../../out", b"x"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("link", type=tarfile.SYMTYPE, linkname="../../out"),
        member("link", type=tarfile.LNKTYPE, linkname="../archive"),
        member("link", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    ],
)
def test_archives_that_reach_outside(tmp_path: Path, hostile: tuple[tarfile.TarInfo, bytes]) -> None:
    with pytest.raises(ConfinementError, match="a member that would lie outside") as caught:
        unpack(*put(tmp_path, archive(member("first", b"1"), hostile)))
    assert caught.value.path == str(tmp_path / "archive")
    assert not (tmp_path / "out").exists()


@posix
def test_through_a_symlink_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        unpack(
            *put(tmp_path, archive(member("d", type=tarfile.SYMTYPE, linkname=".."), member("d/out", b"x"))),
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(FormatError, match="a broken archive"):
        unpack(*put(tmp_path, archive(member("first", b"1"), member("dev", type=kind))))


def test_an_absolute_name_is_taken_from_the_root(tmp_path: Path) -> None:
    assert unpack(*put(tmp_path, archive(member("/abs", b"x"))))
    assert unpacked(tmp_path / "into") == {"abs": b"x"}


@pytest.mark.parametrize("kind", PACKERS)
def test_archives_that_are_cut_off(tmp_path: Path, kind: str) -> None:
    # More than one block of bzip2, or nothing at all comes out.
    noise = random.Random(1).randbytes(1_200_000)
    data = PACKERS[kind](archive(member("a", noise), member("b", noise)))
    with pytest.raises(FormatError) as caught:
        unpack(*put(tmp_path, data[: len(data) * 2 // 3]))
    assert caught.value.path == str(tmp_path / "archive")


def _wrong_checksum(data: bytearray) -> None:
    data[1024 + 148] ^= 1


def _half_a_header(data: bytearray) -> None:
    del data[1024 + 200 :]


def _text(data: bytearray) -> None:
    data[1024:1536] = b"x" * 512


@pytest.mark.parametrize("fault", [_wrong_checksum, _half_a_header, _text])
def test_archives_whose_second_header_is_broken(tmp_path: Path, fault: Callable[[bytearray], None]) -> None:
    """What comes after it must not be lost in silence."""
    data = bytearray(archive(member("a", b"1"), member("b", b"2")))
    fault(data)
    with pytest.raises(FormatError):
        unpack(*put(tmp_path, bytes(data)))


@posix
def test_hard_links_and_symlinks_inside(tmp_path: Path) -> None:
    data = archive(
        member("f", b"x"),
        member("hard", type=tarfile.LNKTYPE, linkname="f"),
        member("soft", type=tarfile.SYMTYPE, linkname="f"),
    )
    assert unpack(*put(tmp_path, data))
    assert (tmp_path / "into/f").stat().st_nlink == 2
    assert os.readlink(tmp_path / "into/soft") == "f"


@pytest.mark.parametrize("time", [1e30, -1e30, float("nan"), float("inf")])
def test_times_that_no_file_can_have(tmp_path: Path, time: float) -> None:
    data = archive(member("f", b"x", pax_headers={"mtime": str(time)}))
    with pytest.raises(FormatError):
        unpack(*put(tmp_path, data))


@pytest.mark.parametrize(
    "broken",
    [
        member("f", pax_headers={"path": "a\0b"}),
        member("s", type=tarfile.SYMTYPE, pax_headers={"linkpath": "a\0b"}),
        member("h", type=tarfile.LNKTYPE, pax_headers={"linkpath": "a\0b"}),
        member("h", type=tarfile.LNKTYPE, linkname="none"),
        member("h", type=tarfile.LNKTYPE, linkname="h"),
        member("f", b"x", pax_headers={"size": "-1"}),
    ],
)
def test_members_that_cannot_be(tmp_path: Path, broken: tuple[tarfile.TarInfo, bytes]) -> None:
    """None is passed over in silence, and each error is one of ours."""
    with pytest.raises(FormatError):
        unpack(*put(tmp_path, archive(member("first", b"1"), broken, member("last", b"2"))))


@posix
def test_a_name_that_is_too_long_for_the_host(tmp_path: Path) -> None:
    with pytest.raises(WclayerError):
        unpack(*put(tmp_path, archive(member("x" * 300, b"1"))))
