"""What `ls` and `find` say of an entry to people."""

from __future__ import annotations

import sys
from typing import Final

import click

from ..entry import HardLink, Whiteout
from ..errors import escaped
from ..layers.lookup.find import attributes_of, owner_of
from ..layers.lookup.ls import Listed, Stream
from ..layers.lookup.objects import target_text
from ..win32.accounts import account_name
from ..win32.attributes import MODE_LETTERS, attribute_mode
from ..win32.filetime import time_text
from ..win32.names import encode_wtf8

__all__ = ["line", "long_line", "write_name"]

_WHITEOUT: Final = ".wh."
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
    target = target_text(listed) if stream is None else None
    arrow = "" if target is None else f" -> {escaped(target)}"
    columns = f"{attribute_mode(attributes)} {'-' if size is None else f'{size:,}':>14} {time:<{_TIME + 1}} {who:<20}"
    return f"{columns} {shown}{arrow}"


def _seconds(filetime: int) -> str:
    """A time without what is less than a second."""
    text = time_text(filetime)
    return f"{text[:_TIME]}Z" if "T" in text else text


def write_name(name: str, *, nul: bool) -> None:
    """A name on stdout, escaped, as a line; or as it is, with a NUL behind it."""
    if nul:
        sys.stdout.flush()
        sys.stdout.buffer.write(encode_wtf8(name) + b"\0")
    else:
        click.echo(escaped(name))
