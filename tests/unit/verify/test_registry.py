"""The rules of the registry and the boot store: for each a layer that breaks it, and one that does not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tars import M, build, directory
from tests.unit.regf.logs import changes, dirty, log
from tests.unit.regf.samples import TIME, Broken, crowd, small
from tests.unit.verify.cases import Cases, check, found_in
from wclayer.codes import Code
from wclayer.errors import WclayerError
from wclayer.layers.hives import config_hives as hives
from wclayer.layers.hives.config_hives import CONFIG, CONFIG_HIVES
from wclayer.layertar.reader import TarSource
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.delta import empty_delta
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, dword
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive
from wclayer.verify.findings import Finding, Report
from wclayer.verify.notes import Notes
from wclayer.verify.registry import RegistryCheck
from wclayer.verify.rules import RULES, Target

DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM = CONFIG_HIVES
INHERIT, TREE = 0x80, 3
BCD = "UtilityVM/Files/EFI/Microsoft/Boot/BCD"


def hive(*subkeys: Key) -> bytes:
    return write_hive(Hive(Key("ROOT", (), subkeys, TIME), TIME))


def delta(*subkeys: Key) -> bytes:
    return write_hive(Hive(Key("ROOT", (), subkeys, TIME), TIME, 6))


MINIMAL, EMPTY = minimal_hive(TIME), write_hive(empty_delta(TIME))
BEFORE, AFTER = write_hive(small()), write_hive(crowd(40))
DIRTY = dirty(BEFORE, 2, 1)
LOG = log(BEFORE, changes(BEFORE, AFTER, 2))
ALL = {one.config: MINIMAL for one in CONFIG_HIVES}


def broken(data: bytes) -> bytes:
    """The hive, its root no key any more."""
    changed = Broken(data)
    changed.put("H", changed.cell(36), 0)
    return bytes(changed)


def odd(data: bytes) -> bytes:
    """The hive with something that Windows repairs: a root that can be deleted."""
    changed = Broken(data)
    changed.put("H", changed.cell(36) + 2, 0x24)
    return bytes(changed)


def folder(name: str) -> M:
    """A directory whose name has no slash at its end, which tarfile would write."""
    return directory(name, path=name)


def tar(content: dict[str, bytes | M]) -> bytes:
    """A layer of these files, and the directories that they lie in."""
    above: dict[str, M] = {"Files": directory("Files")}
    files = []
    for path, item in content.items():
        parts = path.split("/")
        for number in range(1, len(parts)):
            name = "/".join(parts[:number])
            above.setdefault(name, folder(name))
        files.append(item if isinstance(item, M) else M(path, item))
    return build([*above.values(), *files])


def base(**changed: bytes | M | None) -> bytes:
    """A base layer with five hives, but for those that are named here, without their folder."""
    content: dict[str, bytes | M] = {**ALL}
    for name, item in changed.items():
        path = f"{CONFIG}/{name}"
        content.pop(path, None)
        if item is not None:
            content[path] = item
    return tar(content)


def boot(item: bytes | M | None, *, vm: bool = True) -> bytes:
    content: dict[str, bytes | M] = {**ALL}
    if item is not None:
        content[BCD] = item
    elif vm:
        content["UtilityVM/Files"] = folder("UtilityVM/Files")
    return tar(content)


def upper(**deltas: bytes) -> bytes:
    """A layer above, with these files in Hives/."""
    return tar({f"Hives/{name}": data for name, data in deltas.items()})


BASE = base()
ACME = base(SOFTWARE=hive(Key("Acme", (dword("a", 1),), last_written=TIME)))
TOUCHES = delta(Key("Acme", (dword("a", 2),), last_written=TIME, layer=INHERIT))
LINK = M(f"{CONFIG}/SAM", type="2", link="DEFAULT", pax={"MSWINDOWS.fileattr": "1024"})

CASES: Cases = {
    Code.HIVE_MISSING: (base(SAM=None), BASE),
    Code.HIVE_EMPTY: (base(SAM=b""), BASE),
    Code.HIVE_BROKEN: (base(SAM=broken(MINIMAL)), BASE),
    Code.HIVE_DIRTY: (base(SAM=DIRTY), base(SAM=BEFORE)),
    Code.HIVE_DIRTY_WITH_LOGS: (
        base(SAM=DIRTY, **{"SAM.LOG1": LOG}),
        base(SAM=BEFORE, **{"SAM.LOG1": LOG}),
    ),
    Code.HIVE_DIFFERENCING: (base(SAM=EMPTY), BASE),
    Code.HIVE_NO_FILE: (base(SAM=LINK), BASE),
    Code.HIVE_HARD_LINK: (
        base(SAM=M(f"{CONFIG}/SAM", type="1", link=f"{CONFIG}/DEFAULT")),
        base(name=M(f"{CONFIG}/other", type="1", link=f"{CONFIG}/DEFAULT")),
    ),
    Code.HIVE_HEALED: (base(SAM=odd(MINIMAL)), BASE),
    Code.DELTA_BROKEN: ([BASE, upper(Sam_Delta=broken(EMPTY))], [BASE, upper(Sam_Delta=EMPTY)]),
    Code.DELTA_ORDINARY: ([BASE, upper(Sam_Delta=MINIMAL)], [BASE, upper(Sam_Delta=EMPTY)]),
    Code.DELTA_OF_OTHER_BASE: (
        [BASE, upper(Software_Delta=TOUCHES)],
        [ACME, upper(Software_Delta=TOUCHES)],
    ),
    Code.DELTA_MISSING: (
        [BASE, upper(Sam_Delta=EMPTY), upper(Software_Delta=EMPTY)],
        [BASE, upper(Software_Delta=EMPTY), upper(Software_Delta=EMPTY)],
    ),
    Code.HIVES_UNKNOWN: ([BASE, upper(Sam_Base=EMPTY)], [BASE, upper(SAM_DELTA=EMPTY)]),
    Code.HIVE_ABOVE_BASE: ([BASE, tar({SAM.config: MINIMAL})], [BASE, tar({f"{CONFIG}/SAM.sav": MINIMAL})]),
    Code.BCD_MISSING: (boot(None), boot(None, vm=False)),
    Code.BCD_NO_FILE: (boot(directory(BCD)), boot(minimal_bcd(TIME))),
    Code.BCD_BROKEN: (boot(minimal_bcd(TIME)[:-1]), boot(minimal_bcd(TIME))),
}

# Of what the first layers break: the path, and what is said.
SAID = {
    Code.HIVE_MISSING: (SAM.config, "a base layer without this hive of the registry"),
    Code.HIVE_EMPTY: (SAM.config, "an empty file, where a hive must be; expected 8,192 bytes or more; got 0"),
    Code.HIVE_BROKEN: (SAM.config, "a broken hive: "),
    Code.HIVE_DIRTY: (SAM.config, "a dirty hive without logs: "),
    Code.HIVE_DIRTY_WITH_LOGS: (SAM.config, "a dirty hive, complete with its logs"),
    Code.HIVE_DIFFERENCING: (SAM.config, "a differencing hive, where an ordinary one must be"),
    Code.HIVE_NO_FILE: (SAM.config, "a link (SYMLINK), where a hive of the registry must be"),
    Code.HIVE_HARD_LINK: (SAM.config, f"a hive that is a hard link; got {DEFAULT.config}"),
    Code.HIVE_HEALED: (SAM.config, "a hive with 1 thing that Windows repairs: "),
    Code.DELTA_BROKEN: (SAM.delta, "a broken differencing hive: "),
    Code.DELTA_ORDINARY: (SAM.delta, "an ordinary hive, where a differencing one must be"),
    Code.DELTA_OF_OTHER_BASE: (
        SOFTWARE.delta,
        "a differencing hive of another base: 1 key changes what no layer below has, the first Acme",
    ),
    Code.DELTA_MISSING: (
        SOFTWARE.delta,
        "a differencing hive on top of a layer that has none; expected Hives/Software_",
    ),
    Code.HIVES_UNKNOWN: ("Hives/Sam_Base", "no hive of Windows' in Hives/"),
    Code.HIVE_ABOVE_BASE: (
        SAM.config,
        "a hive of the registry in a layer above the base layer; expected Hives/Sam_Delta",
    ),
    Code.BCD_MISSING: (BCD, "a utility VM without a boot store"),
    Code.BCD_NO_FILE: (BCD, "a directory, where the boot store must be"),
    Code.BCD_BROKEN: (BCD, "a broken boot store: "),
}


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name.lower())
def test_each_rule(tmp_path: Path, code: Code) -> None:
    check(code, CASES[code], tmp_path)


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name.lower())
def test_where_and_what(tmp_path: Path, code: Code) -> None:
    layers = CASES[code][0]
    (finding,) = (one for one in found_in(layers, tmp_path) if one.rule.code is code)
    path, text = SAID[code]
    assert finding.path == path
    assert text in str(finding)
    with tarfile.open(fileobj=io.BytesIO(layers if isinstance(layers, bytes) else layers[-1])) as layer:
        missing = code in (Code.HIVE_MISSING, Code.BCD_MISSING)
        assert finding.offset == (None if missing else layer.getmember(path).offset)


def seen(
    check: RegistryCheck, report: Report, name: str, layer: bytes, *, base: bool = False, known: bool = True
) -> None:
    check.begin(Notes(report, name), base=base, known=known)
    source = TarSource(io.BytesIO(layer))
    for entry, body in source.entries():
        check.see(entry, body, source.offset)
    check.end()


def registry(*layers: bytes, based: bool = True) -> list[Finding]:
    """What the check alone finds in layers, base first."""
    report = Report()
    with RegistryCheck() as check:
        for number, layer in enumerate(layers):
            seen(check, report, f"layer {number}", layer, base=based and number == 0)
    return report.findings


def said(*layers: bytes, based: bool = True) -> list[tuple[str, Code, str | None]]:
    return [(one.layer, one.rule.code, one.path) for one in registry(*layers, based=based)]


# --- the hives of a base layer ----------------------------------------------------


def test_a_layer_with_nothing_lacks_all_five() -> None:
    found = registry(tar({}))
    assert [one.path for one in found] == [
        f"{CONFIG}/{name}" for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
    ]
    assert {one.rule.code for one in found} == {Code.HIVE_MISSING}


def test_names_are_compared_as_windows_does() -> None:
    layer = tar({path.upper().replace("FILES/", "Files/", 1): data for path, data in ALL.items()})
    assert registry(layer) == []


@pytest.mark.parametrize(
    ("logs", "code", "text"),
    [
        ({"SAM.LOG1": LOG}, Code.HIVE_DIRTY_WITH_LOGS, "complete with its logs"),
        ({"sam.log2": LOG, "SAM.LOG1": b""}, Code.HIVE_DIRTY_WITH_LOGS, "complete with its logs"),
        ({"SAM.LOG1": b""}, Code.HIVE_DIRTY, "without logs: "),
        ({"SAM.LOG": LOG}, Code.HIVE_DIRTY, "without logs: "),
        ({"SYSTEM.LOG1": LOG}, Code.HIVE_DIRTY, "without logs: "),
        ({"SAM.LOG1": b"no log"}, Code.HIVE_DIRTY, "log 1 is not a transaction log"),
    ],
)
def test_logs(logs: dict[str, bytes], code: Code, text: str) -> None:
    (finding,) = registry(base(SAM=DIRTY, **logs))
    assert finding.rule.code is code
    assert text in finding.message


def test_a_hive_that_is_broken_with_its_logs() -> None:
    after = Broken(AFTER)
    after.put("I", 4096, 0)  # "hbin"
    found = registry(base(SAM=DIRTY, **{"SAM.LOG1": log(BEFORE, changes(BEFORE, bytes(after), 2))}))
    assert [one.rule.code for one in found] == [Code.HIVE_DIRTY]
    assert "stays broken with its logs" in found[0].message


def test_a_hive_whose_keys_are_broken_with_its_logs() -> None:
    changed = Broken(AFTER)
    changed.put("H", changed.key("key 00007"), 0)
    found = registry(base(SAM=DIRTY, **{"SAM.LOG1": log(BEFORE, changes(BEFORE, bytes(changed), 2))}))
    assert [one.rule.code for one in found] == [Code.HIVE_DIRTY_WITH_LOGS, Code.HIVE_BROKEN]


def test_where_a_hive_is_broken_is_said() -> None:
    changed = Broken(BEFORE)
    changed.put("H", changed.key("Deepest"), 0)
    (finding,) = registry(base(SAM=bytes(changed)))
    assert finding.rule.code is Code.HIVE_BROKEN
    assert f"(at {changed.key('Deepest'):,} in it)" in finding.message
    assert finding.expected is not None


@pytest.mark.parametrize("item", [directory(f"{CONFIG}/SAM"), LINK], ids=["directory", "link"])
def test_no_file(item: M) -> None:
    assert said(base(SAM=item)) == [("layer 0", Code.HIVE_NO_FILE, SAM.config)]


def test_a_hive_too_large_is_not_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wclayer.verify.registry.MAX_HIVE", 8192)
    (finding,) = registry(base(SAM=write_hive(crowd(100))))
    assert (finding.rule.code, finding.expected) == (Code.HIVE_BROKEN, "at most 8,192 bytes")
    assert hives.MAX_HIVE > 8192


def hard_link(path: str, target: str) -> M:
    return M(path, type="1", link=target)


def test_a_hive_that_is_a_hard_link_of_an_empty_file() -> None:
    link = hard_link(SAM.config, "Files/second")
    files: dict[str, bytes | M] = {"Files/EMPTY": b"", "Files/second": hard_link("Files/second", "Files/empty")}
    layer = tar({**files, **ALL, SAM.config: link})
    assert said(layer) == [("layer 0", Code.HIVE_HARD_LINK, SAM.config), ("layer 0", Code.HIVE_EMPTY, SAM.config)]
    files["Files/EMPTY"] = MINIMAL
    assert said(tar({**files, **ALL, SAM.config: link})) == [("layer 0", Code.HIVE_HARD_LINK, SAM.config)]
    # Empty is what is empty in this layer.
    assert said(tar({**ALL, "Files/e": b""}), tar({"Hives/Sam_Delta": hard_link("Hives/Sam_Delta", "Files/e")})) == [
        ("layer 1", Code.HIVE_HARD_LINK, SAM.delta)
    ]
    assert said(BASE, tar({"Files/e": b"", SAM.delta: hard_link(SAM.delta, "Files/e")})) == [
        ("layer 1", Code.HIVE_HARD_LINK, SAM.delta),
        ("layer 1", Code.DELTA_BROKEN, SAM.delta),
    ]


def test_a_hive_that_is_a_hard_link_of_another_one() -> None:
    link = hard_link(SAM.config, DEFAULT.config)
    assert said(base(DEFAULT=broken(MINIMAL), SAM=link)) == [
        ("layer 0", Code.HIVE_BROKEN, DEFAULT.config),
        ("layer 0", Code.HIVE_HARD_LINK, SAM.config),
        ("layer 0", Code.HIVE_BROKEN, SAM.config),
    ]


def followed(layer: bytes, *, pipe: bool = False) -> list[Code]:
    """What is found in a base layer that can be read again, or cannot."""
    report = Report()
    with RegistryCheck() as check:
        check.begin(Notes(report, "base"), base=True)
        source = TarSource(io.BytesIO(layer)) if pipe else TarSource(None, reopen=lambda: io.BytesIO(layer))
        told: list[WclayerError] = []
        source.refused = refused = lambda _, error: told.append(error)
        for entry, body in source.entries():
            check.see(entry, body, source.offset)
        once = len(told)
        check.end(source)
        assert (source.refused, len(told)) == (refused, once)
    return [one.rule.code for one in report.findings]


def test_a_hive_that_is_a_hard_link_of_another_file_is_followed_where_it_can_be() -> None:
    second = hard_link("Files/b", "Files/A")
    link = hard_link(SAM.config, "files/B")
    refused = M("Files/0", pax={"MSWINDOWS.fileattr": "x"})
    for data, codes in ((broken(MINIMAL), [Code.HIVE_BROKEN]), (MINIMAL, []), (b"no hive", [Code.HIVE_BROKEN])):
        layer = tar({"Files/0": refused, "Files/a": data, "Files/b": second, **ALL, SAM.config: link})
        assert followed(layer) == [Code.HIVE_HARD_LINK, *codes]
        assert followed(layer, pipe=True) == [Code.HIVE_HARD_LINK]
    direct = tar({"Files/b": b"no hive", **ALL, SAM.config: link, DEFAULT.config: hard_link(DEFAULT.config, "Files/b")})
    assert followed(direct) == [Code.HIVE_HARD_LINK, Code.HIVE_BROKEN] * 2
    ring = tar({**ALL, "Files/b": second, "Files/a": hard_link("Files/a", "Files/b"), SAM.config: link})
    assert followed(ring) == [Code.HIVE_HARD_LINK]
    store = tar({**ALL, "Files/b": b"no hive", BCD: hard_link(BCD, "Files/b")})
    assert followed(store) == [Code.BCD_BROKEN]


def test_a_layer_is_read_once_where_no_hive_is_a_link_of_another_file() -> None:
    opened = 0

    def reopen() -> io.BytesIO:
        nonlocal opened
        opened += 1
        return io.BytesIO(tar({"Files/x": b"x", "Files/y": hard_link("Files/y", "Files/x"), **ALL}))

    source = TarSource(None, reopen=reopen)
    with RegistryCheck() as check:
        check.begin(Notes(Report(), "base"), base=True)
        for entry, body in source.entries():
            check.see(entry, body, source.offset)
        check.end(source)
    assert opened == 1


def test_an_empty_hive_is_refused_by_name_where_it_is() -> None:
    rule = RULES[Code.HIVE_EMPTY]
    assert rule.effect(frozenset([Target.WS2025])) == "ProcessBaseImage 0x3f1 on Server 2025 (ERROR_BADDB, 0x800703f1)"
    assert "0x3f1" not in rule.effect(frozenset([Target.WS2019]))


# --- differencing hives -----------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "an empty file, where a differencing hive must be"),
        (dirty(EMPTY, 2, 1), "a dirty differencing hive without logs: "),
        (b"regf", "a broken differencing hive: "),
    ],
)
def test_broken_differencing_hives(data: bytes, text: str) -> None:
    (finding,) = registry(BASE, upper(Sam_Delta=data))
    assert (finding.layer, finding.rule.code) == ("layer 1", Code.DELTA_BROKEN)
    assert text in finding.message


def test_a_differencing_hive_that_cannot_be_merged() -> None:
    changed = Broken(TOUCHES)
    changed.put("H", changed.key("Acme") + 2, 0x60)
    for layers, based in (
        ((ACME, upper(Software_Delta=bytes(changed))), True),
        ((upper(Software_Delta=bytes(changed)),), False),
    ):
        found = registry(*layers, based=based)
        assert [one.rule.code for one in found] == [Code.HIVE_HEALED, Code.DELTA_BROKEN]
        assert found[1].path == SOFTWARE.delta
        assert "in the key Acme" in found[1].message


def test_a_differencing_hive_with_logs() -> None:
    before, after = delta(), delta(*(Key(f"key {number}", last_written=TIME) for number in range(90)))
    logs = {"Sam_Delta.LOG1": log(before, changes(before, after, 2)), "Sam_Delta.LOG": b""}
    assert said(BASE, upper(Sam_Delta=dirty(before, 2, 1), **logs)) == [
        ("layer 1", Code.HIVE_DIRTY_WITH_LOGS, SAM.delta)
    ]


def test_keys_of_each_layer_count_for_those_above() -> None:
    makes = delta(Key("Acme", last_written=TIME))
    deletes = delta(Key("Acme", last_written=TIME, layer=1))
    whole = delta(Key("Acme", last_written=TIME, layer=TREE))
    assert said(BASE, upper(Software_Delta=makes), upper(Software_Delta=TOUCHES)) == []
    assert said(ACME, upper(Software_Delta=deletes), upper(Software_Delta=whole)) == []
    assert said(ACME, upper(Software_Delta=EMPTY), upper(Software_Delta=TOUCHES)) == []
    assert said(ACME, upper(Software_Delta=deletes), upper(Software_Delta=TOUCHES)) == [
        ("layer 2", Code.DELTA_OF_OTHER_BASE, SOFTWARE.delta)
    ]


def test_without_a_base_that_is_known_nothing_is_missed() -> None:
    assert said(upper(Software_Delta=TOUCHES), based=False) == []
    for bad in (base(SOFTWARE=b""), base(SOFTWARE=None), base(SOFTWARE=EMPTY)):
        assert {code for layer, code, _ in said(bad, upper(Software_Delta=TOUCHES)) if layer == "layer 1"} == set()
    assert [one[:2] for one in said(BASE, upper(Software_Delta=b""), upper(Software_Delta=TOUCHES))] == [
        ("layer 1", Code.DELTA_BROKEN)
    ]


def test_a_layer_that_did_not_end_is_not_known() -> None:
    report = Report()
    with RegistryCheck() as check:
        check.begin(Notes(report, "base"), base=True)
        check.begin(Notes(report, "above"), base=False)
        source = TarSource(io.BytesIO(upper(Software_Delta=TOUCHES)))
        for entry, body in source.entries():
            check.see(entry, body, source.offset)
        check.end()
    assert report.findings == []


def test_above_a_gap_nothing_is_said_of_what_is_below() -> None:
    report = Report()
    with RegistryCheck() as check:
        seen(check, report, "base", BASE, base=True)
        seen(check, report, "below the gap", tar({}))
        # Right above the gap neither the hives of the layer below are known nor the keys.
        seen(check, report, "above it", upper(Software_Delta=TOUCHES), known=False)
        # Here the layer below is, but none of the keys of those below the gap.
        seen(check, report, "higher", upper(Software_Delta=TOUCHES))
        assert report.findings == []
        seen(check, report, "top", upper(Sam_Delta=EMPTY, Software_Delta=TOUCHES))
    assert [(one.layer, one.rule.code, one.path) for one in report.findings] == [("top", Code.DELTA_MISSING, SAM.delta)]


def test_with_no_gap_the_same_is_said() -> None:
    found = said(BASE, tar({}), upper(Software_Delta=TOUCHES))
    assert found == [
        ("layer 2", Code.DELTA_MISSING, SOFTWARE.delta),
        ("layer 2", Code.DELTA_OF_OTHER_BASE, SOFTWARE.delta),
    ]


def test_each_layer_takes_the_time_for_its_own_hive(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def counting(data: bytes) -> Hive:
        nonlocal read
        read += 1
        return read_hive(data)

    monkeypatch.setattr("wclayer.verify.registry.read_hive", counting)
    reads = []
    for number in (4, 8, 16):
        read = 0
        assert registry(ACME, *[upper(Software_Delta=TOUCHES)] * number) == []
        reads.append(read)
    assert reads[2] - reads[1] == 2 * (reads[1] - reads[0])
    read = 0
    assert registry(ACME, *[upper(Software_Delta=delta(Key("b", last_written=TIME)))] * 8) == []
    assert read == 8  # none has to know what is below


def test_an_ordinary_hive_says_nothing_of_what_is_below() -> None:
    assert said(BASE, upper(Software_Delta=hive(Key("Acme", last_written=TIME)))) == [
        ("layer 1", Code.DELTA_ORDINARY, SOFTWARE.delta)
    ]


def test_a_layer_between_without_differencing_hives() -> None:
    assert said(BASE, upper(Sam_Delta=EMPTY), tar({}), upper(Sam_Delta=EMPTY)) == [
        ("layer 3", Code.DELTA_MISSING, SAM.delta)
    ]
    assert said(BASE, tar({}), tar({})) == []
    assert said(upper(Sam_Delta=EMPTY), based=False) == []


@pytest.mark.parametrize("name", ["Default_Delta", "Software_Base", "System_Delta.LOG3", "x"])
def test_other_things_in_hives(name: str) -> None:
    assert said(BASE, upper(**{name: b""})) == [("layer 1", Code.HIVES_UNKNOWN, f"Hives/{name}")]
    in_it = build([folder("Files"), folder("Hives"), folder(f"Hives/{name}")])
    assert said(BASE, in_it) == [("layer 1", Code.HIVES_UNKNOWN, f"Hives/{name}")]


def test_hives_in_a_base_layer_are_for_the_names_to_refuse() -> None:
    assert registry(tar({**ALL, "Hives/Sam_Delta": b""})) == []


# --- the boot store ---------------------------------------------------------------

STORE = minimal_bcd(TIME)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (b"", "an empty file, where a boot store must be"),
        (dirty(STORE, 2, 1), "a dirty boot store without logs"),
        (EMPTY, "a differencing hive, where a boot store must be"),
    ],
)
def test_boot_stores(item: bytes, text: str) -> None:
    for layers in ((boot(item),), (BASE, tar({BCD: item}))):
        (finding,) = registry(*layers)
        assert finding.rule.code is Code.BCD_BROKEN
        assert text in finding.message


def test_a_boot_store_with_logs() -> None:
    layer = tar({**ALL, BCD: DIRTY, f"{BCD}.LOG2": LOG})
    assert said(layer) == [("layer 0", Code.HIVE_DIRTY_WITH_LOGS, BCD)]


def test_a_boot_store_that_is_a_link() -> None:
    assert said(boot(M(BCD, type="2", link="x"))) == [("layer 0", Code.BCD_NO_FILE, BCD)]
    assert registry(tar({**ALL, "Files/b": STORE, BCD: hard_link(BCD, "Files/b")})) == []
    assert said(tar({**ALL, "Files/b": b"", BCD: hard_link(BCD, "Files/b")})) == [("layer 0", Code.BCD_BROKEN, BCD)]


def test_a_layer_above_needs_no_boot_store() -> None:
    layer = build([folder("Files"), folder("UtilityVM"), folder("UtilityVM/Files")])
    assert registry(BASE, layer) == []


# --- reading ----------------------------------------------------------------------


def test_other_files_are_not_read() -> None:
    class Unread:
        size = 1

        def read(self, n: int = -1, /) -> bytes:
            raise AssertionError(n)

        def extents(self) -> tuple[tuple[int, int], ...]:
            raise AssertionError

        def chunks(self) -> Iterator[tuple[int, bytes]]:
            raise AssertionError

    with RegistryCheck() as check:
        for number in range(2):
            check.begin(Notes(Report(), "layer"), base=number == 0)
            source = TarSource(io.BytesIO(tar({f"{CONFIG}/SAMX": b"x", "Files/SAM": b"x", f"{CONFIG}/a/SAM": b"x"})))
            for entry, body in source.entries():
                check.see(entry, None if body is None else Unread(), 0)
