"""`wclayer inspect`: text and JSON, where SRC may be, hostile names, errors."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.command import wclayer
from tests.images import Layout, layout
from tests.tars import BASE, M, build

TAR = build([*BASE, M("Files/f", b"hello" * 500), M("Files/dir/g", type="1", link="Files/f")])


def inspected(*arguments: str | Path, stdin: bytes = b"") -> dict[str, Any]:
    done = wclayer("inspect", "--json", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_json_of_a_tar(tmp_path: Path) -> None:
    packed = gzip.compress(TAR, mtime=0)
    found = inspected("-", stdin=packed)
    (layer,) = found["layers"]
    assert sorted(found) == ["contents", "image", "layers", "notes", "place", "windows"]
    assert (found["image"], found["windows"], found["notes"]) == (None, None, [])
    assert (layer["kind"], layer["utility_vm"], layer["number"], layer["name"]) == ("base", False, 0, "-")
    assert layer["stored"] == {
        "diff_id": f"sha256:{hashlib.sha256(TAR).hexdigest()}",
        "tar_size": len(TAR),
        "digest": f"sha256:{hashlib.sha256(packed).hexdigest()}",
        "blob_size": len(packed),
        "compression": "gzip",
    }
    assert layer["framing"]["writer"] == "Python's tarfile"
    contents = layer["contents"]
    assert contents == found["contents"]
    assert contents["entries"] == {"directories": 2, "files": 1, "hard_links": 1}
    assert (contents["bytes"], contents["linked_bytes"]) == (2500, 2500)
    assert contents["largest_files"] == [{"path": "Files/f", "bytes": 2500}]
    assert contents["attributes"] == {"DIRECTORY": 2}
    assert contents["descriptors"]["absent"] == 3


def test_json_of_an_image(tmp_path: Path) -> None:
    place = f"oci:{layout(tmp_path / 'image', [TAR, build([*BASE, M('Files/h', b'more')])], gzipped=True)}"
    found = inspected(place)
    assert [layer["kind"] for layer in found["layers"]] == ["base", "non-base"]
    assert found["image"]["platform"]["os"] == "windows"
    assert (found["image"]["history"], found["image"]["empty_layers"]) == (3, 1)
    assert found["image"]["config"] == {"Cmd": ["cmd.exe"]}
    assert found["contents"]["entries"] == {"directories": 4, "files": 2, "hard_links": 1}
    (one,) = inspected(f"{place}#1")["layers"]
    assert (one["kind"], one["contents"]["entries"]) == ("non-base", {"directories": 2, "files": 1})
    text = wclayer("inspect", place).stdout.decode()
    assert "2 layers" in text
    assert 'cmd          ["cmd.exe"]' in text
    assert "all layers, as they are stored" in text


def test_text(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(TAR)
    done = wclayer("inspect", tmp_path / "layer.tar")
    lines = done.stdout.decode().splitlines()
    assert "kind         base layer" in lines
    assert "entries      2 directories, 1 files, 1 hard links" in lines
    assert "data         2.5 kB; hard links save 2.5 kB" in lines
    assert "large files      2.5 kB  Files/f" in lines
    assert wclayer("inspect", "-q", tmp_path / "layer.tar").stdout == b""
    assert b"large files" not in wclayer("inspect", "--top", "0", tmp_path / "layer.tar").stdout


def test_a_path_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(TAR)
    assert wclayer("import", "-q", "-i", tmp_path / "layer.tar", tmp_path / "layer").returncode == 0
    for layer in ("layer.tar", "layer"):
        assert inspected(f"{tmp_path / layer}//Files/DIR")["contents"]["entries"]["directories"] == 1
    (layer_,) = inspected(tmp_path / "layer")["layers"]
    assert layer_["stored"]["diff_id"] == f"sha256:{hashlib.sha256(TAR).hexdigest()}"
    assert layer_["framing"] is None
    missing = wclayer("inspect", f"{tmp_path / 'layer'}//Files/none")
    assert missing.returncode == 12
    assert b"no such path" in missing.stderr


def test_hostile_names_are_shown_escaped(tmp_path: Path) -> None:
    name = "Files/\x1b[31m\u202eevil\n"
    done = wclayer("inspect", "-", stdin=build([*BASE, M(name, b"x")]))
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert "\u202e".encode() not in done.stdout
    assert inspected("-", stdin=build([*BASE, M(name, b"x")]))["contents"]["largest_files"][0]["path"] == name


def test_hostile_documents_are_shown_escaped(tmp_path: Path) -> None:
    def edit(value: dict[str, Any]) -> None:
        value["os.version"] = "10.0\x1b]0;evil\x07"
        value["config"]["User"] = "\x1b[31m"

    made = Layout(tmp_path / "image")
    image = made.image([TAR], config=edit)
    made.tag({key: value for key, value in image.items() if key != "platform"})
    done = wclayer("inspect", f"oci:{made.write()}")
    assert done.returncode == 0, done.stderr
    assert b"\\x1b]0;evil" in done.stdout
    assert b"\x1b" not in done.stdout


def test_a_hostile_record_of_a_folder_is_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(TAR)
    assert wclayer("import", "-q", "-i", tmp_path / "layer.tar", tmp_path / "layer").returncode == 0
    (tmp_path / "layer" / "layer.db").chmod(0o644)
    with closing(sqlite3.connect(tmp_path / "layer" / "layer.db")) as db, db:
        db.execute("UPDATE layer SET value = ? WHERE key = 'diff_id'", ("sha256:\x1b[31m",))
    done = wclayer("inspect", tmp_path / "layer")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"sha256:\\x1b[31m" in done.stdout
    assert b"\x1b" not in done.stdout


def test_a_broken_tar(tmp_path: Path) -> None:
    done = wclayer("inspect", "--json", "-", stdin=TAR[:5000])
    assert (done.returncode, done.stdout) == (10, b"")
    assert json.loads(done.stderr)["offset"] is not None
    broken = bytearray(TAR)
    broken[1024 + 150] ^= 1
    done = wclayer("inspect", "-", stdin=bytes(broken))
    assert done.returncode == 10
    assert b"wrong checksum" in done.stderr
