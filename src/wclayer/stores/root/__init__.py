"""A folder that no path can leave: each name is opened relative to its directory, and never through a link.

    root           Root: the way down, the cache of open directories, and what each host must do
    root_posix     with openat
    root_windows   with handles
    symlinks       which symlinks of the host stand for which of Windows
    open_root      the Root of this host

May import `native`, `host`, `win32` and `errors`.
"""
