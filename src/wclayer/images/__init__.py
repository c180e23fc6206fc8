"""Windows container images: read, written, copied and put into an index.

    spec/          the JSON documents of the OCI image specification
    places/        where images are: layouts, archives, registries
    choosing       which image of an index
    options        what all functions on images take
    reading        an image and its layers, checked while they are read
    writing        a new image at an image reference
    one_layer      one layer taken out of an image, or put into it
    copying        an image from one place to another
    index          several images under one name

May import `layers` (not its sub-packages above `images` in docs/architecture.md), `distribution`, `layertar` and what
lies below them.
"""
