"""Disk images: sizes, and what is refused before any program runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.disks.conftest import Programs
from wclayer.disks.creating import create_disk, parse_size
from wclayer.errors import (
    AlreadyExistsError,
    InexpressibleError,
    NotFoundError,
    UnsupportedError,
    UsageError,
    WclayerError,
)

M = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16M", 16 * M),
        ("16m", 16 * M),
        ("16MB", 16 * M),
        ("16MiB", 16 * M),
        ("16777216", 16 * M),
        ("16777216B", 16 * M),
        ("16384K", 16 * M),
        ("16385k", 16385 << 10),
        ("20G", 20 << 30),
        ("020G", 20 << 30),
        ("2Tib", 2 << 40),
        ("16T", 16 << 40),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "-20G",
        "+20G",
        "20 G",
        " 20G",
        "20G\n",
        "2.5G",
        "1e9",
        "0x1000000",
        "20X",
        "20P",
        "20GG",
        "20iG",
        "20\u212a",  # the sign of kelvin, whose lower case is k
        "\u0662\u0660G",
        "9" * 16,
        "9" * 5000 + "G",
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="a size; expected a number with K, M, G or T"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "at least 16M"),
        ("15M", "at least 16M"),
        ("16777215", "at least 16M"),
        ("16777217", "in sectors of 512 bytes"),
        ("17T", "at most 16T"),
        ("17592186044928", "at most 16T"),
        ("999999999999999T", "at most 16T"),
    ],
)
def test_sizes_that_no_volume_has(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as met:
        parse_size(text)
    assert met.value.got == text


@pytest.mark.parametrize("size", [-512, 0, 512, 16 * M - 512, 16 * M + 1, (16 << 40) + 512, 1 << 63, 1 << 70])
@pytest.mark.parametrize("partition", [True, False])
def test_sizes_in_bytes(size: int, partition: bool, tmp_path: Path, programs: Programs) -> None:
    programs("mkntfs", "sfdisk")
    with pytest.raises(UsageError, match=r"a size; expected at least 16M and at most 16T, in sectors of 512 bytes"):
        create_disk(tmp_path / "d.img", size, partition=partition)
    assert nothing_is_made(tmp_path)


def nothing_is_made(folder: Path) -> bool:
    """No image, nor half of one; and no program has run."""
    return [path.name for path in folder.iterdir()] == ["programs"]


@pytest.mark.parametrize(
    "label",
    ["x" * 33, "\U0001f600" * 17, "a\0b", "\0", "\ud800", "x\udcff"],
    ids=["long", "long in UTF-16", "NUL", "only NUL", "half a pair", "bytes that are no UTF-8"],
)
def test_labels_that_no_volume_has(label: str, tmp_path: Path, programs: Programs) -> None:
    programs("mkntfs", "sfdisk")
    with pytest.raises(InexpressibleError, match="label") as met:
        create_disk(tmp_path / "d.img", 32 * M, label=label)
    assert met.value.exit_code == 18
    assert met.value.path == str(tmp_path / "d.img")
    assert nothing_is_made(tmp_path)


def test_missing_programs(tmp_path: Path, programs: Programs) -> None:
    image = tmp_path / "d.img"
    for bare in (False, True):
        with pytest.raises(UnsupportedError, match=r"d\.img: the program mkntfs is missing -- install ntfs-3g"):
            create_disk(image, 32 * M, partition=not bare)
    programs("mkntfs")
    with pytest.raises(UnsupportedError, match=r"d\.img: the program sfdisk is missing -- install fdisk"):
        create_disk(image, 32 * M)
    assert nothing_is_made(tmp_path)


def test_a_program_that_fails(tmp_path: Path, programs: Programs) -> None:
    programs("mkntfs", "sfdisk")
    for partition, name in ((True, "sfdisk"), (False, "mkntfs")):
        with pytest.raises(WclayerError, match=rf"d\.img: {name} failed: 99") as met:
            create_disk(tmp_path / "d.img", 32 * M, partition=partition)
        assert met.value.exit_code == 15
        (tmp_path / "ran").unlink()
        assert nothing_is_made(tmp_path)


def test_what_is_there_already(tmp_path: Path, programs: Programs) -> None:
    programs("mkntfs", "sfdisk")
    image = tmp_path / "d.img"
    image.write_bytes(b"mine")
    for partition in (True, False):
        with pytest.raises(AlreadyExistsError, match=r"d\.img: .*already"):
            create_disk(image, 32 * M, partition=partition)
    assert not (tmp_path / "ran").exists()
    # One that is to be replaced stays until the new one is whole.
    with pytest.raises(WclayerError, match="sfdisk failed"):
        create_disk(image, 32 * M, force=True)
    assert image.read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["d.img", "programs", "ran"]


def test_where_no_image_can_be(tmp_path: Path, programs: Programs) -> None:
    programs("mkntfs", "sfdisk")
    with pytest.raises(NotFoundError, match="none"):
        create_disk(tmp_path / "none" / "d.img", 32 * M)
    (tmp_path / "folder").mkdir()
    for force in (False, True):
        with pytest.raises(WclayerError, match="folder"):
            create_disk(tmp_path / "folder", 32 * M, force=force)
    assert not (tmp_path / "ran").exists()
    assert sorted(os.listdir(tmp_path)) == ["folder", "programs"]
