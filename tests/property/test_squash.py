"""Squash, held against a model; any grouping gives the same; and what comes out can be imported."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.squash_model import Item, Stack, model, see, up
from wclayer import import_layer_from_tar
from wclayer.body import BytesBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.layers.squash import SquashedLayer
from wclayer.layertar.writer import TarWriter
from wclayer.win32.reparse import build_link

SQUASH = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
LINK = build_link("C:\\x", True)
ODD = bytes.fromhex("18000080 00000000")  # a reparse point that is a real directory


# --- items as entries, and back -----------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """Entries in memory as a source."""

    steps: Sequence[tuple[Entry, bytes | None]]
    restartable: bool = True

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        for entry, content in self.steps:
            yield entry, None if content is None else BytesBody(content)


def times(meta: int) -> dict[str, Any]:
    return {"creation_time": meta + 1, "last_access_time": None, "last_write_time": meta, "change_time": meta + 2}


def common(meta: int, *, short: bool = False) -> dict[str, Any]:
    return {
        **times(meta),
        "security_descriptor": b"descriptor %d" % (meta % 3),
        "extended_attributes": (ExtendedAttribute(b"EA", b"%d" % meta, meta & 0x80),),
        "short_name": "SHORT~1" if short else None,
        "object_id": b"%16d" % meta,
    }


def entry_of(item: Item) -> Entry:
    kind, path, meta = item["kind"], item["path"], item.get("meta", 0)
    if kind == "gone":
        return Whiteout(path)
    if kind == "link":
        return HardLink(path, item["target"], file_attributes=meta << 8, **times(meta))
    if kind == "file":
        size = len(item["content"])
        more = common(meta, short=item["short"])
        return File(path, file_attributes=meta << 8, size=size, data_stream=bool(size or meta % 2), **more)
    reparse = LINK if kind == "surrogate" else ODD if meta % 4 == 0 and "/" in path else None
    return Directory(path, file_attributes=0x10 | meta << 8, reparse_data=reparse, **common(meta))


def steps_of(layer: list[Item]) -> Iterator[tuple[Entry, bytes | None]]:
    for item in layer:
        yield entry_of(item), item["content"] if item["kind"] == "file" else None
        for name, content in item.get("streams", ()):
            yield AlternateStream(item["path"], name, len(content)), content


def source(layer: list[Item]) -> Layer:
    return Layer(list(steps_of(layer)))


def items_of(layer: SquashedLayer) -> list[Item]:
    """What was squashed, as items again; nothing of the metadata may have changed."""
    items: list[Item] = []
    for entry, body in layer.entries():
        content = None if body is None else body.read()
        if isinstance(entry, AlternateStream):
            assert content is not None
            assert entry.size == len(content)
            assert entry.path == items[-1]["path"]
            items[-1]["streams"] += ((entry.name, content),)
            continue
        item: Item = {"path": entry.path, "kind": "gone", "streams": ()}
        if not isinstance(entry, Whiteout):
            item["meta"] = entry.last_write_time
        if isinstance(entry, HardLink):
            item |= {"kind": "link", "target": entry.target}
        elif isinstance(entry, File):
            item |= {"kind": "file", "content": content, "short": entry.short_name is not None}
        elif isinstance(entry, Directory):
            item["kind"] = "surrogate" if entry.reparse_data == LINK else "dir"
        assert entry_of(item) == entry
        above = entry.path.rpartition("/")[0]
        assert not above or any(one["kind"] == "dir" and one["path"] == above for one in items)
        items.append(item)
    return items


def squash(layers: Stack, first: int = 0, **more: Any) -> list[Item]:
    return items_of(SquashedLayer([source(layer) for layer in layers], first=first, **more))


def tar_of(layer: list[Item]) -> io.BytesIO:
    out = io.BytesIO()
    with TarWriter(out) as tar:
        for entry, content in steps_of(layer):
            tar.add(entry, None if content is None else BytesBody(content))
        tar.commit()
    out.seek(0)
    return out


# --- random stacks ------------------------------------------------------------------

NAMES = st.sampled_from(["a", "A", "b", "ä", "Ä"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["dir", "surrogate", *["file"] * 4, *["link"] * 4, "gone", "gone"])
STREAMS = st.just(()) | st.lists(
    st.tuples(st.sampled_from(["s", "S", "t"]), st.binary(max_size=3)), max_size=2, unique_by=lambda s: up(s[0])
).map(tuple)


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    stack: Stack = []
    roots = draw(st.sampled_from([["Files"], ["Files", "UtilityVM/Files"]]))
    for number in range(draw(st.integers(1, 6))):
        layer: list[Item] = []
        stack.append(layer)
        here = roots if number == 0 else draw(st.sampled_from([roots, roots, roots[:1], roots[1:]]))
        for root in here:
            add(draw, stack, root.split("/"), "dir")
        for _ in range(draw(st.integers(2, 10)) if here else 0):
            root = draw(st.sampled_from(here))
            add(draw, stack, [*root.split("/"), *draw(PATHS).split("/")], draw(KINDS))
    return stack


def add(draw: st.DrawFn, stack: Stack, parts: list[str], kind: str) -> None:
    """An item of that kind, with the directories on the way to it, if the layer can have it."""
    layer = stack[-1]
    path = "/".join(parts)

    def has(name: str) -> Item | None:
        return next((item for item in layer if up(item["path"]) == up(name)), None)

    if has(path) is not None or (kind == "gone" and len(stack) == 1):
        return
    item: Item = {"kind": kind, "meta": draw(st.integers(1, 200)), "streams": ()}
    if kind == "gone":
        if path.startswith("UtilityVM") and see(stack[:-1], path) is None:
            return
        layer.append({**item, "path": path})
        return
    for n in range(1, len(parts)):
        above = has("/".join(parts[:n]))
        if above is None:
            more = {"kind": "dir", "meta": draw(st.integers(1, 200)), "streams": draw(STREAMS)}
            layer.append({**more, "path": "/".join(parts[:n])})
        elif above["kind"] != "dir":
            return
        else:
            parts[:n] = above["path"].split("/")
    if kind == "link":
        paths = sorted({up(one["path"]) for below in stack for one in below})
        seen = [found[2] for one in paths if (found := see(stack, one, len(layer)))]
        targets = [one["path"] for one in seen if one["kind"] in ("file", "link")]
        if not targets:
            return
        target = draw(st.sampled_from(targets))
        root = "UtilityVM/Files" if target.startswith("Utility") else "Files"
        rest = target[len(root) :]
        item["target"] = root + draw(st.sampled_from([rest, up(rest), rest.lower()]))
    if kind == "file":
        item |= {"content": draw(st.binary(max_size=3)), "short": draw(st.booleans())}
    if kind != "link":
        item["streams"] = draw(STREAMS)
    layer.append({**item, "path": "/".join(parts)})


# --- the properties -----------------------------------------------------------------


@given(stacks())
@SQUASH
def test_all_layers(stack: Stack) -> None:
    """One base layer shows what all of them do."""
    result = squash(stack)
    assert not any(item["kind"] == "gone" for item in result)
    assert model([result]) == model(stack)


@given(stacks(), st.data())
@SQUASH
def test_the_top_layers(stack: Stack, data: st.DataObject) -> None:
    """One layer over the rest shows what all of them do, and so does any grouping."""
    first = data.draw(st.integers(0, len(stack) - 1))
    last = data.draw(st.integers(first + 1, len(stack)))
    expected = model(stack)
    one = squash(stack[:last], first)
    gone = [up(item["path"]) for item in one if item["kind"] == "gone"]
    live = [up(item["path"]) for item in one if item["kind"] != "gone"]
    assert not set(gone) & set(live)
    grouped = [*stack[:first], one, *stack[last:]]
    assert model(grouped) == expected
    again = data.draw(st.integers(0, len(grouped) - 1))
    assert model([*grouped[:again], squash(grouped, again)]) == expected
    assert by_path(squash(grouped)) == by_path(squash(stack))


def by_path(layer: list[Item]) -> list[Item]:
    return sorted(layer, key=lambda item: item["path"])


@given(stacks(), st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_the_result_can_be_imported(stack: Stack, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(stack) - 1))
    with tempfile.TemporaryDirectory() as name:
        parents: list[Path] = []
        for number, layer in enumerate([*stack[:first], squash(stack, first)]):
            folder = Path(name, str(number))
            import_layer_from_tar(tar_of(layer), folder, parents)
            parents.insert(0, folder)


@given(stacks())
@SQUASH
def test_without_the_utility_vm(stack: Stack) -> None:
    """What is left keeps its content, also where that lay in the utility VM."""
    expected = {path: found for path, found in model(stack).items() if not path.startswith("UtilityVM")}
    found = model([squash(stack, drop_utility_vm=True)])
    assert found.keys() == expected.keys()
    for path, one in expected.items():
        assert one[0] == found[path][0]
        assert one[1][:3] == found[path][1][:3] if one[0] == "file" else one == found[path]
