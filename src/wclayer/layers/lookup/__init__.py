"""Files looked up in layers by path: cat, ls, find, extract."""
