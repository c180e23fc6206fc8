"""What is seen of layers, in one pass over each, held against a model that looks at each path."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.property.squash_model import Stack, model
from tests.property.test_squash import LINK, source, stacks
from wclayer.entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from wclayer.layers.sight import Sight

Found = dict[str, tuple[Any, ...]]


def meta(entry: Entry) -> int:
    assert isinstance(entry, Directory | File | HardLink)
    return (entry.change_time or 0) - 2


def sights(stack: Stack) -> Found:
    """What is seen at each path, as the model says it."""
    sight = Sight([source(layer) for layer in stack])
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
