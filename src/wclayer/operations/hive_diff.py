"""Two hives, or the registries of two images, compared; and a .reg file that makes one the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ..errors import InexpressibleError, NotFoundError, UsageError
from ..layers.hives.config_hives import ConfigHive, control_set, locate, root_path
from ..regf.compare import Difference, compare, edits_of
from ..regf.model import Hive, Key, Noted
from ..regf.reg_print import print_edits
from ..regf.reg_text import HEADER
from .hive_edits import root_of
from .hive_places import HivePlace, HivePlaces, key_at

__all__ = ["Compared", "RegChanges", "compared"]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two keys that are compared. path: of both, from the root of the hive. config: which one that is, of an image.

    differencing: is one of them of a differencing hive?
    """

    place: HivePlace
    old: Key
    new: Key
    path: str
    config: ConfigHive | None = None
    differencing: bool = False

    def differences(self, *, times: bool = False) -> Iterator[Difference]:
        """As `compare` gives them."""
        return compare(self.old, self.new, times=times)

    def shown(self, difference: Difference) -> str:
        """The key that a difference is about, as it is named at its place."""
        root = "" if self.config is None else root_path(self.config)
        return "\\".join(filter(None, (root, self.path, difference.path)))


def compared(places: HivePlaces, old: HivePlace, new: HivePlace, path: str) -> Iterator[Compared]:
    """What is compared of two places: two hives, or each hive of two images, one after the other.

    path: the key that is compared, with all below it, where that is not all. One of the two need not have it.

    Raises UsageError for places of two kinds, NotFoundError if neither has the key, and what reading them raises.
    """
    if old.whole != new.whole:
        raise UsageError("a hive and a whole image", path=new.text, expected="two hives, or two images", got=old.text)
    if not old.whole:
        yield _compared((old, new), (places.hive(old), places.hive(new)), path, None)
        return
    config, names = locate(path) if path else (None, ())
    with places.registry(old) as one, places.registry(new) as other:
        there = (config,) if config is not None else sorted({*one.hives(), *other.hives()}, key=lambda hive: hive.name)
        for hive in there:
            yield _compared((old, new), (one.view(hive), other.view(hive)), "\\".join(names), hive)


def _compared(
    places: tuple[HivePlace, HivePlace], hives: tuple[Hive | None, Hive | None], path: str, config: ConfigHive | None
) -> Compared:
    old, new = (_find(hive, path, place, config) for place, hive in zip(places, hives, strict=True))
    found = old or new
    if found is None:
        raise NotFoundError("neither has this key", path=f"{places[0].text}, {places[1].text}", got=path)
    key, spelled = found
    differencing = any(hive is not None and hive.differencing for hive in hives)
    if not spelled:
        # An image without a hive counts as one with an empty hive.
        empty = replace(key, values=(), subkeys=())
        keys = (old[0] if old else empty), (new[0] if new else empty)
    else:
        # Only one side may have the key itself: so its parents are compared, as if they had nothing else.
        keys = (
            Key("", subkeys=(old[0],) if old else ()),
            Key("", subkeys=(replace(new[0], name=key.name),) if new else ()),
        )
    return Compared(places[0], *keys, spelled.rpartition("\\")[0], config, differencing)


def _find(hive: Hive | None, path: str, place: HivePlace, config: ConfigHive | None) -> tuple[Key, str] | None:
    if hive is None:
        return None
    try:
        if config is not None:
            path = "\\".join(control_set(config, path.split("\\"), hive.root)) if path else path
        return key_at(hive.root, path, place.text)
    except NotFoundError:
        return None


@dataclass(slots=True)
class RegChanges:
    """The lines of a .reg file that makes of the old keys the new ones.

    prefix: the registry path of the root of single hives, where their names do not tell it. utf8: are they to be UTF-8?
    count: of the differences; unsaid: the keys of those that no .reg file can say, as security and
    class names, each once.
    """

    prefix: str | None = None
    times: bool = False
    utf8: bool = False
    count: int = 0
    unsaid: Noted = field(default_factory=Noted)

    def lines(self, pairs: Iterable[Compared]) -> Iterator[str]:
        """The lines (see `reg_print`). Raises InexpressibleError, also for differencing hives."""
        begun = False
        for pair in pairs:
            if pair.differencing:
                raise InexpressibleError(
                    "changes from one differencing hive to another",
                    path=pair.place.text,
                    expected="ordinary hives",
                    hint="merge each onto its base first: wclayer hive merge BASE DELTA -o OUT",
                )
            root = root_of(pair.place, self.prefix) if pair.config is None else root_path(pair.config)
            edits = edits_of(self._counted(pair), self._unsaid(pair))
            lines = print_edits(edits, f"{root}\\{pair.path}".rstrip("\\"), utf8=self.utf8)
            if begun:
                next(lines)  # one header is enough
            begun = True
            yield from lines
        if not begun:
            yield f"{HEADER}\n"

    def _unsaid(self, pair: Compared) -> Callable[[Difference], None]:
        last: tuple[str, ...] | None = None

        def note(difference: Difference) -> None:
            nonlocal last
            if difference.names != last:  # those of a key come one after the other
                last = difference.names
                self.unsaid.add(pair.shown(difference))

        return note

    def _counted(self, pair: Compared) -> Iterator[Difference]:
        for difference in pair.differences(times=self.times):
            self.count += 1
            yield difference
