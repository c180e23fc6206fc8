"""What a squashed layer must contain so that a container sees `view`: as a base layer, or over lower layers.

Over lower layers, its entries are what the view has from the squashed layers. Its
whiteouts are what the lower layers show and the view does not, in directories that the
view has. A name never has both an entry and a whiteout: an entry replaces what is below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...entry import HardLink
from ...errors import LayerError
from ...union.rules import FILES, UTILITY_VM_FILES
from ...union.tree import Folder, MergedTree, TreeNode
from ...win32.names import encode_wtf8, upcase

__all__ = ["Contents", "Plan"]

_Chain: TypeAlias = "tuple[Folder, _Chain | None]"  # a directory of the view, and those above it


@dataclass(slots=True)
class Contents:
    """Files and links of the result.

    files: by layer and by the number of a File entry in it, the path that it gets and the name that is there.
    links: the further names, each with its path and its target, in the order in which the layers brought them.
    """

    files: dict[int, dict[int, tuple[str, TreeNode]]] = field(default_factory=dict)
    links: list[tuple[str, TreeNode, str]] = field(default_factory=list)

    def hard_links(self) -> Iterator[HardLink]:
        """The links as entries, with what the layers say of them."""
        for path, name, target in self.links:
            if isinstance(name.entry, HardLink):
                yield replace(name.entry, path=path, target=target)


class Plan:
    """The layer that shows `view`; over `lower`, if there is one: what the layers below number `first` show.

    whiteouts: their paths, in byte order. Raises LayerError for what no layer can say.
    """

    def __init__(self, view: MergedTree, lower: MergedTree | None = None, first: int = 0) -> None:
        self._view = view
        self._lower = lower
        self._first = first
        self._on_the_way: set[Folder] = set()  # directories of the lower layers that whiteouts lie in
        self.whiteouts: list[str] = []
        if lower is not None:
            for root in (FILES, UTILITY_VM_FILES):
                self._find_whiteouts(lower, root)
            self.whiteouts.sort(key=encode_wtf8)

    def _find_whiteouts(self, lower: MergedTree, root: str) -> None:
        chain: _Chain | None = None
        above = self._view.root
        for part in root.split("/"):
            folder = above.find(part)
            if not isinstance(folder, Folder):
                return
            chain, above = (folder, chain), folder
        below = lower.root.find(root)
        if chain is None or not isinstance(below, Folder):
            return
        waiting = [(below, root, chain)]
        while waiting:
            old, path, chain = waiting.pop()
            new = chain[0]
            for key, name in old.children.items():
                now = new.children.get(key)
                if now is None:
                    self.whiteouts.append(f"{path}/{name.name}")
                    self._need(chain)
                elif isinstance(name, Folder) and isinstance(now, Folder):
                    waiting.append((name, f"{path}/{now.name}", (now, chain)))
                elif root == UTILITY_VM_FILES and isinstance(name, Folder) and name.children and now.file is not None:
                    raise LayerError(
                        f"in layer {now.layer}: a file where the layers below have a directory: Windows, which changes"
                        " the utility VM in place, does not replace one that has something in it",
                        path=f"{path}/{now.name}",
                        hint="squash all layers, from the base up",
                    )

    def _need(self, chain: _Chain | None) -> None:
        while chain is not None and chain[0] not in self._on_the_way:
            self._on_the_way.add(chain[0])
            chain = chain[1]

    def _here(self, name: TreeNode) -> bool:
        """Has the result an entry for it?"""
        return name.layer >= self._first or name in self._on_the_way

    def clear_short_names(self) -> list[str]:
        """Leave one entry of a directory each DOS name: the newest, unless it is the very name of another. Warnings."""
        count, first = 0, ("", "")  # by path
        waiting = [("", self._view.root)]
        while waiting:
            above, folder = waiting.pop()
            taken: dict[str, TreeNode] = {}
            for name in sorted(folder.children.values(), key=lambda name: name.order, reverse=True):
                path = above + name.name
                if isinstance(name, Folder):
                    waiting.append((f"{path}/", name))
                if name.short is None or not self._here(name):
                    continue
                key = upcase(name.short)
                if taken.setdefault(key, folder.children.get(key, name)) is not name:
                    first = min(first, (path, name.short)) if count else (path, name.short)
                    count, name.short = count + 1, None
        if not count:
            return []
        what = "1 DOS name is" if count == 1 else f"{count:,} DOS names are"
        return [f"{what} left out, as something else in the directory has them: the first is {first[1]} of {first[0]}"]

    def directories(self) -> Iterator[tuple[str, TreeNode]]:
        """The directories of the result with their paths, each before those in it, as hcsshim walks."""
        for path, name in self._view.walk():
            if name.file is None and self._here(name):
                yield path, name

    # --- files ------------------------------------------------------------------

    def contents(self) -> Contents:
        """What the view has of files.

        The first name of a file, in the order of the layers, gets the File entry. A file of the lower layers has an
        entry, a hard link, for each name that the squashed layers gave it; the first of them gets its content where
        the lower layers have no name left that could be the link's target.
        """
        result = Contents()
        carriers: dict[TreeNode, tuple[str, TreeNode]] = {}
        further: list[tuple[str, TreeNode]] = []
        borrowed: dict[TreeNode, list[tuple[str, TreeNode]]] = {}
        for path, name in self._view.walk():
            file = name.file
            if file is None or name.layer < self._first:
                continue
            if file.layer < self._first:
                borrowed.setdefault(file, []).append((path, name))
                continue
            first = carriers.get(file)
            if first is None:
                carriers[file] = path, name
            elif name.order < first[1].order:
                carriers[file] = path, name
                further.append(first)
            else:
                further.append((path, name))
        for file, left in self._targets(borrowed):
            names = sorted(borrowed[file], key=lambda pair: pair[1].order)
            if not left:
                carriers[file] = names[0]
                further += names[1:]
            for path, name in names if left else ():
                given = name.entry.target if isinstance(name.entry, HardLink) else ""
                result.links.append((path, name, left.get(upcase(given)) or next(iter(left.values()))))
        result.links += ((path, name, carriers[file][0]) for path, name in further if (file := name.file) is not None)
        result.links.sort(key=lambda link: link[1].order)
        for file, carrier in carriers.items():
            result.files.setdefault(file.layer, {})[file.number] = carrier
        return result

    def _targets(self, files: dict[TreeNode, list[tuple[str, TreeNode]]]) -> Iterator[tuple[TreeNode, dict[str, str]]]:
        """The names of each of these files that a link to it can have for its target, by those in upper case.

        They are the names in the lower layers that the result has no entry for and that are still seen; where there is
        none, those that are no longer seen, as Windows' importer looks for targets in the layers below. It does not do
        so in the utility VM, but looks into a copy that has lost them. The oldest comes first.
        """
        seen: dict[TreeNode, list[tuple[tuple[int, int], str]]] = {file: [] for file in files}
        hidden: dict[TreeNode, list[tuple[tuple[int, int], str]]] = {file: [] for file in files}
        for path, name in self._lower.walk() if self._lower is not None and files else ():
            if name.file in seen:
                now = self._view.root.find(path)
                if now is name:
                    seen[name.file].append((name.order, path))
                elif now is None and path.startswith(f"{FILES}/"):
                    hidden[name.file].append((name.order, path))
        for file in files:
            yield file, {upcase(path): path for _, path in sorted(seen[file] or hidden[file])}
