"""Rules of the tar as a tar (docs/tar-framing.md)."""

from __future__ import annotations

from typing import Final

from ...codes import Code
from .model import ALL, ENGINES, Effect, Rule, Severity

__all__ = ["TAR_RULES"]

_UNREADABLE: Final = (Effect(ALL, "the layer cannot be read: `archive/tar: invalid tar header`"),)
_MAKE_ANEW: Final = "Fetch the layer again, or build it again."

TAR_RULES: Final = (
    Rule(
        Code.TAR_MALFORMED,
        Severity.ERROR,
        "a malformed tar header",
        "A checksum is wrong, or a field is not a number: the tar is corrupt, or the file is not a tar.",
        _UNREADABLE,
        _MAKE_ANEW,
    ),
    Rule(
        Code.TAR_CUT_OFF,
        Severity.ERROR,
        "a tar that ends too early",
        "The tar ends inside a header, its records or the data of an entry. What comes before can be read.",
        (Effect(ALL, "the import fails at its end, after all that was imported before: `unexpected EOF`"),),
        "Fetch it again: it was cut off on the way.",
    ),
    Rule(
        Code.PAX_MALFORMED,
        Severity.ERROR,
        "PAX records that cannot be read",
        "A record is `LEN key=value` with a length that counts itself; keys are not empty, names have no NUL, and all"
        " records of an entry together have at most 1 MiB, as Go's archive/tar has it.",
        _UNREADABLE,
        "Make the layer with a tool that writes PAX headers.",
    ),
    Rule(
        Code.COMPRESSION_BROKEN,
        Severity.ERROR,
        "a broken gzip or zstd stream",
        "The compressed stream is corrupt or cut off, or other data follow it.",
        (Effect(ALL, "the layer cannot be unpacked"),),
        _MAKE_ANEW,
    ),
    Rule(
        Code.DATA_AFTER_END,
        Severity.ERROR,
        "data where the archive must end",
        "Two blocks of zeros end a tar. Other data follow a single one, or follow more than 1 MiB after the end.",
        (Effect(ALL, "what follows is lost, or the import fails"),),
        "Pass archives one by one; pad a tar with zeros only.",
    ),
    Rule(
        Code.TYPE_UNKNOWN,
        Severity.ERROR,
        "an entry of a type that no Windows layer can hold",
        "Devices, FIFOs, contiguous files, old GNU sparse files and others: hcsshim makes an ordinary empty file of"
        " each, without an error.",
        (Effect(ALL, "an empty file, with the data lost"),),
        "Leave the entry out; GNU tar makes readable sparse files with `--format=posix --sparse-version=1.0`.",
    ),
    Rule(
        Code.SPARSE_MAP_MALFORMED,
        Severity.ERROR,
        "a map of a sparse file that does not fit its data",
        "The allocated ranges, of GNU sparse records or of WCLAYER.sparse, overlap, are out of order, reach beyond"
        " the file, or are not as long as the data.",
        (Effect(ALL, "the layer cannot be read, or the file has other content"),),
        "Make the tar without sparse files.",
    ),
    Rule(
        Code.BASE64_MALFORMED,
        Severity.ERROR,
        "a record that is not valid base64",
        "Security descriptors and extended attributes are in base64, in the standard alphabet, with padding.",
        (Effect(ALL, "the import fails: `illegal base64 data`"),),
        "Encode the record again, with padding.",
    ),
    Rule(
        Code.OWN_RECORD_MALFORMED,
        Severity.ERROR,
        "a malformed WCLAYER record",
        "These records hold what the standard ones cannot (docs/tar-framing.md). Only wclayer reads them.",
        (Effect(ALL, "wclayer refuses the layer; hcsshim does not look at the record"),),
        "Export the layer again with wclayer, or remove the record.",
    ),
    Rule(
        Code.GLOBAL_HEADER,
        Severity.WARNING,
        "a global PAX header",
        "Its records apply to all entries that follow. hcsshim, through Go's archive/tar, takes it for an entry of"
        " its own.",
        (Effect(ENGINES, "hcsshim makes a file of the header, or fails at its name"),),
        "Leave it out: `git archive` writes one, and `tar --pax-option=globexthdr...`.",
        imports=True,
    ),
    Rule(
        Code.LOST_AFTER_END,
        Severity.WARNING,
        "something after the end of the archive",
        "Two blocks of zeros end a tar. Nobody reads what follows, except further zeros, but its"
        " bytes count for the diff_id. Two archives one after the other are no archive of both.",
        (Effect(ALL, "what follows the end is lost, without an error"),),
        "Pass archives one by one; pad a tar with zeros only.",
        imports=True,
    ),
    Rule(
        Code.ZEROS_AFTER_COMPRESSED,
        Severity.ERROR,
        "zeros behind the end of the compressed stream",
        "gzip, bsdtar and Python pass over zeros behind a gzip or zstd stream, which some programs write as padding."
        " Go's readers expect another member or frame there.",
        (Effect(ENGINES, "the pull fails: `gzip: invalid header`, or `magic number mismatch`"),),
        "Cut the zeros off, or decompress the tar and compress it again.",
        imports=True,
    ),
)
