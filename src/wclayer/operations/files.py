"""Files inside layers and images, wherever these are: read and extracted.

Places are those of `layer_places`, with a path inside: a layer tar or folder, `-`, all layers
of an image as a container on it sees them, or one of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from typing import BinaryIO, cast

from ..entry import Source
from ..errors import UsageError
from ..images.options import ImageOptions
from ..layers.lookup.cat import stream_of, write_contents
from ..layers.lookup.extract import Extracted, extract_layers
from ..layers.lookup.find import Criteria, Found, find_in_layers, type_of
from ..layers.lookup.ls import Listed, list_layers
from ..layers.lookup.request import PathQuery
from ..union.view import ViewEntry
from ..win32.names import encode_wtf8
from .layer_places import LayerPlaces, LayerReference, parse_layer_place

__all__ = [
    "extract_files",
    "extract_places",
    "find_files",
    "find_places",
    "list_files",
    "list_places",
    "open_file",
    "read_file",
    "write_places",
]


def write_places(
    places: LayerPlaces,
    texts: Sequence[str],
    write: Callable[[bytes], object],
    *,
    temp_dir: str | os.PathLike[str] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> None:
    """Write the bytes of the files at places, `SRC//PATH` or `SRC//PATH:STREAM`, one after the other.

    Names are taken literally. Raises UsageError for a place without a path, and what `write_contents` and opening
    places raise.
    """
    for group in _grouped(texts):
        wanted = []
        for place, text in group:
            path, stream = stream_of(place.inside or "")
            if not path:
                raise UsageError("which file?", path=text, expected=f"{place.place}//Files/...")
            wanted.append(PathQuery(path, text=text, literal=True, stream=stream))
        with places.open(group[0][0]) as opened:
            write_contents(opened.sources, wanted, write, temp_dir=temp_dir, seen=seen)


def extract_places(
    places: LayerPlaces,
    texts: Sequence[str],
    target: str | os.PathLike[str],
    *,
    with_metadata: bool = False,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> Extracted:
    """Take the files, directories and patterns at places, `SRC//PATH`, out into the folder `target`.

    Without a path, it is all of SRC. Raises what `extract_layers` and opening places raise.
    """

    def groups() -> Generator[tuple[Sequence[Source], Sequence[PathQuery]], None, None]:
        for group in _grouped(texts):
            with places.open(group[0][0]) as opened:
                yield opened.sources, [PathQuery(place.inside or "", text=text) for place, text in group]

    with closing(groups()) as found:
        return extract_layers(found, target, with_metadata=with_metadata, force=force, temp_dir=temp_dir, seen=seen)


def list_places(
    places: LayerPlaces,
    text: str,
    *,
    recursive: bool = False,
    follow: bool = True,
    seen: Callable[[ViewEntry], None] | None = None,
) -> list[Listed]:
    """What there is at a place, `SRC` or `SRC//PATH`, in the byte order of the paths.

    Of a directory, what is in it; of anything else, that; of a pattern, what fits. recursive: also what is in what is
    listed. follow: a symlink or junction at the end of the path. Raises what `list_layers` and opening places raise.
    """
    place = parse_layer_place(text)
    wanted = PathQuery(place.inside or "", text=text)
    result: list[Listed] = []

    def found(listed: Listed) -> None:
        depth = listed.match.depth
        is_top = wanted.is_pattern or type_of(listed.entry) != "d"  # a directory is what is in it
        if is_top if depth == 0 else recursive or (depth == 1 and not wanted.is_pattern):
            result.append(listed)

    with places.open(place) as opened:
        list_layers(opened.sources, [wanted], found, follow=follow, seen=seen)
    return sorted(result, key=lambda listed: encode_wtf8(listed.path))


def find_places(
    places: LayerPlaces,
    text: str,
    criteria: Criteria,
    found: Callable[[Found], None],
    *,
    seen: Callable[[ViewEntry], None] | None = None,
) -> None:
    """Call `found` with what fits at and below a place, `SRC` or `SRC//PATH`, in the order in which layers are read.

    Raises what `find_in_layers` and opening places raise.
    """
    place = parse_layer_place(text)
    with places.open(place) as opened:
        find_in_layers(opened.sources, [PathQuery(place.inside or "", text=text)], criteria, found, seen=seen)


def _grouped(texts: Sequence[str]) -> list[list[tuple[LayerReference, str]]]:
    """Places taken apart; those that follow each other and are in the same layers together."""
    parsed = [(parse_layer_place(text), text) for text in texts]
    return [list(group) for _, group in groupby(parsed, key=lambda one: one[0].place)]


def read_file(
    source: str,
    *,
    parents: Sequence[str | os.PathLike[str]] = (),
    options: ImageOptions | None = None,
) -> bytes:
    r"""The bytes of one file in a layer or image: `read_file("oci:out:app//Files/app/app.ini")`.

    source: `SRC//PATH`, or `SRC//PATH:STREAM` for an alternate stream; case does not matter. SRC is a layer tar or
    folder, an image (all its layers, as a container sees them), or one of its layers, `IMAGE#N`. parents: the layer
    folders or tars below a SRC that is one, nearest first, base last.

    Symlinks, junctions and hard links are followed. The layers are read nearest first, up to the file's last byte.

    Raises NotFoundError, UsageError for a directory, LayerError for a link that leads out of the layers, and what
    opening and reading them raises.
    """
    parts: list[bytes] = []
    places = _places(parents, options)
    write_places(places, [source], parts.append, temp_dir=places.temp_dir)
    return b"".join(parts)


@contextmanager
def open_file(
    source: str,
    *,
    parents: Sequence[str | os.PathLike[str]] = (),
    options: ImageOptions | None = None,
) -> Iterator[BinaryIO]:
    """One file in a layer or image as a binary file object that can seek, in constant memory.

    The content is in a temporary file until the block ends. The rest, and what is raised, as in `read_file`.
    """
    places = _places(parents, options)
    with tempfile.TemporaryFile(dir=places.temp_dir, prefix="wclayer-") as file:
        write_places(places, [source], file.write, temp_dir=places.temp_dir)
        file.seek(0)
        yield cast("BinaryIO", file)


def list_files(
    source: str,
    *,
    recursive: bool = False,
    parents: Sequence[str | os.PathLike[str]] = (),
    options: ImageOptions | None = None,
) -> list[Listed]:
    """What is in a directory of a layer or image, `SRC//PATH`, in the byte order of the paths; recursive: below it too.

    Of a file it is that; of a PATH with wildcards, what fits. Each has its `path`, its `entry`, `file`, the entry with
    its metadata (of a hard link another than `entry`), and `streams`. The rest, and what is raised, as in `read_file`.
    """
    return list_places(_places(parents, options), source, recursive=recursive)


def find_files(
    source: str,
    criteria: Criteria,
    *,
    parents: Sequence[str | os.PathLike[str]] = (),
    options: ImageOptions | None = None,
) -> list[Found]:
    """What fits `criteria` at and below a place in a layer or image: `find_files(src, Criteria(names=("*.dll",)))`.

    In the order in which the layers are read, nearest first. The rest, and what is raised, as in `read_file`.
    """
    result: list[Found] = []
    find_places(_places(parents, options), source, criteria, result.append)
    return result


def extract_files(
    sources: Sequence[str],
    output: str | os.PathLike[str],
    *,
    with_metadata: bool = False,
    force: bool = False,
    parents: Sequence[str | os.PathLike[str]] = (),
    options: ImageOptions | None = None,
) -> Extracted:
    """Take files, directories and patterns out of layers or images into the folder `output`, all or nothing.

    sources: `SRC//PATH` each, where components of PATH may have `*`, `?` and `[...]`. What is named literally lies in
    `output` under its own name, a directory with all that is in it; what fits a pattern from the first component with
    wildcards on. with_metadata: make a layer folder instead, with the entries at their own paths and the directories
    above them, of which nothing is lost. force: replace an `output` that is not empty. The rest as in `read_file`.

    Raises NotFoundError, UsageError for two files that would have the same name, InexpressibleError for a name that
    this host cannot hold, AlreadyExistsError, LayerError, and what opening, reading and writing raise.
    """
    places = _places(parents, options)
    return extract_places(places, sources, output, with_metadata=with_metadata, force=force, temp_dir=places.temp_dir)


def _places(parents: Sequence[str | os.PathLike[str]], options: ImageOptions | None) -> LayerPlaces:
    return LayerPlaces.of_options(parents, options or ImageOptions())
