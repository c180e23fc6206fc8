"""Two small layers with one of everything: a base, and one on top of it."""

from __future__ import annotations

from typing import Any

from tests.strategies import Item
from wclayer.entry import AlternateStream, Directory, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.minimal import minimal_hive
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

__all__ = ["BOOT", "CONFIG", "HIVES", "OWN", "TIME", "base_items", "child_items", "folder", "parts", "plain"]

TIME = 132_000_000_000_000_000
HIVES = ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
DELTAS = ("DefaultUser", "Sam", "Security", "Software", "System")
CONFIG = "Files/Windows/System32/config"
BOOT = "UtilityVM/Files/EFI/Microsoft/Boot"
OWN = parse_sddl("O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;FR;;;WD)")
_NAMES = ("creation_time", "last_access_time", "last_write_time", "change_time")


def times(number: int) -> dict[str, Any]:
    return dict.fromkeys(_NAMES, TIME + number * 10_000_001)


def folder(path: str, number: int = 0, **more: Any) -> Item:
    common = {"file_attributes": 0x10, "security_descriptor": OWN, **times(number), **more}
    return Directory(path, **common), None, None


def plain(path: str, content: bytes, number: int = 1, **more: Any) -> Item:
    common = {"file_attributes": 0x20, "security_descriptor": OWN, **times(number), **more}
    return File(path, size=len(content), **common), content, None


def folders(*paths: str) -> list[Item]:
    return [folder(path, number) for number, path in enumerate(paths)]


def parts(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[: number + 1]) for number in range(len(names))]


def base_items(*, vm: bool = True) -> list[Item]:
    items = folders(*parts(CONFIG))
    items += [plain(f"{CONFIG}/{name}", minimal_hive(TIME)) for name in HIVES]
    items += [
        folder("Files/dir", 7),
        plain("Files/dir/f", b"data" * 1000, 8),
        (AlternateStream("Files/dir/f", "Zone.Identifier", 3), b"ads", None),
        (HardLink("Files/dir/g", "Files/dir/f", file_attributes=0x20, **times(9)), None, None),
        plain("Files/dir/gone", b"gone"),
        plain("Files/dir/ea", b"", 3, extended_attributes=(ExtendedAttribute(b"$CI.CATALOGHINT", b"x" * 20),)),
        folder("Files/link", 4, file_attributes=0x410, reparse_data=build_link("C:\\dir", True)),
    ]
    if vm:
        items += folders(*parts(BOOT))
        items += [
            plain(f"{BOOT}/BCD", minimal_bcd(TIME)),
            plain("UtilityVM/Files/kernel", b"kernel"),
            plain("UtilityVM/Files/old", b"old"),
        ]
    return items


def child_items(*, vm: bool = True) -> list[Item]:
    items = folders("Files", "Files/dir", "Files/new")
    items += [
        plain("Files/new/file", b"new content", 21, file_attributes=0x2021),
        (AlternateStream("Files/new/file", "one", 4), b"1111", None),
        (HardLink("Files/new/again", "Files/new/file", file_attributes=0x2021, **times(21)), None, None),
        (HardLink("Files/new/theirs", "Files/dir/f", file_attributes=0x20, **times(8)), None, None),
        folder("Files/new/junction", 5, file_attributes=0x410, reparse_data=build_link("C:\\Windows", True)),
        (Whiteout("Files/dir/gone"), None, None),
        *folders("Hives"),
        *(plain(f"Hives/{name}_Delta", minimal_hive(TIME)) for name in DELTAS),
    ]
    if vm:
        items += folders("UtilityVM", "UtilityVM/Files")
        items += [
            plain("UtilityVM/Files/kernel", b"newer kernel", 31),
            plain("UtilityVM/Files/driver", b"driver", 32),
            (Whiteout("UtilityVM/Files/old"), None, None),
        ]
    return items
