"""Where images are: OCI layouts, archives and registries, as blobs by their digests.

    parse              an image reference, taken apart
    blobs              blobs by digest; a blob that is checked while it is read
    archive            the files of a layout in a folder or a tar
    layout             index.json and the blobs of a layout; docker-archive
    remote             an image in a registry, read and written
    opening            from an image reference to its blobs
    staging            new blobs, before they are at their place
    layout_writing     a new layout, and one that exists already
    archive_writing    oci-archive and docker-archive
    parallel           several blobs at a time

May import `images/spec`, `distribution`, `layertar` and what lies below them. Layouts are those of the OCI image
specification (image-layout.md).
"""
