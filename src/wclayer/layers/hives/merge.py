"""The registry of a stack of layers: its hives read, recovered and merged.

A base layer has complete hives, each layer above it the changes to them. A hive whose
last write did not finish is recovered from its transaction logs, where the same layer
has them. One hive at a time is in memory.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Self, TypeVar

from ...entry import Body, Entry, Source
from ...errors import HiveError, UsageError, WclayerError, with_context
from ...regf.delta import MergeReport, changes_nothing, merge_delta, merge_deltas
from ...regf.layout import MINOR_XP
from ...regf.log import recover_hive
from ...regf.model import Hive, Key
from ...regf.reader import read_hive
from ...regf.writer import write_hive
from ...win32.names import upcase
from .collect import WANTED, HiveFiles, StoredHive
from .config_hives import CONFIG, CONFIG_HIVES, ConfigHive, hive_context

__all__ = ["HiveStack", "collect_hives"]

T = TypeVar("T")

_CONFIG: Final = upcase(CONFIG)
_GUIDS: Final = ((112, 128), (128, 144), (148, 164))  # RmId, LogId and TmId in a base block
# Of `reg` logs (.LOG), and of the transactions of the kernel's transaction manager (TxR), both beside the hive.
_OWN_LOG: Final = re.compile(
    r"\.LOG[12]?|\{[0-9A-F-]{36}\}\.(TM\.BLF|TMCONTAINER[0-9]+\.REGTRANS-MS|TXR\.([0-9]+\.REGTRANS-MS|BLF))", re.ASCII
)
_SHARED_LOG: Final = re.compile(r"TXR/(\{[0-9A-F-]{36}\})\.(TM|TXR)[.0-9A-Z-]*", re.ASCII)


class HiveStack:
    """The hives of layers, numbered from 0 at the base. Closed by close(), or as a context manager.

    base, guess, temp_dir: see HiveFiles. accept_dirty: read hives that were not completely written as they are, without
    their logs. within: the paths of the keys to read of a hive, by its name; of other hives all keys are read (see
    read_hive). on_fault: called with a text, once for each fault, where something cannot be read; the methods then go
    on without it (view() and own() give None). Without on_fault they raise.

    Show it every entry (`see`), then call `finish`. Raises LayerError for differencing hives in a base layer and for
    symlinks, HiveError for broken hives, with layer and path. `warnings` lists what a merge met.
    """

    def __init__(
        self,
        *,
        base: bool = True,
        guess: bool = False,
        temp_dir: str | os.PathLike[str] | None = None,
        accept_dirty: bool = False,
        within: Mapping[str, Collection[str]] | None = None,
        on_fault: Callable[[str], object] | None = None,
    ) -> None:
        self._within = within or {}
        self._accept_dirty = accept_dirty
        self._on_fault = on_fault
        self._faults: set[str] = set()
        self._files = HiveFiles(base=base, guess=guess, temp_dir=temp_dir)
        self._changing: dict[tuple[int, str], bool] = {}  # by layer and path: does a differencing hive change anything?
        self._guids: dict[str, set[str]] = {}  # of base hives that were read, by path
        self._merged: dict[str, set[str]] = {}  # hives whose bytes are new, with the GUIDs that they had
        self.readable = True  # False once nothing can be said of the registry as a whole
        self.warnings: list[str] = []

    def close(self) -> None:
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def base(self) -> bool:
        """Is layer 0 a base layer?"""
        return self._files.base

    # --- collecting ---------------------------------------------------------------

    def see(self, layer: int, entry: Entry, body: Body | None) -> None:
        """Put aside a file of the registry; the body of any other entry is not read."""
        if self.readable:
            self._tolerate(None, lambda: self._files.see(layer, entry, body))

    def finish(self, layers: Sequence[Source]) -> None:
        """After the last entry: resolve hives that are hard links (see HiveFiles.finish)."""
        if self.readable:
            self._tolerate(None, lambda: self._files.finish(layers))

    def _tolerate(self, hive: ConfigHive | None, work: Callable[[], T]) -> T | None:
        """Do the work; its error is a fault of one hive, or (None) of the whole registry, and the result None then."""
        try:
            return work()
        except WclayerError as error:
            if self._on_fault is None:
                raise
            what: object = error
            if isinstance(error, UsageError):  # the layer, read once already, is asked for its entries again
                what = "one of its hives is a hard link, and a pipe can be read only once"
            if hive is None:
                self.readable = False
            text = "the registry cannot be read" if hive is None else f"the hive {hive.name} cannot be read"
            if (text := f"{text}: {what}") not in self._faults:
                self._faults.add(text)
                self._on_fault(text)
            return None

    # --- reading ------------------------------------------------------------------

    def hives(self) -> Iterator[ConfigHive]:
        """The hives of which some layer has a file."""
        for hive in CONFIG_HIVES if self.readable else ():
            if self._files.of(hive):
                yield hive

    def _clean(self, put: StoredHive) -> bytes:
        """The bytes of a hive, recovered from its logs where its last write did not finish."""
        data = self._files.content(put)
        if self._accept_dirty:
            return data
        logs = [log for _, log in self._files.logs(put) if log is not None]
        if not logs or not (data or any(log.content.size for log in logs)):
            return data
        recovered = recover_hive(data, [self._files.content(log) for log in logs])
        if any(recovered.applied) and recovered.notes:
            notes = "; ".join(recovered.notes)
            self._warn(f"{put.path} in layer {put.layer} was completed from its logs, with doubts: {notes}")
        return recovered.data

    def _read(self, put: StoredHive) -> Hive:
        with with_context(layer=f"layer {put.layer}"), hive_context(put.path):
            data = self._clean(put)
            if self._files.is_base(put):
                self._guids[put.path] = _guids(data)
            if data:
                hive, _ = WANTED[upcase(put.path)]
                return read_hive(data, accept_dirty=self._accept_dirty, within=self._within.get(hive.name))
        self._warn(f"{put.path} in layer {put.layer} is empty, and counts as a hive with nothing in it")
        return Hive(Key("ROOT"))

    def _read_change(self, put: StoredHive) -> Hive | None:
        """A differencing hive; None for one that changes nothing."""
        if self._changing.get((put.layer, put.path), True):
            delta = self._read(put)
            self._changing[put.layer, put.path] = changing = not changes_nothing(delta)
            if changing:
                return delta
        return None

    def _changes(self, put: StoredHive) -> bool:
        known = self._changing.get((put.layer, put.path))
        return self._read_change(put) is not None if known is None else known

    def changed(self, hive: ConfigHive) -> bool:
        """Does a layer above the base change anything in it? Raises HiveError."""
        return any(self._changes(put) for put in self._files.of(hive) if not self._files.is_base(put))

    def time(self, hive: ConfigHive, first: int = 0) -> int | None:
        """The FILETIME at which the hive was last written, of the layers from `first` on; None if none says so.

        Differencing hives that change nothing do not count if there are others. Raises HiveError.
        """
        files = self._files.of(hive, first)
        counting = [put for put in files if self._files.is_base(put) or self._changes(put)] or files
        return max((put.time for put in counting if put.time is not None), default=None)

    def has(self, hive: ConfigHive, layer: int) -> bool:
        """Has this layer a file of the hive?"""
        return self.readable and bool(self._files.of(hive, layer, layer + 1))

    def own(self, hive: ConfigHive, layer: int) -> Hive | None:
        """The hive in the file of one layer, also a differencing one; None if there is none. Raises HiveError."""
        if not self.has(hive, layer):
            return None
        return self._tolerate(hive, lambda: self._read(self._files.of(hive, layer, layer + 1)[0]))

    def fingerprint(self, hive: ConfigHive) -> bytes:
        """A digest of the hive's files and their logs in all layers: equal digests mean equal hives."""
        digest = hashlib.sha256()
        for put in self._files.of(hive) if self.readable else ():
            for found in (put, *(log for _, log in self._files.logs(put))):
                content = b"" if found is None else self._files.content(found)
                digest.update(b"%d %d %d " % (self._files.is_base(put), found is not None, len(content)))
                digest.update(content)
        return digest.digest()

    def view(self, hive: ConfigHive, end: int | None = None) -> Hive | None:
        """The hive as a container on the layers before `end` sees it; None if they have none. Raises HiveError.

        Without a base layer the changes apply to an empty hive.
        """
        if not self.readable:
            return None
        self._warn_of_shadows(hive)
        files = self._files.of(hive, 0, end)
        return self._tolerate(hive, lambda: self._laid_over(files) or self._below(files[0])) if files else None

    def _warn_of_shadows(self, hive: ConfigHive) -> None:
        for file in self._files.shadows.get(hive, ()):
            self._warn(
                f"{file} is no part of the registry: Windows has there the base's hive, and the differencing hives"
            )

    def _laid_over(self, files: Sequence[StoredHive]) -> Hive | None:
        """The merge of `files`; None, without reading the base's hive, if no layer above changes it."""
        result: Hive | None = None
        for put in files:
            if self._files.is_base(put) or (delta := self._read_change(put)) is None:
                continue
            report = MergeReport()
            result = merge_delta(result or self._below(files[0]), delta, report)
            self._note(put, report)
        return result

    def _below(self, put: StoredHive) -> Hive:
        """The hive of the base layer; an empty one where the lowest file, `put`, is a differencing hive."""
        if not self._files.is_base(put):
            return Hive(Key("ROOT"))
        result = self._read(put)
        if result.differencing:
            raise HiveError("a differencing hive, where a base layer has an ordinary one", path=put.path)
        return result

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _note(self, put: StoredHive, report: MergeReport) -> None:
        if report.unbacked.count and self.base:
            self._warn(
                f"{put.path} in layer {put.layer}: {report.unbacked.count:,} keys change what no layer below has, the"
                f" first {report.unbacked.paths[0]}: it was made on another base"
            )
        if report.plain:
            self._warn(
                f"{put.path} in layer {put.layer} is an ordinary hive, and counts as one that changes all its keys"
            )

    # --- merging ------------------------------------------------------------------

    def merged(self, hive: ConfigHive) -> bytes | None:
        """The complete hive that all layers make together; None where the base's own file is that already."""
        self._warn_of_shadows(hive)
        files = self._files.of(hive)
        view = self._laid_over(files)
        if view is None:
            if not files or not self._files.is_base(files[0]) or files[0].content.size:
                return None
            view = self._below(files[0])
        self._merged[hive.name] = self._guids.get(files[0].path, set())
        with hive_context(hive.config):
            return write_hive(replace(view, minor=MINOR_XP))

    def combined(self, hive: ConfigHive, first: int) -> bytes | None:
        """The differencing hive that the layers from `first` on make together; None if they have none."""
        files = self._files.of(hive, first)
        if not files:
            return None
        only = files[-1]  # its bytes are the result, if there is nothing to merge
        result: Hive | None = None
        merged: Hive | None = None
        for put in files:
            delta = self._read_change(put)
            if delta is None:
                continue
            report = MergeReport()
            if result is None:
                result, only = delta, put
                report.plain = int(not delta.differencing)
            else:
                result = merged = merge_deltas(result, delta, report)
            self._note(put, report)
        with hive_context(hive.delta):
            return self._clean(only) if merged is None else write_hive(merged)

    def stale(self, path: str) -> bool:
        """Is `path` a log of a hive that `merged` has written anew? Such a log belongs to the old bytes."""
        key = upcase(path)
        if not key.startswith(_CONFIG + "/"):
            return False
        name = key[len(_CONFIG) + 1 :]
        shared = _SHARED_LOG.fullmatch(name)
        for hive, guids in self._merged.items():
            if name.startswith(hive) and _OWN_LOG.fullmatch(name[len(hive) :]):
                return True
            if shared is not None and shared[1] in guids:
                return True
        return False


def _guids(data: bytes) -> set[str]:
    """The GUIDs in a base block, in the form that file names use."""
    return {f"{{{uuid.UUID(bytes_le=data[a:b])}}}".upper() for a, b in _GUIDS if len(data) >= b}


def collect_hives(
    layers: Sequence[Source],
    *,
    base: bool = True,
    temp_dir: str | os.PathLike[str] | None = None,
    accept_dirty: bool = False,
) -> HiveStack:
    """The hives of `layers`, base first, from one pass over each. Raises what reading them raises."""
    files = HiveStack(base=base, temp_dir=temp_dir, accept_dirty=accept_dirty)
    try:
        for number, layer in enumerate(layers):
            for entry, body in layer.entries():
                files.see(number, entry, body)
        files.finish(layers)
    except BaseException:
        files.close()
        raise
    return files
