"""The command line as its users meet it: streams, exit codes, JSON, signals, and the examples of each help."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.command import wclayer
from tests.hosts import WINDOWS, posix_only
from tests.tars import BASE, M, build
from wclayer import __version__, errors
from wclayer.cli.common import size_text

TAR = build([*BASE, M("Files/f", b"hello" * 500)])
DIFF_ID = f"sha256:{hashlib.sha256(TAR).hexdigest()}"


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "layer.tar"
    path.write_bytes(TAR)
    return path


def test_import_and_export_through_pipes(tmp_path: Path) -> None:
    done = wclayer("import", tmp_path / "layer", stdin=TAR)
    assert (done.returncode, done.stderr) == (0, b"")
    assert DIFF_ID.encode() in done.stdout
    out = wclayer("export", tmp_path / "layer")
    assert out.returncode == 0
    assert hashlib.sha256(out.stdout).hexdigest().encode() in out.stderr
    again = wclayer("import", "-i", "-", "--quiet", tmp_path / "again", stdin=out.stdout)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    assert wclayer("export", "-q", "-o", "-", tmp_path / "again").stdout == out.stdout


def test_json(tmp_path: Path, tar: Path) -> None:
    done = wclayer("import", "--json", "-i", tar, tmp_path / "layer")
    result = json.loads(done.stdout)
    assert result.pop("seconds") >= 0
    assert result == {
        "entries": {"directories": 2, "files": 1},
        "bytes": 2500,
        "tar_size": len(TAR),
        "diff_id": DIFF_ID,
        "blob_size": len(TAR),
        "digest": DIFF_ID,
        "compression": "none",
        "compressor": None,
        "own_records": {},
        "warnings": [],
    }
    done = wclayer("export", "--json", "-z", "-o", tmp_path / "out.tar.gz", tmp_path / "layer")
    result = json.loads(done.stdout)
    data = (tmp_path / "out.tar.gz").read_bytes()
    assert result["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (result["blob_size"], result["compression"]) == (len(data), "gzip")
    assert re.match(r"zlib-ng \d", result["compressor"])
    done = wclayer("export", "--json", tmp_path / "layer")
    assert (done.returncode, done.stdout) == (2, b"")
    assert json.loads(done.stderr)["class"] == "UsageError"


def test_errors_as_json(tmp_path: Path) -> None:
    done = wclayer("import", "--json", tmp_path / "layer", stdin=build([*BASE, M("Files/../x")]))
    error = json.loads(done.stderr)
    assert done.returncode == error["code"] == 10
    assert (error["class"], error["path"], error["offset"]) == ("ConfinementError", "Files/../x", 3072)
    assert error["message"]
    assert error["hint"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["import"], b"", 2),
        (["import", "--nonsense", "layer"], b"", 2),
        (["export", "-z", "--compress", "zstd", "nowhere"], b"", 2),
        (["export", "--compress", "gzip", "--level", "77", "-o", "x", "good"], b"", 2),
        (["import", "--diff-id", "nonsense", "layer"], TAR, 2),
        (["import", "layer"], TAR[:700], 10),
        (["import", "layer"], b"\x1f\x8b\x08\0garbage", 10),
        (["import", "--diff-id", "0" * 64, "layer"], TAR, 11),
        (["import", "-i", "nowhere.tar", "layer"], b"", 12),
        (["export", "nowhere"], b"", 12),
        (["import", "-l", "nowhere", "layer"], TAR, 12),
        (["import", "good"], TAR, 13),
        (["export", "-o", "taken", "good"], b"", 13),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], stdin: bytes, code: int) -> None:
    assert wclayer("import", "good", stdin=TAR, cwd=tmp_path).returncode == 0
    (tmp_path / "taken").write_bytes(b"mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = wclayer(*arguments, stdin=stdin, cwd=tmp_path)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"wclayer: ") or code == 2
    assert done.stderr.count(b"\n") == 1 or code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "taken").read_bytes() == b"mine"


@pytest.mark.skipif(WINDOWS or not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_output(tmp_path: Path) -> None:
    assert wclayer("import", tmp_path / "layer", stdin=TAR).returncode == 0
    done = wclayer("export", "-o", "/dev/full", tmp_path / "layer")
    assert (done.returncode, done.stderr.count(b"\n")) == (15, 1)
    assert b"No space" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert wclayer("import", tmp_path / "locked" / "layer", stdin=TAR).returncode == 14


def test_force_replaces(tmp_path: Path, tar: Path) -> None:
    for _ in range(2):
        assert wclayer("import", "--force", "-i", tar, tmp_path / "layer").returncode == 0
        assert wclayer("export", "--force", "-o", tmp_path / "out", tmp_path / "layer").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "layer.tar", "out"]


def test_debug_and_verbose(tmp_path: Path, tar: Path) -> None:
    done = wclayer("import", "-v", "-i", tar, tmp_path / "layer")
    assert done.stderr.decode().splitlines() == ["Files", "Files/dir", "Files/f"]
    done = wclayer("export", "--debug", tmp_path / "nowhere")
    assert b"Traceback" in done.stderr
    *_, message, timing = done.stderr.decode().splitlines()
    assert message.startswith("wclayer: ")
    assert re.fullmatch(r"wclayer: \d+\.\d{3} s, \d+\.\d{3} s of processor", timing)


def test_hostile_names_are_shown_escaped(tmp_path: Path) -> None:
    done = wclayer("import", tmp_path / "layer", stdin=build([*BASE, M("Files/\x1b[31m\u202e\n/x")]))
    assert done.returncode == 10
    assert b"\\x1b[31m\\u202e\\x0a" in done.stderr
    assert b"\x1b" not in done.stderr


def test_version_and_module() -> None:
    assert wclayer("--version").stdout.decode().split()[-1] == __version__
    assert b"import" in wclayer("--help").stdout


def test_what_few_need_is_imported_when_it_is_needed() -> None:
    code = "import sys, wclayer.cli.main; print({'e2b_dockerfile_utils', 'httpx2'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"set()"
    code = "from wclayer import *; print(build_dockerfile.__module__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.split() == [b"wclayer.dockerfile.build"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion(shell: str) -> None:
    done = wclayer("completion", shell)
    assert done.returncode == 0
    assert b"_WCLAYER_COMPLETE" in done.stdout
    assert b"wclayer" in done.stdout


def test_completion_completes() -> None:
    environment = {**os.environ, "_WCLAYER_COMPLETE": "bash_complete", "COMP_WORDS": "wclayer exp", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "wclayer"], env=environment, capture_output=True, check=False)
    assert done.stdout.decode().split() == ["plain,export"]


def started(arguments: Sequence[str | Path], **options: int) -> subprocess.Popen[bytes]:
    # A shell's background job ignores SIGINT, and so would we.
    preface = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", preface + "from wclayer.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


def half_done(folder: Path) -> subprocess.Popen[bytes]:
    """An import that has got half a tar, and waits for the rest."""
    process = started(["import", folder / "layer"])
    assert process.stdin is not None
    process.stdin.write(TAR[:3000])
    process.stdin.flush()
    for _ in range(500):
        if any(path.name.startswith("layer.partial-") for path in folder.iterdir()):
            return process
        time.sleep(0.02)
    raise AssertionError("the import does not begin")


@posix_only("signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_clean_up(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = half_done(tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@posix_only("signals")
def test_what_a_kill_leaves_is_cleaned_by_the_next_import(tmp_path: Path) -> None:
    process = half_done(tmp_path)
    process.kill()
    process.communicate(timeout=30)
    assert len(list(tmp_path.iterdir())) == 1
    busy = half_done_other(tmp_path)
    assert wclayer("import", tmp_path / "layer", stdin=TAR).returncode == 0
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["layer", "layer.partial"]
    busy.kill()
    busy.communicate(timeout=30)
    assert wclayer("import", "--force", tmp_path / "layer", stdin=TAR).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


def half_done_other(folder: Path) -> subprocess.Popen[bytes]:
    """A second import of the same folder, which clears away what the first has left and goes on working."""
    before = {path.name for path in folder.iterdir()}
    process = started(["import", folder / "layer"])
    for _ in range(500):
        names = {path.name for path in folder.iterdir()}
        if names and not names & before:
            return process
        time.sleep(0.02)
    raise AssertionError("the import does not begin")


@pytest.mark.skipif(os.name == "nt", reason="SIGPIPE")
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    assert wclayer("import", tmp_path / "layer", stdin=build([*BASE, M("Files/f", bytes(4 << 20))])).returncode == 0
    process = started(["export", tmp_path / "layer"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()


@posix_only("a terminal")
def test_no_tar_to_a_terminal(tmp_path: Path) -> None:
    assert wclayer("import", tmp_path / "layer", stdin=TAR).returncode == 0
    master, slave = os.openpty()
    command = [sys.executable, "-m", "wclayer"]
    try:
        done = subprocess.run(
            [*command, "export", str(tmp_path / "layer")], stdout=slave, stderr=subprocess.PIPE, check=False
        )
        assert done.returncode == 2
        assert b"terminal" in done.stderr
        done = subprocess.run(
            [*command, "import", str(tmp_path / "other")], stdin=slave, stderr=subprocess.PIPE, check=False
        )
        assert done.returncode == 2
        assert b"terminal" in done.stderr
    finally:
        os.close(master)
        os.close(slave)


def test_status(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    assert wclayer("import", layer, stdin=TAR).returncode == 0
    clean = wclayer("status", "--exit-code", layer)
    assert (clean.returncode, clean.stdout) == (0, b"")
    name, shown = ("new line", "new line") if WINDOWS else ("new\nline", "new\\x0aline")
    (layer / "Files" / name).write_bytes(b"")
    listed = wclayer("status", layer)
    assert (listed.returncode, listed.stdout) == (0, f"new:     Files/{shown}{os.linesep}".encode())
    as_json = wclayer("status", "--json", "--exit-code", layer)
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout) == {"new": [f"Files/{name}"], "changed": [], "gone": []}
    assert wclayer("status", tmp_path / "nowhere").returncode == 12


def test_makebaselayer(tmp_path: Path) -> None:
    (tmp_path / "hello" / "Files").mkdir(parents=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "wclayer", "makebaselayer", "--json", str(tmp_path / "hello")]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    result = json.loads(done.stdout)
    assert [path.rpartition("/")[2] for path in result["made"]] == ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"]
    assert "Windows" in result["note"]
    system = tmp_path / "hello" / "Files" / "Windows" / "System32" / "config" / "SYSTEM"
    assert system.stat().st_mtime == 1_700_000_000
    again = wclayer("makebaselayer", tmp_path / "hello")
    assert b"0 made, 0 replaced, 5 kept" in again.stdout
    assert b"its own processing" in again.stdout
    system.write_bytes(b"")
    refused = wclayer("makebaselayer", tmp_path / "hello")
    assert (refused.returncode, refused.stderr.count(b"\n")) == (10, 1)
    assert b"config/SYSTEM" in refused.stderr
    replaced = wclayer("makebaselayer", "-v", "--replace-invalid", tmp_path / "hello")
    assert b"replaced: Files/Windows/System32/config/SYSTEM" in replaced.stdout
    environment["SOURCE_DATE_EPOCH"] = "soon"
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 2


def test_exit_codes_are_documented() -> None:
    """docs/exit-codes.md is made from the tree of errors."""
    from docs.exit_codes import table

    text = (Path(__file__).parents[3] / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    assert table() in text
    for name in errors.__all__:
        if name.endswith("Error") and name != "WclayerError":
            assert f"`{name}`" in text


def test_sizes_for_people() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 1_500_000, 2 * 10**9, 3 * 10**15)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.5 MB",
        "2.0 GB",
        "3000.0 TB",
    ]


def test_a_command_is_imported_when_it_is_asked_for() -> None:
    script = """if True:
        import sys
        from wclayer.cli.main import cli
        from wclayer.cli.hive import hive
        heavy = ("wclayer.images", "wclayer.layers", "wclayer.regf", "httpx2", "rich")
        assert not [name for name in sys.modules if name.startswith(heavy)], sorted(sys.modules)
        for group in (cli, hive):
            for name in group.commands:
                assert group.commands[name].name == name, name
                assert group.commands[name] is group.commands[name]
        del cli.commands["hive"]
        cli.add_command(hive)
        assert "hive" in cli.commands
        assert len(cli.commands) == 24
    """
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_internal_error_is_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from wclayer.cli import main
    from wclayer.cli.export import export

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("what nobody thought of")

    assert export.callback is not None
    monkeypatch.setitem(export.callback.__globals__, "export_layer_to_tar", broken)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(SystemExit) as caught:
        main(["export", "x"])
    assert caught.value.code == 70
    assert "internal error" in capsys.readouterr().err
