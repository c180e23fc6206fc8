"""wclayer hive new, merge and recover; and hives that are dirty or broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.hives import CONFIG, DIRTY, INHERIT, LOG, MINIMAL, SOFTWARE, acme, hives_in, reg, run
from tests.unit.regf.samples import TIME
from wclayer.errors import AlreadyExistsError, HiveError, InexpressibleError, UsageError
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, dword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, layer folders, layer tars and an image."""
    return hives_in(tmp_path, monkeypatch)


# --- new --------------------------------------------------------------------------


def test_new(here: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("new", "a") == 0
    assert (here / "a").read_bytes() == minimal_hive(116444736000000000)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert run("new", "--version", "1.3", "--root-name", "NewStoreRoot", "b") == 0
    assert (here / "b").read_bytes() == minimal_hive(TIME, root_name="NewStoreRoot", minor=3)
    assert run("new", "--version", "1.6", "c") == 0
    assert read_hive((here / "c").read_bytes()).differencing
    capsysbinary.readouterr()
    assert run("new", "-") == 0
    assert capsysbinary.readouterr().out == minimal_hive(TIME)
    with pytest.raises(AlreadyExistsError):
        run("new", "a")
    assert run("new", "--force", "--json", "a") == 0
    assert json.loads(capsysbinary.readouterr().out) == {"size": 8192, "warnings": []}
    for name in ("", "x" * 256):
        with pytest.raises(InexpressibleError):
            run("new", "--root-name", name, "d")
    assert not (here / "d").exists()


# --- merge ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "delta"), [("SOFTWARE", "Software_Delta"), (f"base.tar//{CONFIG}/SOFTWARE", "upper//Hives/software_DELTA")]
)
def test_merge(here: Path, capsys: pytest.CaptureFixture[str], base: str, delta: str) -> None:
    assert run("merge", base, delta, "-o", "merged") == 0
    assert capsys.readouterr().out.startswith(f"merged {base} and 1 above it: ")
    hive = read_hive((here / "merged").read_bytes())
    assert not hive.differencing
    assert acme(here / "merged").value("version") == sz("Version", "2.0")
    assert acme(here / "merged").value("Blob") is None
    assert run("check", "-q", "merged") == 0


def test_merge_says_what_does_not_fit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("merge", "other.hiv", "Software_Delta", "SYSTEM", "-o", "merged") == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: Software_Delta: 1 key changes what the base does not have: Acme",
        "warning: SYSTEM: an ordinary hive; all its keys were merged",
    ]
    with pytest.raises(HiveError, match="give the base layer's hive first"):
        run("merge", "Software_Delta", "SOFTWARE", "-o", "x")
    with pytest.raises(UsageError, match="--differencing, with an ordinary hive"):
        run("merge", "--differencing", "SOFTWARE", "Software_Delta", "-o", "x")
    with pytest.raises(AlreadyExistsError):
        run("merge", "SOFTWARE", "Software_Delta", "-o", "SOFTWARE")
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE
    assert not (here / "x").exists()


def test_merge_of_differencing_hives(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = Key("Acme", (sz("Version", "3.0"),), (), TIME, layer=INHERIT)
    (here / "later").write_bytes(write_hive(Hive(Key("ROOT", (), (later,), TIME), TIME, 6)))
    assert run("merge", "--differencing", "Software_Delta", "later", "-o", "both") == 0
    assert read_hive((here / "both").read_bytes()).differencing
    assert run("merge", "SOFTWARE", "both", "-o", "one") == 0
    assert run("merge", "SOFTWARE", "Software_Delta", "later", "-o", "two") == 0
    assert run("diff", "--times", "one", "two") == 0
    assert acme(here / "one").value("Version") == sz("Version", "3.0")


# --- dirty and broken hives ---------------------------------------------------------


def test_a_dirty_hive_says_what_to_do(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (here / "dirty").write_bytes(DIRTY)
    with pytest.raises(HiveError, match=r"^dirty: a dirty hive.* wclayer hive recover"):
        run("get", "dirty", "Acme", "Level")
    assert run("get", "--accept-dirty", "dirty", "Acme", "Level") == 0
    assert capsysbinary.readouterr().out == b"42\n"


def test_recover(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "dirty").write_bytes(DIRTY)
    (here / "dirty.LOG1").write_bytes(LOG)
    (here / "dirty.LOG2").write_bytes(bytes(512))
    assert run("recover", "dirty", "dirty.LOG1", "dirty.LOG2", "-o", "whole") == 0
    assert "recovered dirty: entries: 1 of dirty.LOG1, 0 of dirty.LOG2" in capsys.readouterr().out
    assert acme(here / "whole").values[0] == dword("Level", 43)
    assert run("check", "-q", "whole") == 0
    assert run("recover", "--json", "dirty", "dirty.LOG1", "-o", "again") == 0
    assert json.loads(capsys.readouterr().out)["applied"] == {"dirty.LOG1": 1}
    with pytest.raises(AlreadyExistsError):
        run("recover", "dirty", "dirty.LOG1", "-o", "whole")
    with pytest.raises(UsageError, match="more than two logs"):
        run("recover", "dirty", "a", "b", "c", "-o", "x")
    (here / "dirty.LOG1").write_bytes(b"no log at all")
    with pytest.raises(HiveError, match=r"^dirty: "):
        run("recover", "dirty", "dirty.LOG1", "-o", "x")
    assert not list(here.glob("x*"))


def test_what_recovering_does_not_heal_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clean hive is as Windows left it, whatever else is wrong; a broken one is not passed off as whole."""
    (here / "bad").write_bytes(SOFTWARE[:5000])
    assert run("recover", "bad", "SOFTWARE", "-o", "x") == 1
    out, err = capsys.readouterr()
    assert "recovered bad" in out
    assert "Windows refuses the hive all the same, or drops a part of it: a hive cut off" in err
    (here / "bad").write_bytes(b"")
    with pytest.raises(HiveError):
        run("recover", "bad", "SOFTWARE", "-o", "y")
    assert not list(here.glob("y*"))


def test_a_dirty_hive_in_layers_has_its_logs_there(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    software = here / "base" / CONFIG / "SOFTWARE"
    software.write_bytes(DIRTY)
    with pytest.raises(HiveError, match="dirty hive"):
        run("get", "base", "HKLM\\SOFTWARE\\Acme", "Level")
    for options, number in (([], b"43\n"), (["--accept-dirty"], b"42\n")):
        software.with_suffix(".LOG1").write_bytes(LOG)
        assert run("get", *options, "base", "HKLM\\SOFTWARE\\Acme", "Level") == 0
        assert capsysbinary.readouterr().out == number
    software.with_suffix(".LOG1").unlink()
    assert run("get", "--accept-dirty", "base", "HKLM\\SOFTWARE\\Acme", "Level") == 0


@pytest.mark.parametrize("data", [b"", b"regf", b"no hive at all", SOFTWARE[:5000], MINIMAL[:4096] + bytes(4096)])
def test_what_is_no_hive(here: Path, data: bytes) -> None:
    (here / "bad").write_bytes(data)
    (here / "x.reg").write_bytes(reg())
    for command in (
        ["show", "bad"],
        ["get", "bad", "Acme"],
        ["export", "bad", "--prefix", "HKLM\\X", "-o", "x"],
        ["import", "bad", "x.reg", "--prefix", "HKLM\\X", "-o", "x"],
        ["import", "bad", "x.reg", "--prefix", "HKLM\\X", "--in-place"],
        ["diff", "SOFTWARE", "bad"],
        ["diff", "--reg", "SOFTWARE", "bad", "-o", "x"],
        ["merge", "SOFTWARE", "bad", "-o", "x"],
        ["merge", "bad", "Software_Delta", "-o", "x"],
    ):
        with pytest.raises(HiveError) as caught:
            run(*command)
        assert caught.value.path == "bad"
    assert run("check", "-q", "bad") == 1
    assert sorted(path.name for path in here.glob("x*")) == ["x.reg"]
    assert (here / "bad").read_bytes() == data
