"""What layers hold, summed up.

    contents   counts, sizes, attributes, owners, descriptors, the largest files and folders
    framing    which program wrote a tar, and how
    windows    which Windows it is, its updates and programs, by the registry
    inspect    all of that for several layers, in one pass over each

May import `layers/hives`, `union`, `layertar`, `stores` and what lies below them.
"""
