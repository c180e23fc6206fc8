"""What is asked for in layers: paths, patterns of paths, and why an entry is among it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from ...entry import HardLink
from ...errors import UsageError
from ...union.view import ViewEntry
from ...win32.names import upcase
from .patterns import component, is_wild

__all__ = ["Match", "PathQuery", "SubtreeQuery"]


class PathQuery:
    """A path in the layers that is asked for.

    path: with `/`; "" is the root. From its first component with `*`, `?` or `[...]` on it is a pattern, `rest`, unless
    it is to be taken literally; what is before that is `prefix`. text: the path as messages name it. stream: the name
    of an alternate stream, "" for the unnamed one. Raises UsageError for a path with `..`.
    """

    def __init__(self, path: str, *, text: str | None = None, literal: bool = False, stream: str = "") -> None:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        self.text = path if text is None else text
        if ".." in parts:
            raise UsageError("a path in a layer with `..`", path=self.text, expected="the path from the layer's root")
        wild = next((at for at, part in enumerate(parts) if not literal and is_wild(part)), len(parts))
        self.prefix: Final = tuple(parts[:wild])
        self.rest: Final = tuple(parts[wild:])
        self.stream = stream
        self.found = False

    @property
    def is_pattern(self) -> bool:
        return bool(self.rest)


@dataclass(slots=True)
class Match:
    """Why an entry is wanted, and as what.

    path: as the layers show it. name: from the last component of a literal path on, or from the first that is a
    pattern; "" for the root. number: of the layer that shows it. depth: 0 for what was asked for, 1 for what is in that
    directory, and so on. link: the hard link, where the entry itself is the file behind it. trail, been: the links that
    were followed, and the paths that they led away from.
    """

    wanted: PathQuery
    path: str
    name: str
    number: int
    depth: int = 0
    link: HardLink | None = None
    trail: Sequence[str] = ()
    been: Collection[str] = ()


class SubtreeQuery:
    """A directory, all that is in it or what fits a pattern there, and what is in that."""

    def __init__(self, wanted: PathQuery, key: str, name: str) -> None:
        self.wanted = wanted
        self.key = key
        self._prefix = f"{key}/" if key else ""
        self._depth = len(key.split("/")) if key else 0
        self._name = name
        self._fits = [component(upcase(mask)) for mask in wanted.rest]

    def claim(self, seen: ViewEntry) -> Match | None:
        if not seen.key.startswith(self._prefix):
            if seen.key != self.key or self._fits:
                return None
            return Match(self.wanted, seen.path, self._name, seen.number)
        parts = seen.path.split("/")[self._depth :]
        if not self._fits:
            name = "/".join((self._name, *parts) if self._name else parts)
            return Match(self.wanted, seen.path, name, seen.number, len(parts))
        if len(parts) < len(self._fits):
            return None
        keys = seen.key.split("/")[self._depth :]
        if not all(fits(key) for fits, key in zip(self._fits, keys, strict=False)):
            return None
        return Match(self.wanted, seen.path, "/".join(parts), seen.number, len(parts) - len(self._fits))
