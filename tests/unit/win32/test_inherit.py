"""What children inherit, in SDDL: cases that a Windows volume shows, and each flag."""

from __future__ import annotations

import pytest

from wclayer.errors import SecurityDescriptorError
from wclayer.stores.folder.defaults import DIRECTORY_DESCRIPTOR
from wclayer.win32.inherit import inherit
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.security import SE_DACL_PRESENT, SE_SACL_PRESENT


def child(sddl: str, *, directory: bool) -> str:
    return format_sddl(inherit(parse_sddl(sddl), directory=directory))


# What icacls shows of new directories and files on a fresh volume.
VOLUME = (
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)"
    "(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)"
)


def test_a_directory_of_a_fresh_volume() -> None:
    assert parse_sddl(VOLUME) == DIRECTORY_DESCRIPTOR
    assert child(VOLUME, directory=True) == (
        "O:BAG:SYD:AI(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)"
        "(A;OICIID;0x1200a9;;;BU)(A;CIID;LC;;;BU)(A;CIID;DC;;;BU)"
    )


def test_a_file_of_a_fresh_volume() -> None:
    assert child(VOLUME, directory=False) == (
        "O:BAG:SYD:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)"
    )


def test_a_directory_inherits_the_same_as_the_one_above_it() -> None:
    once = inherit(parse_sddl(VOLUME), directory=True)
    assert inherit(once, directory=True) == once


FULL = "(A;;FA;;;BA)(A;;FA;;;SY)"


@pytest.mark.parametrize(
    ("flags", "directory", "file"),
    [
        ("", "", ""),
        ("OI", "(A;OIIOID;FR;;;BU)", "(A;ID;FR;;;BU)"),
        ("CI", "(A;CIID;FR;;;BU)", ""),
        ("OICI", "(A;OICIID;FR;;;BU)", "(A;ID;FR;;;BU)"),
        ("OICIIO", "(A;OICIID;FR;;;BU)", "(A;ID;FR;;;BU)"),
        ("OIIO", "(A;OIIOID;FR;;;BU)", "(A;ID;FR;;;BU)"),
        ("CINP", "(A;ID;FR;;;BU)", ""),
        ("OINP", "", "(A;ID;FR;;;BU)"),
        ("OICINPIO", "(A;ID;FR;;;BU)", "(A;ID;FR;;;BU)"),
        ("OICIID", "(A;OICIID;FR;;;BU)", "(A;ID;FR;;;BU)"),
    ],
)
def test_each_flag(flags: str, directory: str, file: str) -> None:
    """SY's entry is for everybody, so that the list is never empty."""
    sddl = f"O:BAG:SYD:(A;{flags};FR;;;BU)(A;OICI;FA;;;SY)"
    assert child(sddl, directory=True) == f"O:BAG:SYD:AI{directory}(A;OICIID;FA;;;SY)"
    assert child(sddl, directory=False) == f"O:BAG:SYD:AI{file}(A;ID;FA;;;SY)"


@pytest.mark.parametrize(
    ("generic", "rights"), [("GA", "FA"), ("GR", "FR"), ("GW", "FW"), ("GX", "FX"), ("GXGR", "0x1200a9")]
)
def test_generic_rights_become_those_to_files(generic: str, rights: str) -> None:
    sddl = f"O:BAG:SYD:(A;OICI;{generic};;;BU)"
    assert child(sddl, directory=False) == f"O:BAG:SYD:AI(A;ID;{rights};;;BU)"
    assert child(sddl, directory=True) == f"O:BAG:SYD:AI(A;ID;{rights};;;BU)(A;OICIIOID;{generic};;;BU)"
    assert child(sddl.replace("OICI", "OICINP"), directory=True) == f"O:BAG:SYD:AI(A;ID;{rights};;;BU)"


def test_creators() -> None:
    sddl = "O:LSG:BUD:(A;OICI;FA;;;CO)(A;OI;FR;;;CG)(A;OICI;FX;;;OW)"
    assert child(sddl, directory=False) == "O:LSG:BUD:AI(A;ID;FA;;;LS)(A;ID;FR;;;BU)(A;ID;FX;;;OW)"
    assert child(sddl, directory=True) == (
        "O:LSG:BUD:AI(A;ID;FA;;;LS)(A;OICIIOID;FA;;;CO)(A;OIIOID;FR;;;CG)(A;OICIID;FX;;;OW)"
    )


def test_nothing_to_inherit_is_what_a_process_of_the_administrators_gives() -> None:
    assert child("O:BAG:SYD:P(A;;FR;;;BU)", directory=False) == f"O:BAG:SYD:{FULL}"
    assert child("O:SYG:SYD:", directory=True) == "O:SYG:SYD:(A;;FA;;;SY)"
    assert child("D:", directory=True) == "D:(A;;FA;;;SY)"


def test_denials_audits_labels_and_conditions() -> None:
    sddl = (
        "O:BAG:SYD:PAI(D;OICI;GW;;;BU)(XA;OICI;FR;;;WD;(@USER.a == 1))(A;OICI;FA;;;SY)"
        "S:(AU;OICISAFA;FA;;;WD)(ML;OICI;NW;;;HI)"
    )
    assert child(sddl, directory=False) == (
        "O:BAG:SYD:AI(D;ID;FW;;;BU)(XA;ID;FR;;;WD;(@USER.a == 1))(A;ID;FA;;;SY)S:AI(AU;IDSAFA;FA;;;WD)(ML;ID;NW;;;HI)"
    )


def test_a_label_s_mask_is_no_generic_right() -> None:
    """Its bits are SYSTEM_MANDATORY_LABEL_* ([MS-DTYP] 2.4.4.13), and the others have no meaning."""
    sddl = "O:BAG:SYD:(A;OICI;FA;;;SY)S:(ML;OICI;0x80000001;;;HI)"
    assert child(sddl, directory=True) == "O:BAG:SYD:AI(A;OICIID;FA;;;SY)S:AI(ML;OICIID;0x80000001;;;HI)"


def test_entries_for_classes_of_a_directory_service_are_not_for_files() -> None:
    guid = "bf967a86-0de6-11d0-a285-00aa003049e2"
    sddl = f"O:BAG:SYD:(OA;CI;FR;;{guid};BU)(OA;OICI;FR;{guid};;BU)(A;OICI;FA;;;SY)"
    assert child(sddl, directory=False) == f"O:BAG:SYD:AI(OA;ID;FR;{guid};;BU)(A;ID;FA;;;SY)"


@pytest.mark.parametrize("sddl", ["O:BAG:SY", "O:BAG:SYD:NO_ACCESS_CONTROL"])
def test_no_dacl(sddl: str) -> None:
    with pytest.raises(SecurityDescriptorError, match="nothing to inherit"):
        inherit(parse_sddl(sddl), directory=False)


def test_a_dacl_without_se_dacl_present() -> None:
    data = bytearray(parse_sddl("O:BAG:SYD:(A;OICI;FA;;;BA)"))
    data[2] &= ~SE_DACL_PRESENT
    with pytest.raises(SecurityDescriptorError, match="nothing to inherit"):
        inherit(bytes(data), directory=False)


def test_a_sacl_without_se_sacl_present() -> None:
    """[MS-DTYP] 2.4.6: without the bit there is no SACL, whatever OffsetSacl leads to; nothing of it is inherited."""
    data = bytearray(parse_sddl("O:BAG:SYD:(A;OICI;FA;;;BA)S:(AU;OICISAFA;FA;;;WD)"))
    assert data[12:16] != bytes(4)  # OffsetSacl
    data[2] &= ~SE_SACL_PRESENT
    assert format_sddl(inherit(bytes(data), directory=False)) == "O:BAG:SYD:AI(A;ID;FA;;;BA)"
