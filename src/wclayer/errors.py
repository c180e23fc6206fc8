"""Every error that wclayer raises on purpose, in one tree.

    WclayerError                          exit code
    +-- UsageError (ValueError)                   2  wrong arguments
    +-- FormatError (ValueError)                 10  bad input
    |   +-- CompressionError                         a gzip or zstd stream
    |   +-- TarError                                 tar headers, PAX records, framing
    |   +-- MetadataError                            Windows metadata in bytes or text
    |   |   +-- FileTimeError
    |   |   +-- AttributesError
    |   |   +-- SecurityDescriptorError
    |   |   +-- SddlError
    |   |   +-- ReparseError
    |   |   +-- ExtendedAttributeError
    |   |   +-- BackupStreamError
    |   |   +-- InvalidNameError                     a name that NTFS cannot hold
    |   +-- LayerError                               entries that are not a valid layer together
    |   |   +-- ConfinementError                     a path or link that leaves the layer
    |   +-- RecordError                              layer.db
    |   +-- HiveError                                a registry hive
    |   +-- ImageError                               an OCI image: JSON, blobs, archives
    |   +-- DiskError                                a disk image: its partitions, its NTFS volume
    |   +-- SpecError                                an image.toml, a Dockerfile, a .reg file
    +-- DigestMismatchError (ValueError)         11  other bytes than the digest names
    +-- NotFoundError (FileNotFoundError)        12
    +-- AlreadyExistsError (FileExistsError)     13
    +-- AccessError (PermissionError)            14
    +-- StorageError (OSError)                   15  no space, I/O
    +-- RemoteError (OSError)                    16  network, registry
    |   +-- UnreachableError                         no answer, or one that broke off
    |   +-- RemoteImageError (ImageError)            the registry has an invalid image
    |   +-- RemoteNotFoundError (NotFoundError)      the registry does not have it
    +-- UnsupportedError (NotImplementedError)   17  needs Windows, ntfs-3g ...
    +-- InexpressibleError (ValueError)          18  the target cannot hold it

Any other exception is a bug of wclayer, and exits with 70.

Each error has these fields, None where they do not apply: the entry it is about (`path`),
the layer that the entry is in (`layer`), where the user asked for it (`requested_by`), the
byte offset in the input (`offset`), what was `expected` and found (`got`), what to do
(`hint`), and the broken rule (`rule`, docs/rules.md). `str(error)` is one line with all of
them. Code that knows the place where an error came up adds it by `with_context`.

Control characters and unpaired surrogates in names are shown escaped, so that a hostile
name cannot write to a terminal.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, ClassVar, Final

from .codes import Code

__all__ = [
    "AccessError",
    "AlreadyExistsError",
    "AttributesError",
    "BackupStreamError",
    "CompressionError",
    "ConfinementError",
    "DigestMismatchError",
    "DiskError",
    "ExtendedAttributeError",
    "FileTimeError",
    "FormatError",
    "HiveError",
    "ImageError",
    "InexpressibleError",
    "InvalidNameError",
    "LayerError",
    "MetadataError",
    "NotFoundError",
    "RecordError",
    "RemoteError",
    "RemoteImageError",
    "RemoteNotFoundError",
    "ReparseError",
    "SddlError",
    "SecurityDescriptorError",
    "SpecError",
    "StorageError",
    "TarError",
    "UnreachableError",
    "UnsupportedError",
    "UsageError",
    "WclayerError",
    "described",
    "escaped",
    "printable",
    "with_context",
]

_SHOWN: Final = 200


def printable(text: str | bytes) -> str:
    """`text` as one line that is safe to show: non-printing characters escaped, long text cut inside."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    shown = escaped(text)
    if len(shown) > _SHOWN:
        shown = f"{shown[: _SHOWN // 2]}...{shown[-_SHOWN // 2 :]}"
    return shown


def escaped(text: str) -> str:
    """`text` as one line that is safe to show: non-printing characters escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def described(message: str, path: str | None, expected: str | None, got: str | None) -> str:
    """One line, safe to show: of which entry what is wrong, and what was expected and found."""
    text = escaped(message)
    if path is not None:
        text = f"{printable(path) or '(empty name)'}: {text}"
    if expected is not None:
        text += f"; expected {printable(expected)}"
    if got is not None:
        text += f"; got {printable(got)}"
    return text


class WclayerError(Exception):
    """The root of the tree; never raised itself."""

    exit_code: ClassVar[int] = 70
    default_rule: ClassVar[Code | None] = None

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        offset: int | None = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
        rule: Code | None = None,
        layer: str | None = None,
        requested_by: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.layer = layer
        self.requested_by = requested_by
        self.offset = offset
        self.expected = None if expected is None else str(expected)
        self.got = None if got is None else str(got)
        self.hint = hint
        self.rule = rule

    @property
    def broken_rule(self) -> Code | None:
        """The rule of a layer that this error breaks; None if no rule fits."""
        return self.rule or self.default_rule

    def at(self, path: str | None = None, offset: int | None = None, *, layer: str | None = None) -> None:
        """Fill in the fields that are not known yet."""
        if self.path is None:
            self.path = path
        if self.offset is None:
            self.offset = offset
        if self.layer is None:
            self.layer = layer

    def within(self, offset: int) -> None:
        """Set the offset of the malformed value; the offset inside the value goes into the message."""
        if self.offset is not None:
            self.message += f" (at {self.offset} in it)"
        self.offset = offset

    def __str__(self) -> str:
        text = described(self._placed_message(), self.path, self.expected, self.got)
        if self.offset is not None:
            text += f" (at byte {self.offset:,} of the input)"
        if self.hint is not None:
            text += f" -- {escaped(self.hint)}"
        return text if self.rule is None else f"{text} [{self.rule}]"

    def _placed_message(self) -> str:
        """The message after what asked for it and the layer; a layer that is the path already is not repeated."""
        layer = None if self.layer is None or self.layer == self.path else f"in {self.layer}"
        return ": ".join(part for part in (self.requested_by, layer, self.message) if part is not None)

    def as_dict(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {
            "code": self.exit_code,
            "class": type(self).__name__,
            "message": escaped(self.message),
            "path": None if self.path is None else printable(self.path),
            "layer": None if self.layer is None else printable(self.layer),
            "requested_by": None if self.requested_by is None else printable(self.requested_by),
            "offset": self.offset,
            "expected": self.expected,
            "got": self.got,
            "hint": None if self.hint is None else escaped(self.hint),
            "rule": self.rule,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))


def _rebuild(cls: type[WclayerError], message: str, state: dict[str, Any]) -> WclayerError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class with_context:  # noqa: N801 # a context manager, named like contextlib's
    """Add to errors of the block where they came up; fields that an error has already stay.

    layer: the layer, as messages name it. path: the entry or file. offset: the byte offset in the input. only: the
    classes of errors to add it to.
    """

    # Not a generator with @contextmanager, which takes several times as long: this is entered for each entry.
    __slots__ = ("_layer", "_offset", "_only", "_path")

    def __init__(
        self,
        *,
        layer: str | None = None,
        path: str | None = None,
        offset: int | None = None,
        only: type[WclayerError] | tuple[type[WclayerError], ...] = WclayerError,
    ) -> None:
        self._layer = layer
        self._path = path
        self._offset = offset
        self._only = only

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, WclayerError) and isinstance(error, self._only):
            error.at(self._path, self._offset, layer=self._layer)


class UsageError(WclayerError, ValueError):
    """Arguments of a wrong type, that exclude each other, or that name something impossible."""

    exit_code = 2


class FormatError(WclayerError, ValueError):
    """Input that is not what its format allows."""

    exit_code = 10
    default_rule: ClassVar[Code | None] = Code.LAYER_INVALID


class CompressionError(FormatError):
    """A gzip or zstd stream that is truncated or corrupt."""

    default_rule = Code.COMPRESSION_BROKEN


class TarError(FormatError):
    """A tar header, PAX record or archive end that cannot be right."""

    default_rule = Code.TAR_MALFORMED


class MetadataError(FormatError):
    """Windows metadata, in bytes or text, that cannot be right."""


class FileTimeError(MetadataError):
    """A time that is not a decimal number, or that a FILETIME cannot hold."""

    default_rule = Code.TIME_MALFORMED


class AttributesError(MetadataError):
    """File attributes that are not a strict decimal uint32."""

    default_rule = Code.ATTRIBUTES_MALFORMED


class SecurityDescriptorError(MetadataError):
    """A SID, ACE, ACL or self-relative security descriptor that is malformed."""

    default_rule = Code.DESCRIPTOR_MALFORMED


class SddlError(MetadataError):
    """Text that is not in the security descriptor definition language."""

    default_rule = Code.SDDL_MALFORMED


class ReparseError(MetadataError):
    """A REPARSE_DATA_BUFFER that is malformed."""

    default_rule = Code.REPARSE_MALFORMED


class ExtendedAttributeError(MetadataError):
    """A FILE_FULL_EA_INFORMATION list that is malformed."""

    default_rule = Code.EA_MALFORMED


class BackupStreamError(MetadataError):
    """A Win32 backup stream that is malformed."""

    default_rule = Code.STREAM_MALFORMED


class InvalidNameError(MetadataError):
    """A file or stream name that NTFS cannot hold."""

    default_rule = Code.NAME_IMPOSSIBLE


class LayerError(FormatError):
    """Well-formed entries that are not a valid layer together."""

    default_rule = Code.LAYER_INVALID


class ConfinementError(LayerError):
    """A path or link that would leave the layer."""

    default_rule = Code.LEAVES_LAYER


class RecordError(FormatError):
    """A layer.db that is broken, hostile, or of a later version."""

    default_rule = Code.RECORD_BROKEN


class HiveError(FormatError):
    """A registry hive that is empty, dirty or malformed."""

    default_rule = Code.HIVE_BROKEN


class ImageError(FormatError):
    """An OCI image whose index, manifest, config or archive cannot be right."""

    default_rule = Code.IMAGE_INVALID


class DiskError(FormatError):
    """A disk image without partitions or NTFS where they must be, or with a volume that is not clean."""

    default_rule = None


class SpecError(FormatError):
    """An image.toml, a Dockerfile or a .reg file with a mistake in it."""

    default_rule = None


class DigestMismatchError(WclayerError, ValueError):
    """Other bytes than those of the given digest."""

    exit_code = 11


class NotFoundError(WclayerError, FileNotFoundError):
    """A file, folder, layer or entry that does not exist."""

    exit_code = 12


class AlreadyExistsError(WclayerError, FileExistsError):
    """A target that exists already."""

    exit_code = 13


class AccessError(WclayerError, PermissionError):
    """The host refuses access, or a privilege is missing."""

    exit_code = 14


class StorageError(WclayerError, OSError):
    """No space, or an I/O error of the host."""

    exit_code = 15


class RemoteError(WclayerError, OSError):
    """An error of the network, or an answer of a registry."""

    exit_code = 16


class UnreachableError(RemoteError):
    """A host that does not answer, or breaks off in the middle, after several attempts.

    given_up: all attempts are used up.
    """

    given_up = False


class RemoteImageError(RemoteError, ImageError):
    """An image of a registry whose index, manifest or config cannot be right."""


class RemoteNotFoundError(RemoteError, NotFoundError):
    """An image, blob or repository that the registry does not have, or hides."""


class UnsupportedError(WclayerError, NotImplementedError):
    """This host cannot do it: it needs Windows, ntfs-3g, or another tool."""

    exit_code = 17


class InexpressibleError(WclayerError, ValueError):
    """The target format or file system cannot hold what it is given."""

    exit_code = 18
