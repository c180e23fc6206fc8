"""What layers show together: each path walked down the stack. Nothing of wclayer is in it.

A layer is a list of items, each a dictionary: `path`; `kind`: dir, surrogate (a symlink or junction of a directory),
file, link or gone; `meta`, `content`, `streams`; `short` (has it a DOS name?); `target` of a link.
"""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]
Stack = list[list[Item]]


def up(path: str) -> str:
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in path)


def see(stack: Stack, path: str, last: int | None = None) -> tuple[int, int, Item] | None:
    """What is seen at a path: layer, place in it, item; of the highest layer, just its first `last` items count."""
    above = [up(path[:n]) for n, c in enumerate(path) if c == "/"]
    for k in reversed(range(len(stack))):
        items = stack[k][: last if k == len(stack) - 1 else None]
        for n, item in enumerate(items):
            if item["kind"] != "gone" and up(item["path"]) == up(path):
                return k, n, item
        if last is None or k < len(stack) - 1:
            for item in items:
                hides = [up(path), *above] if item["kind"] == "gone" else above
                if item["kind"] != "dir" and up(item["path"]) in hides:
                    return None
    return None


def file_at(stack: Stack, k: int, n: int) -> tuple[int, int]:
    """The file (layer and place) that item n of layer k is a name of: what its target was before it came."""
    while (item := stack[k][n])["kind"] == "link":
        k, n, _ = see(stack[: k + 1], item["target"], n) or (-1, -1, {})
    return k, n


def model(stack: Stack) -> dict[str, tuple[Any, ...]]:
    """By path: of a directory what it is; of a file what it is, its first name, and what a further name says itself."""
    seen = {up(item["path"]): see(stack, item["path"]) for layer in stack for item in layer}
    last = {path: found[2]["path"].rpartition("/")[2] for path, found in seen.items() if found}
    full = {path: "/".join(last[up(path[:n])] for n, c in enumerate(f"{path}/") if c == "/") for path in last}
    names: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
    result: dict[str, tuple[Any, ...]] = {}
    for path, (k, n, item) in ((path, found) for path, found in seen.items() if found):
        if item["kind"] in ("file", "link"):
            names.setdefault(file_at(stack, k, n), []).append((k, n, path))
        else:
            result[full[path]] = item["kind"], item["meta"], item["streams"]
    for (k, n), group in names.items():
        file, first = stack[k][n], min(group)
        what = file["meta"], file["content"], file["streams"], file["short"] and first[:2] == (k, n)
        for name in group:
            said = None if name == first else stack[name[0]][name[1]]["meta"]
            result[full[name[2]]] = "file", what, full[first[2]], said
    return result
