"""A folder or file appears complete or not at all: made under another name beside its place, renamed at the end.

The name is `NAME.partial-XXXXXXXX`. While it is being made, its maker holds a
lock on it, so that what a killed process left can be told from what another
process is at work on: the next import of NAME removes the former.

A folder that must hold nothing of ours has its record beside it, as `NAME.layer.db`.
It is made in the folder and leaves that just before the folder gets its name; and
while a folder is being replaced, its record is in it. So at each moment a record that
lies beside a folder is that folder's, but for the one between the two renames, when
there is no folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import BinaryIO, Final, Self

from ..errors import AlreadyExistsError, NotFoundError
from ..host.errors import absolute, host_errors, shown
from ..host.unfinished import begun, finished
from ..native.files import replace_file
from .root.open_root import open_root

if sys.platform != "win32":
    import fcntl

__all__ = ["BESIDE", "PartialFolder", "check_file", "folder_beside", "partial_file"]

_MARK: Final = b".partial-"
_LOCK: Final = b".lock"
_BESIDE_LOCK: Final = b".lock"  # after the name of a folder that must hold nothing of ours
_DELAYS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds
_TRIES: Final = 20
BESIDE: Final = b".layer.db"  # after the folder's name; in the folder, until it lies beside it, the whole name
_OLD: Final = b"-old"  # the folder that is being replaced, between two renames


class PartialFolder:
    """The folder that will be `target`; `path` is where it is made.

    commit() puts it in its place; leaving the context without that removes it. An existing `target` that is empty is
    replaced; any other raises AlreadyExistsError unless `force`, which replaces it once the new one is whole.

    belongs: of a folder whose record is to lie beside it: is the second path the record of the folder at the first? The
    record is made at `record`.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        force: bool = False,
        belongs: Callable[[bytes, bytes], bool] | None = None,
    ) -> None:
        self.target = absolute(target)
        self._force = force
        self._belongs = belongs
        parent, name = os.path.split(self.target)
        with host_errors(shown(self.target)):
            if not os.path.isdir(parent):
                raise NotFoundError("the folder to make it in is not there", path=shown(parent), hint="make it first")
            self._clean(parent, name)
            self._check()
            self._lock: int | None = None
            self._done = False
            self._make(parent, name)

    def _make(self, parent: bytes, name: bytes) -> None:
        """Make the folder under a name that no other process has, and lock it."""
        begun(self)
        try:
            for number in range(_TRIES):
                self.path = os.path.join(parent, name + _MARK + secrets.token_hex(4).encode())
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self.path, 0o777)
                    self._lock = _lock(self.path)
                    # Between the two, another process may have taken it for what a killed one left, and removed it. A
                    # host without locks has to do without.
                    if self._lock is not None or number == _TRIES - 1:
                        break
                    with contextlib.suppress(OSError):
                        os.rmdir(self.path)
        except Exception:
            finished(self)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    @property
    def record(self) -> bytes:
        """Where a record that will lie beside the folder is made."""
        return os.path.join(self.path, BESIDE)

    def _check(self) -> None:
        if self._belongs is not None:
            self._check_beside()
        try:
            found = os.lstat(self.target)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode) and (self._force or not os.listdir(self.target)):
            return
        kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
        raise AlreadyExistsError(
            f"there is a {kind} already",
            path=shown(self.target),
            expected="nothing, or an empty folder",
            hint="choose another place, or --force to replace it" if kind == "folder" else "choose another place",
        )

    def _check_beside(self) -> None:
        try:
            found = os.lstat(self.target + BESIDE)
        except FileNotFoundError:
            return
        if stat.S_ISREG(found.st_mode) if self._force else self._is_used():
            return  # the folder that it is of is replaced, or refused itself
        raise AlreadyExistsError(
            "there is a record beside the folder that is to be made",
            path=shown(self.target + BESIDE),
            expected="nothing",
            hint="was its folder moved? Choose another place, or --force to replace it",
        )

    def _clean(self, parent: bytes, name: bytes) -> None:
        """Remove what killed processes left of the same target; put back what one was about to replace."""
        for found in sorted(os.listdir(parent)):
            if not found.startswith(name + _MARK):
                continue
            path = os.path.join(parent, found)
            if found.endswith(_BESIDE_LOCK) or _is_held(path):
                continue
            lock = _lock(path)
            if lock is None:
                continue
            if found.endswith(_OLD) and not os.path.lexists(self.target):
                _unlock(lock)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(path, _LOCK))
                self._put_back(path)
            else:
                self._clean_beside(path)
                _remove(path, lock)

    def _clean_beside(self, path: bytes) -> None:
        """Remove the record of the folder at `path`, which was killed between the two renames."""
        beside = self.target + BESIDE
        if self._belongs is not None and not self._is_used() and self._belongs(path, beside):
            os.unlink(beside)

    def _is_used(self) -> bool:
        """Is there anything at the target but an empty folder?"""
        return os.path.lexists(self.target) and not (os.path.isdir(self.target) and not os.listdir(self.target))

    def _put_aside(self) -> bytes:
        """Give the folder that is to be replaced, and its record, another place."""
        old = self.path + _OLD
        _rename(self.target, old)
        if self._belongs is not None and os.path.lexists(self.target + BESIDE):
            try:
                os.rename(self.target + BESIDE, os.path.join(old, BESIDE))
            except OSError:
                os.rename(old, self.target)
                raise
        return old

    def _take_back(self, old: bytes | None) -> None:
        """Remove the folder that has its name already, and put back the one that it has replaced."""
        if self._belongs is not None:
            os.replace(self.target + BESIDE, os.path.join(self.target, BESIDE))
        _rename(self.target, self.path)
        if old is not None:
            self._put_back(old)
        remove_tree(self.path)

    def _put_back(self, old: bytes) -> None:
        record = os.path.join(old, BESIDE)
        if os.path.lexists(record):
            os.replace(record, self.target + BESIDE)
        os.rename(old, self.target)

    def commit(self, then: Callable[[], None] | None = None) -> None:
        """Rename the folder into its place, and do what is still to be done there; if that fails, all is as before."""
        with host_errors(shown(self.target)):
            self._check()
            old = None
            if os.path.isdir(self.target) and os.listdir(self.target):
                old = self._put_aside()
            elif os.name == "nt" and os.path.isdir(self.target):
                os.rmdir(self.target)
            _unlock(self._lock)
            self._lock = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, _LOCK))
            try:
                if self._belongs is not None:
                    os.replace(self.record, self.target + BESIDE)
                _rename(self.path, self.target)
            except OSError:
                if self._belongs is not None and not os.path.lexists(self.record):
                    os.rename(self.target + BESIDE, self.record)
                if old is not None:
                    self._put_back(old)
                raise
            self._done = True
            finished(self)
            if then is not None:
                try:
                    then()
                except BaseException:
                    self._take_back(old)
                    raise
            if old is not None:
                remove_tree(old)

    def abort(self) -> None:
        """Remove what was made; nothing, if it was put in its place."""
        if self._done:
            return
        self._done = True
        _remove(self.path, self._lock)
        self._lock = None
        finished(self)


@contextlib.contextmanager
def folder_beside(target: bytes) -> Iterator[bytes]:
    """The path of an empty folder beside `target`, with nothing of ours in it, which is gone when the block ends.

    If we are killed, the next PartialFolder of `target` removes it. Of Windows, where nobody removes an open file.
    """
    path = target + _MARK + secrets.token_hex(4).encode()
    lock = os.open(path + _BESIDE_LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.mkdir(path)
        yield path
    finally:
        remove_tree(path)
        os.close(lock)
        os.unlink(path + _BESIDE_LOCK)


def _is_held(path: bytes) -> bool:
    """Is it what another process has of folder_beside()?"""
    try:
        os.unlink(path + _BESIDE_LOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _rename(old: bytes, new: bytes) -> None:
    """os.rename. Windows refuses it while anybody has a file below open, as who looks for viruses in new ones has."""
    for delay in _DELAYS if os.name == "nt" else ():
        try:
            os.rename(old, new)
        except PermissionError:
            time.sleep(delay)
        else:
            return
    os.rename(old, new)


def check_file(path: str, *, force: bool = False) -> None:
    """Raise AlreadyExistsError for a file that is there, unless `force`, and for a folder; NotFoundError for no folder
    to write into.
    """
    if os.path.isdir(path):
        raise AlreadyExistsError("there is a folder of that name", path=path, hint="choose another name")
    if os.path.lexists(path) and not force:
        raise AlreadyExistsError("there is a file already", path=path, hint="choose another name, or --force")
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise NotFoundError("the folder to write into is not there", path=path, hint="make it first")


@contextlib.contextmanager
def partial_file(path: str, *, force: bool = False, same: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write to, which becomes `path` when the context ends without an error.

    same: on Windows, with the security, attributes, streams and identity of the file that is there. Raises as
    check_file does.
    """
    check_file(path, force=force)
    partial = f"{path}{_MARK.decode()}{secrets.token_hex(4)}"
    with host_errors(path):
        stream = open(partial, "xb")
    try:
        yield stream
        with host_errors(path):
            stream.close()
            if same and os.name == "nt":
                replace_file(os.path.abspath(path), os.path.abspath(partial))
            else:
                os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            stream.close()
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def remove_tree(path: bytes) -> None:
    """Remove a folder and all below, links not followed; what cannot be removed stays."""
    if os.path.islink(path):
        return
    with contextlib.suppress(OSError):
        root = open_root(path)  # shutil would call itself for each level, with a descriptor for each
        try:
            root.empty()
        finally:
            root.close()
        os.rmdir(path)


if sys.platform == "win32":

    def _lock(path: bytes) -> int | None:
        """A lock on the folder `path`, None if another process holds it or it is gone."""
        lock = os.path.join(path, _LOCK)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(lock)  # Windows does not delete a file that another process has open: lock enough
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except OSError:
            return None

    def _remove(path: bytes, lock: int | None) -> None:
        """Remove a folder whose lock we hold; Windows wants that closed first."""
        _unlock(lock)
        remove_tree(path)

else:

    def _lock(path: bytes) -> int | None:
        """A lock on the folder `path`, None if another process holds it or it is gone."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have removed it between open and lock.
            if os.path.samestat(os.fstat(fd), os.lstat(path)):
                return fd
        except OSError:
            pass
        os.close(fd)
        return None

    def _remove(path: bytes, lock: int | None) -> None:
        """Remove a folder whose lock we hold, to the end."""
        remove_tree(path)
        _unlock(lock)
