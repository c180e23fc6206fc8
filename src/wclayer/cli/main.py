"""The `wclayer` command: its subcommands, and what every one of them does with errors and signals."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn, TextIO

import click

from .. import __version__
from ..errors import WclayerError
from ..host.errors import translate
from ..host.unfinished import abort_unfinished
from ..stores import settings
from .lazy import LazyCommands

__all__ = ["cli", "main"]

_INTERNAL = 70
_INTERRUPTED = 130
_TERMINATED = 143
_BROKEN_PIPE = 141
_COLLECT = (50_000, 20, 100)  # see gc.set_threshold; what we keep by the hundred thousand has no cycles
_NO_SPACE_ERRNOS = (errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))


class _ReaderGoneError(Exception):
    """The reader of our output has gone away."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGoneError from error  # as click makes of the other an exit with 1


_COMMANDS = LazyCommands(
    __package__,
    {
        "build": "build:build",
        "copy": "copy:copy",
        "layers": "layers:layers",
        "verify": "verify:verify",
        "inspect": "inspect:inspect",
        "ls": "ls:ls",
        "cat": "cat:cat",
        "extract": "extract:extract",
        "find": "find:find",
        "diff": "diff:diff",
        "index": "index:index",
        "import": "import_:import_",
        "export": "export:export",
        "squash": "squash:squash",
        "makebaselayer": "makebaselayer:makebaselayer",
        "process": "process:process",
        "create": "create:create",
        "mount": "mount:mount",
        "unmount": "unmount:unmount",
        "remove": "remove:remove",
        "status": "status:status",
        "hive": "hive:hive",
        "disk": "disk:disk",
        "completion": "completion:completion",
    },
)


@click.group(
    cls=_Commands,
    commands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="wclayer")
def cli() -> None:
    """Build, inspect, check and repack Windows container images on any operating system.

    \b
    Examples:
      wclayer build hello -o oci:out:hello
      wclayer build app --from oci:base:nanoserver -o oci:out:app
      wclayer layers oci:out:hello
      wclayer copy oci:out:hello oci-archive:hello.tar
      wclayer import -i layer.tar.gz nanoserver
      wclayer export -z -o layer.tar.gz nanoserver
      wclayer import -l nanoserver -i app.tar.gz app-layer
      wclayer squash oci:out:app -o oci:out:one-layer
      wclayer verify oci:out:app
      wclayer status nanoserver
      wclayer makebaselayer hello
    """


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line in `args` (sys.argv's, if None) and exit with the code that docs/exit-codes.md gives."""
    arguments = list(sys.argv[1:] if args is None else args)
    signal.signal(signal.SIGTERM, _terminated)
    gc.set_threshold(*_COLLECT)
    stdout = sys.stdout
    sys.stdout = _any_text(stdout)
    try:
        code = _run(arguments)
    finally:
        sys.stdout = stdout
        abort_unfinished()
    sys.exit(code)


def _any_text(stdout: TextIO) -> TextIO:
    """`stdout`, which takes all text and all that it is given.

    A pipe or file of Windows has a code page, which has letters for few names. Under PYTHONUNBUFFERED a write may write
    less than it is given, without an error.
    """
    if not isinstance(stdout, io.TextIOWrapper):
        return stdout
    if isinstance(stdout.buffer, io.RawIOBase):
        return open(stdout.fileno(), "w", encoding=stdout.encoding, errors="backslashreplace", closefd=False)
    stdout.reconfigure(errors="backslashreplace")
    return stdout


def _run(arguments: list[str]) -> int:
    """The exit code."""
    debug = "--debug" in arguments
    settings.plain = os.environ.get("WCLAYER_PLAIN") not in (None, "", "0")
    began = time.perf_counter()
    try:
        result = cli.main(arguments, prog_name="wclayer", standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except WclayerError as error:
        code = _report(error, as_json="--json" in arguments, debug=debug)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = _INTERRUPTED
    except (BrokenPipeError, _ReaderGoneError):
        code = _silent()
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _NO_SPACE_ERRNOS:
            code = _report(translate(error, "stdout"), as_json="--json" in arguments, debug=debug)
            _discard(sys.stdout)
            return code
        if debug:
            traceback.print_exc()
        click.echo(
            f"wclayer: internal error: {type(error).__name__}: {error}\n"
            "This is a bug of wclayer. Please report it, with what --debug prints.",
            err=True,
        )
        code = _INTERNAL
    if debug:
        click.echo(f"wclayer: {time.perf_counter() - began:.3f} s, {time.process_time():.3f} s of processor", err=True)
    return code


def _report(error: WclayerError, *, as_json: bool, debug: bool) -> int:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BrokenPipeError):
            return _silent()
        cause = cause.__cause__
    if debug:
        traceback.print_exc()
    if as_json:
        click.echo(json.dumps(error.as_dict(), sort_keys=True), err=True)
    else:
        click.echo(f"wclayer: {error}", err=True)
    return error.exit_code


def _silent() -> int:
    """The reader of our output has gone away: say nothing."""
    _discard(sys.stdout, sys.stderr)
    return _BROKEN_PIPE


def _discard(*streams: TextIO) -> None:
    """Keep Python from trying once more to flush what these hold."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(null, stream.fileno())
    os.close(null)
