"""Make a disk image with an empty NTFS volume, with the programs mkntfs and sfdisk."""

from __future__ import annotations

import os
import re
from typing import Final

from ..errors import InexpressibleError, StorageError, UsageError
from ..host.errors import host_errors
from ..host.programs import find_program, last_line, run_program
from ..stores.atomic import partial_file
from ..win32.names import to_utf16
from .loop import loop_device
from .partitions import Partition, partitions

__all__ = ["create_disk", "parse_size"]

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT]?)(i?B)?", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST: Final = 16 << 20  # bytes
_MOST: Final = 16 << 40  # 2**32 clusters of 4096 bytes
_SECTOR: Final = 512
_START: Final = 2048  # sectors before the first partition, as Windows leaves them
_MAX_LABEL: Final = 32  # UTF-16 units
_BASIC_DATA: Final = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"  # the type of Windows' partitions


def parse_size(text: str) -> int:
    """Bytes in a text such as `20G` or `512M`, in powers of 1024. Raises UsageError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError("a size", expected="a number with K, M, G or T", got=text)
    return _checked(int(found[1]) * _UNITS[found[2].upper()], text)


def _checked(size: int, shown: object) -> int:
    if not _LEAST <= size <= _MOST or size % _SECTOR:
        expected = f"at least {_LEAST >> 20}M and at most {_MOST >> 40}T, in sectors of {_SECTOR} bytes"
        raise UsageError("a size", expected=expected, got=shown)
    return size


def create_disk(
    path: str | os.PathLike[str], size: int, *, partition: bool = True, label: str = "", force: bool = False
) -> Partition:
    """Make the raw disk image `path` of `size` bytes with an empty NTFS volume; it takes the space of what is in it.

    partition: with a GPT and one partition, as Windows expects of a disk; otherwise the image is the volume. label: the
    volume's. force: replace a file. Returns where the volume is. Raises UsageError for such a size, InexpressibleError
    for such a label, AlreadyExistsError, NotFoundError, UnsupportedError where mkntfs or sfdisk is missing,
    StorageError; then there is no image.
    """
    shown = os.fspath(path)
    _checked(size, size)
    units = to_utf16(label)
    if len(units) > 2 * _MAX_LABEL:
        raise InexpressibleError(
            "a volume label too long", path=shown, expected=f"at most {_MAX_LABEL} characters of UTF-16", got=label
        )
    if "\0" in label or units.decode("utf-16-le", "ignore") != label:
        raise InexpressibleError("a volume label with what is no character", path=shown, got=label)
    for program in ("mkntfs", "sfdisk") if partition else ("mkntfs",):
        find_program(program, shown)
    with partial_file(shown, force=force) as file, host_errors(shown):
        file.truncate(size)
        if not partition:
            _format(file.name, label, shown)
            return Partition(None, 0, size)
        table = f'label: gpt\nstart={_START}, type={_BASIC_DATA}, name="Basic data partition"\n'
        _run(shown, "sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", file.name, text=table)
        with open(file.name, "rb") as made:
            (part,) = partitions(made, shown)
        with loop_device(file.fileno(), os.fsencode(shown), part.offset, part.size, writable=True) as device:
            _format(device, label, shown)
        return part


def _format(device: str, label: str, path: str) -> None:
    options = ["--quick", "--force", "--quiet", "--partition-start", str(_START), "--heads", "255"]
    options += ["--sectors-per-track", "63", "--sector-size", str(_SECTOR), "--cluster-size", "4096"]
    _run(path, "mkntfs", *options, *(["--label", label] if label else []), device)


def _run(path: str, name: str, *arguments: str, text: str = "") -> None:
    done = run_program(path, name, *arguments, text=text)
    if done.returncode:
        raise StorageError(f"{name} failed: {last_line(done.stderr) or done.returncode}", path=path)
