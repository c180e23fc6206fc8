"""Images and image.toml from strangers: read, or refused with our error; layers seen as one, held against a model."""

from __future__ import annotations

import gzip
import os
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.images import BASE_TAR, TOP_TAR, docker_members, layout, members, tar
from wclayer.builder.base_index import LowerView, index_layer
from wclayer.builder.spec import load_recipe
from wclayer.builder.spec_keys import IMAGE, TABLES
from wclayer.entry import Directory, Entry, File, Whiteout
from wclayer.errors import FormatError, ImageError, WclayerError
from wclayer.images.options import ImageOptions
from wclayer.images.reading import open_image
from wclayer.images.spec.documents import parse_json


def _archives() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        made = members(layout(Path(name) / "d", [BASE_TAR, TOP_TAR], gzipped=True))
    return {
        "oci-archive": tar(made),
        "docker-archive": tar([*docker_members()[:2], ("0/layer.tar", gzip.compress(BASE_TAR, mtime=0))]),
    }


ARCHIVES = _archives()


@given(
    st.sampled_from(sorted(ARCHIVES)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
    st.none() | st.integers(0, 1 << 16),
)
def test_an_archive_with_other_bytes(transport: str, changes: list[tuple[int, bytes]], size: int | None) -> None:
    """It is refused with our error, or every byte that matters is as it was."""
    data = bytearray(ARCHIVES[transport])
    for place, new in changes:
        start = place % len(data)
        data[start : start + len(new)] = new[: len(data) - start]
    with tempfile.TemporaryDirectory() as name:
        path = os.path.join(name, "a.tar")
        Path(path).write_bytes(data if size is None else data[: size % len(data)])
        said = ""
        found: list[str] | None
        try:
            with open_image(f"{transport}:{path}", options=ImageOptions(temp_dir=name)) as image:
                found = [entry.path for layer in image.layers for entry, _ in layer.source().entries()]
        except WclayerError as error:
            said = str(error)
            found = None
    assert "\n" not in said if found is None else "Files/f" in found


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:0123456789.eE+-\\ud8ntrfalsN', max_size=40).map(str.encode))
def test_any_bytes_as_json(data: bytes) -> None:
    with suppress(ImageError):
        parse_json(data, "it")


KEYS = sorted({*IMAGE, *(key for keys in TABLES.values() for key in keys), "other"})
VALUES = st.sampled_from(
    [
        '""',
        '"x"',
        "'C:\\x'",
        "1",
        "-1",
        "1.5",
        "true",
        "[]",
        "['a']",
        "[1]",
        "{}",
        "{a='b'}",
        "1979-05-27T07:32:00Z",
        "nan",
    ]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["[image]", *(f"[[{name}]]" for name in TABLES), "[files]", "[x]"]),
            st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=4, unique_by=lambda pair: pair[0]),
        ),
        max_size=4,
    )
)
def test_any_image_toml(tables: list[tuple[str, list[tuple[str, str]]]]) -> None:
    text = "\n".join("\n".join((head, *(f"{key} = {value}" for key, value in pairs))) for head, pairs in tables)
    with suppress(FormatError):
        load_recipe(text.encode(), source="image.toml", folder="f")


@given(st.binary(max_size=80))
def test_any_bytes_as_image_toml(data: bytes) -> None:
    with suppress(FormatError):
        load_recipe(data, source="image.toml", folder="f")


# --- layers seen as one, and a model of what a container sees ---------------------

NAMES = ("a", "A", "b", "B")
PATHS = [f"Files/{one}{two}{three}" for one in NAMES for two in ("", "/a", "/A", "/b") for three in ("", "/a", "/B")]
LAYERS = st.lists(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["directory", "file", "gone"]), max_size=8),
    min_size=1,
    max_size=4,
)


def entries_of(layer: dict[str, str]) -> list[Entry]:
    """A layer of these names that an import would take: parents first, each name once, nothing below files."""
    found: dict[str, Entry] = {"FILES": Directory("Files")}
    gone: set[str] = set()
    for path in sorted(layer, key=lambda path: (path.count("/"), path)):
        kind = layer[path]
        key = path.upper()
        above = found.get(key.rpartition("/")[0])
        if key in found or key in gone or not isinstance(above, Directory):
            continue
        path = f"{above.path}/{path.rpartition('/')[2]}"  # noqa: PLW2901 # a directory has one spelling
        if kind == "gone":
            gone.add(key)
            found[f"{key}?"] = Whiteout(path)
            continue
        found[key] = Directory(path) if kind == "directory" else File(path)
    return list(found.values())


def model(layers: list[list[Entry]]) -> dict[str, Entry]:
    """What is seen, base first: each layer put over what was there, one entry after the other."""
    seen: dict[str, Entry] = {}
    for layer in layers:
        for entry in layer:
            key = entry.path.upper()
            if not isinstance(entry, Directory):
                for below in [one for one in seen if one == key or one.startswith(f"{key}/")]:
                    del seen[below]
            if not isinstance(entry, Whiteout):
                seen[key] = entry
    return seen


@given(LAYERS)
def test_layers_seen_as_one(layers: list[dict[str, str]]) -> None:
    made = [entries_of(layer) for layer in layers]
    expected = model(made)
    with ExitStack() as stack:
        known = [stack.enter_context(index_layer(None, lambda layer=layer: layer)) for layer in made]  # type: ignore[misc]
        below = LowerView(known[::-1])
        for path in PATHS:
            assert below.lookup(path) == expected.get(path.upper()), path
