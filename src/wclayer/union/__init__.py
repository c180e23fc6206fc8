"""What a stack of layers shows: one model for all who look into layers or put them together.

    rules       which entries may be in a layer, by path and kind, and the errors of all rules
    lookup      one path in several layers that can be asked by path
    namespace   the names of one layer, entry by entry: may this one come now?
    view        layers read in one streaming pass each: which entry is seen where, what a hard link leads to
    tree        the names that layers show, as a tree, for who changes it (squash)
    links       where symlinks and junctions of Windows lead
    naming      which layer an error came up in

May import `layertar`, `host`, `win32`, `entry`, `errors` and `codes`.
"""
