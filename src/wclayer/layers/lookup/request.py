"""What is asked for in layers (paths and patterns of paths), and the matches: why an entry is wanted."""

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
    """A path in the layers that is asked for, perhaps with a pattern at its end.

    path: with `/`; "" is the root. The components before the first with `*`, `?` or `[...]` are the `prefix`; that one
    and those after it are the pattern, `rest`. literal: wildcards are ordinary characters, and all of the path is the
    prefix. text: the path as messages name it. stream: the name of an alternate stream, "" for the unnamed one.

    Raises UsageError for a path with `..`.
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
        self.found = False  # did anything match?

    @property
    def is_pattern(self) -> bool:
        return bool(self.rest)


@dataclass(slots=True)
class Match:
    """Why an entry is wanted, and under which name.

    path: as the layers show it. name: the path from the last component of a literal query on, or from the first
    component with wildcards; "" for the root. number: the layer that shows it, counted from 0 at the base. depth: 0 for
    what was asked for, 1 for an entry in that directory, and so on. link: the hard link, where the entry itself is the
    file behind it. link_chain: the symlinks and junctions that were followed, as messages print them. visited: the
    paths, in upper case, that they led away from.
    """

    query: PathQuery
    path: str
    name: str
    number: int
    depth: int = 0
    link: HardLink | None = None
    link_chain: Sequence[str] = ()
    visited: Collection[str] = ()


class SubtreeQuery:
    """A directory with everything below it; for a pattern, what matches it there, and everything below that.

    key: the directory's path in upper case, "" for the root. name: what its `Match` is called.
    """

    def __init__(self, query: PathQuery, key: str, name: str) -> None:
        self.query = query
        self.key = key
        self._prefix = f"{key}/" if key else ""
        self._depth = len(key.split("/")) if key else 0
        self._name = name
        self._tests = [component(upcase(mask)) for mask in query.rest]

    def match(self, seen: ViewEntry) -> Match | None:
        """The match of an entry; None for an entry that was not asked for."""
        if not seen.key.startswith(self._prefix):
            if seen.key != self.key or self._tests:
                return None
            return Match(self.query, seen.path, self._name, seen.number)
        parts = seen.path.split("/")[self._depth :]
        if not self._tests:
            name = "/".join((self._name, *parts) if self._name else parts)
            return Match(self.query, seen.path, name, seen.number, len(parts))
        if len(parts) < len(self._tests):
            return None
        keys = seen.key.split("/")[self._depth :]
        if not all(matches(key) for matches, key in zip(self._tests, keys, strict=False)):
            return None
        return Match(self.query, seen.path, "/".join(parts), seen.number, len(parts) - len(self._tests))
