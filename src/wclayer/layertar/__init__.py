"""The OCI layer tar of Windows: a tar with Windows metadata in PAX records, plain or compressed.

In reading order:

    reader       TarSource: a layer tar as entries with bodies
    writer       TarWriter: entries as the canonical tar, byte for byte hcsshim's
    records      the names of the PAX records, those of go-winio and of wclayer
    paths        a path in the tar as a path in the layer
    entries      the entry that a member is
    metadata     Windows metadata of a member; metadata_writing: the reverse
    members      the members of any tar: headers, bodies, the end of the archive
    block        the 512-byte header; pax: extended headers, base64; sparse: GNU sparse files
    stream       buffered, counted and hashed input and output
    ahead        a thread that reads, decompresses and hashes ahead
    compression  gzip and zstd; deflate: gzip on all processors
    framing      all bytes of a tar that are not content, kept to export the same tar again

May import `win32`, `body`, `entry`, `errors`, `codes` and `processors`. It opens no files.
"""
