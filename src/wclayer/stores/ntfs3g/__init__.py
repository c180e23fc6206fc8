"""Layer folders on an NTFS volume that ntfs-3g has mounted, on Linux.

    attributes   the driver's extended attributes, `system.ntfs_*`, and what they can set and tell
    raw_volume   what the driver does not show, read from the device by ntfscat and ntfsinfo
    mount        which mount a folder is on, and how it is mounted
    sink         making a folder there
    source       reading one

May import `stores/ntfs`, `stores/folder`, `host` and what lies below them.
"""
