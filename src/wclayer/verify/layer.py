"""One layer, read to its end whatever is wrong with its entries, and shown to all checks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress

from ..codes import Code
from ..entry import Body, File, Source, Whiteout
from ..errors import FormatError, WclayerError
from ..layertar.reader import TarSource
from ..union.rules import HIVES
from ..win32.attributes import FILE_ATTRIBUTE_SPARSE_FILE
from .metadata import MetadataCheck
from .names import CheckedNames, NameCheck
from .notes import Notes
from .registry import RegistryCheck

__all__ = ["NotABaseLayerError", "check_layer"]


class NotABaseLayerError(Exception):
    """A layer that was taken for a base layer has what only a layer on top of others can have."""


def check_layer(
    source: Source,
    notes: Notes,
    below: Sequence[CheckedNames],
    registry: RegistryCheck,
    *,
    base: bool,
    known: bool = True,
    guessed: bool = False,
) -> tuple[CheckedNames, WclayerError | None]:
    """Read a layer, and say what is wrong with it; its names, and the error at which it had to stop, if it had.

    below: the names of the layers that it lies on, nearest first; known: are they all there, and read to their ends?
    registry: what has seen those, too. guessed: nobody has said that it is a base layer, so a whiteout or Hives raises
    NotABaseLayerError. Raises what says nothing of the layer: errors of the host and of the network.
    """
    names = NameCheck(notes, below, base=base)
    metadata = MetadataCheck(notes)
    tar = source if isinstance(source, TarSource) else None
    if tar is not None:
        tar.refused = names.refused
    stopped: WclayerError | None = None
    registry.begin(notes, base=base, known=known)
    entries = source.entries()
    path: str | None = None  # of the entry that is looked at
    try:
        for entry, body in entries:
            path = entry.path
            if guessed and (isinstance(entry, Whiteout) or path.partition("/")[0] == HIVES):
                raise NotABaseLayerError
            member, offset = (None, None) if tar is None else (tar.member, tar.offset)
            names.see(entry, member, offset)
            metadata.see(entry, member, offset)
            registry.see(entry, body, offset)
            if body is not None and _has_holes(body):
                if tar is None and isinstance(entry, File) and entry.file_attributes & FILE_ATTRIBUTE_SPARSE_FILE:
                    metadata.sparse(entry.path, offset)
                _check_holes(entry.path, body, offset, notes)
            path = None
    except WclayerError as error:
        if isinstance(entries, Generator):  # which does not know of it, where a body could not be read
            with suppress(WclayerError):
                entries.throw(error)
        error.at(path)
        if not notes.error(error):
            raise
        stopped = error
    metadata.end()
    if stopped is None:
        names.end()
        registry.end(source)
    if tar is not None and tar.global_header is not None:
        notes.note(Code.GLOBAL_HEADER, "a global PAX header", offset=tar.global_header)
    if tar is not None and tar.after_end is not None and stopped is None:
        notes.note(Code.LOST_AFTER_END, "something after the end of the archive", offset=tar.after_end)
    if tar is not None and tar.zeros_after is not None and stopped is None:
        notes.note(Code.ZEROS_AFTER_COMPRESSED, "zeros behind the end of the compressed stream", offset=tar.zeros_after)
    return names.names, stopped


def _has_holes(body: Body) -> bool:
    return sum(length for _, length in body.extents()) != body.size


def _check_holes(path: str, body: Body, offset: int | None, notes: Notes) -> None:
    """Nothing may be in the holes of a sparse file; what has been read already was looked at then."""
    try:
        for _ in body.chunks():
            pass
    except FormatError as error:
        error.at(path, offset)
        if error.rule is not Code.SPARSE_MAP_MALFORMED:
            raise
        notes.error(error)
