"""The names of one layer: import, squash, verify and the index of a base stop where a model does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.namespace_model import Item, first_fault, up
from wclayer.body import BytesBody
from wclayer.builder.base_index import index_layer
from wclayer.entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import WclayerError
from wclayer.host.spool import Spool
from wclayer.stores.posix.sink import PosixSink
from wclayer.union.tree import LayerNames, MergedTree
from wclayer.verify.findings import Report
from wclayer.verify.names import CheckedNames, NameCheck
from wclayer.verify.notes import Notes
from wclayer.win32.reparse import build_link

LINK = build_link("C:\\x", True)
BELOW: list[Item] = [
    *({"path": path, "kind": "dir"} for path in ("Files", "Files/d", "UtilityVM", "UtilityVM/Files")),
    *({"path": path, "kind": "file"} for path in ("Files/f", "Files/d/x", "UtilityVM/Files/f")),
    {"path": "Files/j", "kind": "junction"},
]
NAMES = ("a", "A", "b", "d", "D", "f", "j")
ROOTS = ("Files", "UtilityVM/Files")
VOLUMES = tuple(f"{root}/" for root in ROOTS)


def entry_of(item: Item) -> Entry:
    path, kind = item["path"], item["kind"]
    if kind == "stream":
        return AlternateStream(path, item["name"], 0)
    if kind == "gone":
        return Whiteout(path)
    if kind == "link":
        return HardLink(path, item["target"])
    if kind == "file":
        return File(path, file_attributes=0x20)
    return Directory(path, file_attributes=0x10, reparse_data=LINK if kind == "junction" else None)


@st.composite
def layers(draw: st.DrawFn) -> tuple[list[Item], bool]:
    """A layer that is sound so far, and goes on with entries of all kinds; is it a base layer?"""
    base = draw(st.booleans())
    items: list[Item] = [{"path": path, "kind": "dir"} for path in ("Files", "UtilityVM", "UtilityVM/Files")]
    kinds = ["dir", "dir", "file", "file", "junction", "link", "stream", *([] if base else ["gone", "gone"])]
    for _ in range(draw(st.integers(0, 14))):
        kind = draw(st.sampled_from(kinds))
        parents = [*ROOTS, *(item["path"] for item in items if item["kind"] != "stream")]
        path = f"{draw(st.sampled_from(parents[-6:] + parents[:1]))}/{draw(st.sampled_from(NAMES))}"
        if not path.startswith(VOLUMES):
            continue
        item: Item = {"path": path, "kind": kind}
        if kind == "stream":
            owner = items[-1]["path"] if draw(st.integers(0, 5)) else draw(st.sampled_from(parents))
            item = {"path": owner, "kind": kind, "name": draw(st.sampled_from(("s", "S", "t")))}
        elif kind == "link":
            targets = [one["path"] for one in [*items, *BELOW] if one["path"].startswith(VOLUMES)]
            target = draw(st.sampled_from(targets))
            root = next(root for root in VOLUMES if target.startswith(root))
            item["target"] = root + up(target[len(root) :]) if draw(st.booleans()) else target
        items.append(item)
    return items, base


class Below:
    """What the model knows of the lower layers, for the sink."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self._kinds = kinds

    def lookup(self, path: str, /) -> Entry | None:
        kind = self._kinds.get(up(path))
        return None if kind is None else entry_of({"path": path, "kind": kind})

    def open(self, _path: str, _stream: str = "", /) -> Body:
        return BytesBody(b"")

    def streams(self, _path: str, /) -> Sequence[str]:
        return ()


def first_error(add: Callable[[Entry], Any], items: list[Item]) -> str | None:
    for item in items:
        try:
            add(entry_of(item))
        except WclayerError as error:
            return rule_of(error)
    return None


def rule_of(error: WclayerError) -> str:
    return "none" if error.rule is None else error.rule.value


def importing(items: list[Item], below: dict[str, str] | None) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        sink = PosixSink(Path(folder) / "layer", parents=None if below is None else Below(below))
        try:
            return first_error(
                lambda entry: sink.add(entry, BytesBody(b"") if isinstance(entry, File) else None), items
            )
        finally:
            sink.abort()


def squashing(items: list[Item], base: bool) -> str | None:
    tree = MergedTree()
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(folder)
        try:
            if not base:
                lower = LayerNames(0, tree, spool, {})
                for item in BELOW:
                    lower.add(entry_of(item), None)
                tree.put(lower)
            names = LayerNames(0 if base else 1, tree, spool, {})
            return first_error(lambda entry: names.add(entry, None), items)
        finally:
            spool.close()


def verifying(items: list[Item], base: bool) -> str | None:
    """The first finding that an import would stop at."""
    below: list[CheckedNames] = []
    if not base:
        lower = NameCheck(Notes(Report(), "lower"), [], base=True)
        for item in BELOW:
            lower.see(entry_of(item), None, None)
        below = [lower.names]
    report = Report()
    check = NameCheck(Notes(report, "layer"), below, base=base)
    for item in items:
        check.see(entry_of(item), None, None)
        for finding in report.findings:
            if finding.severity.name == "ERROR":
                return finding.rule.code.value
    return None


def indexing(items: list[Item]) -> str | None:
    """What build --from makes of its base: it knows nothing of lower layers, so it believes links."""
    try:
        with index_layer(None, lambda: [entry_of(item) for item in items]):
            return None
    except WclayerError as error:
        return rule_of(error)


@given(layers())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_all_stop_at_the_same_entry(drawn: tuple[list[Item], bool]) -> None:
    items, base = drawn
    below = None if base else {up(item["path"]): item["kind"] for item in BELOW}
    expected = first_fault(items, below)
    assert importing(items, below) == expected
    assert squashing(items, base) == expected
    assert verifying(items, base) == expected
    believed = [item for item in items if item["kind"] != "stream"]
    for item in believed:
        if item["kind"] == "link":
            item["target"] = "Files/f"
    everything = {**dict.fromkeys((up(item["path"]) for item in items), "file"), "FILES/F": "file"}
    if not any(up(item["path"]) == "FILES/F" for item in items):
        assert indexing(believed) == first_fault(believed, everything)
