"""The entry that a tar member is: directory, file, stream, hard link or whiteout.

As hcsshim's import reads it (ociwclayer.ImportLayerFromTar, go-winio's FileInfoFromHeader), but what hcsshim
would lose or take for something else is an error.
"""

from __future__ import annotations

from typing import Final

from ..codes import Code
from ..entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from ..errors import ConfinementError, FormatError, InexpressibleError, LayerError, MetadataError, TarError
from ..win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ..win32.names import check_component
from .members import Member
from .metadata import read_common, read_metadata
from .paths import WHITEOUT_PREFIX, layer_path

__all__ = ["entry_of"]

# Types of members that hold nothing that a Windows layer can store. hcsshim reads them as empty files.
_REFUSED: Final = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"S": "an old GNU sparse file",
    b"D": "a GNU directory dump",
    b"M": "a GNU multi-volume part",
    b"N": "a GNU long-name list",
    b"V": "a GNU volume label",
    b"A": "a Solaris ACL",
    b"X": "a Solaris extended header",
}
_DATA: Final = ":$DATA"  # the type of every named stream, which may follow its name
# S_IFREG of the mode: hcsshim sets it where the object has a DATA stream, the only trace of an empty one.
_HAS_DATA: Final = 0o100000


def entry_of(member: Member, owner: str | None) -> Entry | None:
    """Decode a member; None for `./`, the layer's root, which is not an entry of its own.

    owner: the path of the directory or file before it, whose streams may follow. Raises errors of FormatError, with
    path and offset, and InexpressibleError for a link too long for a reparse buffer.
    """
    path = layer_path(member.name, "an entry", member.offset)
    if not path:
        return None
    try:
        return _entry(member, path, owner)
    except MetadataError as error:
        error.within(member.offset)
        error.at(path)
        raise
    except FormatError as error:
        error.at(path, member.offset)
        raise
    except InexpressibleError as error:
        error.at(path, member.offset)
        error.rule = Code.METADATA_INEXPRESSIBLE
        raise


def _entry(member: Member, path: str, owner: str | None) -> Entry:
    typeflag = member.typeflag
    if typeflag not in (b"0", b"1", b"2", b"5"):
        what = _REFUSED.get(typeflag, "an entry of an unknown type")
        raise TarError(
            f"{what} (type {typeflag.decode('latin-1')}), which a Windows layer cannot hold",
            expected="a file, directory, hard link or symlink",
            hint="leave it out of the tar",
            rule=Code.TYPE_UNKNOWN,
        )
    directory, _, last = path.rpartition("/")
    if last.startswith(WHITEOUT_PREFIX):
        return _whiteout(member, directory, last)
    if ":" in last:
        return _stream(member, path, owner)
    if typeflag == b"1":
        return _hard_link(member, path)
    if typeflag == b"5":
        return Directory(path, **read_metadata(member, FILE_ATTRIBUTE_DIRECTORY))
    if typeflag == b"2":
        # Type 2 is written for directories and files alike; only the attributes tell them apart.
        metadata = read_metadata(member, 0)
        if metadata["file_attributes"] & FILE_ATTRIBUTE_DIRECTORY:
            return Directory(path, **metadata)
        return File(path, data_stream=False, **metadata)
    if member.name.endswith(b"/"):
        # Some tools take it for a directory, others for a file: neither is what the tar clearly means.
        raise TarError(
            "regular file whose name ends in a slash", expected="type '5' for a directory", rule=Code.FILE_WITH_SLASH
        )
    return File(
        path,
        size=member.size,
        data_stream=member.size > 0 or bool(member.mode & _HAS_DATA),
        **read_metadata(member, 0),
    )


def _hard_link(member: Member, path: str) -> HardLink:
    target = layer_path(member.linkname, "a hard link's target", member.offset)
    if not target or ":" in target:
        raise LayerError(
            "hard link to something that is not a file",
            got=repr(target),
            expected="the path of a file",
            rule=Code.LINK_TO_NO_FILE,
        )
    return HardLink(path, target, **read_common(member, 0))


def _whiteout(member: Member, directory: str, last: str) -> Whiteout:
    name = last[len(WHITEOUT_PREFIX) :]
    if name in ("", ".", ".."):
        raise ConfinementError(
            "whiteout without a name, or of the directory itself",
            expected=".wh.NAME",
            got=last,
            rule=Code.WHITEOUT_MALFORMED,
        )
    if member.name.endswith(b"/"):
        raise LayerError(
            "whiteout whose name ends in a slash: hcsshim would delete something below it",
            expected=".wh.NAME, without a slash",
            got=f"{last}/",
            rule=Code.WHITEOUT_MALFORMED,
        )
    if ":" in name:
        raise LayerError("whiteout of a stream", expected=".wh.NAME", got=last, rule=Code.WHITEOUT_MALFORMED)
    if member.size:
        raise LayerError(
            "whiteout with data, which every importer would drop",
            expected="an empty file",
            got=f"{member.size:,} bytes",
            rule=Code.WHITEOUT_MALFORMED,
        )
    return Whiteout(f"{directory}/{name}" if directory else name)


def _stream(member: Member, path: str, owner: str | None) -> AlternateStream:
    """A named stream: go-winio's import takes one only while it follows its file, and makes a file of any other."""
    base, _, name = path.rpartition("/")[2].partition(":")
    holder = path[: len(path) - len(name) - 1]
    name = name.removesuffix(_DATA)
    if holder != owner or member.typeflag != b"0":
        raise LayerError(
            "a `:` names a stream, which must be a regular file right after the entry that it belongs to",
            expected=f"an entry {base!r} just before it",
            got="none" if owner is None else repr(owner),
            rule=Code.STREAM_ASTRAY,
        )
    check_component(name)
    return AlternateStream(holder, name, member.size)
