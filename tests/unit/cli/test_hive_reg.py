"""wclayer hive export and import: .reg files out of hives, and into them."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.hosts import SYMLINKS, WINDOWS
from tests.unit.cli.hives import CONFIG, DIRTY, MINIMAL, SOFTWARE, VALUES, acme, hives_in, reg, run
from tests.unit.regf.samples import TIME
from wclayer.errors import AlreadyExistsError, HiveError, InexpressibleError, NotFoundError, SpecError, UsageError
from wclayer.regf.model import Hive, Key, dword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, layer folders, layer tars and an image."""
    return hives_in(tmp_path, monkeypatch)


# --- export -----------------------------------------------------------------------


def test_export_and_import_give_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "SOFTWARE", "-o", "all.reg") == 0
    assert capsys.readouterr().out.startswith("exported SOFTWARE: 4 keys, ")
    data = (here / "all.reg").read_bytes()
    assert data.startswith(b"\xff\xfe")
    text = data[2:].decode("utf-16-le")
    assert '\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]\r\n"Version"="1.0"\r\n' in text
    (here / "fresh").write_bytes(MINIMAL)
    assert run("import", "fresh", "all.reg", "--prefix", "HKLM\\SOFTWARE", "-o", "made") == 0
    assert acme(here / "made").values == VALUES
    assert [sub.name for sub in acme(here / "made").subkeys] == ["empty", "Settings"]
    assert run("export", "--json", "SOFTWARE", "Acme\\Settings", "-o", "part.reg") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == {"keys": 1, "size": (here / "part.reg").stat().st_size, "left_out": {"count": 0, "paths": []}}


def test_export_to_stdout(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("export", "--utf8", "SOFTWARE", "Acme\\Settings") == 0
    out, err = capsysbinary.readouterr()
    assert out == reg("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\Settings]", '"a"="b"')
    assert err.startswith(b"exported SOFTWARE Acme\\Settings: 1 key, ")
    with pytest.raises(UsageError, match="--json, while"):
        run("export", "--json", "SOFTWARE")


@pytest.mark.parametrize(
    ("place", "options", "path"),
    [
        ("other.hiv", ["--prefix", "hklm\\Loaded\\"], "HKEY_LOCAL_MACHINE\\Loaded"),
        ("base//Files/NTUSER.DAT", [], "HKEY_CURRENT_USER"),
        ("base//Files/NTUSER.DAT", ["--prefix", "HKU\\S-1-5-21"], "HKEY_USERS\\S-1-5-21"),
        ("upper//Hives/Software_Delta", [], "HKEY_LOCAL_MACHINE\\SOFTWARE"),
        ("oci:img:t", ["HKU\\.DEFAULT"], None),
        ("oci:img:t", ["HKLM\\SOFTWARE\\New"], "HKEY_LOCAL_MACHINE\\SOFTWARE\\New"),
        ("oci:img:t", ["HKLM\\SYSTEM\\CurrentControlSet"], "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002"),
    ],
)
def test_export_under_the_path_of_the_registry(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: str, options: list[str], path: str | None
) -> None:
    if path is None:
        with pytest.raises(NotFoundError):
            run("export", "--utf8", place, *options)
        return
    assert run("export", "--utf8", place, *options) == 0
    assert capsysbinary.readouterr().out.decode().splitlines()[2] == f"[{path}]"


@pytest.mark.parametrize(
    "command", [["show"], ["export"], ["export", "-o", "x.reg"], ["export", "--prefix", "HKLM\\X"]]
)
@pytest.mark.parametrize("place", ["oci:img:t", "base"])
def test_of_an_image_the_key_is_needed(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: str, command: list[str]
) -> None:
    with pytest.raises(
        UsageError, match=rf"^{place}: which key of the registry\?; expected one in HKEY_USERS\\.DEFAULT, "
    ):
        run(*command, place)
    assert capsysbinary.readouterr() == (b"", b"")
    assert not list(here.glob("x*"))


def test_export_what_has_no_place_in_a_reg_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = (Key("bad\nname", (), (Key("below", (), (), TIME),), TIME), Key("good", (sz("bad\0", "x"),), (), TIME))
    (here / "SOFTWARE").write_bytes(write_hive(Hive(Key("ROOT", (), keys, TIME), TIME)))
    with pytest.raises(InexpressibleError, match=r"bad\\x0aname"):
        run("export", "SOFTWARE", "-o", "x.reg")
    with pytest.raises(UsageError, match=r"is not known -- .*--prefix"):
        run("export", "other.hiv", "-o", "x.reg")
    with pytest.raises(UsageError, match="--prefix; expected HKEY_LOCAL_MACHINE"):
        run("export", "other.hiv", "--prefix", "SOFTWARE", "-o", "x.reg")
    assert not list(here.glob("x*"))
    assert run("export", "SOFTWARE", "--drop", "names", "-o", "x.reg") == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: left out, as no .reg file can name it: HKEY_LOCAL_MACHINE\\SOFTWARE\\bad\\x0aname",
        "warning: left out, as no .reg file can name it: HKEY_LOCAL_MACHINE\\SOFTWARE\\good\\\\bad\\x00",
    ]
    with pytest.raises(AlreadyExistsError):
        run("export", "SOFTWARE", "Acme", "-o", "x.reg")
    assert run("export", "SOFTWARE", "good", "--force", "--drop", "names", "-o", "x.reg") == 0
    assert "good" in (here / "x.reg").read_bytes().decode("utf-16")


def test_nothing_is_exported_before_all_is_known_to_have_a_place(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    local = Key("z", (sz("a", "b"),), (), TIME, layer=2)
    delta = Key("ROOT", (), (Key("a", (), (), TIME), local), TIME)
    (here / "Software_Delta").write_bytes(write_hive(Hive(delta, TIME, 6)))
    odd = Key("ROOT", (), (Key("a", (), (), TIME), Key("\ud800", (), (), TIME)), TIME)
    (here / "SOFTWARE").write_bytes(write_hive(Hive(odd, TIME)))
    for command, words in (
        (["export", "Software_Delta"], r"SOFTWARE\\z: a key that supersedes locally"),
        (["export", "--drop", "names", "Software_Delta"], r"SOFTWARE\\z: a key that supersedes locally"),
        (["export", "--utf8", "SOFTWARE"], r"SOFTWARE\\\\ud800: the name .* in UTF-8 no unpaired surrogate"),
        (["diff", "--reg", "--utf8", "--prefix", "HKLM\\SOFTWARE", "other.hiv", "SOFTWARE"], "unpaired surrogate"),
    ):
        with pytest.raises(InexpressibleError, match=words):
            run(*command)
        assert capsysbinary.readouterr() == (b"", b"")
    assert run("export", "--utf8", "--drop", "names", "SOFTWARE") == 0
    out, err = capsysbinary.readouterr()
    assert out.endswith(b"SOFTWARE\\a]\n")
    assert b"no .reg file can name it: HKEY_LOCAL_MACHINE\\SOFTWARE\\\\ud800" in err


def test_no_line_of_a_reg_file_comes_from_a_name(here: Path) -> None:
    """Also that of a key above the one that is exported, or that is asked for."""
    evil = "a]\n[HKEY_LOCAL_MACHINE\\SOFTWARE"
    above = Key(evil.partition("\\")[0], (), (Key("b", (sz("c", "d"),), (), TIME),), TIME)
    (here / "SOFTWARE").write_bytes(write_hive(Hive(Key("ROOT", (), (above,), TIME), TIME)))
    for command in (
        ["export", "SOFTWARE", f"{above.name}\\b", "-o", "x.reg"],
        ["export", "SOFTWARE", f"{above.name}\\b", "--drop", "names", "-o", "x.reg"],
        ["export", "other.hiv", "--prefix", f"HKLM\\{above.name}", "-o", "x.reg"],
        ["diff", "--reg", "SOFTWARE", "other.hiv", f"{above.name}\\b", "-o", "x.reg"],
    ):
        with pytest.raises(InexpressibleError, match=r"a\]\\x0a\[.*: the name cannot be in a .reg file"):
            run(*command)
    assert not list(here.glob("x*"))


# --- import -----------------------------------------------------------------------


def test_import(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (
        "[HKLM\\SOFTWARE\\Acme]",
        '"version"="9"',
        '"Blob"=-',
        '"nothing"=-',
        "[-HKEY_LOCAL_MACHINE\\Software\\Acme\\Settings]",
        "[-HKLM\\SOFTWARE\\Acme\\Nothing]",
        "[HKCR\\.acme]",
    )
    (here / "x.reg").write_bytes(reg(*lines))
    os.utime(here / "x.reg", (1_600_000_000, 1_600_000_000))
    assert run("import", "-v", "SOFTWARE", "x.reg", "-o", "changed") == 0
    assert capsys.readouterr().out.splitlines() == [
        "not there to be deleted: Acme\\Nothing",
        "not there to be deleted: Acme\\\\nothing",
        "imported x.reg into SOFTWARE, as changed; 2 deletions of what is not there",
    ]
    hive = read_hive((here / "changed").read_bytes())
    found = acme(here / "changed")
    assert (found.values[0], [sub.name for sub in found.subkeys]) == (sz("Version", "9"), ["empty"])
    assert found.value("Blob") is None
    assert hive.root.find("Classes\\.acme") is not None
    assert hive.last_written == found.last_written == (1_600_000_000 + 11_644_473_600) * 10_000_000
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE
    assert run("check", "-q", "changed") == 0


def test_import_gives_the_time_that_is_wanted(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "x.reg").write_bytes(text := reg("[HKLM\\SOFTWARE\\New]"))
    assert run("import", "SOFTWARE", "x.reg", "-o", "a", "--source-date-epoch", "1") == 0
    assert read_hive((here / "a").read_bytes()).last_written == 116_444_736_010_000_000
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run("import", "SOFTWARE", "-", "-o", "b") == 0
    assert read_hive((here / "b").read_bytes()).last_written == TIME
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        run("import", "SOFTWARE", "x.reg", "-o", "c", "--source-date-epoch", "now")


def test_import_in_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\Acme]", '"Level"=dword:7'))
    os.chmod(here / "SOFTWARE", 0o604)
    (here / "link").mkdir()
    name = "SOFTWARE"
    if SYMLINKS:
        name = "link/SOFTWARE"
        (here / name).symlink_to("../SOFTWARE")
    assert run("import", "--json", "--in-place", name, "x.reg") == 0
    nothing = {"count": 0, "paths": []}
    assert json.loads(capsys.readouterr().out) == {"changed": True, "not_there": {"keys": nothing, "values": nothing}}
    assert acme(here / "SOFTWARE").value("Level") == dword("Level", 7)
    assert (here / name).is_symlink() == SYMLINKS
    found = (here / "SOFTWARE").stat()
    assert stat.S_IMODE(found.st_mode) == (0o666 if WINDOWS else 0o604)
    assert run("import", "--in-place", "SOFTWARE", "x.reg") == 0
    assert capsys.readouterr().out == "nothing to change: x.reg into SOFTWARE\n"
    assert (here / "SOFTWARE").stat().st_mtime_ns == found.st_mtime_ns


def test_import_into_the_current_control_set(here: Path) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SYSTEM\\CurrentControlSet\\Services\\x]"))
    for place, name in (("SYSTEM", "a"), (f"base//{CONFIG}/system", "b")):
        assert run("import", place, "x.reg", "-o", name) == 0
        assert read_hive((here / name).read_bytes()).root.find("ControlSet002\\Services\\x") is not None
    (here / "SYSTEM").write_bytes(MINIMAL)
    with pytest.raises(SpecError, match=r"^x.reg: line 3: no CurrentControlSet"):
        run("import", "SYSTEM", "x.reg", "-o", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[HKLM\\SYSTEM\\Acme]", "line 3: a key of another hive; expected HKEY_LOCAL_MACHINE.SOFTWARE; got HKLM.SYS"),
        ("[HKCU\\Software]", "line 3: a key that is in no hive of a layer"),
        ("[-HKLM\\SOFTWARE]", "line 3: a root of the registry or a hive cannot be deleted"),
        ('[HKLM\\SOFTWARE\\A]\n"a"=?', "line 4: malformed data"),
        ("\0", "line 3: a NUL"),
    ],
)
def test_import_of_what_does_not_fit(here: Path, text: str, message: str) -> None:
    (here / "x.reg").write_bytes(reg(text))
    for target in (["-o", "out"], ["--in-place"]):
        with pytest.raises(SpecError, match=message):
            run("import", "SOFTWARE", "x.reg", *target)
    assert not list(here.glob("out*"))
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE


def test_import_is_refused(here: Path) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\A]"))
    for arguments in (["SOFTWARE", "x.reg"], ["SOFTWARE", "x.reg", "-o", "x", "--in-place"]):
        with pytest.raises(UsageError, match="where to the changed hive"):
            run("import", *arguments)
    with pytest.raises(UsageError, match="--in-place is for"):
        run("import", f"base//{CONFIG}/SOFTWARE", "x.reg", "--in-place")
    with pytest.raises(UsageError, match=r"not known -- .*--prefix"):
        run("import", "other.hiv", "x.reg", "-o", "x")
    with pytest.raises(InexpressibleError, match=r"^Software_Delta: a differencing hive"):
        run("import", "Software_Delta", "x.reg", "-o", "x")
    with pytest.raises(NotFoundError, match=r"^nowhere.reg: no such file"):
        run("import", "SOFTWARE", "nowhere.reg", "-o", "x")
    with pytest.raises(AlreadyExistsError):
        run("import", "SOFTWARE", "x.reg", "-o", "other.hiv")
    assert (here / "other.hiv").read_bytes() == MINIMAL
    with pytest.raises(UsageError, match="--json, while"):
        run("import", "--json", "SOFTWARE", "x.reg", "-o", "-")
    assert sorted(path.name for path in here.glob("x*")) == ["x.reg"]
    # What is loaded somewhere else may have any of its paths.
    (here / "y.reg").write_bytes(reg("[HKEY_LOCAL_MACHINE\\loaded\\A]"))
    assert run("import", "other.hiv", "y.reg", "--prefix", "HKLM\\Loaded", "-o", "x") == 0
    with pytest.raises(SpecError, match="a key of another hive"):
        run("import", "other.hiv", "y.reg", "--prefix", "HKLM\\Loaded\\A\\B", "-o", "z")


@pytest.mark.parametrize("kind", [OSError(errno.ENOSPC, "No space left on device"), SystemExit(143)])
def test_a_hive_is_changed_whole_or_not_at_all(
    here: Path, monkeypatch: pytest.MonkeyPatch, kind: BaseException
) -> None:
    """Also where its link leads; and with other hard links of it left alone."""

    def fails(_: Hive) -> bytes:
        raise kind

    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\A]"))
    (here / "links").mkdir()
    name = "SOFTWARE"
    if SYMLINKS:
        name = "links/SOFTWARE"
        (here / name).symlink_to("../SOFTWARE")
    os.link(here / "SOFTWARE", here / "other name")
    before = sorted(here.rglob("*"))
    with monkeypatch.context() as patched:
        patched.setattr("wclayer.cli.hive.reg_files.write_hive", fails)
        for arguments in ([name, "--in-place"], ["SOFTWARE", "-o", "out"]):
            with pytest.raises(type(kind)):
                run("import", arguments[0], "x.reg", *arguments[1:])
    assert sorted(here.rglob("*")) == before
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE
    assert run("import", name, "x.reg", "--in-place") == 0
    assert read_hive((here / "SOFTWARE").read_bytes()).root.subkey("A") is not None
    assert (here / "other name").read_bytes() == SOFTWARE
    assert sorted(here.rglob("*")) == before


def test_import_in_place_of_a_dirty_hive(here: Path) -> None:
    (here / "SOFTWARE").write_bytes(DIRTY)
    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\A]"))
    with pytest.raises(HiveError, match="dirty hive"):
        run("import", "SOFTWARE", "x.reg", "--in-place")
    assert (here / "SOFTWARE").read_bytes() == DIRTY
    assert run("import", "--accept-dirty", "SOFTWARE", "x.reg", "--in-place") == 0
    assert run("check", "-q", "SOFTWARE") == 0
    assert acme(here / "SOFTWARE").values == VALUES
