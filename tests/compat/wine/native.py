"""Run under wine's Python: wclayer with the stand-in in the place of what wine lacks.

native.py STANDIN jobs JOBS RESULTS    each command line of the list JOBS, with its variables of the stand-in
native.py STANDIN trips FOLDER         each FOLDER/N.tar into a layer folder and out again, in both framings
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.cli.main import main as command_line
from wclayer.errors import WclayerError
from wclayer.hcs.declarations import VMCOMPUTE
from wclayer.native.declarations import NATIVES

# What wine 8 does not have.
LACKING = (
    "BackupRead",
    "BackupSeek",
    "BackupWrite",
    "DeleteVolumeMountPointW",
    "GetVolumeNameForVolumeMountPointW",
    "SetVolumeMountPointW",
)


def stand_in(library: str) -> None:
    NATIVES.take(dict.fromkeys((*LACKING, *VMCOMPUTE), library))


def trips(folder: Path) -> None:
    """What comes out is written beside; an error too, as text."""
    for tar in sorted(folder.glob("*.tar")):
        layer = folder / "layers" / tar.stem
        layer.parent.mkdir(exist_ok=True)
        try:
            with tar.open("rb") as stream:
                import_layer_from_tar(stream, layer, processing=False)
            for framing in ("original", "canonical"):
                with tar.with_suffix(f".{framing}").open("wb") as output:
                    export_layer_to_tar(layer, output, framing=framing, processing=False)
        except WclayerError as error:
            tar.with_suffix(".error").write_text(str(error), encoding="utf-8")


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One command line, as if in a process of its own: its exit code, and what it said."""
    os.environ.update(job["environment"])
    host = job.get("host", {})
    if host.get("lacks"):  # as if Windows had no such library
        places = dict.fromkeys((*LACKING, *VMCOMPUTE), sys.argv[1])
        NATIVES.take(places | dict.fromkeys(host["lacks"], "no-such-library"))
    code: object = None
    with contextlib.ExitStack() as stack:
        for place, value in host.get("instead", {}).items():
            module, _, name = place.rpartition(".")
            stack.enter_context(mock.patch.object(importlib.import_module(module), name, value))
        for place, value in host.get("answers", {}).items():
            module, _, name = place.rpartition(".")
            stack.enter_context(mock.patch.object(importlib.import_module(module), name, lambda *_, value=value: value))
        for path in host.get("open", ()):
            stack.enter_context(open(path, "rb"))
        output = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        errors = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        try:
            command_line(job["arguments"])
        except SystemExit as end:
            code = end.code
        except BaseException:
            errors.write(traceback.format_exc())
    if host.get("lacks"):
        stand_in(sys.argv[1])
    return {"exit": code, "output": output.getvalue(), "error": errors.getvalue(), "token": has_token()}


def has_token() -> bool:
    """Does the thread still act with a token of its own?"""
    token = ctypes.c_void_p()
    return bool(NATIVES.OpenThreadToken(NATIVES.GetCurrentThread(), 0x8, True, ctypes.byref(token)))


def main(library: str, what: str, *rest: str) -> None:
    stand_in(library)
    if what == "trips":
        trips(Path(rest[0]))
    else:
        jobs, results = map(Path, rest)
        found = [run(job) for job in json.loads(jobs.read_text(encoding="utf-8"))]
        results.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
