"""The registry of a stack of layers: the five hives, found and merged."""
