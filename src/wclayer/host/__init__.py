"""The operating system under us.

    errors       OSError as errors of our own, and paths as messages show them
    locks        folders that one process of ours changes at a time
    programs     programs of the host that we start
    spool        bodies put aside in a temporary file
    unfinished   what a signal must not leave behind

May import `entry`, `body`, `errors` and `win32`.
"""
