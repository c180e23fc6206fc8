"""Make what follows from the table of public names in wclayer: `python -m docs.public_api`.

src/wclayer/__init__.pyi    for type checkers, which do not see names that are imported when they are asked for
docs/python.md              its tables, between the lines `<!-- names: ... -->` and the next empty line
"""

from __future__ import annotations

import re
from pathlib import Path

import wclayer

STUB = Path(wclayer.__file__).with_suffix(".pyi")
PAGE = Path(__file__).with_name("python.md")


def stub() -> str:
    """The text of `__init__.pyi`."""
    lines = ["# Made by `python -m docs.public_api` from the table in __init__.py.", "from . import errors"]
    for module, names in sorted(vars(wclayer)["_PUBLIC"].items()):
        own = sorted(name for name in names if " as " not in name)
        line = f"from .{module} import {', '.join(own)}"
        if len(line) > 120:
            lines += [f"from .{module} import (", *(f"    {one}," for one in own), ")"]
        elif own:
            lines.append(line)
        lines += [f"from .{module} import {name}" for name in sorted(names) if " as " in name]
    public = [f'    "{name}",' for name in sorted(wclayer.__all__)]
    return "\n".join([*lines, "", "__version__: str", "", "__all__ = [", *public, "]", ""])


def table(names: str) -> str:
    """The rows of some public names, with the first line of their docstrings."""
    rows = []
    for name in names.split():
        text = (getattr(wclayer, name).__doc__ or "").partition("\n")[0].replace("|", "\\|")
        rows.append(f"| `{name}` | {text} |")
    return "\n".join(["| name | |", "|---|---|", *rows])


def page(text: str) -> str:
    """docs/python.md with its tables made again."""
    return re.sub(r"(<!-- names: ([\w\s]+) -->\n)(?:\|.*\n)*", lambda found: f"{found[1]}{table(found[2])}\n", text)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8", newline="\n")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
