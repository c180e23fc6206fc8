"""A layer folder on Windows: no path leaves it (see `root`), as every object is opened relative to a handle.

The names of a path are opened one after the other, each itself and never what it
leads to; a junction or symlink on the way is refused. Paths may be of any length.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import ConfinementError, FormatError, with_context
from ...host.errors import shown
from ...native import files, handles
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_REPARSE_POINT
from ...win32.filetime import from_unix_ns
from ...win32.names import decode_wtf8, encode_wtf8
from ...win32.reparse import build_link, link_target
from .root import Root, split_path

__all__ = ["WindowsRoot"]


class WindowsRoot(Root):
    """The folder `path`, below which everything happens (see Root). `handle` gives what Windows' own functions take."""

    # --- the way there ----------------------------------------------------------

    def _open_root(self) -> int:
        return handles.open_directory(os.path.abspath(os.fsdecode(self.path)))

    def _enter(self, above: int, name: bytes) -> int:
        text = decode_wtf8(name)
        handle = handles.open_relative(above, text, handles.DIRECTORY, directory=True)
        try:
            if files.information(handle).is_link or files.is_host_link(above, text):
                raise ConfinementError("a folder on the way is a link", path=shown(name))
        except BaseException:
            handles.close(handle)
            raise
        return handle

    def _leave(self, fd: int) -> None:
        handles.close(fd)

    def open_handle(
        self,
        path: bytes,
        access: int,
        *,
        disposition: int = handles.OPEN,
        directory: bool | None = None,
        attributes: int = 0,
    ) -> int:
        """A handle of `path` itself, the caller's to close; see handles.open_relative."""
        parent, name = self.parent_of(path)
        return handles.open_relative(
            parent, name, access, disposition=disposition, directory=directory, attributes=attributes
        )

    @contextmanager
    def handle(self, path: bytes, access: int, *, directory: bool | None = None) -> Iterator[int]:
        """The same, closed at the end."""
        handle = self.open_handle(path, access, directory=directory)
        try:
            yield handle
        finally:
            handles.close(handle)

    def parent_of(self, path: bytes) -> tuple[int, str]:
        """The handle of the directory that `path` lies in, good until the next call, and its name there."""
        name, parent = self._at(path)
        return parent, decode_wtf8(name)

    def sync(self) -> None:
        """Nothing: what lies on NTFS, its journal keeps whole."""

    # --- objects ----------------------------------------------------------------

    def information(self, path: bytes) -> files.Information:
        with self.handle(path, handles.READ_ATTRIBUTES) as handle:
            return files.information(handle)

    def mkdir(self, path: bytes) -> None:
        handles.close(
            self.open_handle(
                path,
                handles.DIRECTORY,
                disposition=handles.CREATE,
                directory=True,
                attributes=FILE_ATTRIBUTE_NORMAL,
            )
        )

    def create(self, path: bytes) -> int:
        handle = self.open_handle(
            path, handles.WRITE_DATA, disposition=handles.CREATE, directory=False, attributes=FILE_ATTRIBUTE_NORMAL
        )
        return handles.descriptor_of(handle, os.O_RDWR)

    def open(self, path: bytes) -> int:
        return self._file(path, handles.READ_DATA, os.O_RDONLY)

    def rewrite(self, path: bytes) -> int:
        fd = self._file(path, handles.WRITE_DATA, os.O_RDWR)
        os.ftruncate(fd, 0)
        return fd

    def _file(self, path: bytes, access: int, flags: int) -> int:
        handle = self.open_handle(path, access, directory=False)
        try:
            found = files.information(handle)
            if found.is_link:
                raise ConfinementError("a link where a file must be", path=shown(path))
            if found.tag:
                handle = self._filtered(path, access, found, handle)
        except BaseException:
            handles.close(handle)
            raise
        return handles.descriptor_of(handle, flags)

    def _filtered(self, path: bytes, access: int, found: files.Information, handle: int) -> int:
        """The file as its filter shows it (compressed, deduplicated, in a cloud); itself, where there is no filter."""
        parent, name = self.parent_of(path)
        try:
            other = handles.open_relative(parent, name, access, directory=False, filtered=True)
        except OSError:
            return handle
        again = files.information(other)
        if (again.volume, again.file_id) != (found.volume, found.file_id):
            handles.close(other)
            raise ConfinementError("a link where a file must be", path=shown(path))
        handles.close(handle)
        return other

    def link(self, target: bytes, path: bytes) -> None:
        with self.handle(target, handles.WRITE_ATTRIBUTES) as handle:
            parent, name = self.parent_of(path)
            files.link(handle, parent, name)

    def rename(self, old: bytes, new: bytes) -> None:
        with self.handle(old, handles.REMOVE) as handle:
            parent, name = self.parent_of(new)
            files.rename(handle, parent, name)

    def replace(self, old: bytes, new: bytes) -> None:
        for path in (old, new):
            self.lstat(path)  # which refuses links on the way
        files.replace_file(self._full(new), self._full(old))

    def _full(self, path: bytes) -> str:
        """The absolute path, for calls that take no handles."""
        return os.path.abspath(os.path.join(os.fsdecode(self.path), *map(decode_wtf8, split_path(path))))

    def unlink(self, path: bytes) -> None:
        with self.handle(path, handles.REMOVE) as handle:
            found = files.information(handle)
            if files.is_host_link(*self.parent_of(path)):
                raise PermissionError(errno.EPERM, "a link of Wine's host, which Wine cannot remove")
            if found.attributes & FILE_ATTRIBUTE_DIRECTORY and not found.is_link:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            files.delete(handle)

    def rmdir(self, path: bytes) -> None:
        if (known := self._known.pop(path, None)) is not None:
            handles.close(known)
        with self.handle(path, handles.REMOVE, directory=True) as handle:
            files.delete(handle)

    def symlink(self, target: bytes, path: bytes, *, directory: bool) -> None:
        data = build_link(decode_wtf8(target).replace("/", "\\"), False)
        if directory:
            self.mkdir(path)
        else:
            os.close(self.create(path))
        try:
            with self.handle(path, handles.WRITE_DATA) as handle:
                files.set_reparse_point(handle, data)
        except OSError:
            (self.rmdir if directory else self.unlink)(path)
            raise

    def readlink(self, path: bytes) -> bytes:
        with self.handle(path, handles.READ_ATTRIBUTES) as handle:
            data = files.get_reparse_point(handle)
        with with_context(path=shown(path), only=FormatError):
            found = link_target(data)
        if found is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        target, mount_point = found
        # Of a junction the target is absolute, and so no link that a layer could keep.
        return encode_wtf8(target if mount_point else target.replace("\\", "/"))

    def lstat(self, path: bytes) -> os.stat_result:
        return self.information(path).as_stat()

    def utime(self, path: bytes, ns: tuple[int, int]) -> None:
        access, write = map(from_unix_ns, ns)
        self.set_times(path, (None, access, write, None))

    def set_times(self, path: bytes, times: tuple[int | None, ...]) -> None:
        """Set creation, last access, last write, change; those that are not None."""
        with self.handle(path, handles.WRITE_ATTRIBUTES) as handle:
            files.set_basic_info(handle, 0, times)

    # --- directories --------------------------------------------------------------

    def _names(self, path: bytes) -> list[tuple[bytes, bool]]:
        handle = self._descend(path)
        result = []
        for name, attributes in files.list_directory(handle):
            directory = bool(attributes & FILE_ATTRIBUTE_DIRECTORY)
            if directory and attributes & FILE_ATTRIBUTE_REPARSE_POINT:
                full = b"%b/%b" % (path, encode_wtf8(name)) if path else encode_wtf8(name)
                with self.handle(full, handles.READ_ATTRIBUTES) as child:
                    found = files.information(child)
                # Of a link of Wine's host only the listing says that it is a reparse point.
                directory = bool(found.attributes & FILE_ATTRIBUTE_REPARSE_POINT) and not found.is_link
            result.append((encode_wtf8(name), directory))
        return result

    def entries(self, path: bytes) -> list[tuple[bytes, files.Information]]:
        """The names in the directory `path` ("" is the root), and what each is; in no order."""
        handle = self._descend(path)
        result = []
        for name, _ in files.list_directory(handle):
            child = handles.open_relative(handle, name, handles.READ_ATTRIBUTES)
            try:
                result.append((encode_wtf8(name), files.information(child)))
            finally:
                handles.close(child)
        return result

    def list(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        return [(name, found.as_stat()) for name, found in self.entries(path)]
