#!/usr/bin/env bash
# After an extended attribute makes a file something else, ntfs-3g answers the next look at it with EIO, once.
#
# Expected: a file or directory can be looked at after an attribute of it was set.
# Seen: a directory that gets a reparse point becomes a symlink; an empty file that gets the SYSTEM attribute becomes a
#   pipe and one of one byte a socket (the marks of Interix). The next lstat() fails with "Input/output error", those
#   after it work, without a remount.
# Versions: ntfs-3g 2022.10.3.
# Why it matters: a program that sets metadata and looks again fails on good volumes. Try a second time after EIO. And
#   a copy of Windows files (desktop.ini and others with SYSTEM) may open a pipe and wait.
. "$(dirname "$0")/common.sh"
seen <<'END'
directory with a junction: EIO, symlink, symlink
empty file with SYSTEM: EIO, pipe, pipe
file of one byte with SYSTEM: EIO, socket, socket
file of two bytes with SYSTEM: file, file, file
END
debian ntfs-3g 1:2022.10.3
needs_fuse
truncate -s 16M volume.img
mkntfs -F -q -Q -p 2048 -H 255 -S 63 -s 512 -c 4096 volume.img >mkntfs.log 2>&1
mkdir mount
cat >look.py <<'END'
import errno
import os
import stat
import struct

KINDS = {stat.S_IFLNK: "symlink", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFREG: "file"}


def look(path):
    try:
        return KINDS[stat.S_IFMT(os.lstat(path).st_mode)]
    except OSError as error:
        return errno.errorcode[error.errno]


target = "\\??\\C:\\target\0C:\\target\0".encode("utf-16-le")
first, second = 2 * len("\\??\\C:\\target"), 2 * len("C:\\target")
data = struct.pack("<HHHH", 0, first, first + 2, second) + target
os.mkdir("mount/junction")
os.setxattr("mount/junction", "system.ntfs_reparse_data", struct.pack("<IHH", 0xA0000003, len(data), 0) + data)
print("directory with a junction:", ", ".join(look("mount/junction") for _ in range(3)))
for size, words in ((0, "empty file"), (1, "file of one byte"), (2, "file of two bytes")):
    path = f"mount/{size}"
    with open(path, "wb") as file:
        file.write(b"x" * size)
    os.setxattr(path, "system.ntfs_attrib", struct.pack("<I", 0x24))  # ARCHIVE, SYSTEM
    print(f"{words} with SYSTEM:", ", ".join(look(path) for _ in range(3)))
END
# In a mount namespace of its own: nothing stays mounted.
unshare --mount sh -c 'ntfs-3g -o efs_raw,noatime volume.img mount && python3 look.py; umount mount' | same
