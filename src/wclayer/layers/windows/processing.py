r"""Windows' own processing of a base layer: ProcessBaseImage, and ProcessUtilityImage where there is a utility VM.

It makes what containers need of a layer: Hives\*_Base, blank-base.vhdx and blank.vhdx,
layout; UtilityVM\SystemTemplateBase.vhdx and SystemTemplate.vhdx, with a boot store that
is rewritten. Neither call is atomic, and what a failed one leaves makes the next fail
with "file exists": so what there is is looked at before, and what a failure has left is
removed after.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing, suppress
from typing import Final, Literal

from ...errors import AlreadyExistsError, NotFoundError, RecordError, WclayerError
from ...hcs import calls
from ...host.errors import absolute, host_errors, shown
from ...stores.record.reader import RecordReader
from ...stores.record.writer import LAYER_DB, set_value
from ...stores.root.open_root import open_root
from ...stores.root.root import Root
from ...union.rules import BOOT_FILES, FILES, UTILITY_VM, UTILITY_VM_FILES
from .service import extended

__all__ = ["PENDING", "PROCESSING", "clean_folder", "is_pending", "mark_done", "process_folder", "state_of"]

_HIVES: Final = ("DefaultUser", "Sam", "Security", "Software", "System")
_OF_BASE: Final = (b"blank-base.vhdx", b"blank.vhdx", b"layout", *(b"Hives/%b_Base" % name.encode() for name in _HIVES))
_OF_VM: Final = (b"UtilityVM/SystemTemplateBase.vhdx", b"UtilityVM/SystemTemplate.vhdx")
# Registry logs that loading a hive leaves beside it.
_BESIDE: Final = (b"", b".LOG1", b".LOG2")

State = Literal["none", "partial", "whole"]

# In layer.db's table layer, of a layer that is to be processed where it is imported.
PROCESSING: Final = "processing"
PENDING: Final = "pending"
_DONE: Final = "done"


def is_pending(path: str | os.PathLike[str]) -> bool:
    """Is there a layer whose import ended before Windows had processed it? Nobody could run it."""
    record = os.path.join(absolute(path), LAYER_DB)
    if not os.path.isfile(record):
        return False
    try:
        with closing(RecordReader(record)) as reader:
            return reader.values.get(PROCESSING) == PENDING
    except RecordError:
        return False  # somebody else's


def mark_done(path: str | os.PathLike[str]) -> None:
    """Note in the record of the layer in `path` that Windows has processed it."""
    set_value(os.path.join(absolute(path), LAYER_DB), PROCESSING, _DONE)


def state_of(root: Root) -> State:
    """How much of what the processing makes is there."""
    wanted = (*_OF_BASE, *(_OF_VM if root.exists(UTILITY_VM_FILES.encode()) else ()))
    found = sum(map(root.exists, wanted))
    if found == len(wanted):
        return "whole"
    return "partial" if found or root.exists(b"Hives") else "none"


def clean(root: Root) -> list[str]:
    """Remove what the processing has made, whole or in part, and put the boot files back; what was removed."""
    removed = []
    for name in (*_OF_BASE, *_OF_VM):
        for tail in _BESIDE:
            if root.exists(name + tail):
                root.unlink(name + tail)
                removed.append(os.fsdecode(name + tail))
    with suppress(OSError):  # with something of somebody else's in it, it stays
        root.rmdir(b"Hives")
    for path, backup in BOOT_FILES.items():
        if removed and root.exists(backup):
            _copy(root, backup, path.encode())
    return removed


def _copy(root: Root, source: bytes, target: bytes) -> None:
    """The content of a file of the folder, and its times, into another one; if that is there, it stays what it is."""
    found = root.lstat(source)
    to = root.rewrite(target) if root.exists(target) else root.create(target)
    with os.fdopen(root.open(source), "rb") as old, os.fdopen(to, "wb") as new:
        shutil.copyfileobj(old, new)
    root.utime(target, (found.st_atime_ns, found.st_mtime_ns))


def clean_folder(path: str | os.PathLike[str]) -> None:
    """Remove what the processing of the base layer in `path` has made, whole or not."""
    with host_errors(shown(path)), closing(open_root(absolute(path))) as root:
        clean(root)


def process_folder(path: str | os.PathLike[str], *, clean_first: bool = False) -> bool:
    """Have Windows process the base layer in `path`; False if that has been done before.

    clean_first: remove what an earlier run has made, whole or not. The caller has made sure that the service is there
    (`windows.service`). Raises AlreadyExistsError for the debris of a failed run, ConfinementError for a UtilityVM that
    is a link, and what the service answers: then what it has left is removed again.
    """
    with host_errors(shown(path)):
        with closing(open_root(absolute(path))) as root:
            if not root.exists(FILES.encode()):
                raise NotFoundError("no Files/ in the folder", path=shown(path), hint="import a layer into it first")
            if clean_first:
                clean(root)
            state = state_of(root)
            if state == "whole":
                return False
            if state == "partial":
                raise AlreadyExistsError(
                    "what a failed processing has left",
                    path=shown(path),
                    expected="no Hives, layout, blank-base.vhdx",
                    hint="say --clean, and it is removed first",
                )
            vm = root.exists(UTILITY_VM_FILES.encode())
            if vm:
                _save_boot_files(root)
        # Nothing in the folder is open now: Windows could not replace an open file.
        try:
            calls.process_base_image(extended(path))
            if vm:
                calls.process_utility_image(f"{extended(path)}\\{UTILITY_VM}")
        except BaseException:
            with suppress(OSError, WclayerError), closing(open_root(absolute(path))) as root:
                clean(root)
            raise
    return True


def _save_boot_files(root: Root) -> None:
    """As they are before Windows rewrites them. Raises ConfinementError for a UtilityVM that is a link."""
    root.list(UTILITY_VM.encode())
    for boot, backup in BOOT_FILES.items():
        if root.exists(boot.encode()):
            _copy(root, boot.encode(), backup)
