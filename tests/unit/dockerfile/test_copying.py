"""COPY and ADD: what goes where, from the context, from images, from stages, and out of archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.registry_model import Answer
from tests.tars import BASE, M, directory
from tests.unit.dockerfile.test_build import NOON, Made, Yard, sddl
from tests.unit.dockerfile.test_sources import PACKERS, archive, member, posix
from wclayer.builder.build import build_on
from wclayer.builder.copy_from import ImageTree
from wclayer.builder.recipe import Recipe
from wclayer.distribution.registries import Registries
from wclayer.distribution.transport import Request
from wclayer.entry import AlternateStream, Directory, File, HardLink
from wclayer.errors import (
    ConfinementError,
    DigestMismatchError,
    FormatError,
    InvalidNameError,
    LayerError,
    NotFoundError,
    SpecError,
    UsageError,
    WclayerError,
)
from wclayer.images.options import ImageOptions
from wclayer.images.reading import open_image
from wclayer.win32.accounts import parse_account
from wclayer.win32.filetime import from_unix_ns
from wclayer.win32.reparse import link_target
from wclayer.win32.security import SecurityDescriptor

FILES = {"a.txt": "a", "b.txt": "b", "d/x": "x", "d/e/y": "y", "e/x": "other", "Z": "z"}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    made = Yard(tmp_path)
    made.put("c", **FILES)
    return made


def copied(yard: Yard, *lines: str, number: int = -1, **more: object) -> dict[str, bytes]:
    """The files of the last layer of a build on a base."""
    return on_base(yard, *lines, **more).files(number)


def on_base(yard: Yard, *lines: str, **more: object) -> Made:
    place = f"oci:{yard.folder / 'base'}:t" if (yard.folder / "base").exists() else yard.base()
    return yard.build("\n".join(("# escape=`", "FROM base", *lines)), contexts={"base": place}, **more)


# --- destinations -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a.txt x", {"x": b"a"}),
        ("a.txt /x/", {"x/a.txt": b"a"}),
        (r"a.txt C:\x\y", {"x/y": b"a"}),
        (r"a.txt C:\x\y" + "\\", {"x/y/a.txt": b"a"}),
        ("a.txt /", {"a.txt": b"a"}),
        ("a.txt .", {"a.txt": b"a"}),
        (r"a.txt \Windows", {"Windows/a.txt": b"a"}),  # the base has that directory
        ("a.txt /windows/SYSTEM32", {"Windows/System32/a.txt": b"a"}),
        ("a.txt /License.TXT", {"License.txt": b"a"}),
        ("./d/../a.txt x", {"x": b"a"}),
        (r"d\e\y x", {"x": b"y"}),
        ("/a.txt x", {"x": b"a"}),
        ("../../a.txt x", {"x": b"a"}),
        ("a.txt b.txt x/", {"x/a.txt": b"a", "x/b.txt": b"b"}),
        ("d x", {"x/x": b"x", "x/e/y": b"y"}),
        ("d/ x", {"x/x": b"x", "x/e/y": b"y"}),
        ("d x/", {"x/x": b"x", "x/e/y": b"y"}),
        ("d e x/", {"x/x": b"other", "x/e/y": b"y"}),
        ("e d x/", {"x/x": b"x", "x/e/y": b"y"}),
        ("d/x e x/", {"x/x": b"other"}),
        ("e d/x x/", {"x/x": b"x"}),
        ("a.txt a.txt x/", {"x/a.txt": b"a"}),
        ("d d x/", {"x/x": b"x", "x/e/y": b"y"}),
        ("*.txt x/", {"x/a.txt": b"a", "x/b.txt": b"b"}),
        ("[b]*.txt x", {"x": b"b"}),
        ("?.txt x/", {"x/a.txt": b"a", "x/b.txt": b"b"}),
        ("*/x x/", {"x/x": b"other"}),
        ('["a.txt", "b.txt", "x y/"]', {"x y/a.txt": b"a", "x y/b.txt": b"b"}),
        ('"a.txt" "x y"', {"x y": b"a"}),
        ("--link a.txt x", {"x": b"a"}),
    ],
)
@pytest.mark.parametrize("instruction", ["COPY", "ADD"])
def test_what_goes_where(yard: Yard, instruction: str, words: str, expected: dict[str, bytes]) -> None:
    assert copied(yard, f"{instruction} {words}") == expected


def test_relative_to_the_working_directory(yard: Yard) -> None:
    assert copied(yard, r"WORKDIR C:\app", "COPY a.txt x") == {"app/x": b"a"}
    assert copied(yard, r"WORKDIR C:\app", "WORKDIR sub", "COPY a.txt .") == {"app/sub/a.txt": b"a"}
    assert copied(yard, r"WORKDIR C:\app", "COPY a.txt ../x") == {"x": b"a"}


def test_into_a_directory_that_an_earlier_layer_made(yard: Yard) -> None:
    assert copied(yard, "COPY d /made", "COPY a.txt /MADE") == {"made/a.txt": b"a"}
    assert copied(yard, "WORKDIR /app", "COPY a.txt /app") == {"app/a.txt": b"a"}
    assert copied(yard, "COPY a.txt /x", "COPY b.txt /x") == {"x": b"b"}
    assert copied(yard, "COPY a.txt /x/f", "USER u", "COPY b.txt /x/F") == {"x/f": b"b"}


def test_variables(yard: Yard) -> None:
    assert copied(yard, r"ENV N=a T=C:\t", "COPY ${N}.txt $T\\") == {"t/a.txt": b"a"}
    made = on_base(yard, "ARG N=a", "COPY $N.txt b.txt /x/")
    assert made.said[-1] == "COPY a.txt b.txt /x/"


def test_a_lost_backslash_is_warned_about(yard: Yard) -> None:
    made = yard.build("FROM base\nWORKDIR /w\nCOPY a.txt C:\\app\\x\n", contexts={"base": yard.base()})
    assert made.files() == {"w/appx": b"a"}
    [warning] = made.built.warnings
    assert warning.startswith("D, line 3: C:appx is relative to the working directory; write C:/ ")
    assert on_base(yard, r"COPY a.txt C:\app\x").built.warnings == []


def test_a_lost_backslash_of_a_workdir_is_warned_about(yard: Yard) -> None:
    made = yard.build("FROM base\nWORKDIR C:\\app\\x\n", contexts={"base": yard.base()})
    assert made.run["WorkingDir"] == "\\appx"
    [warning] = made.built.warnings
    assert warning.startswith("D, line 2: C:appx is relative to the working directory; write C:/ ")


def test_a_warning_is_given_once(yard: Yard) -> None:
    made = yard.build("FROM base\nCOPY --from=base License.txt C:app\n", contexts={"base": yard.base()})
    assert len(made.built.warnings) == 1


# BuildKit takes each of these for words, whose first one is then a malformed wildcard or lacks a quote.
@pytest.mark.parametrize("instruction", ["COPY", "ADD"])
@pytest.mark.parametrize(
    "words",
    [
        r'["a.txt", "C:\dest\"]',
        r'["a.txt","C:\dest\"]',
        r'["a.txt", "C:\dest\x"]',
        r'[ "a.txt", "C:\Program Files\x" ]',
        '["a.txt", "/dest/",]',
        '["a.txt", "/dest/"',
        "['a.txt', '/dest/']",
        "[\u201ca.txt\u201d, \u201c/dest/\u201d]",
        "[a.txt, /dest/]",
        "[a.txt /dest/",
    ],
)
@pytest.mark.parametrize("escape", ["`", "\\"])
def test_json_that_is_invalid(yard: Yard, instruction: str, words: str, escape: str) -> None:
    with pytest.raises(SpecError, match=f"line 3: {instruction} of an invalid JSON array") as caught:
        yard.build(f"# escape={escape}\nFROM base\n{instruction} {words}\n", contexts={"base": yard.base()})
    assert "double the backslashes" in str(caught.value.hint)


@pytest.mark.parametrize("source", ["[b", "d/[a-]", "x/*[", "[^]/x", "[]a]", "[--0]"])
def test_a_malformed_wildcard(yard: Yard, source: str) -> None:
    for line in (f"COPY {source} x/", f'COPY ["{source}", "x/"]', f"COPY --from=base {source} x/"):
        with pytest.raises(SpecError, match=r"line 3: .*(malformed wildcard|invalid JSON)"):
            on_base(yard, line)


def test_an_escape_that_is_a_control_character(yard: Yard) -> None:
    made = on_base(yard, r'CMD ["C:\new\tool.exe"]')
    [warning] = made.built.warnings
    assert warning.startswith("D, line 3: an escape in the JSON array of CMD makes a control character")
    assert "double the backslashes" in warning
    for words in (r'["a.txt", "C:\\\text"]', r'["d\text", "C:/x"]'):
        with pytest.raises(WclayerError, match=r"\\x09ext") as caught:
            on_base(yard, f"COPY {words}")
        assert "double the backslashes" in str(caught.value.hint)
    assert on_base(yard, r'CMD ["C:\\new\\tool.exe"]').built.warnings == []


@pytest.mark.parametrize(
    "line",
    [
        r'CMD ["C:\app.exe"]',
        "CMD ['C:/app.exe']",
        "CMD [app.exe]",
        r'ENTRYPOINT ["C:\app\app.exe", "-x"]',
        r'HEALTHCHECK CMD ["C:\app.exe"]',
        r'VOLUME ["C:\data"]',
    ],
)
def test_json_that_becomes_another_form(yard: Yard, line: str) -> None:
    [warning] = on_base(yard, line).built.warnings
    assert warning.startswith("D, line 3: not a valid JSON array, so")
    assert "double the backslashes" in warning


@pytest.mark.parametrize(
    "line", ["CMD [Console]::Beep(800, 200)", r'CMD ["C:\\a"]', "CMD c:\\a", "HEALTHCHECK NONE", "VOLUME c:\\[a]"]
)
def test_what_is_not_meant_as_json(yard: Yard, line: str) -> None:
    assert on_base(yard, line).built.warnings == []


def test_what_fits_nothing(yard: Yard) -> None:
    made = on_base(yard, "COPY a.txt *.none none/* x/")
    assert made.files() == {"x/a.txt": b"a"}
    assert made.built.warnings == ["D, line 3: *.none fits nothing", "D, line 3: none/* fits nothing"]
    made = on_base(yard, "COPY *.none x/", "USER u")
    assert made.names() == []
    assert made.built.warnings == ["D, line 3: *.none fits nothing"]


def test_a_file_where_there_is_a_directory(yard: Yard) -> None:
    for lines in (["COPY d /License.txt"], ["COPY a.txt /x", "COPY d /x"], ["COPY a.txt /Windows/notepad.exe/x"]):
        with pytest.raises(LayerError):
            on_base(yard, *lines)


# --- what is left out ---------------------------------------------------------------


def test_dockerignore(yard: Yard) -> None:
    yard.put("c", **{".dockerignore": "d\n!d/e\n*.txt\n!b.txt\nZ\n"})
    made = on_base(yard, "COPY . /x")
    assert made.files() == {
        "x/.dockerignore": b"d\n!d/e\n*.txt\n!b.txt\nZ\n",
        "x/b.txt": b"b",
        "x/d/e/y": b"y",
        "x/e/x": b"other",
    }
    assert copied(yard, "COPY d /x") == {"x/e/y": b"y"}
    assert copied(yard, "COPY *.txt /x/") == {"x/b.txt": b"b"}
    for word in ("a.txt", "d/x", "Z"):
        shown = re.escape(word.replace("/", os.sep))
        with pytest.raises(NotFoundError, match=rf"{shown}: D, line 3: .*leaves it out"):
            on_base(yard, f"COPY {word} /x")


def test_a_folder_that_is_left_out_is_not_there_empty(yard: Yard) -> None:
    yard.put("c", **{".dockerignore": "d\n!d/none\n"})
    assert "x/d" not in on_base(yard, "COPY . /x").names()


def test_the_dockerfiles_own_dockerignore(yard: Yard) -> None:
    yard.put("c", **{".dockerignore": "a.txt", "My.Dockerfile": "FROM x", "My.Dockerfile.dockerignore": "b.txt"})
    source = str(yard.context / "My.Dockerfile")
    assert set(copied(yard, "COPY *.txt /x/", source=source)) == {"x/a.txt"}
    assert set(copied(yard, "COPY *.txt /x/")) == {"x/b.txt"}


def test_a_wclayerignore_is_a_file_as_any(yard: Yard) -> None:
    yard.put("c", **{".wclayerignore": "*", "d/.wclayerignore": "*"})
    found = copied(yard, "COPY . /x")
    assert found["x/.wclayerignore"] == b"*"
    assert found["x/d/x"] == b"x"


EXCLUDED = {"d/a.txt": "1", "d/b.log": "2", "d/s/c.txt": "3", "d/s/keep.txt": "4", "d/t/d.txt": "5"}


@pytest.mark.parametrize(
    ("flags", "expected", "folders"),
    [
        ("--exclude=*.txt", {"b.log", "s/c.txt", "s/keep.txt", "t/d.txt"}, {"s", "t"}),
        ("--exclude=**/*.txt", {"b.log"}, {"s", "t"}),
        ("--exclude=**/*.txt --exclude=b.log", set(), {"s", "t"}),
        ("--exclude=s", {"a.txt", "b.log", "t/d.txt"}, {"t"}),
        ("--exclude=s/*.txt", {"a.txt", "b.log", "t/d.txt"}, {"s", "t"}),
        ("--exclude=s --exclude=!s/keep.txt", {"a.txt", "b.log", "s/keep.txt", "t/d.txt"}, {"s", "t"}),
        ("--exclude=**/*.txt --exclude=!**/keep.txt", {"b.log", "s/keep.txt"}, {"s", "t"}),
        (
            "--exclude=t --exclude=!**/keep.txt",
            {"a.txt", "b.log", "s/c.txt", "s/keep.txt"},
            {"s"},
        ),
    ],
)
@pytest.mark.parametrize("stage", [False, True])
def test_exclude(yard: Yard, flags: str, expected: set[str], folders: set[str], stage: bool) -> None:
    context = yard.put("other", **EXCLUDED)
    lines = ["FROM base AS one", "COPY d /d", "FROM base", f"COPY {flags} --from=one d /x"]
    made = on_base(yard, *(lines if stage else [f"COPY {flags} d /x"]), context=str(context))
    assert {path.removeprefix("x/") for path in made.files()} == expected
    found = {path for path in made.names() if isinstance(made.entry(path), Directory)}
    assert found == {"x", *(f"x/{path}" for path in folders)}


def test_exclude_of_single_files(yard: Yard) -> None:
    assert set(copied(yard, "COPY --exclude=b* *.txt /x/")) == {"x/a.txt"}
    assert set(copied(yard, "ADD --exclude=b* *.txt /x/")) == {"x/a.txt"}


# --- links of the host ---------------------------------------------------------------


@posix
def test_symlinks_that_are_sources(yard: Yard) -> None:
    (yard.context / "link").symlink_to("d/x")
    (yard.context / "dir").symlink_to("d")
    made = on_base(yard, "COPY link /y/")
    assert made.files() == {"y/link": b"x"}
    assert isinstance(made.entry("y/link"), File)
    assert copied(yard, "COPY dir /y/") == {"y/x": b"x", "y/e/y": b"y"}
    assert copied(yard, "COPY dir/x /y/") == {"y/x": b"x"}
    (yard.folder / "secret").write_bytes(b"s")
    (yard.context / "out").symlink_to("../secret")
    for word in ("out", "ou*"):
        with pytest.raises(ConfinementError, match=r"D, line 3: a symlink that leads out of the context"):
            on_base(yard, f"COPY {word} /x")


@posix
def test_a_symlink_inside_a_folder_stays_one(yard: Yard) -> None:
    (yard.context / "d/link").symlink_to("x")
    (yard.context / "d/folder").symlink_to("e")
    made = on_base(yard, "COPY d /y")
    link, folder = made.entry("y/link"), made.entry("y/folder")
    assert isinstance(link, File)
    assert isinstance(folder, Directory)
    assert link.reparse_data is not None
    assert folder.reparse_data is not None
    assert link_target(link.reparse_data) == ("x", False)
    assert link_target(folder.reparse_data) == ("e", False)


@posix
def test_hard_links_of_the_host(yard: Yard) -> None:
    os.link(yard.context / "d/x", yard.context / "d/z")
    made = on_base(yard, "COPY d /y")
    link = made.entry("y/z")
    assert isinstance(link, HardLink)
    assert link.target == "Files/y/x"


@posix
def test_names_that_are_no_utf_8(yard: Yard) -> None:
    """No name of Windows is made up for them, neither in a folder nor alone."""
    try:
        (yard.context / os.fsdecode(b"e/\xff")).write_bytes(b"1")
    except OSError:
        pytest.skip("the file system has no such names")
    for word in ("e", "e/*", "e/[^x]"):
        with pytest.raises(InvalidNameError, match="name that is not UTF-8"):
            on_base(yard, f"COPY {word} /n/")


@posix
@pytest.mark.parametrize("instruction", ["COPY", "ADD"])
def test_special_files(yard: Yard, instruction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody opens a pipe, which would wait for ever."""

    def never(path: str, _: str) -> bool:
        raise AssertionError(path)

    monkeypatch.setattr("wclayer.dockerfile.copying.unpack", never)
    os.mkfifo(yard.context / "pipe")
    with pytest.raises(WclayerError, match="a special file"):
        on_base(yard, f"{instruction} pipe /x")
    with pytest.raises(WclayerError, match="a special file"):
        on_base(yard, f"{instruction} . /x/")


# --- owners ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "account"), [("ContainerUser", "User Manager\\ContainerUser"), ("$O", "BU"), ("S-1-5-19", "LS")]
)
@pytest.mark.parametrize("instruction", ["COPY", "ADD"])
def test_chown(yard: Yard, instruction: str, owner: str, account: str) -> None:
    made = on_base(yard, "ENV O=Users", f"{instruction} --chown={owner} d a.txt /x/")
    for path in ("x/x", "x/e", "x/e/y", "x/a.txt"):
        entry = made.entry(path)
        assert isinstance(entry, Directory | File)
        assert entry.security_descriptor is not None
        found = SecurityDescriptor.from_bytes(entry.security_descriptor)
        assert found.owner == parse_account(account), path
        assert found.dacl
    assert made.said[-1] == f"{instruction} --chown={owner.replace('$O', 'Users')} d a.txt /x/"
    windows = made.entry("Windows") if "Windows" in made.names() else None
    assert windows is None


def test_chown_leaves_what_the_base_has(yard: Yard) -> None:
    made = on_base(yard, "COPY --chown=ContainerUser a.txt /Windows/")
    entry = made.entry("Windows")
    assert isinstance(entry, Directory)
    assert entry.security_descriptor is None  # as the base has it
    assert sddl(made.entry("Windows/a.txt")).startswith("O:S-1-5-93-2-2")


# --- what stands in the Dockerfile ------------------------------------------------------


def test_heredocs(yard: Yard) -> None:
    made = on_base(yard, "ENV V=1", "COPY a.txt <<one.txt <<'two' /x/", "$V", "one.txt", "$V", "two")
    assert made.files() == {"x/a.txt": b"a", "x/one.txt": b"1\n", "x/two": b"$V\n"}
    assert made.said[-1] == "COPY a.txt <<one.txt <<two /x/"
    entry = made.entry("x/two")
    assert isinstance(entry, File)
    assert entry.last_write_time == from_unix_ns(NOON * 10**9)
    assert copied(yard, "COPY <<E /x.txt", "text", "E") == {"x.txt": b"text\n"}
    assert copied(yard, "COPY <<E /Windows", "text", "E") == {"Windows/E": b"text\n"}
    assert copied(yard, "ADD <<-E /x", "\ttext", "\tE") == {"x": b"text\n"}
    with pytest.raises(SpecError, match="line 3: several sources"):
        on_base(yard, "COPY <<A <<B /x", "A", "B")


# --- archives -----------------------------------------------------------------------------

TAR = archive(member("top", b"1"), member("deep/in/f", b"2"), member("deep/empty", type=tarfile.DIRTYPE, mode=0o755))


@pytest.mark.parametrize("kind", PACKERS)
def test_add_unpacks(yard: Yard, kind: str) -> None:
    (yard.context / "t").write_bytes(PACKERS[kind](TAR))
    yard.settle(yard.context)
    assert copied(yard, "ADD t /x") == {"x/top": b"1", "x/deep/in/f": b"2"}
    made = on_base(yard, "ADD t a.txt /x/")
    assert made.files() == {"x/top": b"1", "x/deep/in/f": b"2", "x/a.txt": b"a"}
    assert "x/deep/empty" in made.names()
    packed = {"x": PACKERS[kind](TAR)}
    assert copied(yard, "COPY t /x") == packed
    assert copied(yard, "ADD --unpack=false t /x") == packed
    with pytest.raises(SpecError, match="unknown flag of COPY; got --unpack"):
        copied(yard, "COPY --unpack t /x")


def test_add_of_what_is_no_archive(yard: Yard) -> None:
    data = gzip.compress(b"text", mtime=0)
    (yard.context / "t.tar.gz").write_bytes(data)
    assert copied(yard, "ADD t.tar.gz /x/") == {"x/t.tar.gz": data}


def test_the_times_of_an_archive_are_those_in_it(yard: Yard) -> None:
    """And of what it does not have, none is that of the clock."""
    (yard.context / "t").write_bytes(TAR)
    yard.settle(yard.context)
    made = yard.build("FROM scratch\nADD t /x\n")
    times = {
        path: entry.last_write_time
        for path, (entry, _) in made.layers[0].items()
        if isinstance(entry, File | Directory) and path not in made.built.made
    }
    assert times["Files/x/top"] == from_unix_ns(1_600_000_000 * 10**9)
    assert times["Files/x/deep/empty"] == from_unix_ns(1_600_000_000 * 10**9)
    late = {path for path, time in times.items() if time is None or time > from_unix_ns(NOON * 10**9)}
    assert late == set()
    assert made.built.created <= NOON


def test_the_same_archive_again(yard: Yard) -> None:
    (yard.context / "t").write_bytes(TAR)
    yard.settle(yard.context)
    text = "FROM scratch\nADD t /\n"
    settings = Recipe(layers=(), created=NOON)
    assert yard.build(text, settings=settings).built.digest == yard.build(text, settings=settings).built.digest
    assert yard.build(text).built.digest == yard.build(text).built.digest


@pytest.mark.parametrize(
    ("data", "kind", "match"),
    [
        (archive(member("../x", b"1")), ConfinementError, "outside"),
        (archive(member("x", type=tarfile.SYMTYPE, linkname="/etc")), ConfinementError, "outside"),
        (archive(member("x", type=tarfile.CHRTYPE)), FormatError, "a broken archive"),
        (archive(member("x", b"1" * 2000))[:1000], FormatError, "a broken archive"),
        (archive(member("a:b", b"1")), WclayerError, "a:b"),
        (archive(member("NUL", b"1")), WclayerError, "Windows cannot open"),
        (archive(member("A", b"1"), member("a", b"1")), WclayerError, "one to Windows"),
    ],
)
def test_archives_that_are_refused(yard: Yard, data: bytes, kind: type[WclayerError], match: str) -> None:
    (yard.context / "t").write_bytes(data)
    with pytest.raises(kind, match=match):
        on_base(yard, "ADD t /x/")
    assert not (yard.folder / "out").exists()
    assert not (yard.folder / "x").exists()


def test_an_archive_over_a_folder(yard: Yard) -> None:
    (yard.context / "t").write_bytes(archive(member("x", b"of the archive"), member("new", b"n")))
    assert copied(yard, "ADD d t /x/") == {"x/x": b"of the archive", "x/e/y": b"y", "x/new": b"n"}
    assert copied(yard, "ADD t d /x/") == {"x/x": b"x", "x/e/y": b"y", "x/new": b"n"}


# --- out of images and stages --------------------------------------------------------------

APP = (
    directory("Files"),
    directory("Files/App"),
    M("Files/App/Main.exe", b"MZ", pax={"MSWINDOWS.fileattr": "3"}),
    M("Files/App/data.txt", b"data"),
    M("Files/App/hard.txt", type="1", link="Files/App/data.txt"),
    directory("Files/App/sub"),
    M("Files/App/sub/x.log", b"log"),
    M("Files/other.txt", b"other"),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("app/MAIN.EXE /x/", {"x/Main.exe": b"MZ"}),
        (r"C:\app\main.exe C:\x\m.exe", {"x/m.exe": b"MZ"}),
        ("App /x", {"x/Main.exe": b"MZ", "x/data.txt": b"data", "x/hard.txt": b"data", "x/sub/x.log": b"log"}),
        ("app/*.TXT /x/", {"x/data.txt": b"data", "x/hard.txt": b"data"}),
        ("app/hard.txt /h", {"h": b"data"}),
        ("*/sub /s", {"s/x.log": b"log"}),
        ("other.txt app/sub /x/", {"x/other.txt": b"other", "x/x.log": b"log"}),
        ("other.txt /Windows", {"Windows/other.txt": b"other"}),
        ("other.txt /License.txt", {"License.txt": b"other"}),
    ],
)
def test_out_of_an_image(yard: Yard, words: str, expected: dict[str, bytes]) -> None:
    place = yard.base("tool", [APP])
    assert copied(yard, f"COPY --from={place} {words}") == expected


def test_all_of_an_image(yard: Yard) -> None:
    place = yard.base("tool", [APP])
    made = on_base(yard, f"COPY --from={place} / /all")
    assert set(made.files()) == {
        *("all/App/Main.exe", "all/App/data.txt", "all/App/hard.txt", "all/App/sub/x.log", "all/other.txt")
    }


def test_what_an_image_does_not_have(yard: Yard) -> None:
    place = yard.base("tool", [APP])
    with pytest.raises(NotFoundError, match=r"//Files/none: D, line 3: the image has no such file"):
        on_base(yard, f"COPY --from={place} none /x")
    made = on_base(yard, f"COPY --from={place} none* other.txt /x/")
    assert made.built.warnings == ["D, line 3: none* fits nothing"]
    with pytest.raises(UsageError, match="several files fit"):
        on_base(yard, f"COPY --from={place} App/*.txt /x")


def test_attributes_come_along_and_security_does_not(yard: Yard) -> None:
    theirs = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgAIAAAAAAA="
    members = [
        directory("Files"),
        directory("Files/d", **{"MSWINDOWS.rawsd": theirs}),
        M(
            "Files/d/f",
            b"1",
            pax={"MSWINDOWS.fileattr": "39", "MSWINDOWS.rawsd": theirs, "MSWINDOWS.xattr.KEY": "dmFsdWU="},
        ),
        M("Files/d/f:stream", b"of it", pax={"MSWINDOWS.fileattr": "39"}),
    ]
    place = yard.base("tool", [members])
    made = on_base(yard, f"COPY --from={place} d /x")
    entry = made.entry("x/f")
    assert isinstance(entry, File)
    assert entry.file_attributes & 0x7 == 0x7
    assert [(ea.name, ea.value) for ea in entry.extended_attributes] == [(b"KEY", b"value")]
    assert sddl(entry) == "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
    assert sddl(made.entry("x")).startswith("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)")
    stream, data = made.layers[-1]["Files/x/f:stream"]
    assert isinstance(stream, AlternateStream)
    assert data == b"of it"


def test_links_of_an_image_stay_links(yard: Yard) -> None:
    pax = {"MSWINDOWS.fileattr": "1040"}
    members = [
        *APP,
        M("Files/links", type="5", pax={"MSWINDOWS.fileattr": "16"}),
        M("Files/links/sym", type="2", link="../App/data.txt", pax={"MSWINDOWS.fileattr": "1056"}),
        M("Files/links/dir", type="2", link="../App", pax=pax),
        M("Files/links/junction", type="2", link="C:\\App", pax={**pax, "MSWINDOWS.mountpoint": "1"}),
    ]
    place = yard.base("tool", [members])
    made = on_base(yard, f"COPY --from={place} links /x")
    found = {}
    for path in ("x/sym", "x/dir", "x/junction"):
        entry = made.entry(path)
        assert isinstance(entry, Directory | File)
        assert entry.reparse_data is not None
        found[path] = type(entry), link_target(entry.reparse_data), bool(entry.file_attributes & 0x400)
    assert found == {
        "x/sym": (File, ("..\\App\\data.txt", False), True),
        "x/dir": (Directory, ("..\\App", False), True),
        "x/junction": (Directory, ("C:\\App", True), True),
    }
    with pytest.raises(LayerError, match="D, line 3: a path through a link"):
        on_base(yard, f"COPY --from={place} links/junction/data.txt /x")


def test_a_symlink_of_an_image_that_is_the_source_is_followed(yard: Yard) -> None:
    """As BuildKit does (FollowSymlinks), and as COPY from the context does."""
    members = [*APP, M("Files/sym", type="2", link="App/data.txt", pax={"MSWINDOWS.fileattr": "1056"})]
    made = on_base(yard, f"COPY --from={yard.base('tool', [members])} sym /x/")
    assert made.files() == {"x/sym": b"data"}
    entry = made.entry("x/sym")
    assert isinstance(entry, File)
    assert entry.reparse_data is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("App/data.txt", {"x/sym": b"data"}),
        ("C:\\APP\\hard.txt", {"x/sym": b"data"}),
        ("App/sub", {"x/x.log": b"log"}),
        ("again", {"x/sym": b"data"}),
        ("brackets[1].txt", {"x/sym": b"[1]"}),
        ("tilde~1", {"x/sym": b"~"}),
    ],
)
def test_where_a_symlink_that_is_the_source_leads(yard: Yard, target: str, expected: dict[str, bytes]) -> None:
    attributes = {"MSWINDOWS.fileattr": "1040" if target == "App/sub" else "1056"}
    members = [
        *APP,
        M("Files/brackets[1].txt", b"[1]"),
        M("Files/tilde~1", b"~"),
        M("Files/again", type="2", link="App/data.txt", pax={"MSWINDOWS.fileattr": "1056"}),
        M("Files/sym", type="2", link=target, pax=attributes),
    ]
    assert copied(yard, f"COPY --from={yard.base('tool', [members])} sym /x/") == expected


@pytest.mark.parametrize(
    ("target", "kind"),
    [("sym", LayerError), ("D:\\x", LayerError), ("none", NotFoundError), ("..\\..\\none", LayerError)],
)
def test_symlinks_that_lead_nowhere(yard: Yard, target: str, kind: type[WclayerError]) -> None:
    members = [*APP, M("Files/sym", type="2", link=target, pax={"MSWINDOWS.fileattr": "1056"})]
    place = yard.base("tool", [members])
    with pytest.raises(kind):
        on_base(yard, f"COPY --from={place} sym /x/")


def test_sparse_files(yard: Yard) -> None:
    holes = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "Files/big",
        "GNU.sparse.realsize": "1048576",
    }
    body = b"1\n1044480\n4096\n".ljust(512, b"\0") + b"e" * 4096
    members = [directory("Files"), M("Files/big", body, pax={**holes, "MSWINDOWS.fileattr": "544"})]
    place = yard.base("tool", [members])
    made = on_base(yard, f"COPY --from={place} big /x")
    assert made.files() == {"x": bytes(1044480) + b"e" * 4096}
    with open_image(f"oci:{yard.folder / 'out'}:{yard.count}") as image:
        [extents] = [body.extents() for entry, body in image.layers[-1].source().entries() if body is not None]
    assert list(extents) == [(1044480, 4096)]
    entry = made.entry("x")
    assert isinstance(entry, File)
    assert entry.file_attributes & 0x200


def test_out_of_a_stage(yard: Yard) -> None:
    text = (
        "FROM base AS one\nCOPY d /Out/d\nCOPY a.txt /Out/d/x\nCOPY b.txt <<E /Out/\ninline\nE\n"
        "FROM base\nCOPY --from=one /out /x\nCOPY --from=0 /out/d/X /y\n"
    )
    made = yard.build(text, contexts={"base": yard.base()})
    assert made.files(0) == {"x/d/x": b"a", "x/d/e/y": b"y", "x/b.txt": b"b", "x/E": b"inline\n"}
    assert made.files(1) == {"y": b"a"}
    assert made.said[-2:] == ["COPY /out /x", "COPY /out/d/X /y"]
    entry = made.entry("x/d/x", 0)
    assert isinstance(entry, File)
    assert entry.last_write_time == from_unix_ns(NOON * 10**9)


def test_a_stage_gives_what_its_base_has_too(yard: Yard) -> None:
    text = "FROM base AS one\nCOPY a.txt /Windows/\nFROM scratch\nCOPY --from=one /Windows /x\n"
    made = yard.build(text, contexts={"base": yard.base()})
    assert made.files() == {"x/notepad.exe": b"MZ", "x/a.txt": b"a"}


def test_the_hives_of_a_stage_from_scratch_do_not_come_along(yard: Yard) -> None:
    made = yard.build(
        "FROM scratch AS one\nCOPY a.txt /d/\nFROM base\nCOPY --from=one / /\n", contexts={"base": yard.base()}
    )
    assert made.names() == ["d", "d/a.txt"]
    made = yard.build("FROM scratch AS one\nCOPY a.txt /d/\nFROM scratch\nCOPY --from=one / /\n")
    assert made.files() == {"d/a.txt": b"a"}
    assert len(made.built.made) == 5


def test_a_stage_is_built_once(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[str] = []

    def counting(base: object, recipe: object, output: object, **more: object) -> object:
        places.append(str(output))
        return build_on(base, recipe, output, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("wclayer.dockerfile.build.build_on", counting)
    text = "FROM scratch AS one\nCOPY a.txt b.txt /\nFROM scratch\nCOPY --from=one a.txt /\nCOPY --from=0 b.txt /\n"
    made = yard.build(text)
    assert made.files(0) == {"a.txt": b"a"}
    assert made.files(1) == {"b.txt": b"b"}
    assert places == ["stage one", f"oci:{yard.folder / 'out'}:1"]


def test_layers_of_an_image(yard: Yard) -> None:
    """What a container on them would see."""
    upper = [
        directory("Files"),
        directory("Files/app"),
        M("Files/app/.wh.data.txt"),
        M("Files/app/MAIN.exe", b"new"),
        M("Files/app/link.txt", type="1", link="Files/App/sub/x.log"),
        M("Files/App/sub".lower(), b"now a file"),
    ]
    place = yard.base("tool", [APP, upper[:5]])
    assert copied(yard, f"COPY --from={place} App /x") == {
        "x/MAIN.exe": b"new",
        "x/link.txt": b"log",
        "x/hard.txt": b"data",
        "x/sub/x.log": b"log",
    }
    place = yard.base("tool2", [APP, [*upper[:4], upper[5]]])
    assert copied(yard, f"COPY --from={place} App /x") == {
        "x/MAIN.exe": b"new",
        "x/hard.txt": b"data",
        "x/sub": b"now a file",
    }
    with pytest.raises(NotFoundError):
        on_base(yard, f"COPY --from={place} App/data.txt /x")


def test_many_links_are_followed_together(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass for the names, one for the content, and the same once more for each step of links."""
    names = [f"l{number:03}" for number in range(300)]
    links = [M(f"Files/d/{name}", type="2", link="..\\real\\x", pax={"MSWINDOWS.fileattr": "1056"}) for name in names]
    source = yard.base(
        "links",
        [[*BASE, directory("Files/real"), M("Files/real/x", b"real"), directory("Files/d"), *links]],
    )
    calls: list[int] = []

    of_layers = ImageTree.of_layers

    def counting(*args: Any, **more: Any) -> ImageTree:
        calls.append(len(args[1]))
        return of_layers(*args, **more)

    monkeypatch.setattr(ImageTree, "of_layers", counting)
    place = yard.base()
    made = yard.build("FROM base\nCOPY --from=src /d/* /x/\n", contexts={"base": place, "src": source})
    assert made.files() == {f"x/{name}": b"real" for name in names}
    assert calls == [1, 1]  # the pattern, then what all links lead to


def test_a_name_of_an_image_that_is_no_unicode(yard: Yard) -> None:
    odd = M(f"Files/d/{bytes.fromhex('eda080').decode(errors='surrogateescape')}", b"1")
    source = yard.base("odd", [[*BASE, directory("Files/d"), odd, M("Files/d/x.txt", b"2")]])
    text = "FROM base\nCOPY --from=src --exclude=*.txt /d/* /x/\n"
    made = yard.build(text, contexts={"base": yard.base(), "src": source})
    assert made.files() == {"x/\ud800": b"1"}


# --- ADD of a URL -------------------------------------------------------------------


class Web:
    """A server that gives one file for every URL."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[str] = []

    def send(self, request: Request, /) -> Answer:
        self.asked.append(request.url)
        return Answer(200, self.data)


@pytest.mark.parametrize(
    ("url", "destination", "expected"),
    [
        ("https://x.example/d/tool.exe?v=1", "C:\\app\\", "app/tool.exe"),
        ("https://x.example/d/a%20b.exe", "/app/", "app/a b.exe"),
        ("https://x.example/d/tool.exe", "C:\\app\\other.exe", "app/other.exe"),
        ("https://x.example/", "/other.exe", "other.exe"),
        ("https://x.example/tool.exe", "/Windows", "Windows/tool.exe"),  # the base has that directory
        ("$HOST/tool.exe", "/", "tool.exe"),
    ],
)
def test_add_of_a_url(yard: Yard, url: str, destination: str, expected: str) -> None:
    web = Web(b"MZ tool")
    checksum = hashlib.sha256(web.data).hexdigest()
    with Registries(transport=web) as registries:
        made = on_base(
            yard,
            f"ARG HOST=https://x.example SUM={checksum}",
            f"ADD --checksum=sha256:$SUM {url} {destination}",
            options=ImageOptions(registries=registries),
        )
    assert made.files() == {expected: b"MZ tool"}
    assert web.asked == [url.replace("$HOST", "https://x.example")]
    assert made.said[-1] == f"ADD {web.asked[0]} {destination}"
    entry = made.entry(expected)
    assert isinstance(entry, File)
    assert entry.last_write_time == from_unix_ns(NOON * 10**9)


def test_add_of_a_url_unpacks_only_where_it_is_told(yard: Yard) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("in/x")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"1"))
    web = Web(packed.getvalue())
    checksum = hashlib.sha256(web.data).hexdigest()
    with Registries(transport=web) as registries:
        options = ImageOptions(registries=registries)
        line = f"--checksum={checksum} https://x.example/a.tgz /t/"
        assert copied(yard, f"ADD {line}", options=options) == {"t/a.tgz": web.data}
        assert copied(yard, f"ADD --unpack=true {line}", options=options) == {"t/in/x": b"1"}


def test_add_of_a_url_with_other_bytes(yard: Yard) -> None:
    line = f"ADD --checksum=sha256:{'0' * 64} https://x.example/a /"
    with (
        Registries(transport=Web(b"x")) as registries,
        pytest.raises(DigestMismatchError, match="D, line 3: other bytes than --checksum says"),
    ):
        on_base(yard, line, options=ImageOptions(registries=registries))
