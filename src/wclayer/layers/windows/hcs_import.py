"""What follows when a non-base layer is written for the host compute service: ImportLayer, and what it cannot do.

hcsshim's order: the transport folder goes to ImportLayer; names that the layer deletes
are removed; hard links are made, into the layer and into its parents; directories get
their times back; the utility VM is processed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress

from ...errors import LayerError, NotFoundError
from ...hcs import calls
from ...host.errors import absolute, host_errors, shown
from ...native import handles
from ...stores.atomic import folder_beside
from ...stores.record.reader import RecordReader
from ...stores.record.writer import LAYER_DB, Kind, add_extras
from ...stores.root.root_windows import WindowsRoot
from ...stores.windows.hcs_sink import TRANSPORT
from ...stores.windows.sink import HELD, UNHELD, held_by
from ...stores.windows.utility_vm import link_to, remove_tree_of
from ...union.rules import FILES, HIVES, UTILITY_VM
from ...win32.names import encode_wtf8
from .service import extended, service_path

__all__ = ["finish_import"]


def finish_import(path: str | os.PathLike[str], parents: Sequence[str | os.PathLike[str]]) -> None:
    """Make the folder `path`, as HcsSink leaves it, a layer; parents: nearest first.

    Raises what the service answers; what it has made by then is the caller's to remove.
    """
    layer = absolute(path)
    with host_errors(shown(path)):
        with folder_beside(layer) as transport:
            os.rmdir(transport)
            os.rename(os.path.join(layer, TRANSPORT), transport)
            calls.import_layer(extended(path), shown(transport), [service_path(parent) for parent in parents])
        record = RecordReader(os.path.join(layer, LAYER_DB))
        with closing(record), ExitStack() as roots:
            root = roots.enter_context(closing(WindowsRoot(layer)))
            others = [roots.enter_context(closing(WindowsRoot(absolute(parent), descriptors=2))) for parent in parents]
            for whiteout in record.whiteouts():
                if whiteout.startswith(f"{FILES}/"):
                    with suppress(FileNotFoundError):
                        remove_tree_of(root, encode_wtf8(whiteout))
            _make_links(record, root, others)
            _set_times(record, root)
            found = _differences(record, root)
            has_vm = root.exists(UTILITY_VM.encode())
            if has_vm:
                root.list(UTILITY_VM.encode())  # which a link refuses
        add_extras(os.path.join(layer, LAYER_DB), found)
        if has_vm:
            calls.process_utility_image(f"{extended(path)}\\{UTILITY_VM}")


def _make_links(record: RecordReader, root: WindowsRoot, parents: Sequence[WindowsRoot]) -> None:
    """The hard links of Files, and those from the utility VM into Files; the others of the utility VM are there."""
    for row in record.rows():
        if row.kind not in (Kind.LINK, Kind.PARENT_LINK):
            continue
        path = record.path_of(row)
        places: Sequence[WindowsRoot]
        if row.kind == Kind.LINK and isinstance(row.target, int):
            target, places = record.path_of(record.get(row.target)), (root,)
        else:
            target, places = str(row.target), parents
            if target.startswith(f"{UTILITY_VM}/"):
                places = (root, *parents)  # a clone that this layer has, as hcsshim: boot files are copies
        if not path.startswith(f"{FILES}/") and not target.startswith(f"{FILES}/"):
            continue
        with suppress(FileNotFoundError):
            remove_tree_of(root, encode_wtf8(path))
        _link(places, target, root, path)


def _link(places: Sequence[WindowsRoot], target: str, root: WindowsRoot, path: str) -> None:
    for place in places:
        try:
            with place.handle(encode_wtf8(target), handles.WRITE_ATTRIBUTES) as handle:
                link_to(handle, root, encode_wtf8(path))
                return
        except FileNotFoundError:
            continue
    raise NotFoundError("hard link to nothing, after ImportLayer", path=path, expected=f"a file {target!r}")


def _set_times(record: RecordReader, root: WindowsRoot) -> None:
    """Give directories their times back, children first: what was removed and linked has changed them."""
    numbers = [row.id for row in record.rows() if row.kind == Kind.DIRECTORY]
    for number in reversed(numbers):
        row = record.get(number)
        path = record.path_of(row)
        if path.partition("/")[0] not in (FILES, UTILITY_VM):
            continue
        try:
            root.set_times(encode_wtf8(path), row.times)
        except FileNotFoundError:
            raise LayerError("a directory that ImportLayer has not made", path=path) from None


def _differences(record: RecordReader, root: WindowsRoot) -> list[tuple[int, str, bytes]]:
    """What ImportLayer and the volume have made otherwise than asked, for the record: then it is nobody's edit.

    ImportLayer takes the files of Hives without their metadata.
    """
    found: list[tuple[int, str, bytes]] = []
    for row in record.rows():
        path = record.path_of(row)
        top = path.partition("/")[0]
        if row.kind not in (Kind.DIRECTORY, Kind.FILE) or top == UTILITY_VM:
            continue
        with root.handle(encode_wtf8(path), handles.READ_ATTRIBUTES) as handle:
            held = held_by(handle, row.attributes, row.times)
        if held is not None:
            found.append((row.id, HELD, held))
        if top == HIVES:
            found.append((row.id, UNHELD, b"descriptor,extended attributes,object ID,backup streams"))
    return found
