"""What people do with layers: take one in, give one out, and whatever needs several of them.

In this package: importing, exporting, base (makebaselayer), stack (the parents of a layer folder, seen as one),
opening (a tar or folder as a source), process, hashing (contents, whatever their holes). Below it, in reading order:

    hives/     the five hives of a stack, found and merged
    windows/   what only Windows does: processing, scratch layers, ImportLayer and ExportLayer
    inspect/   what is in layers, summed up
    squash/    several layers made into one
    diff/      two stacks compared
    lookup/    files by path: cat, ls, find, extract

May import `stores`, `union`, `layertar`, `regf` and what lies below them; nothing about images.
"""
