"""Layer folders as plain trees, whose metadata are in layer.db; and plain files taken out of layers.

    sink             making a folder
    source           reading one
    extract_target   a folder for extracted files, without a record

May import `stores/folder`, `stores/atomic`, `stores/root` and what lies below them.
"""
