"""What holds for all layer folders of a process."""

from __future__ import annotations

plain = False  # take them for plain trees, and make such, whatever the file system could hold
