"""Build images from folders and recipes: layers FROM scratch or on top of a base.

In reading order:

    recipe          what to build, as values
    spec, spec_keys, spec_registry    image.toml, read into a recipe
    ignore          patterns of .wclayerignore and `exclude`
    source_folder, tree_snapshot      a folder of the host, and whether it changes while it is read
    symlinks        host symlinks as Windows links
    source_tree     the tree of a new layer, merged from all sources
    acl, access     templates of security descriptors; the descriptor of each new file
    base, base_index    names and directories of the layers below
    copy_from       the tree of another image, for `COPY --from`
    registry_changes, hives    changes of the registry, the hives of the new layers
    new_layer       the entries of a new layer
    outputs         one image at several places
    build           a complete image: `build_image`

May import `images`, `layers` and what lies below them; not `operations`, `dockerfile` or `verify`.
"""
