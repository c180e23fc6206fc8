#!/usr/bin/env bash
# Volumes that mkntfs makes within the same second have the same serial number.
#
# Expected: the 64-bit serial number of a volume is random, as it is what blkid, /dev/disk/by-uuid and udev call UUID.
# Seen: five volumes made one after the other have one or two serial numbers, not five; it is taken from a generator
#   that is seeded with the time in seconds.
# Versions: ntfs-3g 2022.10.3.
# Why it matters: a script that makes several disks gets twins, and mounting by UUID takes any of them. Give each volume
#   a serial number of its own (bytes 72 to 79 of the boot sector and of its copy in the last sector).
. "$(dirname "$0")/common.sh"
seen <<'END'
five volumes, fewer than five serial numbers
END
debian ntfs-3g 1:2022.10.3
for number in 1 2 3 4 5; do
    truncate -s 4M "$number.img"
    mkntfs -F -q -Q -p 2048 -H 255 -S 63 -s 512 -c 4096 "$number.img" >mkntfs.log 2>&1
    dd if="$number.img" bs=1 skip=72 count=8 status=none | od -An -tx1
done >serials.txt
if [ "$(sort -u serials.txt | wc -l)" -lt 5 ]; then
    echo "five volumes, fewer than five serial numbers"
else
    cat serials.txt
fi | same
