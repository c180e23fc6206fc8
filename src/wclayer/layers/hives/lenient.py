"""The registry of layers that are just looked at: put aside as their entries go by; what cannot be read is a note.

`HiveStack` is for who changes layers, and refuses what it cannot do right. Who looks
into a layer wants to hear of all else in it, too.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Self

from ...entry import Body, Entry, Source, Whiteout
from ...errors import UsageError, WclayerError
from ...regf.model import Hive
from ...union.rules import HIVES
from ...win32.names import upcase
from .config_hives import ConfigHive
from .merge import HiveStack

__all__ = ["LenientHiveStack"]

_HIVES: Final = upcase(HIVES)


class LenientHiveStack:
    """The registry of `count` layers, the lowest a base layer if `base`. Closed by close(), or as a context manager.

    Of a lone layer, `base` is a guess: what only other layers have makes it one that changes hives which are not there.
    `notes` says what cannot be read, and why. temporary, within: as for RegistryFiles.
    """

    def __init__(
        self,
        *,
        count: int,
        base: bool,
        temp_dir: str | os.PathLike[str] | None = None,
        within: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._alone = count == 1
        self._temporary = temp_dir
        self._within = within
        self._files: HiveStack | None = HiveStack(base=base, temp_dir=temp_dir, within=within)
        self.base = base
        self.notes: list[str] = []

    def close(self) -> None:
        if self._files is not None:
            self._files.close()
            self._files = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def readable(self) -> bool:
        """Has nothing so far made the whole registry one that cannot be read?"""
        return self._files is not None

    def see(self, layer: int, entry: Entry, body: Body | None) -> None:
        """The next entry; the body of what is no hive is not read."""
        if self._alone and self.base and _above_base(entry):
            self.base = False
            if self._files is not None:
                self._files.close()
                self._files = HiveStack(base=False, temp_dir=self._temporary, within=self._within)
        if self._files is not None:
            try:
                self._files.see(layer, entry, body)
            except WclayerError as error:
                self._give_up(error)

    def finish(self, layers: Sequence[Source]) -> None:
        """After the last entry. Where a hive is a hard link, its layer is read once more, if that can be done."""
        if self._files is not None:
            try:
                self._files.finish(layers)
            except UsageError:
                self._give_up("one of its hives is a hard link, and a pipe can be read only once")
            except WclayerError as error:
                self._give_up(error)

    def _give_up(self, why: object) -> None:
        self.notes.append(f"the registry cannot be read: {why}")
        self.close()

    def hives(self) -> list[ConfigHive]:
        """Those of which some layer has something."""
        return [] if self._files is None else list(self._files.hives())

    def view(self, hive: ConfigHive, end: int | None = None) -> Hive | None:
        """The hive as a container on the layers before `end` sees it; None where there is none that can be read."""
        if self._files is None:
            return None
        try:
            return self._files.view(hive, end)
        except WclayerError as error:
            self._note(hive, error)
            return None

    def own(self, hive: ConfigHive) -> Hive | None:
        """Of a lone layer, the hive as its file has it, a differencing one too; None as with view()."""
        if self._files is None:
            return None
        try:
            return self._files.own(hive, 0)
        except WclayerError as error:
            self._note(hive, error)
            return None

    def changed_in(self, hive: ConfigHive, layer: int) -> bool:
        """Has this layer anything of the hive?"""
        return self._files is not None and self._files.has(hive, layer)

    def fingerprint(self, hive: ConfigHive) -> bytes:
        """Equal for two that have the same files of the hive, and so the same hive."""
        return b"" if self._files is None else self._files.fingerprint(hive)

    def _note(self, hive: ConfigHive, error: WclayerError) -> None:
        note = f"the hive {hive.name} cannot be read: {error}"
        if note not in self.notes:
            self.notes.append(note)

    @property
    def warnings(self) -> list[str]:
        """What a merge met that people may want to know."""
        return [] if self._files is None else self._files.warnings


def _above_base(entry: Entry) -> bool:
    """Is it what only a layer above a base layer has?"""
    return isinstance(entry, Whiteout) or upcase(entry.path.partition("/")[0]) == _HIVES
