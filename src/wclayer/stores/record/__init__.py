"""The record of a layer folder, `layer.db`: what the file system under it cannot hold.

    writer   rows, flags, the schema; written in one transaction
    reader   read as a file that anybody may have changed

May import `host`, `win32`, `entry` and `errors`.
"""
