"""`wclayer ls`, `cat`, `extract` and `find` as their users meet them."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command import wclayer
from tests.hosts import posix_only
from tests.images import Layout
from tests.strategies import tar_of
from tests.tars import M, build, directory
from wclayer.entry import Directory, File
from wclayer.win32.sddl import parse_sddl

SD = base64.b64encode(parse_sddl("O:SYG:SYD:(A;;FA;;;WD)")).decode()
BASE = build(
    [
        directory("Files", **{"MSWINDOWS.rawsd": SD}),
        directory("Files/d"),
        M("Files/d/big.bin", bytes(2000), pax={"MSWINDOWS.fileattr": "38", "MSWINDOWS.rawsd": SD}),
        M("Files/d/big.bin:Zone", b"zone"),
        M("Files/d/more.bin", type="1", link="Files/d/big.bin"),
        M("Files/d/l", type="2", link="big.bin"),
        M("Files/d/j", type="2", link="C:\\d", pax={"MSWINDOWS.mountpoint": "1", "MSWINDOWS.fileattr": "1040"}),
        M("Files/f", b"hello"),
        directory("UtilityVM"),
        directory("UtilityVM/Files"),
        M("UtilityVM/Files/x", b"x"),
    ]
)
TOP = build([directory("Files"), M("Files/.wh.f"), M("Files/g", b"\x00\xffg"), M("Files/\x1b[1m\u202egpj.exe", b"!")])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    (folder / "base.tar").write_bytes(BASE)
    (folder / "top.tar").write_bytes(TOP)
    layout = Layout(folder / "out")
    layout.tag(layout.image([BASE, TOP], gzipped=True), "app")
    layout.write()
    return folder


def run(place: Path, *arguments: str, stdin: bytes = b"", code: int = 0) -> bytes:
    done = wclayer(*arguments, stdin=stdin, cwd=place)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def lines(place: Path, *arguments: str, stdin: bytes = b"") -> list[str]:
    return run(place, *arguments, stdin=stdin).decode().splitlines()


# --- ls -----------------------------------------------------------------------------


def test_ls(place: Path) -> None:
    assert lines(place, "ls", "base.tar") == ["Files", "UtilityVM"]
    assert lines(place, "ls", "base.tar//files/D") == ["big.bin", "j", "l", "more.bin"]
    assert lines(place, "ls", "-", stdin=BASE) == ["Files", "UtilityVM"]
    assert lines(place, "ls", "-//Files/d/b*", stdin=BASE) == ["Files/d/big.bin"]
    assert lines(place, "ls", "oci:out:app//Files") == ["\\x1b[1m\\u202egpj.exe", "d", "g"]
    assert lines(place, "ls", "--layer", "base.tar", "top.tar//Files") == ["\\x1b[1m\\u202egpj.exe", "d", "g"]
    assert lines(place, "ls", "oci:out:app#1//Files") == ["\\x1b[1m\\u202egpj.exe", ".wh.f", "g"]
    assert lines(place, "ls", "base.tar//Files/d/j") == ["big.bin", "j", "l", "more.bin"]
    assert lines(place, "ls", "-R", "base.tar//Files") == [
        "Files/d",
        "Files/d/big.bin",
        "Files/d/j",
        "Files/d/l",
        "Files/d/more.bin",
        "Files/f",
    ]
    assert b"no such file" in run(place, "ls", "base.tar//Files/x", code=12)
    assert b"nothing in the layers fits" in run(place, "ls", "base.tar//Files/x*", code=12)


def test_the_long_form(place: Path) -> None:
    found = {line.split(" ->")[0].split()[-1]: line for line in lines(place, "ls", "-l", "base.tar//Files/d")}
    assert found["big.bin"].split() == ["-a-hs------", "2,000", "2020-09-13T12:26:40Z", "SYSTEM", "big.bin"]
    assert found["more.bin"].split()[:2] == ["-a-hs------", "2,000"]
    assert found["more.bin"].endswith("more.bin -> Files/d/big.bin")
    assert found["l"].endswith("l -> big.bin")
    assert found["j"].endswith("j -> C:\\d")
    assert found["j"].startswith("d----l-----")
    [whiteout] = [line for line in lines(place, "ls", "-l", "top.tar//Files") if line.startswith(".wh.")]
    assert whiteout.split() == [".wh.", "-", "-", "-", ".wh.f"]
    assert lines(place, "ls", "-l", "base.tar//Files/d/j")[0].endswith("Files/d/j -> C:\\d")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x80000017, "WOF"),
        (0x80000023, "AF_UNIX"),
        (0xA000001D, "LX_SYMLINK"),
        (0x8000001B, "APPEXECLINK"),
        (0x80005A5A, "0x80005a5a"),
    ],
)
def test_reparse_points_that_are_no_links(tmp_path: Path, tag: int, name: str) -> None:
    entry = File("Files/x", 0x420, reparse_data=struct.pack("<IHH", tag, 12, 0) + bytes(12))
    (tmp_path / "a.tar").write_bytes(tar_of([(Directory("Files"), None, None), (entry, None, None)]))
    [line] = lines(tmp_path, "ls", "-l", "a.tar//Files/x")
    assert line.endswith(f"Files/x -> [{name}]")
    [found] = json.loads(run(tmp_path, "ls", "--json", "a.tar//Files/x"))
    assert (found["target"], found["reparse_tag"]) == (None, name)


def test_ls_as_json(place: Path) -> None:
    found = {one["path"]: one for one in json.loads(run(place, "ls", "--json", "-R", "base.tar//Files/d"))}
    big = found["Files/d/big.bin"]
    assert (big["kind"], big["size"], big["owner"], big["owner_name"]) == ("file", 2000, "S-1-5-18", "SYSTEM")
    assert big["sddl"] == "O:SYG:SYD:(A;;FA;;;WD)"
    assert big["attributes"] == ["HIDDEN", "SYSTEM", "ARCHIVE"]
    assert big["last_write_time"] == "2020-09-13T12:26:40.0000000Z"
    assert big["filetimes"]["last_write_time"] == 116444736000000000 + 1_600_000_000 * 10**7
    assert big["streams"] == [{"name": "Zone", "size": 4}]
    more = found["Files/d/more.bin"]
    assert (more["kind"], more["size"], more["target"]) == ("hard_link", 2000, "Files/d/big.bin")
    assert (found["Files/d/j"]["kind"], found["Files/d/j"]["reparse_tag"]) == ("directory", "MOUNT_POINT")
    gone = {one["path"]: one for one in json.loads(run(place, "ls", "--json", "top.tar//Files"))}
    assert gone["Files/f"] == {"path": "Files/f", "kind": "whiteout", "layer": 0}
    assert json.loads(run(place, "ls", "--json", "base.tar//UtilityVM/Files/x"))[0]["size"] == 1


def test_ls_of_the_registry(tmp_path: Path) -> None:
    (tmp_path / "layer" / "Files").mkdir(parents=True)
    run(tmp_path, "makebaselayer", "layer")
    assert lines(tmp_path, "ls", "--registry", "layer") == [
        "HKEY_USERS\\.DEFAULT\\",
        "HKEY_LOCAL_MACHINE\\SAM\\",
        "HKEY_LOCAL_MACHINE\\SECURITY\\",
        "HKEY_LOCAL_MACHINE\\SOFTWARE\\",
        "HKEY_LOCAL_MACHINE\\SYSTEM\\",
    ]
    assert len(lines(tmp_path, "ls", "--registry", "layer//HKLM")) == 4
    assert json.loads(run(tmp_path, "ls", "--registry", "--json", "layer//hku")) == ["HKEY_USERS\\.DEFAULT"]
    assert lines(tmp_path, "ls", "--registry", "layer//HKLM\\software") == ["HKEY_LOCAL_MACHINE\\SOFTWARE\\"]
    hive = "layer//Files/Windows/System32/config/SOFTWARE"
    assert lines(tmp_path, "ls", "--registry", hive) == ["\\"]
    assert b"no such key" in run(tmp_path, "ls", "--registry", "layer//HKLM\\SOFTWARE\\x", code=12)
    run(tmp_path, "ls", "--registry", "-", code=2)
    run(tmp_path, "ls", "-l", "--registry", "layer", code=2)


# --- cat ----------------------------------------------------------------------------


def test_cat(place: Path) -> None:
    assert run(place, "cat", "base.tar//files/F") == b"hello"
    assert run(place, "cat", "oci:out:app//Files/g", "base.tar//Files/d/l:zone", "base.tar//Files/f") == (
        b"\x00\xffgzonehello"
    )
    assert run(place, "cat", "-//Files/f", "-//Files/d/big.bin", stdin=BASE) == b"hello" + bytes(2000)
    assert run(place, "cat", "oci:out:app//Files/d/J/l") == bytes(2000)
    assert b"no such file" in run(place, "cat", "oci:out:app//Files/f", code=12)
    assert run(place, "cat", "oci:out:app#0//Files/f") == b"hello"
    assert b"already read from a pipe" in run(place, "cat", "-//Files/d/l", stdin=BASE, code=2)
    assert b"a directory" in run(place, "cat", "base.tar//Files/d", code=2)
    assert b"which file?" in run(place, "cat", "base.tar", code=2)
    assert b"a whiteout" in run(place, "cat", "top.tar//Files/f", code=12)
    error = json.loads(run(place, "cat", "--json", "base.tar//Files/f", code=2))
    assert error["class"] == "UsageError"


def test_a_damaged_blob_is_found_where_it_is_read(tmp_path: Path) -> None:
    """A digest covers the whole; who stops before its end is told nothing wrong."""
    layout = Layout(tmp_path / "out")
    layout.tag(layout.image([BASE]), "app")
    layout.write()
    blob = next(path for path in (tmp_path / "out" / "blobs" / "sha256").iterdir() if path.stat().st_size == len(BASE))
    damaged = bytearray(BASE)
    damaged[-20] ^= 1
    blob.write_bytes(damaged)
    assert run(tmp_path, "cat", "oci:out:app//Files/f") == b"hello"
    run(tmp_path, "ls", "oci:out:app", code=11)


# --- extract ------------------------------------------------------------------------


def test_errors_name_the_layer(place: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(BASE)[:-200])
    (tmp_path / "odd.tar").write_bytes(build([directory("Files"), M("Files/x", b""), M("Files/X", b"")]))
    good, cut = str(place / "top.tar"), str(tmp_path / "cut.tar.gz")
    for command in (
        ["ls", "--layer", cut, good],
        ["ls", "--layer", good, cut],
        ["find", "--layer", cut, good],
        ["cat", "--layer", cut, f"{good}//Files/nothing"],
        ["extract", f"{good}//Files/g", f"{cut}//Files", "-o", str(tmp_path / "out")],
    ):
        error = run(place, *command, code=10).decode()
        assert f"in {cut}: " in error
        assert f"in {good}: " not in error
    assert "in odd.tar: the name is taken" in run(tmp_path, "ls", "odd.tar//Files", code=10).decode()
    hard = build([directory("Files"), M("Files/h", type="1", link="Files/d")])
    (tmp_path / "hard.tar").write_bytes(hard)
    error = run(tmp_path, "cat", "--layer", str(place / "base.tar"), "hard.tar//Files/h", code=10).decode()
    assert "in hard.tar: a hard link to nothing" in error
    assert f"in {place / 'base.tar'}: " not in error
    damaged = Layout(tmp_path / "damaged")
    damaged.tag(damaged.image([build([directory("Files"), M("no", type="1", link="")]), TOP], gzipped=True), "app")
    damaged.write()
    assert "in oci:damaged:app#0: " in run(tmp_path, "ls", "oci:damaged:app", code=10).decode()


def test_extract(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = wclayer("extract", "oci:out:app//Files/d", "oci:out:app//Files/g", "-o", out, cwd=place)
    assert done.returncode == 0
    assert b"extracted to" in done.stdout
    assert b"warning: left out an alternate stream: Files/d/big.bin:Zone" in done.stderr
    assert (out / "d" / "big.bin").read_bytes() == (out / "d" / "more.bin").read_bytes() == bytes(2000)
    assert (out / "g").read_bytes() == b"\x00\xffg"
    assert b"there is a folder already" in run(place, "extract", "base.tar//Files/f", "-o", str(out), code=13)
    result = json.loads(run(place, "extract", "--json", "--force", "base.tar//Files/f", "-o", str(out)))
    assert (result["files"], result["bytes"], result["left_out"]) == (1, 5, {})
    assert [path.name for path in out.iterdir()] == ["f"]


def test_extract_with_metadata(place: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    run(place, "extract", "--with-metadata", "-q", "base.tar//Files/d/big.bin", "-o", out)
    tar = run(place, "export", out)
    assert lines(place, "ls", "-R", "-", stdin=tar) == ["Files", "Files/d", "Files/d/big.bin"]
    [found] = json.loads(run(place, "ls", "--json", "-//Files/d/big.bin", stdin=tar))
    assert (found["sddl"], found["attributes"]) == ("O:SYG:SYD:(A;;FA;;;WD)", ["HIDDEN", "SYSTEM", "ARCHIVE"])
    assert run(place, "cat", "-//Files/d/big.bin:Zone", stdin=tar) == b"zone"


# --- find ---------------------------------------------------------------------------

SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of hello


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--name", "*.BIN"], ["Files/d/big.bin", "Files/d/more.bin"]),
        (["--name", "f", "--name", "x"], ["Files/f", "UtilityVM/Files/x"]),
        (["--size", "+1k"], ["Files/d/big.bin", "Files/d/more.bin"]),
        (["--size", "5"], ["Files/f"]),
        (["--size=-5", "--type", "f"], ["UtilityVM/Files/x"]),
        (["--size", "+4", "--size", "-6"], ["Files/f"]),
        (["--owner", "SYSTEM"], ["Files", "Files/d/big.bin", "Files/d/more.bin"]),
        (["--owner", "SY", "--type", "h"], ["Files/d/more.bin"]),
        (["--owner", "S-1-5-18", "--type", "d"], ["Files"]),
        (["--owner", "BA"], []),
        (["--sha256", SHA256], ["Files/f"]),
        (["--sha256", f"SHA256:{SHA256.upper()}", "--size", "+5"], []),
        (["--sddl", r"\(A;;FA;;;WD\)", "--type", "f"], ["Files/d/big.bin", "Files/d/more.bin"]),
        (["--type", "l"], ["Files/d/j", "Files/d/l"]),
        (["--type", "s"], ["Files/d/big.bin:Zone"]),
        (["--type", "h,s", "--name", "zone"], ["Files/d/big.bin:Zone"]),
        (["--attributes", "hs"], ["Files/d/big.bin", "Files/d/more.bin"]),
        (["--attributes", "d-l", "--name", "?"], ["Files/d"]),
        (["--newer", "2020-09-13T12:26:39Z", "--name", "f"], ["Files/f"]),
        (["--newer", "2020-09-13T14:26:40+02:00", "--name", "f"], []),
        (["--newer", "@1599999999", "--name", "f"], ["Files/f"]),
        (["--newer", "base.tar"], []),
    ],
)
def test_find(place: Path, options: list[str], expected: list[str]) -> None:
    assert sorted(lines(place, "find", "base.tar", *options)) == expected


def test_find_below_a_path(place: Path) -> None:
    assert lines(place, "find", "base.tar//Files/D", "--type", "f") == ["Files/d/big.bin", "Files/d/more.bin"]
    assert lines(place, "find", "base.tar//*/Files") == ["UtilityVM/Files", "UtilityVM/Files/x"]
    assert lines(place, "find", "base.tar//Files/d/j") == ["Files/d/j"]
    assert lines(place, "find", "top.tar", "--type", "w") == ["Files/f"]
    assert lines(place, "find", "oci:out:app", "--type", "w") == []
    assert lines(place, "find", "oci:out:app", "--sha256", SHA256) == []
    run(place, "find", "base.tar//Files/x", code=12)


def test_json_of_find_is_whole_though_reading_fails(place: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tar").write_bytes(TOP[:3000])
    done = wclayer("find", "--layer", str(tmp_path / "cut.tar"), "top.tar", "--json", cwd=place)
    assert done.returncode == 10
    assert [one["path"] for one in json.loads(done.stdout)] == ["Files", "Files/g", "Files/\x1b[1m\u202egpj.exe"]
    assert json.loads(run(place, "find", "top.tar", "--json", "--name", "nothing")) == []
    assert wclayer("find", "nothing.tar", "--json", cwd=place).stdout == b""


def test_how_find_prints(place: Path) -> None:
    odd = "Files/\x1b[1m\u202egpj.exe"
    assert lines(place, "find", "oci:out:app", "--name", "*.exe") == ["Files/\\x1b[1m\\u202egpj.exe"]
    assert run(place, "find", "oci:out:app", "--name", "*.exe", "-0") == odd.encode() + b"\0"
    [found] = json.loads(run(place, "find", "oci:out:app", "--name", "*.exe", "--json"))
    assert (found["path"], found["layer"]) == (odd, 1)
    assert json.loads(run(place, "find", "base.tar", "--name", "none", "--json")) == []
    [line] = lines(place, "find", "-l", "base.tar", "--type", "s")
    assert line.split()[1] == "4"
    assert line.endswith("Files/d/big.bin:Zone")


@pytest.mark.parametrize(
    "options",
    [
        ["--size", "1x"],
        ["--newer", "yesterday"],
        ["--owner", "nobody"],
        ["--sha256", "12"],
        ["--sddl", "("],
        ["--type", "x"],
        ["--attributes", "z"],
        ["-l", "-0"],
    ],
)
def test_what_find_does_not_understand(place: Path, options: list[str]) -> None:
    run(place, "find", "base.tar", *options, code=2)


@posix_only("SIGPIPE")
def test_a_reader_that_goes_away(place: Path) -> None:
    script = f'"{sys.executable}" -m wclayer cat base.tar//Files/d/big.bin | head -c 1 | wc -c'
    done = subprocess.run(["sh", "-c", script], cwd=place, capture_output=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (b"1", b"")


def test_the_library(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wclayer import Criteria, extract_files, find_files, list_files, read_file

    monkeypatch.chdir(place)
    assert read_file("oci:out:app//Files/d/l") == bytes(2000)
    assert read_file("base.tar//Files/f") == b"hello"
    assert read_file("top.tar//Files/d/big.bin:Zone", parents=["base.tar"]) == b"zone"
    assert [found.path for found in list_files("base.tar//Files")] == ["Files/d", "Files/f"]
    assert [found.path for found in find_files("oci:out:app", Criteria(sizes=((1, 1000),), types=frozenset("h")))] == [
        "Files/d/more.bin"
    ]
    listed = json.loads(run(place, "ls", "--json", "base.tar//Files/d"))
    assert [one.to_dict() for one in list_files("base.tar//Files/d")] == listed
    [more] = find_files("base.tar", Criteria(types=frozenset("h")))
    assert [more.to_dict()] == [one for one in listed if one["kind"] == "hard_link"]
    found: Any = extract_files(["base.tar//Files/f"], tmp_path / "x")
    assert (found.files, (tmp_path / "x" / "f").read_bytes()) == (1, b"hello")
