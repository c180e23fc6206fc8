"""Where paths with links lead, asked of every user of the resolver, held against a model."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hosts import posix_only
from tests.property.link_model import Link, Names, reach, target, up
from tests.unit.layers.sources import Listed
from wclayer.body import BytesBody
from wclayer.builder.recipe import LayerRecipe
from wclayer.builder.source_tree import SourceTree
from wclayer.builder.symlinks import leads_to_directory
from wclayer.entry import Body, Directory, Entry, File
from wclayer.errors import LayerError, NotFoundError, UsageError
from wclayer.layers.lookup.cat import write_contents
from wclayer.layers.lookup.extract import extract_layers
from wclayer.layers.lookup.ls import list_layers
from wclayer.layers.lookup.request import PathQuery
from wclayer.union.links import link_of, resolve_link

pytestmark = posix_only("symlinks")

Nodes = dict[Names, "str | Link"]

DIRECTORIES = [(), ("a",), ("b",), ("a", "c"), ("a", "c", "d")]
NAMES = ["a", "B", "c", "d", "f", "l0", "l1", "l2", "l3", "..", ".", "none"]
PREFIXES = {
    "relative": ["", "", "\\", "..\\", "\\??\\C:\\", "\\DosDevices\\C:\\", "C:\\", "\\\\"],
    "absolute": [
        "\\??\\C:\\",
        "\\??\\c:\\",
        "\\DosDevices\\C:\\",
        "\\global??\\C:\\",
        "\\??\\D:\\",
        "\\??\\C:",
        "C:\\",
    ],
}
PREFIXES["junction"] = PREFIXES["absolute"]


@st.composite
def links(draw: st.DrawFn) -> Link:
    kind = draw(st.sampled_from(sorted(PREFIXES)))
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4))
    return kind, draw(st.sampled_from(PREFIXES[kind])) + "\\".join(names)


@st.composite
def trees(draw: st.DrawFn) -> Nodes:
    """By path as it is spelled; directories first."""
    nodes: Nodes = dict.fromkeys(DIRECTORIES[1:], "directory")
    for directory in DIRECTORIES:
        if draw(st.booleans()):
            nodes[(*directory, "f")] = "file"
        for name in draw(st.sets(st.sampled_from(["l0", "L1", "l2", "L3"]), max_size=3)):
            nodes[(*directory, name)] = draw(links())
    return nodes


def entry(path: str, node: str | Link) -> Entry | tuple[Entry, bytes]:
    if node == "directory":
        return Directory(path)
    if isinstance(node, str):
        return File(path, size=len(path)), path.encode()
    kind, substitute = node
    name = substitute.encode("utf-16-le")
    flags = b"" if kind == "junction" else struct.pack("<I", kind == "relative")
    data = struct.pack("<HHHH", 0, len(name), len(name), 0) + flags + name
    buffer = struct.pack("<IHH", 0xA0000003 if kind == "junction" else 0xA000000C, len(data), 0) + data
    return Directory(path, file_attributes=0x410, reparse_data=buffer)


def layers_of(nodes: Nodes, in_upper: Callable[[Names], bool]) -> list[Listed]:
    """Two layers: all directories are in both, and each file and link in one of them."""
    both: list[list[Any]] = [[Directory("Files")], [Directory("Files")]]
    for names, node in nodes.items():
        upper = in_upper(names)
        for number, layer in enumerate(both):
            if node == "directory" or upper == bool(number):
                layer.append(entry("/".join(("Files", *names)), node))
    return [Listed(*layer) for layer in both]


class Lower:
    """The tree as what `build` finds below a new layer."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = {up(names): (names, node) for names, node in nodes.items()}

    def lookup(self, path: str, /) -> Entry | None:
        names, node = self._nodes.get(up(tuple(path.split("/")[1:])), ((), None))
        if node is None:
            return None
        found = entry("/".join(("Files", *names)), node)
        return found[0] if isinstance(found, tuple) else found

    def open(self, path: str, stream: str = "", /) -> Body:  # noqa: ARG002
        return BytesBody(b"")

    def streams(self, path: str, /) -> list[str]:  # noqa: ARG002
        return []


ERRORS: dict[str, type[Exception]] = {"missing": NotFoundError, "refused": LayerError, "directory": UsageError}


@given(trees(), st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_where_paths_lead(nodes: Nodes, data: st.DataObject) -> None:
    path = tuple(data.draw(st.lists(st.sampled_from(NAMES[:9]), min_size=1, max_size=4)))
    tops = data.draw(st.sets(st.sampled_from(sorted(nodes))))
    kind, names = reach({up(names): node for names, node in nodes.items()}, path)
    layers = layers_of(nodes, tops.__contains__)
    wanted = PathQuery("/".join(("Files", *path)), literal=True)
    spelled = {up(one): "/".join(("Files", *one)) for one in (*nodes, ())}.get(up(names), "")

    out: list[bytes] = []
    if kind == "file":
        write_contents(layers, [wanted], out.append)
        assert b"".join(out) == spelled.encode()
    else:
        with pytest.raises(ERRORS[kind]):
            write_contents(layers, [wanted], out.append)

    listed: list[tuple[str, int]] = []
    if kind in ("file", "directory"):
        list_layers(layers, [wanted], lambda one: listed.append((one.path, one.match.depth)))
        assert [path for path, depth in listed if depth == 0] == [spelled]
    else:
        with pytest.raises(ERRORS[kind]):
            list_layers(layers, [wanted], lambda one: listed.append((one.path, one.match.depth)))

    with tempfile.TemporaryDirectory() as folder:
        extracted = Path(folder, "out")
        if kind == "file":
            extract_layers([(layers, [wanted])], extracted)
            [file] = extracted.iterdir()
            assert file.read_bytes() == spelled.encode()
        elif kind != "directory":
            with pytest.raises(ERRORS[kind]):
                extract_layers([(layers, [wanted])], extracted)
            assert not extracted.exists()

    with SourceTree(LayerRecipe()) as tree:
        found = leads_to_directory("new", "\\" + "\\".join(path), tree, Lower(nodes))
    assert found is {"file": False, "directory": True}.get(kind)


@given(trees())
@settings(max_examples=100)
def test_where_single_links_lead(nodes: Nodes) -> None:
    """As verify asks."""
    for names, node in nodes.items():
        if isinstance(node, tuple):
            made = entry("/".join(("Files", *names)), node)
            assert isinstance(made, Directory)
            link = link_of(made.reparse_data)
            assert link is not None
            expected = target(names, node)
            found = resolve_link(made.path, link)
            assert found.path == (None if expected is None else "/".join(("Files", *expected)))
