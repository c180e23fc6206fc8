"""build_image: what the image says, what its layers hold, and what it refuses; read back with our reader."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import posix_only
from tests.images import Layout, layout
from tests.tars import M, build, directory
from tests.unit.images.test_writing import snapshot
from wclayer.builder.build import build_image
from wclayer.builder.recipe import DirectoryRule, FilesRule, LayerRecipe, Recipe, RemoveRule, Security
from wclayer.entry import Directory, Entry, File, Progress, Whiteout
from wclayer.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    HiveError,
    ImageError,
    LayerError,
    NotFoundError,
    SddlError,
    StorageError,
    UsageError,
    WclayerError,
)
from wclayer.images.options import ImageOptions
from wclayer.images.reading import open_image
from wclayer.images.spec.config_settings import Config
from wclayer.regf.check import require_loadable
from wclayer.regf.minimal import minimal_hive
from wclayer.win32.filetime import from_unix_ns

NOON = 1_700_000_000
CONFIG = "Files/Windows/System32/config"


def make(folder: Path, **files: bytes) -> Path:
    for name, data in {"app.exe": b"MZ", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (0, NOON))
    return folder


def recipe(*contexts: Path, **more: Any) -> Recipe:
    return Recipe(layers=tuple(LayerRecipe(files=(FilesRule(source=str(one)),)) for one in contexts), **more)


def entries(place: str, number: int) -> list[Entry]:
    with open_image(place) as image:
        return [entry for entry, _ in image.layers[number].source().entries()]


def base(folder: Path, **more: Any) -> str:
    made = [
        *(directory("Files"), directory("Files/Windows"), directory("Files/Windows/System32")),
        M("Files/Windows/notepad.exe", b"MZ"),
    ]
    layout(folder, [build(made)], tag="b", **more)
    return f"oci:{folder}:b"


def test_from_scratch(tmp_path: Path) -> None:
    seen: list[Entry] = []

    def progress(step: Progress) -> None:
        assert step.entry is not None
        seen.append(step.entry)
        assert step.done == sum(entry.size for entry in seen if isinstance(entry, File))

    place = f"oci:{tmp_path / 'out'}:t"
    built = build_image(
        recipe(
            make(tmp_path / "c"),
            config=Config(entrypoint=("app.exe",), env={"A": "b"}, author="me"),
            annotations={"k": "v"},
            os_version="10.0.26100.1",
            architecture="arm64",
        ),
        place,
        options=ImageOptions(progress=progress),
    )
    assert built.created == NOON
    assert built.made == [f"{CONFIG}/{name}" for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")]
    assert entries(place, 0) == seen
    with open_image(place) as image:
        assert image.manifest.digest == built.digest
        assert image.config_descriptor.digest == built.config_digest
        assert str(image.platform) == "windows/arm64:10.0.26100.1"
        assert image.config["created"] == "2023-11-14T22:13:20Z"
        assert image.config["author"] == "me"
        assert image.config["config"] == {"Entrypoint": ["app.exe"], "Env": ["A=b"]}
        assert image.config["history"] == [{"created": "2023-11-14T22:13:20Z", "created_by": "wclayer build"}]
        assert image.manifest_annotations == {"k": "v", "org.opencontainers.image.created": "2023-11-14T22:13:20Z"}
        [summary] = built.layers
        assert (summary.diff_id, summary.digest) == (image.layers[0].diff_id, image.layers[0].descriptor.digest)
        hives = {
            entry.path: body.read()
            for entry, body in image.layers[0].source().entries()
            if entry.path in built.made and body is not None
        }
    assert len(hives) == 5
    for data in hives.values():
        require_loadable(data)
    annotations = json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"][0]["annotations"]
    assert annotations["wclayer.compressor"].startswith("zlib-ng")


def test_hives_of_the_context_stay(tmp_path: Path) -> None:
    mine = minimal_hive(from_unix_ns(5 * 10**9))
    context = make(tmp_path / "c", **{"windows/system32/CONFIG/software": mine})
    place = f"oci:{tmp_path / 'out'}"
    built = build_image(recipe(context), place)
    assert len(built.made) == 4
    with open_image(place) as image:
        found = {entry.path: body.read() for entry, body in image.layers[0].source().entries() if body is not None}
    assert found["Files/windows/system32/CONFIG/software"] == mine
    assert "Files/windows/system32/CONFIG/SYSTEM" in found


@pytest.mark.parametrize("data", [b"", b"no hive" * 1000])
def test_a_hive_that_windows_would_not_take(tmp_path: Path, data: bytes) -> None:
    context = make(tmp_path / "c", **{"Windows/System32/config/SAM": data})
    with pytest.raises(HiveError, match=f"{CONFIG}/SAM.*leave it out, and a minimal one is made"):
        build_image(recipe(context), f"oci:{tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


def test_several_contexts_are_several_layers(tmp_path: Path) -> None:
    place = f"oci:{tmp_path / 'out'}"
    one = make(tmp_path / "1", **{"Dir/a": b"1"})
    two = make(tmp_path / "2", **{"dir/b": b"2"})
    three = make(tmp_path / "3", **{"DIR/B": b"3"})
    built = build_image(recipe(one, two, three), place)
    assert len(built.layers) == 3
    assert [entry.path for entry in entries(place, 1)] == [
        "Files",
        "Files/Dir",
        "Files/Dir/b",
        "Files/app.exe",
        "Hives",
    ]
    assert [entry.path for entry in entries(place, 2)] == [
        "Files",
        "Files/Dir",
        "Files/Dir/b",
        "Files/app.exe",
        "Hives",
    ]


@pytest.mark.parametrize("gzipped", [True, False])
def test_on_a_base(tmp_path: Path, gzipped: bool) -> None:
    def more(config: dict[str, Any]) -> None:
        config["os.features"] = ["win32k"]
        config["config"]["User"] = "ContainerUser"

    place = base(tmp_path / "b", config=more, gzipped=gzipped)
    out = f"oci:{tmp_path / 'out'}"
    context = make(tmp_path / "c", **{"windows/NOTEPAD.exe": b"new"})
    removal = LayerRecipe(files=(FilesRule(source=str(context)),), remove=(RemoveRule(path="windows/SYSTEM32"),))
    built = build_image(Recipe(layers=(removal,), base=place), out, cache=tmp_path / "cache")
    assert built.base_layers == 1
    assert built.made == []
    assert [(type(entry), entry.path) for entry in entries(out, 1)] == [
        (Directory, "Files"),
        (Directory, "Files/Windows"),
        (Whiteout, "Files/Windows/System32"),
        (File, "Files/Windows/notepad.exe"),
        (File, "Files/app.exe"),
        (Directory, "Hives"),
    ]
    with open_image(out) as image, open_image(place) as under:
        assert image.layers[0].descriptor.digest == under.layers[0].descriptor.digest
        assert image.platform == under.platform
        assert image.config["x.unknown"] == under.config["x.unknown"]
        assert image.config["config"] == {"Cmd": ["cmd.exe"], "User": "ContainerUser"}
        assert image.config["history"][:2] == under.config["history"]
        assert image.manifest_annotations["org.opencontainers.image.base.digest"] == under.manifest.digest
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_a_change_of_the_config_alone(tmp_path: Path) -> None:
    place = base(tmp_path / "b")
    built = build_image(Recipe(layers=(), base=place, config=Config(user="x")), f"oci:{tmp_path / 'b'}:other")
    assert built.layers == []
    with open_image(f"oci:{tmp_path / 'b'}:other") as image:
        assert image.config["config"]["User"] == "x"
        assert image.config["history"][-1]["empty_layer"] is True
        assert image.config["created"] == "2024-01-31T11:00:00Z"  # the base's, in which it is 12:00:00.5+01:00
        assert len(image.layers) == 1


def test_the_base_may_be_the_place_that_is_written(tmp_path: Path) -> None:
    place = base(tmp_path / "b")
    for number in (2, 3):
        context = make(tmp_path / f"c{number}", **{f"f{number}": b""})
        build_image(recipe(context, base=place), place, force=True)
        with open_image(place) as image:
            assert len(image.layers) == number
    archive = f"oci-archive:{tmp_path / 'a.tar'}"
    build_image(recipe(make(tmp_path / "c")), archive)
    build_image(recipe(make(tmp_path / "c"), base=archive), archive, force=True)
    with open_image(archive) as image:
        assert len(image.layers) == 2


# --- times ----------------------------------------------------------------------


def times(place: str) -> dict[str, int | None]:
    return {entry.path: entry.last_write_time for entry in entries(place, 0) if isinstance(entry, File | Directory)}


def test_times(tmp_path: Path) -> None:
    context = make(tmp_path / "c")
    os.utime(context / "app.exe", ns=(0, NOON * 10**9 + 123_456_700))
    at = {n: from_unix_ns(n) for n in (NOON * 10**9, NOON * 10**9 + 123_456_700, (NOON - 5) * 10**9)}
    kept = times_of(tmp_path, recipe(context))
    assert kept["Files/app.exe"] == at[NOON * 10**9 + 123_456_700]
    assert kept["Files"] == kept[f"{CONFIG}/SAM"] == at[NOON * 10**9]
    clamped = times_of(tmp_path, recipe(context, created=NOON - 5))
    assert set(clamped.values()) == {at[(NOON - 5) * 10**9]}
    later = times_of(tmp_path, recipe(context, created=NOON + 5, times="epoch"))
    assert set(later.values()) == {from_unix_ns((NOON + 5) * 10**9)}


def times_of(tmp_path: Path, made: Recipe) -> dict[str, int | None]:
    build_image(made, f"oci:{tmp_path / 'out'}", force=True)
    return times(f"oci:{tmp_path / 'out'}")


def test_the_same_bytes_for_any_number_of_workers_and_any_order(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(20)]
    data = bytes(range(256)) * 5000
    digests = set()
    for number, order in enumerate((names, names[::-1])):
        context = make(tmp_path / f"c{number}", **{name: name.encode() + data for name in order})
        digests |= {
            build_image(recipe(context), f"oci:{tmp_path / f'{number}-{workers}'}", workers=workers).digest
            for workers in (1, 8)
        }
    assert len(digests) == 1


# --- refused --------------------------------------------------------------------


def refused(tmp_path: Path, made: Recipe, error: type[WclayerError], text: str, place: str = "oci:{}/out") -> None:
    def present() -> dict[str, bytes]:
        return {name: data for name, data in snapshot(tmp_path).items() if not name.startswith("cache")}

    before = present()
    with pytest.raises(error, match=text):
        build_image(made, place.format(tmp_path), cache=tmp_path / "cache")
    assert present() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"acl": "open"}, UsageError, "an unknown ACL template"),
        ({"os_version": "ltsc2022"}, UsageError, "an os.version; expected numbers"),
        ({"created": 1 << 60}, UsageError, "a time that no image can have"),
        ({"level": 22}, UsageError, "level"),
        ({"base": "oci:none"}, NotFoundError, "no image layout"),
    ],
)
def test_refused(tmp_path: Path, more: dict[str, Any], error: type[WclayerError], text: str) -> None:
    refused(tmp_path, recipe(make(tmp_path / "c"), **more), error, text)


def test_refused_on_a_base(tmp_path: Path) -> None:
    place, context = base(tmp_path / "b"), make(tmp_path / "c")
    refused(tmp_path, recipe(context, base=place, architecture="arm64"), UsageError, "the architecture of its base")
    refused(tmp_path, recipe(context, base=place, os_version="10.0.1"), NotFoundError, "another os.version")
    (context / "Windows").write_bytes(b"")
    refused(tmp_path, recipe(context, base=place), LayerError, "where the layers below have a directory")
    rules = LayerRecipe(directories=(DirectoryRule(path="x", security=Security(sddl="O:BA")),))
    refused(tmp_path, Recipe(layers=(rules,), base=place), SddlError, "x: .*without a DACL")
    rules = LayerRecipe(remove=(RemoveRule(path="none"),))
    refused(tmp_path, Recipe(layers=(rules,), base=place), NotFoundError, "nothing to remove")


def test_refused_from_scratch(tmp_path: Path) -> None:
    refused(tmp_path, Recipe(layers=()), UsageError, "nothing to build")
    refused(tmp_path, recipe(tmp_path / "none"), NotFoundError, "no such file or folder")
    refused(tmp_path, Recipe(layers=(LayerRecipe(remove=(RemoveRule(path="x"),)),)), UsageError, "nothing below it")
    context = make(tmp_path / "c")
    refused(tmp_path, recipe(*[context] * 128), UsageError, "more layers than Windows can stack")


@posix_only("names")
def test_a_name_that_windows_cannot_open(tmp_path: Path) -> None:
    context = make(tmp_path / "c")
    (context / "aux.txt").write_bytes(b"")
    refused(tmp_path, recipe(context), WclayerError, "a name that Windows cannot open")


def test_a_linux_image_as_base(tmp_path: Path) -> None:
    place = base(tmp_path / "b", config=lambda config: config.update(os="linux"))
    refused(tmp_path, recipe(make(tmp_path / "c"), base=place), ImageError, "not a Windows image")


def test_a_base_whose_layer_is_another_one(tmp_path: Path) -> None:
    def wrong(config: dict[str, Any]) -> None:
        config["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64

    place = base(tmp_path / "b", config=wrong)
    for _ in range(2):  # nothing of it is remembered
        refused(tmp_path, recipe(make(tmp_path / "c"), base=place), DigestMismatchError, "not the one that the config")


def test_a_base_that_is_no_windows_layer(tmp_path: Path) -> None:
    made = Layout(tmp_path / "b")
    made.tag(made.image([build([M("etc/passwd", b"x")])]))
    refused(tmp_path, recipe(make(tmp_path / "c"), base=f"oci:{made.write()}"), LayerError, "outside the layer's roots")


def test_the_output_in_the_context(tmp_path: Path) -> None:
    context = make(tmp_path / "c")
    refused(tmp_path, recipe(context), UsageError, "the output lies in a folder", "oci:{}/c/out")
    refused(tmp_path, recipe(context), UsageError, "the output lies in a folder", "oci-archive:{}/c/out.tar")
    (context / ".wclayerignore").write_text("/out\n")
    build_image(recipe(context), f"oci:{context / 'out'}")


def test_a_tag_that_is_there(tmp_path: Path) -> None:
    place = f"oci:{tmp_path / 'd'}"
    build_image(recipe(make(tmp_path / "c")), place)
    before = snapshot(tmp_path / "d")
    with pytest.raises(AlreadyExistsError):
        build_image(recipe(make(tmp_path / "c")), place)
    assert snapshot(tmp_path / "d") == before


# --- a context that changes while it is read -------------------------------------


def _longer(context: Path) -> None:
    with (context / "z.bin").open("ab") as file:
        file.write(b"more")


def _touched(context: Path) -> None:
    os.utime(context / "z.bin", (0, NOON + 1))


def _touched_after_it_was_read(context: Path) -> None:
    os.utime(context / "app.exe", (0, NOON + 1))


def _gone(context: Path) -> None:
    (context / "z.bin").unlink()


def _other(context: Path) -> None:
    (context / "new").write_bytes((context / "z.bin").read_bytes())
    os.utime(context / "new", (0, NOON))
    (context / "new").replace(context / "z.bin")
    os.utime(context, (0, NOON))


def _new(context: Path) -> None:
    (context / "a-new-file").write_bytes(b"")


def _new_in_a_folder_that_was_read(context: Path) -> None:
    (context / "first" / "new").write_bytes(b"")


def _folder(context: Path) -> None:
    (context / "z.bin").unlink()
    (context / "z.bin").mkdir()


@pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be replaced")
@pytest.mark.parametrize(
    "change",
    [
        _longer,
        _touched,
        _touched_after_it_was_read,
        _gone,
        _other,
        _new,
        _new_in_a_folder_that_was_read,
        _folder,
    ],
)
def test_a_context_that_changes(tmp_path: Path, change: Callable[[Path], None]) -> None:
    context = make(tmp_path / "c", **{"first/x": b"x", "z.bin": bytes(10)})
    done: list[int] = []

    def progress(step: Progress) -> None:
        if step.entry is not None and step.entry.path == "Files/first/x" and not done:
            done.append(1)
            change(context)

    with pytest.raises(StorageError, match="the context changed while it was read") as caught:
        build_image(recipe(context), f"oci:{tmp_path / 'out'}", options=ImageOptions(progress=progress))
    assert caught.value.exit_code == 15
    assert done
    assert os.listdir(tmp_path) == ["c"]


def test_a_docker_archive_is_not_compressed(tmp_path: Path) -> None:
    built = build_image(recipe(make(tmp_path / "c")), f"docker-archive:{tmp_path / 'a.tar'}:x")
    assert built.layers[0].compression == "none"
    with open_image(f"docker-archive:{tmp_path / 'a.tar'}:x:latest") as image:
        assert image.layers[0].diff_id == built.layers[0].diff_id


def test_plain_strings(tmp_path: Path) -> None:
    """What a recipe says, with the arguments that most images need."""
    folder = make(tmp_path / "c")
    settings: dict[str, Any] = {
        "entrypoint": ["app.exe", "/x"],
        "cmd": ["a"],
        "env": {"A": "b"},
        "workdir": "C:\\app",
        "user": "ContainerUser",
        "labels": {"k": "v"},
    }
    config = Config(**{**settings, "entrypoint": ("app.exe", "/x"), "cmd": ("a",)})
    wanted = build_image(recipe(folder, config=config, os_version="10.0.26100.1"), f"oci:{tmp_path / 'one'}:t")
    sources: tuple[Any, ...] = (str(folder), folder, [folder])
    for number, source in enumerate(sources):
        place = f"oci:{tmp_path / str(number)}:t"
        assert build_image(source, place, os_version="10.0.26100.1", **settings).digest == wanted.digest
    below = base(tmp_path / "base")
    on_base = build_image(recipe(folder, base=below), f"oci:{tmp_path / 'two'}:t")
    assert build_image(str(folder), f"oci:{tmp_path / 'three'}:t", base=below).digest == on_base.digest


# --- hives of the base --------------------------------------------------------------

HIVES = ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")


def base_with_hives(folder: Path, hives: dict[str, bytes], *above: dict[str, bytes], links: str = "") -> str:
    parts = CONFIG.split("/")
    folders = [directory("/".join(parts[: number + 1])) for number in range(len(parts))]
    lowest = [*folders, *(M(f"{CONFIG}/{name}", data) for name, data in hives.items())]
    lowest += (M(f"{CONFIG}/{name}", type="1", link=f"{CONFIG}/SAM") for name in links.split())
    tars = [build(lowest)]
    tars += (build([*folders, *(M(f"{CONFIG}/{name}", data) for name, data in one.items())]) for one in above)
    layout(folder, tars, tag="b")
    return f"oci:{folder}:b"


def hives_of(place: str, number: int) -> dict[str, bytes]:
    with open_image(place) as image:
        found = image.layers[number].source().entries()
        return {e.path.rpartition("/")[2]: body.read() for e, body in found if body and e.path.startswith(f"{CONFIG}/")}


def test_empty_hives_of_the_base_are_warned_about(tmp_path: Path) -> None:
    sound = minimal_hive(0)
    place = base_with_hives(tmp_path / "base", {**dict.fromkeys(HIVES[:3], b""), "SOFTWARE": sound, "SYSTEM": sound})
    built = build_image(recipe(make(tmp_path / "c"), base=place), f"oci:{tmp_path / 'out'}:t")
    [warning] = built.warnings
    assert warning.startswith(
        "registry hives of the base are empty files, which Windows refuses: DEFAULT, SAM, SECURITY;"
    )
    assert "--fix-base-hives" in warning
    assert hives_of(f"oci:{tmp_path / 'out'}:t", 1) == {}
    for number, fine in enumerate((dict.fromkeys(HIVES, sound), {"SYSTEM": sound})):
        place = base_with_hives(tmp_path / f"fine{number}", fine)
        assert build_image(recipe(tmp_path / "c", base=place), f"oci:{tmp_path / 'out'}:{number}").warnings == []
    place = base_with_hives(tmp_path / "links", {"SAM": sound}, links="SYSTEM")
    assert build_image(recipe(tmp_path / "c", base=place), f"oci:{tmp_path / 'out'}:links").warnings == []


@pytest.mark.parametrize("with_files", [True, False])
def test_hives_that_the_base_lacks_are_made(tmp_path: Path, with_files: bool) -> None:
    sound = minimal_hive(0)
    place = base_with_hives(tmp_path / "base", {"SAM": b"", "SYSTEM": b"", "SOFTWARE": sound}, {"SYSTEM": sound})
    out = f"oci:{tmp_path / 'out'}:t"
    contexts = [make(tmp_path / "c")] if with_files else []
    built = build_image(recipe(*contexts, base=place, fix_base_hives=True, created=NOON), out)
    made = hives_of(out, 2)
    assert set(made) == {"DEFAULT", "SAM", "SECURITY"}
    assert built.made == [f"{CONFIG}/{name}" for name in ("DEFAULT", "SAM", "SECURITY")]
    assert built.warnings == []
    for data in made.values():
        require_loadable(data)
        assert data == minimal_hive(from_unix_ns(NOON * 10**9))
    again = build_image(recipe(make(tmp_path / "d"), base=out, fix_base_hives=True), f"oci:{tmp_path / 'out'}:again")
    assert again.made == []


def test_a_hive_of_the_sources_replaces_an_empty_one(tmp_path: Path) -> None:
    place = base_with_hives(tmp_path / "base", dict.fromkeys(HIVES, b""))
    own = minimal_hive(77)
    context = make(tmp_path / "c", **{"Windows/System32/config/sam": own})
    out = f"oci:{tmp_path / 'out'}:t"
    build_image(recipe(context, base=place, fix_base_hives=True), out)
    made = hives_of(out, 1)
    assert made["SAM"] == own
    assert set(made) == set(HIVES)


# --- a layer folder as a context ----------------------------------------------------


def test_a_context_that_looks_like_a_layer(tmp_path: Path) -> None:
    context = make(tmp_path / "c", **{"Files/x": b"1", "Hives/y": b""})
    [warning] = build_image(recipe(context), f"oci:{tmp_path / 'out'}:1").warnings
    assert "has a folder Files at its top, as a layer has: it becomes C:\\Files. Its content? Then give" in warning
    assert warning.startswith(f"{context} has")
    assert warning.endswith(str(context / "Files"))
    for number, other in enumerate(("files/x", "sub/Files/x", "Files")):
        context = make(tmp_path / f"c{number}", **{other: b"1"})
        assert build_image(recipe(context), f"oci:{tmp_path / f'out{number}'}:1").warnings == []
    (tmp_path / "c" / ".wclayerignore").write_text("Files\n")
    assert build_image(recipe(tmp_path / "c"), f"oci:{tmp_path / 'out'}:2").warnings == []
    rule = FilesRule(source=str(make(tmp_path / "e", x=b"1")), target="Files")
    assert build_image(Recipe(layers=(LayerRecipe(files=(rule,)),)), f"oci:{tmp_path / 'out'}:3").warnings == []


# --- several outputs ----------------------------------------------------------------


def test_several_outputs(tmp_path: Path) -> None:
    context = make(tmp_path / "c")
    places = [
        f"oci:{tmp_path / 'one'}:a",
        f"oci-archive:{tmp_path / 'two.tar'}:b",
        f"docker-archive:{tmp_path / 'd.tar'}:n:t",
    ]
    built = build_image(recipe(context, created=NOON), places)
    alone = build_image(recipe(context, created=NOON), f"oci:{tmp_path / 'alone'}:a")
    assert built.digest == alone.digest
    for place in places:
        with open_image(place) as image:
            assert [layer.diff_id for layer in image.layers] == [layer.diff_id for layer in alone.layers]
    for place in places[:2]:
        with open_image(place) as image:
            assert image.manifest.digest == built.digest
    with pytest.raises(AlreadyExistsError):
        build_image(recipe(context), [f"oci:{tmp_path / 'new'}:a", places[1]])
    assert not (tmp_path / "new").exists()
    build_image(recipe(context), [f"oci:{tmp_path / 'new'}:a", places[1]], force=True)
    with open_image(places[1]) as again, open_image(f"oci:{tmp_path / 'new'}:a") as new:
        assert again.manifest.digest == new.manifest.digest


def test_several_outputs_that_are_refused(tmp_path: Path) -> None:
    context = make(tmp_path / "c")
    for places, message in (
        ([], "no output"),
        (["oci-archive:-", "docker-archive:-"], "several outputs to stdout"),
        ([f"oci:{tmp_path / 'x'}:a", f"oci:{context / 'y'}:a"], "the output lies in a folder"),
    ):
        with pytest.raises(UsageError, match=message):
            build_image(recipe(context), places)
    assert not (tmp_path / "x").exists()
    assert not (context / "y").exists()
