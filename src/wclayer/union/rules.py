"""Which entries may be in a layer, by path and kind only (hcsshim's importers, layer tar shape).

A base layer is `Files` and optionally `UtilityVM`, `UtilityVM/Files`; any other
has `Hives` and whiteouts too. The root's other names are Windows' and ours. What
the entries of one layer must be to each other is said here too: each who takes them
finds it out in his own way.
"""

from __future__ import annotations

from typing import Final

from ..codes import Code
from ..entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from ..errors import ConfinementError, LayerError
from ..win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ..win32.names import check_length, upcase

__all__ = [
    "BOOT_FILES",
    "FILES",
    "HIVES",
    "UTILITY_VM",
    "UTILITY_VM_FILES",
    "behind_link_error",
    "beside_whiteout_error",
    "check_entry",
    "check_utility_vm",
    "in_no_directory_error",
    "name_taken_error",
    "no_directory_yet_error",
    "no_files_error",
    "no_link_target_error",
    "stream_astray_error",
    "stream_twice_error",
    "top_level_directories",
    "two_whiteouts_error",
    "whiteout_of_nothing_error",
]

FILES: Final = "Files"
HIVES: Final = "Hives"
UTILITY_VM: Final = "UtilityVM"
UTILITY_VM_FILES: Final = "UtilityVM/Files"

_BOOT = "UtilityVM/Files/EFI/Microsoft/Boot/"
# The files of the utility VM's boot store that ProcessUtilityImage rewrites, and where hcsshim saves the originals.
BOOT_FILES: Final = {
    _BOOT + "BCD": b"bcd.bak",
    _BOOT + "BCD.LOG": b"bcd.log.bak",
    _BOOT + "BCD.LOG1": b"bcd.log1.bak",
    _BOOT + "BCD.LOG2": b"bcd.log2.bak",
}


def top_level_directories(*, base: bool) -> tuple[str, ...]:
    """What may lie in the root of a layer, in hcsshim's order."""
    return (FILES, UTILITY_VM) if base else (FILES, HIVES, UTILITY_VM)


def _within(path: str) -> bool:
    """Is `path` below one of the two roots in which files, links and whiteouts live?"""
    return path.startswith(("Files/", "UtilityVM/Files/"))


def check_entry(entry: Entry, *, base: bool) -> None:
    """Raise LayerError or ConfinementError where `entry` has no place in a layer."""
    path = entry.path
    root, _, rest = path.partition("/")
    if root not in top_level_directories(base=base):
        raise _outside(path, root, base)
    check_length(entry.name if isinstance(entry, AlternateStream) else path.rpartition("/")[2])
    if isinstance(entry, Whiteout):
        if base:
            raise LayerError(
                "a whiteout in a base layer, which has nothing below it to delete from",
                path=path,
                hint="this is a non-base layer: give its parents with -l, nearest first",
                rule=Code.WHITEOUT_IN_BASE,
            )
        if not _within(path):
            raise LayerError("a whiteout outside Files/ and UtilityVM/Files/", path=path, rule=Code.WHITEOUT_OUTSIDE)
        return
    if isinstance(entry, HardLink):
        for end in (path, entry.target):
            if not _within(end):
                raise ConfinementError(
                    "a hard link with an end outside Files/ and UtilityVM/Files/",
                    path=path,
                    got=repr(entry.target),
                    rule=Code.LINK_OUTSIDE,
                )
        return
    if not isinstance(entry, Directory):
        if not rest and not isinstance(entry, AlternateStream):
            raise LayerError("the root of a volume must be a directory", path=path, rule=Code.ROOT_NO_DIRECTORY)
    elif not rest and entry.reparse_data is not None:
        raise LayerError("the root of a volume must be no reparse point", path=path, rule=Code.ROOT_NO_DIRECTORY)
    check_utility_vm(path)
    if isinstance(entry, Directory | File):
        directory = bool(entry.file_attributes & FILE_ATTRIBUTE_DIRECTORY)
        if directory != isinstance(entry, Directory):
            raise LayerError(
                "the attributes do not fit the kind of entry",
                path=path,
                expected="0x10 (directory) " + ("set" if isinstance(entry, Directory) else "not set"),
                got=f"{entry.file_attributes:#x}",
                rule=Code.ATTRIBUTES_OF_OTHER_KIND,
            )


def check_utility_vm(path: str) -> None:
    """Raise LayerError for what no layer can have beside its utility VM's files."""
    if path.startswith(f"{UTILITY_VM}/") and not f"{path}/".startswith(f"{UTILITY_VM_FILES}/"):
        raise LayerError(
            "an entry beside UtilityVM/Files",
            path=path,
            expected="UtilityVM/Files/...",
            rule=Code.BESIDE_UTILITY_VM,
        )


def _outside(path: str, root: str, base: bool) -> LayerError:
    expected = "Files/ and UtilityVM/" if base else "Files/, Hives/ and UtilityVM/"
    if base and root == HIVES:
        return LayerError(
            "Hives/ in a base layer",
            path=path,
            expected=expected,
            hint="a non-base layer? give its parents with -l",
            rule=Code.HIVES_IN_BASE,
        )
    if upcase(root) in ("FILES", "HIVES", "UTILITYVM"):
        return LayerError("wrong case of a root folder", path=path, expected=expected, got=root, rule=Code.ROOT_CASE)
    return ConfinementError(
        "an entry outside the layer's roots",
        path=path,
        expected=expected,
        hint="the tar was not made for Windows layers" if "/" not in path else None,
        rule=Code.OUTSIDE_ROOTS,
    )


def name_taken_error(path: str, other: str) -> LayerError:
    """`path` comes, and the same directory has `other` already, which is the same name to NTFS."""
    directory, _, _ = path.rpartition("/")
    return LayerError(
        "the name is taken, as Windows compares names",
        path=path,
        got=f"{directory}/{other} before" if directory else f"{other} before",
        hint="leave one of the two out of the tar",
        rule=Code.NAME_TAKEN,
    )


def beside_whiteout_error(path: str) -> LayerError:
    """`path` has an entry and a whiteout."""
    return LayerError(
        "an entry and a whiteout of the same name in one layer: Windows would remove both",
        path=path,
        hint="leave the whiteout out: an entry replaces what is below it",
        rule=Code.WHITEOUT_BESIDE_ENTRY,
    )


def no_directory_yet_error(path: str, directory: str) -> LayerError:
    """`path` comes, and `directory`, which it lies in, has not."""
    return LayerError(
        "its directory has not come before it",
        path=path,
        expected=f"an entry {directory!r} first",
        hint="order the tar so that directories come before what is in them",
        rule=Code.NO_DIRECTORY_YET,
    )


def in_no_directory_error(path: str, directory: str) -> LayerError:
    """`path` comes, and `directory`, which it lies in, is something else."""
    return LayerError("it lies in something that is no directory", path=path, got=directory, rule=Code.IN_NO_DIRECTORY)


def behind_link_error(path: str, directory: str) -> ConfinementError:
    """`path` comes, and `directory`, which it lies in, is a name surrogate."""
    return ConfinementError(
        "it lies behind a symlink or junction",
        path=path,
        got=directory,
        hint="Windows' importer refuses that too: give the path without the link",
        rule=Code.BEHIND_LINK,
    )


def no_files_error() -> LayerError:
    """A base layer has ended, and there was no `Files` in it."""
    return LayerError(
        "no Files/ in a base layer", expected="the directory Files", got="no such entry", rule=Code.NO_FILES
    )


def stream_astray_error(path: str, name: str) -> LayerError:
    """A stream of `path` comes, and the entry before it was another one."""
    return LayerError("stream that does not follow its owner", path=f"{path}:{name}", rule=Code.STREAM_ASTRAY)


def stream_twice_error(path: str, name: str) -> LayerError:
    """A second stream of that name comes."""
    return LayerError("two streams of one name", path=f"{path}:{name}", rule=Code.STREAM_TWICE)


def no_link_target_error(path: str, target: str, *, found: bool, base: bool) -> LayerError:
    """The hard link `path` comes, and its target has not, or (`found`) is no file. base: in a base layer."""
    return LayerError(
        "hard link to something that is no file" if found else "hard link to nothing",
        path=path,
        expected=f"a file {target!r} before it" + ("" if base else ", or in a layer below"),
        got=target if found else None,
        hint="let the file come before its links; if the layer belongs on others, give them with -l"
        if base
        else "are these the layers below it?",
        rule=Code.LINK_TO_NO_FILE if found else Code.LINK_TO_NOTHING,
    )


def two_whiteouts_error(path: str) -> LayerError:
    """A second whiteout of `path` comes."""
    return LayerError("two whiteouts of one name", path=path, rule=Code.WHITEOUT_TWICE)


def whiteout_of_nothing_error(path: str) -> LayerError:
    """A whiteout comes, in the utility VM, where hcsshim deletes at once, of what no layer below has."""
    return LayerError(
        "a whiteout in the utility VM of a path that no layer below has",
        path=path,
        hint="leave it out, or put what it deletes into a layer below",
        rule=Code.WHITEOUT_OF_NOTHING_IN_UTILITY_VM,
    )
