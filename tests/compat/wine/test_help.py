"""The examples in the help of the commands that need Windows, run as they stand there; and the same help everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.tools import wclayer
from tests.compat.wine import standin, wine
from tests.compat.wine.worlds import Batch, child_folder, child_tar, processed_folder, write
from tests.unit.cli.test_examples import examples

COMMANDS = ("create", "mount", "process", "remove", "unmount")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_windows_it_is_said_in_one_line(command: str) -> None:
    done = wclayer(command, "layer")
    assert done.returncode == 17
    assert done.stderr.decode().count("\n") == 1
    assert "needs Windows" in done.stderr.decode()


def test_the_examples_run(batch: Batch) -> None:
    for command in COMMANDS:
        world = batch.folder / command
        processed_folder(world / "nanoserver")
        write(world / "scratch/sandbox.vhdx", b"vhdx")
        (world / "mnt").mkdir()
        if command == "process":
            write(world / "app.tar", child_tar())
            _add(batch, world, "import --plain -l nanoserver -i app.tar app-from-linux")
            _add(batch, world, "import -l nanoserver -i app.tar transport:from-linux")
        else:
            child_folder(world / "app")
        for line in examples(command):
            words = line.removeprefix("wclayer ").replace("C:/mnt", "mnt")
            words = words.replace("scratch", "new") if command == "create" else words
            target = " mnt" * words.endswith("mnt")
            if command == "unmount":
                _add(batch, world, f"mount -l app -l nanoserver scratch{target}")
            _add(batch, world, words)
            if command == "mount":
                _add(batch, world, f"unmount scratch{target}")
    for result in batch.run():
        assert result["exit"] == 0, result


def _add(batch: Batch, world: Path, line: str) -> None:
    paths = ("app", "app-from-linux", "app.tar", "mnt", "nanoserver", "new", "other", "scratch")
    line = line.replace("transport:", f"transport:{standin.windows_path(world)}\\")
    first, *rest = line.split(" ")
    batch.add([first, *(world / word if word in paths else word for word in rest)], world / "state")


def test_the_same_commands_on_windows() -> None:
    wine.need_python()
    here = wclayer("--help")
    there = wine.run_python("-m", "wclayer", "--help")
    assert there.returncode == 0, there.stderr
    assert there.stdout.replace(b"\r\n", b"\n").split() == here.stdout.split()
