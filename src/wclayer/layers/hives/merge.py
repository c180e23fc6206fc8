"""The hives of layers that lie upon each other: put aside as their entries go by, and merged.

A base layer has whole hives, each layer above what it changes in them (`hives`). A hive
that was not wholly written is made whole with its transaction logs, where the same
layer has them. One hive at a time is in memory.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Self

from ...entry import Body, Entry, File, HardLink, Source
from ...errors import HiveError, LayerError, WclayerError, printable
from ...host.spool import EMPTY, Spool, Spooled
from ...regf.delta import MergeReport, changes_nothing, merge_delta, merge_deltas
from ...regf.layout import MINOR_XP
from ...regf.log import recover_hive
from ...regf.model import Hive, Key
from ...regf.reader import read_hive
from ...regf.writer import write_hive
from ...win32.names import upcase
from ...win32.reparse import is_name_surrogate, reparse_tag, tag_name
from .config_hives import CONFIG, CONFIG_HIVES, ConfigHive, check_size

__all__ = ["HiveStack", "collect_hives"]

_LOGS: Final = (".LOG1", ".LOG2")
_CONFIG: Final = upcase(CONFIG)
_GUIDS: Final = ((112, 128), (128, 144), (148, 164))  # RmId, LogId and TmId in a base block
# Of `reg` logs (.LOG), and of the transactions of the kernel's transaction manager (TxR), both beside the hive.
_OWN_LOG: Final = re.compile(
    r"\.LOG[12]?|\{[0-9A-F-]{36}\}\.(TM\.BLF|TMCONTAINER[0-9]+\.REGTRANS-MS|TXR\.([0-9]+\.REGTRANS-MS|BLF))", re.ASCII
)
_SHARED_LOG: Final = re.compile(r"TXR/(\{[0-9A-F-]{36}\})\.(TM|TXR)[.0-9A-Z-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Put:
    """A file that was put aside: in which layer, under which path, when it was written."""

    layer: int
    path: str
    content: Spooled
    time: int | None


class HiveStack:
    """The hives of layers, numbered from 0 at the base. Closed by close(), or as a context manager.

    base: is layer 0 a base layer? temporary: the folder for what is put aside. accept_dirty: read hives that were not
    wholly written as they are, without their logs. within: the paths of the keys that are read of a hive, by its name;
    of others all are (see read_hive). `warnings` says what a merge met that people may want to know.

    Show it every entry (`see`), base first, then call `finish`. Raises LayerError for differencing hives in a base
    layer and for symlinks, HiveError for broken hives, with layer and path.
    """

    def __init__(
        self,
        *,
        base: bool = True,
        temp_dir: str | os.PathLike[str] | None = None,
        accept_dirty: bool = False,
        within: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._base = base
        self._within = within or {}
        self._accept_dirty = accept_dirty
        self._spool = Spool(temp_dir)
        self._files: dict[tuple[int, str], _Put] = {}  # by layer and path in upper case
        self._links: dict[tuple[int, str], HardLink] = {}
        self._shadows: dict[ConfigHive, list[str]] = {}  # files of upper layers where the base has a hive
        self._count = 0  # layers seen
        self._changing: dict[tuple[int, str], bool] = {}  # by layer and path: does a differencing hive change anything?
        self._guids: dict[str, set[str]] = {}  # of base hives that were read, by path
        self._merged: dict[str, set[str]] = {}  # hives whose bytes are new, with the GUIDs that they had
        self.warnings: list[str] = []

    def close(self) -> None:
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- putting aside ------------------------------------------------------------

    def see(self, layer: int, entry: Entry, body: Body | None) -> None:
        """Put aside what is of the registry; the body of anything else is not read."""
        self._count = max(self._count, layer + 1)
        if not isinstance(entry, File | HardLink):
            return
        key = upcase(entry.path)
        kind = _WANTED.get(key)
        if kind is None:
            return
        hive, delta = kind
        base = self._base and layer == 0
        if delta and base:
            raise LayerError(
                "a differencing hive in a base layer, which has nothing below it",
                path=entry.path,
                expected=hive.config,
                hint="layers go from the base up",
            )
        if not delta and not base:
            if key == upcase(hive.config):
                self._shadows.setdefault(hive, []).append(f"{entry.path} in layer {layer}")
            return
        self._files.pop((layer, key), None)
        self._links.pop((layer, key), None)
        if isinstance(entry, HardLink):
            self._links[layer, key] = entry
        else:
            self._put(layer, key, entry, body)

    def _put(self, layer: int, key: str, entry: File, body: Body | None, path: str | None = None) -> None:
        path = path or entry.path
        if entry.reparse_data is not None and is_name_surrogate(tag := reparse_tag(entry.reparse_data)):
            raise LayerError("a link, where a registry hive is to be", path=path, got=tag_name(tag))
        check_size(entry.size, path)
        content = EMPTY if body is None else self._spool.put(body, entry.path)
        self._files[layer, key] = _Put(layer, path, content, entry.last_write_time)

    def finish(self, layers: Sequence[Source]) -> None:
        """After the last entry: look again through the layers for hives that are hard links of other files.

        From the top layer that has one down, each is read once, or twice where links lead to links.
        """
        waiting: dict[str, list[tuple[int, str]]] = {}  # the links, by what they lead to
        for number in reversed(range(self._count)):
            for layer, key in self._links:
                if layer == number:
                    waiting.setdefault(upcase(self._links[layer, key].target), []).append((layer, key))
            for _ in range(2):
                before = waiting
                if waiting:
                    waiting = self._follow(layers[number], before)
                if not waiting.keys() - before.keys():
                    break
        for layer, key in (one for links in waiting.values() for one in links):
            link = self._links[layer, key]
            raise LayerError("a hard link to nothing", path=link.path, got=link.target)
        self._links.clear()

    def _follow(self, layer: Source, waiting: dict[str, list[tuple[int, str]]]) -> dict[str, list[tuple[int, str]]]:
        """Put aside the files of a layer that links lead to; those left, by where they lead past its own hard links."""
        left = dict(waiting)
        hops: dict[str, str] = {}
        for entry, body in layer.entries():
            if isinstance(entry, HardLink):
                hops[upcase(entry.path)] = upcase(entry.target)
            elif isinstance(entry, File) and (found := left.pop(upcase(entry.path), None)) is not None:
                self._put(*found[0], entry, body, self._links[found[0]].path)
                self._same(found[0], found[1:])
                if not left:
                    break
        result: dict[str, list[tuple[int, str]]] = {}
        for target, links in left.items():
            end, passed = target, {target}  # passed: against links in a ring
            while (following := hops.get(end)) is not None and following not in passed:
                passed.add(following)
                end = following
            if end in left or end not in waiting:
                result.setdefault(end, []).extend(links)
            else:
                self._same(waiting[end][0], links)
        return result

    def _same(self, found: tuple[int, str], links: Sequence[tuple[int, str]]) -> None:
        """Links to what one that was found is."""
        for layer, key in links:
            self._files[layer, key] = replace(self._files[found], layer=layer, path=self._links[layer, key].path)

    # --- reading ------------------------------------------------------------------

    def hives(self) -> Iterator[ConfigHive]:
        """Those of which some layer has something."""
        for hive in CONFIG_HIVES:
            if self._of(hive):
                yield hive

    def _of(self, hive: ConfigHive, first: int = 0, end: int | None = None) -> list[_Put]:
        """The files of a hive, the base's first; of the layers from `first` to before `end`."""
        found = []
        for layer in range(first, self._count if end is None else end):
            path = hive.config if self._base and layer == 0 else hive.delta
            put = self._files.get((layer, upcase(path)))
            if put is not None:
                found.append(put)
        return found

    def _bytes(self, put: _Put) -> bytes:
        return self._spool.open(put.content).read()

    def _clean(self, put: _Put) -> bytes:
        """The bytes of a hive, made whole with its logs where it was not wholly written."""
        data = self._bytes(put)
        if self._accept_dirty:
            return data
        logs = [log for end in _LOGS if (log := self._files.get((put.layer, upcase(put.path) + end))) is not None]
        if not logs or not (data or any(log.content.size for log in logs)):
            return data
        recovered = recover_hive(data, [self._bytes(log) for log in logs])
        if any(recovered.applied) and recovered.notes:
            notes = "; ".join(recovered.notes)
            self._warn(f"{put.path} in layer {put.layer} was made whole with its logs, but not without doubt: {notes}")
        return recovered.data

    def _read(self, put: _Put) -> Hive:
        with _named(put.path, f" (layer {put.layer})"):
            data = self._clean(put)
            if self._is_base(put):
                self._guids[put.path] = _guids(data)
            if data:
                hive, _ = _WANTED[upcase(put.path)]
                return read_hive(data, accept_dirty=self._accept_dirty, within=self._within.get(hive.name))
        self._warn(f"{put.path} in layer {put.layer} is empty, and counts as a hive with nothing in it")
        return Hive(Key("ROOT"))

    def _read_change(self, put: _Put) -> Hive | None:
        """A differencing hive; None for one that changes nothing."""
        if self._changing.get((put.layer, put.path), True):
            delta = self._read(put)
            self._changing[put.layer, put.path] = changing = not changes_nothing(delta)
            if changing:
                return delta
        return None

    def _changes(self, put: _Put) -> bool:
        known = self._changing.get((put.layer, put.path))
        return self._read_change(put) is not None if known is None else known

    def changed(self, hive: ConfigHive) -> bool:
        """Does a layer above the base change anything in it? Raises HiveError."""
        return any(self._changes(put) for put in self._of(hive) if not self._is_base(put))

    def time(self, hive: ConfigHive, first: int = 0) -> int | None:
        """The FILETIME at which the hive was last written, of the layers from `first` on; None if none says so.

        Differencing hives that change nothing do not count if there are others. Raises HiveError.
        """
        files = self._of(hive, first)
        counting = [put for put in files if self._is_base(put) or self._changes(put)] or files
        return max((put.time for put in counting if put.time is not None), default=None)

    def has(self, hive: ConfigHive, layer: int) -> bool:
        """Has this layer anything of the hive?"""
        return bool(self._of(hive, layer, layer + 1))

    def own(self, hive: ConfigHive, layer: int) -> Hive | None:
        """The hive as the file of one layer has it, a differencing one too. Raises HiveError."""
        files = self._of(hive, layer, layer + 1)
        return self._read(files[0]) if files else None

    def fingerprint(self, hive: ConfigHive) -> bytes:
        """A digest of all its files and their logs, in all layers: where it is equal, so is the hive."""
        digest = hashlib.sha256()
        for put in self._of(hive):
            for path in (put.path, *(put.path + end for end in _LOGS)):
                found = self._files.get((put.layer, upcase(path)))
                content = b"" if found is None else self._bytes(found)
                digest.update(b"%d %d %d " % (self._is_base(put), found is not None, len(content)))
                digest.update(content)
        return digest.digest()

    def view(self, hive: ConfigHive, end: int | None = None) -> Hive | None:
        """The hive as a container sees it, of the layers before `end`; None where there is nothing of it.

        Without a base layer below, as if it had a hive with nothing in it.
        """
        self._warn_of_shadows(hive)
        files = self._of(hive, 0, end)
        return (self._laid_over(files) or self._below(files[0])) if files else None

    def _warn_of_shadows(self, hive: ConfigHive) -> None:
        for file in self._shadows.get(hive, ()):
            self._warn(
                f"{file} is no part of the registry: Windows has there the base's hive, and the differencing hives"
            )

    def _laid_over(self, files: Sequence[_Put]) -> Hive | None:
        """The hive that `files` make together; None, with the base's not read, if nothing above changes it."""
        result: Hive | None = None
        for put in files:
            if self._is_base(put) or (delta := self._read_change(put)) is None:
                continue
            report = MergeReport()
            result = merge_delta(result or self._below(files[0]), delta, report)
            self._note(put, report)
        return result

    def _below(self, put: _Put) -> Hive:
        """The base's hive; one with nothing in it where the lowest file, `put`, is none."""
        if not self._is_base(put):
            return Hive(Key("ROOT"))
        result = self._read(put)
        if result.differencing:
            raise HiveError("a differencing hive, where a base layer has an ordinary one", path=put.path)
        return result

    def _is_base(self, put: _Put) -> bool:
        return self._base and put.layer == 0

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _note(self, put: _Put, report: MergeReport) -> None:
        if report.unbacked.count and self._base:
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
        """The hive of a base layer that all layers together make; None where the base's own file says all of it."""
        self._warn_of_shadows(hive)
        files = self._of(hive)
        view = self._laid_over(files)
        if view is None:
            if not files or not self._is_base(files[0]) or files[0].content.size:
                return None
            view = self._below(files[0])
        self._merged[hive.name] = self._guids.get(files[0].path, set())
        with _named(hive.config):
            return write_hive(replace(view, minor=MINOR_XP))

    def combined(self, hive: ConfigHive, first: int) -> bytes | None:
        """The differencing hive that those of the layers from `first` on make together; None if they have none."""
        files = self._of(hive, first)
        if not files:
            return None
        only = files[-1]  # whose bytes do it, if it needs no merge
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
        with _named(hive.delta):
            return self._clean(only) if merged is None else write_hive(merged)

    def stale(self, path: str) -> bool:
        """Is `path` a log of a hive that `merged` has made new bytes for? They belong to the old ones."""
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
    """Those in a base block, as names of files have them."""
    return {f"{{{uuid.UUID(bytes_le=data[a:b])}}}".upper() for a, b in _GUIDS if len(data) >= b}


@contextmanager
def _named(path: str, note: str = "") -> Iterator[None]:
    """An error about a key names the hive, and the key in its message."""
    try:
        yield
    except WclayerError as error:
        where = "" if error.path is None else f", in the key {printable(error.path)}"
        error.message = f"{error.message}{where}{note}"
        error.path = path
        raise


def _wanted() -> dict[str, tuple[ConfigHive, bool]]:
    """The paths, in upper case, that are of the registry: of which hive, and whether it is a differencing one."""
    result = {}
    for hive in CONFIG_HIVES:
        for path, delta in ((hive.config, False), (hive.delta, True)):
            for end in ("", *_LOGS):
                result[upcase(path + end)] = hive, delta
    return result


_WANTED: Final = _wanted()


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
