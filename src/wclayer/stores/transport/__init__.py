"""Transport folders: what ImportLayer takes and ExportLayer gives, made and read on any system.

    folder    TransportFolder, and how one is recognised
    streams   a file and its streams in one backup stream; what all such layers share
    body      the content of a file out of its backup stream
    sink      making a folder, with the record beside it
    source    reading one, with the record or without

May import `stores/ntfs`, `stores/folder`, `stores/atomic` and what lies below them.
"""
