"""Disk images with an NTFS volume, on Linux: found, mounted for one command, created.

    partitions   MBR and GPT: where the NTFS volume is
    loop         loop devices
    mounting     a mount namespace of our own, ntfs-3g in it, and the end of both
    creating     a new image with a volume

May import `stores`, `host`, `processors` and what lies below them.
"""
