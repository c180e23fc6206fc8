"""Layers in memory, as sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wclayer.body import BytesBody
from wclayer.entry import Body, Directory, Entry, File


class Listed:
    """The entries of a layer; an entry with bytes has them as its body."""

    restartable = True

    def __init__(self, *entries: Entry | tuple[Entry, bytes]) -> None:
        self._entries = entries

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        for entry in self._entries:
            if isinstance(entry, tuple):
                yield entry[0], BytesBody(entry[1])
            else:
                yield entry, None


def directories(*paths: str) -> list[Entry]:
    """Each path with all above it, once, the highest first."""
    found: dict[str, Entry] = {}
    for path in paths:
        parts = path.split("/")
        for number in range(1, len(parts) + 1):
            above = "/".join(parts[:number])
            found.setdefault(above, Directory(above))
    return list(found.values())


def layer(files: dict[str, bytes], others: Sequence[Entry] = (), time: int | None = None) -> Listed:
    """A layer with these files, and the directories that they lie in."""
    above = directories(*(path.rpartition("/")[0] for path in files))
    made = [(File(path, size=len(data), last_write_time=time), data) for path, data in files.items()]
    return Listed(*above, *made, *others)
