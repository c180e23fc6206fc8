"""Differences of random layers: none of a layer and itself, however it is written; the same from both ends; and of a
layer and one that was edited, just the edits, by a model of its own."""

from __future__ import annotations

import gzip
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import Item, items_of, layers, tar_of
from wclayer import import_layer_from_tar, open_layer
from wclayer.entry import AlternateStream, Directory, File, HardLink
from wclayer.layers.diff.diff import LayerDiff, diff_sources
from wclayer.layertar.compression import Compressed
from wclayer.layertar.reader import TarSource
from wclayer.stores.folder.source import LayerFolder
from wclayer.win32.names import upcase

RANDOM = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def source(tar: bytes) -> TarSource:
    return TarSource(io.BytesIO(tar))


def difference(old: bytes, new: bytes, **options: Any) -> LayerDiff:
    return diff_sources([source(old)], [source(new)], **options)


@given(layers())
@RANDOM
def test_a_layer_does_not_differ_from_itself(items: list[Item]) -> None:
    tar = tar_of(items)
    zstd = io.BytesIO()
    with Compressed(zstd, "zstd") as packed:
        packed.write(tar)
    for again in (tar, gzip.compress(tar, 1), zstd.getvalue(), tar_of(items, modes=True), tar_of(items_of(tar))):
        found = difference(tar, again, times=True)
        assert not found.differs, found
    with tempfile.TemporaryDirectory() as name:
        import_layer_from_tar(io.BytesIO(tar), Path(name, "layer"))
        with open_layer(Path(name, "layer")) as folder:  # type: ignore[union-attr]
            assert isinstance(folder, LayerFolder)
            found = diff_sources([source(tar)], [folder], times=True)
            assert not found.differs, found


@given(layers(), layers())
@RANDOM
def test_both_ends_see_the_same(one: list[Item], other: list[Item]) -> None:
    there = difference(tar_of(one), tar_of(other), times=True)
    back = difference(tar_of(other), tar_of(one), times=True)
    assert [(found.path, found.kind, found.content) for found in there.added] == [
        (found.path, found.kind, found.content) for found in back.removed
    ]
    assert [(found.path, found.kind, found.content) for found in there.removed] == [
        (found.path, found.kind, found.content) for found in back.added
    ]
    assert sorted((move.old, move.new) for move in there.moved) == sorted((move.new, move.old) for move in back.moved)
    turned = [
        [
            (upcase(change.path), field.name, field.item and upcase(field.item), *sides)
            for change in found.changed
            for field in change.fields
            for sides in ([(field.old, field.new), (field.new, field.old)][number],)
        ]
        for number, found in enumerate((there, back))
    ]
    assert turned[0] == turned[1]
    # What a round trip loses is not what it brings; the rest of what it does goes either way.
    reasons = [[field.round_trip for change in found.changed for field in change.fields] for found in (there, back)]
    for reason, other_reason in zip(*reasons, strict=True):
        if reason in ("extended attributes", "streams") or other_reason in ("extended attributes", "streams"):
            assert None in (reason, other_reason)
        elif "link" not in (reason, other_reason):
            assert reason == other_reason


# --- a model of edits -----------------------------------------------------------------


@given(layers(roots=("Files",), max_entries=20), st.data())
@RANDOM
def test_of_an_edited_layer_just_the_edits(items: list[Item], data: st.DataObject) -> None:
    """Files that have one name and no streams are edited, each in one way that must be seen."""
    linked = {upcase(item[0].target) for item in items if isinstance(item[0], HardLink)}
    with_streams = {item[0].path for item in items if isinstance(item[0], AlternateStream)}
    contents = [item[1] for item in items if isinstance(item[0], File)]
    names = {upcase(item[0].path) for item in items}
    edited: list[Item] = []
    added, removed, moved = set[str](), set[str](), set[tuple[str, str]]()
    changed: dict[str, set[str]] = {}
    for number, item in enumerate(items):
        entry, content, extents = item
        plain = isinstance(entry, File) and upcase(entry.path) not in linked and entry.path not in with_streams
        kind = data.draw(
            st.sampled_from(["keep", "keep", "remove", "attributes", "content", "security", "move", "add"])
        )
        if (
            isinstance(entry, Directory)
            and kind == "add"
            and entry.reparse_data is None
            and entry.path not in with_streams
        ):
            path = f"{entry.path}/new-{number}"
            if upcase(path) not in names:
                edited += [item, (File(path, size=3), b"%03d" % number, None)]
                # A content that nothing else has, so that nothing seems to have moved here.
                edited[-1] = (File(path, size=9), b"!unique%02d" % number, None)
                added.add(path)
                continue
        if not plain or not isinstance(entry, File) or kind in ("keep", "add"):
            edited.append(item)
            continue
        if kind == "remove":
            removed.add(entry.path)
        elif kind == "attributes":
            edited.append((replace(entry, file_attributes=entry.file_attributes ^ 0x8), content, extents))
            changed[entry.path] = {"attributes"}
        elif kind == "security":
            edited.append((replace(entry, security_descriptor=b"\1another"), content, extents))
            changed[entry.path] = {"security"}
        elif kind == "content" and extents is None and content:
            edited.append((replace(entry, size=entry.size + 1), content + b"+", None))
            changed[entry.path] = {"content"}
        elif kind == "move" and content and contents.count(content) == 1:
            path = f"{entry.path.rpartition('/')[0]}/moved-{number}"
            if upcase(path) in names:
                edited.append(item)
                continue
            edited.append((replace(entry, path=path), content, extents))
            moved.add((entry.path, path))
        else:
            edited.append(item)
    found = difference(tar_of(items), tar_of(edited), times=True)
    assert {one.path for one in found.added} == added
    assert {one.path for one in found.removed} == removed
    assert {(old, new) for move in found.moved for old in move.old for new in move.new} == moved
    assert {change.path: {field.name for field in change.fields} for change in found.changed} == changed
