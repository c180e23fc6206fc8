"""Random layers, of every kind of entry, for hypothesis."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from hypothesis import strategies as st

from wclayer.body import BytesBody, StreamBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.layertar.reader import TarSource
from wclayer.layertar.writer import TarWriter
from wclayer.win32.filetime import NO_TIME
from wclayer.win32.names import upcase
from wclayer.win32.reparse import build_link

Item = tuple[Entry, bytes | None, tuple[tuple[int, int], ...] | None]  # entry, content, extents where there are holes

_CHARACTERS = (
    "abcXYZ019._-~ $#%&'()+,;=@[]{}!^`äÄßığΩя日字\u0130\u212a\U0001f600\U00010428\ud800\udfff\x01\x7f\n\"*<>?|"
)
NAMES = (
    st.one_of(
        st.text(alphabet="abcdEFGH.", min_size=1, max_size=6),
        st.text(alphabet=_CHARACTERS, min_size=1, max_size=10),
        st.text(alphabet="ab字", min_size=95, max_size=130),
        st.sampled_from(["x" * 255, "字" * 255, "CON", "a.", "a ", "~wclayer.1", "PaxHeaders.0", "é", "e\u0301"]),
    )
    # A pair of surrogates that stand together is one character to NTFS.
    .map(lambda name: name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass"))
    .filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
)
TIMES = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(116444736000000000, 140000000000000000),
    st.sampled_from([0, 1, 116444736000000000, 116444735999999999, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
).filter(lambda time: time != NO_TIME)
_ATTRIBUTES = st.sampled_from([0, 0x1, 0x2, 0x4, 0x20, 0x80, 0x100, 0x800, 0x2000, 0x20000, 0x80000000])
_EA_NAMES = st.binary(min_size=0, max_size=12).filter(lambda name: b"=" not in name and b"\0" not in name)
EAS = st.lists(
    st.builds(ExtendedAttribute, _EA_NAMES, st.binary(max_size=40), st.sampled_from([0, 0, 0x80, 0xFF])),
    max_size=3,
    unique_by=lambda ea: ea.name,
).map(lambda eas: tuple(sorted(eas, key=lambda ea: ea.name)))
_TARGETS = st.one_of(
    st.text(alphabet="ab\\.é\U0001f600", min_size=1, max_size=12),
    st.sampled_from(
        [
            "..\\b",
            "a",
            "C:\\Windows",
            "\\\\srv\\share",
            "\\\\?\\Volume{1}\\",
            "\\Windows",
            "a/b",
            "x\ud800y",
            "..\\..\\..",
        ]
    ),
)
LINKS = st.builds(build_link, _TARGETS, st.booleans())
OTHER_REPARSE = st.builds(
    lambda tag, data: tag.to_bytes(4, "little") + len(data).to_bytes(2, "little") + b"\0\0" + data,
    st.sampled_from([0x80000017, 0x8000001B, 0x9000001A, 0x80000018, 0xA000001D]),
    st.binary(max_size=30),
)
# A symlink whose substitute name is not the one that its print name would give.
_ODD_LINK = st.sampled_from(
    [
        bytes.fromhex(
            "0c0000a0340000000000140016001000000000005c003f003f005c0043003a005c00730075006200000043003a005c007000720069006e0074000000"
        ),
        bytes.fromhex("030000a01c00000000001000120000005c003f003f005c0043003a005c00780000000000"),
    ]
)
CONTENTS = st.one_of(st.binary(max_size=20), st.integers(0, 3000).map(lambda n: bytes(i * 7 & 0xFF for i in range(n))))


@st.composite
def _common(draw: st.DrawFn) -> dict[str, object]:
    rare = draw(st.integers(0, 9)) == 0
    return {
        "creation_time": draw(TIMES),
        "last_access_time": draw(st.none() | TIMES),
        "last_write_time": draw(TIMES),
        "change_time": draw(st.none() | TIMES),
        "security_descriptor": draw(st.none() | st.binary(min_size=1, max_size=60)),
        "extended_attributes": draw(EAS) if draw(st.booleans()) else (),
        "short_name": draw(st.sampled_from(["ABCDEF~1", "É~1.TXT"])) if rare else None,
        "object_id": draw(st.binary(min_size=16, max_size=64)) if rare else None,
        "backup_streams": draw(st.sampled_from([(), ((6, b"p"),), ((6, b""), (10, b"t" * 9))])) if rare else (),
    }


@st.composite
def files(draw: st.DrawFn, path: str) -> Item:
    """A file with its content: plain, empty with and without a DATA stream, sparse, or a reparse point."""
    common = draw(_common())
    attributes = draw(_ATTRIBUTES)
    kind = draw(st.sampled_from(["plain", "plain", "plain", "sparse", "link", "reparse"]))
    if kind == "link":
        link = draw(LINKS | _ODD_LINK)
        attributes |= 0x400
        return File(path, file_attributes=attributes, reparse_data=link, data_stream=False, **common), None, None  # type: ignore[arg-type]
    content = draw(CONTENTS)
    extents = None
    if kind == "reparse":
        common["reparse_data"] = draw(OTHER_REPARSE)
        attributes |= 0x400
    if kind == "sparse":
        attributes |= 0x200
        extents = draw(holes(len(content)))
        if extents is not None:
            content = punched(content, extents)
    stream = bool(content) or draw(st.booleans())
    file = File(path, file_attributes=attributes, size=len(content), data_stream=stream, **common)  # type: ignore[arg-type]
    return file, content, extents


@st.composite
def holes(draw: st.DrawFn, size: int) -> tuple[tuple[int, int], ...] | None:
    """Allocated ranges with at least one hole, or None."""
    cuts = draw(st.lists(st.integers(0, size), max_size=6, unique=True).map(sorted))
    pairs = [(a, b - a) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    joined = tuple(pair for pair in pairs if pair[1])
    return None if size == 0 or joined == ((0, size),) else joined


def punched(content: bytes, extents: tuple[tuple[int, int], ...]) -> bytes:
    data = bytearray(len(content))
    for offset, length in extents:
        data[offset : offset + length] = content[offset : offset + length]
    return bytes(data)


@st.composite
def layers(draw: st.DrawFn, roots: tuple[str, ...] = ("Files", "UtilityVM/Files"), max_entries: int = 14) -> list[Item]:
    """A base layer: its entries in an order in which parents and link targets come first."""
    items: list[Item] = []
    directories: list[str] = []
    targets: list[str] = []
    taken: set[str] = set()

    def directory(path: str, reparse: bytes | None = None) -> None:
        attributes = draw(_ATTRIBUTES) | 0x10 | (0x400 if reparse else 0)
        items.append((Directory(path, file_attributes=attributes, reparse_data=reparse, **draw(_common())), None, None))  # type: ignore[arg-type]
        if reparse is None or not reparse[3] & 0x20:  # nothing lies in what stands for something else
            directories.append(path)
        streams(path)

    def streams(path: str) -> None:
        for name in draw(st.lists(NAMES, max_size=2, unique_by=upcase)) if draw(st.integers(0, 4)) == 0 else ():
            content = draw(CONTENTS)
            items.append((AlternateStream(path, name, len(content)), content, None))

    for root in roots:
        for part in [root.split("/")[0], root] if "/" in root else [root]:
            directory(part)
        if "/" in root:
            directories.remove(root.split("/")[0])
    for _ in range(draw(st.integers(0, max_entries))):
        path = f"{draw(st.sampled_from(directories))}/{draw(NAMES)}"
        if upcase(path) in taken:
            continue
        taken.add(upcase(path))
        kind = draw(st.sampled_from(["file", "file", "file", "directory", "directory", "link", "junction"]))
        if kind == "directory":
            directory(path)
        elif kind == "junction":
            directory(path, draw(LINKS | OTHER_REPARSE | _ODD_LINK))
        elif kind == "link" and targets:
            items.append(
                (
                    HardLink(
                        path,
                        draw(st.sampled_from(targets)),
                        file_attributes=draw(_ATTRIBUTES),
                        creation_time=draw(TIMES),
                        last_access_time=draw(TIMES),
                        last_write_time=draw(TIMES),
                        change_time=draw(TIMES),
                    ),
                    None,
                    None,
                )
            )
        else:
            items.append(draw(files(path)))
            targets.append(path)
            streams(path)
    return items


# --- tars and comparison ---------------------------------------------------------


def body_of(content: bytes | None, extents: tuple[tuple[int, int], ...] | None) -> Body | None:
    if content is None:
        return None
    return BytesBody(content) if extents is None else StreamBody(len(content), io.BytesIO(content).read, extents)


def tar_of(items: Iterable[Item], *, modes: bool = False) -> bytes:
    output = io.BytesIO()
    with TarWriter(output, modes=modes) as writer:
        for entry, content, extents in items:
            writer.add(entry, body_of(content, extents))
        writer.commit()
    return output.getvalue()


def items_of(tar: bytes) -> list[Item]:
    """The entries of a tar; extents only where there are holes."""
    result: list[Item] = []
    for entry, body in TarSource(io.BytesIO(tar)).entries():
        if body is None:
            result.append((entry, None, None))
            continue
        extents = tuple(body.extents())
        size = body.size
        result.append((entry, body.read(), None if extents == (((0, size),) if size else ()) else extents))
    return result


@dataclass
class Seen:
    """A layer as it looks to Windows: names in no order, the names of one file as one."""

    objects: dict[frozenset[str], Item]
    streams: dict[tuple[frozenset[str], str], Item]
    whiteouts: set[str]
    parent_links: dict[str, HardLink]


def seen(items: list[Item]) -> Seen:
    """What must be the same before and after, whatever the order and whichever name of a file comes first."""
    names: dict[str, set[str]] = {}
    for entry, _, _ in items:
        if isinstance(entry, HardLink) and entry.target in names:
            names[entry.path] = names[entry.target]
            names[entry.path].add(entry.path)
        elif isinstance(entry, Directory | File):
            names[entry.path] = {entry.path}
    result = Seen({}, {}, set(), {})
    for entry, content, extents in items:
        if isinstance(entry, Whiteout):
            result.whiteouts.add(entry.path)
        elif isinstance(entry, HardLink):
            if entry.path not in names:
                result.parent_links[entry.path] = entry
        elif isinstance(entry, AlternateStream):
            key = frozenset(names[entry.path])
            result.streams[key, entry.name] = (replace(entry, path=""), content, extents)
        else:
            key = frozenset(names[entry.path])
            data = b"" if isinstance(entry, File) and content is None else content
            result.objects[key] = (replace(entry, path=""), data, extents)
    return result


def field_names(cls: type) -> list[str]:
    return [field.name for field in fields(cls)]
