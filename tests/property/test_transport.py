"""tar -> transport folder -> tar: the very tar again, and nothing lost without its framing."""

from __future__ import annotations

import errno
import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backup_streams import backup_from_entry
from tests.property.test_hostile import broken
from tests.property.test_round_trip import ROUND_TRIP, upper_layer
from tests.strategies import Item, body_of, items_of, layers, seen, tar_of
from tests.tarcheck import assert_fields
from tests.tars import BASE, M, build
from wclayer import TransportFolder, export_layer_to_tar, import_layer_from_tar
from wclayer.body import BytesBody
from wclayer.entry import AlternateStream, Body, Directory, File, HardLink
from wclayer.errors import WclayerError
from wclayer.stores.folders import open_folder
from wclayer.win32.names import encode_wtf8

_LONGEST = 255 - len(".$wcidirs$")  # bytes, of a directory's name


def fitting(items: list[Item]) -> list[Item]:
    """What of a layer has names that a host can hold, with the suffix of a directory's metadata."""

    def fits(path: str) -> bool:
        return all(len(encode_wtf8(part)) <= _LONGEST for part in path.split("/"))

    return [
        item for item in items if fits(item[0].path) and (not isinstance(item[0], HardLink) or fits(item[0].target))
    ]


def through_transport(tar: bytes, folder: Path, parents: tuple[Path, ...] = ()) -> bytes:
    """The canonical tar of what `tar` holds; on the way, the original one must come out as it went in."""
    place = TransportFolder(folder)
    import_layer_from_tar(io.BytesIO(tar), place, parents)
    with open_folder(place) as layer:
        assert list(layer.status()) == []
    for verify in (False, True):
        original = io.BytesIO()
        export_layer_to_tar(place, original, parents, framing="original", verify_content=verify)
        assert original.getvalue() == tar
    output = io.BytesIO()
    export_layer_to_tar(place, output, parents, framing="canonical")
    return output.getvalue()


@given(layers(roots=("Files",)))
@ROUND_TRIP
def test_base_layer(items: list[Item]) -> None:
    items = fitting(items)
    with tempfile.TemporaryDirectory() as name:
        tar = tar_of(items)
        first = through_transport(tar, Path(name, "first"))
        assert seen(items_of(first)) == seen(items)
        assert_fields(first, items_of(first))
        import_layer_from_tar(io.BytesIO(tar), Path(name, "plain"))
        plain = io.BytesIO()
        export_layer_to_tar(Path(name, "plain"), plain, framing="canonical")
        assert plain.getvalue() == first
        assert through_transport(first, Path(name, "second")) == first


@given(layers(roots=("Files",)), st.data())
@ROUND_TRIP
def test_non_base_layer(base: list[Item], data: st.DataObject) -> None:
    """Whiteouts, links into the parent, replaced entries, Hives; and the layer as a parent itself."""
    base = fitting(base)
    upper = data.draw(upper_layer(base))
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name, "base")
        import_layer_from_tar(io.BytesIO(tar_of(base)), parent)
        first = through_transport(tar_of(upper), Path(name, "first"), (parent,))
        assert seen(items_of(first)) == seen(upper)
        assert_fields(first, items_of(first))
        links = [entry for entry, _, _ in upper if isinstance(entry, HardLink)]
        on_top = tar_of(
            [
                (Directory("Files", creation_time=1, last_write_time=1), None, None),
                *(
                    (HardLink(f"Files/on-top-{number}", link.path, creation_time=1, last_write_time=1), None, None)
                    for number, link in enumerate(links)
                ),
            ]
        )
        parents = (TransportFolder(Path(name, "first")), parent)
        import_layer_from_tar(io.BytesIO(on_top), Path(name, "top"), parents)
        with open_folder(parent) as below, open_folder(Path(name, "top")) as top:
            for number, link in enumerate(links):
                found, target = top.lookup(f"Files/on-top-{number}"), below.lookup(link.target)
                assert isinstance(found, File)
                assert isinstance(target, File)
                assert replace(found, path="") == replace(target, path="")
                if target.size:
                    assert top.open(found.path).read() == below.open(target.path).read()


@given(layers(roots=("Files",)))
@ROUND_TRIP
def test_content_of_the_folder(items: list[Item]) -> None:
    """Each file is what a backup stream of its entry is, and there is nothing else."""
    items = fitting(items)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        import_layer_from_tar(io.BytesIO(tar_of(items)), TransportFolder(folder))
        expected: dict[bytes, bytes] = {}
        for entry, _, _ in items:
            if not isinstance(entry, Directory | File):
                continue
            place = encode_wtf8(entry.path) + (b".$wcidirs$" if isinstance(entry, Directory) else b"")
            expected[place] = entry.file_attributes.to_bytes(4, "little") + backup_of(items, entry.path)
        root = str(folder).encode() + b"/"
        found = {bytes(path).removeprefix(root): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}
        assert found == expected
        directories = {encode_wtf8(entry.path) for entry, _, _ in items if isinstance(entry, Directory)}
        assert {bytes(path).removeprefix(root) for path in folder.rglob("*") if path.is_dir()} == directories


def backup_of(items: list[Item], path: str) -> bytes:
    [(entry, content, extents)] = [
        item for item in items if item[0].path == path and not isinstance(item[0], AlternateStream)
    ]
    assert isinstance(entry, Directory | File)
    named: list[tuple[AlternateStream, Body]] = [
        (stream, BytesBody(data or b""))
        for stream, data, _ in items
        if isinstance(stream, AlternateStream) and stream.path == path
    ]
    return backup_from_entry(entry, body_of(content, extents), named)


TAR = build(
    [
        *BASE,
        M("Files/f", b"x" * 300, pax={"MSWINDOWS.rawsd": "AAAA", "MSWINDOWS.fileattr": "544", "WCLAYER.sparse": "9,9"}),
        M("Files/g", b"text", pax={"MSWINDOWS.xattr.A": "MQ=="}),
        M("Files/g:s", b"stream"),
        M("Files/h", type="1", link="Files/g"),
        M("Files/l", type="2", link="f", pax={"MSWINDOWS.fileattr": "1056"}),
    ]
)


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "layer"
    holes = TAR.replace(b"x" * 300, (bytes(9) + b"x" * 9).ljust(300, b"\0"))
    import_layer_from_tar(io.BytesIO(holes), TransportFolder(folder))
    return folder


class SmallDisk(io.BytesIO):
    """A file may say that it has holes of any size, which a tar has as zeros."""

    def write(self, data: Any, /) -> int:
        if self.tell() > 1 << 22:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@given(st.data())
@settings(max_examples=300)
def test_broken_folders(layer: Path, data: st.DataObject) -> None:
    """Our own errors alone, with the record and without it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        shutil.copytree(layer, folder)
        record = Path(name, "layer.layer.db")
        names = ["record", "Files.$wcidirs$", "Files/f", "Files/g", "Files/l", "tombstones.txt"]
        target = data.draw(st.sampled_from(names))
        if target != "tombstones.txt" and data.draw(st.booleans() if target != "record" else st.just(True)):
            shutil.copyfile(f"{layer}.layer.db", record)
        if target == "tombstones.txt":
            text = data.draw(broken(b"\xef\xbb\xbfVersion 1.0\r\n\\a\\b\r\n\\c\n", mend=False))
            (folder / target).write_bytes(text)
        else:
            path = record if target == "record" else folder / target
            path.write_bytes(data.draw(broken(path.read_bytes(), mend=False)))
        for framing in ("original", "canonical"):
            try:
                export_layer_to_tar(TransportFolder(folder), SmallDisk(), framing=framing)
                with open_folder(TransportFolder(folder), verify_content=True) as source:
                    list(source.status())
            except WclayerError as error:
                assert str(error)  # noqa: PT017 # the message must be made, too
