"""Two stacks of layers compared, by entry and field.

    side       one side: what is seen at each path, contents as digests
    fields     the fields of an entry, and what a round trip of hcsshim's own tools changes in any layer
    security   two security descriptors, entry by entry
    diff       the differences: removed, added, moved, changed, and the registry by key and value
    objects    the same in JSON

May import `layers/hives`, `layers/inspect`, `layers/hashing`, `union` and what lies below them.
"""
