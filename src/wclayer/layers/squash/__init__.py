"""Several layers made into one: files, deletions, hard links, and the registry."""
