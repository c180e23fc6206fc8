"""What `ls` and `find` say of an entry: a line for people, and an object for programs."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from ..builder.acl import account_name
from ..entry import Directory, File, HardLink, Whiteout
from ..errors import FormatError, escaped
from ..layers.lookup.find import Found, attributes_of, owner_of
from ..layers.lookup.ls import Listed, Stream
from ..union.links import is_link, link_of
from ..win32.attributes import MODE_LETTERS, attribute_mode, attribute_names
from ..win32.names import encode_wtf8
from ..win32.reparse import reparse_tag, tag_name
from .hive.values import security_text, time_text

__all__ = ["as_json", "line", "long_line", "write_name"]

_WHITEOUT: Final = ".wh."
_KINDS: Final = {Directory: "directory", File: "file", HardLink: "hard_link", Whiteout: "whiteout"}
_TIMES: Final = ("creation_time", "last_access_time", "last_write_time", "change_time")
_TIME: Final = len("2020-09-13T12:26:40")


def line(name: str, listed: Listed) -> str:
    """The name, as it is to be shown: that of a whiteout as in a tar."""
    if isinstance(listed.entry, Whiteout):
        above, slash, name = name.rpartition("/")
        name = f"{above}{slash}{_WHITEOUT}{name}"
    return name


def long_line(name: str, listed: Listed, stream: Stream | None = None) -> str:
    """Attributes, size, last write time (UTC), owner, name, and what it leads to; safe to show."""
    shown = escaped(line(name, listed))
    if isinstance(listed.entry, Whiteout):
        return f"{_WHITEOUT:<{len(MODE_LETTERS)}} {'-':>14} {'-':<{_TIME + 1}} {'-':<20} {shown}"
    file = listed.file or listed.entry
    attributes = file.file_attributes if isinstance(file, HardLink) else attributes_of(file)
    size = listed.size if stream is None else stream.size
    time = "-" if file.last_write_time is None else _seconds(file.last_write_time)
    owner = None if isinstance(file, HardLink) else owner_of(file.security_descriptor)
    who = "-" if owner is None else account_name(owner)
    target = _target(listed) if stream is None else None
    arrow = "" if target is None else f" -> {escaped(target)}"
    columns = f"{attribute_mode(attributes)} {'-' if size is None else f'{size:,}':>14} {time:<{_TIME + 1}} {who:<20}"
    return f"{columns} {shown}{arrow}"


def _seconds(filetime: int) -> str:
    """A time without what is less than a second."""
    text = time_text(filetime)
    return f"{text[:_TIME]}Z" if "T" in text else text


def _target(listed: Listed) -> str | None:
    """What a hard link, symlink or junction leads to; the name of any other reparse point's tag."""
    if isinstance(listed.entry, HardLink):
        return listed.entry.target
    reparse = listed.file.reparse_data if listed.file is not None else None
    if reparse is None:
        return None
    try:
        if not is_link(reparse):  # of which no more than the tag is kept
            return f"[{tag_name(reparse_tag(reparse))}]"
        link = link_of(reparse)
        return None if link is None else link.print_name or link.substitute_name
    except FormatError:
        return "[a malformed reparse point]"


def as_json(found: Found) -> dict[str, Any]:
    """The object of an entry, or of a stream of one. Times are ISO 8601 in UTC, `filetimes` the same exactly."""
    listed, file = found.listed, found.listed.file
    result: dict[str, Any] = {"path": found.path, "kind": _KINDS[type(listed.entry)], "layer": listed.number}
    if found.stream is not None:
        result |= {"kind": "stream", "size": found.stream.size}
        if found.stream.sha256 is not None:
            result["sha256"] = found.stream.sha256
        return result
    if file is None:
        if isinstance(listed.entry, HardLink):  # to what none of the layers has
            result |= {"size": None, "file_attributes": listed.entry.file_attributes, "target": listed.entry.target}
        return result
    times = {name: getattr(file, name) for name in _TIMES}
    descriptor = file.security_descriptor
    owner = owner_of(descriptor)
    result |= {
        "size": listed.size,
        "attributes": attribute_names(attributes_of(file)),
        "file_attributes": file.file_attributes,
        **{name: None if time is None else time_text(time) for name, time in times.items()},
        "filetimes": times,
        "owner": None if owner is None else str(owner),
        "owner_name": None if owner is None else account_name(owner),
        "sddl": None if descriptor is None else security_text(descriptor),
        "target": None,
        "reparse_tag": None if file.reparse_data is None else tag_name(reparse_tag(file.reparse_data)),
        "streams": [{"name": stream.name, "size": stream.size} for stream in listed.streams],
        "extended_attributes": [ea.name.decode("utf-8", "backslashreplace") for ea in file.extended_attributes],
        "short_name": file.short_name if not isinstance(listed.entry, HardLink) else None,
    }
    if isinstance(listed.entry, HardLink) or is_link(file.reparse_data):
        result["target"] = _target(listed)
    if listed.sha256 is not None:
        result["sha256"] = listed.sha256
    return result


def write_name(name: str, *, nul: bool) -> None:
    """A name on stdout, escaped, as a line; or as it is, with a NUL behind it."""
    if nul:
        sys.stdout.flush()
        sys.stdout.buffer.write(encode_wtf8(name) + b"\0")
    else:
        click.echo(escaped(name))
