"""Layer folders that commands take: plain folders, and folders on disk images, which are mounted meanwhile."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Final, ParamSpec, TypeVar

from ..disks.mounting import inside, mounted_volume
from ..errors import NotFoundError, UsageError, WclayerError
from ..images.places.parse import ImageReference, parse_place
from ..operations.layer_places import is_layer
from ..stores.transport.folder import TransportFolder

__all__ = ["folder_of", "layer_folders", "named", "on_disks"]

P = ParamSpec("P")
R = TypeVar("R")

_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
# Where disks are mounted now, and their names.
_MOUNTED: Final[ContextVar[dict[str, str]]] = ContextVar("mounted", default={})  # noqa: B039 # never changed


@contextlib.contextmanager
def layer_folders(
    *, reading: Sequence[str] = (), changing: Sequence[str] = (), making: Sequence[str] = ()
) -> Iterator[Callable[[str], str]]:
    """What gives the host path of each of these texts while the block runs; of a plain path, itself.

    A disk is mounted once, for writing if anything on it is changed or made. Errors of the block name the disk, not
    where it is mounted. Raises what mounted_volume does, and UsageError for places that are no folders.
    """
    writable: dict[tuple[str, int | None], bool] = {}
    disks: dict[str, ImageReference] = {}
    for texts, write, new in ((making, True, True), (changing, True, False), (reading, False, False)):
        for text in texts:
            place = parse_place(text)
            if place.transport != "disk":
                continue
            if new and not (place.inside or "").strip("/."):
                raise UsageError(
                    "a whole disk, where a folder on it must be", path=place.text, expected=f"{place.text}//FOLDER"
                )
            disks[place.text] = place
            key = _key(place)
            writable[key] = writable.get(key, False) or write
    mounts: dict[tuple[str, int | None], str] = {}
    with contextlib.ExitStack() as stack:
        for key, write in writable.items():
            mounts[key] = stack.enter_context(mounted_volume(*key, writable=write))
        shown = {mounts[_key(place)]: _disk(place) for place in disks.values()}
        paths = {text: inside(mounts[_key(place)], place.inside or "", shown=text) for text, place in disks.items()}
        token = _MOUNTED.set({**_MOUNTED.get(), **shown})
        try:
            yield lambda text: paths.get(text, text)
        except WclayerError as error:
            for field in ("message", "path", "layer", "expected", "got", "hint"):
                text = getattr(error, field)
                setattr(error, field, None if text is None else named(text))
            raise
        finally:
            _MOUNTED.reset(token)


def on_disks(parameters: Sequence[str], command: Callable[P, R], *, paths: bool = False) -> Callable[P, R]:
    """Let `command` have the host paths of what it is to find on disk images; `parameters` are those that name layers.

    They are changed where the command has --in-place and was given it. paths: two slashes end the folder of a layer,
    and begin a path in that, which is not the host's: it may have streams, patterns, and links.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        given = {name: kwargs[name] for name in parameters if name in kwargs}
        texts = [text for value in given.values() for text in ((value,) if isinstance(value, str) else value)]  # type: ignore[attr-defined]
        changing = texts if kwargs.get("in_place") else ()
        ends = {text: _end_of_folder(text) if paths else len(text) for text in texts}
        with layer_folders(reading=[text[: ends[text]] for text in texts], changing=changing) as mounted:

            def at(text: str) -> str:
                folder, rest = mounted(text[: ends[text]]), text[ends[text] :]
                if rest and not is_layer(folder):
                    raise NotFoundError("no layer folder or tar", path=text[: ends[text]])
                return folder + rest

            for name, value in given.items():
                kwargs[name] = at(value) if isinstance(value, str) else tuple(map(at, value))  # type: ignore[call-overload]
            return command(*args, **kwargs)

    return run


def _end_of_folder(text: str) -> int:
    """Where in a place the path in a layer on a disk image begins, if one does."""
    place = parse_place(text)
    if place.transport != "disk" or place.inside is None:
        return len(text)
    folder, slashes, path = place.inside.partition("//")
    return len(text) - len(slashes) - len(path) if folder else len(text)


def folder_of(text: str) -> str | TransportFolder:
    """The folder that a text, as layer_folders gives it, stands for; a TransportFolder of transport:DIR."""
    place = parse_place(text)
    return TransportFolder(place.path) if place.transport == "transport" else text


def _key(place: ImageReference) -> tuple[str, int | None]:
    """The disk of a place, and its partition."""
    number: int | None = None
    if place.reference is not None:
        if _NUMBER.fullmatch(place.reference) is None:
            raise UsageError("the number of a partition", path=place.text, got=place.reference)
        number = int(place.reference)
    if place.layer is not None:
        raise UsageError("a disk image has no layers by number", path=place.text, expected=f"disk:{place.path}//FOLDER")
    return os.path.realpath(place.path), number


def _disk(place: ImageReference) -> str:
    """The text of a place up to what follows its `//`; two slashes at the beginning are the image's own."""
    return place.text if place.inside is None else place.text.removesuffix(f"//{place.inside}")


def named(text: str) -> str:
    """`text` with the disks in the place of where they are mounted."""
    for mount, name in _MOUNTED.get().items():
        text = text.replace(f"{mount}/", f"{name}//").replace(mount, name)
    return text
