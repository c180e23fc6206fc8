"""Writable layers on Windows: made on top of others, mounted, unmounted, removed; hcsshim's calls, in its order.

Each function leaves nothing half done: what a failed step had before it is undone. They
take paths of layer folders; parents go nearest first, base last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from ...errors import AlreadyExistsError, NotFoundError, UsageError, WclayerError
from ...hcs import calls
from ...host.errors import host_errors, shown
from ...native.volumes import mount_volume, unmount_volume
from .service import service, service_path, the_layer

__all__ = ["create_scratch", "mount_layer", "prepared", "remove_layer", "unmount_layer"]

Path = str | os.PathLike[str]

_OF_LAYERS: Final = ("layer.db", "layerchain.json", "layout", "sandbox.vhdx", "Files")


def _check_parents(parents: Sequence[Path]) -> None:
    if not parents:
        raise UsageError("a writable layer on top of nothing", hint="give the layers below it with -l, nearest first")


def create_scratch(path: Path, parents: Sequence[Path]) -> None:
    """Make the writable layer `path` on top of `parents`.

    Raises UsageError without parents, AlreadyExistsError, NotFoundError, what `service` does, and what the service
    answers; then there is no `path`.
    """
    with service("making a writable layer", parents):
        _check_parents(parents)
        if os.path.lexists(path):
            raise AlreadyExistsError("there is something already", path=shown(path), hint="choose another name")
        above = os.path.dirname(service_path(path))
        if not os.path.isdir(above):
            raise NotFoundError("the folder to make it in is not there", path=above, hint="make it first")
        try:
            calls.create_sandbox_layer(service_path(path), [service_path(parent) for parent in parents])
        except AlreadyExistsError:
            raise  # what is there is somebody else's
        except BaseException:
            if os.path.lexists(path):
                with suppress(WclayerError, OSError):
                    calls.destroy_layer(service_path(path))
            raise


def mount_layer(path: Path, parents: Sequence[Path], target: Path | None = None) -> str:
    r"""Mount the writable layer `path`; its volume (`\\?\Volume{...}`), which is also mounted at `target`.

    target: an empty directory on NTFS. Raises UsageError, NotFoundError, what `service` does, and what the service
    answers; then it is not mounted.
    """
    with service("mounting a layer", (path, *parents)), ExitStack() as undo:
        _check_parents(parents)
        if target is not None and (not os.path.isdir(target) or os.listdir(target)):
            raise NotFoundError("no empty folder to mount at", path=shown(target), hint="make it first")
        layer = service_path(path)
        calls.activate_layer(layer)
        undo.callback(_quietly, calls.deactivate_layer, layer)
        calls.prepare_layer(layer, [service_path(parent) for parent in parents])
        undo.callback(_quietly, calls.unprepare_layer, layer)
        volume = calls.get_layer_mount_path(layer)
        if target is not None:
            with host_errors(shown(target)):
                mount_volume(volume, service_path(target))
        undo.pop_all()
    return volume


def _quietly(step: Callable[[str], None], layer: str) -> None:
    """A step of undoing: the error that led to it counts."""
    with suppress(WclayerError):
        step(layer)


@contextmanager
def prepared(path: Path, parents: Sequence[Path]) -> Iterator[None]:
    """Have the service look a layer over before it is exported; it stays active while the block runs.

    Raises what `service` does, and what the service answers.
    """
    with service("exporting a layer", (path, *parents)):
        layer = service_path(path)
        with ExitStack() as undo:
            calls.activate_layer(layer)
            undo.callback(_quietly, calls.deactivate_layer, layer)
            calls.prepare_layer(layer, [service_path(parent) for parent in parents])
            with ExitStack() as again:  # one that stays prepared cannot be deactivated
                again.callback(_quietly, calls.unprepare_layer, layer)
                calls.unprepare_layer(layer)
                again.pop_all()
            yield
            calls.deactivate_layer(layer)
            undo.pop_all()


def unmount_layer(path: Path, target: Path | None = None) -> None:
    """Undo mount_layer, as far as that is still to be done. Every step is taken, and the first error raised."""
    with service("unmounting a layer"):
        layer = the_layer(path)
        errors: list[WclayerError] = []
        if target is not None:
            errors += _tried(_unmount, service_path(target))
        unprepared = _tried(calls.unprepare_layer, layer)
        deactivated = _tried(calls.deactivate_layer, layer)
        # One that could be deactivated was not prepared any more.
        errors += deactivated and unprepared + deactivated
        if errors:
            raise errors[0]


def _tried(step: Callable[[str], None], path: str) -> list[WclayerError]:
    try:
        step(path)
    except WclayerError as error:
        return [error]
    return []


def _unmount(target: str) -> None:
    with host_errors(target):
        unmount_volume(target)


def remove_layer(path: Path) -> None:
    """Remove a layer with its folder, of whatever kind.

    Raises UsageError for a folder that does not look like a layer's, StorageError for one that is in use.
    """
    with service("removing a layer"):
        layer = the_layer(path)
        if not any(os.path.lexists(os.path.join(layer, name)) for name in _OF_LAYERS):
            raise UsageError(
                "a folder that is no layer's", path=layer, expected=f"one of {', '.join(_OF_LAYERS)} in it"
            )
        calls.destroy_layer(layer)
