"""Templates, accounts, and descriptors that always have a DACL."""

from __future__ import annotations

import pytest

from wclayer.builder.acl import TEMPLATES, parse_descriptor, with_owner
from wclayer.errors import SddlError, UsageError
from wclayer.win32.accounts import parse_account
from wclayer.win32.inherit import inherit
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.security import SecurityDescriptor

ALL = "(A;{0};FA;;;BA)(A;{0};FA;;;SY)"


@pytest.mark.parametrize(
    ("name", "users"),
    [("read-only", "(A;{0};0x1200a9;;;BU)"), ("users-write", "(A;{0};0x1301bf;;;BU)"), ("administrators", "")],
)
def test_templates(name: str, users: str) -> None:
    template = TEMPLATES[name]
    flags = "P" if name == "administrators" else ""
    assert format_sddl(template.directory) == f"O:BAG:SYD:{flags}{(ALL + users).format('OICI')}"
    assert format_sddl(template.file) == f"O:BAG:SYD:{flags}{(ALL + users).format('')}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_file_made_in_the_directory_later_has_the_rights_of_a_files_template(name: str) -> None:
    later = SecurityDescriptor.from_bytes(inherit(TEMPLATES[name].directory, directory=False))
    now = SecurityDescriptor.from_bytes(TEMPLATES[name].file)
    assert later.dacl is not None
    assert now.dacl is not None
    assert {(ace.type, ace.mask, ace.sid) for ace in later.dacl.aces} == {
        (ace.type, ace.mask, ace.sid) for ace in now.dacl.aces
    }


@pytest.mark.parametrize(
    ("text", "sid"),
    [
        ("BA", "S-1-5-32-544"),
        ("Administrators", "S-1-5-32-544"),
        ("builtin\\administrators", "S-1-5-32-544"),
        ("SYSTEM", "S-1-5-18"),
        ("NT Authority\\System", "S-1-5-18"),
        ("LocalService", "S-1-5-19"),
        ("local service", "S-1-5-19"),
        ("Everyone", "S-1-1-0"),
        ("Authenticated Users", "S-1-5-11"),
        ("ContainerUser", "S-1-5-93-2-2"),
        ("User Manager\\ContainerAdministrator", "S-1-5-93-2-1"),
        ("TrustedInstaller", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"),
        ("S-1-5-21-1-2-3-500", "S-1-5-21-1-2-3-500"),
    ],
)
def test_accounts(text: str, sid: str) -> None:
    assert str(parse_account(text)) == sid


@pytest.mark.parametrize(
    ("text", "hint"),
    [("ContanerUser", "ContainerUser"), ("Administartors", "Administrators"), ("", ""), ("S-1-x", ""), ("zzz", "")],
)
def test_unknown_accounts(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"account.*{hint}"):
        parse_account(text)


def test_descriptors() -> None:
    assert format_sddl(parse_descriptor("D:(A;;FA;;;WD)")) == "O:BAG:SYD:(A;;FA;;;WD)"
    assert format_sddl(parse_descriptor("O:LSG:LSD:P")) == "O:LSG:LSD:P"
    for sddl in ("", "O:BAG:SY", "D:NO_ACCESS_CONTROL", "S:(AU;SA;FA;;;WD)"):
        with pytest.raises(SddlError, match="without a DACL"):
            parse_descriptor(sddl)


def test_with_owner() -> None:
    found = parse_sddl("O:BAG:SYD:PAI(A;;FA;;;WD)S:(AU;SA;FA;;;WD)")
    assert format_sddl(with_owner(found, parse_account("LS"))) == "O:LSG:SYD:PAI(A;;FA;;;WD)S:(AU;SA;FA;;;WD)"
