"""Squash, held against a model; any grouping gives the same; and what comes out can be imported."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tests.property.union_model import Item, Stack, key_at, model, see, up
from tests.unit.regf.samples import OTHER_SECURITY, THIRD_SECURITY, TIME
from wclayer import import_layer_from_tar
from wclayer.body import BytesBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Source, Whiteout
from wclayer.errors import LayerError
from wclayer.layers.hives.config_hives import CONFIG, CONFIG_HIVES
from wclayer.layers.squash.layer import SquashedLayer
from wclayer.layertar.writer import TarWriter
from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, Value
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive
from wclayer.win32.reparse import build_link

SQUASH = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
LINK = build_link("C:\\x", True)
HIVES = {path for hive in CONFIG_HIVES for path in (hive.config, hive.delta)}
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


def common(meta: int, *, short: str = "") -> dict[str, Any]:
    return {
        **times(meta),
        "security_descriptor": b"descriptor %d" % (meta % 3),
        "extended_attributes": (ExtendedAttribute(b"EA", b"%d" % meta, meta & 0x80),),
        "short_name": short or None,
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
        # Of this name in a directory there is one.
        more = common(meta, short=f"{up(path.rpartition('/')[2])}~1" if item["short"] else "")
        more["last_write_time"] = item.get("written", meta)
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


def items_of(layer: Source) -> list[Item]:
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
            item["meta"] = (entry.change_time or 0) - 2
        if isinstance(entry, HardLink):
            item |= {"kind": "link", "target": entry.target}
        elif isinstance(entry, File):
            item |= {"kind": "file", "content": content, "short": entry.short_name is not None}
            if entry.path in HIVES:  # what was merged has the time of the newest
                item["written"] = entry.last_write_time
        elif isinstance(entry, Directory):
            item["kind"] = "surrogate" if entry.reparse_data == LINK else "dir"
        assert entry_of(item) == entry
        above = entry.path.rpartition("/")[0]
        assert not above or any(one["kind"] == "dir" and one["path"] == above for one in items)
        items.append(item)
    return items


def squash(layers: Stack, first: int = 0, **more: Any) -> list[Item]:
    return items_of(SquashedLayer([source(layer) for layer in layers], first=first, **more))


def squash_over(layers: Stack, first: int) -> list[Item]:
    """What cannot lie over the rest is refused; then the example is another one."""
    below, above = ({up(path): one[0] for path, one in model(some).items()} for some in (layers[:first], layers))
    full = {path.rpartition("/")[0] for path in below}
    directories = [path for path, kind in below.items() if kind == "dir" and path in full]
    if not any(path.startswith("UTILITYVM/FILES/") and above.get(path) == "file" for path in directories):
        return squash(layers, first)
    with pytest.raises(LayerError, match="changes the utility VM in place"):
        squash(layers, first)
    return reject()


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
            root, kind = draw(st.sampled_from(here)), draw(KINDS)
            path = f"{root}/{draw(PATHS)}"
            if kind == "gone" and (root != "Files" or draw(st.integers(0, 3))):
                path = draw(seen(stack[:-1], root))
            add(draw, stack, path.split("/"), kind)
    return stack


def seen(stack: Stack, root: str) -> st.SearchStrategy[str]:
    """A path that the layers show below a root; the root itself if there is none."""
    paths = sorted({up(item["path"]) for layer in stack for item in layer if item["path"].startswith(f"{root}/")})
    found = [one["path"] for path in paths if (one := see(stack, path))]
    return st.sampled_from(found or [root])


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
        found = [one for each in paths if (one := see(stack, each, len(layer)))]
        targets = [one["path"] for one in found if one["kind"] in ("file", "link")]
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
    one = squash_over(stack[:last], first)
    gone = [up(item["path"]) for item in one if item["kind"] == "gone"]
    live = [up(item["path"]) for item in one if item["kind"] != "gone"]
    assert not set(gone) & set(live)
    grouped = [*stack[:first], one, *stack[last:]]
    assert model(grouped) == expected
    again = data.draw(st.integers(0, len(grouped) - 1))
    assert model([*grouped[:again], squash_over(grouped, again)]) == expected
    assert by_path(squash(grouped)) == by_path(squash(stack))


def by_path(layer: list[Item]) -> list[Item]:
    return sorted(layer, key=lambda item: item["path"])


@given(stacks(), st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_the_result_can_be_imported(stack: Stack, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(stack) - 1))
    with tempfile.TemporaryDirectory() as name:
        parents: list[Path] = []
        for number, layer in enumerate([*stack[:first], squash_over(stack, first)]):
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


# --- the registry -------------------------------------------------------------------

KEYS = ("A", "A\\A", "A\\B", "A\\B\\C", "Ä", "Ä\\A")
SECURITY = (DEFAULT_SECURITY, OTHER_SECURITY, THIRD_SECURITY)
WHOLE = 3
INHERIT = 0x80
Flat = dict[str, Item]


@st.composite
def hives(draw: st.DrawFn, *, base: bool) -> Flat:
    """A hive, or a differencing one."""

    def values(does: int) -> dict[str, Any]:
        gone = st.none() if does == 0 and not base else st.nothing()
        return draw(st.dictionaries(st.sampled_from(["V", "W"]), gone | st.binary(max_size=6), max_size=2))

    flat: Flat = {"": {"does": 0, "class": None, "meta": 0, "name": "ROOT", "values": values(0)}}
    if not base and draw(st.integers(0, 3)) == 0:  # one that changes nothing
        flat[""]["values"] = {}
        return flat
    for path in KEYS:
        above = flat.get(path.rpartition("\\")[0])
        if above is None or above["does"] == 1 or not draw(st.booleans()):
            continue
        does = WHOLE if base else draw(st.sampled_from([3, 3, 1] if above["does"] == WHOLE else [0, 0, 0, 1, 2, 3]))
        name = path.rpartition("\\")[2]
        text = st.sampled_from([b"", b"k\0"])
        flat[path] = {
            "does": does,
            "name": draw(st.sampled_from([name, name.lower()])),
            "meta": draw(st.integers(0, 2)),
            "class": b"" if does == 1 else draw(text if does == WHOLE else text | st.none()),
            "values": {} if does == 1 else values(does),
        }
    return flat


def hive_of(flat: Flat, *, base: bool) -> bytes:
    def key(path: str) -> Key:
        item = flat[path]
        below = [other for other in flat if other and other.rpartition("\\")[0] == path]
        values = [Value(n, 0 if d is None else 3, d or b"", tombstone=d is None) for n, d in item["values"].items()]
        layer = 0 if base or not path else item["does"] | (INHERIT if item["class"] is None else 0)
        return Key(
            item["name"],
            tuple(values),
            tuple(map(key, below)),
            TIME,
            SECURITY[item["meta"]],
            item["class"] or b"",
            layer=layer,
        )

    return write_hive(Hive(key(""), TIME, 5 if base else 6))


def flat_of(data: bytes, *, base: bool) -> Flat:
    hive = read_hive(data)
    assert hive.differencing is not base
    flat: Flat = {}
    for path, key in hive.root.walk():
        flat[up(path)] = {
            "does": WHOLE if base and path else int(key.semantics),
            "name": key.name,
            "meta": SECURITY.index(key.security),
            "class": None if key.inherits_class or not path else key.class_name,
            "values": {value.name: None if value.tombstone else value.data for value in key.values},
        }
    return flat


Registry = list[dict[str, Flat]]  # of each layer, hives by their names


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    both = ["SOFTWARE", "SYSTEM"]
    result = [{name: draw(hives(base=True)) for name in both}]
    for _ in range(draw(st.integers(1, 5))):
        names = draw(st.lists(st.sampled_from(both), unique=True))
        result.append({name: draw(hives(base=False)) for name in names})
    return result


def registry_layer(number: int, found: dict[str, Flat]) -> list[Item]:
    base = number == 0
    parts = CONFIG.split("/") if base else []
    folders = ["/".join(parts[: n + 1]) for n in range(len(parts))] if base else ["Files", "Hives"]
    more: Item = {"meta": (2, 6, 4, 1, 5, 3)[number], "streams": ()}
    items: list[Item] = [{"path": path, "kind": "dir", **more} for path in folders]
    for hive in CONFIG_HIVES:
        if hive.name in found:
            content = hive_of(found[hive.name], base=base)
            path = hive.config if base else hive.delta
            items.append({"path": path, "kind": "file", "content": content, "short": False, **more})
    return items


def registry_of(layer: list[Item], *, base: bool) -> dict[str, Flat]:
    files = {item["path"]: item["content"] for item in layer if item["kind"] == "file"}
    paths = {hive.name: hive.config if base else hive.delta for hive in CONFIG_HIVES}
    assert set(files) <= set(paths.values())
    return {name: flat_of(files[path], base=base) for name, path in paths.items() if path in files}


def keys(registry: Registry) -> dict[tuple[str, str], Any]:
    result = {}
    for hive in sorted({name for layer in registry for name in layer}):
        stack = [layer[hive] for layer in registry if hive in layer]
        for path in ("", *KEYS):
            found = key_at(stack, path)
            values = {name: data for name, data in found[3].items() if data is not None} if found else {}
            # A differencing hive says nothing of the root itself.
            result[hive, path] = found and (*(found[:3] if path else ()), values)
    return result


@given(registries(), st.data())
@SQUASH
def test_the_registry(registry: Registry, data: st.DataObject) -> None:
    """Merged into the base's hives, or into differencing ones; in any grouping."""
    stack = [registry_layer(number, layer) for number, layer in enumerate(registry)]
    expected = keys(registry)
    direct = squash(stack)
    assert keys([registry_of(direct, base=True)]) == expected
    first = data.draw(st.integers(0, len(stack) - 1))
    last = data.draw(st.integers(first + 1, len(stack)))
    one = squash(stack[:last], first)
    assert keys([*registry[:first], registry_of(one, base=first == 0), *registry[last:]]) == expected
    grouped = squash([*stack[:first], one, *stack[last:]])
    assert keys([registry_of(grouped, base=True)]) == expected
    assert by_path([{**item, "content": None} for item in grouped]) == by_path(
        [{**item, "content": None} for item in direct]
    )
