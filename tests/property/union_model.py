"""What layers show together: each path, and each key, walked down the stack. Nothing of wclayer is in it.

A layer is a list of items: `path`; `kind`: dir, surrogate (a link that is a directory), file, link, gone; `meta`,
`content`, `streams`; `short`: has it a DOS name? `target` of a link. A hive is a dictionary, path -> key, which `does`
0 merge, 1 delete, 2 hide the values below, 3 hide all below; `class`: None is that below; `values`: None is gone.
"""

from typing import Any

Item = dict[str, Any]
Stack = list[list[Item]]


def up(path: str) -> str:
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in path)


def see(stack: Stack, path: str, last: int | None = None) -> Item | None:
    """What is seen at a path, `at` its layer and place; of the highest layer, just its first `last` items count."""
    above = [up(path[:n]) for n, c in enumerate(f"{path}/") if c == "/"]
    for k in reversed(range(len(stack))):
        items = stack[k][: last if k == len(stack) - 1 else None]
        for n, item in enumerate(items):
            if item["kind"] != "gone" and up(item["path"]) == up(path):
                return {**item, "at": (k, n)}
        last = None if k < len(stack) - 1 else last
        if last is None and any(item["kind"] != "dir" and up(item["path"]) in above for item in items):
            break
    return None


def model(stack: Stack) -> dict[str, tuple[Any, ...]]:
    """By path: what it is; of a file also its first name, and what a further name says itself."""
    seen = {up(item["path"]): found for layer in stack for item in layer if (found := see(stack, item["path"]))}
    last = {path: item["path"].rpartition("/")[2] for path, item in seen.items()}
    full = {path: "/".join(last[up(path[:n])] for n, c in enumerate(f"{path}/") if c == "/") for path in last}
    names: dict[tuple[int, int], str] = {}  # the first of each file
    result: dict[str, tuple[Any, ...]] = {}
    for path, item in sorted(seen.items(), key=lambda pair: pair[1]["at"]):
        result[full[path]] = item["kind"], item["meta"], item["streams"]
        while item["kind"] == "link":  # what its target was before it came
            item = see(stack[: item["at"][0] + 1], item["target"], item["at"][1]) or {}  # noqa: PLW2901
        if item["kind"] == "file":
            first = names.setdefault(item["at"], path)
            what = item["meta"], item["content"], item["streams"], item["short"] and seen[first]["at"] == item["at"]
            result[full[path]] = "file", what, full[first], None if first == path else seen[path]["meta"]
    return result


def key_at(hives: list[dict[str, Item]], path: str) -> tuple[Any, ...] | None:
    """What is seen of a key: its spelling, security, class and values; None for nothing."""
    keys: list[Item] = []
    for hive in reversed(hives):
        keys += [hive[path]] if path in hive and hive[path]["does"] != 1 else []
        if any(hive.get(path[:n], {}).get("does") in (1, 3) for n, c in enumerate(f"{path}\\") if c == "\\"):
            break
    named = [key["class"] for key in keys if key["class"] is not None] or [b""]
    hides = [n for n, key in enumerate(keys) if key["does"] == 2] or [len(keys)]
    values = {name: data for key in reversed(keys[: hides[0] + 1]) for name, data in key["values"].items()}
    return (keys[0]["name"], keys[0]["meta"], named[0], values) if keys else None
