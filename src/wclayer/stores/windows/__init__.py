"""Layer folders on Windows itself.

    sink, source           base layers: objects of NTFS, through the backup API
    utility_vm             the utility VM of a parent, cloned
    identities             which files of a layer folder and its parents are one file
    hcs_sink, hcs_source   non-base layers, through the host compute service: two makers, two readers, and a router

May import `native`, `stores/transport`, `stores/ntfs3g` (what two NTFS drivers share), `stores/ntfs` and what lies
below them.
"""
