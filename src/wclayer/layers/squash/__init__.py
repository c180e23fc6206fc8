"""Several layers made into one layer that shows what they show together.

    layer   SquashedLayer, a source: a first pass for the names, a second for the content of those that are seen
    plan    which directories, files, links and whiteouts the result has
    hives   the registry: differencing hives merged into the base's, or into one another
    api     layer tars and folders in; a tar or a folder out

May import `layers` (opening, stack), `layers/hives`, `union`, `stores`, `layertar` and what lies below them.
"""
