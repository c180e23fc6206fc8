"""The files of a layer folder on Windows and of its parents, told apart by what NTFS says they are.

ExportLayer copies a file for each of its names, so its transport folder no longer shows hard links; the volume does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, closing

from ...host.errors import absolute
from ...union.rules import BOOT_FILES, FILES, UTILITY_VM_FILES
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ...win32.names import decode_wtf8, encode_wtf8, upcase
from ..root.root_windows import WindowsRoot

__all__ = ["FileIdentities"]

_BOOT_KEYS = {upcase(path) for path in BOOT_FILES}
_VM_FILES = UTILITY_VM_FILES.encode()
_Identity = tuple[int, int]  # of a volume, and of a file on it


class FileIdentities:
    """Which files of the layer folder `path` and of its `parents` (nearest first) are one file. Closed by close()."""

    def __init__(self, path: str | os.PathLike[str], parents: Sequence[str | os.PathLike[str]]) -> None:
        self._below: dict[_Identity, str] | None = None  # the parents' files that have several names
        self._names: dict[_Identity, str] = {}
        self._changed: set[bytes] | None = None
        with ExitStack() as places:
            self._main = places.enter_context(closing(WindowsRoot(absolute(path))))
            self._parents = [
                places.enter_context(closing(WindowsRoot(absolute(parent), descriptors=4))) for parent in parents
            ]
            self._places = places.pop_all()

    def close(self) -> None:
        self._places.close()

    # --- names of one file ----------------------------------------------------------

    def is_name_of(self, fs_path: bytes, target: str) -> bool:
        """Are `fs_path` and `target` two names of one file of the layer folder?"""
        mine = self._identity(self._main, fs_path)
        return mine is not None and mine == self._identity(self._main, encode_wtf8(target))

    def is_name_of_parents(self, fs_path: bytes, target: str) -> bool:
        """Is `fs_path` a further name of the file `target` of a parent?"""
        mine = self._identity(self._main, fs_path)
        return mine is not None and any(self._identity(parent, encode_wtf8(target)) == mine for parent in self._parents)

    def first_name(self, fs_path: bytes, path: str) -> str | None:
        """The other name of a file that was asked for before, or that is in a parent; None for none."""
        try:
            found = self._main.information(fs_path)
        except OSError:
            return None
        if found.links < 2 or found.attributes & FILE_ATTRIBUTE_DIRECTORY:
            return None
        identity = found.volume, found.file_id
        known = self._names.setdefault(identity, path)
        if known != path:
            return known
        if self._below is None:
            self._below = self._index()
        return self._below.get(identity)

    def _identity(self, root: WindowsRoot, fs_path: bytes) -> _Identity | None:
        try:
            found = root.information(fs_path)
        except OSError:
            return None
        return found.volume, found.file_id

    def _index(self) -> dict[_Identity, str]:
        """The first name, in byte order, of each file of the parents' that has several; the nearest's counts."""
        result: dict[_Identity, str] = {}
        for parent in reversed(self._parents):
            found: dict[_Identity, bytes] = {}
            stack = [FILES.encode()]
            while stack:
                directory = stack.pop()
                for name, item in parent.entries(directory):
                    path = b"%b/%b" % (directory, name)
                    if stat.S_ISDIR(item.as_stat().st_mode):
                        stack.append(path)
                    elif item.links > 1:
                        identity = item.volume, item.file_id
                        found[identity] = min(path, found.get(identity, path))
            result.update((identity, decode_wtf8(path)) for identity, path in found.items())
        return result

    # --- the clone of the nearest parent's utility VM ---------------------------------

    def is_clone(self, fs_path: bytes, path: str, *, directory: bool) -> bool:
        """Is an object of the utility VM there only because the parent's was cloned?"""
        if not self._parents:
            return False
        if directory and self._parents[0].exists(fs_path):
            if self._changed is None:
                self._changed = self._changed_directories()
            return fs_path not in self._changed
        return self._is_cloned_file(fs_path, path)

    def _is_cloned_file(self, fs_path: bytes, path: str) -> bool:
        """Is a file that of the parent, by a hard link, or, as of the boot files, by a copy?"""
        theirs = self._identity(self._parents[0], fs_path)
        return theirs is not None and (self._identity(self._main, fs_path) == theirs or upcase(path) in _BOOT_KEYS)

    def _changed_directories(self) -> set[bytes]:
        """The directories of the utility VM with something below that is not the parent's."""
        changed: set[bytes] = set()
        stack = [_VM_FILES]
        while stack:
            directory = stack.pop()
            for name, found in self._main.entries(directory):
                fs_path = b"%b/%b" % (directory, name)
                is_directory = bool(found.attributes & FILE_ATTRIBUTE_DIRECTORY) and not found.is_link
                if is_directory:
                    stack.append(fs_path)
                parents = (
                    self._parents[0].exists(fs_path)
                    if is_directory
                    else self._is_cloned_file(fs_path, decode_wtf8(fs_path))
                )
                if not parents:
                    while fs_path := fs_path.rpartition(b"/")[0]:
                        changed.add(fs_path)
        return changed
