"""wclayer hive: where hives are, streams, exit codes, and that nothing half made is left."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import WINDOWS, needs_symlinks, posix_only
from tests.unit.cli.hives import CONFIG, DIRTY, LOG, SOFTWARE, hives_in, reg, run
from tests.unit.regf.samples import TIME
from wclayer.cli.main import cli, main
from wclayer.errors import LayerError, NotFoundError, UsageError, WclayerError
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, layer folders, layer tars and an image."""
    return hives_in(tmp_path, monkeypatch)


# --- places -----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["base", "base.tar", "oci:img:t", "oci:img:t#0"])
def test_a_hive_in_layers(here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: str) -> None:
    for path in (f"{CONFIG}/SOFTWARE", "Files/WINDOWS/system32/./Config//software"):
        assert run("get", f"{place}//{path}", "Acme", "Version") == 0
        assert capsysbinary.readouterr().out == b"1.0\n"
    assert run("check", "-q", f"{place}//Files/NTUSER.DAT") == 0


@pytest.mark.parametrize("place", ["upper", "upper.tar", "oci:img:t", "oci:img:t#1"])
def test_a_differencing_hive_in_layers(here: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    assert run("show", f"{place}//Hives/Software_Delta", "Acme") == 0
    assert "  Blob     REG_NONE  (deleted)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "version"),
    [
        (["oci:img:t"], "2.0"),
        (["oci:img:t#1"], "2.0"),
        (["oci:img:t#0"], "1.0"),
        (["base"], "1.0"),
        (["base.tar"], "1.0"),
        (["upper", "-l", "base"], "2.0"),
        (["upper.tar", "-l", "base.tar"], "2.0"),
    ],
)
def test_the_registry_of_images_and_layers(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: list[str], version: str
) -> None:
    for key in ("HKLM\\Software\\Acme", "HKEY_LOCAL_MACHINE\\SOFTWARE\\ACME\\"):
        assert run("get", *place, key, "version") == 0
        assert capsysbinary.readouterr().out == f"{version}\n".encode()
    assert run("show", *place, "HKLM\\SYSTEM\\CurrentControlSet") == 0
    assert capsysbinary.readouterr().out == b"HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002\\\n"
    if version == "2.0":
        with pytest.raises(NotFoundError, match="no such value"):
            run("get", *place, "HKLM\\Software\\Acme", "Blob")
        assert run("show", *place, "HKLM\\Software\\New") == 0


def test_layer_folders_that_were_imported(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for options in (["-i", "base.tar", "one"], ["-l", "one", "-i", "upper.tar", "two"]):
        cli.main(["import", "-q", *options], standalone_mode=False)
    for place, key, version in (
        ([f"one//{CONFIG}/SOFTWARE"], "Acme", b"1.0\n"),
        (["one"], "HKLM\\SOFTWARE\\Acme", b"1.0\n"),
        (["-l", "one", "two"], "HKLM\\SOFTWARE\\Acme", b"2.0\n"),
    ):
        assert run("get", *place, key, "Version") == 0
        assert capsysbinary.readouterr().out == version
    with pytest.raises(UsageError, match="a non-base layer without those below it"):
        run("show", "two", "HKLM\\SOFTWARE")


def test_a_hive_from_stdin(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOFTWARE)))
    assert run("get", "-", "Acme", "Level") == 0
    assert capsysbinary.readouterr().out == b"42\n"


def test_two_slashes_may_stand_in_a_path(here: Path) -> None:
    (here / "plain").mkdir()
    (here / "plain" / "hive").write_bytes(SOFTWARE)
    assert run("check", "-q", "plain//hive") == 0
    assert run("check", "-q", f"{here}//SOFTWARE") == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["show", "nowhere"], NotFoundError, "^nowhere: no such file"),
        (["show", "img"], UsageError, "a folder, where a hive must be"),
        (["show", "SOFTWARE", "Acme\\Nothing"], NotFoundError, "no such key; expected a subkey of Acme"),
        (["show", "SOFTWARE", "HKLM\\SOFTWARE\\Acme"], UsageError, "a path of the registry, in a single hive"),
        (["show", "base//Files", "x"], UsageError, "no path of a hive"),
        (["show", "base//elsewhere/SOFTWARE"], UsageError, "no path of a hive"),
        (["show", "oci:img:t//"], UsageError, "no path of a hive"),
        (["show", "oci:img:t//Files/nothing"], NotFoundError, "no such file"),
        (["show", f"oci:img:t//{CONFIG}"], UsageError, "a folder, where a hive must be"),
        (["show", f"oci:img:t#7//{CONFIG}/SOFTWARE"], NotFoundError, "no such layer"),
        (["show", f"oci:img:t#1//{CONFIG}/SOFTWARE"], NotFoundError, "no such file"),
        (
            ["show", "oci:img:t"],
            UsageError,
            r"^oci:img:t: which key of the registry\?; expected one in HKEY_USERS..DEFAULT, HKEY_LOCAL_MACHINE.SAM",
        ),
        (["show", "oci:img:t", "Acme"], UsageError, "a key that is in no hive of a layer"),
        (["show", "oci:img:t", "HKCU\\Software"], UsageError, "of the user who runs"),
        (["show", "oci:img:t", "HKLM\\HARDWARE"], UsageError, "volatile"),
        (["show", "oci:img:t", "HKLM\\SAM"], NotFoundError, "no layer has this hive"),
        (["show", "oci:img:t", "HKLM\\SOFTWARE\\Nothing"], NotFoundError, "no such key"),
        (["show", "oci:img:t", "HKLM\\SOFTWARE", "-l", "base"], UsageError, "-l is for"),
        (["show", "SOFTWARE", "-l", "base"], UsageError, "-l is for"),
        (["show", "upper", "HKLM\\SOFTWARE"], UsageError, "without those below it"),
        (["show", "upper.tar", "HKLM\\SOFTWARE"], LayerError, "give its parents with -l"),
        (["check", "oci:img:t"], UsageError, "an image or layer, where one hive must be"),
        (["merge", "base", "SOFTWARE", "-o", "x"], UsageError, "an image or layer, where one hive must be"),
        (["import", "base", "x.reg", "-o", "x"], UsageError, "an image or layer, where one hive must be"),
        (["diff", "base", "SOFTWARE"], UsageError, "a hive and a whole image"),
    ],
)
def test_places_that_are_none(here: Path, arguments: list[str], error: type[WclayerError], message: str) -> None:
    with pytest.raises(error, match=message):
        run(*arguments)
    assert not (here / "x").exists()


@needs_symlinks
def test_a_link_is_no_hive(here: Path) -> None:
    (here / "base" / "Files" / "link").symlink_to("NTUSER.DAT")
    with pytest.raises(UsageError, match="a link, where a hive must be"):
        run("show", "base//Files/link")


def test_two_slashes_before_a_layer_and_after_it(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for place in (f"{here}//base", f"{here}//base.tar", ".//.//base", f"{here}//base.tar///"):
        assert run("get", f"{place}//{CONFIG}/SOFTWARE", "Acme", "Version") == 0
        assert capsysbinary.readouterr().out == b"1.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "-", "-"], "stdin, for more than one file"),
        (["merge", "-", "-", "-o", "x"], "stdin, for more than one file"),
        (["recover", "-", "-", "-o", "x"], "stdin, for more than one file"),
        (["import", "-", "-", "-o", "x", "--prefix", "HKLM\\X"], "both from stdin"),
    ],
)
def test_stdin_is_read_once(here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOFTWARE)))
    with pytest.raises(UsageError, match=message):
        run(*arguments)
    assert not (here / "x").exists()


def test_a_terminal_is_no_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(UsageError, match="no hive to read: stdin is a terminal -- give its name, or use a pipe"):
        run("show", "-")
    with pytest.raises(UsageError, match=r"no .reg file to read: stdin is a terminal -- give its name, or through a"):
        run("import", "SOFTWARE", "-", "-o", "x")


# --- the whole program --------------------------------------------------------------


def test_through_pipes(here: Path) -> None:
    command = [sys.executable, "-m", "wclayer", "hive"]
    made = subprocess.run([*command, "new", "-"], capture_output=True, check=True)
    assert made.stdout == minimal_hive(116444736000000000)
    shown = subprocess.run([*command, "check", "-"], input=made.stdout, capture_output=True, check=True)
    assert shown.stdout == b"-: Windows loads all of it" + os.linesep.encode()
    bad = subprocess.run([*command, "show", "-"], input=b"x", capture_output=True, check=False)
    assert (bad.returncode, bad.stderr.count(b"\n")) == (10, 1)
    if not WINDOWS:  # which has no such shell
        early = subprocess.run(
            ["sh", "-c", f"{' '.join(command)} show -r SOFTWARE | head -c 1"], capture_output=True, check=False
        )
        assert early.stderr == b""


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-8"])
def test_names_that_a_pipe_has_no_letters_for(here: Path, encoding: str) -> None:
    """As stdout is on Windows, where it is no terminal."""
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", (sz("ä世", "界"),), (), TIME), TIME)))
    command = [sys.executable, "-m", "wclayer", "hive"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for rest, text in ((["show", "hive"], '\\\n  ä世  REG_SZ  "界"\n'), (["diff", "hive", "other.hiv"], "")):
        done = subprocess.run([*command, *rest], capture_output=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (int(rest[0] == "diff"), b"")
        out = done.stdout.replace(b"\r\n", b"\n")
        assert out.startswith(text.encode(encoding, "backslashreplace"))
        assert "ä世".encode(encoding, "backslashreplace") in out
    done = subprocess.run([*command, "get", "hive", "", "ä世"], capture_output=True, check=True, env=environment)
    assert done.stdout == "界\n".encode()


@posix_only("a shell")
@pytest.mark.parametrize(
    "command",
    ["show -r -v hive", "show --json -r hive", "export --prefix HKLM hive", "diff hive other.hiv", "get hive k v"],
)
def test_a_reader_that_goes_away(here: Path, command: str) -> None:
    keys = tuple(Key(f"k{n:05}", (sz("v", "x" * 100),), (), TIME) for n in range(3000))
    keys += (Key("k", (sz("v", "x" * 300_000),), (), TIME),)
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", (), keys, TIME), TIME)))
    line = f"{{ {sys.executable} -m wclayer hive {command}; echo $? >&2; }} | head -c 1"
    for unbuffered in ("", "1"):
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(["sh", "-c", line], capture_output=True, check=False, env=environment)
        assert done.stderr == b"141\n"


@pytest.mark.skipif(WINDOWS or not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    "command", ["show SOFTWARE", "new -", "export SOFTWARE", "get SOFTWARE Acme Level", "new --force x"]
)
def test_an_output_that_is_full(here: Path, command: str) -> None:
    arguments = [sys.executable, "-m", "wclayer", "hive", *command.split()]
    for unbuffered in ("", "1"):
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        with open("/dev/full", "wb") as full:
            done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, check=False, env=environment)
        assert done.returncode == 15
        assert done.stderr.startswith(b"wclayer: stdout: No space left on device -- make room")
        assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["diff", "SOFTWARE", "SOFTWARE"], 0),
        (["diff", "SOFTWARE", "other.hiv"], 1),
        (["check", "SOFTWARE"], 0),
        (["check", "base.tar//Files/Windows/System32/config/SOFTWARE"], 0),
        (["show", "SOFTWARE", "HKLM\\x"], 2),
        (["show"], 2),
        (["show", "nowhere"], 12),
        (["get", "SOFTWARE", "Acme", "nothing"], 12),
        (["get", "SOFTWARE", "Acme", "Odd"], 18),
        (["import", "SOFTWARE", "SOFTWARE", "-o", "x"], 10),
        (["merge", "Software_Delta", "SOFTWARE", "-o", "x"], 10),
        (["new", "SOFTWARE"], 13),
    ],
)
def test_exit_codes(here: Path, arguments: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["hive", *arguments])
    assert (caught.value.code or 0) == code


@posix_only("a shell")
def test_import_of_all_that_comes_through_a_pipe(here: Path) -> None:
    keys = "".join(f"[HKEY_LOCAL_MACHINE\\SOFTWARE\\K{number:06}]\n" for number in range(5000))
    text = f"Windows Registry Editor Version 5.00\n{keys}".encode()
    command = [sys.executable, "-m", "wclayer", "hive", "import", "fresh/SOFTWARE", "-", "-o", "piped"]
    (here / "fresh").mkdir()
    (here / "fresh" / "SOFTWARE").write_bytes(minimal_hive(TIME))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        for at in range(0, len(text), 30_000):
            process.stdin.write(text[at : at + 30_000])
            process.stdin.flush()
        process.stdin.close()
    assert process.returncode == 0
    assert len(read_hive((here / "piped").read_bytes()).root.subkeys) == 5000


def test_quiet_says_nothing_but_errors(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\A]", '"nothing"=-'))
    (here / "dirty").write_bytes(DIRTY)
    (here / "dirty.LOG1").write_bytes(LOG)
    for arguments, code in (
        (["show", "-r", "SOFTWARE"], 0),
        (["get", "SOFTWARE", "Acme", "Level"], 0),
        (["get", "--raw", "SOFTWARE", "Acme", "Level"], 0),
        (["check", "dirty"], 1),
        (["export", "SOFTWARE", "-o", "a.reg"], 0),
        (["import", "SOFTWARE", "x.reg", "-o", "b"], 0),
        (["import", "SOFTWARE", "x.reg", "--in-place"], 0),
        (["new", "c"], 0),
        (["diff", "SOFTWARE", "other.hiv"], 1),
        (["diff", "--reg", "b", "SYSTEM", "--prefix", "HKLM\\X", "-o", "d.reg"], 1),
        (["merge", "other.hiv", "Software_Delta", "SYSTEM", "-o", "e"], 0),
        (["recover", "dirty", "dirty.LOG1", "-o", "f"], 0),
    ):
        assert run(arguments[0], "-q", *arguments[1:]) == code
        assert capsys.readouterr() == ("", "")
    assert {path.name for path in here.iterdir()} >= {"a.reg", "b", "c", "d.reg", "e", "f"}


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "path"),
    [
        (["show", "nowhere"], 12, "NotFoundError", "nowhere"),
        (["import", "Software_Delta", "new.reg", "-o", "x"], 18, "InexpressibleError", "Software_Delta"),
        (["check", "base"], 2, "UsageError", "base"),
        (["diff", "SOFTWARE", "bad"], 10, "HiveError", "bad"),
        (["import", "SOFTWARE", "bad", "-o", "x"], 10, "SpecError", "bad"),
        (["new", "SOFTWARE"], 13, "AlreadyExistsError", "SOFTWARE"),
        (["recover", "bad", "SOFTWARE", "-o", "x"], 10, "HiveError", "bad"),
    ],
)
def test_errors_in_json(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, kind: str, path: str
) -> None:
    (here / "bad").write_bytes(b"bad")
    (here / "new.reg").write_bytes(reg("[HKLM\\SOFTWARE\\A]"))
    with pytest.raises(SystemExit) as caught:
        main(["hive", *arguments, "--json"])
    assert caught.value.code == code
    out, err = capsys.readouterr()
    assert out == ""
    found = json.loads(err)
    assert (found["code"], found["class"], found["path"]) == (code, kind, path)
    assert not (here / "x").exists()
