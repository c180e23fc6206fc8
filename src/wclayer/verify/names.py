"""The names of a layer: where they may be, in which order, what links and whiteouts lead to.

What an import would stop at is found by the very checks of the import (`stores.rules`);
here they go on. Of each entry its path and kind are kept: memory is bounded by their
number.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from ..codes import Code
from ..entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from ..errors import FormatError, WclayerError
from ..layertar.members import Member
from ..layertar.paths import layer_path
from ..union.lookup import is_real_directory, seen
from ..union.rules import (
    FILES,
    UTILITY_VM,
    UTILITY_VM_FILES,
    behind_link_error,
    beside_whiteout_error,
    check_entry,
    in_no_directory_error,
    name_taken_error,
    no_directory_yet_error,
    no_files_error,
    no_link_target_error,
    stream_astray_error,
    stream_twice_error,
    two_whiteouts_error,
    whiteout_of_nothing_error,
)
from ..win32.names import to_utf16, upcase, win32_problem
from .notes import Notes

__all__ = ["LayerNames", "NameCheck"]

MAX_PATH: Final = 260  # with the NUL
MAX_LINKS: Final = 1_024
_UTILITY_VM_FILES: Final = upcase(UTILITY_VM_FILES)
_OPAQUE: Final = ".wh..opq"  # what `.wh..wh..opq` deletes


class _Kind(IntEnum):
    DIRECTORY = 0
    SURROGATE = 1  # a directory that stands for another one
    FILE = 2


class LayerNames:
    """The names of one layer, by NTFS's case rules (see `merged.OneLayer`)."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, _Kind]] = {}  # by path in upper case: the path, and what is there
        self.below: dict[str, str] = {}  # hard links into layers below, by path in upper case: their targets
        self.whiteouts: dict[str, str] = {}
        self._first: dict[str, str] = {}  # of hard links: the first name of the file, both in upper case
        self._names: dict[str, int] = {}  # of files that have several: how many, by the first one

    def lookup(self, path: str, /) -> Entry | None:
        """What is at the path, without metadata."""
        key = upcase(path)
        found = self.entries.get(key)
        if found is None:
            return None
        if (target := self.below.get(key)) is not None:
            return HardLink(found[0], target)
        if found[1] is _Kind.FILE:
            return File(found[0])
        # A tag that stands for another directory, of a buffer without data.
        link = b"\x03\0\0\xa0\0\0\0\0" if found[1] is _Kind.SURROGATE else None
        return Directory(found[0], reparse_data=link)

    def has_whiteout(self, path: str, /) -> bool:
        return upcase(path) in self.whiteouts

    def count_link(self, target: str, path: str | None = None) -> int:
        """How many names the file `target` has, with the one that is added now: `path`, or one in a layer above."""
        first = self._first.get(upcase(target), upcase(target))
        if path is not None:
            self._first[upcase(path)] = first
        count = self._names[first] = self._names.get(first, 1) + 1
        return count


class NameCheck:
    """The check of one layer's names. below: the layers that it lies on, nearest first; base: is it a base layer?"""

    def __init__(self, notes: Notes, below: Sequence[LayerNames], *, base: bool) -> None:
        self.names = LayerNames()
        self._notes = notes
        self._below = below
        self._base = base
        self._owner: str | None = None
        self._streams: set[str] = set()
        self._blamed: set[str] = set()  # directories that are none, in upper case: said once

    def see(self, entry: Entry, member: Member | None, offset: int | None) -> None:
        """The next entry; member: what it is in the tar, offset: where."""
        try:
            check_entry(entry, base=self._base)
        except WclayerError as error:
            self._refuse(error, entry.path, offset)
            if error.rule not in (Code.ATTRIBUTES_OF_OTHER_KIND, None):
                self._owner = entry.path
                return
        if isinstance(entry, AlternateStream):
            self._stream(entry, offset)
            return
        self._owner = entry.path if isinstance(entry, Directory | File) else None
        self._streams = set()
        if isinstance(entry, Whiteout):
            self._whiteout(entry.path, offset)
            return
        key = upcase(entry.path)
        self._place(entry.path, key, offset)
        if key == _UTILITY_VM_FILES:
            self._utility_vm(entry.path, offset)
        if isinstance(entry, HardLink):
            self._link(entry, offset)
            kind = _Kind.FILE
        elif isinstance(entry, File):
            kind = _Kind.FILE
        else:
            kind = _Kind.DIRECTORY if is_real_directory(entry) else _Kind.SURROGATE
            if member is not None:
                self._slash(entry.path, member.name, offset)
        self._keep(entry.path, key, kind)
        self._lengths(entry.path, offset)

    def refused(self, member: Member, error: WclayerError) -> None:
        """A member of the tar that is no entry. What lies in it is not to be blamed."""
        self._notes.error(error)
        try:
            path = layer_path(member.name, "an entry", member.offset)
        except FormatError:
            return
        self._owner = path
        if path and ":" not in path.rpartition("/")[2]:
            self._keep(path, upcase(path), _Kind.DIRECTORY if member.typeflag == b"5" else _Kind.FILE)

    def end(self) -> None:
        """After the last entry, of a layer that was read to its end."""
        if self._base and upcase(FILES) not in self.names.entries:
            self._notes.error(no_files_error())

    # --- parts --------------------------------------------------------------------

    def _refuse(self, error: WclayerError, path: str, offset: int | None) -> None:
        error.at(path, offset)
        self._notes.error(error)

    def _keep(self, path: str, key: str, kind: _Kind) -> None:
        self.names.entries.setdefault(key, (path, kind))

    def _place(self, path: str, key: str, offset: int | None) -> None:
        """key: the path in upper case."""
        directory, above = path.rpartition("/")[0], key.rpartition("/")[0]
        if directory and above not in self._blamed:
            found = self.names.entries.get(above)
            if found is None:
                self._refuse(no_directory_yet_error(path, directory), path, offset)
            elif found[1] is _Kind.FILE:
                self._refuse(in_no_directory_error(path, directory), path, offset)
            elif found[1] is _Kind.SURROGATE:
                self._refuse(behind_link_error(path, directory), path, offset)
            if found is None or found[1] is not _Kind.DIRECTORY:
                self._blamed.add(above)
        if (taken := self.names.entries.get(key)) is not None:
            self._refuse(name_taken_error(path, taken[0].rpartition("/")[2]), path, offset)
        elif key in self.names.whiteouts:
            self._refuse(beside_whiteout_error(path), path, offset)

    def _stream(self, entry: AlternateStream, offset: int | None) -> None:
        key = upcase(entry.name)
        if self._owner != entry.path:
            self._refuse(stream_astray_error(entry.path, entry.name), entry.path, offset)
        elif key in self._streams:
            self._refuse(stream_twice_error(entry.path, entry.name), entry.path, offset)
        self._streams.add(key)

    def _whiteout(self, path: str, offset: int | None) -> None:
        key = upcase(path)
        known = self.names.whiteouts
        if key in self.names.entries:
            self._refuse(beside_whiteout_error(path), path, offset)
        if key in known:
            self._refuse(two_whiteouts_error(path), path, offset)
        elif path.rpartition("/")[2] == _OPAQUE:
            self._notes.note(Code.WHITEOUT_OPAQUE, "an opaque whiteout, as Linux has it", path=path, offset=offset)
        elif seen(self._below, path) is None:
            if path.startswith(f"{UTILITY_VM_FILES}/"):
                self._refuse(whiteout_of_nothing_error(path), path, offset)
            else:
                self._notes.note(
                    Code.WHITEOUT_OF_NOTHING, "a whiteout of what no layer below has", path=path, offset=offset
                )
        known.setdefault(key, path)

    def _link(self, entry: HardLink, offset: int | None) -> None:
        own = self.names.entries.get(upcase(entry.target))
        if own is not None:
            if own[1] is not _Kind.FILE:
                error = no_link_target_error(entry.path, entry.target, found=True, base=self._base)
                self._refuse(error, entry.path, offset)
            elif not self._base and own[0] != entry.target and own[0].startswith(f"{FILES}/"):
                self._notes.note(
                    Code.LINK_TARGET_CASE,
                    "a hard link that spells its target in another case",
                    path=entry.path,
                    offset=offset,
                    expected=own[0],
                    got=entry.target,
                )
            self._count(entry, self.names.count_link(entry.target, entry.path), offset)
            if (target := self.names.below.get(upcase(entry.target))) is not None:
                self.names.below[upcase(entry.path)] = target
            return
        found = seen(self._below, entry.target)
        if found is None or not isinstance(found[1], File):
            error = no_link_target_error(entry.path, entry.target, found=found is not None, base=self._base)
            self._refuse(error, entry.path, offset)
        else:
            self.names.below[upcase(entry.path)] = entry.target
            self._count(entry, found[0].count_link(found[1].path), offset)

    def _count(self, entry: HardLink, count: int, offset: int | None) -> None:
        if count == MAX_LINKS + 1:
            self._notes.note(
                Code.TOO_MANY_LINKS,
                "a further name of a file that has as many as NTFS gives it",
                path=entry.path,
                offset=offset,
                expected=f"at most {MAX_LINKS:,} names of {entry.target}",
            )

    def _utility_vm(self, path: str, offset: int | None) -> None:
        """hcsshim clones that of the nearest layer, and changes it."""
        if self._below and self._below[0].lookup(path) is None:
            self._notes.note(
                Code.UTILITY_VM_WITHOUT_ONE_BELOW,
                "a utility VM, and the layer right below has none",
                path=path,
                offset=offset,
            )

    def _slash(self, path: str, name: bytes, offset: int | None) -> None:
        """With them, hcsshim does not know the roots of the utility VM."""
        if name.endswith(b"/") and path == (UTILITY_VM_FILES if self._base else UTILITY_VM):
            self._notes.note(
                Code.ROOT_SLASH,
                "a slash at the end of a root's name",
                path=path,
                offset=offset,
                expected=path,
                got=f"{path}/",
            )

    def _lengths(self, path: str, offset: int | None) -> None:
        name = path.rpartition("/")[2]
        if (problem := win32_problem(name)) is not None:
            self._notes.note(
                Code.NAME_OF_WIN32, "a name that Win32 programs cannot open", path=path, offset=offset, got=problem
            )
        root, _, rest = path.partition("/")
        if root != FILES or len(rest) < MAX_PATH // 2 - len("C:\\"):
            return
        if (units := len("C:\\") + len(to_utf16(rest)) // 2) >= MAX_PATH:
            self._notes.note(
                Code.PATH_OVER_MAX_PATH,
                "a path longer than MAX_PATH",
                path=path,
                offset=offset,
                expected=f"at most {MAX_PATH - 1} characters with C:\\",
                got=units,
            )
