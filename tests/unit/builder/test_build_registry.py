"""The registry of images that are built: hives of a base layer, differencing hives above; read back as values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.images import layout
from tests.tars import M, build, directory
from tests.unit.builder.test_build import base, entries, make, recipe
from wclayer.builder.acl import TEMPLATES
from wclayer.builder.build import BuiltImage, build_image
from wclayer.builder.recipe import LayerRecipe, Recipe
from wclayer.builder.registry_changes import base_hive, by_hive
from wclayer.builder.spec import load_recipe
from wclayer.entry import Directory, File
from wclayer.errors import HiveError, NotFoundError, SpecError, UsageError
from wclayer.images.reading import open_image
from wclayer.layers.hives.config_hives import CONFIG_HIVES
from wclayer.layers.hives.merge import collect_hives
from wclayer.regf.check import check_hive
from wclayer.regf.delta import changes_nothing
from wclayer.regf.edits import KeyEdits, Missed, apply_edits
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, Value, dword, multi_sz, qword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.reg_text import parse_reg
from wclayer.regf.writer import write_hive
from wclayer.win32.filetime import from_unix_ns
from wclayer.win32.sddl import format_sddl, parse_sddl

DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM = CONFIG_HIVES
NOON = 1_700_000_000
TIME = from_unix_ns(NOON * 10**9)
OWN = parse_sddl("O:SYG:SYD:(A;CI;KA;;;SY)")
SYSTEM_HIVE = write_hive(
    Hive(
        Key(
            "ROOT",
            (),
            (
                Key("Select", (dword("Current", 1),)),
                Key("ControlSet001", (), (Key("Services", (), (Key("Old", (dword("Start", 2),)),), 5, OWN, b"c\0"),)),
            ),
        )
    )
)


def reg(*lines: str) -> KeyEdits:
    return parse_reg("\n".join(("Windows Registry Editor Version 5.00", "", *lines)).encode(), source="a.reg")


def made(place: str, number: int) -> dict[str, bytes]:
    """The hives of a layer."""
    paths = {path for hive in CONFIG_HIVES for path in (hive.config, hive.delta)}
    with open_image(place) as image:
        found = image.layers[number].source().entries()
        return {entry.path: body.read() for entry, body in found if body is not None and entry.path in paths}


def with_base(folder: Path, *layers: dict[str, bytes]) -> str:
    tars = []
    for files in layers:
        above = {"/".join(path.split("/")[:n]) for path in files for n in range(1, path.count("/") + 1)} | {"Files"}
        tars.append(build([*map(directory, sorted(above)), *(M(path, data) for path, data in files.items())]))
    layout(folder, tars, tag="b")
    return f"oci:{folder}:b"


def built(tmp_path: Path, what: Recipe, name: str = "out") -> tuple[BuiltImage, str]:
    place = f"oci:{tmp_path / name}:t"
    return build_image(what, place), place


# FROM scratch


def test_from_scratch_the_hives_have_the_changes(tmp_path: Path) -> None:
    changes = reg("[HKLM\\SOFTWARE\\Acme]", '"a"="b"', "[HKEY_USERS\\.DEFAULT\\Console]", '"x"=dword:1')
    result, place = built(tmp_path, recipe(make(tmp_path / "c"), registry=changes))
    assert result.changed == [DEFAULT.config, SOFTWARE.config]
    assert len(result.made) == 5
    hives = made(place, 0)
    assert set(hives) == {hive.config for hive in CONFIG_HIVES}
    assert all(check_hive(data).findings == () for data in hives.values())
    acme = read_hive(hives[SOFTWARE.config]).root.subkey("Acme")
    assert acme is not None
    assert (acme.values, acme.last_written) == ((sz("a", "b"),), TIME)
    assert hives[SAM.config] == minimal_hive(TIME)
    found = {entry.path: entry for entry in entries(place, 0)}
    assert [found[hive.config] for hive in CONFIG_HIVES if found[hive.config] == found[SAM.config]] != []
    software, sam = found[SOFTWARE.config], found[SAM.config]
    assert isinstance(software, File)
    assert isinstance(sam, File)
    assert software.security_descriptor == sam.security_descriptor


def test_a_hive_of_the_sources_keeps_what_it_has(tmp_path: Path) -> None:
    key = Key("Acme", (dword("a", 1), Value("odd", 0x1234, b"x")), (), 5, OWN, b"c\0", 0x80, 0, 9)
    own = write_hive(Hive(Key("R", (), (key,), 5), 5, 3))
    context = make(tmp_path / "c", **{"Windows/System32/config/software": own})
    changes = reg("[HKLM\\Software\\ACME]", '"a"=dword:2')
    result, place = built(tmp_path, recipe(context, registry=changes, acl="read-only", created=NOON + 60))
    later = TIME + 60 * 10**7
    assert SOFTWARE.config not in result.made
    with open_image(place) as image:
        found = image.layers[0].source().entries()
        [(file, data)] = [(e, body.read()) for e, body in found if body and e.path.endswith("config/software")]
    # Whose it is, is the sources' affair; when it was written, is not.
    assert isinstance(file, File)
    assert (file.security_descriptor, file.last_write_time) == (TEMPLATES["read-only"].file, later)
    hive = read_hive(data)
    assert (hive.minor, hive.root.subkeys) == (
        3,
        (Key("Acme", (dword("a", 2), key.values[1]), (), later, OWN, b"c\0", 0x80, 0, 9),),
    )


def test_the_second_layer_from_scratch_has_differencing_hives(tmp_path: Path) -> None:
    layers = (
        LayerRecipe(registry=reg("[HKLM\\SOFTWARE\\Acme]", '"a"="1"', "[HKLM\\SYSTEM\\Select]", '"Current"=dword:2')),
        LayerRecipe(registry=reg("[HKLM\\SOFTWARE\\Acme]", '"b"="2"', "[HKLM\\SYSTEM\\CurrentControlSet\\x]")),
    )
    result, place = built(tmp_path, Recipe(layers=layers, created=NOON))
    assert result.changed == [SOFTWARE.config, SYSTEM.config, SOFTWARE.delta, SYSTEM.delta]
    upper = made(place, 1)
    assert set(upper) == {hive.delta for hive in CONFIG_HIVES}
    assert read_hive(upper[SOFTWARE.delta]).root.subkeys[0].layer == 0x80
    assert read_hive(upper[SYSTEM.delta]).root.find("ControlSet002\\x") is not None


# On a base


def test_on_a_base_all_five_are_written(tmp_path: Path) -> None:
    lower = Key("Services", (), (Key("New", (dword("Start", 3),)),), 0, OWN, layer=0x80)
    delta = write_hive(Hive(Key("ROOT", (), (Key("ControlSet001", (), (lower,), layer=0x80),)), 7, 6))
    place = with_base(tmp_path / "b", {SYSTEM.config: SYSTEM_HIVE}, {SYSTEM.delta: delta})
    changes = reg(
        "[HKLM\\SYSTEM\\CurrentControlSet\\Services\\New]",
        '"Start"=dword:4',
        "[-HKLM\\SYSTEM\\CurrentControlSet\\Services\\Old]",
        "[HKLM\\SOFTWARE\\Acme]",
        '"v"="w"',
    )
    result, out = built(tmp_path, recipe(make(tmp_path / "c"), base=place, registry=changes))
    assert (result.changed, result.warnings) == ([SOFTWARE.delta, SYSTEM.delta], [])
    hives = made(out, 2)
    assert set(hives) == {hive.delta for hive in CONFIG_HIVES}
    read = {path: read_hive(data) for path, data in hives.items()}
    assert all(hive.differencing and check_hive(hives[path]).findings == () for path, hive in read.items())
    assert [path for path, hive in read.items() if changes_nothing(hive)] == [DEFAULT.delta, SAM.delta, SECURITY.delta]
    control = read[SYSTEM.delta].root.subkeys[0]
    services = control.subkeys[0]
    assert (services.layer, services.security, services.class_name) == (0x80, OWN, b"")
    assert [(key.name, key.layer, key.values) for key in services.subkeys] == [
        ("New", 0x80, (dword("Start", 4),)),
        ("Old", 1, ()),
    ]
    with open_image(out) as image, collect_hives([layer.source() for layer in image.layers]) as files:
        view = files.view(SYSTEM)
        assert view is not None
        assert [path for path, _ in view.root.walk()] == [
            "",
            "ControlSet001",
            "ControlSet001\\Services",
            "ControlSet001\\Services\\New",
            "Select",
        ]
        assert files.warnings == []


def test_the_files_of_the_hives(tmp_path: Path) -> None:
    _, out = built(
        tmp_path, recipe(make(tmp_path / "c"), base=base(tmp_path / "b"), registry=reg("[HKLM\\SOFTWARE\\Acme]"))
    )
    found = {entry.path: entry for entry in entries(out, 1)}
    assert isinstance(found["Hives"], Directory)
    file = found[SAM.delta]
    assert isinstance(file, File)
    assert file.last_write_time == TIME
    assert "WD" not in format_sddl(file.security_descriptor or b"")
    assert [path for path in found if path.startswith("Hives/")] == sorted(hive.delta for hive in CONFIG_HIVES)


def test_what_does_not_change_is_not_said_to(tmp_path: Path) -> None:
    """Neither of a hive of the sources, which keeps its bytes, nor of one that is made, nor above a base."""
    own = write_hive(Hive(Key("ROOT", (), (Key("Acme", (dword("a", 1),)),), 5), 5))
    own += b"what lies behind"  # no writer of ours does that
    lines = ["[HKLM\\SOFTWARE\\Acme]", '"a"=dword:1', '"b"=-', "[-HKLM\\SAM\\no]", "[-HKLM\\SOFTWARE\\No\\Key]"]
    context = make(tmp_path / "c", **{"Windows/System32/config/SOFTWARE": own})
    result, place = built(tmp_path, recipe(context, registry=reg(*lines)))
    assert (result.changed, len(result.warnings)) == ([], 3)
    hives = made(place, 0)
    assert (hives[SOFTWARE.config], hives[SAM.config]) == (own, minimal_hive(TIME))
    lines[1] = '"c"=-'
    result, place = built(tmp_path, recipe(make(tmp_path / "d"), base=place, registry=reg(*lines)), "above")
    assert (result.changed, len(result.warnings)) == ([], 4)
    assert len(set(made(place, 1).values())) == 1  # all five are the empty one
    lines[1] = '"A"=dword:2'
    result, place = built(tmp_path, recipe(make(tmp_path / "e"), base=place, registry=reg(*lines)), "more")
    assert result.changed == [SOFTWARE.delta]


def test_without_changes_there_are_none(tmp_path: Path) -> None:
    _, out = built(tmp_path, recipe(make(tmp_path / "c"), base=base(tmp_path / "b")))
    assert made(out, 1) == {}


def test_changes_alone_make_a_layer(tmp_path: Path) -> None:
    changes = Recipe(layers=(), base=base(tmp_path / "b"), registry=reg("[HKLM\\SOFTWARE\\Acme]"), created=NOON)
    result, out = built(tmp_path, changes)
    assert len(result.layers) == 1
    assert len(made(out, 1)) == 5


def test_same_in_same_out(tmp_path: Path) -> None:
    changes = reg("[HKLM\\SOFTWARE\\Acme]", '"a"="b"')
    what = recipe(make(tmp_path / "c"), base=with_base(tmp_path / "b", {SYSTEM.config: SYSTEM_HIVE}), registry=changes)
    assert built(tmp_path, what, "one")[0].digest == built(tmp_path, what, "two")[0].digest


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["[HKLM\\HARDWARE\\x]"], "HARDWARE.*volatile"),
        (["[HKCU\\Software]"], "of the user who runs"),
        (["[-HKLM\\SOFTWARE]"], "the root of a hive cannot be deleted"),
        (["[HKLM]", '"x"="y"'], "no hive of a layer"),
    ],
)
def test_what_no_layer_can_have(tmp_path: Path, lines: Sequence[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        built(tmp_path, recipe(make(tmp_path / "c"), registry=reg(*lines)))
    assert not (tmp_path / "out").exists()


def test_no_current_control_set(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no CurrentControlSet"):
        built(tmp_path, recipe(make(tmp_path / "c"), registry=reg("[HKLM\\SYSTEM\\CurrentControlSet\\x]")))
    assert not (tmp_path / "out").exists()


def test_the_current_control_set_under_two_names(tmp_path: Path) -> None:
    place = with_base(tmp_path / "b", {SYSTEM.config: SYSTEM_HIVE})
    lines = ["[HKLM\\SYSTEM\\CurrentControlSet\\x]", '"v"=dword:1', "[HKLM\\SYSTEM\\ControlSet001\\x]", '"w"=dword:2']
    _, out = built(tmp_path, recipe(make(tmp_path / "c"), base=place, registry=reg(*lines)))
    x = read_hive(made(out, 1)[SYSTEM.delta]).root.find("ControlSet001\\x")
    assert x is not None
    assert {value.name for value in x.values} == {"v", "w"}
    changes = reg(*lines, '"V"=dword:3')
    with pytest.raises(UsageError, match=r"SYSTEM: changes of CurrentControlSet and of ControlSet001, "):
        built(tmp_path, recipe(make(tmp_path / "d"), base=place, registry=changes), "no")


def test_the_current_control_set_that_the_same_changes_name(tmp_path: Path) -> None:
    """FROM scratch nothing else does."""
    lines = ["[HKLM\\SYSTEM\\CurrentControlSet\\x]", '"v"=dword:1', "[HKLM\\SYSTEM\\Select]", '"Current"=dword:7']
    result, place = built(tmp_path, recipe(make(tmp_path / "c"), registry=reg(*lines)))
    assert result.changed == [SYSTEM.config]
    root = read_hive(made(place, 0)[SYSTEM.config]).root
    assert sorted(path for path, _ in root.walk()) == ["", "ControlSet007", "ControlSet007\\x", "Select"]


def test_links_are_followed(tmp_path: Path) -> None:
    def to(name: str, target: str) -> Key:
        return Key(
            name, (Value("SymbolicLinkValue", 6, f"\\REGISTRY\\MACHINE\\{target}".encode("utf-16-le")),), flags=0x10
        )

    link = to("Classes", "SOFTWARE\\Classes\\WOW6432Node")
    keys = (Key("Classes", (), (Key("WOW6432Node"),)), Key("WOW6432Node", (), (link,)))
    hive = write_hive(Hive(Key("ROOT", (), keys)))
    changes = reg("[HKLM\\SOFTWARE\\WOW6432Node\\Classes\\.acme]", '@="x"')
    place = with_base(tmp_path / "b", {SOFTWARE.config: hive})
    _, one = built(tmp_path, recipe(make(tmp_path / "c"), base=place, registry=changes))
    root = read_hive(made(one, 1)[SOFTWARE.delta]).root
    assert [path for path, _ in root.walk()] == ["", "Classes", "Classes\\WOW6432Node", "Classes\\WOW6432Node\\.acme"]
    context = make(tmp_path / "d", **{"Windows/System32/config/SOFTWARE": hive})
    _, two = built(tmp_path, recipe(context, registry=changes), "two")
    root = read_hive(made(two, 0)[SOFTWARE.config]).root
    assert root.find("Classes\\WOW6432Node\\.acme") is not None
    assert root.find("WOW6432Node\\Classes") == link
    other = write_hive(Hive(Key("ROOT", (), (to("SAM", "SAM\\SAM"),))))
    place = with_base(tmp_path / "s", {SECURITY.config: other})
    with pytest.raises(UsageError, match=r"^HKEY_LOCAL_MACHINE\\SECURITY\\SAM: a link into another hive, .* -- name"):
        built(tmp_path, recipe(make(tmp_path / "e"), base=place, registry=reg("[HKLM\\SECURITY\\SAM\\x]")), "three")


def test_a_broken_hive_of_the_base(tmp_path: Path) -> None:
    place = with_base(tmp_path / "b", {SOFTWARE.config: minimal_hive(5)[:5000]})
    with pytest.raises(HiveError, match=r"config/SOFTWARE: in layer 0: "):
        built(tmp_path, recipe(make(tmp_path / "c"), base=place, registry=reg("[HKLM\\SOFTWARE\\x]")))


def test_what_there_is_not_to_delete_is_said(tmp_path: Path) -> None:
    changes = reg("[-HKLM\\SOFTWARE\\No]", "[HKLM\\SOFTWARE\\Yes]", '"v"=-')
    wanted = [
        "HKEY_LOCAL_MACHINE\\SOFTWARE\\No: nothing to delete, there is no such key",
        "HKEY_LOCAL_MACHINE\\SOFTWARE\\Yes\\\\v: nothing to delete, there is no such value",
    ]
    assert built(tmp_path, recipe(make(tmp_path / "c"), registry=changes), "a")[0].warnings == wanted
    on_base = recipe(tmp_path / "c", base=base(tmp_path / "b"), registry=changes)
    # Over a key that is not there, a value has nothing to be deleted from.
    assert set(built(tmp_path, on_base, "b2")[0].warnings) == set(wanted)


# image.toml


def spec(text: str) -> Recipe:
    return load_recipe(text.encode(), source="image.toml", folder=".")


def root_of(text: str) -> Key:
    """What SOFTWARE has after the changes."""
    [layer] = spec(text).layers
    assert layer.registry is not None
    data, _, _ = base_hive(SOFTWARE, by_hive(layer.registry), None, TIME)
    return read_hive(data).root


TYPED = r"""
[registry.'HKLM\SOFTWARE\Acme']
default = "the default"
sddl = "D:P(A;CI;KA;;;BA)"

[registry.'HKLM\SOFTWARE\Acme'.values]
Text = "text"
Number = 42
List = ["one", "two"]
None = []
Expand = { expand = '%TEMP%\x' }
String = { string = "s" }
Multi = { multi = ["m"] }
Small = { dword = 4294967295 }
Large = { qword = 18446744073709551615 }
Blob = { binary = "00 ff,0A" }
Odd = { binary = "", type = 4660 }
"""


def test_every_type_of_value() -> None:
    acme = root_of(TYPED).subkey("Acme")
    assert acme is not None
    assert acme.values == (
        sz("Text", "text"),
        dword("Number", 42),
        multi_sz("List", ["one", "two"]),
        multi_sz("None", []),
        sz("Expand", "%TEMP%\\x", 2),
        sz("String", "s"),
        multi_sz("Multi", ["m"]),
        dword("Small", (1 << 32) - 1),
        qword("Large", (1 << 64) - 1),
        Value("Blob", 3, b"\x00\xff\x0a"),
        Value("Odd", 4660, b""),
        sz("", "the default"),
    )
    assert format_sddl(acme.security) == "O:BAG:SYD:P(A;CI;KA;;;BA)"


def test_the_example_of_the_docs() -> None:
    text = (
        (Path(__file__).parents[3] / "docs" / "image-toml.md").read_text(encoding="utf-8").partition("## Registry")[2]
    )
    root = root_of(text.partition("```toml")[2].partition("```")[0])
    acme = root.find("Acme\\Service")
    assert acme is not None
    assert [value.name for value in acme.values] == ["Version", "Workers", "Hosts", "Root", "Quota", "Key", "State", ""]


def test_deletions() -> None:
    text = r"""
[registry.'HKLM\SOFTWARE\Acme']
values = { a = 1, c = 3 }
[registry.'hklm\software\ACME']
delete-values = ["D"]
values = { B = { delete = true } }
"""
    root = root_of(text)
    assert [key.name for key in root.subkeys] == ["Acme"]
    assert root.subkeys[0].values == (dword("a", 1), dword("c", 3))


def test_keys_are_deleted_first_wherever_the_table_stands() -> None:
    tables = [
        "[registry.'HKLM\\SOFTWARE\\Gone\\Below']\nvalues = { a = 1 }\n",
        "[registry.'HKLM\\SOFTWARE\\Gone\\Deeper']\ndelete = true\n",
        "[registry.'HKLM\\software\\GONE']\ndelete = true\n",
        "[registry.'HKLM\\SOFTWARE\\Other']\ndelete = true\nvalues = { b = 2 }\n",
    ]
    there = Key("Gone", (dword("v", 1),), (Key("Below", (dword("w", 1),)), Key("Deeper"), Key("More")))
    view = Key("", (), (there, Key("Other", (dword("v", 1),))))
    for order in permutations(tables):
        [layer] = spec("".join(order)).layers
        changes = by_hive(layer.registry).hives[SOFTWARE]
        root = apply_edits(view, changes, TIME, missed := Missed())
        assert {path: key.values for path, key in root.walk()} == {
            "": (),
            "Gone": (),
            "Gone\\Below": (dword("a", 1),),
            "Other": (dword("b", 2),),
        }
        assert missed.count == 0


def test_layers_have_their_own() -> None:
    text = r"""
[image]
layers = ["a", "b"]
[registry.'HKLM\SOFTWARE\X']
layer = "b"
[[files]]
layer = "a"
source = "x"
"""
    one, two = spec(text).layers
    assert one.registry is None
    assert two.registry is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("registry = 1", "registry is no table"),
        ("[registry]\n'HKLM\\SOFTWARE\\x' = 1", "is no table"),
        ("[registry.'HKCU\\x']", "no hive of a layer.*of the user who runs"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nVersion = '1'", r"an unknown key; expected .*values.*got Version"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = 1", "values; expected a table"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = true }", "a value of the registry; expected text, a number"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = 4294967296 }", "a number of the registry.*qword"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = -1 }", "a number of the registry; expected 0 to"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = ['x', ''] }", "a list of the registry; expected texts, none"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = { binary = 'xy' } }", "binary data; expected hexadecimal"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = { sz = 'xy' } }", "a value of the registry; expected text"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = { dword = 1, type = 3 } }", "a value of the registry"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = { binary = '', type = -1 } }", "the type of a value"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { a = { delete = false } }", "deletion of a value"),
        ("[registry.'HKLM\\SOFTWARE\\x']\ndefault = []\nsddl = 'D:'\nlayer = 'x'", "layer, while"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nsddl = 'nonsense'", "SDDL"),
        (
            "[registry.'HKLM\\SOFTWARE\\x']\nvalues = { X = 1, x = 2 }",
            "a value twice; .*; got x",
        ),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { X = 1 }\ndelete-values = ['x']", "a value twice; .*; got x"),
        ("[registry.'HKLM\\SOFTWARE\\x']\nvalues = { '' = 1 }\ndefault = 2", "a value twice; .*; got the default"),
        ("[registry.'HKCR\\x']\ndefault = 1\n[registry.'HKLM\\SOFTWARE\\classes\\X']\ndefault = 1", "a value twice"),
        ("[registry.'HKCR\\x']\nsddl = 'D:'\n[registry.'HKCR\\X']\nsddl = 'D:'", "the security of a key twice"),
        (f"[registry.'HKLM\\SOFTWARE\\{'x' * 256}\\y']", "the name of a key; expected at most 255 UTF-16 code units"),
        ("[registry.'HKLM\\SOFTWARE\\" + "\U0001f600" * 128 + "']", "the name of a key"),
        (f"[registry.'HKLM\\SOFTWARE\\x']\ndelete-values = ['{'x' * 16384}']", "the name of a value"),
        ("[registry.'HKLM\\SOFTWARE" + "\\x" * 512 + "']", "a key too deep"),
    ],
)
def test_errors(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        spec(text)
    assert caught.value.path == "image.toml"


def test_the_longest_name_of_a_key() -> None:
    """In UTF-16 code units, not bytes or characters."""
    for name in ("x" * 255, "\u00e4" * 255, "\U0001f600" * 127 + "x"):
        assert [key.name for key in root_of(f"[registry.'HKLM\\SOFTWARE\\{name}']").subkeys] == [name]


def test_values_of_odd_names() -> None:
    acme: Any = root_of("[registry.'HKLM\\SOFTWARE\\a/b']\nvalues = { 'x\\y' = 1, '@' = 2, '' = 3 }").subkey("a/b")
    assert [value.name for value in acme.values] == ["x\\y", "@", ""]
