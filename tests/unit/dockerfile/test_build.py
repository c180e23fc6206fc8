"""build_dockerfile: stages, bases and contexts, and what the built image says and holds."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.images import Edit, _nothing, digest, layout
from tests.tars import M, build, directory
from wclayer.builder.build import BuiltImage
from wclayer.builder.recipe import Recipe
from wclayer.distribution.registries import Registries
from wclayer.dockerfile.build import build_dockerfile
from wclayer.entry import AlternateStream, Directory, Entry, File
from wclayer.errors import AlreadyExistsError, HiveError, ImageError, NotFoundError, SpecError, UsageError, WclayerError
from wclayer.images.options import ImageOptions
from wclayer.images.reading import open_image
from wclayer.images.spec.config_settings import Config
from wclayer.regf.minimal import minimal_hive
from wclayer.win32.filetime import from_unix_ns
from wclayer.win32.sddl import format_sddl

NOON = 1_700_000_000
PATH = r"PATH=c:\Windows\System32;c:\Windows"
THEIRS = (
    directory("Files"),
    directory("Files/Windows"),
    directory("Files/Windows/System32"),
    M("Files/Windows/notepad.exe", b"MZ"),
    M("Files/License.txt", b"CC0"),
)


@dataclass
class Made:
    """An image that was built, read back. layers: of each new one its entries, with their content."""

    built: BuiltImage
    config: dict[str, Any]
    layers: list[dict[str, tuple[Entry, bytes | None]]] = field(default_factory=list)

    @property
    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["config"]
        return found

    @property
    def said(self) -> list[str]:
        return [entry["created_by"] for entry in self.config["history"]]

    def files(self, number: int = -1) -> dict[str, bytes]:
        """The content of a layer's files; hives that were made are left out."""
        return {
            path.removeprefix("Files/"): data
            for path, (entry, data) in self.layers[number].items()
            if isinstance(entry, File) and data is not None and path not in self.built.made
        }

    def names(self, number: int = -1) -> list[str]:
        return [path.removeprefix("Files/") for path in self.layers[number] if path not in ("Files", "Hives")]

    def entry(self, path: str, number: int = -1) -> Entry:
        return self.layers[number][f"Files/{path}"][0]


class Yard:
    """A folder in which images are built: `c` is the context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = self.put("c")
        self.count = 0

    def put(self, name: str, /, **files: bytes | str) -> Path:
        """A folder of these files, all as old as each other."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data.encode() if isinstance(data, str) else data)
        self.settle(folder)
        return folder

    @staticmethod
    def settle(folder: Path) -> None:
        for path in (*folder.rglob("*"), folder):
            if not stat.S_ISLNK(path.lstat().st_mode):
                os.utime(path, (0, NOON))

    def base(
        self, name: str = "base", layers: Sequence[Sequence[M]] = (THEIRS,), config: Edit = _nothing, **more: Any
    ) -> str:
        """An image to build on; its place."""
        layout(self.folder / name, [build(layer) for layer in layers], config=config, **more)
        return f"oci:{self.folder / name}:t"

    def build(self, text: str, **more: Any) -> Made:
        self.count += 1
        place = f"oci:{self.folder / 'out'}:{self.count}"
        options: dict[str, Any] = {"source": "D", "context": str(self.context), "time": NOON * 10**9, **more}
        built = build_dockerfile(text.encode(), place, **options)
        with open_image(place) as image:
            result = Made(built, image.config)
            assert image.manifest.digest == built.digest
            for layer in image.layers:
                found: dict[str, tuple[Entry, bytes | None]] = {}
                for entry, body in layer.source().entries():
                    stream = f":{entry.name}" if isinstance(entry, AlternateStream) else ""
                    found[entry.path + stream] = entry, None if body is None else body.read()
                if layer.number >= built.base_layers:
                    result.layers.append(found)
            config = image.config
        assert len([one for one in config["history"] if not one.get("empty_layer")]) == len(
            config["rootfs"]["diff_ids"]
        )
        assert len(result.layers) == len(built.layers)
        return result


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def sddl(entry: Entry) -> str:
    assert isinstance(entry, Directory | File)
    assert entry.security_descriptor is not None
    return format_sddl(entry.security_descriptor)


# --- FROM scratch ----------------------------------------------------------------


def test_from_scratch(yard: Yard) -> None:
    yard.put("c", **{"app.exe": "MZ", "data/x": "1"})
    text = (
        "FROM scratch\n"
        "COPY app.exe /app/\n"
        'LABEL a=b\nEXPOSE 80\nENV A=1\nUSER ContainerUser\nENTRYPOINT ["C:\\\\app\\\\app.exe"]\n'
        "WORKDIR /app/work\nADD data C:/data/\nMAINTAINER me\n"
    )
    made = yard.build(text)
    assert made.config == {
        "created": "2023-11-14T22:13:20Z",
        "author": "me",
        "architecture": "amd64",
        "os": "windows",
        "config": {
            "Env": [PATH, "A=1"],
            "WorkingDir": "\\app\\work",
            "Labels": {"a": "b"},
            "ExposedPorts": {"80/tcp": {}},
            "User": "ContainerUser",
            "Entrypoint": ["C:\\app\\app.exe"],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in made.built.layers]},
        "history": [
            {"created": "2023-11-14T22:13:20Z", "created_by": text, "comment": "wclayer build", **empty}
            for text, empty in [
                ("COPY app.exe /app/", {}),
                ("LABEL a=b", {"empty_layer": True}),
                ("EXPOSE [80/tcp]", {"empty_layer": True}),
                ("ENV A=1", {"empty_layer": True}),
                ("USER ContainerUser", {"empty_layer": True}),
                ('ENTRYPOINT ["C:\\\\app\\\\app.exe"]', {"empty_layer": True}),
                ("WORKDIR /app/work", {}),
                ("ADD data C:/data/", {}),
                ("MAINTAINER me", {"empty_layer": True}),
            ]
        ],
    }
    assert len(made.built.made) == 5
    assert all(path in made.layers[0] for path in made.built.made)
    assert made.files(0) == {"app/app.exe": b"MZ"}
    assert made.names(1) == ["app", "app/work"]
    assert made.names(2) == ["data", "data/x"]
    assert made.files(2) == {"data/x": b"1"}
    assert made.built.warnings == []


def test_nothing_is_copied(yard: Yard) -> None:
    with pytest.raises(SpecError, match=r"D: line 2: FROM scratch, and nothing is copied"):
        yard.build("# a\nFROM scratch\nENV A=b\n")
    made = yard.build("FROM scratch\nWORKDIR C:\\\\app\n")
    assert len(made.layers) == 1
    assert "app" in made.names(0)


def test_the_root_as_workdir_makes_no_layer(yard: Yard) -> None:
    made = yard.build("FROM base\nWORKDIR /app\nWORKDIR C:\\\\", contexts={"base": yard.base()})
    assert made.run["WorkingDir"] == "\\"
    assert made.said[-2:] == ["WORKDIR /app", "WORKDIR /"]
    assert made.config["history"][-1]["empty_layer"] is True
    assert len(made.layers) == 1


# --- on a base --------------------------------------------------------------------


def test_on_a_base(yard: Yard) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["config"] = {"Cmd": ["cmd"], "Env": ["A=1"], "User": "u", "X": [1], "WorkingDir": "C:\\w"}
        config["os.features"] = ["win32k"]

    yard.put("c", **{"NOTEPAD.EXE": "new", "x": "y"})
    place = yard.base(config=edit)
    made = yard.build('FROM base\nCOPY . windows/\nENTRYPOINT ["e"]\nCOPY x /\n', contexts={"base": place})
    assert made.built.base_layers == 1
    assert made.names(0) == ["w", "w/windows", "w/windows/NOTEPAD.EXE", "w/windows/x"]
    assert made.names(1) == ["x"]
    with open_image(place) as base:
        expected = dict(base.config)
    expected["config"] = {"Env": ["A=1"], "User": "u", "X": [1], "WorkingDir": "\\w", "Entrypoint": ["e"]}
    expected["created"] = "2023-11-14T22:13:20Z"
    entry = {"created": "2023-11-14T22:13:20Z", "comment": "wclayer build"}
    expected["history"] = [
        *expected["history"],
        {**entry, "created_by": "COPY . windows/"},
        {**entry, "created_by": 'ENTRYPOINT ["e"]', "empty_layer": True},
        {**entry, "created_by": "COPY x /"},
    ]
    expected["rootfs"] = {
        "type": "layers",
        "diff_ids": [digest(build(THEIRS)), *(layer.diff_id for layer in made.built.layers)],
    }
    assert made.config == expected


def test_what_the_base_has_keeps_its_spelling(yard: Yard) -> None:
    yard.put("c", **{"NOTEPAD.EXE": "new"})
    made = yard.build("FROM base\nCOPY NOTEPAD.EXE \\\\WINDOWS\\\\", contexts={"base": yard.base()})
    assert made.files() == {"Windows/notepad.exe": b"new"}


def test_only_the_config(yard: Yard) -> None:
    place = yard.base()
    made = yard.build("FROM base\nUSER u\nLABEL a=b", contexts={"base": place})
    assert made.layers == []
    assert made.run == {"Cmd": ["cmd.exe"], "User": "u", "Labels": {"a": "b"}}
    assert made.said[-2:] == ["USER u", "LABEL a=b"]
    assert made.config["created"] == "2024-01-31T11:00:00Z"


def test_just_a_from(yard: Yard) -> None:
    made = yard.build("FROM base", contexts={"base": yard.base()})
    assert made.run == {"Cmd": ["cmd.exe"]}
    assert len(made.config["rootfs"]["diff_ids"]) == 1


def test_settings(yard: Yard) -> None:
    yard.put("c", a="1")
    settings = Recipe(
        layers=(),
        base=yard.base("override"),
        config=Config(cmd=("c",), env={"A": "2", "B": "3"}, user="o", author="me", labels={"l": "m"}),
        annotations={"k": "v"},
        created=5,
        times="epoch",
        compression="none",
    )
    text = "FROM somewhere.invalid/never/opened:1\nMAINTAINER you\nENV A=1\nCMD x\nCOPY a /"
    made = yard.build(text, settings=settings)
    assert made.run == {"Cmd": ["c"], "Env": ["A=2", "B=3"], "User": "o", "Labels": {"l": "m"}}
    assert made.config["author"] == "me"
    assert made.config["created"] == "1970-01-01T00:00:05Z"
    assert made.built.base_layers == 1
    assert [layer.compression for layer in made.built.layers] == ["none"]
    copied = made.entry("a")
    assert isinstance(copied, File)
    assert copied.last_write_time == 116444736000000000 + 5 * 10**7


def test_the_override_is_for_the_first_from_of_the_target(yard: Yard) -> None:
    yard.put("c", a="1")
    settings = Recipe(layers=(), base=yard.base("override", [[directory("Files"), directory("Files/over")]]))
    contexts = {"other": yard.base("other")}
    text = "FROM never.invalid/x AS root\nENV R=1\nFROM other AS tool\nFROM root\nCOPY --from=tool /License.txt /over\n"
    made = yard.build(text, settings=settings, contexts=contexts)
    assert made.names() == ["over", "over/License.txt"]
    assert made.run["Env"] == ["R=1"]


def test_a_base_without_history(yard: Yard) -> None:
    yard.put("c", a="1")
    place = yard.base(config=lambda config: config.pop("history"))
    made = yard.build("FROM base\nCOPY a /\nUSER u", contexts={"base": place})
    assert [entry.get("created_by") for entry in made.config["history"]] == [None, "COPY a /", "USER u"]


def test_a_base_whose_config_says_nothing(yard: Yard) -> None:
    place = yard.base(config=lambda config: config.update(config=None))
    assert yard.build("FROM base\nENV A=b", contexts={"base": place}).run == {"Env": ["A=b"]}


def test_hives_that_are_copied_stay(yard: Yard) -> None:
    mine = minimal_hive(from_unix_ns(5 * 10**9))
    hives = "Windows/System32/config"
    yard.put("c", SOFTWARE=mine)
    text = (
        "FROM base AS tool\nCOPY SOFTWARE /Windows/System32/config/\n"
        "FROM scratch\nCOPY --from=tool /Windows/System32/config /windows/system32/CONFIG\n"
    )
    made = yard.build(text, contexts={"base": yard.base()})
    assert sorted(path.rpartition("/")[2] for path in made.built.made) == ["DEFAULT", "SAM", "SECURITY", "SYSTEM"]
    assert made.files(0)["windows/system32/CONFIG/SOFTWARE"] == mine
    yard.put("c", SOFTWARE="no hive")
    with pytest.raises(HiveError, match="SOFTWARE"):
        yard.build(f"FROM scratch\nCOPY SOFTWARE /{hives}/\n")


def test_an_archive_as_output(yard: Yard) -> None:
    yard.put("c", a="1")
    place = f"docker-archive:{yard.folder / 'a.tar'}:x"
    built = build_dockerfile(b"FROM scratch\nCOPY a /", place, source="D", context=str(yard.context))
    assert built.layers[0].compression == "none"
    with open_image(f"{place}:latest") as image:
        assert image.layers[0].diff_id == built.layers[0].diff_id


def test_progress_sees_all_that_is_written(yard: Yard) -> None:
    yard.put("c", a="1")
    seen: list[str] = []
    made = yard.build(
        "FROM scratch\nCOPY a /d/",
        options=ImageOptions(progress=lambda step: seen.append(step.entry.path if step.entry else "")),
    )
    assert seen == list(made.layers[0])


def test_images_by_place(yard: Yard) -> None:
    place = yard.base().replace("\\", "/")  # a backslash escapes
    made = yard.build(f"FROM {place} AS b\nFROM scratch\nCOPY --from={place} License.txt /\n")
    assert made.files() == {"License.txt": b"CC0"}
    assert yard.build(f"FROM {place}\nUSER u").run["User"] == "u"


def test_a_base_with_onbuild(yard: Yard) -> None:
    place = yard.base(config=lambda config: config["config"].update(OnBuild=["RUN x"]))
    with pytest.raises(ImageError, match=r"D, line 2: the base wants instructions.*got \['RUN x'\].*write them"):
        yard.build("\nFROM base", contexts={"base": place})


def test_two_stages_on_one_base_know_nothing_of_each_other(yard: Yard) -> None:
    place = yard.base(config=lambda config: config["config"].update(Env=["A=1"], Labels={"a": "b"}))
    text = "FROM base AS one\nENV A=2 LEAK=1\nLABEL leak=1\nFROM base\nCOPY --from=one /License.txt /l\nENV B=$A$LEAK\n"
    made = yard.build(text, contexts={"base": place})
    assert made.run["Env"] == ["A=1", "B=1"]
    assert made.run["Labels"] == {"a": "b"}


# --- stages -----------------------------------------------------------------------


def test_a_stage_on_a_stage(yard: Yard) -> None:
    yard.put("c", a="1", b="2")
    text = (
        'FROM base AS one\nENV A=1\nARG V=2\nCOPY a /d/\nWORKDIR /d\nCMD ["one"]\n'
        'FROM one AS two\nENV B=$A$V\nCOPY b .\nENTRYPOINT ["e"]\n'
    )
    made = yard.build(text, contexts={"base": yard.base()})
    assert [made.names(number) for number in range(3)] == [["d", "d/a"], ["d"], ["d", "d/b"]]
    assert made.run["WorkingDir"] == "\\d"
    assert "Cmd" not in made.run
    assert made.run["Env"][0] == "A=1"
    assert made.said[2:] == [
        *("ENV A=1", "ARG V=2", "COPY a /d/", "WORKDIR /d", 'CMD ["one"]', made.said[7], "COPY b .", 'ENTRYPOINT ["e"]')
    ]
    one = yard.build(text, contexts={"base": yard.base("again")}, target="one")
    assert one.run["Cmd"] == ["one"]
    assert len(one.layers) == 2


def test_targets(yard: Yard) -> None:
    yard.put("c", a="1")
    text = "FROM scratch AS one\nCOPY a /\nLABEL n=1\nFROM scratch\nCOPY a /\nLABEL n=2\nFROM scratch\nRUN x\n"
    assert yard.build(text, target="ONE").run["Labels"] == {"n": "1"}
    assert yard.build(text, target="1").run["Labels"] == {"n": "2"}
    with pytest.raises(SpecError, match=r"no such stage; expected one, 1, 2; got three"):
        yard.build(text, target="three")
    with pytest.raises(SpecError, match=r"D: line 8: RUN needs a Windows"):
        yard.build(text)


def test_stages_that_nothing_needs_are_not_looked_at(yard: Yard) -> None:
    yard.put("c", a="1")
    text = "FROM never.invalid/x AS no\nRUN x\nONBUILD RUN y\nCOPY none none\nFROM scratch\nCOPY a /\n"
    assert yard.build(text).files() == {"a": b"1"}


@pytest.mark.parametrize(
    ("instruction", "match", "hint"),
    [
        ("RUN dir", "D: line 3: RUN needs a Windows to run in; got RUN dir", "COPY --from=NAME with --build-context"),
        ("RUN --mount=type=cache x", "D: line 3: RUN needs a Windows", "elsewhere"),
        ("ONBUILD RUN x", "D: line 3: ONBUILD", "put its instruction there"),
        ("FLY x", "D: line 3: unknown instruction: FLY", ""),
        ("USER --x=y u", "D: line 3: an unknown flag of USER; got --x", ""),
        ("WORKDIR --x=y u", "D: line 3: an unknown flag of WORKDIR; got --x", ""),
        ("COPY --x=y a b", "D: line 3: an unknown flag of COPY; got --x", ""),
        ("ADD --from=y a b", "D: line 3: an unknown flag of ADD; got --from", ""),
        ("COPY --chmod=755 a b", "D: line 3: COPY --chmod is not possible here", "acl and sddl"),
        ("COPY --parents a b/", "D: line 3: COPY --parents is not possible here", "destination"),
        ("ADD --checksum=sha256:1 a b", "D: line 3: ADD --checksum; expected one source, an https URL", ""),
        ("ADD --keep-git-dir=true a b", "D: line 3: ADD --keep-git-dir", "not fetched"),
        ("COPY a", "D: line 3: a COPY; expected sources and a destination", ""),
        (
            "ADD https://x.invalid/a b",
            "D: line 3: a URL that is not fetched; expected ADD --checksum=",
            "COPY the file",
        ),
        ("ADD http://x.invalid/a b", "D: line 3: a URL that is not fetched", "write https"),
        ("COPY https://x.invalid/a b", "D: line 3: a URL that is not fetched", "ADD takes URLs"),
        ("ADD --checksum=sha256:1 https://x.invalid/a e c/", "D: line 3: ADD --checksum; expected one source", ""),
        ("ADD --checksum=sha256:1 https://x.invalid/a b", "D, line 3: a malformed digest; expected sha256:", ""),
        ("ADD --checksum=sha256:1 https://u:p@x.invalid/a b", "D, line 3: a malformed digest", ""),
        ("ADD --checksum=sha256:1 https://x.invalid/ b/", "D: line 3: a URL without a name", "behind b/"),
        ("ADD git@x.invalid:a b", "D: line 3: nothing is fetched", "fetch it before"),
        ("COPY --from=$X a b", "D: line 3: --from with a variable; got \\$X", "FROM a stage"),
        ("COPY --from=scratch a b", "D: line 3: scratch has no files", ""),
        ("COPY --from=0 a b", "D: line 3: a stage that comes later, or this one; got 0", ""),
        ("COPY --from=me a b", "D: line 3: a stage that comes later, or this one; got me", ""),
        ("COPY a D:\\\\b", "D, line 3: a path of another drive", ""),
        ("COPY D:/a b", "D, line 3: a path of another drive", ""),
        ("COPY a \\\\\\\\server\\\\b", "D, line 3: a path of the network", ""),
        ("WORKDIR D:/x", "D, line 3: a path of another drive", ""),
        ("COPY none b", "D, line 3: no such file in the context", ""),
        ("COPY a a b", "D: line 3: several sources; expected a destination that ends in /", ""),
        ("COPY * b", "D, line 3: several files fit; expected a destination that ends in /", ""),
        ("COPY --chown=nobody a b", "D: line 3: --chown for Windows; .*got nobody", ""),
        ("COPY --exclude=[ a b", "D: line 3: --exclude: pattern 1: a malformed pattern", ""),
    ],
)
def test_refused(yard: Yard, instruction: str, match: str, hint: str) -> None:
    yard.put("c", a="1", e="2")
    with pytest.raises(WclayerError, match=match) as caught:
        yard.build(f"FROM base AS me\nUSER u\n{instruction}\n", contexts={"base": yard.base()})
    assert caught.value.exit_code in (2, 10, 12)
    assert hint in (caught.value.hint or "")
    assert not (yard.folder / "out").exists()


def test_the_hint_for_a_run_in_a_stage_that_is_copied_from(yard: Yard) -> None:
    """It names what the user has to say, and that does help."""
    text = "FROM scratch AS tool\nRUN make\nFROM scratch\nCOPY --from=tool /out/x /\n"
    with pytest.raises(SpecError) as caught:
        yard.build(text)
    assert caught.value.hint is not None
    assert "--build-context tool=FOLDER" in caught.value.hint
    tool = yard.put("tool", **{"out/x": "made"})
    assert yard.build(text, contexts={"tool": str(tool)}).files() == {"x": b"made"}


class _Unasked(Registries):
    """Registries that nobody may ask."""

    def registry(self, host: str) -> Any:
        raise AssertionError(f"a registry was asked: {host}")


@pytest.mark.parametrize("number", ["2", "99", "99999999999999999999"])
def test_a_number_of_no_stage_is_no_image(yard: Yard, number: str) -> None:
    """BuildKit: invalid stage index."""
    yard.put("c", a="1")
    with pytest.raises(SpecError, match=r"line 4: .*; got 9|line 4: .*; got 2"):
        yard.build(
            f"FROM scratch\nCOPY a /\nFROM scratch\nCOPY --from={number} a /\n",
            options=ImageOptions(registries=_Unasked()),
        )


def test_a_chain_of_many_stages(yard: Yard) -> None:
    """Each on the one before: nothing may depend on how deep Python's stack is."""
    yard.put("c", a="1")
    text = "FROM scratch AS s0\nCOPY a /\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(1200))
    assert yard.build(text).files() == {"a": b"1"}


# --- build arguments ---------------------------------------------------------------


def test_build_arguments(yard: Yard) -> None:
    yard.put("c", a="1", b="2")
    text = "ARG BASE\nARG NAME=a\nFROM $BASE\nARG NAME\nARG EXTRA=x\nCOPY $NAME /\nLABEL n=$NAME e=$EXTRA\n"
    place = yard.base()
    arguments = {"BASE": "base", "NAME": "b", "EXTRA": "y", "unused": "1"}
    made = yard.build(text, arguments=arguments, contexts={"base": place})
    assert made.files() == {"b": b"2"}
    assert made.run["Labels"] == {"e": "y", "n": "b"}
    assert made.built.warnings == ["D: no ARG asks for the build argument unused"]
    made = yard.build(text, arguments={"BASE": "base"}, contexts={"base": place})
    assert made.files() == {"a": b"1"}
    assert made.built.warnings == []


@pytest.mark.parametrize("architecture", [None, "arm64"])
def test_the_platform(yard: Yard, architecture: str | None) -> None:
    yard.put("c", a="1")
    text = (
        "FROM --platform=$BUILDPLATFORM scratch\nARG TARGETARCH\nARG TARGETOS\nARG TARGETPLATFORM\n"
        "LABEL x=$TARGETOS/$TARGETARCH y=$TARGETPLATFORM z=$TARGETVARIANT\nCOPY a /\n"
    )
    made = yard.build(text, settings=Recipe(layers=(), architecture=architecture))
    wanted = architecture or "amd64"
    assert made.config["architecture"] == wanted
    assert made.run["Labels"] == {"x": f"windows/{wanted}", "y": f"windows/{wanted}", "z": ""}


def test_a_platform_chooses_the_image_of_an_index(yard: Yard) -> None:
    from tests.images import INDEX, Layout

    made = Layout(yard.folder / "index")
    arm = made.image([build(THEIRS)], config=lambda config: config.update(architecture="arm64"))
    arm["platform"]["architecture"] = "arm64"
    index = made.index([made.image([build(THEIRS[:2])]), arm])
    made.tag({**index, "mediaType": INDEX})
    made.write()
    contexts = {"base": f"oci:{yard.folder / 'index'}:t"}
    assert yard.build("FROM --platform=windows/arm64 base\nUSER u", contexts=contexts).config["architecture"] == "arm64"
    assert yard.build("FROM --platform=windows/amd64 base\nUSER u", contexts=contexts).config["architecture"] == "amd64"
    for line in (
        "FROM --platform=linux/amd64 base",
        "FROM --platform=LINUX scratch",
        "FROM --platform=darwin/arm64 base",
    ):
        with pytest.raises(SpecError, match=r"D: line 1: a platform that is not Windows.*got (linux|LINUX|darwin)"):
            yard.build(f"{line}\nWORKDIR /x", contexts=contexts)
    with pytest.raises(UsageError, match=r"D, line 1: a platform"):
        yard.build("FROM --platform=windows base\nWORKDIR /x", contexts=contexts)


@pytest.mark.parametrize(
    ("first", "hint"),
    [
        ("FROM --platform=linux/amd64 golang:1 AS builder", "--build-context builder=FOLDER"),
        ("FROM --platform=linux/amd64 golang:1 AS builder\nRUN go build", "--build-context builder=FOLDER"),
        ("FROM registry.invalid/golang:1 AS builder\nRUN go build", "--build-context builder=FOLDER"),
        ("FROM --platform=linux/amd64 golang:1", "--build-context NAME=FOLDER, with AS NAME"),
        ("ARG P=linux\nFROM --platform=$P/arm64 golang:1 AS b", "--build-context b=FOLDER"),
    ],
)
def test_a_stage_of_another_system(yard: Yard, first: str, hint: str) -> None:
    """Before anything is fetched: there is no network here."""
    other = yard.put("other", x="1")
    name = "0" if " AS " not in first else first.rpartition(" AS ")[2].split()[0]
    text = f"{first}\nFROM base\nCOPY --from={name} x /\n"
    contexts = {"base": yard.base()}
    with pytest.raises(SpecError) as caught:
        yard.build(text, contexts=contexts)
    assert hint in str(caught.value.hint)
    if name != "0":
        assert yard.build(text, contexts={**contexts, name: str(other)}).files() == {"x": b"1"}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ARG TAG\nFROM registry.invalid/nano:$TAG", "TAG is empty: --build-arg TAG=VALUE"),
        ("ARG HOST\nFROM ${HOST}/nano:x", "--build-arg HOST=VALUE"),
        ("ARG D=\nFROM nano@${D}", "--build-arg D=VALUE"),
        ("FROM $BASE", "--build-arg BASE=VALUE"),
        ("ARG A\nARG B\nFROM $A:$B", "A, B is empty: --build-arg A=VALUE --build-arg B=VALUE"),
    ],
)
def test_an_empty_argument_in_a_reference(yard: Yard, text: str, hint: str) -> None:
    with pytest.raises(WclayerError) as caught:
        yard.build(f"{text}\nUSER u")
    assert hint in str(caught.value.hint)
    assert "before the first FROM" in str(caught.value.hint)


def test_an_empty_argument_that_may_be_empty(yard: Yard) -> None:
    assert yard.build("ARG PREFIX\nFROM ${PREFIX}base\nUSER u", contexts={"base": yard.base()}).run["User"] == "u"


# --- contexts ----------------------------------------------------------------------


def test_contexts_by_any_case(yard: Yard) -> None:
    other = yard.put("other", x="1", **{"d/y": "2"})
    made = yard.build(
        "FROM Base\nCOPY --from=OTHER x d /\nCOPY --from=base License.txt /l\n",
        contexts={"BASE": yard.base(), "Other": str(other)},
    )
    assert made.files(0) == {"x": b"1", "y": b"2"}
    assert made.files(1) == {"l": b"CC0"}


def test_a_context_in_place_of_a_stage(yard: Yard) -> None:
    text = "FROM scratch AS tool\nRUN x\nFROM scratch\nCOPY --from=tool /License.txt /\n"
    assert yard.build(text, contexts={"tool": yard.base()}).files() == {"License.txt": b"CC0"}


def test_a_context_in_place_of_the_stage_below(yard: Yard) -> None:
    text = "FROM scratch AS below\nRUN x\nFROM below\nLABEL a=b\n"
    made = yard.build(text, contexts={"below": yard.base()})
    assert made.run == {"Cmd": ["cmd.exe"], "Labels": {"a": "b"}}


def test_a_folder_where_an_image_must_be(yard: Yard) -> None:
    with pytest.raises(UsageError, match=r"D, line 1: a folder, where an image must be.*COPY --from can take it"):
        yard.build("FROM base\nUSER u", contexts={"base": str(yard.context)})


def test_the_dockerignore_of_another_context(yard: Yard) -> None:
    yard.put("c", **{".dockerignore": "kept"})
    other = yard.put(
        "other", **{".dockerignore": "secret\n**/*.log\n", "secret": "s", "kept": "k", "d/x.log": "l", "d/y": "y"}
    )
    contexts = {"other": str(other)}
    with pytest.raises(NotFoundError, match=r"\.dockerignore leaves it out"):
        yard.build("FROM scratch\nCOPY --from=other secret /", contexts=contexts)
    made = yard.build("FROM scratch\nCOPY --from=other kept d /x/", contexts=contexts)
    assert made.files() == {"x/kept": b"k", "x/y": b"y"}
    made = yard.build("FROM scratch\nCOPY --from=other . /x/", contexts=contexts)
    assert made.files() == {"x/.dockerignore": b"secret\n**/*.log\n", "x/kept": b"k", "x/d/y": b"y"}


def test_a_context_that_is_not_there(yard: Yard) -> None:
    with pytest.raises(NotFoundError):
        yard.build("FROM scratch\nCOPY a /", context=str(yard.folder / "none"))


# --- the same again ------------------------------------------------------------------


def test_the_same_again(yard: Yard, tmp_path: Path) -> None:
    files = {"a": "1", "b": "2", "d/x": "3", "d/y": "4", "D2/z": "5"}
    yard.put("c", **files)
    base = yard.base()
    text = (
        "FROM base AS one\nCOPY d D2 /x/\nCOPY <<E /inline\n$PATH\nE\n"
        "FROM base\nCOPY . /all/\nCOPY --from=one /x /y\nCOPY --from=one /inline /\nWORKDIR /w\nLABEL b=1 a=2"
    )
    first = yard.build(text, contexts={"base": base})
    (tmp_path / "elsewhere").mkdir()
    other = Yard(tmp_path / "elsewhere")
    other.put("c", **dict(reversed(files.items())))
    before = os.umask(0o077)
    try:
        second = other.build(text, contexts={"base": base}, workers=1)
    finally:
        os.umask(before)
    assert first.built.digest == second.built.digest
    assert first.built.created == NOON


def test_what_is_there_stays(yard: Yard) -> None:
    yard.put("c", a="1")
    yard.build("FROM scratch\nCOPY a /")
    yard.count = 0
    with pytest.raises(AlreadyExistsError):
        yard.build("FROM scratch\nCOPY a /b")
    yard.count = 0
    assert yard.build("FROM scratch\nCOPY a /b", force=True).files() == {"b": b"1"}
    index = json.loads((yard.folder / "out/index.json").read_bytes())
    assert len(index["manifests"]) == 1


def test_what_is_put_aside_in_the_context_is_not_part_of_it(yard: Yard) -> None:
    """TMPDIR may lie in there."""
    yard.put("c", a="1")
    made = yard.build("FROM scratch\nCOPY . /x\nCOPY <<E /y\ninline\nE\n", options=ImageOptions(temp_dir=yard.context))
    assert made.files(0) == {"x/a": b"1"}
    assert made.files(1) == {"y": b"inline\n"}


def test_nothing_is_left_of_what_was_put_aside(yard: Yard) -> None:
    yard.put("c", a="1")
    temp_dir = yard.put("tmp")
    text = "FROM scratch AS one\nCOPY a <<E /d/\nE\nFROM scratch\nCOPY --from=one /d /e\n"
    yard.build(text, options=ImageOptions(temp_dir=temp_dir))
    with pytest.raises(NotFoundError):
        yard.build(text + "COPY --from=one /none /", options=ImageOptions(temp_dir=temp_dir))
    assert list(temp_dir.iterdir()) == []


def test_a_chain_of_many_copies(yard: Yard) -> None:
    """Each takes from the one before: nothing may depend on how deep Python's stack is."""
    yard.put("c", a="1")
    text = "FROM scratch AS s0\nCOPY a /\n"
    text += "".join(f"FROM scratch AS s{n + 1}\nCOPY --from=s{n} /a /\n" for n in range(200))
    assert yard.build(text).files() == {"a": b"1"}
