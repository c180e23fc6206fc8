"""Layers there and back on Windows' own way, under wine with the stand-in: what went in comes out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.compat.wine import standin
from tests.compat.wine.worlds import Batch, base_folder, write
from tests.strategies import items_of, seen, tar_of
from tests.windows.layers import BOOT, OWN, TIME, base_items, child_items, folder, parts, plain
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.entry import File, HardLink
from wclayer.regf.bcd import minimal_bcd


class Trip:
    """Layers imported and exported in one go."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.state = batch.folder / "state"
        self.checks: list[int] = []

    def run(self, *arguments: str | Path) -> None:
        self.checks.append(self.batch.add(arguments, self.state))

    def go(self) -> list[dict[str, Any]]:
        results = self.batch.run()
        for job in self.checks:
            assert results[job]["exit"] == 0, results[job]
        assert standin.violations(self.state) == []
        self.checks = []
        return results


@pytest.mark.parametrize("vm", [False, True])
def test_a_base_layer_and_one_on_top(batch: Batch, vm: bool) -> None:
    place = batch.folder
    base, child = tar_of(base_items(vm=vm)), tar_of(child_items(vm=vm))
    write(place / "base.tar", base)
    write(place / "child.tar", child)
    trip = Trip(batch)
    trip.run("import", "-i", place / "base.tar", place / "base")
    trip.run("import", "-l", place / "base", "-i", place / "child.tar", place / "child")
    trip.run("export", "-o", place / "base.again", place / "base")
    trip.run("export", "--framing", "canonical", "-o", place / "base.canonical", place / "base")
    trip.run("export", "-l", place / "base", "-o", place / "child.again", place / "child")
    trip.run("export", "-l", place / "base", "--framing", "canonical", "-o", place / "child.canonical", place / "child")
    trip.go()
    assert (place / "base.again").read_bytes() == base
    assert (place / "child.again").read_bytes() == child
    # With the framing thrown away, what a plain tree gives on any system.
    plain_base, plain_child = place / "plain base", place / "plain child"
    for tar, layer, parents in ((base, plain_base, ()), (child, plain_child, (plain_base,))):
        import_layer_from_tar(io.BytesIO(tar), layer, parents)
    for layer, name in ((plain_base, "base"), (plain_child, "child")):
        output = io.BytesIO()
        export_layer_to_tar(layer, output, framing="canonical")
        assert (place / f"{name}.canonical").read_bytes() == output.getvalue()
    # What Windows finds there.
    assert (place / "base/Files/dir/f").stat().st_ino == (place / "base/Files/dir/g").stat().st_ino
    assert (place / "child/Files/new/theirs").stat().st_ino == (place / "base/Files/dir/f").stat().st_ino
    assert (place / "child/Files/new/again").stat().st_nlink == 2
    assert not list(place.glob("*partial*"))
    assert not (place / "child/transport").exists()
    if vm:
        kernel = place / "child/UtilityVM/Files/kernel"
        assert (kernel.read_bytes(), (place / "base/UtilityVM/Files/kernel").read_bytes()) == (
            b"newer kernel",
            b"kernel",
        )
        assert not (place / "child/UtilityVM/Files/old").exists()
        assert (place / "base/UtilityVM/Files/old").exists()
        assert (place / "base/bcd.bak").read_bytes() == minimal_bcd(TIME)
        assert (place / "base" / BOOT / "BCD").read_bytes() != minimal_bcd(TIME)


def test_without_a_record(batch: Batch) -> None:
    """As a layer that hcsshim or an engine has made: what the volume says is all that there is."""
    place = batch.folder
    base, child = tar_of(base_items()), tar_of(child_items())
    write(place / "base.tar", base)
    write(place / "child.tar", child)
    trip = Trip(batch)
    trip.run("import", "-i", place / "base.tar", place / "base")
    trip.run("import", "-l", place / "base", "-i", place / "child.tar", place / "child")
    trip.go()
    for name in ("base", "child"):
        (place / name / "layer.db").unlink()
    trip.run("export", "-o", place / "base.again", place / "base")
    trip.run("export", "-l", place / "base", "-o", place / "child.again", place / "child")
    trip.go()
    for name, items in (("base", base_items()), ("child", child_items())):
        found = seen(items_of((place / f"{name}.again").read_bytes()))
        wanted = seen(items)
        assert {tuple(sorted(names)) for names in found.objects} >= {
            tuple(sorted(names))
            for names in wanted.objects
            if not any(n.startswith("UtilityVM/Files/EFI") for n in names)
        }
        for names, (entry, content, _) in wanted.objects.items():
            if names not in found.objects or any(name.startswith(("Hives", "UtilityVM")) for name in names):
                continue
            other, data, _ = found.objects[names]
            assert data == content
            assert other.security_descriptor == entry.security_descriptor, names  # type: ignore[union-attr]
            assert other.reparse_data == entry.reparse_data  # type: ignore[union-attr]
            assert other.extended_attributes == entry.extended_attributes  # type: ignore[union-attr]
        assert {key: value[1] for key, value in found.streams.items()} == {
            key: value[1] for key, value in wanted.streams.items()
        }
    links = [item for item, _, _ in items_of((place / "child.again").read_bytes()) if isinstance(item, HardLink)]
    assert {(link.path, link.target) for link in links} == {
        ("Files/new/file", "Files/new/again"),
        ("Files/new/theirs", "Files/dir/f"),
    }


def test_edits_are_seen(batch: Batch) -> None:
    place = batch.folder
    base = tar_of(base_items())
    write(place / "base.tar", base)
    trip = Trip(batch)
    trip.run("import", "-i", place / "base.tar", place / "base")
    trip.go()
    (place / "base/Files/dir/f").write_bytes(b"edited")
    write(place / "base/Files/dir/added", b"added")
    (place / "base/Files/dir/gone").unlink()
    trip.run("status", "--json", place / "base")
    trip.run("export", "-o", place / "edited.tar", place / "base")
    status = batch.add(["status", place / "base"], trip.state)
    results = batch.run()
    assert sorted(results[status]["output"].split("\n")) == [
        "",
        "changed: Files/dir/f",
        "gone:    Files/dir/gone",
        "new:     Files/dir/added",
    ]
    found = {
        entry.path: (entry, content)
        for entry, content, _ in items_of((place / "edited.tar").read_bytes())
        if isinstance(entry, File)
    }
    assert found["Files/dir/f"][1] == b"edited"
    assert found["Files/dir/f"][0].security_descriptor == OWN
    assert found["Files/dir/added"][1] == b"added"
    assert "Files/dir/gone" not in found


def test_a_layer_from_elsewhere_is_processed(batch: Batch) -> None:
    place = batch.folder
    base, child = tar_of(base_items()), tar_of(child_items())
    import_layer_from_tar(io.BytesIO(base), place / "base")
    import_layer_from_tar(io.BytesIO(child), place / "child", [place / "base"])
    trip = Trip(batch)
    trip.run("process", place / "base")
    trip.run("process", "-l", place / "base", "-o", place / "native", place / "child")
    trip.run("export", "-o", place / "base.again", place / "base")
    trip.run("export", "-l", place / "base", "-o", place / "child.again", place / "native")
    trip.go()
    assert (place / "base.again").read_bytes() == base
    assert (place / "child.again").read_bytes() == child
    assert (place / "base/layout").read_bytes() == b"vhd-with-hives\n"
    again = batch.add(["process", place / "base"], trip.state)
    assert "before" in batch.run()[again]["output"]


def test_debris_is_recognised_and_removed(batch: Batch) -> None:
    place = batch.folder
    base_folder(place / "base", hives=False)
    write(place / "base/blank-base.vhdx", b"of a failed run")
    write(place / "base/layout", b"of a failed run")
    state = batch.folder / "state"
    refused = batch.add(["makebaselayer", place / "base"], state)
    cleaned = batch.add(["makebaselayer", "--clean", place / "base"], state)
    results = batch.run()
    assert results[refused]["exit"] == 13
    assert "--clean" in results[refused]["error"]
    assert results[cleaned]["exit"] == 0, results[cleaned]
    assert (place / "base/layout").read_bytes() == b"vhd-with-hives\n"


def test_a_utility_vm_on_top_of_one(batch: Batch) -> None:
    """Links into and out of it, boot files of its own, no edits that nobody made (as hcsshim's AddLink, import.go)."""
    place = batch.folder
    same = plain("UtilityVM/Files/same", b"same")
    base = tar_of([*base_items(), same])
    links = {
        "UtilityVM/Files/own": "Files/new/file",
        "UtilityVM/Files/theirs": "Files/dir/f",
        "Files/new/out": "UtilityVM/Files/driver",
        "Files/new/below": "UtilityVM/Files/same",
    }
    bcd = minimal_bcd(TIME + 10_000_000)
    items = [
        *child_items(),
        *(folder(path, 40) for path in parts(BOOT)[2:]),
        plain(f"{BOOT}/BCD", bcd, 41),
        *((HardLink(path, target, file_attributes=0x20), None, None) for path, target in links.items()),
    ]
    child = tar_of(items)
    write(place / "base.tar", base)
    write(place / "child.tar", child)
    trip = Trip(batch)
    trip.run("import", "-i", place / "base.tar", place / "base")
    trip.run("import", "-l", place / "base", "-i", place / "child.tar", place / "child")
    status = batch.add(["status", place / "child"], trip.state)
    trip.run("export", "-l", place / "base", "-o", place / "child.again", place / "child")
    results = trip.go()
    assert (results[status]["exit"], results[status]["output"]) == (0, ""), results[status]
    for path, target in links.items():
        owner = place / ("base" if target in ("Files/dir/f", "UtilityVM/Files/same") else "child")
        assert (place / "child" / path).stat().st_ino == (owner / target).stat().st_ino, path
    assert (place / "child/bcd.bak").read_bytes() == bcd
    assert (place / "child" / BOOT / "BCD").read_bytes() != bcd
    assert (place / "child.again").read_bytes() == child
    # Edits are seen all the same, also in a directory that only the parent's utility VM has.
    (place / "child/UtilityVM/Files/driver").write_bytes(b"edited")
    write(place / "child/UtilityVM/Files/EFI/added", b"added")
    edited = batch.add(["status", place / "child"], trip.state)
    results = trip.go()
    assert sorted(results[edited]["output"].split("\n")) == [
        "",
        "changed: UtilityVM/Files/driver",
        "new:     UtilityVM/Files/EFI/added",
    ], results[edited]
