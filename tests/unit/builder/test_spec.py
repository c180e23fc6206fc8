"""image.toml: what it says, and what it must not say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from docs.image_schema import schema, table

from wclayer.builder.recipe import (
    DirectoryRule,
    FilesRule,
    JunctionRule,
    LayerRecipe,
    Recipe,
    RemoveRule,
    Security,
    SymlinkRule,
)
from wclayer.builder.spec import MAX_SIZE, load_recipe
from wclayer.builder.spec_keys import IMAGE, REGISTRY, TABLES
from wclayer.errors import FormatError, SpecError
from wclayer.images.spec.config_settings import Config

DOCS = Path(__file__).parents[3] / "docs"
HERE = os.path.join("some", "folder")


def load(text: str) -> Recipe:
    return load_recipe(text.encode(), source="image.toml", folder=HERE)


def in_folder(*names: str) -> str:
    return os.path.join(HERE, *names)


def full_example() -> str:
    found = re.search(r"```toml\n(.*?)```", (DOCS / "image-toml.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_full_example_of_the_docs_says_all_of_this() -> None:
    assert load(full_example()) == Recipe(
        base=f"oci:{in_folder('base')}:nanoserver",
        config=Config(
            entrypoint=("cmd.exe", "/c", "C:\\Service\\current\\service.cmd"),
            cmd=("--verbose",),
            workdir="C:\\Service\\data",
            user="ContainerUser",
            ports=("8080", "53/udp"),
            author="the platform team",
            env={"SERVICE_DATA": "C:\\Service\\data"},
            labels={"version": "1.0"},
        ),
        annotations={"org.opencontainers.image.title": "service"},
        created=1706702400,
        acl="read-only",
        compression="zstd",
        level=9,
        layers=(
            LayerRecipe(
                name="settings",
                files=(FilesRule(source=in_folder("hosts"), target="Windows/System32/drivers/etc", into=True),),
                directories=(
                    DirectoryRule(
                        path="Service/data",
                        security=Security(
                            sddl="O:BAG:SYD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;S-1-5-93-2-2)"
                        ),
                        attributes=0x2000,
                    ),
                ),
                remove=(RemoveRule(path="License.txt"),),
            ),
            LayerRecipe(
                name="service",
                files=(
                    FilesRule(
                        source=in_folder("service"),
                        target="Service/1.0",
                        exclude=("*.log", "!keep.log"),
                        security=Security(owner="Administrators"),
                        attributes=1,
                    ),
                ),
                symlinks=(SymlinkRule(path="Service/current", target="1.0", directory=True),),
                junctions=(JunctionRule(path="Data", target="C:\\Service\\data"),),
            ),
        ),
    )


def test_the_full_example_has_every_key_but_those_that_exclude_others() -> None:
    example = full_example()
    keys = {name for keys in (IMAGE, *TABLES.values()) for name in keys}
    missing = {key for key in keys if not re.search(rf"(?m)^{key} = |^\[image\.{key}\]", example)}
    assert missing == {"os-version", "architecture"}


def test_the_docs_have_every_key() -> None:
    text = (DOCS / "image-toml.md").read_text(encoding="utf-8")
    for keys in (IMAGE, *TABLES.values(), REGISTRY):
        assert table(keys) in text, "run python -m docs.image_schema tables"


def test_the_schema_is_the_one_of_the_keys() -> None:
    assert (DOCS / "image.schema.json").read_text(encoding="utf-8") == schema(), "run python -m docs.image_schema"
    value = json.loads(schema())
    assert value["properties"]["files"]["items"]["required"] == ["source"]
    assert value["properties"]["image"]["properties"]["acl"]["enum"][0] == "default"


def test_nothing_but_a_base_is_a_change_of_the_config() -> None:
    recipe = load('[image]\nfrom = "docker-archive:/abs/x.tar:a:b"\nuser = "ContainerUser"')
    assert recipe.layers == ()
    assert recipe.base == "docker-archive:/abs/x.tar:a:b" or os.name == "nt"


def test_no_layers_key_is_one_layer() -> None:
    recipe = load('[[files]]\nsource = "a"\n[[directories]]\npath = "b"')
    assert [len(layer.files) + len(layer.directories) for layer in recipe.layers] == [2]
    assert recipe.layers[0].name is None


@pytest.mark.parametrize(
    ("text", "path", "into"),
    [
        ("C:\\\\App\\\\x.dll", "App/x.dll", False),
        ("/App//./x.dll", "App/x.dll", False),
        ("c:/App/", "App", True),
        ("\\\\", "", True),
        ("C:", "", False),
        ("C:\\\\", "", True),
    ],
)
def test_targets(text: str, path: str, into: bool) -> None:
    [rule] = load(f'[[files]]\nsource = "x"\ntarget = "{text}"').layers[0].files
    assert (rule.target, rule.into) == (path, into)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "no TOML"),
        ("a = 1", "unknown table; expected image, registry, files"),
        ("image = 1", r"\[image\] is no table"),
        ('[image]\nentry-point = ["x"]', "unknown key; expected entrypoint.; got entry-point"),
        ('[image]\nos_version = "1"', "expected os-version.; got os_version"),
        ("[image]\nentrypoint = 'x'", r"entrypoint; expected a list of text; got 'x'"),
        ("[image]\ncmd = [1]", "cmd; expected a list of text"),
        ("[image]\nuser = 1", "user; expected text; got 1"),
        ('[image]\nuser = "a\\u0000b"', "user; expected text"),
        ("[image]\nlevel = true", "level; expected a number; got True"),
        ("[image]\ncreated = 2024-01-31T12:00:00", "created; expected a date and time"),
        ("[image]\ncreated = -1", "created; expected a date and time"),
        ("[image]\ncreated = 99999999999999", "created; expected a date and time"),
        ('[image]\nacl = "open"', "acl; expected default, read-only"),
        ('[image]\ncompress = "xz"', "compress; expected gzip, zstd, none; got xz"),
        ("[image]\nports = [0]", "ports; expected 1 to 65535"),
        ('[image]\nports = ["80/sctp"]', "ports; expected 1 to 65535"),
        ("[image]\nports = [true]", "ports; expected a list of ports"),
        ('[image.env]\n"A=B" = "c"', "env; expected names without ="),
        ('[image.env]\nPath = "c"\nPATH = "d"', "each once in any case; got PATH"),
        ("[image.env]\nA = 1", "env; expected a table of texts"),
        ('[image.labels]\n"" = "c"', "labels; expected a table of texts"),
        ('[image]\nfrom = "base"', "from; expected the place of an image"),
        ('[image]\nfrom = "oci:x:"', "from: a place with an empty tag"),
        ('[image]\nlayers = ["a", "a"]\n[[remove]]\npath = "x"\nlayer = "a"', "layers; expected names, each of them"),
        ('[image]\nlayers = ["a", "b"]\n[[remove]]\npath = "x"\nlayer = "a"', "nothing in it; .*got b"),
        ('[image]\nlayers = ["a"]\n[[remove]]\npath = "x"', "number 1: layer; expected a; got none"),
        ('[[remove]]\npath = "x"\nlayer = "a"', r"\[\[remove\]\] number 1: layer, while \[image\] has no layers"),
        ('[remove]\npath = "x"', r"remove is a single table; expected \[\[remove\]\]"),
        ("files = [1]", r"\[\[files\]\] number 1 is no table"),
        ('[[files]]\ntarget = "x"', "source is missing"),
        ('[[files]]\nsource = ""', "source is empty"),
        ('[[files]]\nsource = "x"\ntraget = "y"', "unknown key; expected target.; got traget"),
        ('[[files]]\nsource = "x"\ntarget = "D:/x"', "target; expected a path of drive C:"),
        (
            "[[files]]\nsource = 'x'\ntarget = '\\\\server\\share\\x'",
            "target begins with two slashes; expected a path",
        ),
        ("[[files]]\nsource = 'x'\ntarget = '//server/share/'", "target begins with two slashes"),
        ("[[files]]\nsource = 'x'\ntarget = '\\\\?\\C:\\x'", "target begins with two slashes"),
        ("[[directories]]\npath = '\\\\server\\share'", "path begins with two slashes"),
        ("[[junctions]]\npath = 'x'\ntarget = '\\\\server\\share'", "target begins with two slashes"),
        ('[[files]]\nsource = "x"\ntarget = "C:x"', "target; expected C:"),
        ('[[files]]\nsource = "x"\ntarget = "a/../b"', r"target; expected .* without \.\."),
        ('[[files]]\nsource = "x"\ntarget = "a/aux.txt"', r"\[\[files\]\] number 1: target: .*cannot open"),
        ('[[files]]\nsource = "x"\nattributes = ["read-only"]', "attributes; expected readonly, hidden"),
        ('[[files]]\nsource = "x"\nacl = "default"\nsddl = "D:"', "acl and sddl together"),
        ('[[files]]\nsource = "x"\nsddl = "O:BA"', "without a DACL"),
        ('[[files]]\nsource = "x"\nsddl = "D:(A;;XX;;;BA)"', r"\[\[files\]\] number 1: "),
        ('[[files]]\nsource = "x"\nowner = "Administartors"', "unknown account"),
        ('[[directories]]\npath = "C:/"', "path; expected a path of drive C:"),
        ('[[junctions]]\npath = "x"\ntarget = "y"', "target; expected a path of drive C:"),
        ('[[symlinks]]\npath = "x"\ntarget = ""', "target is empty"),
        ('[[symlinks]]\npath = "x"\ntarget = "y"\ndirectory = 1', "directory; expected true or false"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        load(text)
    assert caught.value.exit_code == 10
    assert "image.toml" in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"\xff", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000, b"#" * (MAX_SIZE + 1), b"a = 1e99999\n"]
)
def test_hostile_files(data: bytes) -> None:
    with pytest.raises(SpecError):
        load_recipe(data, source="image.toml", folder=".")
