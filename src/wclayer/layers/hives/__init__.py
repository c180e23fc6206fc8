"""The registry of a stack of layers: the five hives, found and merged.

    config_hives   which five, where a base layer and a layer above it have them, and their roots in the registry
    collect        their files, stored as layers are read; hard links among them
    merge          HiveStack: hives read, recovered from their logs, merged

May import `union`, `regf`, `host` and what lies below them.
"""
