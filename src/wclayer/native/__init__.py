"""Windows' own functions, called through ctypes. Nothing else in wclayer may use ctypes for Windows, but `hcs`.

In reading order:

    declarations   structures and prototypes, and the table that functions are taken from; tests replace that table
    handles        opening by path and relative to a directory's handle; errors
    files          what is behind a handle: attributes, times, links, names, reparse data
    backup         BackupRead and BackupWrite
    privileges     SeBackupPrivilege and others, taken for a block
    volumes        what a volume can hold

May import `win32`, `errors` and `body`.
"""
