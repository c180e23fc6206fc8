"""GNU tar's sparse files in PAX headers, formats 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats").

GNU tar writes one of these for sparse files with `--format=pax`. The older format, a
type `S` of its own, is refused (`entries`): hcsshim loses such files.
"""

from __future__ import annotations

from typing import Final

from ..codes import Code
from ..errors import TarError
from .block import BLOCK
from .stream import Input

__all__ = ["SparseMap", "sparse_map"]

_MAX_MAP: Final = (
    1 << 20
)  # bytes of a map in a body (format 1.0); the other formats are in records, which have the same limit
_MAX_SIZE: Final = (1 << 63) - 1

SparseMap = tuple[tuple[int, int], ...]


def _decimal(text: bytes, offset: int) -> int:
    if not text.isdigit() or len(text) > 19 or (value := int(text)) > _MAX_SIZE:
        raise TarError(
            "bad number in a GNU sparse map",
            offset=offset,
            expected="a decimal number",
            got=repr(text)[2:40],
            rule=Code.SPARSE_MAP_MALFORMED,
        )
    return value


def sparse_map(
    records: dict[bytes, bytes], stream: Input, stored: int, offset: int
) -> tuple[SparseMap, int, int] | None:
    """Return the map of a sparse file as (offset, length) pairs, its real size, and the size of the data that follow.

    records: of the member. stream: at the first byte of its body, from which a map of format 1.0 is read. stored: the
    size of the body. Returns None for a file that is not sparse. Raises TarError with `offset`.
    """
    major, minor = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
    if (major, minor) == (b"1", b"0"):
        flat, used = _map_in_body(stream, stored, offset)
        stored -= used
    elif b"GNU.sparse.map" in records and (major, minor) in ((None, None), (b"0", b"0"), (b"0", b"1")):
        text = records[b"GNU.sparse.map"]
        flat = [_decimal(part, offset) for part in text.split(b",")] if text else []
    elif major is not None or minor is not None:
        raise TarError(
            "unknown version of GNU's sparse format",
            offset=offset,
            expected="0.0, 0.1 or 1.0",
            rule=Code.SPARSE_MAP_MALFORMED,
        )
    else:
        return None
    size_text = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
    if size_text is None or len(flat) % 2:
        raise TarError(
            "incomplete GNU sparse map",
            offset=offset,
            expected="pairs, and the real size",
            rule=Code.SPARSE_MAP_MALFORMED,
        )
    size = _decimal(size_text, offset)
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    if sum(length for _, length in pairs) != stored:
        raise TarError(
            "GNU sparse map that does not match its data",
            offset=offset,
            expected=f"{stored:,} bytes of data",
            rule=Code.SPARSE_MAP_MALFORMED,
        )
    return pairs, size, stored


def _map_in_body(stream: Input, stored: int, offset: int) -> tuple[list[int], int]:
    """Read a map of format 1.0, lines of decimal numbers padded to whole blocks: count, then offset and length of each.

    Returns the numbers and the bytes that they take.
    """
    text = b""
    numbers: list[bytes] = []
    wanted = 1
    used = 0
    while len(numbers) < wanted:
        if used + BLOCK > min(stored, _MAX_MAP):
            raise TarError(
                "GNU sparse map longer than its file, or than 1 MiB", offset=offset, rule=Code.SPARSE_MAP_MALFORMED
            )
        text += stream.exactly(BLOCK, "a GNU sparse map")
        used += BLOCK
        *lines, text = text.split(b"\n")
        for line in lines:
            numbers.append(line)
            if len(numbers) == 1:
                wanted = 1 + 2 * _decimal(line, offset)
            if len(numbers) == wanted:
                break
        if len(text) > BLOCK:
            raise TarError("bad number in a GNU sparse map", offset=offset, rule=Code.SPARSE_MAP_MALFORMED)
    return [_decimal(number, offset) for number in numbers[1:]], used
