"""Layer folders on Windows itself.

    sink, source           base layers: objects of NTFS, through the backup API
    split_root             a layer in two folders: its utility VM, and a transport folder for the rest
    utility_vm             the utility VM of a parent, cloned
    hcs_sink, hcs_source   non-base layers, through the host compute service

May import `native`, `stores/transport`, `stores/ntfs3g` (what two NTFS drivers share), `stores/ntfs` and what lies
below them.
"""
