"""What layers are: of each, and of all together, what is in it, which Windows it is, and who wrote its tar.

One pass over each layer, which may come from a pipe; contents are not read, but those of
the registry's hives. Of the rest, see `inspect_contents`, `inspect_framing` and
`inspect_windows`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...entry import AlternateStream, File, Progress, ProgressCallback, Source, Whiteout
from ...errors import with_context
from ...layertar.reader import TarSource
from ...stores.folder.source import LayerFolder
from ...union.naming import not_there_error
from ...union.rules import HIVES, UTILITY_VM_FILES
from ...union.view import within
from ...win32.names import upcase
from ..hives.config_hives import CONFIG_HIVES
from ..hives.merge import HiveStack
from .contents import Contents, Tally
from .framing import Framing, FramingMarks
from .windows import KEYS, Windows, windows_of

__all__ = ["Inspection", "LayerInspection", "Stored", "inspect_sources"]

_SOFTWARE: Final = next(hive for hive in CONFIG_HIVES if hive.name == "SOFTWARE")
_UTILITY_VM: Final = upcase(UTILITY_VM_FILES)
_HIVES: Final = upcase(HIVES)


@dataclass(frozen=True, slots=True)
class Stored:
    """A layer tar as it is stored. Digests are `sha256:HEX`, sizes bytes; None where that is not known."""

    diff_id: str | None
    tar_size: int | None = None
    digest: str | None = None
    blob_size: int | None = None
    compression: str | None = None


@dataclass(frozen=True, slots=True)
class LayerInspection:
    """One layer. name: its place. base: is it a base layer, and not one for on top of others? utility_vm: has it one?

    stored: of a tar, and of a folder that knows from which tar it came. framing: of a tar. windows: what a container
    on this layer and those below would be; None where this layer changes nothing of it. `contents` are those at or
    below the path that was asked for.
    """

    name: str
    base: bool
    utility_vm: bool
    contents: Contents
    stored: Stored | None
    framing: Framing | None
    windows: Windows | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """Layers, base first. contents: of all of them, as they are stored. windows: what a container on them would be.

    notes: what could not be found out, and why.
    """

    layers: tuple[LayerInspection, ...]
    contents: Contents
    windows: Windows | None
    notes: tuple[str, ...]


def inspect_sources(
    layers: Sequence[tuple[str, Source]],
    *,
    base: bool = True,
    inside: str = "",
    top: int = 10,
    temp_dir: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> Inspection:
    """Look into layers, base first, each with its name.

    base: is the lowest a base layer? Of a single one, what is in it decides. inside: the path that is counted, with all
    below it; no links on the way to it are followed. top: how many of the largest, and of the most common, are told.
    progress: called after each entry, with the bytes of files so far.

    Raises NotFoundError if no layer has anything at `inside`, and what reading layers raises; with several layers, the
    error names the layer. A layer is read to its end.
    """
    several = len(layers) > 1
    everything = Tally(top)
    key = upcase(inside)
    done = 0  # bytes
    found: list[tuple[str, bool, bool, Tally, Source, FramingMarks | None]] = []
    within_hives = {_SOFTWARE.name: KEYS}
    faults: list[str] = []
    with HiveStack(
        base=base, guess=not several, temp_dir=temp_dir, within=within_hives, on_fault=faults.append
    ) as registry:
        for number, (name, source) in enumerate(layers):
            tally = Tally(top) if several else everything
            marks = FramingMarks() if isinstance(source, TarSource) else None
            utility_vm, above = False, not base if number == 0 else True
            with with_context(layer=name if several else None):
                for entry, body in source.entries():
                    if marks is not None and isinstance(source, TarSource) and source.member is not None:
                        marks.see(source.member)
                    registry.see(number, entry, body)
                    path = upcase(entry.path)
                    if path == _UTILITY_VM:
                        utility_vm = True
                    elif not above and (isinstance(entry, Whiteout) or path.partition("/")[0] == _HIVES):
                        above = True
                    if not key or within(path, key):
                        tally.add(entry)
                        if several:
                            everything.add(entry)
                    if progress is not None:
                        if isinstance(entry, File | AlternateStream):
                            done += entry.size
                        progress(Progress(done, None, entry))
            tally.end_layer(base=not above)
            if several:
                everything.end_layer(base=not above)
            found.append((name, not above, utility_vm, tally, source, marks))
        if key and not everything.entries:
            raise not_there_error(inside)
        registry.finish([source for _, source in layers])
        windows, by_layer = (None, {}) if key else _windows(registry, len(layers))
        notes = (*faults, *registry.warnings)
    if not registry.base and base and not several and windows is not None:
        notes += ("a layer without those below it: of the registry, what it changes",)
    return Inspection(
        tuple(
            LayerInspection(
                name,
                lowest,
                utility_vm,
                tally.contents(),
                _stored(source),
                None if marks is None else marks.framing(),
                by_layer.get(number),
            )
            for number, (name, lowest, utility_vm, tally, source, marks) in enumerate(found)
        ),
        everything.contents(),
        windows,
        notes,
    )


def _windows(registry: HiveStack, count: int) -> tuple[Windows | None, dict[int, Windows]]:
    """What all layers together are, and what each that changes anything of it makes of those below."""
    last: Windows | None = None
    result: dict[int, Windows] = {}
    for number in range(count):
        if not registry.has(_SOFTWARE, number):
            continue
        hive = registry.view(_SOFTWARE, number + 1)
        if hive is None:
            return None, result
        windows = windows_of(hive.root)
        if windows != last and not (last is None and windows.empty):
            result[number] = last = windows
    return last, result


def _stored(source: Source) -> Stored | None:
    if isinstance(source, TarSource):
        summary = source.summary()
        return Stored(summary.diff_id, summary.tar_size, summary.digest, summary.blob_size, summary.compression)
    if isinstance(source, LayerFolder) and source.diff_id is not None:
        return Stored(source.diff_id)
    return None
