"""The registry's files in a stack of layers: stored as the layers are read, hard links among them resolved.

A base layer has complete hives (`Files/Windows/System32/config/SOFTWARE`), each layer
above it the changes (`Hives/Software_Delta`); transaction logs lie beside either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Final

from ...entry import Body, Entry, File, HardLink, Source, Whiteout
from ...errors import HiveError, LayerError, StorageError
from ...host.spool import EMPTY, Spool, Spooled
from ...union.rules import HIVES
from ...union.view import UnionView, reading
from ...win32.names import upcase
from ...win32.reparse import is_name_surrogate, reparse_tag, tag_name
from .config_hives import CONFIG_HIVES, ConfigHive, check_size

__all__ = ["LOGS", "WANTED", "HiveFiles", "StoredHive"]

LOGS: Final = (".LOG1", ".LOG2")
_HIVES: Final = upcase(HIVES)


@dataclass(frozen=True, slots=True)
class StoredHive:
    """A file that was put aside: its layer, its path there, its content, and its last write time (FILETIME)."""

    layer: int
    path: str
    content: Spooled
    time: int | None


class HiveFiles:
    """The files of the five hives, in layers numbered from 0 at the base. Closed by close().

    base: is layer 0 a base layer? guess: no lower layers are known; the first entry that only a layer above a base can
    have (a whiteout, `Hives`) makes layer 0 a non-base layer. temp_dir: the folder for the contents.

    shadows: hives among the files of upper layers, which Windows does not use.
    """

    def __init__(
        self, *, base: bool = True, guess: bool = False, temp_dir: str | os.PathLike[str] | None = None
    ) -> None:
        self.base = base
        self.count = 0  # layers seen
        self.shadows: dict[ConfigHive, list[str]] = {}
        self._guess = guess and base
        self._spool = Spool(temp_dir)
        self._files: dict[tuple[int, str], StoredHive] = {}  # by layer and path in upper case
        self._links: dict[tuple[int, str], HardLink] = {}

    def close(self) -> None:
        self._spool.close()

    # --- collecting -----------------------------------------------------------------

    def see(self, layer: int, entry: Entry, body: Body | None) -> None:
        """Store a file of the registry; the body of any other entry is not read. Raises LayerError, HiveError."""
        self.count = max(self.count, layer + 1)
        if self._guess and _only_above_base(entry):
            self.base = self._guess = False
            self._files.clear()
            self._links.clear()
        if not isinstance(entry, File | HardLink):
            return
        key = upcase(entry.path)
        kind = WANTED.get(key)
        if kind is None:
            return
        hive, delta = kind
        base = self.base and layer == 0
        if delta and base:
            raise LayerError(
                "a differencing hive in a base layer, which has no layer below it",
                path=entry.path,
                expected=hive.config,
                hint="layers go from the base up",
            )
        if not delta and not base:
            if key == upcase(hive.config):
                self.shadows.setdefault(hive, []).append(f"{entry.path} in layer {layer}")
            return
        self._files.pop((layer, key), None)
        self._links.pop((layer, key), None)
        if isinstance(entry, HardLink):
            self._links[layer, key] = entry
        else:
            _check(entry, entry.path)
            self._files[layer, key] = self._put(layer, entry, body)

    def _put(self, layer: int, entry: File, body: Body | None) -> StoredHive:
        content = EMPTY if body is None else self._spool.put(body, entry.path)
        return StoredHive(layer, entry.path, content, entry.last_write_time)

    def finish(self, layers: Sequence[Source]) -> None:
        """After the last entry: find the content of hives that are hard links, as the union view resolves them.

        Only where a hive is a link, its layer and those below it are read again: once, and once more for files at the
        end of a chain of links. Raises LayerError for a link to nothing, HiveError, and what reading raises (UsageError
        for a pipe).
        """
        if not self._links:
            return
        view = UnionView(layers)
        targets = {upcase(link.target) for link in self._links.values()}
        stored: dict[tuple[int, str], StoredHive] = {}  # what the links name themselves, should it be their file
        for number in range(max(layer for layer, _ in self._links), -1, -1):
            with closing(view.read(number)) as entries:
                for seen in entries:
                    if seen.key in targets and isinstance(seen.entry, File):
                        with suppress(LayerError, HiveError):  # where it is not the links' file after all
                            _check(seen.entry, seen.path)
                            stored[number, seen.key] = self._put(number, seen.entry, seen.body)
        names: dict[tuple[int, str], list[tuple[int, str]]] = {}  # by the file that they are
        for (layer, key), link in self._links.items():
            found = view.file_of(layer, key)
            if found is None:
                raise LayerError("a hard link to nothing", path=link.path, got=link.target)
            names.setdefault(found, []).append((layer, key))
        for number in sorted({number for number, _ in names.keys() - stored.keys()}):
            with reading(layers[number]) as steps:
                for entry, body in steps:
                    file = number, upcase(entry.path)
                    if isinstance(entry, File) and file in names and file not in stored:
                        _check(entry, self._links[names[file][0]].path)
                        stored[file] = self._put(number, entry, body)
        for file, links in names.items():
            if file not in stored:
                raise StorageError("the layer has changed since it was first read", path=self._links[links[0]].path)
            for layer, key in links:
                self._files[layer, key] = replace(stored[file], layer=layer, path=self._links[layer, key].path)
        self._links.clear()

    # --- looking up -----------------------------------------------------------------

    def is_base(self, stored: StoredHive) -> bool:
        """Is it a complete hive of a base layer, not a differencing one?"""
        return self.base and stored.layer == 0

    def of(self, hive: ConfigHive, first: int = 0, end: int | None = None) -> list[StoredHive]:
        """The files of a hive in the layers from `first` to before `end`, the lowest layer's first."""
        found = []
        for layer in range(first, self.count if end is None else end):
            path = hive.config if self.base and layer == 0 else hive.delta
            stored = self._files.get((layer, upcase(path)))
            if stored is not None:
                found.append(stored)
        return found

    def logs(self, stored: StoredHive) -> Iterator[tuple[str, StoredHive | None]]:
        """The paths of a hive's transaction logs, each with its file, None where the layer has none."""
        for end in LOGS:
            yield stored.path + end, self._files.get((stored.layer, upcase(stored.path + end)))

    def content(self, stored: StoredHive) -> bytes:
        """The bytes of a file."""
        return self._spool.open(stored.content).read()


def _check(entry: File, path: str) -> None:
    """Raise LayerError for a symlink in the place of a hive, HiveError for a file that is too large to be one."""
    if entry.reparse_data is not None and is_name_surrogate(tag := reparse_tag(entry.reparse_data)):
        raise LayerError("a link, where a registry hive must be", path=path, got=tag_name(tag))
    check_size(entry.size, path)


def _only_above_base(entry: Entry) -> bool:
    return isinstance(entry, Whiteout) or upcase(entry.path.partition("/")[0]) == _HIVES


def _wanted() -> dict[str, tuple[ConfigHive, bool]]:
    result = {}
    for hive in CONFIG_HIVES:
        for path, delta in ((hive.config, False), (hive.delta, True)):
            for end in ("", *LOGS):
                result[upcase(path + end)] = hive, delta
    return result


WANTED: Final = _wanted()
"""The paths of the registry's files, in upper case: the hive, and whether it is a differencing one."""
