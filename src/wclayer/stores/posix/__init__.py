"""Layer folders as plain trees, for file systems that hold no Windows metadata."""
