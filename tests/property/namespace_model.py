"""Which entry of one layer is the first that has no place in it, and why. Nothing of wclayer is in it.

An item has a `path`, a `kind` (dir, junction, file, link, gone, stream), of a link its `target`, of a stream its
`name`. `below`: what lower layers have, path in upper case -> kind; None for a base layer. Codes as in docs/rules.md.
"""

from typing import Any

Item = dict[str, Any]


def up(path: str) -> str:
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in path)


def first_fault(items: list[Item], below: dict[str, str] | None) -> str | None:
    """The rule that the first wrong entry breaks; None for a sound layer."""
    names: dict[str, str] = {}  # path in upper case -> dir, junction, file
    gone: set[str] = set()
    owner: str | None = None
    streams: set[str] = set()
    for item in items:
        path, kind = item["path"], item["kind"]
        if kind == "stream":
            if path != owner:
                return "WCL218"
            if up(item["name"]) in streams:
                return "WCL219"
            streams.add(up(item["name"]))
            continue
        owner, streams = (path if kind in ("dir", "junction", "file") else None), set()
        if kind == "gone":
            if up(path) in names:
                return "WCL229"
            if up(path) in gone:
                return "WCL228"
            gone.add(up(path))
            if path.startswith("UtilityVM/Files/") and up(path) not in (below or {}):
                return "WCL232"
            continue
        for at, char in enumerate(path):
            if char == "/":
                found = names.get(up(path[:at]))
                if found != "dir":
                    return {None: "WCL214", "file": "WCL215", "junction": "WCL216"}[found]
        if up(path) in names:
            return "WCL213"
        if up(path) in gone:
            return "WCL229"
        if kind == "link":
            found = names.get(up(item["target"])) or (below or {}).get(up(item["target"]))
            if found != "file":
                return "WCL220" if found is None else "WCL221"
        names[up(path)] = "file" if kind == "link" else kind
    return None
