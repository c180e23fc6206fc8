"""The command line: read arguments and environment, print results, turn errors into exit codes. No logic is here.

In reading order: `main` (the command and its subcommands, loaded by `lazy`), `common` (options, streams and output of
every command), `network`, `folders` and `sources` (options for registries, layer folders, layers to look into),
`progress` and `bar`, then one module for each command; those of `wclayer hive` are in `hive`. `rows` and `reading` are
shared by `ls`, `find` and others.

May import every other package; no other package may import it.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
