"""Where links lead in a layer."""

from __future__ import annotations

import pytest

from wclayer.errors import LayerError
from wclayer.union.links import follow_link, link_of
from wclayer.win32.reparse import ReparseLink, build_link

SYMLINK, MOUNT_POINT = 0xA000000C, 0xA0000003


def place(target: str, path: str = "Files/a/link", *, junction: bool = False) -> str:
    link = link_of(build_link(target, junction))
    assert link is not None
    return follow_link(path, link)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("b", "Files/a/b"),
        ("..\\b\\c", "Files/b/c"),
        ("..", "Files"),
        (".\\x\\..\\y\\", "Files/a/y"),
        ("\\Windows\\x", "Files/Windows/x"),
        ("C:\\Windows", "Files/Windows"),
        ("c:\\", "Files"),
        ("C:", "Files"),
        ("\\\\?\\C:\\x", "Files/x"),
        ("Files/b", "Files/a/Files/b"),  # as Windows takes it, whatever its maker may have meant
    ],
)
def test_symlinks(target: str, expected: str) -> None:
    assert place(target) == expected


def test_the_drive_of_the_utility_vm() -> None:
    assert place("C:\\x", "UtilityVM/Files/l", junction=True) == "UtilityVM/Files/x"
    assert place("\\x", "UtilityVM/files/d/l") == "UtilityVM/Files/x"
    assert place("x", "UtilityVM/Files/d/l") == "UtilityVM/Files/d/x"


def test_junctions() -> None:
    assert place("C:\\ProgramData", junction=True) == "Files/ProgramData"
    assert follow_link("Files/j", ReparseLink(MOUNT_POINT, "\\??\\c:\\x", "")) == "Files/x"


def test_a_slash_before_a_relative_target_is_the_root_too() -> None:
    assert follow_link("Files/a/l", ReparseLink(SYMLINK, "/Windows/x", "", flags=1)) == "Files/Windows/x"


@pytest.mark.parametrize(
    ("target", "junction", "message"),
    [
        ("..\\..\\b", False, "leads above the root"),
        ("C:\\..\\b", False, "leads above the root"),
        ("D:\\x", False, "leads out of drive C:"),
        ("C:x", False, "leads out of drive C:"),
        ("\\\\server\\share", False, "leads out of drive C:"),
        ("\\\\?\\Volume{1}\\", True, "leads out of drive C:"),
        ("", False, "leads nowhere"),
        ("x\\y", True, "a junction that is not absolute"),
    ],
)
def test_targets_that_are_not_in_the_layer(target: str, junction: bool, message: str) -> None:
    with pytest.raises(LayerError, match=message) as caught:
        place(target, junction=junction)
    assert caught.value.path == "Files/a/link"
    assert target.rpartition("\\")[2] in str(caught.value.got)


@pytest.mark.parametrize("path", ["Filesystem/l", "UtilityVM/Filesystem/l", "Hives/l"])
def test_a_relative_symlink_outside_the_volumes(path: str) -> None:
    with pytest.raises(LayerError, match="is on no volume"):
        follow_link(path, ReparseLink(SYMLINK, "x", "x", flags=1))


def test_an_absolute_symlink_must_have_a_drive() -> None:
    with pytest.raises(LayerError, match="a symlink that leads out of drive C: of the layer, to the object x"):
        follow_link("Files/l", ReparseLink(SYMLINK, "x", "x", flags=0))


def test_what_is_no_link() -> None:
    assert link_of(None) is None
    assert link_of(bytes.fromhex("18000080 0000 0000")) is None
