"""A folder of the host as a source of files, without the files that are left out.

Left out are what .wclayerignore names (gitignore's syntax, in the root of the
folder), and what macOS strews about (.DS_Store, ._NAME), the latter with a count.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from ..body import CHUNK
from ..entry import AlternateStream, Body
from ..errors import ConfinementError, NotFoundError, StorageError, UsageError
from ..host.errors import host_errors, shown
from ..stores.root.open_root import open_root
from ..stores.root.root import Root
from .ignore import Ignore, check_text
from .recipe import Ignoring

__all__ = ["IGNORE_FILE", "SourceBody", "SourceFolder", "changed", "find_source", "read_ignore"]

IGNORE_FILE: Final = b".wclayerignore"
_MAX_IGNORE: Final = 1 << 20  # bytes
_MACOS: Final = b".DS_Store"
_MACOS_PREFIX: Final = b"._"


def changed(path: str, got: str) -> StorageError:
    """The error for a source, at the host's `path`, that changes while it is read."""
    return StorageError(
        "the context changed while it was read", path=path, got=got, hint="build again once nothing writes to it"
    )


def read_ignore(folder: bytes) -> Ignore | None:
    """The patterns of the folder's .wclayerignore; None if it has none. Raises SpecError and UsageError."""
    path = os.path.join(folder, IGNORE_FILE)
    with host_errors(shown(path)):
        try:
            with open(path, "rb") as file:
                data = file.read(_MAX_IGNORE + 1)
        except FileNotFoundError:
            return None
    if len(data) > _MAX_IGNORE:
        raise UsageError("a list of patterns this long", path=shown(path), expected=f"at most {_MAX_IGNORE:,} bytes")
    check_text(data, shown(path))
    return Ignore(data.split(b"\n"), source=shown(path))


class SourceFolder:
    """The folder `path` (absolute, no symlink). Closed by close().

    exclude: patterns beside its own .wclayerignore. outer: those of a folder above it, and where it lies in that.
    ignore: what to leave out in place of both; then .wclayerignore is a file as any. single: a single file of it is
    wanted, whatever the patterns say.
    """

    def __init__(
        self,
        path: bytes,
        exclude: Sequence[str] = (),
        outer: tuple[Ignoring, bytes] | None = None,
        *,
        ignore: Sequence[Ignoring] | None = None,
        single: bool = False,
    ) -> None:
        self.path = path
        self._single = single
        self.left_out = 0  # files of macOS's own
        self._hidden: tuple[bytes, ...] = ()
        with host_errors(shown(path)):
            self._root = open_root(path)
        self._bringing: dict[bytes, bool] = {}
        self._own = ignore is None  # has .wclayerignore a meaning?
        self._ignores: list[tuple[Ignoring, bytes]] = [(one, b"") for one in ignore or ()]
        try:
            if self._own and outer is not None:
                self._ignores.append(outer)
            if self._own and not single and (own := read_ignore(path)) is not None:
                self._ignores.append((own, b""))
            if exclude:
                self._ignores.append((Ignore(exclude, source="exclude"), b""))
        except BaseException:
            self._root.close()
            raise

    def close(self) -> None:
        self._root.close()

    def hide(self, path: bytes) -> None:
        """Leave out the temporary files of an output at `path`, which may be in this folder."""
        path = path.replace(os.fsencode(os.sep), b"/")
        self._hidden = (path + b".partial-", path + b".blobs.partial-")

    def shown(self, host: bytes) -> str:
        """The host's path of `host`, for messages."""
        return shown(os.path.join(self.path, host) if host else self.path)

    def stat(self) -> os.stat_result:
        """The folder itself."""
        with host_errors(shown(self.path)):
            return os.stat(self.path)

    def list(self, directory: bytes) -> list[tuple[bytes, os.stat_result]]:
        """What the directory ("" is the folder itself) brings: host paths relative to the folder, in byte order."""
        with host_errors(self.shown(directory)):
            try:
                found = self._root.list(directory)
            except (FileNotFoundError, NotADirectoryError):
                raise changed(self.shown(directory), "a folder that is gone") from None
        prefix = directory + b"/" if directory else b""
        return sorted(
            (prefix + name, info) for name, info in found if not self._is_left_out(prefix, name, info.st_mode)
        )

    def brings(self, path: bytes) -> bool:
        """Would a file at `path` be included? It need not exist; never true if a single file is wanted."""
        parts = path.split(os.fsencode(os.sep))
        return not self._single and not any(
            self._is_ignored(b"/".join(parts[:number]), number < len(parts)) for number in range(1, len(parts) + 1)
        )

    def _is_ignored(self, path: bytes, directory: bool) -> bool:
        return any(ignore.match(above + path, directory) for ignore, above in self._ignores)

    def _is_left_out(self, prefix: bytes, name: bytes, mode: int) -> bool:
        path, directory = prefix + name, stat.S_ISDIR(mode)
        if path == IGNORE_FILE and self._own:
            return True
        if path.startswith(self._hidden):
            return True
        if self._is_ignored(path, directory):
            reopened = directory and any(ignore.may_reopen(above + path) for ignore, above in self._ignores)
            return not (reopened and self._brings_any(path))
        if stat.S_ISREG(mode) and (name == _MACOS or name.startswith(_MACOS_PREFIX)):
            self.left_out += 1
            return True
        return False

    def _brings_any(self, directory: bytes) -> bool:
        """Does a later pattern include anything in a directory that is left out?"""
        found = self._bringing.get(directory)
        if found is None:
            count = self.left_out  # which will be counted when it is finally listed
            found = self._bringing[directory] = bool(self.list(directory))
            self.left_out = count
        return found

    def entry(self, _host: bytes) -> None:
        """None: a file of the host has no Windows metadata."""

    def streams(self, _host: bytes) -> Iterator[tuple[AlternateStream, Body]]:
        """None."""
        return iter(())

    def readlink(self, host: bytes) -> bytes:
        """The target of a symlink, its separators as POSIX has them."""
        with host_errors(self.shown(host)):
            target = self._root.readlink(host)
        return target.replace(b"\\", b"/") if os.sep == "\\" else target

    def open(self, host: bytes, found: os.stat_result) -> SourceBody:
        """The content of the file, which must be the one that `found` saw."""
        return SourceBody(self._root, host, found, self.shown(host))

    def read(self, host: bytes, found: os.stat_result) -> bytes:
        """The complete content of a small file."""
        body = self.open(host, found)
        try:
            return body.read()
        finally:
            body.close()


class SourceBody:
    """The content of a file of the host (see `entry.Body`); opened when it is first read, and closed at its end.

    Raises StorageError if the file is not, or no longer, the one that was listed.
    """

    __slots__ = ("_descriptor", "_found", "_host", "_left", "_root", "_shown", "size")

    def __init__(self, root: Root, host: bytes, found: os.stat_result, shown_path: str) -> None:
        self.size = found.st_size
        self._root = root
        self._host = host
        self._found = found
        self._shown = shown_path
        self._left = found.st_size
        self._descriptor = -1

    def extents(self) -> tuple[tuple[int, int], ...]:
        return ((0, self.size),) if self.size else ()

    def read(self, n: int = -1, /) -> bytes:
        with host_errors(self._shown):
            if n < 0:
                return b"".join(iter(lambda: self.read(CHUNK), b""))
            if self._descriptor < 0:
                if not self._left:
                    return b""
                self._open()
            data = os.read(self._descriptor, min(n, self._left, CHUNK))
            self._left -= len(data)
            if not data or not self._left:
                self._check()
                if not data:
                    raise self._changed("a shorter file")
                self.close()
            return data

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        position = 0
        while data := self.read(CHUNK):
            yield position, data
            position += len(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        try:
            self._descriptor = self._root.open(self._host)
        except FileNotFoundError:
            raise self._changed("a file that is gone") from None
        except ConfinementError:
            raise self._changed("something that is no file") from None
        self._check()

    def _check(self) -> None:
        now, then = os.fstat(self._descriptor), self._found
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns) or (
            then.st_ino and (now.st_dev, now.st_ino) != (then.st_dev, then.st_ino)
        ):
            raise self._changed("another size, time or file")

    def _changed(self, got: str) -> StorageError:
        self.close()
        return changed(self._shown, got)


def find_source(path: str) -> tuple[bytes, os.stat_result]:
    """The absolute path of a source, symlinks of its own followed, and what is there. Raises NotFoundError."""
    real = os.path.realpath(os.fsencode(path))
    with host_errors(path):
        try:
            return real, os.stat(real)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError("no such file or folder to build from", path=path) from None
