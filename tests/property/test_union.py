"""What is seen of layers, in one pass over each, held against a model that looks at each path."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.property.compare_users import disagreements
from tests.property.test_squash import LINK, items_of, source, stacks
from tests.property.union_model import Item, Stack, model, see, up
from wclayer.entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from wclayer.errors import UsageError
from wclayer.layers.lookup.cat import write_contents
from wclayer.layers.lookup.extract import extract_layers
from wclayer.layers.lookup.ls import Listed, list_layers
from wclayer.layers.lookup.request import PathQuery
from wclayer.stores.folders import open_folder
from wclayer.union.view import UnionView

Found = dict[str, tuple[Any, ...]]


def meta(entry: Entry) -> int:
    assert isinstance(entry, Directory | File | HardLink)
    return (entry.change_time or 0) - 2


def sights(stack: Stack) -> Found:
    """What is seen at each path, as the model says it."""
    sight = UnionView([source(layer) for layer in stack])
    files: dict[tuple[int, str], tuple[Any, ...]] = {}  # all File entries, hidden or not
    streams: dict[tuple[int, str], tuple[tuple[str, bytes], ...]] = {}
    shown: dict[str, tuple[int, str, Entry]] = {}
    for seen in sight.entries(hidden=True):
        at = seen.number, seen.key
        content = b"" if seen.body is None else seen.body.read()
        if isinstance(seen.entry, AlternateStream):
            streams[at] = (*streams.get(at, ()), (seen.entry.name, content))
            continue
        if isinstance(seen.entry, File):
            files[at] = meta(seen.entry), content
        if seen.visible and not isinstance(seen.entry, Whiteout):
            assert seen.path not in shown
            assert sight.at(seen.key) == at
            shown[seen.path] = *at, seen.entry
        else:
            assert sight.at(seen.key) != at
    result: Found = {}
    for path, (number, key, entry) in shown.items():
        if isinstance(entry, Directory):
            kind = "surrogate" if entry.reparse_data == LINK else "dir"
            result[path] = kind, meta(entry), streams.get((number, key), ())
            continue
        file = sight.file_of(number, key)
        assert file is not None
        result[path] = "file", *files[file], streams.get(file, ()), meta(entry)
    return result


@given(stacks())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_everybody_sees_the_same(stack: Stack) -> None:
    """`python -m tests.property.compare_users` does this with thousands of stacks."""
    assert disagreements(stack) == []


@given(stacks())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_seen(stack: Stack) -> None:
    expected: Found = {}
    for path, found in model(stack).items():
        if found[0] == "file":
            of_file, content, streams, _ = found[1]
            expected[path] = "file", of_file, content, streams, of_file if found[3] is None else found[3]
        else:
            expected[path] = found
    assert sights(stack).keys() == expected.keys()
    for path, one in sights(stack).items():
        # Where the entry of a file is hidden, the model has its data at the first name that is seen.
        assert one[:4] == expected[path][:4]


class Pipe:
    """A layer that can be read once."""

    restartable = False

    def __init__(self, layer: list[Item]) -> None:
        self._source = source(layer)
        self._read = False

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        assert not self._read
        self._read = True
        return self._source.entries()


def cat(layers: Sequence[Source], path: str) -> bytes:
    out: list[bytes] = []
    write_contents(layers, [PathQuery(path, literal=True)], out.append)
    return b"".join(out)


@given(stacks())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_file_is_found(stack: Stack) -> None:
    """Alone, all at once, and out of pipes, unless the file behind a hard link was read before it."""
    files = {path: found[1][1] for path, found in model(stack).items() if found[0] == "file"}
    sources = [source(layer) for layer in stack]
    for path, content in files.items():
        assert cat(sources, up(path)) == content
        item = see(stack, path)
        assert item is not None
        own = [stack[item["at"][0]]]  # the layer by itself
        behind: Item | None = item
        while behind is not None and behind["kind"] == "link":
            behind = see(own, behind["target"], behind["at"][1])
        pipes = [Pipe(layer) for layer in stack]
        if behind is None or behind["at"] == item["at"]:
            try:
                assert cat(pipes, path) == content
            except UsageError:  # a link to something already read in a layer below
                assert item["kind"] == "link"
        else:
            with pytest.raises(UsageError, match="already read from a pipe"):
                cat(pipes, path)
    out: list[bytes] = []
    write_contents(sources, [PathQuery(path, literal=True) for path in files], out.append)
    assert b"".join(out) == b"".join(files.values())


def names_of_files(found: dict[str, tuple[Any, ...]]) -> set[frozenset[str]]:
    """Which names are those of one file."""
    files: dict[str, set[str]] = {}
    for path, one in found.items():
        if one[0] == "file":
            files.setdefault(one[2], set()).add(path)
    return {frozenset(names) for names in files.values()}


@given(stacks())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_extracted_with_metadata(stack: Stack) -> None:
    """A layer folder that shows what all the layers do; which name of a file comes first may change.

    Without DOS names: a folder that is walked gives that of a file to the name that comes first there.
    """
    stack = [[{**item, "short": False} if item["kind"] == "file" else item for item in layer] for layer in stack]
    expected = model(stack)
    with tempfile.TemporaryDirectory() as folder:
        groups = [([source(layer) for layer in stack], [PathQuery("")])]
        extract_layers(groups, f"{folder}/out", with_metadata=True)
        with open_folder(f"{folder}/out", plain=True) as layer:
            found = model([items_of(layer)])
    assert found.keys() == expected.keys()
    for path, one in expected.items():
        assert found[path][0] == one[0]
        assert found[path][1][:3] == one[1][:3] if one[0] == "file" else found[path] == one
    assert names_of_files(found) == names_of_files(expected)


@given(stacks())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_listed(stack: Stack) -> None:
    """All paths, with size, metadata, streams and digest of the file that each is, in one pass over pipes."""
    found: dict[str, Listed] = {}

    def add(listed: Listed) -> None:
        if not isinstance(listed.entry, Whiteout):
            assert listed.path not in found
            found[listed.path] = listed

    list_layers([Pipe(layer) for layer in stack], [PathQuery("")], add, hashed=lambda entry: isinstance(entry, File))
    expected = model(stack)
    assert found.keys() == expected.keys()
    for path, one in expected.items():
        listed = found[path]
        assert listed.file is not None
        item = see(stack, path)
        assert item is not None
        assert (listed.number, meta(listed.entry)) == (item["at"][0], item["meta"])
        if one[0] != "file":
            assert isinstance(listed.file, Directory)
            continue
        of_file, content, streams, _ = one[1]
        assert (meta(listed.file), listed.size, listed.sha256) == (of_file, len(content), sha256(content).hexdigest())
        assert [(stream.name, stream.size) for stream in listed.streams] == [
            (name, len(data)) for name, data in streams
        ]
