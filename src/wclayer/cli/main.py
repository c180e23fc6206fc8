"""The `wclayer` command: its subcommands, and what every one of them does with errors and signals."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from .. import __version__
from ..errors import WclayerError
from .build import build
from .completion import completion
from .copy import copy
from .export import export
from .hive import hive
from .import_ import import_
from .index import index
from .layers import layers
from .makebaselayer import makebaselayer
from .squash import squash
from .status import status

__all__ = ["cli", "main"]

_INTERNAL = 70
_INTERRUPTED = 130
_TERMINATED = 143
_BROKEN_PIPE = 141


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wclayer")
def cli() -> None:
    """Make, take apart and put together the layers of Windows containers, on any operating system.

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
      wclayer status nanoserver
      wclayer makebaselayer hello
    """


cli.add_command(build)
cli.add_command(copy)
cli.add_command(layers)
cli.add_command(index)
cli.add_command(import_)
cli.add_command(export)
cli.add_command(squash)
cli.add_command(makebaselayer)
cli.add_command(status)
cli.add_command(hive)
cli.add_command(completion)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line in `args` (sys.argv's, if None) and exit with the code that docs/exit-codes.md gives."""
    arguments = list(sys.argv[1:] if args is None else args)
    signal.signal(signal.SIGTERM, _terminated)
    debug = "--debug" in arguments
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
    except BrokenPipeError:
        code = _silent()
    except Exception as error:
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
    sys.exit(code)


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
    """The reader of our output has gone away: say nothing, and keep Python from trying to flush once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    os.close(null)
    return _BROKEN_PIPE
