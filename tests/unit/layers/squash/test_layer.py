"""Each rule of squash by itself, and each bad input."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import posix_only
from tests.tars import BASE, M, build, directory
from tests.unit.layers.sources import Listed, directories
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.body import StreamBody
from wclayer.entry import AlternateStream, Directory, Entry, File, HardLink, Progress, Source, Whiteout
from wclayer.errors import ConfinementError, LayerError, NotFoundError, StorageError, UsageError
from wclayer.layers.squash.api import squash_layers, squash_to_folder
from wclayer.layers.squash.layer import SquashedLayer
from wclayer.layertar.reader import TarSource
from wclayer.stores.folders import open_folder
from wclayer.win32.reparse import build_link

LINK = build_link("C:\\x", False)
Step = tuple[Entry, bytes | None]


def d(path: str, write: int | None = None, reparse: bytes | None = None, **more: Any) -> Directory:
    attributes = 0x410 if reparse else 0x10
    return Directory(path, file_attributes=attributes, last_write_time=write, reparse_data=reparse, **more)


def f(path: str, data: bytes = b"", write: int | None = None, **more: Any) -> tuple[File, bytes]:
    return File(path, size=len(data), last_write_time=write, **more), data


def s(path: str, name: str, data: bytes = b"") -> tuple[AlternateStream, bytes]:
    return AlternateStream(path, name, len(data)), data


def squash(*layers: Listed, first: int = 0, **more: Any) -> list[Step]:
    squashed = SquashedLayer(layers, first=first, **more)
    return [(entry, None if body is None else body.read()) for entry, body in squashed.entries()]


def shown(steps: Sequence[Step]) -> list[str]:
    """The result in short: directories with a slash, whiteouts with a minus, links with arrows."""
    result = []
    for entry, data in steps:
        text = entry.path
        if isinstance(entry, Directory):
            text += "@" if entry.reparse_data else "/"
        elif isinstance(entry, Whiteout):
            text = f"-{text}"
        elif isinstance(entry, HardLink):
            text += f" -> {entry.target}"
        elif isinstance(entry, AlternateStream):
            text += f":{entry.name}={(data or b'').decode()}"
        else:
            text += f"={(data or b'').decode()}"
        result.append(text)
    return result


FILES = d("Files")
UVM = directories("Files", "UtilityVM/Files")


# --- what wins ----------------------------------------------------------------------


def test_the_newest_file_wins_with_its_streams_and_spelling() -> None:
    lower = Listed(FILES, f("Files/Name", b"old"), s("Files/Name", "a", b"1"), s("Files/Name", "b", b"2"))
    upper = Listed(FILES, f("Files/NAME", b"new"), s("Files/NAME", "c", b"3"))
    assert shown(squash(lower, upper)) == ["Files/", "Files/NAME=new", "Files/NAME:c=3"]


def test_directories_merge_and_the_newest_says_what_they_are() -> None:
    lower = Listed(FILES, d("Files/dir", 1), s("Files/dir", "x", b"1"), f("Files/dir/a", b"a"))
    middle = Listed(FILES, d("Files/DIR", 2, security_descriptor=b"sd"), s("Files/DIR", "y", b"2"), f("Files/DIR/b"))
    upper = Listed(FILES, f("Files/c"))
    result = squash(lower, middle, upper)
    assert shown(result) == ["Files/", "Files/DIR/", "Files/DIR:y=2", "Files/DIR/a=a", "Files/DIR/b=", "Files/c="]
    assert result[1][0] == d("Files/DIR", 2, security_descriptor=b"sd")


@pytest.mark.parametrize("short", ["DIR~2", None])
def test_a_directory_has_the_dos_name_that_the_newest_layer_gives_it(short: str | None) -> None:
    lower = Listed(FILES, d("Files/a directory", short_name="DIR~1"), f("Files/a directory/x"))
    steps = squash(lower, Listed(FILES, d("Files/a directory", short_name=short)))
    assert [entry.short_name for entry, _ in steps if isinstance(entry, Directory)] == [None, short]


@pytest.mark.parametrize(
    "over", [f("Files/D", b"now"), d("Files/D", reparse=LINK), d("Files/D", reparse=LINK[:3] + b"\xa0")]
)
def test_what_is_no_directory_hides_all_below(over: Any) -> None:
    lower = Listed(FILES, d("Files/d"), d("Files/d/e"), f("Files/d/e/f"))
    result = shown(squash(lower, Listed(FILES, over)))
    assert result == ["Files/", "Files/D=now" if isinstance(over, tuple) else "Files/D@"]


def test_a_directory_over_a_file_and_a_link_is_empty() -> None:
    lower = Listed(FILES, f("Files/a"), d("Files/b", reparse=LINK), d("Files/c"), f("Files/c/x"))
    middle = Listed(FILES, f("Files/c"))
    upper = Listed(FILES, d("Files/a"), d("Files/b"), d("Files/c"), f("Files/c/y"))
    assert shown(squash(lower, middle, upper)) == ["Files/", "Files/a/", "Files/b/", "Files/c/", "Files/c/y="]


def test_a_reparse_point_that_is_a_directory_keeps_what_is_in_it() -> None:
    wci = bytes.fromhex("1800008000000000")
    lower = Listed(FILES, d("Files/d"), f("Files/d/x"))
    assert shown(squash(lower, Listed(FILES, d("Files/d", reparse=wci)))) == ["Files/", "Files/d@", "Files/d/x="]


def test_whiteouts_are_carried_out_and_gone() -> None:
    lower = Listed(FILES, d("Files/d"), f("Files/d/x"), f("Files/e"), f("Files/keep"))
    upper = Listed(FILES, Whiteout("Files/D"), Whiteout("Files/E"), Whiteout("Files/not there"))
    assert shown(squash(lower, upper)) == ["Files/", "Files/keep="]


def test_a_directory_deleted_and_made_again_is_new() -> None:
    lower = Listed(FILES, d("Files/d", 1), f("Files/d/x"))
    assert shown(squash(lower, Listed(Whiteout("Files/d")), Listed(FILES, d("Files/d", 2), f("Files/d/y")))) == [
        "Files/",
        "Files/d/",
        "Files/d/y=",
    ]


def test_names_are_compared_as_ntfs_does() -> None:
    # Python would make SS of ß and I of ı; NTFS leaves them alone.
    lower = Listed(FILES, f("Files/straße", b"1"), f("Files/ı", b"2"), f("Files/ä", b"3"))
    upper = Listed(FILES, f("Files/STRASSE", b"4"), f("Files/I", b"5"), f("Files/Ä", b"6"))
    assert shown(squash(lower, upper))[1:] == [
        "Files/straße=1",
        "Files/ı=2",
        "Files/STRASSE=4",
        "Files/I=5",
        "Files/Ä=6",
    ]


def test_one_dos_name_is_of_one_entry() -> None:
    """The newest keeps it; a name itself is one too."""
    lower = Listed(
        FILES,
        d("Files/microsoft a", short_name="MICROS~1"),
        f("Files/microsoft b", short_name="MICROS~2"),
        f("Files/microsoft c", short_name="MICROS~3"),
        f("Files/readme", short_name="README"),
        d("Files/d"),
        f("Files/d/microsoft", short_name="MICROS~1"),
        f("Files/plain", short_name="PLAIN~1"),
    )
    upper = Listed(
        FILES,
        f("Files/microsoft d", short_name="micros~1"),
        d("Files/microsoft e", short_name="MICROS~2"),
        f("Files/micros~3"),
        f("Files/same 1", short_name="SAME~1"),
        f("Files/same 2", short_name="SAME~1"),
    )
    squashed = SquashedLayer([lower, upper])
    steps = [entry for entry, _ in squashed.entries() if isinstance(entry, Directory | File)]
    names = {entry.path: entry.short_name for entry in steps if entry.short_name}
    kept = {
        "Files/microsoft d": "micros~1",
        "Files/microsoft e": "MICROS~2",
        "Files/same 2": "SAME~1",
    }
    assert names == kept | {"Files/readme": "README", "Files/d/microsoft": "MICROS~1", "Files/plain": "PLAIN~1"}
    words = "as something else in the directory has them: the first is MICROS~1 of Files/microsoft a"
    assert squashed.warnings == [f"4 DOS names are left out, {words}"]
    # What the rest has stays there.
    partial = SquashedLayer([lower, upper], first=1)
    steps = [entry for entry, _ in partial.entries() if isinstance(entry, Directory | File)]
    assert {entry.path: entry.short_name for entry in steps if entry.short_name} == kept
    [warning] = partial.warnings
    assert warning.startswith("1 DOS name is left out")


def test_the_order_is_directories_files_links() -> None:
    lower = Listed(
        d("UtilityVM"), d("UtilityVM/Files"), FILES, f("Files/z"), HardLink("Files/y", "Files/z"), d("Files/b")
    )
    upper = Listed(FILES, d("Files/a"), f("Files/a/x"), f("Files/A b"), d("Files/B"), f("Files/B/w"))
    assert shown(squash(lower, upper)) == [
        *("Files/", "Files/B/", "Files/a/", "UtilityVM/", "UtilityVM/Files/"),
        *("Files/z=", "Files/a/x=", "Files/A b=", "Files/B/w=", "Files/y -> Files/z"),
    ]


def test_the_same_again() -> None:
    layer = SquashedLayer([Listed(FILES, d("Files/d"), s("Files/d", "s", b"1"), f("Files/x", b"x"))])
    first = [(entry, body and body.read()) for entry, body in layer.entries()]
    assert [(entry, body and body.read()) for entry, body in layer.entries()] == first
    assert layer.restartable
    assert layer.warnings == []


# --- hard links -----------------------------------------------------------------------


def test_links_across_layers_stay_links() -> None:
    lower = Listed(FILES, f("Files/a", b"1"))
    upper = Listed(FILES, HardLink("Files/b", "Files/A", file_attributes=0x21, creation_time=5))
    result = squash(lower, upper)
    assert shown(result) == ["Files/", "Files/a=1", "Files/b -> Files/a"]
    assert result[2][0] == HardLink("Files/b", "Files/a", file_attributes=0x21, creation_time=5)


@pytest.mark.parametrize("gone", [f("Files/a", b"2"), Whiteout("Files/a"), d("Files/a")])
def test_a_link_keeps_the_old_content_where_its_target_goes(gone: Any) -> None:
    """Also in the layer that makes the link: Windows makes links first."""
    lower = Listed(FILES, f("Files/a", b"1", 7, short_name="A~1"), s("Files/a", "s", b"x"))
    link = HardLink("Files/b", "Files/a", file_attributes=0x21)
    for layers in ([Listed(FILES, link, gone)], [Listed(FILES, link), Listed(FILES, gone)]):
        result = squash(lower, *layers)
        assert [text for text in shown(result) if text.startswith("Files/b")] == ["Files/b=1", "Files/b:s=x"]
        [file] = [entry for entry, _ in result if isinstance(entry, File) and entry.path == "Files/b"]
        # The file's own metadata; its DOS name belonged to the other name.
        assert file == File("Files/b", size=1, last_write_time=7)


def test_a_link_is_to_its_own_layer_s_file_if_that_came_before() -> None:
    lower = Listed(FILES, f("Files/a", b"old"))
    before = Listed(FILES, HardLink("Files/b", "Files/a"), f("Files/a", b"new"))
    after = Listed(FILES, f("Files/a", b"new"), HardLink("Files/b", "Files/a"))
    assert shown(squash(lower, before))[1:] == ["Files/b=old", "Files/a=new"]
    assert shown(squash(lower, after))[1:] == ["Files/a=new", "Files/b -> Files/a"]


def test_the_first_name_that_is_left_has_the_file() -> None:
    """The first in the order of the layers, so that squashing some of them before does not matter."""
    lower = Listed(FILES, f("Files/a", b"1"), HardLink("Files/z", "Files/a"), HardLink("Files/m", "Files/z"))
    middle = Listed(FILES, Whiteout("Files/a"))
    upper = Listed(FILES, HardLink("Files/b", "Files/m"))
    expected = ["Files/", "Files/z=1", "Files/m -> Files/z", "Files/b -> Files/z"]
    assert shown(squash(lower, middle, upper)) == expected


def test_a_link_to_a_link_into_a_layer_below() -> None:
    lower = Listed(FILES, f("Files/a", b"1"))
    upper = Listed(FILES, HardLink("Files/b", "Files/a"), HardLink("Files/c", "Files/b"), f("Files/a", b"2"))
    assert shown(squash(lower, upper))[1:] == ["Files/b=1", "Files/a=2", "Files/c -> Files/b"]


def test_a_link_to_a_symlink() -> None:
    link = File("Files/l", file_attributes=0x420, reparse_data=LINK, data_stream=False)
    result = squash(Listed(FILES, link), Listed(FILES, HardLink("Files/b", "Files/l")), Listed(Whiteout("Files/l")))
    assert [entry for entry, _ in result][1:] == [
        File("Files/b", file_attributes=0x420, reparse_data=LINK, data_stream=False)
    ]


# --- over the rest ------------------------------------------------------------------------


def test_one_layer_over_the_rest() -> None:
    rest = Listed(FILES, d("Files/d", 1), f("Files/d/x"), f("Files/d/y"), f("Files/k"), d("Files/e"), f("Files/e/z"))
    one = Listed(FILES, d("Files/d", 2), f("Files/d/n", b"1"), Whiteout("Files/d/x"), Whiteout("Files/k"))
    two = Listed(FILES, d("Files/d", 3), f("Files/d/N", b"2"), f("Files/k", b"k"), Whiteout("Files/e/z"))
    assert shown(squash(rest, one, two, first=1)) == [
        *("Files/", "Files/d/", "Files/e/", "Files/d/N=2", "Files/k=k", "-Files/d/x", "-Files/e/z")
    ]


def test_whiteouts_need_their_directories_as_they_are() -> None:
    """An importer gives a directory what its newest entry says: so that says what the rest does."""
    rest = Listed(FILES, d("Files/d", 1, security_descriptor=b"sd"), s("Files/d", "s", b"x"), f("Files/d/x"))
    result = squash(rest, Listed(Whiteout("Files/D/X")), first=1)
    assert shown(result) == ["Files/", "Files/d/", "Files/d:s=x", "-Files/d/x"]
    assert result[1][0] == d("Files/d", 1, security_descriptor=b"sd")


def test_a_directory_made_anew_over_the_rest_hides_what_was_in_it() -> None:
    rest = Listed(FILES, d("Files/d"), f("Files/d/a"), d("Files/d/b"), f("Files/d/b/c"), f("Files/d/n"))
    one, two = Listed(Whiteout("Files/d")), Listed(FILES, d("Files/D"), d("Files/D/B"), f("Files/D/N"))
    assert shown(squash(rest, one, two, first=1)) == [
        *("Files/", "Files/D/", "Files/D/B/", "Files/D/N=", "-Files/D/B/c", "-Files/D/a")
    ]
    # By way of a file, the same.
    one = Listed(FILES, f("Files/d"))
    assert "-Files/D/a" in shown(squash(rest, one, two, first=1))


def test_no_whiteout_beside_or_below_what_replaces() -> None:
    rest = Listed(FILES, d("Files/d"), f("Files/d/a"), f("Files/e"))
    upper = Listed(FILES, d("Files/d", reparse=LINK), d("Files/e"))
    assert shown(squash(rest, Listed(Whiteout("Files/d/a")), upper, first=1)) == ["Files/", "Files/d@", "Files/e/"]


def test_a_link_into_the_rest_stays_one() -> None:
    rest = Listed(FILES, f("Files/a", b"1"), HardLink("Files/b", "Files/a"))
    link = Listed(FILES, HardLink("Files/c", "Files/B"), HardLink("Files/d", "Files/c"))
    # The target that it was given; for a link to a link, the file's first name.
    assert shown(squash(rest, link, first=1)) == ["Files/", "Files/c -> Files/b", "Files/d -> Files/a"]
    # A name that is seen yet, if there is one; else one that was deleted is a target as good.
    gone = Listed(FILES, HardLink("Files/c", "Files/b"), Whiteout("Files/b"))
    assert shown(squash(rest, gone, first=1)) == ["Files/", "Files/c -> Files/a", "-Files/b"]
    gone = Listed(FILES, HardLink("Files/c", "Files/b"), Whiteout("Files/a"), Whiteout("Files/b"))
    assert shown(squash(rest, gone, first=1)) == ["Files/", "Files/c -> Files/b", "-Files/a", "-Files/b"]


def test_in_the_utility_vm_a_deleted_name_is_no_target() -> None:
    """There Windows' importer changes a copy in place, and looks for the target at the end."""
    rest = Listed(*UVM, f("UtilityVM/Files/a", b"1"))
    gone = Listed(*UVM, HardLink("UtilityVM/Files/c", "UtilityVM/Files/a"), Whiteout("UtilityVM/Files/a"))
    assert shown(squash(rest, gone, first=1))[3:] == ["UtilityVM/Files/c=1", "-UtilityVM/Files/a"]


def test_a_link_into_the_rest_takes_another_name_where_its_target_is_replaced() -> None:
    rest = Listed(FILES, f("Files/a", b"1"), HardLink("Files/b", "Files/a"))
    link = Listed(FILES, HardLink("Files/c", "Files/a"), f("Files/a", b"2"))
    assert shown(squash(rest, link, first=1)) == ["Files/", "Files/a=2", "Files/c -> Files/b"]


def test_a_link_into_the_rest_becomes_the_file_where_no_name_is_left() -> None:
    rest = Listed(FILES, f("Files/a", b"1", 7), s("Files/a", "s", b"x"))
    link = Listed(FILES, HardLink("Files/c", "Files/a", file_attributes=0x21), HardLink("Files/d", "Files/a"))
    result = squash(rest, link, Listed(FILES, f("Files/a", b"2")), first=1)
    assert shown(result) == ["Files/", "Files/c=1", "Files/c:s=x", "Files/a=2", "Files/d -> Files/c"]
    assert result[1][0] == File("Files/c", size=1, last_write_time=7)


def test_nothing_changed_is_an_empty_layer() -> None:
    rest = Listed(FILES, f("Files/a"))
    assert squash(rest, Listed(), first=1) == []


# --- the utility VM -----------------------------------------------------------------------


def test_the_utility_vm_is_squashed_as_the_rest() -> None:
    lower = Listed(*UVM, f("UtilityVM/Files/a", b"1"), f("Files/a", b"2"), HardLink("UtilityVM/Files/l", "Files/a"))
    upper = Listed(*UVM, Whiteout("UtilityVM/Files/A"), f("UtilityVM/Files/b", b"3"))
    assert shown(squash(lower, upper)) == [
        *("Files/", "UtilityVM/", "UtilityVM/Files/", "Files/a=2", "UtilityVM/Files/b=3"),
        "UtilityVM/Files/l -> Files/a",
    ]
    assert shown(squash(lower, upper, first=1)) == [
        *("Files/", "UtilityVM/", "UtilityVM/Files/", "UtilityVM/Files/b=3", "-UtilityVM/Files/a")
    ]


@pytest.mark.parametrize("over", [f("UtilityVM/Files/D"), HardLink("UtilityVM/Files/D", "UtilityVM/Files/x")])
def test_in_the_utility_vm_no_file_takes_the_place_of_a_directory(over: Any) -> None:
    """hcsshim's importer removes what is there as if it were a file, and that fails unless it is empty."""
    vm = "UtilityVM/Files"
    rest = Listed(*UVM, f(f"{vm}/x"), d(f"{vm}/d"), f(f"{vm}/d/y"), d(f"{vm}/e"))
    gone, made = Listed(*UVM, Whiteout(f"{vm}/d")), Listed(*UVM, over, f(f"{vm}/e"))
    with pytest.raises(LayerError, match=r"UtilityVM/Files/D: in layer 2: a file where .*squash all layers"):
        squash(rest, gone, made, first=1)
    assert any(text.startswith(f"{vm}/D") for text in shown(squash(rest, gone, made)))
    # An empty one does.
    assert f"{vm}/e=" in shown(squash(rest, gone, Listed(*UVM, f(f"{vm}/e")), first=1))
    # So does a link to a directory.
    link = Listed(*UVM, d(f"{vm}/d", reparse=LINK))
    assert f"{vm}/d@" in shown(squash(rest, link, first=1))


def test_without_the_utility_vm_links_into_it_keep_their_content() -> None:
    lower = Listed(*UVM, f("UtilityVM/Files/a", b"1"), HardLink("Files/l", "UtilityVM/Files/a"), f("Files/b", b"2"))
    upper = Listed(*UVM, HardLink("UtilityVM/Files/c", "Files/b"))
    assert shown(squash(lower, upper, drop_utility_vm=True)) == ["Files/", "Files/l=1", "Files/b=2"]


def test_over_the_rest_the_utility_vm_cannot_be_left_out() -> None:
    with pytest.raises(UsageError, match=r"cannot be left out.*squash all layers"):
        squash(Listed(*UVM), Listed(*UVM), first=1, drop_utility_vm=True)


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "error", "words"),
    [
        ([FILES, f("Files/a"), f("Files/A")], LayerError, "Files/A: in layer 1: the name is taken.*Files/a before"),
        ([FILES, f("Files/d/x")], LayerError, r"Files/d/x: .*its directory has not come before it.*'Files/d'"),
        ([FILES, f("Files/d"), f("Files/d/x")], LayerError, r"Files/d/x: .*no directory; got Files/d"),
        ([FILES, f("Files/d"), d("Files/d/e/f")], LayerError, r"Files/d/e/f: .*no directory"),
        ([FILES, d("Files/d", reparse=LINK), f("Files/d/x")], ConfinementError, "Files/d/x: .*behind a symlink"),
        ([FILES, f("Files/a"), Whiteout("Files/A")], LayerError, "Files/A: .*a whiteout of the same name"),
        ([FILES, Whiteout("Files/A"), f("Files/a")], LayerError, "Files/a: .*a whiteout of the same name"),
        ([Whiteout("Files/A"), Whiteout("Files/a")], LayerError, "Files/a: .*two whiteouts"),
        ([Whiteout("UtilityVM/Files/none")], LayerError, "UtilityVM/Files/none: .*no layer below has"),
        ([Whiteout("Hives/x")], LayerError, "Hives/x: .*outside Files/"),
        ([FILES, HardLink("Files/l", "Files/none")], LayerError, "Files/l: .*link to nothing.*'Files/none'"),
        ([FILES, HardLink("Files/l", "Files/dir")], LayerError, "Files/l: .*something that is no file"),
        ([FILES, HardLink("Files/l", "Files")], ConfinementError, "Files/l: .*outside"),
        ([FILES, HardLink("Files/l", "Files/l")], LayerError, "Files/l: .*hard link to nothing"),
        ([FILES, s("Files/f", "s")], LayerError, "Files/f:s: .*does not follow its owner"),
        ([FILES, f("Files/f"), HardLink("Files/l", "Files/f"), s("Files/l", "s")], LayerError, "Files/l:s: .*follow"),
        ([FILES, f("Files/f"), s("Files/f", "s"), s("Files/f", "S")], LayerError, "Files/f:S: .*two streams"),
        ([d("files")], LayerError, "files: .*wrong case"),
        ([d("Elsewhere")], ConfinementError, "Elsewhere: .*outside the layer's roots"),
        ([File("Files")], LayerError, "Files: .*must be a directory"),
        ([d("UtilityVM"), d("UtilityVM/x")], LayerError, "UtilityVM/x: .*beside UtilityVM/Files"),
    ],
)  # fmt: skip
def test_what_makes_no_layer_is_refused_by_name(entries: list[Any], error: type[Exception], words: str) -> None:
    base = Listed(FILES, d("Files/dir"))
    with pytest.raises(error, match=words):
        squash(base, Listed(*entries))


def test_a_link_to_what_was_deleted_below_is_one_to_nothing() -> None:
    layers = [Listed(FILES, f("Files/a")), Listed(Whiteout("Files/a")), Listed(FILES, HardLink("Files/l", "Files/a"))]
    with pytest.raises(LayerError, match="in layer 2: hard link to nothing"):
        squash(*layers)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    "lowest",
    [
        Listed(FILES, Whiteout("Files/a")),
        Listed(FILES, d("Hives")),
        Listed(FILES, d("Hives"), f("Hives/System_Delta")),
    ],
)
def test_layers_in_the_wrong_order(lowest: Listed, first: int) -> None:
    with pytest.raises(LayerError, match=r"in layer 0: the lowest layer is no base layer.*base first"):
        squash(lowest, Listed(FILES), first=first)


def test_a_base_layer_has_files() -> None:
    with pytest.raises(LayerError, match="in layer 0: no Files/ in a base layer"):
        squash(Listed(), Listed(FILES))


@pytest.mark.parametrize("first", [-1, 2])
def test_there_must_be_a_layer_to_squash_from(first: int) -> None:
    with pytest.raises(UsageError, match=r"no such layer.*expected 0 to 1"):
        squash(Listed(FILES), Listed(FILES), first=first)
    with pytest.raises(UsageError, match="nothing to squash"):
        squash()


def test_a_pipe_is_refused() -> None:
    tar = build([*BASE, M("Files/f", b"1")])
    with pytest.raises(UsageError, match=r"layer 1 can be read only once.*give the tar as a file"):
        SquashedLayer([Listed(FILES), TarSource(io.BytesIO(tar))])


@posix_only("files")
def test_a_file_that_is_a_pipe_is_refused() -> None:
    with pytest.raises(UsageError, match="read only once"):
        squash_layers(["/dev/null"], io.BytesIO())
    read, write = os.pipe()
    try:
        with pytest.raises(UsageError, match=r"/dev/fd/.*read only once"):
            squash_layers([f"/dev/fd/{read}"], io.BytesIO())
    finally:
        os.close(read)
        os.close(write)


def test_a_stream_of_a_directory_that_is_cut_off() -> None:
    class Cut(Listed):
        def entries(self) -> Any:
            yield FILES, None
            yield AlternateStream("Files", "s", 10), StreamBody(10, io.BytesIO(b"abc").read)

    with pytest.raises(StorageError, match="Files: in layer 0: the data are not as long as their entry says"):
        squash(Cut())


class Changing(Listed):
    """A source that gives something else the second time."""

    def __init__(self, first: Source, second: Source) -> None:
        self._sources = iter([first, second])

    def entries(self) -> Any:
        return next(self._sources).entries()


@pytest.mark.parametrize("reading", [1, 2])
@pytest.mark.parametrize("path", ["layer 1", "Files/d"])
def test_an_error_of_the_host_is_about_the_layer(path: str, reading: int, tmp_path: Path) -> None:
    """Not about the output, nor about where things are put aside."""

    def fail(n: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    class Failing(Listed):
        readings = 0

        def entries(self) -> Any:
            self.readings += 1
            yield from super().entries()
            if path == "layer 1":
                if self.readings == reading:
                    fail(1)
            elif reading == 1:
                yield d(path), None
                yield AlternateStream(path, "s", 1), StreamBody(1, fail)
            else:
                yield File(path, size=1), StreamBody(1, fail)

    with pytest.raises(StorageError) as caught:
        squash_layers([Listed(FILES), Failing(FILES, f("Files/f"))], io.BytesIO(), temp_dir=tmp_path)
    where = "layer 1" if path == "layer 1" else f"{path}: in layer 1"
    assert str(caught.value) == f"{where}: Input/output error"
    assert caught.value.layer == "layer 1"


@pytest.mark.parametrize(
    "second",
    [
        Listed(FILES, f("Files/a"), f("Files/c")),
        Listed(FILES, d("Files/a"), f("Files/b")),
        Listed(FILES, f("Files/a")),
        Listed(),
    ],
)
def test_a_layer_that_changes_meanwhile(second: Listed) -> None:
    layer = Changing(Listed(FILES, f("Files/a"), f("Files/b")), second)
    with pytest.raises(StorageError, match="layer 0 has changed while it was read"):
        squash(layer)


def test_a_folder_that_gets_a_directory_meanwhile(tmp_path: Path) -> None:
    """One by which each file is where another of its name was."""

    def index(name: str) -> None:
        (tmp_path / "Files" / name).mkdir(parents=True)
        (tmp_path / "Files" / name / "index").write_text(name)

    index("d1")
    index("d2")
    with open_folder(tmp_path) as layer:
        steps = SquashedLayer([layer]).entries()
        assert next(steps)[0].path == "Files"
        index("d0")
        with pytest.raises(StorageError, match="layer 0 has changed while it was read"):
            list(steps)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([d("Files/a"), f("Files/a/x"), d("Files/b")], [d("Files/b"), f("Files/b/x"), d("Files/a")]),
        ([f("Files/a", b"1")], [f("Files/a", b"10")]),
        ([f("Files/a", b"1", 1)], [f("Files/a", b"2", 2)]),
        ([f("Files/a"), s("Files/a", "x")], [f("Files/a"), s("Files/a", "y")]),
        ([f("Files/a"), f("Files/b"), HardLink("Files/l", "Files/a")],
         [f("Files/a"), f("Files/b"), HardLink("Files/l", "Files/b")]),
    ],
)  # fmt: skip
def test_whatever_changes_meanwhile(before: list[Any], after: list[Any]) -> None:
    with pytest.raises(StorageError, match="layer 0 has changed while it was read"):
        squash(Changing(Listed(FILES, *before), Listed(FILES, *after)))


def test_a_tar_that_changes_meanwhile() -> None:
    """Though its names are the same."""
    tars = iter([build([*BASE, M("Files/f", b"1")]), build([*BASE, M("Files/f", b"2")])])
    layer = TarSource(None, reopen=lambda: io.BytesIO(next(tars)))
    with pytest.raises(StorageError, match="layer 0 has changed while it was read"):
        list(SquashedLayer([layer]).entries())


# --- depth and size -----------------------------------------------------------------------


def test_a_deep_tree() -> None:
    """Far deeper than Python's stack."""
    paths = ["Files"]
    for _ in range(1500):
        paths.append(f"{paths[-1]}/d")
    lower = Listed(*map(d, paths), f(f"{paths[-1]}/f", b"1"))
    upper = Listed(*map(d, paths), f(f"{paths[-1]}/g", b"2"))
    result = squash(lower, upper)
    assert len(result) == len(paths) + 2
    partial = squash(lower, Listed(Whiteout(f"{paths[-1]}/f")), upper, first=1)
    assert shown(partial)[-2:] == [f"{paths[-1]}/g=2", f"-{paths[-1]}/f"]


def test_many_streams_of_a_directory() -> None:
    result = squash(Listed(FILES, *(s("Files", str(number)) for number in range(20_000))))
    assert len(result) == 20_001


# --- tars and folders ---------------------------------------------------------------------


@pytest.fixture
def stack(tmp_path: Path) -> list[Path]:
    """Three tars and the folders that they make: base, app, patch."""
    tars = {
        "base": build([*BASE, M("Files/f", b"1" * 600), M("Files/g", b"2")]),
        "app": build([directory("Files"), M("Files/F", b"3"), M("Files/l", type="1", link="Files/g")]),
        "patch": build([directory("Files"), M("Files/.wh.g"), M("Files/p", b"4")]),
    }
    parents: list[Path] = []
    for name, tar in tars.items():
        (tmp_path / f"{name}.tar").write_bytes(tar)
        with (tmp_path / f"{name}.tar").open("rb") as stream:
            import_layer_from_tar(stream, tmp_path / name, parents)
        parents.insert(0, tmp_path / name)
    return [tmp_path / name for name in tars]


def text(tar: bytes) -> list[str]:
    source = TarSource(io.BytesIO(tar))
    return shown([(entry, None if body is None else body.read()) for entry, body in source.entries()])


def test_tars_and_folders_give_the_same(stack: list[Path], tmp_path: Path) -> None:
    tars = [path.with_suffix(".tar") for path in stack]
    results = []
    for layers in (tars, stack, [tars[0], stack[1], tars[2]]):
        out = io.BytesIO()
        summary = squash_layers(layers, out)
        results.append(text(out.getvalue()))
        assert summary.entries == {"directories": 2, "files": 3}
        assert summary.digest == summary.diff_id
        assert summary.warnings == []
    assert results[0] == ["Files/", "Files/dir/", "Files/l=2", "Files/F=3", "Files/p=4"]
    assert results[1:] == results[:1] * 2
    out = io.BytesIO()
    squash_layers(stack, out, first=1, compression="gzip")
    assert text(out.getvalue()) == ["Files/", "Files/F=3", "Files/p=4", "Files/l -> Files/g", "-Files/g"]


def test_into_a_folder(stack: list[Path], tmp_path: Path) -> None:
    summary = squash_to_folder(tmp_path / "one", stack)
    assert summary.entries == {"directories": 2, "files": 3}
    with open_folder(tmp_path / "one") as layer:
        assert layer.base
    out, direct = io.BytesIO(), io.BytesIO()
    export_layer_to_tar(tmp_path / "one", out)
    squash_layers(stack, direct)
    assert sorted(text(out.getvalue())) == sorted(text(direct.getvalue()))
    import_layer_from_tar(io.BytesIO(build([directory("Files"), M("Files/x")])), tmp_path / "top", [tmp_path / "one"])


def test_an_error_leaves_no_folder(stack: list[Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    bad = tmp_path / "bad.tar"
    bad.write_bytes(build([directory("Files"), M("Files/x/y")]))
    with pytest.raises(LayerError, match="in layer 1"):
        squash_to_folder(tmp_path / "one", [stack[0], bad])
    assert sorted(tmp_path.iterdir()) == sorted([*before, bad])


def test_folders_know_their_order(stack: list[Path], tmp_path: Path) -> None:
    base, app, patch = stack
    for layers, words in (
        ([app, base, patch], "the lowest layer is no base layer.*base first"),
        ([base, app, base], "a base layer that is not the lowest.*base first"),
        ([base, patch], r"patch: other parents.*2 below it; got 1 -- give the layers base first"),
        ([base, patch, app], "other parents.*base first"),
    ):
        with pytest.raises(UsageError, match=words):
            squash_layers(layers, io.BytesIO())
    # Of tars, once they have been read.
    other = tmp_path / "other.tar"
    other.write_bytes(build([*BASE, M("Files/g")]))
    with pytest.raises(UsageError, match="app: other parents"):
        squash_layers([other, app], io.BytesIO())


def test_a_folder_without_a_record_goes_where_it_is_put(stack: list[Path], tmp_path: Path) -> None:
    (tmp_path / "plain" / "Files").mkdir(parents=True)
    (tmp_path / "plain" / "Files" / "new").write_bytes(b"5")
    out = io.BytesIO()
    squash_layers([stack[0], tmp_path / "plain"], out)
    assert "Files/new=5" in text(out.getvalue())


def test_what_is_not_there(stack: list[Path], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such layer"):
        squash_layers([stack[0], tmp_path / "nothing"], io.BytesIO())


def test_a_broken_tar_is_named_with_its_layer(stack: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes((tmp_path / "app.tar").read_bytes()[:900])
    with pytest.raises(Exception, match="in layer 1: "):
        squash_layers([stack[0], cut], io.BytesIO())


def test_progress(stack: list[Path]) -> None:
    read: list[int] = []
    written: list[str] = []

    def progress(step: Progress) -> None:
        read.append(step.done)
        if step.entry is not None:
            written.append(step.entry.path)

    squash_layers(stack, io.BytesIO(), progress=progress)
    assert written == ["Files", "Files/dir", "Files/l", "Files/F", "Files/p"]
    assert read == sorted(read)
    assert read[-1] > 600
