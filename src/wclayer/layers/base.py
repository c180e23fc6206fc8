"""Make any folder of files a base layer, as hcsshim's ConvertToBaseLayer does: what Windows needs is made from nothing.

A base layer must have five registry hives, valid ones since Windows Server 2025, and
with a utility VM a boot store (BCD) that loads as a hive. hcsshim overwrites hives,
and so fails where there are some; here what is there and valid is kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Final

from ..entry import Directory
from ..errors import ConfinementError, FormatError, HiveError, LayerError, NotFoundError, UsageError
from ..host.errors import host_errors
from ..native.privileges import IMPORT, privileges
from ..regf.bcd import minimal_bcd
from ..regf.check import check_hive, require_loadable
from ..regf.minimal import minimal_hive
from ..stores.folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR, new_directory, new_file
from ..stores.folders import on_windows, open_folder
from ..stores.ntfs3g.mount import files_of
from ..stores.root.open_root import open_root
from ..stores.root.root import Root
from ..stores.root.root_windows import WindowsRoot
from ..stores.windows.sink import secure
from ..union.rules import FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES
from ..win32.filetime import from_unix_ns, to_unix_ns
from ..win32.names import decode_wtf8, upcase
from .hives.config_hives import CONFIG, CONFIG_HIVES, check_size

__all__ = ["BaseLayer", "check_base_hive", "convert_to_base_layer"]

_BCD: Final = f"{UTILITY_VM_FILES}/EFI/Microsoft/Boot/BCD"
_NEW: Final = b"wclayer.new"  # in the layer folder's root, which is no part of the layer


@dataclass(slots=True)
class BaseLayer:
    """What convert_to_base_layer did: the paths of the hives made, replaced, and kept as they were."""

    made: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, list[str]]:
        """The result as JSON has it."""
        return {"made": self.made, "replaced": self.replaced, "kept": self.kept}


@dataclass(slots=True)
class _Place:
    """A hive that is to be made or kept: its path in the layer and on the host, and what is there now."""

    path: str
    fs_path: bytes
    found: os.stat_result | None
    missing: list[bytes]  # directories on the way to it, the highest first
    boot: bool


def convert_to_base_layer(
    path: str | os.PathLike[str],
    *,
    replace_invalid: bool = False,
    create_bcd: bool = False,
    source_date_epoch: int | None = None,
) -> BaseLayer:
    """Make the layer folder `path`, whose `Files` is to be drive C:, a valid base layer.

    Makes the five hives of Windows/System32/config where they are missing; with `UtilityVM/Files`, wants a boot store
    at EFI/Microsoft/Boot/BCD, and makes one if `create_bcd`. Hives that are there and valid stay; an invalid one is
    refused, or with `replace_invalid` a new one takes its place. What is made has the time `source_date_epoch` (seconds
    since 1970), or that of what was changed last in the folder before; existing directories get their times back. All
    is checked before anything is written, and a second run changes nothing.

    On Windows what is made gets its security by the backup API, which wants privileges (AccessError).

    Raises NotFoundError, UsageError for a non-base layer, HiveError, LayerError for hives that are links of one file,
    ConfinementError for a path that leads through a link, StorageError and its kin.
    """
    folder = os.path.abspath(os.fsencode(path))
    _check_kind(path)
    root = open_root(folder)
    try:
        with host_errors(os.fspath(path)):
            places = [_place(root, hive.config, boot=False) for hive in CONFIG_HIVES]
            if root.exists(UTILITY_VM_FILES.encode()):
                places.append(_place(root, _BCD, boot=True))
            result = BaseLayer()
            wanted = [p for p in places if not _valid(root, p, result, replace_invalid, create_bcd)]
            _check_links(places)
            if wanted:
                time = _newest(root) if source_date_epoch is None else from_unix_ns(source_date_epoch * 10**9)
                with privileges(IMPORT) if on_windows() else nullcontext():
                    _Maker(root, time).make(wanted)
    finally:
        root.close()
    return result


def _check_kind(path: str | os.PathLike[str]) -> None:
    with open_folder(path, non_base=False, plain=True) as layer:
        if not layer.base or any(upcase(entry.path).endswith("_DELTA") for entry in layer.children(HIVES)):
            raise UsageError(
                "a non-base layer, which needs no hives of its own",
                path=layer.path,
                hint="only the lowest layer of an image is a base layer",
            )
        if not isinstance(layer.lookup(FILES), Directory):
            raise NotFoundError(
                "no Files/ in the folder", path=layer.path, hint="put what is to be drive C: into its folder Files"
            )
        for name in (FILES, UTILITY_VM, UTILITY_VM_FILES, CONFIG, f"{UTILITY_VM_FILES}/EFI/Microsoft/Boot"):
            parts = name.split("/")
            for number in range(len(parts)):
                above = "/".join(parts[: number + 1])
                link = os.path.islink(os.path.join(layer.path, above))
                entry = None if link else layer.lookup(above)
                if link or (entry is not None and (not isinstance(entry, Directory) or entry.reparse_data is not None)):
                    raise ConfinementError(
                        "a link or a file, where Windows wants a folder",
                        path=above,
                        expected="a directory that is no reparse point",
                        hint="put the folder itself there",
                    )


def _place(root: Root, path: str, *, boot: bool) -> _Place:
    """Where the host has `path`, its names compared as NTFS does."""
    fs_path = b""
    missing: list[bytes] = []
    *above, name = path.split("/")
    for part in above:
        known = None if missing else _name(root, fs_path, part)
        fs_path = b"%b/%b" % (fs_path, known or part.encode()) if fs_path else known or part.encode()
        if known is None:
            missing.append(fs_path)
    known = None if missing else _name(root, fs_path, name)
    fs_path = b"%b/%b" % (fs_path, known or name.encode())
    return _Place(path, fs_path, None if known is None else root.lstat(fs_path), missing, boot)


def _name(root: Root, directory: bytes, name: str) -> bytes | None:
    """The host's spelling of `name` in a directory; None if it is not there."""
    found = [other for other, _ in root.list(directory) if upcase(decode_wtf8(other)) == upcase(name)]
    if len(found) > 1:
        other = b"%b/%b" % (directory, found[1])
        raise LayerError(
            "two names that are one to Windows",
            path=os.fsdecode(b"%b/%b" % (directory, found[0])),
            got=os.fsdecode(other),
            hint="rename one of them",
        )
    return found[0] if found else None


def _valid(root: Root, place: _Place, result: BaseLayer, replace_invalid: bool, create_bcd: bool) -> bool:
    """Is the hive there, and loadable? Notes in `result` what will have been done. Raises HiveError."""
    if place.found is None:
        if place.boot and not create_bcd:
            raise NotFoundError(
                "the utility VM has no boot store",
                path=place.path,
                hint="copy it from the layer that the utility VM is from; --create-bcd makes one that imports but boots"
                " nothing",
            )
        result.made.append(place.path)
        return False
    try:
        _check(root, place, place.found)
    except HiveError as error:
        if not replace_invalid or not stat.S_ISREG(place.found.st_mode):
            error.at(place.path)
            raise
        result.replaced.append(place.path)
        return False
    result.kept.append(place.path)
    return True


def _check(root: Root, place: _Place, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise HiveError("no regular file", path=place.path, expected="a registry hive")
    check_size(found.st_size, place.path)
    with os.fdopen(root.open(place.fs_path), "rb") as file:
        data = file.read(found.st_size)  # to ask for more takes that much memory on Windows
    try:
        check_base_hive(data)
    except HiveError as error:
        error.hint = "; ".join(filter(None, (error.hint, "--replace-invalid puts an empty one in its place")))
        raise


def check_base_hive(data: bytes) -> None:
    """Raise HiveError for what Windows would not take whole as a hive of a base layer."""
    require_loadable(data)
    if check_hive(data).differencing:
        raise HiveError("a differencing hive, where a base layer needs an ordinary one")


def _check_links(places: list[_Place]) -> None:
    """Hives that are names of one file are refused by CimFS."""
    seen: dict[tuple[int, int], str] = {}
    for place in places:
        if place.found is not None and place.found.st_nlink > 1:
            other = seen.setdefault((place.found.st_dev, place.found.st_ino), place.path)
            if other != place.path:
                raise LayerError(
                    "two hives that are hard links of one file",
                    path=place.path,
                    got=other,
                    hint="replace one of them by a copy",
                )


def _newest(root: Root) -> int:
    """The FILETIME of what was changed last in the layer."""
    newest = max(found.st_mtime_ns for name in (FILES, UTILITY_VM) for found in _walk(root, name.encode()))
    return from_unix_ns(newest)


def _walk(root: Root, top: bytes) -> Iterator[os.stat_result]:
    if not root.exists(top):
        return
    yield root.lstat(top)
    stack = [top]
    while stack:
        directory = stack.pop()
        for name, found in root.list(directory):
            yield found
            if stat.S_ISDIR(found.st_mode):
                stack.append(b"%b/%b" % (directory, name))


class _Maker:
    """Makes hives, and the directories they lie in; after an error, what was made is gone again."""

    def __init__(self, root: Root, time: int) -> None:
        self._root = root
        self._time = time
        self._ns = (to_unix_ns(time), to_unix_ns(time))
        self._made: list[bytes] = []  # directories
        self._touched: dict[bytes, tuple[int, int]] = {}  # directories that were there, and their times
        self._files = files_of(root)  # on NTFS

    def make(self, places: list[_Place]) -> None:
        made: list[bytes] = []
        folder = os.stat(self._root.path)  # a new hive begins there
        directories = self._made
        try:
            for place in places:
                for directory in place.missing:
                    if directory not in directories:
                        self._remember(directory)
                        self._root.mkdir(directory)
                        directories.append(directory)
                        if self._files is not None:
                            self._files.dress_new(directory, new_directory("", self._time))
                        if isinstance(self._root, WindowsRoot) and on_windows():
                            secure(self._root, directory, DIRECTORY_DESCRIPTOR)
                self._remember(place.fs_path)
                self._write(place)
                if place.found is None:
                    made.append(place.fs_path)
        except BaseException:
            with suppress(OSError, FormatError):
                for fs_path in (*made, _NEW):
                    if self._root.exists(fs_path):
                        self._root.unlink(fs_path)
                while directories:
                    self._root.rmdir(directories.pop())
            directories.clear()
            raise
        finally:
            with suppress(OSError):
                for directory in reversed(directories):
                    self._root.utime(directory, self._ns)
                for directory, times in self._touched.items():
                    self._root.utime(directory, times)
                os.utime(self._root.path, ns=(folder.st_atime_ns, folder.st_mtime_ns))

    def _remember(self, fs_path: bytes) -> None:
        """The times of the directory that `host` comes into, before it does."""
        directory = fs_path.rpartition(b"/")[0]
        if directory not in self._touched and directory not in self._made:
            found = self._root.lstat(directory)
            self._touched[directory] = (found.st_atime_ns, found.st_mtime_ns)

    def _write(self, place: _Place) -> None:
        """One whole hive, or none."""
        root = self._root
        if root.exists(_NEW):  # of a run that was killed
            root.unlink(_NEW)
        with os.fdopen(root.create(_NEW), "wb") as file:
            file.write(minimal_bcd(self._time) if place.boot else minimal_hive(self._time))
        if self._files is not None and place.found is None:
            self._files.dress_new(_NEW, new_file("", self._time, 1))
        elif self._files is not None:
            self._files.copy(place.fs_path, _NEW)
        if isinstance(root, WindowsRoot) and on_windows() and place.found is None:
            secure(root, _NEW, FILE_DESCRIPTOR)  # not what the folder above would pass on
        identity = self._files.identity(place.fs_path) if self._files is not None and place.found is not None else None
        root.utime(_NEW, self._ns)
        (root.rename if place.found is None else root.replace)(_NEW, place.fs_path)
        if self._files is not None and identity is not None:
            self._files.identify(place.fs_path, identity)
