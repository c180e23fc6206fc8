r"""Which Windows is in a layer, by its registry: version and edition, installed updates and programs.

    HKEY_LOCAL_MACHINE\SOFTWARE\
        Microsoft\Windows NT\CurrentVersion                                     version and edition
        Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages     updates: those in state 0x70, installed
        Microsoft\Windows\CurrentVersion\Uninstall, also below WOW6432Node      programs
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ...regf.model import Key, RegType
from ...win32.names import from_utf16

__all__ = ["KEYS", "Program", "Update", "Windows", "windows_of"]

_VERSION: Final = "Microsoft\\Windows NT\\CurrentVersion"
_PACKAGES: Final = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\Packages"
_UNINSTALL: Final = "Microsoft\\Windows\\CurrentVersion\\Uninstall"
_WOW64: Final = "WOW6432Node"
KEYS: Final = (_VERSION, _PACKAGES, _UNINSTALL, f"{_WOW64}\\{_UNINSTALL}")
"""Those of the hive that are looked at."""
_INSTALLED: Final = 0x70  # CbsInstallStateInstalled
_UPDATE: Final = re.compile(r"Package_for_", re.IGNORECASE)
_KB: Final = re.compile(r"KB[0-9]{5,8}", re.IGNORECASE | re.ASCII)
_STRINGS: Final = (RegType.SZ, RegType.EXPAND_SZ)


@dataclass(frozen=True, slots=True)
class Update:
    """An installed update. kb: its number, `KB5034129`; package: its key's name; version: of the package.

    install_time: a FILETIME. Each is None where the registry does not say it.
    """

    package: str
    kb: str | None
    version: str | None
    install_time: int | None


@dataclass(frozen=True, slots=True)
class Program:
    """A program in Uninstall; wow64: of 32 bits, on a Windows of 64."""

    name: str
    version: str | None
    publisher: str | None
    wow64: bool = False


@dataclass(frozen=True, slots=True)
class Windows:
    """What a SOFTWARE hive says of its Windows; None where it does not say it.

    version: `10.0.20348.2227`, as far as it is known. packages: how many are installed, updates among them.
    """

    product_name: str | None
    edition: str | None
    display_version: str | None
    version: str | None
    installation_type: str | None
    build_lab: str | None
    packages: int
    updates: tuple[Update, ...]
    programs: tuple[Program, ...]

    @property
    def empty(self) -> bool:
        """Does the hive say nothing at all of it?"""
        return not (self.product_name or self.edition or self.version or self.packages or self.programs)


def windows_of(root: Key) -> Windows:
    """What the SOFTWARE hive with that root says. What is missing or of another type counts as not said."""
    version = root.find(_VERSION)
    packages = list(_installed(root.find(_PACKAGES)))
    updates = [_update(key) for key in packages if _UPDATE.match(key.name)]
    programs = [
        *_programs(root.find(_UNINSTALL), wow64=False),
        *_programs(root.find(f"{_WOW64}\\{_UNINSTALL}"), wow64=True),
    ]
    return Windows(
        product_name=_text(version, "ProductName"),
        edition=_text(version, "EditionID"),
        display_version=_text(version, "DisplayVersion") or _text(version, "ReleaseId"),
        version=_version(version),
        installation_type=_text(version, "InstallationType"),
        build_lab=_text(version, "BuildLabEx"),
        packages=len(packages),
        updates=tuple(sorted(updates, key=lambda one: (one.kb or "", one.package))),
        programs=tuple(sorted(programs, key=lambda one: (one.name.lower(), one.name, one.version or "", one.wow64))),
    )


def _text(key: Key | None, name: str) -> str | None:
    value = None if key is None else key.value(name)
    if value is None or value.tombstone or value.type not in _STRINGS:
        return None
    return from_utf16(value.data).partition("\0")[0] or None


def _number(key: Key | None, name: str) -> int | None:
    value = None if key is None else key.value(name)
    if value is None or value.type != RegType.DWORD or len(value.data) != 4:
        return None
    return int.from_bytes(value.data, "little")


def _version(key: Key | None) -> str | None:
    """`10.0.20348.2227`; 10.0 and UBR are numbers, the build is text, and an old Windows has only `6.3`, as text."""
    build = _text(key, "CurrentBuildNumber") or _text(key, "CurrentBuild")
    if build is None:
        return None
    major, minor = _number(key, "CurrentMajorVersionNumber"), _number(key, "CurrentMinorVersionNumber")
    front = _text(key, "CurrentVersion") if major is None or minor is None else f"{major}.{minor}"
    return ".".join(str(part) for part in (front, build, _number(key, "UBR")) if part is not None)


def _installed(packages: Key | None) -> Iterator[Key]:
    for key in packages.subkeys if packages is not None else ():
        if _number(key, "CurrentState") == _INSTALLED:
            yield key


def _update(key: Key) -> Update:
    found = None
    for text in (key.name, _text(key, "InstallLocation"), _text(key, "InstallName")):
        if text is not None and (found := _KB.search(text)) is not None:
            break
    parts = key.name.split("~")  # name~public key token~architecture~language~version
    high, low = _number(key, "InstallTimeHigh"), _number(key, "InstallTimeLow")
    return Update(
        package=key.name,
        kb=None if found is None else found[0].upper(),
        version=parts[4] if len(parts) == 5 and parts[4] else None,
        install_time=None if high is None or low is None else high << 32 | low,
    )


def _programs(uninstall: Key | None, *, wow64: bool) -> Iterator[Program]:
    for key in uninstall.subkeys if uninstall is not None else ():
        name = _text(key, "DisplayName")
        if name is not None:
            yield Program(name, _text(key, "DisplayVersion"), _text(key, "Publisher"), wow64)
