"""Where hives are: how places are taken apart, and what is read from where."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.images import layout
from tests.tars import M, build, directory
from tests.unit.regf.samples import TIME, small
from wclayer.errors import HiveError, LayerError, NotFoundError, UsageError, WclayerError
from wclayer.layers.hives.config_hives import CONFIG, CONFIG_HIVES
from wclayer.operations.hive_places import HivePlaces, config_hive, key_at, parse_hive_place, registry_path
from wclayer.regf.model import Hive, Key, dword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

SOFTWARE = write_hive(small())
DELTA = write_hive(Hive(Key("ROOT", (), (Key("Alpha", (dword("number", 8),), (), TIME, layer=0x80),), TIME), TIME, 6))


def tar(files: dict[str, bytes]) -> bytes:
    folders = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 1)}
    return build([*(directory(path) for path in sorted({"Files", *folders})), *(M(*file) for file in files.items())])


BASE = tar({f"{CONFIG}/SOFTWARE": SOFTWARE})
UPPER = tar({"Hives/Software_Delta": DELTA})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layer" / "Files").mkdir(parents=True)
    (tmp_path / "layer.tar").write_bytes(BASE)
    (tmp_path / "upper.tar").write_bytes(UPPER)
    (tmp_path / "SOFTWARE").write_bytes(SOFTWARE)
    layout(tmp_path / "img", [BASE, UPPER])
    return tmp_path


# --- places -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "layer", "inside", "whole"),
    [
        ("SOFTWARE", None, None, False),
        ("nowhere", None, None, False),
        ("-", None, None, False),
        ("nowhere//Files/x", None, None, False),
        ("layer", "layer", None, True),
        ("layer/", "layer/", None, True),
        ("layer//Files/x/SAM", "layer", "Files/x/SAM", False),
        ("layer///Files/.//x//SAM", "layer", "Files/x/SAM", False),
        ("layer//HIVES/Sam_Delta", "layer", "HIVES/Sam_Delta", False),
        ("layer//UtilityVM/Files/BCD", "layer", "UtilityVM/Files/BCD", False),
        (".//layer//Files/SAM", ".//layer", "Files/SAM", False),
        ("layer.tar", "layer.tar", None, True),
        ("layer.tar//Files/SAM", "layer.tar", "Files/SAM", False),
        (".//layer.tar//Files/SAM", ".//layer.tar", "Files/SAM", False),
        ("oci:img:t", "img", None, True),
        ("oci:img:t#1", "img", None, True),
        ("oci:img:t//Files/SAM", "img", "Files/SAM", False),
        ("oci:img:t#1//Hives/Sam_Delta", "img", "Hives/Sam_Delta", False),
    ],
)
def test_places_are_taken_apart(here: Path, text: str, layer: str | None, inside: str | None, whole: bool) -> None:
    place = parse_hive_place(text)
    assert place.text == text
    assert (place.place.path if place.place else None, place.inside, place.whole) == (layer, inside, whole)
    if place.place is not None:
        assert place.place.layer == (1 if "#" in text else None)
        assert place.place.inside is None


@pytest.mark.parametrize("path", ["", "Files", "Files/", "x/SAM", "../Files/SAM", "layer.db/x"])
def test_no_paths_of_hives(here: Path, path: str) -> None:
    for place in ("layer", "layer.tar", "oci:img:t"):
        with pytest.raises(UsageError, match=r"no path of a hive in a layer; expected Files/"):
            parse_hive_place(f"{place}//{path}")


@pytest.mark.parametrize(
    ("data", "tar"),
    [
        (BASE, True),
        (b"\x1f\x8b", True),
        (b"\x28\xb5\x2f\xfd", True),
        (b"", False),
        (SOFTWARE, False),
        (b"x" * 256 + b"ustar", False),
        (b"x" * 257 + b"ustar", True),
    ],
)
def test_what_is_taken_for_a_layer_tar(here: Path, data: bytes, tar: bool) -> None:
    (here / "file").write_bytes(data)
    assert parse_hive_place("file").whole == tar
    assert (parse_hive_place("file//Files/SAM").inside == "Files/SAM") == tar


# --- names of files -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("system", "HKEY_LOCAL_MACHINE\\SYSTEM"),
        ("x/Default", "HKEY_USERS\\.DEFAULT"),
        ("C:\\x\\SAM", "HKEY_LOCAL_MACHINE\\SAM"),
        ("DEFAULTUSER_delta", "HKEY_USERS\\.DEFAULT"),
        ("layer//Hives/Security_Delta", "HKEY_LOCAL_MACHINE\\SECURITY"),
        ("ntuser.dat", "HKEY_CURRENT_USER"),
        ("UsrClass.dat", "HKEY_CURRENT_USER\\Software\\Classes"),
        ("bcd", "HKEY_LOCAL_MACHINE\\BCD00000000"),
        ("Components", "HKEY_LOCAL_MACHINE\\COMPONENTS"),
        ("DRIVERS", "HKEY_LOCAL_MACHINE\\DRIVERS"),
        ("SOFTWARE.hiv", None),
        ("layer", None),
        ("-", None),
    ],
)
def test_where_a_hive_is_shown_by_its_name(here: Path, text: str, path: str | None) -> None:
    place = parse_hive_place(text)
    assert registry_path(place) == path
    found = config_hive(place)
    known = ["HKEY_USERS\\.DEFAULT", *(f"HKEY_LOCAL_MACHINE\\{name}" for name in ("SAM", "SECURITY", "SYSTEM"))]
    assert (found in CONFIG_HIVES) == (path in known)


# --- bytes --------------------------------------------------------------------------


def test_bytes_of_hives(here: Path) -> None:
    places = HivePlaces(stdin=io.BytesIO(SOFTWARE))
    for text in ("SOFTWARE", "-", f"layer.tar//{CONFIG}/software", f"oci:img:t#0//{CONFIG}/SOFTWARE"):
        assert places.data(parse_hive_place(text)) == SOFTWARE
    assert places.data(parse_hive_place("oci:img:t//hives/software_delta")) == DELTA
    assert places.warnings == []


def test_a_file_may_be_called_like_stdin(here: Path) -> None:
    (here / "-").write_bytes(SOFTWARE)
    assert HivePlaces().data(parse_hive_place("-")) == SOFTWARE
    assert HivePlaces(stdin=io.BytesIO(DELTA)).data(parse_hive_place("./-")) == SOFTWARE


def test_what_is_too_large_is_not_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wclayer.layers.hives.config_hives.MAX_HIVE", len(SOFTWARE) - 1)
    for text in ("SOFTWARE", "-", f"layer.tar//{CONFIG}/SOFTWARE"):
        with pytest.raises(HiveError, match="a hive this large; expected at most") as caught:
            HivePlaces(stdin=io.BytesIO(SOFTWARE)).data(parse_hive_place(text))
        assert caught.value.path == text


def test_an_error_names_the_hive_and_the_key(here: Path) -> None:
    broken = bytearray(SOFTWARE)
    at = broken.index(b"Deepest") - 76
    broken[at : at + 2] = b"xx"
    for text in ("-", "layer.tar//Files/x/hive"):
        (here / "layer.tar").write_bytes(tar({"Files/x/hive": bytes(broken)}))
        with pytest.raises(HiveError) as caught:
            HivePlaces(stdin=io.BytesIO(bytes(broken))).hive(parse_hive_place(text))
        assert caught.value.path == text
        assert "Alpha" in caught.value.message


# --- keys ---------------------------------------------------------------------------


def test_keys_are_spelled_as_the_hive_has_them() -> None:
    root = small().root
    assert key_at(root, "", "hive") == (root, "")
    for path in ("alpha\\DEEPEST", "\\Alpha\\\\deepest\\"):
        key, spelled = key_at(root, path, "hive")
        assert (key.name, spelled) == ("Deepest", "Alpha\\Deepest")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("Nothing", NotFoundError, r"no such key; expected a subkey of its root; got Nothing"),
        ("alpha\\x", NotFoundError, r"no such key; expected a subkey of Alpha; got alpha\\x"),
        ("Alpha/Deepest", NotFoundError, "no such key"),
        ("hklm\\SOFTWARE", UsageError, "a path of the registry, in a single hive"),
        ("HKEY_USERS", UsageError, "a path of the registry, in a single hive"),
        ("Alpha\\HKLM", NotFoundError, "no such key"),
    ],
)
def test_keys_that_are_not_there(path: str, error: type[WclayerError], message: str) -> None:
    with pytest.raises(error, match=message):
        key_at(small().root, path, "hive")


def test_a_key_may_be_called_as_a_root_of_the_registry() -> None:
    root = Key("ROOT", (), (Key("HKLM", (sz("a", "b"),)),))
    assert key_at(root, "hklm", "hive") == (root.subkeys[0], "HKLM")


def test_keys_seen(here: Path) -> None:
    places = HivePlaces()
    seen = places.seen(parse_hive_place("SOFTWARE"), "alpha")
    assert (seen.name, seen.path, seen.registry_path) == ("Alpha", "Alpha", "HKEY_LOCAL_MACHINE\\SOFTWARE")
    assert seen.shown == "SOFTWARE Alpha"
    assert seen.hive == read_hive(SOFTWARE)
    seen = places.seen(parse_hive_place("oci:img:t"), "hklm\\software\\ALPHA")
    assert (seen.name, seen.path) == ("HKEY_LOCAL_MACHINE\\SOFTWARE\\Alpha", "Alpha")
    assert seen.key.value("number") == dword("number", 8)
    assert seen.shown == "oci:img:t HKEY_LOCAL_MACHINE\\SOFTWARE\\Alpha"
    seen = places.seen(parse_hive_place("oci:img:t#0"), "HKLM\\SOFTWARE")
    assert (seen.name, seen.path) == ("HKEY_LOCAL_MACHINE\\SOFTWARE", "")
    alpha = seen.key.subkey("Alpha")
    assert alpha is not None
    assert alpha.value("number") == dword("number", 7)


def test_the_registry_of_layers_with_parents(here: Path) -> None:
    """The nearest first, the base last."""
    third = Key("Alpha", (dword("number", 9),), (), TIME, layer=0x80)
    (here / "third.tar").write_bytes(
        tar({"Hives/SOFTWARE_delta": write_hive(Hive(Key("ROOT", (), (third,), TIME), TIME, 6))})
    )
    numbers = []
    for top, parents in (("upper.tar", ["layer.tar"]), ("third.tar", ["upper.tar", "layer.tar"])):
        seen = HivePlaces(parents=parents).seen(parse_hive_place(top), "HKLM\\SOFTWARE\\Alpha")
        numbers.append(seen.key.value("number"))
    assert numbers == [dword("number", 8), dword("number", 9)]
    with pytest.raises(LayerError, match="a differencing hive in a base layer"):
        HivePlaces(parents=["layer.tar", "upper.tar"]).seen(parse_hive_place("third.tar"), "HKLM\\SOFTWARE")
    with pytest.raises(NotFoundError, match="no such"):
        HivePlaces(parents=["nowhere"]).seen(parse_hive_place("upper.tar"), "HKLM\\SOFTWARE")


def test_what_was_met_on_the_way(here: Path) -> None:
    (here / "upper.tar").write_bytes(tar({"Hives/Software_Delta": SOFTWARE, f"{CONFIG}/SOFTWARE": SOFTWARE}))
    places = HivePlaces(parents=["layer.tar"])
    places.seen(parse_hive_place("upper.tar"), "HKLM\\SOFTWARE")
    assert len(places.warnings) == 2
    assert any("is an ordinary hive, and counts" in warning for warning in places.warnings)
    assert any("is no part of the registry" in warning for warning in places.warnings)


def test_places_of_the_other_kind(here: Path) -> None:
    places = HivePlaces()
    with pytest.raises(UsageError, match=r"where one hive must be -- name the hive in it: layer.tar//Files/Windows"):
        places.data(parse_hive_place("layer.tar"))
    with (
        pytest.raises(UsageError, match="one hive, where an image or layer must be"),
        places.registry(parse_hive_place("SOFTWARE")),
    ):
        pass
    with pytest.raises(UsageError, match=r"^layer.tar: which key of the registry"):
        places.seen(parse_hive_place("layer.tar"), "\\")
