"""The registry and the boot store of layers: will Windows load them, and do they go together?

A base layer has five hives, each layer above differencing ones of them (`layers.hives`),
and a utility VM a boot store that is a hive too. They are put aside as their entries go by, and
judged when their layer has ended, one at a time in memory; of those of several layers,
the names of the keys that they change stay there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Self, cast

from ..body import BytesBody
from ..codes import Code
from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from ..errors import HiveError, InexpressibleError, WclayerError, printable
from ..host.spool import EMPTY, Spool, Spooled
from ..layers.hives.config_hives import CONFIG_HIVES, MAX_HIVE, ConfigHive
from ..layertar.members import Member
from ..layertar.reader import TarSource
from ..regf.check import HiveReport, HiveState, check_hive
from ..regf.delta import MergeReport, changes_nothing, empty_delta, merge_delta, merge_deltas
from ..regf.findings import Finding, Severity
from ..regf.log import recover_hive
from ..regf.model import Hive, Key
from ..regf.reader import read_hive
from ..regf.writer import write_hive
from ..union.rules import BOOT_FILES, HIVES, UTILITY_VM_FILES
from ..win32.names import upcase
from ..win32.reparse import is_name_surrogate, reparse_tag, tag_name
from .notes import Notes

__all__ = ["RegistryCheck"]

_LOGS: Final = (".LOG1", ".LOG2")  # those that are replayed; .LOG is of before Windows 8.1
_BCD: Final = next(iter(BOOT_FILES))
_VOLUME: Final = upcase(UTILITY_VM_FILES)
_CONFIG: Final = {upcase(hive.config): hive for hive in CONFIG_HIVES}
_DELTAS: Final = {upcase(hive.delta): hive for hive in CONFIG_HIVES}
_OF_BASE: Final = frozenset(upcase(hive.config + end) for hive in CONFIG_HIVES for end in ("", *_LOGS))
_OF_HIVES: Final = frozenset(upcase(hive.delta + end) for hive in CONFIG_HIVES for end in ("", ".LOG", *_LOGS))
_OF_BOOT: Final = frozenset(upcase(_BCD + end) for end in ("", *_LOGS))
# The last components of all these: what an entry must have for more than this to be asked.
_NAMES: Final = frozenset(key.rpartition("/")[2] for key in (*_OF_BASE, *_OF_BOOT, _VOLUME))


@dataclass(frozen=True, slots=True)
class _Found:
    """What is at the path of a hive or log. content: of the file; None for one that cannot be judged, as one too large,
    or a link to what was already read.
    """

    entry: Directory | File | HardLink
    offset: int | None
    content: Spooled | None


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rule that a hive breaks if it is not a file, is empty, dirty or broken.

    no_file: with what must be there, in words.
    """

    what: str
    no_file: tuple[Code, str]
    empty: Code
    dirty: Code
    broken: Code


_NO_HIVE: Final = (Code.HIVE_NO_FILE, "a hive of the registry")
_BASE: Final = _Rules("hive", _NO_HIVE, Code.HIVE_EMPTY, Code.HIVE_DIRTY, Code.HIVE_BROKEN)
_DELTA: Final = _Rules("differencing hive", _NO_HIVE, Code.DELTA_BROKEN, Code.DELTA_BROKEN, Code.DELTA_BROKEN)
_BOOT: Final = _Rules(
    "boot store", (Code.BCD_NO_FILE, "the boot store"), Code.BCD_BROKEN, Code.BCD_BROKEN, Code.BCD_BROKEN
)


@dataclass(slots=True)
class _Layer:
    """What is known of the layer that is looked at."""

    notes: Notes
    base: bool
    found: dict[str, _Found] = field(default_factory=dict)  # by path in upper case
    empty: set[str] = field(default_factory=set)  # files without a byte, by path in upper case
    utility_vm: bool = False  # is there a UtilityVM/Files?


@dataclass(frozen=True, slots=True)
class _Stack:
    """A hive of the base layer that was found well, and the differencing ones over it, the lowest first.

    joined: what some of them make together, with those that came later in `deltas`. base and joined may have lost
    all but the keys' names and layer bytes: whether a key is there is all that those above ask.
    """

    base: Spooled
    joined: bytes | None = None
    deltas: tuple[Spooled, ...] = ()


class RegistryCheck:
    """The hives of layers that lie upon each other, base first. Closed by close(), or as a context manager.

    temp_dir: the folder for what is put aside. For each layer call `begin`, show it every entry (`see`), and call
    `end`; of a layer that has no end nothing is said, and what it does to the registry is not known to those above.
    """

    def __init__(self, temp_dir: str | os.PathLike[str] | None = None) -> None:
        self._spool = Spool(temp_dir)
        self._layer: _Layer | None = None
        self._ended = True
        self._stacks: dict[str, _Stack] = {}  # by the hive's name; not there where it is not known
        self._below: _Layer | None = None  # the layer right below, if it is known whole

    def close(self) -> None:
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- putting aside ------------------------------------------------------------

    def begin(self, notes: Notes, *, base: bool, known: bool = True) -> None:
        """A layer begins, the one on top of the last one; notes: where to say what is wrong with it.

        known: False if a layer below is missing, or could not be read to its end. Then nothing is said of what this one
        should have below it, and of the layers above nothing of the keys that they should.
        """
        known = known and self._ended
        self._below = self._layer if known else None
        if base or not known:
            self._stacks.clear()
        self._layer = _Layer(notes, base)
        self._ended = False

    def see(self, entry: Entry, body: Body | None, offset: int | None) -> None:
        """Put aside what is of the registry; the body of anything else is not read. offset: of the entry in its tar."""
        layer = self._current()
        if isinstance(entry, Whiteout | AlternateStream):
            return
        path = entry.path
        if isinstance(entry, HardLink):
            if upcase(entry.target) in layer.empty:
                layer.empty.add(upcase(path))
        elif isinstance(entry, File) and entry.size == 0 and entry.reparse_data is None:
            layer.empty.add(upcase(path))
        in_hives = path[: len(HIVES) + 1].upper() == f"{HIVES.upper()}/"
        if not in_hives and path.rpartition("/")[2].upper() not in _NAMES:
            return
        key = upcase(path)
        if key == _VOLUME:
            layer.utility_vm = isinstance(entry, Directory)
        elif in_hives and not layer.base:
            if key in _OF_HIVES:
                self._put(key, entry, body, offset)
            else:
                layer.notes.note(Code.HIVES_UNKNOWN, "no hive of Windows' in Hives/", path=path, offset=offset)
        elif key in _OF_BOOT or (layer.base and key in _OF_BASE):
            self._put(key, entry, body, offset)
        elif key in _CONFIG and not isinstance(entry, Directory):
            layer.notes.note(
                Code.HIVE_ABOVE_BASE,
                "a hive of the registry in a layer above the base layer",
                path=path,
                offset=offset,
                expected=_CONFIG[key].delta,
            )

    def _current(self) -> _Layer:
        if self._layer is None:
            raise RuntimeError("an entry before its layer")
        return self._layer

    def _put(self, key: str, entry: Directory | File | HardLink, body: Body | None, offset: int | None) -> None:
        layer, content = self._current(), None
        if isinstance(entry, HardLink):  # which comes after its target
            target = upcase(entry.target)
            content = EMPTY if target in layer.empty else layer.found[target].content if target in layer.found else None
        elif isinstance(entry, File) and not _is_link(entry) and entry.size <= MAX_HIVE:
            content = EMPTY if body is None else self._spool.put(body, entry.path)
        layer.found[key] = _Found(entry, offset, content)

    def _bytes(self, content: Spooled) -> bytes:
        return self._spool.open(content).read()

    # --- judging ------------------------------------------------------------------

    def end(self, source: Source | None = None) -> None:
        """The layer has ended: judge its hives.

        source: the layer, which is read once more if a hive is a hard link to an entry already read, if possible;
        twice, where that is a link itself.
        """
        layer = self._current()
        self._ended = True
        if source is not None and source.restartable:
            refused = source.refused if isinstance(source, TarSource) else None
            try:
                if isinstance(source, TarSource):
                    source.refused = _pass_over
                self._follow(layer, source)
            finally:
                if isinstance(source, TarSource):
                    source.refused = refused
        for hive in CONFIG_HIVES:
            if layer.base:
                self._base_hive(layer, hive)
            else:
                self._delta(layer, hive)
        self._boot_store(layer)

    def _follow(self, layer: _Layer, source: Source) -> None:
        """Put aside what hives that are hard links are."""
        waiting: dict[str, list[str]] = {}  # the links, by what they lead to
        for key, found in layer.found.items():
            if isinstance(found.entry, HardLink) and found.content is None:
                waiting.setdefault(upcase(found.entry.target), []).append(key)
        for _ in range(2):  # longer chains nobody makes, but to keep us reading
            if not waiting:
                break
            further: dict[str, list[str]] = {}
            for entry, body in source.entries():
                if not isinstance(entry, File | HardLink):
                    continue
                keys = waiting.pop(upcase(entry.path), [])
                if isinstance(entry, HardLink):
                    if keys:
                        further.setdefault(upcase(entry.target), []).extend(keys)
                elif keys and body is not None and not _is_link(entry) and entry.size <= MAX_HIVE:
                    content = self._spool.put(body, entry.path)
                    for key in keys:
                        layer.found[key] = replace(layer.found[key], content=content)
                if not waiting:
                    break
            waiting = further

    def _base_hive(self, layer: _Layer, hive: ConfigHive) -> None:
        found = layer.found.get(upcase(hive.config))
        if found is None:
            layer.notes.note(Code.HIVE_MISSING, "a base layer without this hive of the registry", path=hive.config)
            return
        judged = self._judge(layer, hive.config, found, _BASE)
        if judged is None:
            return
        content, _, report = judged
        if report.differencing:
            self._note(layer, Code.HIVE_DIFFERENCING, found, "a differencing hive, where an ordinary one must be")
        else:
            self._stacks[hive.name] = _Stack(content)

    def _delta(self, layer: _Layer, hive: ConfigHive) -> None:
        found = layer.found.get(upcase(hive.delta))
        if found is None:
            return
        below = self._below
        if below is not None and not below.base and upcase(hive.delta) not in below.found:
            self._note(
                layer,
                Code.DELTA_MISSING,
                found,
                "a differencing hive on top of a layer that has none",
                expected=f"{hive.delta} in {below.notes.layer}",
            )
        stack = self._stacks.pop(hive.name, None)
        judged = self._judge(layer, hive.delta, found, _DELTA)
        if judged is None:
            return
        content, data, report = judged
        if not report.differencing:
            self._note(layer, Code.DELTA_ORDINARY, found, "an ordinary hive, where a differencing one must be")
        try:
            delta = read_hive(data)
            changing = not changes_nothing(delta)
            all_below = None
            if stack is not None and changing and any(key.inherits_class for _, key in delta.root.places()):
                stack, all_below = self._all_of(stack)
            merged = MergeReport()
            merge_delta(all_below or Hive(Key("ROOT")), delta, merged)
        except HiveError as error:
            where = "" if error.path is None else f", in the key {printable(error.path)}"
            self._note(
                layer,
                Code.DELTA_BROKEN,
                found,
                f"a broken differencing hive: {error.message}{where}",
                expected=error.expected,
                got=error.got,
            )
            return
        if stack is None:
            return
        if all_below is not None and (count := merged.unbacked.count):
            keys = "1 key changes" if count == 1 else f"{count:,} keys change"
            self._note(
                layer,
                Code.DELTA_OF_OTHER_BASE,
                found,
                f"a differencing hive of another base: {keys} what no layer below has, the first"
                f" {printable(merged.unbacked.paths[0])}",
            )
        if changing:
            stack = replace(stack, deltas=(*stack.deltas, content))
        self._stacks[hive.name] = stack

    def _all_of(self, stack: _Stack) -> tuple[_Stack, Hive]:
        """The same stack, of which that takes less the next time, and the hive that it makes, or no more than its keys.

        So a layer takes the time for its own hive and for the keys below, whatever number of layers these are from.
        """
        base = read_hive(self._bytes(stack.base))
        if stack.joined is None and not stack.deltas:
            return stack, base
        joined = empty_delta(0) if stack.joined is None else read_hive(stack.joined)
        for content in stack.deltas:
            joined = merge_deltas(joined, _keys(read_hive(self._bytes(content))))
        with suppress(InexpressibleError):  # a name that is read all the same
            content = stack.base
            if stack.joined is None:
                base = _keys(base)
                content = self._spool.put(BytesBody(write_hive(base)))
            stack = _Stack(content, write_hive(joined))
        return stack, merge_delta(base, joined)

    def _boot_store(self, layer: _Layer) -> None:
        found = layer.found.get(upcase(_BCD))
        if found is None:
            if layer.base and layer.utility_vm:
                layer.notes.note(Code.BCD_MISSING, "a utility VM without a boot store", path=_BCD)
            return
        judged = self._judge(layer, _BCD, found, _BOOT)
        if judged is not None and judged[2].differencing:
            self._note(layer, Code.BCD_BROKEN, found, "a differencing hive, where a boot store must be")

    def _judge(
        self, layer: _Layer, path: str, found: _Found, rules: _Rules
    ) -> tuple[Spooled, bytes, HiveReport] | None:
        """The hive, completed from its logs, and the findings about it; None where it cannot be loaded."""
        entry = found.entry
        content = found.content
        if isinstance(entry, HardLink):
            if rules is not _BOOT:
                self._note(layer, Code.HIVE_HARD_LINK, found, "a hive that is a hard link", got=entry.target)
            if content is None:
                return None  # its content was already read
        elif isinstance(entry, Directory) or _is_link(entry):
            code, what = rules.no_file
            self._note(layer, code, found, _no_file(entry, what))
            return None
        elif content is None:
            expected, got = f"at most {MAX_HIVE:,} bytes", f"{entry.size:,}"
            self._note(layer, rules.broken, found, f"too large for a {rules.what}", expected=expected, got=got)
            return None
        data = self._bytes(content)
        report = check_hive(data)
        logs = self._logs(layer, path)
        if report.state is not HiveState.LOADABLE and logs:
            try:
                recovered = recover_hive(data, logs)
            except HiveError as error:
                code = rules.dirty if report.state is HiveState.DIRTY else rules.broken
                self._note(layer, code, found, error.message, expected=error.expected, got=error.got)
                return None
            if any(recovered.applied):
                data = recovered.data
                content = self._spool.put(BytesBody(data))
                report = check_hive(data)
                message = f"a dirty {rules.what}, complete with its logs"
                self._note(layer, Code.HIVE_DIRTY_WITH_LOGS, found, "; ".join((message, *recovered.notes)))
        if report.reason is not None:
            self._refuse(layer, found, report, report.reason, rules)
            return None
        repairs = [one for one in report.findings if one.severity is Severity.WARNING]
        if repairs:
            first = _text(repairs[0])
            things = "1 thing" if len(repairs) == 1 else f"{len(repairs):,} things, the first"
            self._note(layer, Code.HIVE_HEALED, found, f"a {rules.what} with {things} that Windows repairs: {first}")
        return content, data, report

    def _logs(self, layer: _Layer, path: str) -> Sequence[bytes]:
        """The logs that the layer has of a hive, those with something in them."""
        found = (layer.found.get(upcase(path + end)) for end in _LOGS)
        return [self._bytes(one.content) for one in found if one is not None and one.content and one.content.size]

    def _refuse(self, layer: _Layer, found: _Found, report: HiveReport, reason: Finding, rules: _Rules) -> None:
        if report.state is HiveState.EMPTY:
            message = f"an empty file, where a {rules.what} must be"
            self._note(layer, rules.empty, found, message, expected="8,192 bytes or more", got="0")
            return
        dirty = report.state is HiveState.DIRTY
        what = f"a dirty {rules.what} without logs" if dirty else f"a broken {rules.what}"
        code = rules.dirty if dirty else rules.broken
        self._note(layer, code, found, f"{what}: {_text(reason)}", expected=reason.expected, got=reason.got)

    def _note(
        self,
        layer: _Layer,
        code: Code,
        found: _Found,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        layer.notes.note(code, message, path=found.entry.path, offset=found.offset, expected=expected, got=got)


def _pass_over(member: Member, error: WclayerError) -> None:
    """Findings about members that are not entries, which were reported before."""


def _keys(hive: Hive) -> Hive:
    """The keys of a hive with nothing but their names and layer bytes."""

    def change(key: Key, subkeys: tuple[Key, ...]) -> Key:
        return Key(key.name, (), subkeys, layer=key.layer)

    return replace(hive, root=cast("Key", hive.root.changed(change)))


def _text(finding: Finding) -> str:
    """What is wrong with a hive, and where in it."""
    where = "" if finding.path is None else f", in the key {printable(finding.path)}"
    return f"{finding.message}{where} (at {finding.offset:,} in it)"


def _is_link(entry: Directory | File) -> bool:
    return entry.reparse_data is not None and is_name_surrogate(reparse_tag(entry.reparse_data))


def _no_file(entry: Directory | File, what: str) -> str:
    if entry.reparse_data is not None and _is_link(entry):
        return f"a link ({tag_name(reparse_tag(entry.reparse_data))}), where {what} must be"
    return f"a directory, where {what} must be"
