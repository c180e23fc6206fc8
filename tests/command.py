"""The command line run without starting an interpreter: in a fork of the test's process, which has imported it all.

What the command does to its process (signals, descriptors, namespaces, the collector)
ends with the fork. Windows has no fork: there it is the test's own process that gives
the command its descriptors, and takes them back. On other systems, and where a test has
options for subprocess.run (an environment, say), a program is started as usual.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

__all__ = ["COMMAND", "wclayer"]

COMMAND = (sys.executable, "-m", "wclayer")
_CAN_FORK = sys.platform == "linux"
_HERE = sys.platform == "win32"


def wclayer(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: str | Path | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line with these arguments; its exit code, and what it wrote."""
    command = [*COMMAND, *map(str, arguments)]
    if options or not (_CAN_FORK or _HERE):
        options.setdefault("capture_output", True)
        return subprocess.run(command, input=stdin, cwd=cwd, check=check, **options)
    main = _main()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        source, sink = os.pipe()
        run = _run_here if _HERE else _run_in_a_fork
        code = run(main, command[len(COMMAND) :], (source, out.fileno(), errors.fileno()), sink, stdin, cwd)
        done = subprocess.CompletedProcess(command, code, _all(out), _all(errors))
    if check:
        done.check_returncode()
    return done


def _main() -> Any:
    """The command line, with everything imported that its subcommands import when they are asked for."""
    module = import_module("wclayer.cli.main")
    for group in (module.cli, module.cli.commands["hive"], module.cli.commands["disk"]):
        for name in group.commands:
            group.commands[name]
    import_module("wclayer.distribution.http")
    return module.main


def _run_in_a_fork(
    main: Any, arguments: list[str], descriptors: tuple[int, ...], sink: int, stdin: bytes, cwd: str | Path | None
) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the test runner, which the fork never uses
        child = os.fork()
    if child == 0:
        os.close(sink)
        os._exit(_run(main, arguments, descriptors, cwd))
    os.close(descriptors[0])
    _feed(sink, stdin)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _run_here(
    main: Any, arguments: list[str], descriptors: tuple[int, ...], sink: int, stdin: bytes, cwd: str | Path | None
) -> int:
    feeder = threading.Thread(target=_feed, args=(sink, stdin))
    feeder.start()
    streams, folder = (sys.stdin, sys.stdout, sys.stderr), os.getcwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    kept = [os.dup(number) for number in range(3)]
    try:
        return _run(main, arguments, descriptors, cwd)
    finally:
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(descriptors[0])
        feeder.join()
        sys.stdin, sys.stdout, sys.stderr = streams
        os.chdir(folder)
        for which, handler in handlers.items():
            signal.signal(which, handler)


def _feed(sink: int, stdin: bytes) -> None:
    with suppress(OSError), open(sink, "wb") as pipe:
        pipe.write(stdin)


def _run(main: Any, arguments: list[str], descriptors: tuple[int, ...], cwd: str | Path | None) -> int:
    """The exit code, with the descriptors in the places of the standard ones."""
    code = 1
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    try:
        tempfile.tempdir = None  # a test may have set TMPDIR
        if cwd is not None:
            os.chdir(cwd)
        main(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
