"""A folder that no path can leave: each name is opened relative to its directory, on POSIX and on Windows."""
