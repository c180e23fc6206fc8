"""`wclayer inspect`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from ..errors import escaped, printable
from ..layers.inspect.contents import Contents, Descriptors
from ..layers.inspect.framing import Framing
from ..layers.inspect.inspect import LayerInspection, Stored
from ..layers.inspect.windows import Windows
from ..operations.inspect import ImageFacts, Inspected, inspect_places
from ..operations.layer_places import parse_layer_place
from ..win32.accounts import account_name
from ..win32.attributes import attribute_names
from ..win32.filetime import time_text
from ..win32.sddl import parse_sddl
from ..win32.security import SecurityDescriptor
from .common import size_text, temporary_folder
from .progress import progress_bar
from .sources import SourceCommand, layer_places, source_options

__all__ = ["inspect"]

_WIDTH: Final = 12  # of the names of lines
_TIMES: Final = {
    "creation_time": "created",
    "last_access_time": "accessed",
    "last_write_time": "written",
    "change_time": "changed",
}


@click.command("inspect", cls=SourceCommand, no_args_is_help=True)
@click.argument("src", metavar="SRC")
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of largest files and folders to list.",
)
@source_options()
def inspect(
    src: str,
    top: int,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Describe a layer or an image without extracting it.

    SRC is a layer tar (plain, gzip or zstd; - is stdin), a layer folder, an image, or one layer of it, PLACE#N. For
    each layer: its kind, contents, storage and the program that wrote it; for all layers together also the Windows
    version, installed updates and programs, from the registry. SRC//PATH counts what is at that path and below; PATH
    is taken literally, without patterns, and links on the way are not followed.
    With -v, every layer of an image is described in full, and lists are complete.

    \b
    Examples:
      wclayer inspect layer.tar.gz
      wclayer inspect oci:out:app
      wclayer inspect --json 'oci:out:app#0'
      wclayer inspect --top 3 nanoserver//Files/dir
      wclayer inspect -l nanoserver app.tar.gz
      cat layer.tar | wclayer inspect -
    """
    with (
        layer_places(**options) as places,
        progress_bar("inspecting", quiet=quiet, verbose=False) as progress,
    ):
        found = inspect_places(places, parse_layer_place(src), top=top, temp_dir=temporary_folder(), progress=progress)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    elif not quiet:
        for line in _lines(found, verbose=verbose):
            click.echo(line)


# --- text ----------------------------------------------------------------------


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text}"


def _more(name: str, texts: Iterable[str]) -> Iterator[str]:
    """Lines of one name."""
    for text in texts:
        yield _line(name, text)
        name = ""


def _lines(inspected: Inspected, *, verbose: bool) -> Iterator[str]:
    found, image = inspected.found, inspected.image
    several = len(found.layers) > 1
    if image is not None:
        yield from _image_lines(image, len(found.layers))
    for number, layer in enumerate(found.layers):
        if several:
            yield ""
            yield escaped(layer.name) if image is not None else f"{number}: {escaped(layer.name)}"
        yield from _layer_lines(layer)
        if several and verbose:
            yield from _contents_lines(layer.contents, verbose=verbose)
        elif several:
            yield from _count_lines(layer.contents)
        if several and layer.windows is not None:
            yield _line("Windows", _windows_text(layer.windows))
    if several:
        yield ""
        yield "all layers, as they are stored"
    yield from _contents_lines(found.contents, verbose=verbose)
    if found.windows is not None:
        yield from _windows_lines(found.windows, verbose=verbose)
    yield from (f"note: {printable(note)}" for note in found.notes)


def _image_lines(image: ImageFacts, layers: int) -> Iterator[str]:
    count = f"{layers} {'layer' if layers == 1 else 'layers'}"
    yield _line("image", f"{printable(str(image.platform))}, {count}, {printable(image.digest)}")
    if image.created is not None:
        yield _line("created", printable(image.created))
    for name in ("Entrypoint", "Cmd", "Shell", "WorkingDir", "User"):
        if value := image.config.get(name):
            yield _line(name.lower(), printable(json.dumps(value, ensure_ascii=False)))
    environment = image.config.get("Env")
    if isinstance(environment, list):
        yield from _more("env", (printable(str(one)) for one in environment))
    for name in ("Labels", "ExposedPorts", "Volumes"):
        found = image.config.get(name)
        if isinstance(found, dict):
            texts = (f"{key}={value}" if isinstance(value, str) else str(key) for key, value in sorted(found.items()))
            yield from _more(name.lower(), map(printable, texts))
    yield _line("history", f"{image.history} entries, {image.empty_layers} of them without a layer")


def _layer_lines(layer: LayerInspection) -> Iterator[str]:
    yield _line(
        "kind", f"{'base layer' if layer.base else 'non-base layer'}{', with a utility VM' if layer.utility_vm else ''}"
    )
    if layer.stored is not None:
        yield from _stored_lines(layer.stored)
    if layer.framing is not None:
        yield _line("written by", _framing_text(layer.framing))


def _stored_lines(stored: Stored) -> Iterator[str]:
    size = "" if stored.tar_size is None else f" ({size_text(stored.tar_size)})"
    yield _line("diff_id", f"{printable(stored.diff_id or 'unknown')}{size}")
    if stored.compression not in (None, "none"):
        yield _line("digest", f"{stored.digest} ({size_text(stored.blob_size or 0)}, {stored.compression})")


def _framing_text(framing: Framing) -> str:
    magics = " and ".join(framing.magics) or "nothing"
    pax = "no PAX headers" if framing.pax_writer is None else f"PAX headers as of {framing.pax_writer}"
    return f"{framing.writer} ({printable(magics)}, {pax})"


def _count_lines(contents: Contents) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in contents.entries.items())
    yield _line("entries", counts or "none")
    saved = f"; hard links save {size_text(contents.linked_bytes)}" if contents.linked_bytes else ""
    yield _line("data", f"{size_text(contents.bytes)}{saved}")
    if contents.unresolved_links:
        yield _line("", f"{contents.unresolved_links:,} hard links lead to files that are not among these")


def _contents_lines(contents: Contents, *, verbose: bool) -> Iterator[str]:
    yield from _count_lines(contents)
    if contents.descriptors.absent or contents.attributes:
        yield from _more("times", _time_texts(contents))
        attributes = (f"{attribute_names(bit)[0]} {count:,}" for bit, count in contents.attributes.items())
        yield _line("attributes", ", ".join(attributes) or "none")
        yield from _descriptor_lines(contents.descriptors, verbose=verbose)
    for name, found in (("EAs", contents.extended_attributes), ("streams", contents.streams)):
        shown = found if verbose else found[:10]
        yield from _more(name, (f"{printable(one.name)}  {one.count:,}, {size_text(one.bytes)}" for one in shown))
        if len(shown) < len(found):
            yield _line("", f"and {len(found) - len(shown):,} more names (-v)")
    if contents.reparse_tags:
        yield _line("reparse", ", ".join(f"{tag} {count:,}" for tag, count in contents.reparse_tags.items()))
    for name, largest in (("large files", contents.largest_files), ("folders", contents.largest_folders)):
        yield from _more(name, (f"{size_text(one.bytes):>10}  {escaped(one.path)}" for one in largest))


def _time_texts(contents: Contents) -> Iterator[str]:
    for field, span in contents.times.items():
        absent = f"  ({span.absent:,} without)" if span.absent else ""
        if span.earliest is None or span.latest is None:
            yield f"{_TIMES[field]:<8}  none"
        else:
            yield f"{_TIMES[field]:<8}  {time_text(span.earliest)} to {time_text(span.latest)}{absent}"


def _descriptor_lines(found: Descriptors, *, verbose: bool) -> Iterator[str]:
    owners = found.owners if verbose else found.owners[:10]
    yield from _more("owners", (f"{count:>7,}  {_owner_text(owner)}" for owner, count in owners))
    faults = (
        (found.absent, "without a descriptor"),
        (found.no_dacl, "without a DACL"),
        (found.null_dacl, "with a NULL DACL"),
        (found.malformed, "malformed"),
    )
    said = "".join(f", {count:,} {what}" for count, what in faults if count)
    yield _line("descriptors", f"{found.distinct:,} distinct{said}")
    common = found.common if verbose else found.common[:3]
    yield from _more("", (f"{count:>7,}  {escaped(sddl)}" for sddl, count in common))


def _owner_text(owner: str) -> str:
    """An owner as SDDL has it, and by its name, where every Windows has one for it."""
    sid = SecurityDescriptor.from_bytes(parse_sddl(f"O:{owner}")).owner if owner else None
    if sid is None:
        return "none"
    name = account_name(sid)
    return owner if name in (owner, str(sid)) else f"{owner}  {name}"


def _windows_text(windows: Windows) -> str:
    names = (windows.product_name, windows.edition, windows.display_version, windows.version, windows.installation_type)
    return printable(", ".join(name for name in names if name)) or "unknown"


def _windows_lines(windows: Windows, *, verbose: bool) -> Iterator[str]:
    yield _line("Windows", _windows_text(windows))
    if windows.build_lab:
        yield _line("build", printable(windows.build_lab))
    updates = windows.updates if verbose else windows.updates[:10]
    yield _line("packages", f"{windows.packages:,} installed, {len(windows.updates):,} of them updates")
    yield from _more(
        "updates",
        (
            printable("  ".join(part for part in (one.kb or "", one.package) if part))
            + ("" if one.install_time is None else f"  {time_text(one.install_time)[:10]}")
            for one in updates
        ),
    )
    if len(updates) < len(windows.updates):
        yield _line("", f"and {len(windows.updates) - len(updates):,} more (-v)")
    yield from _more(
        "programs",
        (
            printable(", ".join(part for part in (one.name, one.version, one.publisher) if part))
            + ("  (32 bits)" if one.wow64 else "")
            for one in windows.programs
        ),
    )
