"""The command line run without starting an interpreter: in a fork of the test's process, which has imported it all.

What the command does to its process (signals, descriptors, namespaces, the collector)
ends with the fork. On other systems than Linux, and where a test has options for
subprocess.run (an environment, say), a program is started as usual.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

__all__ = ["COMMAND", "wclayer"]

COMMAND = (sys.executable, "-m", "wclayer")
_CAN_FORK = sys.platform == "linux"


def wclayer(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: str | Path | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line with these arguments; its exit code, and what it wrote."""
    command = [*COMMAND, *map(str, arguments)]
    if not _CAN_FORK or options:
        options.setdefault("capture_output", True)
        return subprocess.run(command, input=stdin, cwd=cwd, check=check, **options)
    main = _main()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        source, sink = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the test runner, which the fork never uses
            child = os.fork()
        if child == 0:
            os.close(sink)
            _run(main, command[len(COMMAND) :], (source, out.fileno(), errors.fileno()), cwd)
        os.close(source)
        with suppress(BrokenPipeError), open(sink, "wb") as pipe:
            pipe.write(stdin)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
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


def _run(main: Any, arguments: list[str], descriptors: tuple[int, ...], cwd: str | Path | None) -> None:
    """In the fork; never returns."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        sys.stdin = open(0, encoding="utf-8", closefd=False)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
        tempfile.tempdir = None  # a test may have set TMPDIR
        if cwd is not None:
            os.chdir(cwd)
        main(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
