"""Look up paths and patterns in a stack of layers while it is read: cat, ls, find and extract.

Nothing is unpacked or indexed: the nearest layer is read first, and reading stops after the last
entry that is needed. In reading order:

* `request`: what is asked for (`PathQuery`), and why an entry is wanted (`Match`); `patterns`: its wildcards
* `handler`: what a command implements to get the entries that are found
* `search`: reads the layers and brings the parts together
* `path_walker`: follows paths, symlinks and junctions
* `pending_links`: hard links that wait for the file behind them
* `cat`, `ls`, `find`: the commands; `find` filters what `ls` lists; `objects`: results in JSON
* `extract`: the command; `extractor`: what it needs from its two ways, `plain_extractor` (a folder
  of plain files) and `layer_extractor` (a layer folder with all metadata)

May import: `layers/hashing`, `stores` (only extract), and from `union` down; no other package of `layers`.
What people call is in `operations/files.py`, which opens images and other places.
"""
