"""Layer folders on any file system: what all stores share.

    names      the names of a layer that is being made, in its record
    unfinished a layer folder that is being made: its root, its record, the writing of content
    maker      ObjectMaker: how a store makes the objects of a folder
    sink       FolderSink: order, rules and record of a new folder
    tree       the entries of a folder, walked together with its record, so that hand edits are seen
    source     LayerFolder: entries in the order of the record, with the tar's own bytes where nothing was edited
    body       the content of a file in the folder
    defaults   metadata of what was made by hand

May import `stores/atomic`, `stores/root`, `stores/record`, `union`, `layertar` and what lies below them.
"""
