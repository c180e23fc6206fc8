"""What a file or directory without a record gets. It depends on nothing but the tree.

All four times are its mtime; the descriptors are those of a fresh Windows volume,
which BuildKit uses too:

    directory  O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)
               (A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)
    file       O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ...entry import Directory, File, HardLink
from ...win32.attributes import FILE_ATTRIBUTE_ARCHIVE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT
from ...win32.sddl import parse_sddl

__all__ = [
    "DIRECTORY_DESCRIPTOR",
    "FILE_DESCRIPTOR",
    "HIVE_DESCRIPTOR",
    "changed_file",
    "new_directory",
    "new_file",
    "new_hard_link",
    "resized",
]

DIRECTORY_DESCRIPTOR: Final = parse_sddl(
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)"
    "(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)"
)
# Nobody but administrators may read the SAM.
HIVE_DESCRIPTOR: Final = parse_sddl("O:BAG:SYD:P(A;;FA;;;BA)(A;;FA;;;SY)")
FILE_DESCRIPTOR: Final = parse_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)")


def _times(time: int) -> dict[str, Any]:
    return {"creation_time": time, "last_access_time": time, "last_write_time": time, "change_time": time}


def new_directory(path: str, time: int, reparse_data: bytes | None = None) -> Directory:
    """A directory, or a symlink to one, whose mtime is the FILETIME `time`."""
    return Directory(
        path,
        file_attributes=FILE_ATTRIBUTE_DIRECTORY | (FILE_ATTRIBUTE_REPARSE_POINT if reparse_data else 0),
        security_descriptor=DIRECTORY_DESCRIPTOR,
        reparse_data=reparse_data,
        **_times(time),
    )


def new_file(path: str, time: int, size: int = 0, reparse_data: bytes | None = None) -> File:
    """A file of `size` bytes, or a symlink to one; an empty one has no DATA stream."""
    return File(
        path,
        file_attributes=FILE_ATTRIBUTE_ARCHIVE | (FILE_ATTRIBUTE_REPARSE_POINT if reparse_data else 0),
        security_descriptor=FILE_DESCRIPTOR,
        size=size,
        data_stream=size > 0,
        reparse_data=reparse_data,
        **_times(time),
    )


def new_hard_link(path: str, target: str, time: int) -> HardLink:
    """A further name of a new file."""
    return HardLink(path, target, file_attributes=FILE_ATTRIBUTE_ARCHIVE, **_times(time))


def changed_file(entry: File, time: int, size: int) -> File:
    """A file that was edited: security, attributes and creation time stay; a reparse point it is no more."""
    attributes = entry.file_attributes & ~(FILE_ATTRIBUTE_REPARSE_POINT if entry.reparse_data else 0)
    times = {**_times(time), "creation_time": entry.creation_time}
    return replace(resized(entry, size), reparse_data=None, file_attributes=attributes, **times)


def resized(entry: File, size: int) -> File:
    """The same with other content of `size` bytes."""
    return replace(entry, size=size, data_stream=size > 0)
