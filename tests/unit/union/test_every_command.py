"""What a stack of layers shows at a path is one answer, whichever command is asked."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from tests import images
from wclayer import (
    Criteria,
    build_dockerfile,
    diff_layers,
    extract_files,
    find_files,
    import_layer_from_tar,
    list_files,
    read_file,
    squash_image,
    verify_layer,
)
from wclayer.body import BytesBody
from wclayer.builder.base_index import LowerView, index_layer
from wclayer.codes import Code
from wclayer.entry import Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import LayerError, NotFoundError
from wclayer.layertar.reader import TarSource
from wclayer.layertar.writer import TarWriter
from wclayer.operations.hive_places import HivePlaces, parse_hive_place
from wclayer.win32.reparse import build_link

Item: TypeAlias = "Entry | tuple[Entry, bytes]"
RIGHT: Final = b"right"
WRONG: Final = b"not right"


def tar(*items: Item) -> bytes:
    out = io.BytesIO()
    with TarWriter(out) as writer:
        for item in items:
            entry, data = item if isinstance(item, tuple) else (item, None)
            writer.add(entry, None if data is None else BytesBody(data))
        writer.commit()
    return out.getvalue()


def file(path: str, data: bytes) -> Item:
    return File(f"Files/{path}", file_attributes=0x20, size=len(data)), data


def directory(path: str) -> Entry:
    return Directory(f"Files/{path}".rstrip("/"), file_attributes=0x10)


def junction(path: str, target: str) -> Entry:
    return Directory(f"Files/{path}", file_attributes=0x410, reparse_data=build_link(target, True))


def link(path: str, target: str) -> Entry:
    return HardLink(f"Files/{path}", f"Files/{target}")


class Stack:
    """Layers as tars, as an image, and as layer folders on one another."""

    def __init__(self, folder: Path, *layers: bytes) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.tars = layers
        self.image = f"oci:{images.layout(folder / 'image', layers)}:t"

    def imported(self) -> list[Path]:
        """The layer folders, nearest first. Raises what import does."""
        parents: list[Path] = []
        for number, data in enumerate(self.tars):
            import_layer_from_tar(io.BytesIO(data), self.folder / f"layer{number}", parents)
            parents.insert(0, self.folder / f"layer{number}")
        return parents


Ask: TypeAlias = Callable[[Stack, str], bytes]


def cat(stack: Stack, path: str) -> bytes:
    return read_file(f"{stack.image}//Files/{path}")


def ls(stack: Stack, path: str) -> bytes:
    [listed] = list_files(f"{stack.image}//Files/{path}")
    return RIGHT if listed.size == len(RIGHT) else WRONG


def find(stack: Stack, path: str) -> bytes:
    [content] = [
        content
        for content in (RIGHT, WRONG)
        if find_files(f"{stack.image}//Files/{path}", Criteria(sha256=frozenset({images.digest(content)[7:]})))
    ]
    return content


def extract(stack: Stack, path: str) -> bytes:
    extract_files([f"{stack.image}//Files/{path}"], stack.folder / "extracted")
    return (stack.folder / "extracted" / path.rpartition("/")[2]).read_bytes()


def squash(stack: Stack, path: str) -> bytes:
    squash_image(stack.image, f"oci:{stack.folder / 'squashed'}:t")
    return read_file(f"oci:{stack.folder / 'squashed'}:t//Files/{path}")


def squash_upper(stack: Stack, path: str) -> bytes:
    squash_image(stack.image, f"oci:{stack.folder / 'upper'}:t", first=1)
    return read_file(f"oci:{stack.folder / 'upper'}:t//Files/{path}")


def copy_from(stack: Stack, path: str) -> bytes:
    dockerfile = f"FROM scratch\nCOPY --from=stack {path} /copied\n".encode()
    place = f"oci:{stack.folder / 'copied'}:t"
    context = str(stack.folder)
    build_dockerfile(dockerfile, place, source="Dockerfile", context=context, contexts={"stack": stack.image})
    return read_file(f"{place}//Files/copied")


def hive_of_image(stack: Stack, path: str) -> bytes:
    return HivePlaces().data(parse_hive_place(f"{stack.image}//Files/{path}"))


def import_on_top(stack: Stack, path: str) -> bytes:
    """A layer on top gives the file another name: import finds the file through its parents."""
    parents = stack.imported()
    on_top = tar(directory(""), link("again", path))
    import_layer_from_tar(io.BytesIO(on_top), stack.folder / "on top", parents)
    return cat(Stack(stack.folder / "both", *stack.tars, on_top), "again")


def diff_with_squashed(stack: Stack, path: str) -> bytes:
    """The image and what squash makes of it show the same."""
    squash_image(stack.image, f"oci:{stack.folder / 'for diff'}:t")
    found = diff_layers(stack.image, f"oci:{stack.folder / 'for diff'}:t")
    assert (found.removed, found.added, found.moved, found.changed) == ((), (), (), ())
    return cat(stack, path)


FOLLOWING: Final = (cat, ls, find, extract, squash, squash_upper, diff_with_squashed)  # these follow symlinks
LITERAL: Final = (copy_from, hive_of_image, import_on_top)


def ask_all(stack: Stack, path: str, asked: Sequence[Ask] = (*FOLLOWING, *LITERAL)) -> dict[str, bytes]:
    return {ask.__name__: ask(stack, path) for ask in asked}


def all_say(content: bytes, asked: Sequence[Ask] = (*FOLLOWING, *LITERAL)) -> dict[str, bytes]:
    return {ask.__name__: content for ask in asked}


def errors_of(stack: Stack) -> set[Code]:
    """What verify says of the names and links in the layers; these have no hives and no descriptors."""
    return {one.rule.code for one in verify_layer(stack.image).findings if one.rule.code.value.startswith("WCL2")}


def names_below(stack: Stack) -> LowerView:
    """What `build --from` knows of its base."""

    def entries(data: bytes) -> Iterator[Entry]:
        for entry, _ in TarSource(io.BytesIO(data)).entries():
            yield entry

    return LowerView([index_layer(None, partial(entries, data)) for data in reversed(stack.tars)])


def test_a_junction_over_a_directory_hides_what_was_in_it(tmp_path: Path) -> None:
    base = tar(*map(directory, ("", "d", "e")), file("d/x", WRONG), file("e/x", RIGHT))
    stack = Stack(tmp_path, base, tar(directory(""), junction("d", "C:\\e")))
    assert ask_all(stack, "d/x", FOLLOWING) == all_say(RIGHT, FOLLOWING)
    for ask in (copy_from, hive_of_image):
        with pytest.raises(LayerError, match="a path through a link"):
            ask(stack, "d/x")
    with pytest.raises(LayerError, match="hard link to nothing"):
        import_on_top(stack, "d/x")
    assert names_below(stack).lookup("Files/d/x") is None
    assert copy_from(stack, "e/x") == RIGHT
    assert errors_of(stack) == set()
    above = Stack(tmp_path / "above", *stack.tars, tar(directory(""), link("again", "d/x")))
    assert Code.LINK_TO_NOTHING in errors_of(above)


@pytest.mark.parametrize("length", [9, 100, 1022])
def test_a_chain_of_hard_links(tmp_path: Path, length: int) -> None:
    """1,024 names are as many as NTFS gives a file."""
    chain = [link(f"{number}", f"{number - 1}") for number in range(1, length + 1)]
    stack = Stack(tmp_path, tar(directory(""), file("0", RIGHT), *chain), tar(directory(""), file("other", WRONG)))
    assert ask_all(stack, str(length)) == all_say(RIGHT)
    assert names_below(stack).lookup(f"Files/{length}") is not None
    assert errors_of(stack) == set()


def test_a_chain_of_hard_links_through_layers(tmp_path: Path) -> None:
    layers = [tar(directory(""), file("0", RIGHT))]
    layers += [tar(directory(""), link(f"{number}", f"{number - 1}")) for number in range(1, 12)]
    assert ask_all(Stack(tmp_path, *layers), "11") == all_say(RIGHT)


def test_a_link_before_its_target_is_one_to_the_layers_below(tmp_path: Path) -> None:
    """As hcsshim has it, which looks in the parents for what has not come yet (legacyLayerWriter.AddLink)."""
    base = tar(directory(""), file("x", RIGHT))
    stack = Stack(tmp_path, base, tar(directory(""), link("l", "x"), file("x", WRONG)))
    assert ask_all(stack, "l") == all_say(RIGHT)
    assert ask_all(Stack(tmp_path / "x", *stack.tars), "x") == all_say(WRONG)


def test_a_link_before_its_target_in_a_base_layer(tmp_path: Path) -> None:
    """Who makes layers refuses it, as hcsshim does; who just looks finds the file."""
    stack = Stack(tmp_path, tar(directory(""), link("l", "x"), file("x", RIGHT)))
    readers = (cat, ls, find, extract, copy_from, hive_of_image)
    assert ask_all(stack, "l", readers) == all_say(RIGHT, readers)
    for ask in (squash, import_on_top):
        with pytest.raises(LayerError, match="hard link to nothing"):
            ask(stack, "l")
    assert Code.LINK_TO_NOTHING in errors_of(stack)


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_case_changes_and_whiteouts(tmp_path: Path, case: Callable[[str], str]) -> None:
    base = tar(*map(directory, ("", "Dir")), file("Dir/x", WRONG), file("Dir/y", RIGHT))
    upper = tar(directory(""), directory("DIR"), link("DIR/z", "dir/Y"), Whiteout("Files/dir/X"))
    stack = Stack(tmp_path, base, upper)
    assert ask_all(stack, case("Dir/z"), (cat, copy_from, hive_of_image)) == all_say(
        RIGHT, (cat, copy_from, hive_of_image)
    )
    for ask in (cat, copy_from, hive_of_image):
        with pytest.raises(NotFoundError):
            ask(stack, case("Dir/x"))
    assert names_below(stack).lookup("Files/dir/x") is None
