"""What NTFS holds of an object, whichever driver is under it.

    metadata      attributes, times, descriptor, EAs, reparse data ... as one value, and what of them is an edit
    backup        an entry as a Win32 backup stream, and back
    data_stream   the data of a file or named stream, written piece by piece

May import `stores/folder`, `stores/record`, `win32` and what lies below them.
"""
