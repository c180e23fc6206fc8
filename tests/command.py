"""The command line run without starting an interpreter: in a fork of the test's process, which has imported it all.

What the command does to its process (signals, descriptors, namespaces, the collector)
ends with the fork. Windows has no fork: there it is the test's own process that gives
the command its descriptors, and takes them back. On other systems, and where a test has
options for subprocess.run, a program is started as usual.
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
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

__all__ = ["CAN_FORK", "COMMAND", "in_a_fork", "wclayer"]

COMMAND = (sys.executable, "-m", "wclayer")
CAN_FORK = sys.platform == "linux"
_HERE = sys.platform == "win32"


def wclayer(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: str | Path | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line with these arguments; its exit code, and what it wrote."""
    if options or not (CAN_FORK or _HERE):
        options.setdefault("capture_output", True)
        return subprocess.run([*COMMAND, *map(str, arguments)], input=stdin, cwd=cwd, check=check, **options)
    done = (_here if _HERE else in_a_fork)(*arguments, stdin=stdin, cwd=cwd)
    if check:
        done.check_returncode()
    return done


def in_a_fork(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 600,
    prepare: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """The same, always in a fork. env: in the place of the environment. seconds: until it is killed. prepare: called
    in the fork before.
    """
    command = [*COMMAND, *map(str, arguments)]
    main = _main()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        source, sink = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the test runner, which the fork never uses
            child = os.fork()
        if child == 0:
            descriptors = (source, out.fileno(), errors.fileno())
            code = 1
            with suppress(BaseException):
                if env is not None:
                    os.environ.clear()
                    os.environ.update(env)
                if prepare is not None:
                    prepare()
                code = _run(main, command[len(COMMAND) :], descriptors, cwd, alone=True)
            os._exit(code)
        os.close(source)
        killer = threading.Timer(seconds, os.kill, (child, signal.SIGKILL))
        killer.start()
        _feed(sink, stdin)
        _, status = os.waitpid(child, 0)
        killer.cancel()
        code = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(command, code, _all(out), _all(errors))


def _main() -> Any:
    """The command line, with everything imported that its subcommands import when they are asked for."""
    module = import_module("wclayer.cli.main")
    for group in (module.cli, module.cli.commands["hive"], module.cli.commands["disk"]):
        for name in group.commands:
            group.commands[name]
    import_module("wclayer.distribution.http")
    return module.main


def _here(
    *arguments: str | Path, stdin: bytes = b"", cwd: str | Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """In this process, whose descriptors, handlers and folder are given back."""
    command = [*COMMAND, *map(str, arguments)]
    main = _main()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        source, sink = os.pipe()
        feeder = threading.Thread(target=_feed, args=(sink, stdin))
        feeder.start()
        streams, folder = (sys.stdin, sys.stdout, sys.stderr), os.getcwd()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        kept = [os.dup(number) for number in range(3)]
        try:
            code = _run(main, command[len(COMMAND) :], (source, out.fileno(), errors.fileno()), cwd)
        finally:
            for number, descriptor in enumerate(kept):
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.close(source)
            feeder.join()
            sys.stdin, sys.stdout, sys.stderr = streams
            os.chdir(folder)
            for which, handler in handlers.items():
                signal.signal(which, handler)
        return subprocess.CompletedProcess(command, code, _all(out), _all(errors))


def _feed(sink: int, stdin: bytes) -> None:
    with suppress(OSError), open(sink, "wb") as pipe:
        pipe.write(stdin)


def _run(
    main: Any, arguments: list[str], descriptors: tuple[int, ...], cwd: str | Path | None, *, alone: bool = False
) -> int:
    """The exit code, with the descriptors in the places of the standard ones. alone: close all others."""
    code = 1
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    if alone:  # as in a program: a connection that a test's server closes is closed then
        os.closerange(3, 4096)
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
