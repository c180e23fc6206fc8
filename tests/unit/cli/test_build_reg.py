"""wclayer build --reg, as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hosts import caches_in
from tests.images import BASE_TAR, layout
from tests.unit.cli.test_image_commands import run
from wclayer.errors import NotFoundError, SpecError, WclayerError
from wclayer.images.reading import open_image
from wclayer.layers.hives.config_hives import locate
from wclayer.layers.hives.merge import collect_hives
from wclayer.regf.model import Value, dword, sz

HEAD = "Windows Registry Editor Version 5.00\r\n\r\n"
DELTAS = ["Hives/DefaultUser_Delta", "Hives/Sam_Delta", "Hives/Security_Delta", "Hives/Software_Delta"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a context, a base, two .reg files, an image.toml and a Dockerfile."""
    monkeypatch.chdir(tmp_path)
    caches_in(tmp_path / "cache", monkeypatch)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "hello.cmd").write_bytes(b"@echo hello\r\n")
    one = '[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]\r\n"a"="one"\r\n"gone"=-\r\n'
    (tmp_path / "one.reg").write_bytes(b"\xff\xfe" + (HEAD + one).encode("utf-16-le"))
    (tmp_path / "two.reg").write_text(HEAD + '[HKLM\\SOFTWARE\\Acme]\n"a"="two"\n', newline="")
    (tmp_path / "image.toml").write_text("[registry.'HKLM\\SOFTWARE\\Acme'.values]\na = 'zero'\ngone = 1\nkept = 1\n")
    (tmp_path / "Dockerfile").write_text("FROM b AS x\nCOPY hello.cmd /\nFROM b\nCOPY --from=x /hello.cmd /\n")
    layout(tmp_path / "base", [BASE_TAR], tag="nano")
    return tmp_path


def acme(place: str) -> tuple[Value, ...]:
    hive, names = locate("HKLM\\SOFTWARE\\Acme")
    with open_image(place) as image, collect_hives([layer.source() for layer in image.layers]) as files:
        view = files.view(hive)
        assert view is not None
        key = view.root.find("\\".join(names))
        return () if key is None else key.values


def layers(place: str) -> list[list[str]]:
    """The differencing hives of each layer."""
    with open_image(place) as image:
        return [[e.path for e, _ in layer.source().entries() if e.path.endswith("_Delta")] for layer in image.layers]


def test_one_file_after_the_other(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "--json", "c", "--reg", "one.reg", "--reg", "two.reg", "-o", "oci:out:t")
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == ["Files/Windows/System32/config/SOFTWARE"]
    assert found["warnings"] == [
        "HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\\\gone: nothing to delete, there is no such value",
    ]
    assert acme("oci:out:t") == (sz("a", "two"),)


def test_after_what_image_toml_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "-f", "image.toml", "--from", "oci:base:nano", "--reg", "one.reg", "-o", "oci:out:t")
    assert "registry Hives/Software_Delta\n" in capsys.readouterr().out
    assert acme("oci:out:t") == (dword("kept", 1), sz("a", "one"))


def test_changes_alone_on_a_base(here: Path) -> None:
    run("build", "--from", "oci:base:nano", "--reg", "two.reg", "-o", "oci:out:t")
    assert acme("oci:out:t") == (sz("a", "two"),)


def test_changes_alone_from_scratch(here: Path) -> None:
    run("build", "--reg", "two.reg", "--created", "0", "-o", "oci:out:t")
    assert acme("oci:out:t") == (sz("a", "two"),)


def test_with_a_dockerfile_the_last_stage_has_them(here: Path) -> None:
    run("build", "-f", "Dockerfile", "c", "--build-context", "b=oci:base:nano", "--reg", "two.reg", "-o", "oci:out:t")
    assert [sorted(one) for one in layers("oci:out:t")] == [[], [*DELTAS, "Hives/System_Delta"]]
    (here / "Dockerfile").write_text("FROM b\nUSER x\n")
    run("build", "-f", "Dockerfile", "c", "--build-context", "b=oci:base:nano", "--reg", "two.reg", "-o", "oci:out:u")
    assert acme("oci:out:u") == (sz("a", "two"),)
    with open_image("oci:out:u") as image:
        assert [entry["created_by"] for entry in image.config["history"] if not entry.get("empty_layer")][-1:] == [
            "wclayer build --reg"
        ]


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (None, NotFoundError, "bad.reg: no such file"),
        ("REGEDIT\n", SpecError, "bad.reg"),
        (HEAD + "[HKCU\\x]\n", SpecError, "bad.reg: line 3: .*of the user who runs"),
        (HEAD + "[HKLM\\SYSTEM\\CurrentControlSet\\x]\n", NotFoundError, "no CurrentControlSet"),
    ],
)
def test_refused(here: Path, content: str | None, error: type[WclayerError], text: str) -> None:
    if content is not None:
        (here / "bad.reg").write_text(content, newline="")
    with pytest.raises(error, match=text):
        run("build", "c", "--reg", "bad.reg", "-o", "oci:out:t")
    assert not (here / "out").exists()


def test_two_spellings_of_one_key_keep_the_order_of_lines(here: Path) -> None:
    lines = '[HKLM\\SOFTWARE\\Acme]\n[HKCR\\Acme]\n"a"="first"\n[HKLM\\SOFTWARE\\Classes\\Acme]\n"a"="last"\n'
    (here / "order.reg").write_text(HEAD + lines, newline="")
    run("build", "c", "--reg", "order.reg", "-o", "oci:out:t")
    hive, _ = locate("HKCR")
    with open_image("oci:out:t") as image, collect_hives([layer.source() for layer in image.layers]) as files:
        view = files.view(hive)
        assert view is not None
        key = view.root.find("Classes\\Acme")
        assert key is not None
        assert key.values == (sz("a", "last"),)
