"""What people ask of layers and images, wherever these are.

    layer_places    layer references: a tar, a folder, an image, one layer, and a path inside
    files           list, find, read and extract files
    inspect         what a layer or image is
    diff            what differs between two of them
    squash          an image with its layers made one
    hive_places     hives in files, in layers, and of a whole image
    hive_edits      what a .reg file changes in one hive
    hive_diff       two hives, or the registries of two images

May import everything below it in docs/architecture.md; `layers/` does the work on sources, and the modules here find
the sources. `verify`, the public API and `cli` import it.
"""
