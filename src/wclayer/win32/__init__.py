"""Windows metadata, bytes to values and back, on every system.

In reading order:

    names          NTFS's names: UTF-16 units, case, WTF-8, what Win32 can open; _upcase: the table
    filetime       FILETIME and the times of PAX
    attributes     FILE_ATTRIBUTE_*, as bits, names and letters
    security       SID, ACE, ACL and security descriptor
    inherit        the descriptor that a new file, directory or key inherits
    sddl           descriptors as text: the parser; sddl_print: the printer
    accounts       names of accounts, and their SIDs
    sddl_names     the names in SDDL; sddl_scan, sddl_literals: the pieces of its text
    conditions     conditions of ACEs in bytes; sddl_conditions: as text
    sddl_attributes  resource attributes, in bytes and as text
    reparse        reparse points: symlinks, mount points, any other tag
    ea             extended attributes
    backup_stream  what BackupRead returns and BackupWrite takes

May import `entry`, `errors` and `codes` only. It touches no file, no clock and no API of
Windows (`native` does). The sources are [MS-DTYP], [MS-FSCC] and [MS-BKUP].
"""
