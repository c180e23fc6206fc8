"""A layer as a folder, on every kind of file system.

    settings       what holds for all layer folders of a process
    root/          a folder that no path leaves
    record/        layer.db
    atomic         a folder or file that appears complete, or not at all
    folder/        what all stores share: the sink, the source, the tree
    posix/         plain trees
    ntfs/          what NTFS holds of an object, whichever driver is under it
    ntfs3g/        volumes that ntfs-3g has mounted
    transport/     what ImportLayer takes and ExportLayer gives
    windows/       Windows itself, and non-base layers there
    folders        which of them a folder is
    in_place       a file that takes the place of another

May import `union`, `host`, `native`, `layertar`, `win32` and what lies below them. docs/layer-folder.md has the format.
"""
