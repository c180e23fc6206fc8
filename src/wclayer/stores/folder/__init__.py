"""Layer folders on any file system: the sink, the source, and the tree of entries that both share."""
