"""The names of the PAX records in which a layer tar carries Windows metadata.

The standard ones are go-winio's (package backuptar):

    MSWINDOWS.fileattr        file attributes, decimal
    MSWINDOWS.rawsd           self-relative security descriptor, base64
    MSWINDOWS.sd              the same as SDDL, in old layers: read, never written
    MSWINDOWS.mountpoint      present: the symlink is a junction
    MSWINDOWS.xattr.NAME      value of an extended attribute, base64
    LIBARCHIVE.creationtime   creation time; the other three are atime, ctime (the change time) and mtime

Those of wclayer hold what the standard ones cannot. They are written only where reading the
standard ones would not give the same value back; hcsshim, containerd and Docker ignore them:

    WCLAYER.reparse           reparse buffer, base64
    WCLAYER.eaflags.NAME      flags of an extended attribute, decimal, where not 0
    WCLAYER.sparse            allocated ranges of a sparse file, `offset,length;...`; `0,0` where nothing is allocated
    WCLAYER.shortname         DOS name (8.3)
    WCLAYER.objectid          OBJECT_ID stream, base64
    WCLAYER.stream.ID         backup stream PROPERTY_DATA (6) or TXFS_DATA (10), base64
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACCESS_TIME",
    "ATTRIBUTES",
    "CHANGE_TIME",
    "CREATION_TIME",
    "EA_FLAGS_PREFIX",
    "EA_PREFIX",
    "MOUNT_POINT",
    "OBJECT_ID",
    "OWN",
    "RAW_DESCRIPTOR",
    "REPARSE",
    "SDDL",
    "SHORT_NAME",
    "SPARSE",
    "STREAM_IDS",
    "STREAM_PREFIX",
    "WRITE_TIME",
]

ATTRIBUTES: Final = b"MSWINDOWS.fileattr"
RAW_DESCRIPTOR: Final = b"MSWINDOWS.rawsd"
SDDL: Final = b"MSWINDOWS.sd"
MOUNT_POINT: Final = b"MSWINDOWS.mountpoint"
EA_PREFIX: Final = b"MSWINDOWS.xattr."

CREATION_TIME: Final = b"LIBARCHIVE.creationtime"
ACCESS_TIME: Final = b"atime"
CHANGE_TIME: Final = b"ctime"
WRITE_TIME: Final = b"mtime"

OWN: Final = b"WCLAYER."
REPARSE: Final = OWN + b"reparse"
EA_FLAGS_PREFIX: Final = OWN + b"eaflags."
SPARSE: Final = OWN + b"sparse"
SHORT_NAME: Final = OWN + b"shortname"
OBJECT_ID: Final = OWN + b"objectid"
STREAM_PREFIX: Final = OWN + b"stream."
# PROPERTY_DATA and TXFS_DATA; every other stream of a backup has a record, a header field or a member of its own.
STREAM_IDS: Final = (6, 10)
