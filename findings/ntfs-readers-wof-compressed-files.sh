#!/usr/bin/env bash
# dissect.ntfs and The Sleuth Kit read files of Windows' system compression (WOF) as zeros of the right length.
#
# Expected: the content, or an error. Windows keeps the compressed content in the stream WofCompressedData, names the
#   algorithm in a reparse point (tag 0x80000017), and leaves the unnamed stream as one hole of the file's length.
# Seen: both read the hole: 4,096 zeros, no error. libfsntfs gives the content; ntfs-3g shows a symlink.
# Versions: dissect.ntfs 3.16, pytsk3 20260715, libfsntfs-python 20260827, ntfs-3g 2022.10.3.
# Why it matters: on many Windows volumes the system's own programs are stored so ("compact /compactos"), and a search
#   or a hash over such a disk silently covers zeros. Compare the SHA-256 of a known system file first.
. "$(dirname "$0")/common.sh"
seen <<'END'
libfsntfs-python True
dissect.ntfs zeros
pytsk3 zeros
END
debian ntfs-3g 1:2022.10.3
needs_fuse
python_with dissect.ntfs==3.16 pytsk3==20260715 libfsntfs-python==20260827
truncate -s 16M volume.img
mkntfs -F -q -Q -p 2048 -H 255 -S 63 -s 512 -c 4096 volume.img >mkntfs.log 2>&1
mkdir mount
cat >write.py <<'END'
import os
import struct

# XPRESS in chunks of 4 KiB: a chunk that does not get smaller is stored as it is, so this one is its own content.
with open("content", "wb") as file:
    file.write(bytes(number * 37 % 251 for number in range(4096)))
with open("content", "rb") as file, open("mount/file:WofCompressedData", "wb") as stream:
    stream.write(file.read())
os.truncate("mount/file", 4096)
data = struct.pack("<IIII", 1, 2, 1, 0)  # version, provider FILE, its version, XPRESS4K
os.setxattr("mount/file", "system.ntfs_reparse_data", struct.pack("<IHH", 0x80000017, len(data), 0) + data)
END
unshare --mount sh -c 'ntfs-3g -o efs_raw,noatime,streams_interface=windows volume.img mount && python write.py; umount mount'
python - <<'END' | same
import pyfsntfs
import pytsk3
from dissect.ntfs import NTFS

with open("content", "rb") as file:
    content = file.read()


def verdict(got):
    return "zeros" if got == bytes(4096) else got == content


volume = pyfsntfs.volume()
volume.open("volume.img")
print("libfsntfs-python", verdict(volume.get_file_entry_by_path("\\file").read_buffer(4096)))
with open("volume.img", "rb") as file:
    print("dissect.ntfs", verdict(NTFS(file).mft.get("file").open().read()))
print("pytsk3", verdict(pytsk3.FS_Info(pytsk3.Img_Info("volume.img")).open("/file").read_random(0, 4096)))
END
