"""Where a symlink or junction leads is one answer, whichever command is asked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.hosts import posix_only
from tests.unit.union.test_every_command import (
    RIGHT,
    WRONG,
    Stack,
    all_say,
    ask_all,
    cat,
    copy_from,
    directory,
    errors_of,
    extract,
    file,
    find,
    link,
    ls,
    names_below,
    tar,
)
from wclayer import Criteria, build_dockerfile, extract_files, find_files, list_files, read_file, verify_layer
from wclayer.builder.recipe import LayerRecipe
from wclayer.builder.source_tree import SourceTree
from wclayer.builder.symlinks import leads_to_directory
from wclayer.codes import Code
from wclayer.entry import Directory, Entry, File
from wclayer.errors import LayerError
from wclayer.win32.reparse import build_link

pytestmark = posix_only("extracted symlinks")

WAYS: Final = (cat, ls, find, extract)  # of a path through a link
MOST: Final = 63  # reparse points on a path, by the documentation of Win32


def buffer(substitute: str, *, junction: bool, relative: bool) -> bytes:
    """[MS-FSCC] 2.1.2.4 and 2.1.2.5, with just this substitute name."""
    name = substitute.encode("utf-16-le")
    names = struct.pack("<HHHH", 0, len(name), len(name), 0)
    data = names + (b"" if junction else struct.pack("<I", relative)) + name
    return struct.pack("<IHH", 0xA0000003 if junction else 0xA000000C, len(data), 0) + data


def linked(path: str, substitute: str, *, junction: bool = False, relative: bool = False) -> Entry:
    """A link of a directory."""
    reparse = buffer(substitute, junction=junction, relative=relative)
    return Directory(path, file_attributes=0x410, reparse_data=reparse)


def to_file(path: str, target: str) -> Entry:
    return File(f"Files/{path}", file_attributes=0x420, reparse_data=build_link(target, False), data_stream=False)


def kinds_found(stack: Stack, path: str) -> bool | None:
    """What `build --from` finds that a new symlink `new` to a path leads to: a directory?"""
    with SourceTree(LayerRecipe()) as tree:
        return leads_to_directory("new", path, tree, names_below(stack))


def leaves(stack: Stack) -> bool:
    """Does verify say that a link leads out of the container, or that Windows does not follow it?"""
    codes = {one.rule.code for one in verify_layer(stack.image).findings}
    return bool(codes & {Code.LINK_LEAVES_CONTAINER, Code.JUNCTION_NOT_ABSOLUTE})


def copied_directory(stack: Stack, path: str) -> bytes:
    """COPY --from of a link follows it."""
    dockerfile = f"FROM scratch\nCOPY --from=stack {path} /copied/\n".encode()
    place = f"oci:{stack.folder / 'copied directory'}:t"
    context = str(stack.folder)
    build_dockerfile(dockerfile, place, source="Dockerfile", context=context, contexts={"stack": stack.image})
    return read_file(f"{place}//Files/copied/x")


@contextmanager
def refused(message: str) -> Iterator[None]:
    with pytest.raises(LayerError, match=message):
        yield


def stack_of(folder: Path, entry: Entry) -> Stack:
    return Stack(folder, tar(*map(directory, ("", "d", "e")), file("e/x", RIGHT), file("x", WRONG), entry))


@pytest.mark.parametrize(
    ("substitute", "kind"),
    [
        (r"\??\C:\e", "junction"),
        (r"\??\c:\e", "absolute"),
        (r"\DosDevices\C:\e", "junction"),
        (r"\DosDevices\C:\e", "absolute"),
        (r"\dosdevices\c:\d\..\e", "absolute"),
        (r"\GLOBAL??\C:\e", "junction"),
        (r"\GLOBAL??\C:\e", "absolute"),
        (r"..\e", "relative"),
        (r"\e", "relative"),
        ("..\\d\\.\\..\\e\\", "relative"),
    ],
)
def test_links_that_lead_into_the_layer(tmp_path: Path, substitute: str, kind: str) -> None:
    entry = linked("Files/d/l", substitute, junction=kind == "junction", relative=kind == "relative")
    stack = stack_of(tmp_path, entry)
    assert ask_all(stack, "d/l/x", WAYS) == all_say(RIGHT, WAYS)
    assert copied_directory(stack, "d/l") == RIGHT
    assert kinds_found(stack, r"d\l") is True
    assert kinds_found(stack, r"d\l\x") is False
    assert not leaves(stack)


@pytest.mark.parametrize(
    ("substitute", "kind", "message"),
    [
        (r"\DosDevices\C:\e", "relative", r"to the object \\DosDevices\\C:\\e"),
        (r"\GLOBAL??\C:\e", "relative", "to the object"),
        (r"\??\C:\e", "relative", "to the object"),
        (r"C:\e", "relative", "to the object"),
        (r"C:\e", "absolute", "to the object"),
        (r"C:\e", "junction", "a junction that is not absolute"),
        (r"\e", "junction", "to the object"),
        (r"\\?\C:\e", "absolute", "to the object"),
        (r"\??\C:e", "junction", "to the device C:e"),
        (r"\DosDevices\D:\e", "junction", "to drive D:"),
        (r"\GLOBAL??\UNC\server\e", "absolute", "to another computer"),
        (r"..\..\e", "relative", "leads above the root"),
        (r"x\..\..\..\e", "relative", "leads above the root"),
        (r"\..\e", "relative", "leads above the root"),
        (r"\??\C:\..\e", "junction", "leads above the root"),
        (r"\??\C:\d\..\..\e", "absolute", "leads above the root"),
    ],
)
def test_links_that_do_not(tmp_path: Path, substitute: str, kind: str, message: str) -> None:
    entry = linked("Files/d/l", substitute, junction=kind == "junction", relative=kind == "relative")
    stack = stack_of(tmp_path, entry)
    for ask in WAYS:
        with refused(message):
            ask(stack, "d/l/x")
    with refused(message):
        copied_directory(stack, "d/l")
    assert kinds_found(stack, r"d\l") is None
    assert leaves(stack)


def test_the_root_of_the_drive(tmp_path: Path) -> None:
    stack = stack_of(
        tmp_path, Directory("Files/l", file_attributes=0x410, reparse_data=build_link("\\\\?\\C:\\", True))
    )
    assert ask_all(stack, "l/e/x", WAYS) == all_say(RIGHT, WAYS)
    assert kinds_found(stack, r"l\l\e") is True
    assert not leaves(stack)


@pytest.mark.parametrize("through_layers", [False, True])
def test_as_many_links_as_windows_follows(tmp_path: Path, through_layers: bool) -> None:
    """63 symlinks to one another lead to a file, and 64 do not."""
    chain = [to_file(f"{number}", f"{number + 1}") for number in range(MOST + 1)]
    end = file(f"{MOST + 1}", RIGHT)
    layers = [tar(directory(""), end, *chain)]
    if through_layers:
        layers = [tar(directory(""), end, *chain[::2]), tar(directory(""), *chain[1::2])]
    stack, again = Stack(tmp_path, *layers), Stack(tmp_path / "again", *layers)
    ways = (cat, ls, extract, copy_from)  # find does not follow the last link
    assert ask_all(stack, "1", ways) == all_say(RIGHT, ways)
    for ask in ways:
        with refused("too many links on a path"):
            ask(again, "0")
    assert kinds_found(stack, "2") is False  # `new` is a link too
    assert kinds_found(stack, "1") is None


def test_junctions_in_a_circle(tmp_path: Path) -> None:
    layer = tar(
        directory(""), linked("Files/a", r"\??\C:\b", junction=True), linked("Files/b", r"\??\C:\A", junction=True)
    )
    stack = Stack(tmp_path, layer)
    for ask in WAYS:
        with refused("links that lead to each other"):
            ask(stack, "a/x")
    with refused("too many links on a path"):
        copied_directory(stack, "a")
    assert kinds_found(stack, "a") is None
    assert errors_of(stack) == set()


@pytest.mark.parametrize(
    ("substitute", "kind"), [(r"\??\C:\e", "junction"), (r"\DosDevices\C:\e", "absolute"), (r"\e", "relative")]
)
def test_drive_c_of_the_utility_vm_is_its_own(tmp_path: Path, substitute: str, kind: str) -> None:
    vm = "UtilityVM/Files"
    entries = (
        *map(directory, ("", "e")),
        file("e/x", WRONG),
        *(Directory(path, file_attributes=0x10) for path in ("UtilityVM", vm, f"{vm}/d", f"{vm}/e")),
        (File(f"{vm}/e/x", file_attributes=0x20, size=len(RIGHT)), RIGHT),
        linked(f"{vm}/d/l", substitute, junction=kind == "junction", relative=kind == "relative"),
    )
    stack = Stack(tmp_path, tar(*entries))
    place = f"{stack.image}//{vm}/d/l/x"
    assert read_file(place) == RIGHT
    assert [(one.path, one.size) for one in list_files(place)] == [(f"{vm}/e/x", len(RIGHT))]
    assert [one.path for one in find_files(place, Criteria())] == [f"{vm}/e/x"]
    extract_files([place], tmp_path / "extracted")
    assert (tmp_path / "extracted" / "x").read_bytes() == RIGHT
    assert not leaves(stack)


def test_a_hard_link_to_a_symlink_leads_on_from_its_own_directory(tmp_path: Path) -> None:
    layer = tar(
        *map(directory, ("", "d")), to_file("l", "x"), file("x", WRONG), file("d/x", RIGHT), link("d/again", "l")
    )
    stack = Stack(tmp_path, layer)
    ways = (cat, ls, extract)
    assert ask_all(stack, "d/again", ways) == all_say(RIGHT, ways)
