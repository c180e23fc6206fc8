"""tar -> folder -> tar: nothing is lost, and the second export is the first one's bytes."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import TIMES, Item, files, items_of, layers, seen, tar_of
from tests.tarcheck import assert_fields
from wclayer import export_layer_to_tar, import_layer_from_tar, open_layer
from wclayer.entry import Directory, File, HardLink, Whiteout
from wclayer.stores.folder.source import LayerFolder
from wclayer.win32.names import encode_wtf8, upcase

ROUND_TRIP = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def through_folder(tar: bytes, folder: Path, parents: tuple[Path, ...] = ()) -> bytes:
    """The canonical tar of what `tar` holds; on the way, the original one must come out as it went in."""
    import_layer_from_tar(io.BytesIO(tar), folder, parents)
    original, output = io.BytesIO(), io.BytesIO()
    export_layer_to_tar(folder, original, parents, framing="original")
    assert original.getvalue() == tar
    summary = export_layer_to_tar(folder, output, parents, framing="canonical")
    assert summary.tar_size == len(output.getvalue())
    return output.getvalue()


@given(layers())
@ROUND_TRIP
def test_writer_and_reader(items: list[Item]) -> None:
    tar = tar_of(items)
    assert items_of(tar) == [
        (entry, b"" if isinstance(entry, File) and content is None else content, extents)
        for entry, content, extents in items
    ]
    assert_fields(tar, items)


@given(layers())
@ROUND_TRIP
def test_base_layer(items: list[Item]) -> None:
    with tempfile.TemporaryDirectory() as name:
        tar = tar_of(items)
        first = through_folder(tar, Path(name, "first"))
        assert seen(items_of(first)) == seen(items)
        assert_fields(first, items_of(first))
        assert_canonical_order(first)
        second = through_folder(first, Path(name, "second"))
        assert second == first


def assert_canonical_order(tar: bytes) -> None:
    """Depth first, the names of a directory in byte order."""
    paths = [encode_wtf8(entry.path).split(b"/") for entry, _, _ in items_of(tar) if not isinstance(entry, Whiteout)]
    assert paths == sorted(paths)


@given(layers(roots=("Files",)), st.data())
@ROUND_TRIP
def test_non_base_layer(base: list[Item], data: st.DataObject) -> None:
    """Whiteouts, links into the parent, replaced entries, Hives."""
    upper = data.draw(upper_layer(base))
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name, "base")
        import_layer_from_tar(io.BytesIO(tar_of(base)), parent)
        first = through_folder(tar_of(upper), Path(name, "first"), (parent,))
        assert seen(items_of(first)) == seen(upper)
        assert_fields(first, items_of(first))
        second = through_folder(first, Path(name, "second"), (parent,))
        assert second == first


@st.composite
def upper_layer(draw: st.DrawFn, base: list[Item]) -> list[Item]:
    items: list[Item] = []
    taken: set[str] = set()
    directories: list[str] = []
    for entry, _, _ in base:
        parent = entry.path.rpartition("/")[0]
        if isinstance(entry, Directory) and entry.reparse_data is None and (not parent or parent in directories):
            directories.append(entry.path)
    in_base = [
        e.path for e, _, _ in base if isinstance(e, File | HardLink) and e.path.rpartition("/")[0] in directories
    ]
    sources = [e.path for e, _, _ in base if isinstance(e, File)]
    items += [(Directory(path, creation_time=1, last_write_time=draw(TIMES)), None, None) for path in directories]
    for path in in_base:
        action = draw(st.sampled_from(["keep", "delete", "replace"]))
        if action == "delete":
            items.append((Whiteout(path), None, None))
        elif action == "replace":
            items.append(draw(files(path)))
        if action != "keep":
            taken.add(upcase(path))
    targets = [path for path in sources if upcase(path) not in taken]
    for number in range(draw(st.integers(0, 3)) if targets else 0):
        path = f"{draw(st.sampled_from(directories))}/link-{number}-"
        if upcase(path) not in {upcase(p) for p in in_base}:
            link = HardLink(
                path,
                draw(st.sampled_from(targets)),
                creation_time=draw(TIMES),
                last_access_time=draw(TIMES),
                last_write_time=draw(TIMES),
                change_time=draw(TIMES),
            )
            items.append((link, None, None))
    items.append((Directory("Hives", creation_time=2, last_write_time=2), None, None))
    delta = b"regf" + draw(st.binary(max_size=9))
    items.append((File("Hives/System_Delta", creation_time=3, last_write_time=3, size=len(delta)), delta, None))
    return items


@given(layers(), st.sampled_from(["gzip", "zstd"]), st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_compressed(items: list[Item], compression: str, modes: bool) -> None:
    """The same entries through gzip and zstd, with and without permission bits; the digests are those of the bytes."""
    with tempfile.TemporaryDirectory() as name:
        import_layer_from_tar(io.BytesIO(tar_of(items)), Path(name, "a"))
        packed, plain = io.BytesIO(), io.BytesIO()
        summary = export_layer_to_tar(Path(name, "a"), packed, compression=compression, modes=modes)  # type: ignore[arg-type]
        export_layer_to_tar(Path(name, "a"), plain, modes=modes)
        again = import_layer_from_tar(io.BytesIO(packed.getvalue()), Path(name, "b"))
        assert (again.diff_id, again.digest) == (summary.diff_id, summary.digest)
        assert (again.tar_size, again.blob_size) == (len(plain.getvalue()), len(packed.getvalue()))
        assert (again.compression, again.entries) == (compression, summary.entries)
        assert items_of(packed.getvalue()) == items_of(plain.getvalue())


@given(layers())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_access(items: list[Item]) -> None:
    """lookup, children and open see what the walk gives."""
    with tempfile.TemporaryDirectory() as name:
        import_layer_from_tar(io.BytesIO(tar_of(items)), Path(name, "a"))
        layer = open_layer(Path(name, "a"))
        assert isinstance(layer, LayerFolder)
        with layer:
            for entry, content, _ in items_of(tar_of(items)):
                if isinstance(entry, Directory | File):
                    assert layer.lookup(entry.path) == entry
                    assert layer.lookup(upcase(entry.path).replace("FILES", "Files", 1)) is not None or (
                        entry.path.startswith("UtilityVM")
                    )
                if isinstance(entry, File) and entry.reparse_data is None:
                    assert layer.open(entry.path).read() == content
            children = {child.path for child in layer.children("Files")}
            paths = {e.path for e, _, _ in items if isinstance(e, Directory | File | HardLink)}
            assert children == {path for path in paths if path.startswith("Files/") and path.count("/") == 1}
