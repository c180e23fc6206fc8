"""What stacks of layers show, by everybody in wclayer who works it out, and by the model: they must agree.

python -m tests.property.compare_users --stacks 5000 --seed 1
"""

from __future__ import annotations

import argparse
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.property.test_squash import source, squash, stacks, tar_of
from tests.property.union_model import Item, Stack, model, up
from wclayer import import_layer_from_tar
from wclayer.builder.base_index import LowerView, index_layer
from wclayer.builder.copy_from import ImageTree
from wclayer.entry import Directory, Entry, File, HardLink, Whiteout
from wclayer.layers.lookup.cat import write_contents
from wclayer.layers.lookup.ls import Listed, list_layers
from wclayer.layers.lookup.request import PathQuery
from wclayer.layers.stack import Stack as Folders
from wclayer.union.view import UnionView

Shown: TypeAlias = dict[str, bytes | None]  # below Files and UtilityVM/Files; of a file the content

VOLUMES: Final = ("Files", "UtilityVM/Files")


def by_model(stack: Stack) -> Shown:
    return {path: one[1][1] if one[0] == "file" else None for path, one in model(stack).items() if "/" in path}


def by_view(stack: Stack) -> Shown:
    view = UnionView([source(layer) for layer in stack])
    files: dict[tuple[int, str], bytes] = {}
    shown: dict[str, tuple[int, str]] = {}
    directories: Shown = {}
    with closing(view.entries(hidden=True)) as entries:
        for seen in entries:
            at = seen.number, seen.key
            if isinstance(seen.entry, File):
                files[at] = b"" if seen.body is None else seen.body.read()
            if seen.visible and isinstance(seen.entry, File | HardLink):
                shown[seen.path] = at
            elif seen.visible and isinstance(seen.entry, Directory):
                directories[seen.path] = None
    found = {path: view.file_of(*at) for path, at in shown.items()}
    return {**directories, **{path: files[file] for path, file in found.items() if file is not None}}


def by_ls(stack: Stack) -> Shown:
    """The paths, each file's content by cat."""
    listed: list[Listed] = []
    sources = [source(layer) for layer in stack]
    list_layers(sources, [PathQuery("")], listed.append)
    result: Shown = {}
    for one in listed:
        if isinstance(one.entry, Whiteout):
            continue
        out: list[bytes] = []
        if not isinstance(one.file, Directory):
            write_contents(sources, [PathQuery(one.path, literal=True)], out.append)
        result[one.path] = None if isinstance(one.file, Directory) else b"".join(out)
    return result


def by_copy_from(stack: Stack) -> Shown:
    result: Shown = {}
    sources = [source(layer) for layer in stack]
    for root in VOLUMES:
        with closing(ImageTree.of_layers(sources, [""], name="image", root=root)) as tree:
            waiting = [b""]
            while waiting:
                for path, found in tree.list(waiting.pop()):
                    entry = tree.entry(path)
                    if isinstance(entry, Directory):
                        result[f"{root}/{path.decode()}"] = None
                        waiting += [path] if stat.S_ISDIR(found.st_mode) else []
                    else:
                        result[f"{root}/{path.decode()}"] = tree.read(path, found)
    return result


def by_squash(stack: Stack) -> Shown:
    return by_model([squash(stack)])


def by_import(stack: Stack) -> Shown:
    """What the layer folders show together to a layer on top; the paths are the model's, as one looks up by path."""
    with tempfile.TemporaryDirectory() as name:
        parents: list[Path] = []
        for number, layer in enumerate(stack):
            import_layer_from_tar(tar_of(layer), Path(name, str(number)), parents)
            parents.insert(0, Path(name, str(number)))
        result: Shown = {}
        with Folders(parents) as folders:
            for path in every_path(stack):
                found = folders.lookup(path)
                if found is not None:
                    result[path] = None if isinstance(found, Directory) else folders.open(path).read()
    return result


def by_base_index(stack: Stack) -> Shown:
    """Names and kinds, which is what a build knows of its base; contents are not known."""
    layers = [index_layer(None, partial(_entries, layer)) for layer in stack]
    try:
        view = LowerView(layers[::-1])
        found = {path: view.lookup(path) for path in every_path(stack)}
        return {path: None if isinstance(one, Directory) else b"" for path, one in found.items() if one is not None}
    finally:
        for layer in layers:
            layer.close()


def _entries(layer: list[Item]) -> list[Entry]:
    return [entry for entry, _ in source(layer).entries()]


def every_path(stack: Stack) -> list[str]:
    """All paths that any layer has, as the model spells those that are seen, and two that none has."""
    paths = {up(item["path"]): item["path"] for layer in stack for item in layer if "/" in item["path"]}
    paths |= {up(path): path for path in model(stack) if "/" in path}
    return sorted({*paths.values(), "Files/nothing", "UtilityVM/Files/nothing"})


def kinds(shown: Shown) -> Shown:
    return {path: None if content is None else b"" for path, content in shown.items()}


USERS: Final[dict[str, Callable[[Stack], Shown]]] = {
    "view": by_view,
    "ls and cat": by_ls,
    "COPY --from": by_copy_from,
    "squash": by_squash,
    "import": by_import,
    "build --from": by_base_index,
}


def disagreements(stack: Stack) -> list[str]:
    """The users who do not say what the model says."""
    expected = {path: content for path, content in by_model(stack).items() if path != "UtilityVM/Files"}
    wrong = []
    for name, user in USERS.items():
        found = {path: content for path, content in user(stack).items() if "/" in path and path != "UtilityVM/Files"}
        if found != (kinds(expected) if user is by_base_index else expected):
            wrong.append(name)
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found: Counter[str] = Counter()
    drawn: list[Item] = []

    @seed(options.seed)
    @settings(
        max_examples=options.stacks,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(stacks())
    def compare(stack: Stack) -> None:
        drawn.append({"layers": len(stack), "items": sum(map(len, stack))})
        found.update(disagreements(stack))

    compare()
    layers, items = (sum(one[key] for one in drawn) for key in ("layers", "items"))
    print(f"{len(drawn):,} stacks, {layers:,} layers, {items:,} entries; the model and {len(USERS)} users")
    print(f"disagreements: {dict(found) if found else 'none'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
