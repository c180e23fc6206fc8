"""Options, streams and output that every command shares (docs/commands.md, "Common behaviour")."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

import click

from ..distribution.registries import Registries
from ..entry import Summary
from ..errors import NotFoundError, UsageError, printable
from ..host.errors import host_errors
from ..images.choosing import ImageSelector, parse_platform
from ..images.one_layer import layer_of
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference, parse_place
from ..images.reading import ImageLayer, open_image
from ..stores.atomic import partial_file

__all__ = [
    "Counted",
    "check_image_output",
    "choice_of",
    "choice_options",
    "code_page_option",
    "common_options",
    "open_input",
    "open_layer_input",
    "open_output",
    "pairs",
    "parents_option",
    "print_summary",
    "size_text",
    "temporary_folder",
    "with_seconds",
]

P = ParamSpec("P")
R = TypeVar("R")

code_page_option = click.option(
    "--code-page",
    metavar="N",
    type=click.IntRange(1, 65535),
    help="Code page of a REGEDIT4 file, such as 1252. Default: ASCII only.",
)


def common_options(command: Callable[P, R]) -> Callable[P, R]:
    """--json, --quiet, --verbose and --debug."""
    for option in (
        click.option("--debug", is_flag=True, help="Show tracebacks and timings."),
        click.option("-v", "--verbose", is_flag=True, help="List entries on stderr, or print more details."),
        click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
        click.option("--json", "as_json", is_flag=True, help="Print the result or the error as JSON."),
    ):
        command = option(command)
    return command


def parents_option(note: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """-l/--layer, in hcsshim's order; `note` says what a command makes of it."""
    return click.option(
        "-l",
        "--layer",
        "parents",
        metavar="PARENT",
        multiple=True,
        type=click.Path(),
        help=f"Parent folder; nearest first, base last. {note}",
    )


class Counted:
    """A binary input that counts what was read of it, for the progress bar; `total` is None for a pipe."""

    def __init__(self, stream: BinaryIO, total: int | None) -> None:
        self._stream = stream
        self.total = total
        self.done = 0

    def read(self, n: int = -1, /) -> bytes:
        data = self._stream.read(n)
        self.done += len(data)
        return data


@contextlib.contextmanager
def open_input(path: str | None, what: str = "tar", how: str = "give it with -i") -> Iterator[Counted]:
    """The file at `path`, or stdin for None and `-`. Raises NotFoundError, UsageError for a terminal.

    what, how: for errors, what the file should be, and the option that names it.
    """
    if path is None or path == "-":
        if sys.stdin.isatty():
            raise UsageError(f"no {what} to read: stdin is a terminal", hint=f"{how}, or through a pipe")
        # Unbuffered: another thread reads it, and a buffer's lock would be in the way if we end while it waits.
        yield Counted(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer), None)
        return
    with host_errors(path):
        if os.path.isdir(path):
            raise UsageError(f"a folder, where a {what} must be", path=path)
        try:
            stream = open(path, "rb")
        except FileNotFoundError:
            raise NotFoundError("no such file", path=path) from None
    with stream:
        total = os.fstat(stream.fileno()).st_size
        yield Counted(stream, total or None)


@contextlib.contextmanager
def open_layer_input(
    place: ImageReference, selector: ImageSelector | None, registries: Registries
) -> Iterator[tuple[Counted, ImageLayer]]:
    """The blob of the layer at `PLACE#N`, which is checked when it has been read, and the layer itself."""
    with (
        open_image(
            place, options=ImageOptions(selector=selector, temp_dir=temporary_folder(), registries=registries)
        ) as image,
        contextlib.closing((layer := layer_of(image, place.layer)).open()) as blob,
    ):
        yield Counted(cast("BinaryIO", blob), layer.descriptor.size or None), layer


def temporary_folder() -> str | None:
    """Where to put aside what cannot be read from where it is: WCLAYER_TMPDIR; None for the system's place."""
    return os.environ.get("WCLAYER_TMPDIR") or None


def check_image_output(text: str, *, as_json: bool, force: bool) -> bool:
    """Is the image to go to stdout? Raises UsageError for a terminal, and if stdout is wanted for results."""
    if parse_place(text).path != "-":
        return False
    if as_json:
        raise UsageError("--json, while the image itself goes to stdout", hint="name a file")
    if sys.stdout.isatty() and not force:
        raise UsageError("an archive is not written to a terminal", hint="name a file, redirect, or say --force")
    return True


def pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """What was given with an option of NAME=VALUE; the last of a name counts. Raises UsageError."""
    result: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(option, expected="NAME=VALUE", got=pair)
        result[key] = value
    return result


def choice_options(command: Callable[P, R]) -> Callable[P, R]:
    """--os-version and --platform, for `choice_of`."""
    command = click.option(
        "--platform",
        metavar="HOST",
        help="Select the image of an index for a host: windows/amd64:10.0.20348.",
    )(command)
    return click.option(
        "--os-version", metavar="VERSION", help="Select an image of an index by OS version (prefix allowed)."
    )(command)


def choice_of(os_version: str | None, platform: str | None) -> ImageSelector | None:
    """The ImageSelector of --os-version and --platform; None without either."""
    if os_version is None and platform is None:
        return None
    return ImageSelector(os_version=os_version, platform=None if platform is None else parse_platform(platform))


@contextlib.contextmanager
def open_output(path: str | None, *, force: bool, what: str = "a tar") -> Iterator[BinaryIO]:
    """A binary file to write to: stdout for None and `-`, else `path`, which appears only when it is whole.

    what: is written, for the error where that is a terminal.
    """
    if path is None or path == "-":
        if sys.stdout.isatty() and not force:
            raise UsageError(f"{what} is not written to a terminal", hint="give -o FILE, redirect, or say --force")
        yield sys.stdout.buffer
        return
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        # A device or a named pipe cannot be replaced by a renamed file, so it is written directly.
        with host_errors(path), open(path, "wb") as device:
            yield device
        return
    with partial_file(path, force=force) as stream:
        yield stream


def size_text(size: int) -> str:
    """`size` bytes for people: 1.5 MB, in powers of 1000."""
    number = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{size} bytes" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def with_seconds(result: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The result of a command as JSON has it, with the time that it took before the warnings."""
    return {
        **{name: value for name, value in result.items() if name != "warnings"},
        "seconds": round(seconds, 3),
        "warnings": result["warnings"],
    }


def print_summary(verb: str, what: str, summary: Summary, began: float, *, as_json: bool, err: bool = False) -> None:
    """The result of a command on stdout, or on stderr if `err`; `began` is a time.perf_counter()."""
    seconds = time.perf_counter() - began
    if as_json:
        click.echo(json.dumps(with_seconds(summary.to_dict(), seconds)), err=err)
        return
    counts = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in sorted(summary.entries.items()))
    lines = [f"{verb} {what}: {counts or 'nothing'}; {size_text(summary.bytes)} in {seconds:.1f} s"]
    if summary.diff_id is not None:
        lines.append(f"diff_id {summary.diff_id} ({size_text(summary.tar_size or 0)})")
    if summary.compression != "none":
        lines.append(f"digest  {summary.digest} ({size_text(summary.blob_size or 0)}, {summary.compression})")
    if summary.own_records:
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.own_records.items()))
        lines.append(f"what only wclayer restores: {counts}")
    lines.extend(f"warning: {printable(warning)}" for warning in summary.warnings)
    click.echo("\n".join(lines), err=err)
