"""Entries that were listed or found as JSON objects."""

from __future__ import annotations

from typing import Any, Final

from ...entry import Directory, File, HardLink, Whiteout
from ...errors import FormatError
from ...union.links import is_link, link_of
from ...win32.accounts import account_name
from ...win32.attributes import attribute_names
from ...win32.filetime import time_text
from ...win32.reparse import reparse_tag, tag_name
from ...win32.sddl_print import security_text
from .find import Found, attributes_of, owner_of
from .ls import Listed

__all__ = ["entry_object", "target_text"]

_KINDS: Final = {Directory: "directory", File: "file", HardLink: "hard_link", Whiteout: "whiteout"}
_TIMES: Final = ("creation_time", "last_access_time", "last_write_time", "change_time")


def target_text(listed: Listed) -> str | None:
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


def entry_object(found: Found) -> dict[str, Any]:
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
        result["target"] = target_text(listed)
    if listed.sha256 is not None:
        result["sha256"] = listed.sha256
    return result
