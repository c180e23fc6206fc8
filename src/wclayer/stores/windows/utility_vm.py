"""The utility VM of a non-base layer on Windows: a clone of the nearest parent's, which is then changed.

Windows knows no layers of utility VMs: so hcsshim's import makes each whole, by hard
links, except directories, reparse points and the boot files, which are copied with
all their metadata.
"""

from __future__ import annotations

import os
from typing import Final

from ...body import CHUNK
from ...errors import NotFoundError
from ...host.errors import absolute, shown
from ...native import files, handles
from ...native.backup import BackupReader, BackupWriter
from ...union.rules import BOOT_FILES, UTILITY_VM_FILES
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_REPARSE_POINT
from ...win32.backup_stream import pack_header
from ...win32.names import decode_wtf8, upcase
from ..root.root_windows import WindowsRoot

__all__ = ["clone_utility_vm", "in_utility_vm", "link_to", "remove_tree_of"]

_BOOT_KEYS: Final = {upcase(path) for path in BOOT_FILES}
_TOP: Final = b"UtilityVM"


def in_utility_vm(fs_path: bytes) -> bool:
    """Is a host path, relative to the layer folder, UtilityVM or below it?"""
    return fs_path.partition(b"/")[0] == _TOP


def clone_utility_vm(parent: str | os.PathLike[str], root: WindowsRoot) -> list[bytes]:
    """Make UtilityVM in `root`, a clone of that of the layer folder `parent`; the host paths of everything made.

    Raises NotFoundError if the parent has none.
    """
    source = WindowsRoot(absolute(parent))
    try:
        if not source.exists(UTILITY_VM_FILES.encode()):
            raise NotFoundError(
                "the layer changes a utility VM, and its parent has none",
                path=shown(parent),
                expected=UTILITY_VM_FILES,
                hint="are these its parents, nearest first?",
            )
        root.mkdir(_TOP)
        top = UTILITY_VM_FILES.encode()
        stack = [top]
        directories = [(top, source.information(top))]
        _copy(source, root, *directories[0])
        made = [_TOP, top]
        while stack:
            directory = stack.pop()
            for name, found in source.entries(directory):
                path = b"%b/%b" % (directory, name)
                made.append(path)
                is_directory = bool(found.attributes & FILE_ATTRIBUTE_DIRECTORY)
                is_reparse = bool(found.attributes & FILE_ATTRIBUTE_REPARSE_POINT)
                if is_directory or is_reparse or upcase(decode_wtf8(path)) in _BOOT_KEYS:
                    _copy(source, root, path, found)
                    if is_directory:
                        directories.append((path, found))
                    if is_directory and not is_reparse:
                        stack.append(path)
                else:
                    with source.handle(path, handles.WRITE_ATTRIBUTES) as handle:
                        link_to(handle, root, path)
        for path, found in reversed(directories):
            with root.handle(path, handles.WRITE_ATTRIBUTES) as handle:
                files.set_basic_info(handle, found.attributes, found.times)
        return made
    finally:
        source.close()


def link_to(handle: int, root: WindowsRoot, path: bytes) -> None:
    """Give the file behind `handle` the further name `path` in another folder; its attributes and times stay."""
    attributes, times = files.basic_info(handle)
    parent, name = root.parent_of(path)
    files.link(handle, parent, name)
    files.set_basic_info(handle, attributes, times)


def _copy(source: WindowsRoot, root: WindowsRoot, path: bytes, found: files.Information) -> None:
    """Copy an object with all that a backup stream has of it."""
    directory = bool(found.attributes & FILE_ATTRIBUTE_DIRECTORY)
    target = root.open_handle(
        path,
        handles.NEW_OBJECT,
        disposition=handles.CREATE,
        directory=directory,
        attributes=FILE_ATTRIBUTE_NORMAL,
    )
    try:
        with (
            source.handle(path, handles.READ_BACKUP) as handle,
            BackupReader(handle) as reader,
            BackupWriter(target) as writer,
        ):
            for header in reader.streams():
                writer.write(pack_header(header))
                while data := reader.read(CHUNK):
                    writer.write(data)
        files.set_basic_info(target, found.attributes, found.times)
    finally:
        handles.close(target)


def remove_tree_of(root: WindowsRoot, path: bytes) -> None:
    """Remove what is at `path`, with all below, links not followed; FileNotFoundError if nothing is."""
    top = root.information(path)
    if not top.attributes & FILE_ATTRIBUTE_DIRECTORY or top.is_link:
        root.unlink(path)
        return
    below: list[tuple[bytes, bool]] = [(path, False)]
    while below:
        directory, done = below.pop()
        if done:
            root.rmdir(directory)
            continue
        below.append((directory, True))
        for name, found in root.entries(directory):
            child = b"%b/%b" % (directory, name)
            if found.attributes & FILE_ATTRIBUTE_DIRECTORY and not found.is_link:
                below.append((child, False))
            else:
                root.unlink(child)
