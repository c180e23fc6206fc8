"""Hard links that wait for the file behind them.

Layers are read from the nearest to the base, and a hard link holds only the path of its target,
so the File entry with the data may be read at three times:

* later, in a layer below: `await_below`. Entries there are seen as if the link's layer were
  not there, so what nearer layers delete or replace makes no difference;
* later in the same layer, which only a base can ask for, as nothing is below it: `await_in_base`;
* earlier in the same layer: `need_again`. Another pass reads the layer again, up to the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ...entry import File, HardLink, Source, Whiteout
from ...union.view import UnionView, ViewEntry
from .handler import EntryKey
from .path_walker import already_read_error
from .request import Match

__all__ = ["PendingLinks"]


class PendingLinks:
    """Matches of hard links, by what they wait for; `fail` is called with those whose file no layer has."""

    def __init__(self, fail: Callable[[list[Match]], None]) -> None:
        self._fail = fail
        # By the target's key, then by the layer from which it is looked for, downwards. Several links to one file
        # share a list, so that 1,024 of them cost no more than one.
        self._below: dict[str, dict[int, list[Match]]] = {}
        self._tops: Counter[int] = Counter()  # of the lists in `_below`, by that layer
        self._files: dict[int, dict[str, list[Match]]] = {}  # by layer and key: File entries of just that layer
        self._next_pass: dict[int, dict[str, list[Match]]] = {}  # the same, for the next pass

    @property
    def unfinished(self) -> bool:
        return bool(self._below or self._files)

    def await_below(self, number: int, target: str, matches: list[Match]) -> None:
        """Hard links of layer `number` to a file that is seen at `target` in the layers below it."""
        top = number - 1
        lists = self._below.setdefault(target, {})
        if top not in lists:
            self._tops[top] += 1
        lists.setdefault(top, []).extend(matches)

    def await_in_base(self, target: str, matches: list[Match]) -> None:
        """Hard links of the base to a file that has not been read yet."""
        self._files.setdefault(0, {}).setdefault(target, []).extend(matches)

    def need_again(self, file: EntryKey, matches: Iterable[Match]) -> None:
        """Hard links to a File entry that was read before them."""
        number, key = file
        self._next_pass.setdefault(number, {}).setdefault(key, []).extend(matches)

    def resolve(self, seen: ViewEntry, matches: list[Match]) -> None:
        """Add to `matches` the hard links that waited for this entry."""
        if seen.number in self._files and isinstance(seen.entry, File):
            files = self._files[seen.number]
            matches += files.pop(seen.key, ())
            if not files:
                del self._files[seen.number]
        if seen.key in self._below:
            self._resolve_link_target(seen, matches)

    def _resolve_link_target(self, seen: ViewEntry, matches: list[Match]) -> None:
        """An entry at a path that hard links of layers above lead to."""
        if isinstance(seen.entry, Whiteout):
            return  # end_layer() finds that it hides what is below
        for top in [top for top in self._below[seen.key] if top >= seen.number]:
            found = self._pop(seen.key, top)
            if isinstance(seen.entry, File | HardLink):
                matches += found
            else:
                self._fail(found)

    def needs(self, number: int) -> bool:
        """Can layer `number` have a file that is waited for?"""
        return number in self._files or any(top >= number for top in self._tops)

    def end_layer(self, number: int, view: UnionView) -> None:
        """Layer `number` has been read to its end: fail the links whose target it hides or should have had."""
        self._fail_unresolved(lambda key, top: top >= number and view.hides(number, key))
        for matches in self._files.pop(number, {}).values():
            self._fail(matches)

    def end_pass(self) -> None:
        """Fail what is still unresolved, and take up the links that wait for another pass."""
        self._fail_unresolved(lambda _key, _top: True)
        self._files, self._next_pass = self._next_pass, {}

    def check_restartable(self, layers: Sequence[Source]) -> None:
        """Raise UsageError if one of `layers` must be read again, and is a pipe."""
        for number, files in self._files.items():
            if not layers[number].restartable:
                match = next(iter(files.values()))[0]
                target = None if match.link is None else match.link.target
                raise already_read_error("a hard link to a file", path=match.path, got=target)

    def _fail_unresolved(self, is_lost: Callable[[str, int], bool]) -> None:
        for key, lists in list(self._below.items()):
            for top in list(lists):
                if is_lost(key, top):
                    self._fail(self._pop(key, top))

    def _pop(self, key: str, top: int) -> list[Match]:
        lists = self._below[key]
        matches = lists.pop(top)
        if not lists:
            del self._below[key]
        self._tops[top] -= 1
        if not self._tops[top]:
            del self._tops[top]
        return matches
