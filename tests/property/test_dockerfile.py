"""Files taken out of layers, held against a model; Dockerfiles from strangers: an image, or an error of ours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images import layout
from tests.tars import M, build, directory
from wclayer.body import BytesBody
from wclayer.builder.copy_from import ImageTree
from wclayer.distribution.registries import Registries
from wclayer.dockerfile.build import build_dockerfile
from wclayer.dockerfile.parse import parse_dockerfile
from wclayer.dockerfile.sources import unpack
from wclayer.entry import Body, Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import NotFoundError, SpecError, UnreachableError, WclayerError
from wclayer.images.options import ImageOptions
from wclayer.images.reading import open_image

# --- a stack of layers, and what is seen on it, one path after the other ---------------

Item = tuple[str, str, str]  # path, kind (directory, file, link, gone), content or target
PATHS = ["a", "A", "b", "B", "c", "d", "d/a", "D/A", "d/b", "d/D", "D/d/a", "b/A"]
STACKS = st.lists(
    st.dictionaries(
        st.sampled_from(PATHS),
        st.sampled_from(["directory", "file", "gone"]) | st.sampled_from(PATHS).map("link {}".format),
        max_size=8,
    ),
    min_size=1,
    max_size=4,
)


def seen(stack: list[list[Item]], top: int, path: str) -> tuple[int, Item] | None:
    """What stands at `path` for who stands on layer `top`, and in which layer."""
    for number in range(top, -1, -1):
        for item in reversed(stack[number]):
            if item[0].upper() == path.upper():
                return None if item[1] == "gone" else (number, item)
        for item in stack[number]:
            if path.upper().startswith(item[0].upper() + "/") and item[1] != "directory":
                return None
    return None


def content(stack: list[list[Item]], top: int, path: str) -> str | None:
    """What is in the file at `path`, links followed; None for what is no file."""
    found = seen(stack, top, path)
    if found is None or found[1][1] == "directory":
        return None
    number, (_, kind, text) = found
    return text if kind == "file" else content(stack, number, text)


def stacked(drawn: list[dict[str, str]]) -> list[list[Item]]:
    """Layers that an import would take: parents first, each name once, links at last and to a file that is there."""
    stack: list[list[Item]] = []
    for number, layer in enumerate(drawn):
        items: list[Item] = []
        stack.append(items)
        for path, kind in sorted(layer.items(), key=lambda pair: ("link" in pair[1], pair[0].count("/"), pair[0])):
            above = path.rpartition("/")[0].upper()
            parents = [item[0] for item in items if item[0].upper() == above and item[1] == "directory"]
            if any(item[0].upper() == path.upper() for item in items) or (above and not parents):
                continue
            spelled = "/".join((*parents, path.rpartition("/")[2]))
            if kind.startswith("link "):
                targets = {kind[5:].upper(), *(item[2].upper() for item in items if item[1] == "link")}
                below = any(target.startswith(f"{path.upper()}/") for target in targets)  # of the link's own name
                if path.upper() not in targets and not below and content(stack, number, kind[5:]) is not None:
                    items.append((spelled, "link", kind[5:]))
            else:
                items.append((spelled, kind, f"{number} {spelled}"))
    return stack


# --- ours ------------------------------------------------------------------------------


class Layer:
    restartable = True

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        yield Directory("Files"), None
        for path, kind, text in self._items:
            if kind == "file":
                yield File(f"Files/{path}", size=len(text)), BytesBody(text.encode())
            elif kind == "link":
                yield HardLink(f"Files/{path}", f"Files/{text}"), None
            else:
                yield (Directory if kind == "directory" else Whiteout)(f"Files/{path}"), None


def walked(taken: ImageTree, path: str) -> dict[str, str | None]:
    host = path.encode()
    if not taken.is_directory(path):
        return {path.upper(): taken.read(host, taken.look(host)).decode()}
    result: dict[str, str | None] = {path.upper(): None}
    for below, _ in taken.list(host):
        result |= walked(taken, below.decode())
    return result


@settings(max_examples=1000)
@given(STACKS, st.sampled_from(["", *PATHS]))
def test_taking_is_what_the_model_sees(drawn: list[dict[str, str]], wanted: str) -> None:
    stack = stacked(drawn)
    top = len(stack) - 1
    visible = {path.upper(): seen(stack, top, path) for path in PATHS}
    expected = {
        key: content(stack, top, key)
        for key, found in visible.items()
        if found is not None and (not wanted or key == wanted.upper() or key.startswith(wanted.upper() + "/"))
    }
    layers = [Layer(items) for items in stack]
    if wanted and wanted.upper() not in expected:
        with pytest.raises(NotFoundError):
            ImageTree.of_layers(layers, [wanted], name="image")
        return
    with closing(ImageTree.of_layers(layers, [wanted], name="image")) as taken:
        [place] = taken.find(wanted)
        assert place.upper() == wanted.upper()
        found = walked(taken, place)
        assert found == {**({} if wanted else {"": None}), **expected}
        for key in expected:
            one = visible[key]
            assert one is not None
            [spelled] = taken.find(key)
            assert spelled.rpartition("/")[2] == one[1][0].rpartition("/")[2]


# --- Dockerfiles from strangers ------------------------------------------------------------

PIECES = [
    *[
        "FROM scratch\n",
        "FROM base\n",
        "FROM base AS x\n",
        "FROM x\n",
        "FROM $A\n",
        "FROM a.invalid/b\n",
        "# escape=`\n",
    ],
    *[
        "COPY a /\n",
        "COPY . x\n",
        "COPY d/ C:/y/\n",
        "ADD t x/\n",
        "ADD t.gz /\n",
        "COPY --from=x / /z\n",
        "COPY * q/\n",
    ],
    *["COPY --from=0 a b\n", "COPY --from=base Windows w/\n", "WORKDIR C:/w\n", "WORKDIR ..\n", "COPY <<E /e\n$A\nE\n"],
    *["ENV A=b\n", "ENV A b c\n", "ARG A\n", "ARG A=base\n", "ARG A B=$A\n", "LABEL a=$A 'b c'=d\n", "USER $A\n"],
    *["CMD a\n", 'CMD ["a"]\n', "ENTRYPOINT x\n", 'SHELL ["s"]\n', "EXPOSE 80 1-3/udp\n", 'VOLUME ["v"]\n'],
    *["HEALTHCHECK --interval=1s CMD x\n", "STOPSIGNAL 9\n", "MAINTAINER m\n", "RUN x\n", "ONBUILD RUN x\n"],
    *[
        "--exclude=*",
        "--chown=BU ",
        "--link ",
        "--from=",
        "\\\n",
        "`\n",
        "\\",
        "`",
        "$",
        "${",
        "}",
        ":-",
        "'",
        '"',
        "[",
        "]",
    ],
    *[
        "*",
        "?",
        "!",
        "..",
        "/",
        "C:",
        "D:\\",
        "\\\\s\\",
        "\0",
        "\x1b",
        "\ufeff",
        "é",
        "\U0001f600",
        "<<",
        "<<-",
        "=",
        " ",
        "#",
    ],
    *["00000000001", "9", "CON", "a.", ".wh.a", "\u2028", "\x85", "\xa0", "\t", "\r\n", "\n", "0", "-1", "65536"],
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


class Nowhere(Registries):
    """Registries none of which answers."""

    def registry(self, *_: object) -> Any:
        raise UnreachableError("no network in tests")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A context `c` and a base `b`."""
    folder = tmp_path_factory.mktemp("dockerfiles")
    for name, data in {"a": b"1", "d/x": b"2", "d/e/y": b"3", ".dockerignore": b"d/e\n"}.items():
        (folder / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "c" / name).write_bytes(data)
    (folder / "c/t").write_bytes(build([M("x", b"1"), M("in/y", b"2")]))
    (folder / "c/t.gz").write_bytes(b"\x1f\x8b no gzip")
    layout(folder / "b", [build([directory("Files"), directory("Files/Windows"), M("Files/Windows/n.exe", b"MZ")])])
    return folder


def attempt(place: Path, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        output, said = f"oci:{name}/out:t", ""
        try:
            built = build_dockerfile(
                data,
                output,
                source="D",
                context=str(place / "c"),
                contexts={"base": f"oci:{place / 'b'}:t"},
                arguments={"A": "a"},
                workers=1,
                options=ImageOptions(temp_dir=name, registries=Nowhere()),
            )
        except WclayerError as error:
            said = str(error)
        if said:
            assert "\n" not in said
            assert os.listdir(name) == []
            return
        with open_image(output) as image:
            assert image.manifest.digest == built.digest
            assert sum(1 for layer in image.layers for _ in layer.source().entries()) > 0


@settings(max_examples=60)
@given(text=TEXTS)
def test_any_instructions(place: Path, text: str) -> None:
    attempt(place, text.encode())


@settings(max_examples=60)
@given(text=TEXTS, first=st.sampled_from(["FROM scratch\n", "FROM base AS x\nCOPY a /f\n", "# escape=`\nFROM base\n"]))
def test_any_instructions_after_a_from(place: Path, text: str, first: str) -> None:
    attempt(place, (first + text).encode())


GOOD = (
    b'# escape=`\nARG A=base\nFROM $A AS x\nCOPY --chown=BU a d t C:\\y\\\nENV A="b c" B=$A\nFROM scratch\n'
    b"ADD t `\n  /x/\nCOPY --from=x /Windows /w\nCOPY <<E /e\ntext $B\nE\nWORKDIR C:\\w\nEXPOSE 80-82/udp\n"
    b'HEALTHCHECK --interval=1m30s CMD ["a"]\nCMD ["c:\\\\x"]\n'
)


@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.binary(max_size=3)), max_size=4),
)
def test_other_bytes(place: Path, changes: list[tuple[int, int, bytes]]) -> None:
    data = bytearray(GOOD)
    for at, length, new in changes:
        data[at : at + length] = new
    attempt(place, bytes(data))


@settings(max_examples=60)
@given(data=st.binary(max_size=60))
def test_any_bytes(place: Path, data: bytes) -> None:
    attempt(place, data)


def test_the_good_one_is_good(place: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        built = build_dockerfile(
            GOOD,
            f"oci:{name}/out",
            source="D",
            context=str(place / "c"),
            contexts={"base": f"oci:{place / 'b'}:t"},
        )
    assert len(built.layers) == 4
    assert built.warnings == []


@given(st.text(alphabet="FROMCPYADENVLUS abx=`\\\"'$%{}[]<>#-/\n\r\t\0\u2028é", max_size=80))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    with suppress(SpecError):
        parse_dockerfile(text.encode(), "D")


# --- archives from strangers ---------------------------------------------------------------

TAR = build(
    [
        directory("d"),
        M("d/f", b"content" * 100, pax={"comment": "x"}),
        M("d/hard", type="1", link="d/f"),
        M("d/soft", type="2", link="f"),
        M("long" * 40, b"1", mtime=1.5),
    ]
)


@given(
    changes=st.lists(st.tuples(st.integers(0, 4096), st.binary(min_size=1, max_size=12)), max_size=4),
    resealed=st.booleans(),
    size=st.none() | st.integers(0, len(TAR)),
)
def test_an_archive_with_other_bytes(changes: list[tuple[int, bytes]], resealed: bool, size: int | None) -> None:
    data = bytearray(TAR)
    for at, new in changes:
        data[at : at + len(new)] = new
    for at in range(0, len(data), 512) if resealed else ():
        if data[at + 257 : at + 262] == b"ustar":  # let the checksum be right all the same
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    with tempfile.TemporaryDirectory() as name:
        Path(name, "archive").write_bytes(data[:size])
        os.mkdir(os.path.join(name, "into"))
        with suppress(WclayerError):
            unpack(os.path.join(name, "archive"), os.path.join(name, "into"))
        assert sorted(os.listdir(name)) == ["archive", "into"]
