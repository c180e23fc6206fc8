"""Making a transport folder, for Windows' ImportLayer (see `transport`).

The folder gets what it can hold. Hard links, whiteouts, the metadata of Hives, times as
they were, order and framing are only in the record beside it: ImportLayer
refuses what is not its own, and its caller makes links and whiteouts afterwards.
"""

from __future__ import annotations

import os
from contextlib import suppress

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Lower, Whiteout
from ...errors import InexpressibleError, LayerError
from ...union.rules import UTILITY_VM
from ...win32.filetime import to_unix_ns
from ...win32.names import encode_wtf8, upcase, win32_problem
from ..atomic import PartialFolder
from ..folder.maker import ObjectMaker, StreamOwner
from ..folder.names import OpenDirectory
from ..folder.sink import FolderSink
from ..folder.unfinished import StoredFile, UnfinishedLayer
from ..ntfs.backup import backup_head, backup_tail, has_data
from ..ntfs.data_stream import write_data_stream
from ..record.writer import Row
from ..root.root_windows import WindowsRoot
from .folder import ATTRIBUTES, STORE, SUFFIX, TIE, TOMBSTONES, belongs, in_hives, tie_of, tombstones_text

__all__ = ["TransportMaker", "TransportSink"]


class TransportSink(FolderSink):
    """Make a transport folder, and its record beside it (see FolderSink).

    tombstones: write the whiteouts into the folder too, as ExportLayer does; ImportLayer must not find them there.
    Raises InexpressibleError besides, for what such a folder cannot hold: a utility VM, streams and reparse points in
    Hives, names that end as those of its own files do.
    """

    store = STORE

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        parents: Lower | None = None,
        parent_diff_ids: tuple[str | None, ...] = (),
        force: bool = False,
        tombstones: bool = False,
    ) -> None:
        self._tombstones = tombstones
        super().__init__(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)

    def _new_maker(self, layer: UnfinishedLayer) -> ObjectMaker:
        return TransportMaker(layer, tombstones=self._tombstones)

    def _partial_folder(self, target: str | os.PathLike[str], *, force: bool) -> PartialFolder:
        return PartialFolder(target, force=force, belongs=belongs)

    def _record_place(self) -> bytes:
        return self._partial.record

    def add(self, entry: Entry, body: Body | None = None, /) -> None:
        for path in (entry.path, entry.target if isinstance(entry, HardLink) else ""):
            if path.partition("/")[0] == UTILITY_VM:
                raise InexpressibleError(
                    "a utility VM, which does not go through a transport folder",
                    path=entry.path,
                    hint="import it into a layer folder, or leave it out with `wclayer squash --drop-utility-vm`",
                )
        super().add(entry, body)


class TransportMaker(ObjectMaker):
    """Makes the files of a transport folder, each one object's backup stream. Raises what TransportSink does."""

    def __init__(self, layer: UnfinishedLayer, *, tombstones: bool = False) -> None:
        super().__init__(layer)
        self._tombstones = tombstones
        self._fd = -1  # of the file that streams may follow in
        self._whiteouts: list[str] = []

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    # --- names ------------------------------------------------------------------

    def host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        fs_path = encode_wtf8(name)
        full = b"%b/%b" % (parent.fs_path, fs_path) if parent.fs_path else fs_path
        path = os.fsdecode(full)
        if upcase(name).endswith(upcase(SUFFIX.decode())):
            raise InexpressibleError(
                "a name that a transport folder has for the metadata of a directory",
                path=path,
                expected=f"no name that ends in {SUFFIX.decode()}",
                hint="leave it out of the layer",
            )
        if os.name == "nt" and (problem := win32_problem(name)) is not None:
            raise InexpressibleError("a name that this host cannot hold", path=path, got=problem)
        if self._root.exists(full):
            raise InexpressibleError("to this host the name is that of another entry", path=path)
        return full, {}

    # --- one object -------------------------------------------------------------

    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        if in_hives(entry.path):
            raise InexpressibleError("a directory in Hives, which holds only files", path=entry.path)
        # One that is a reparse point too: hcsshim, which makes it when all else is there, lets nothing come into it.
        self._root.mkdir(fs_path)
        self._open(fs_path + SUFFIX, entry)
        return 0

    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        if in_hives(entry.path):
            if entry.reparse_data is not None:
                raise InexpressibleError("a reparse point in Hives, which holds only plain files", path=entry.path)
            self._fd = self._root.create(fs_path)
            return StoredFile(0, self._layer.fill(self._fd, entry.path, entry, body, extra))
        self._open(fs_path, entry)
        if not has_data(entry):
            return StoredFile()
        return StoredFile(0, write_data_stream(self._layer, self._write, entry, body, extra))

    def make_stream(
        self,
        entry: AlternateStream,
        body: Body | None,
        owner: bytes,  # noqa: ARG002
        extra: dict[str, bytes],
    ) -> StoredFile:
        if in_hives(entry.path):
            raise InexpressibleError(
                "a named stream in Hives, which holds only plain files", path=f"{entry.path}:{entry.name}"
            )
        return StoredFile(0, write_data_stream(self._layer, self._write, entry, body, extra))

    def _open(self, fs_path: bytes, entry: Directory | File) -> None:
        """Begin the file for an entry and everything that belongs to it."""
        self._fd = self._root.create(fs_path)
        self._write(ATTRIBUTES.pack(entry.file_attributes) + b"".join(backup_head(entry)))

    def _write(self, data: bytes) -> None:
        done = os.write(self._fd, data)
        while done < len(data):
            done += os.write(self._fd, data[done:])

    def finish(self, owner: StreamOwner) -> None:
        entry, fs_path = owner.entry, owner.fs_path
        if not in_hives(entry.path):
            self._write(b"".join(data for _, data in backup_tail(entry)))
        if isinstance(entry, Directory):
            fs_path += SUFFIX
        self.close()
        self._set_times(fs_path, entry.creation_time, entry.last_access_time, entry.last_write_time)
        found = self._root.lstat(fs_path)
        self._record.set_stored(owner.id, found.st_size, found.st_mtime_ns)

    def _set_times(self, fs_path: bytes, creation: int | None, access: int | None, write: int | None) -> None:
        """Give a file of the folder times, in FILETIMEs, as far as the host holds them; the record has all."""
        if isinstance(self._root, WindowsRoot):
            with suppress(OSError):
                self._root.set_times(fs_path, (creation, access, write, None))
            return
        if write is None:
            return
        with suppress(OSError, OverflowError):
            self._root.utime(fs_path, (to_unix_ns(write if access is None else access), to_unix_ns(write)))

    def finish_directory(self, fs_path: bytes, row: Row) -> None:
        """Its times are those of the file that stands for it."""

    def values(self) -> dict[str, str | int | bytes | None]:
        return {TIE: tie_of(self._layer.path)}

    # --- what only the record holds ----------------------------------------------

    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:
        """Only in the record."""

    def make_parent_link(self, entry: HardLink, file: File, parents: Lower, parent: OpenDirectory, name: str) -> None:  # noqa: ARG002
        self.host_name(parent, name)  # for its checks
        self._layer.add_parent_link(parent.id, name, entry, file, {})

    def whiteout(self, entry: Whiteout) -> None:
        if not self._tombstones:
            return
        if "\n" in entry.path or "\r" in entry.path:
            raise InexpressibleError("a whiteout of a name with a line end, which no line can hold", path=entry.path)
        self._whiteouts.append(entry.path)

    def before_it_appears(self) -> None:
        if not self._tombstones:
            return
        if self._layer.base:
            raise LayerError("tombstones of a base layer, which has nothing below it to delete from")
        fd = self._root.create(TOMBSTONES)
        with os.fdopen(fd, "wb") as file:
            file.write(tombstones_text(self._whiteouts))
