"""The names of a layer: where they may be, in which order, what links and whiteouts lead to.

What an import would stop at is found by the very checks of the import (`stores.rules`);
here they go on. Of each entry its path and kind are kept: memory is bounded by their
number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..codes import Code
from ..entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from ..errors import FormatError, WclayerError
from ..layertar.members import Member
from ..layertar.paths import layer_path
from ..union.lookup import seen
from ..union.namespace import Namespace, NodeKind, kind_of
from ..union.rules import (
    FILES,
    UTILITY_VM,
    UTILITY_VM_FILES,
    check_entry,
    no_files_error,
)
from ..win32.names import to_utf16, upcase, win32_problem
from .notes import Notes

__all__ = ["CheckedNames", "NameCheck"]

MAX_PATH: Final = 260  # with the NUL
MAX_LINKS: Final = 1_024
_UTILITY_VM_FILES: Final = upcase(UTILITY_VM_FILES)
_OPAQUE: Final = ".wh..opq"  # what `.wh..wh..opq` deletes


class CheckedNames:
    """The names of one layer, by NTFS's case rules (see `lookup.OneLayer`), also as a NameIndex.

    A directory is known by its path in upper case.
    """

    root = ""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, NodeKind]] = {}  # by path in upper case: the path, and what is there
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
        if found[1] is NodeKind.FILE:
            return File(found[0])
        # A tag that stands for another directory, of a buffer without data.
        link = b"\x03\0\0\xa0\0\0\0\0" if found[1] is NodeKind.STAND_IN else None
        return Directory(found[0], reparse_data=link)

    def has_whiteout(self, path: str, /) -> bool:
        return upcase(path) in self.whiteouts

    def add_whiteout(self, path: str, /) -> bool:
        before = len(self.whiteouts)
        self.whiteouts.setdefault(upcase(path), path)
        return len(self.whiteouts) > before

    def find(self, directory: str, name: str, /) -> tuple[str, NodeKind] | None:
        return self.entries.get(f"{directory}{upcase(name)}")

    def kind(self, node: tuple[str, NodeKind], /) -> NodeKind:
        return node[1]

    def name(self, node: tuple[str, NodeKind], /) -> str:
        return node[0].rpartition("/")[2]

    def enter(self, directory: str, node: tuple[str, NodeKind], /) -> str:
        return self.missing(directory, self.name(node))

    def missing(self, directory: str, name: str, /) -> str:
        return f"{directory}{upcase(name)}/"

    def count_link(self, target: str, path: str | None = None) -> int:
        """How many names the file `target` has, with the one that is added now: `path`, or one in a layer above."""
        first = self._first.get(upcase(target), upcase(target))
        if path is not None:
            self._first[upcase(path)] = first
        count = self._names[first] = self._names.get(first, 1) + 1
        return count


class NameCheck:
    """The check of one layer's names. below: the layers that it lies on, nearest first; base: is it a base layer?"""

    def __init__(self, notes: Notes, below: Sequence[CheckedNames], *, base: bool) -> None:
        self.names = CheckedNames()
        self._notes = notes
        self._below = below
        self._base = base
        self._rules = Namespace(self.names, base=base, on_error=self._fault)
        self._at: tuple[str, int | None] = "", None  # the entry that is checked: its path and offset

    def see(self, entry: Entry, member: Member | None, offset: int | None) -> None:
        """The next entry; member: what it is in the tar, offset: where."""
        self._at = entry.path, offset
        try:
            check_entry(entry, base=self._base)
        except WclayerError as error:
            self._fault(error)
            if error.rule not in (Code.ATTRIBUTES_OF_OTHER_KIND, None):
                self._rules.owner(entry.path)  # its streams are not to blame
                return
        if isinstance(entry, AlternateStream):
            self._rules.stream(entry)
            return
        self._rules.owner(entry.path if isinstance(entry, Directory | File) else None)
        if isinstance(entry, Whiteout):
            self._whiteout(entry.path, offset)
            return
        key = upcase(entry.path)
        self._rules.place(entry.path)
        if key == _UTILITY_VM_FILES:
            self._utility_vm(entry.path, offset)
        if isinstance(entry, HardLink):
            self._link(entry, offset)
        elif isinstance(entry, Directory) and member is not None:
            self._slash(entry.path, member.name, offset)
        self._keep(entry.path, key, kind_of(entry))
        self._lengths(entry.path, offset)

    def refused(self, member: Member, error: WclayerError) -> None:
        """A member of the tar that is no entry. What lies in it is not to be blamed."""
        self._notes.error(error)
        try:
            path = layer_path(member.name, "an entry", member.offset)
        except FormatError:
            return
        self._rules.owner(path)
        if path and ":" not in path.rpartition("/")[2]:
            self._keep(path, upcase(path), NodeKind.DIRECTORY if member.typeflag == b"5" else NodeKind.FILE)

    def end(self) -> None:
        """After the last entry, of a layer that was read to its end."""
        if self._base and upcase(FILES) not in self.names.entries:
            self._notes.error(no_files_error())

    # --- parts --------------------------------------------------------------------

    def _fault(self, error: WclayerError) -> None:
        """A fault of the entry that is checked."""
        error.at(*self._at)
        self._notes.error(error)

    def _keep(self, path: str, key: str, kind: NodeKind) -> None:
        self.names.entries.setdefault(key, (path, kind))

    def _whiteout(self, path: str, offset: int | None) -> None:
        opaque = path.rpartition("/")[2] == _OPAQUE
        below = opaque or seen(self._below, path) is not None
        if not self._rules.whiteout(path, lambda _: below):
            return
        if opaque:
            self._notes.note(Code.WHITEOUT_OPAQUE, "an opaque whiteout, as Linux has it", path=path, offset=offset)
        elif not below and not path.startswith(f"{UTILITY_VM_FILES}/"):
            self._notes.note(
                Code.WHITEOUT_OF_NOTHING, "a whiteout of what no layer below has", path=path, offset=offset
            )

    def _link(self, entry: HardLink, offset: int | None) -> None:
        own = self._rules.link(entry)
        if own is not None:
            spelled, kind = own
            if kind is NodeKind.FILE and not self._base and spelled != entry.target and spelled.startswith(f"{FILES}/"):
                self._notes.note(
                    Code.LINK_TARGET_CASE,
                    "a hard link that spells its target in another case",
                    path=entry.path,
                    offset=offset,
                    expected=spelled,
                    got=entry.target,
                )
            self._count(entry, self.names.count_link(entry.target, entry.path), offset)
            if (target := self.names.below.get(upcase(entry.target))) is not None:
                self.names.below[upcase(entry.path)] = target
            return
        found = seen(self._below, entry.target)
        is_file = found is not None and isinstance(found[1], File)
        self._rules.check_lower(entry, found=found is not None, is_file=is_file)
        if found is not None and is_file:
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
