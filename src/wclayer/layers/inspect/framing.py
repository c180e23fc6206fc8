"""Which program wrote a layer tar, as far as its headers tell.

Where PAX headers lie, and what is in them, differs from one to another:

    Go's archive/tar    dir/PaxHeaders.0/name     what runs on it is told apart by its records, see below
    Python's tarfile    ././@PaxHeader
    GNU tar             dir/PaxHeaders/name, PaxHeaders.PID in old ones; or `ustar  ` as magic
    bsdtar (libarchive) dir/PaxHeader/name

go-winio's backuptar (hcsshim, containerd, Docker) writes creation time, attributes,
access and change time of every entry, and no permissions; so does wclayer, byte for
byte. Microsoft's own base layers lack the change times, and have permissions where the
roots have none. BuildKit writes the creation time with all its nanoseconds or `.0`, and
neither access nor change time. crane, ko and imgutil write only descriptors.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from ...layertar.members import Member
from ...layertar.records import OWN

__all__ = ["Framing", "FramingMarks"]

_GO: Final = "Go's archive/tar"
_PYTHON: Final = "Python's tarfile"
_GNU: Final = "GNU tar"
_BSD: Final = "bsdtar (libarchive)"
_USTAR: Final = "no PAX headers (USTAR)"
_GNU_MAGIC: Final = b"ustar  "
_MAGICS: Final = {b"ustar\x0000": "ustar", b"ustar  \0": "GNU"}
_GNU_NAME: Final = re.compile(rb"(?:^|/)PaxHeaders(?:\.[0-9]+)?(?:/|\Z)")
_CUT: Final = 99  # bytes at least that are left of a name that was cut, PaxHeaders.0 perhaps with the rest
_TICKS: Final = 7  # digits of a FILETIME's fraction
_CREATED: Final = b"LIBARCHIVE.creationtime"
_ATTRIBUTES: Final = b"MSWINDOWS.fileattr"
_DESCRIPTOR: Final = b"MSWINDOWS.rawsd"


@dataclass(frozen=True, slots=True)
class Framing:
    """How a layer tar is written. writer: by which program, as far as its marks tell.

    pax_writer: who makes PAX headers of this kind. magics: the kinds of headers, with their counts. records: how many
    members have which PAX record, those of extended attributes as one. permissions: how many have permission bits,
    hard links aside.
    """

    writer: str
    pax_writer: str | None
    magics: dict[str, int]
    records: dict[str, int]
    permissions: int
    members: int


def _pax_writer(name: bytes) -> str:
    if name.startswith(b"././@PaxHeader"):
        return _PYTHON
    if b"PaxHeaders.0" in name.split(b"/"):
        return _GO
    if _GNU_NAME.search(name):
        return _GNU
    if b"PaxHeader" in name.split(b"/"):
        return _BSD
    return _GO if len(name) >= _CUT else "another program"


@dataclass(slots=True)
class FramingMarks:
    """Gathers what the members of a tar tell of who wrote it. members: so far."""

    members: int = 0
    _pax: Counter[str] = field(default_factory=Counter)
    _records: Counter[bytes] = field(default_factory=Counter)
    _magics: Counter[bytes] = field(default_factory=Counter)
    _permissions: int = 0
    _unpadded: int = 0  # creation times of a Go program that writes nanoseconds as they are
    _whiteouts: int = 0
    _last: Member | None = None

    def see(self, member: Member) -> None:
        """The next member."""
        if member is self._last:
            return
        self._last = member
        self.members += 1
        self._magics[member.magic] += 1
        if member.mode & 0o777 and member.typeflag != b"1":  # hcsshim gives hard links 0644
            self._permissions += 1
        if member.extended is None:
            return
        self._pax[_pax_writer(member.extended)] += 1
        for key in member.records:
            self._records[b"MSWINDOWS.xattr" if key.startswith(b"MSWINDOWS.xattr.") else key] += 1
        digits = member.records.get(_CREATED, b"").partition(b".")[2]
        if len(digits) > _TICKS or digits.endswith(b"0"):
            self._unpadded += 1

    def framing(self) -> Framing:
        """What they told."""
        pax = self._pax.most_common(1)
        return Framing(
            writer=self._writer(pax[0][0] if pax else None),
            pax_writer=pax[0][0] if pax else None,
            magics={
                _MAGICS.get(magic, repr(magic)[2:-1] if magic.strip(b"\0") else "V7"): count
                for magic, count in self._magics.most_common()
            },
            records={key.decode("utf-8", "backslashreplace"): count for key, count in sorted(self._records.items())},
            permissions=self._permissions,
            members=self.members,
        )

    def _writer(self, pax: str | None) -> str:
        if any(key.startswith(OWN) for key in self._records):
            return "wclayer"
        if pax is None:
            gnu = any(magic.startswith(_GNU_MAGIC) for magic in self._magics)
            return f"{_GNU}, or {_PYTHON} in its format" if gnu else _USTAR
        if pax != _GO:
            return pax
        with_pax = sum(self._pax.values())
        records = self._records
        if not records[_CREATED]:
            return "crane, ko or imgutil" if records[_DESCRIPTOR] and not records[_ATTRIBUTES] else _GO
        if records[b"ctime"] >= with_pax - records[b"GNU.sparse.major"] and records[b"atime"]:
            return "hcsshim, containerd, Docker or wclayer" if not self._permissions else _GO
        if self._unpadded and not records[b"atime"] and not records[b"ctime"]:
            return "BuildKit"
        if not records[b"ctime"] and records[_ATTRIBUTES] and self._permissions:
            return "Microsoft (a base layer as it is published)"
        return _GO
