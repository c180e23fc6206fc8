"""What ntfsinfo prints of each file record: a third reader, of the driver's package, with times in seconds."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.compat.ntfs_facts import DIRECTORY, NORMAL, Facts
from tests.compat.ntfs_mft import record_numbers
from tests.compat.ntfs_wim import ENVIRONMENT
from tests.compat.tools import tool

__all__ = ["ntfsinfo_differences"]

_PART = re.compile(r"^Dumping attribute \$(\w+) \(0x[0-9a-f]+\) from mft record ", re.MULTILINE)
_FIELD = re.compile(r"^\t([^:\n]+?):?[ \t]*\t[ \t]*(.*)$", re.MULTILINE)
_TIMES = {
    "File Creation Time": "creation_time",
    "File Altered Time": "last_write_time",
    "Last Accessed Time": "last_access_time",
    "MFT Changed Time": "change_time",
}


def ntfsinfo_differences(image: Path, facts: Mapping[str, Facts]) -> list[str]:
    """A line for each thing that ntfsinfo says otherwise than `facts`; the image is unmounted, the paths are whole.

    Compared: how many names, attributes, the four times, streams with their sizes, sparseness, tag, length and first
    32 bytes of reparse data, object ID, number and size of EAs. It knows neither contents nor descriptors.
    """
    numbers = record_numbers(image)
    lines: list[str] = []
    for path, found in facts.items():
        command: list[str | Path] = [tool("ntfsinfo"), "-v", "-i", str(numbers[path]), image]
        done = subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
        said = list(_parts(done.stdout.decode("utf-8", "replace")))
        lines += [f"{path!r}: {line}" for line in _different(found, said)]
    return lines


def _parts(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The attributes, each with its fields; of one that lies in several pieces the first."""
    pieces = _PART.split(text)
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        fields: dict[str, str] = {}
        for key, value in _FIELD.findall(body):
            fields.setdefault(key, value)
        if fields.get("Lowest VCN", "0 ").split()[0] == "0":
            yield name, fields


def _different(facts: Facts, said: list[tuple[str, dict[str, str]]]) -> Iterator[str]:
    def first(kind: str) -> dict[str, str]:
        return next((fields for name, fields in said if name == kind), {})

    names = sum(name == "FILE_NAME" and fields["Namespace"] != "DOS" for name, fields in said)
    if names != max(1, len(facts.links)):
        yield f"{names} names"
    information = first("STANDARD_INFORMATION")
    attributes = _number(information["File attributes"].rsplit("(", 1)[1])
    if attributes != facts.attributes & ~(DIRECTORY | NORMAL):
        yield f"attributes {attributes:#x}"
    for key, name in _TIMES.items():
        hours, minutes, seconds = map(int, re.findall(r"(\d\d):(\d\d):(\d\d) ", information[key])[0])
        if getattr(facts, name) // 10_000_000 % 86400 != hours * 3600 + minutes * 60 + seconds:
            yield f"{name} {information[key]}"
    streams = {"": facts.data, **facts.streams} if facts.data is not None else facts.streams
    sizes = sorted((bool(name), stream.size, bool(stream.holes)) for name, stream in streams.items())
    data = [fields for name, fields in said if name == "DATA"]
    printed = sorted(
        (
            fields["Name length"] != "0 (0x0)",
            _number(fields["Data size"]),
            bool(_number(fields["Attribute flags"]) & 0x8000),
        )
        for fields in data
    )
    if printed != sizes:
        yield f"streams {printed}"
    missing = {name for name in streams if name.isprintable()} - {_quoted(fields) for fields in data}
    if missing:
        yield f"no stream {sorted(missing)}"
    reparse = first("REPARSE_POINT")
    if facts.reparse is None or not reparse:
        if facts.reparse is not None or reparse:
            yield f"reparse point {reparse}"
    else:
        shown = reparse["Data"].removeprefix("0x").rstrip(".")
        tag, length = int.from_bytes(facts.reparse[:4], "little"), int.from_bytes(facts.reparse[4:6], "little")
        if (_number(reparse["Reparse tag"]), _number(reparse["Data length"])) != (tag, length):
            yield f"reparse point {reparse}"
        if shown != (facts.reparse[8 : 8 + min(32, length)].hex() or "(NONE)"):
            yield f"reparse data {shown}"
    identifier = first("OBJECT_ID").get("Object ID")
    if identifier != (None if facts.object_id is None else _guid(facts.object_id)):
        yield f"object ID {identifier}"
    eas = facts.eas or {}
    counted = first("EA_INFORMATION")
    packed = sum(5 + len(name) + len(value) for name, (_, value) in eas.items())
    needed = sum(flags >> 7 for flags, _ in eas.values())
    if (_number(counted.get("Packed EA length", "0")), _number(counted.get("NEED_EA count", "0"))) != (packed, needed):
        yield f"EAs {counted}"


def _number(text: str) -> int:
    return int(text.split(maxsplit=1)[0].rstrip(")"), 0)


def _quoted(fields: Mapping[str, str]) -> str:
    return fields.get("Attribute name", "''")[1:-1]


def _guid(data: bytes) -> str:
    one, two, three = data[3::-1].hex(), data[5:3:-1].hex(), data[7:5:-1].hex()
    return f"{one}-{two}-{three}-{data[8:10].hex()}-{data[10:16].hex()}"
