"""SDDL and descriptors as Wine's advapi32 has them, through which go-winio went; where Windows differs, a rule."""

from __future__ import annotations

import re
import struct

import pytest

from tests.conformance.vectors import Vector, cases, vector_bytes
from wclayer.errors import SddlError, SecurityDescriptorError
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.sddl_names import WELL_KNOWN
from wclayer.win32.security import AceType, SecurityDescriptor

_RELATIVE_ALIAS = re.compile(r"(?:[OG]:|;)\s*(DA|DG|DU|DD|DC|CA|PA|RO|CN|AP|KA|EK|RS|LA|LG|SA|EA)\s*(?=\)|[OGDS]:|$)")
_CONDITIONAL = re.compile(r"\((?:XA|XD|XU|ZA|RA|FL);")
_ONE_TERM = re.compile(r"\((?:XA|XD|XU|ZA|FL)(?:;[^;()]*){5};\((?:@User\.)?[A-Za-z]+\s*[=<>]=\s*\d{1,9}\)\)")
_LABEL_RIGHTS = {"CC": "NW", "DC": "NR", "LC": "NX"}


def is_number_of_32_bits(text: str) -> bool:
    """In C's notation, all of it."""
    try:
        return int(text, 8 if re.fullmatch(r"0\d+", text) else 0) < 1 << 32
    except ValueError:
        return False


@cases("sddl", "sddl2sd")
def test_sddl_to_descriptor(vector: Vector) -> None:
    text = vector["text"]
    letters = re.findall(r"([OGDS]):", text)
    authorities = [int(found, 0) for found in re.findall(r"S-1-(0[xX][0-9a-fA-F]+|\d+)-", text)]
    masks = re.findall(r"\([A-Z]*;[^;()]*;\s*(\d\w*)\s*;", text)
    if _CONDITIONAL.search(text):  # Wine takes them for entries with GUIDs
        try:
            data = parse_sddl(text)
        except SddlError:
            assert not _ONE_TERM.search(text)
        else:
            assert parse_sddl(format_sddl(data)) == data
    elif re.search(r"\(O[ADUL];", text):  # Wine has no object entries
        descriptor = SecurityDescriptor.from_bytes(parse_sddl(text))
        aces = [ace for acl in (descriptor.dacl, descriptor.sacl) if acl for ace in acl.aces]
        if re.search(r"\(OA;[^;]*;[^;]*;\s*;\s*;", text):  # without a GUID it is an A
            assert any(ace.type == AceType.ACCESS_ALLOWED for ace in aces)
        else:
            assert any(ace.object_type or ace.inherited_object_type for ace in aces)
        assert parse_sddl(format_sddl(descriptor.to_bytes())) == descriptor.to_bytes()
    elif (
        vector["error"]
        # Wine makes up the domain that such an alias depends on.
        or _RELATIVE_ALIAS.search(text)
        # Wine takes nothing for the null SID.
        or re.search(r"[OG]:\s*(?:$|[OGDS]:)", text)
        # Wine reserves room for both lists, and leaves out the entries.
        or len(letters) != len(set(letters))
        # Wine cuts a mask to 32 bits, and takes what begins with a number for one.
        or not all(map(is_number_of_32_bits, masks))
    ):
        with pytest.raises(SddlError):
            parse_sddl(text)
    elif "NO_ACCESS_CONTROL" in text:  # since Windows 7 a NULL list; Wine's is empty
        descriptor = SecurityDescriptor.from_bytes(parse_sddl(text))
        assert (descriptor.control & 0x4, descriptor.dacl) == (0x4, None)
    elif any(authority >= 1 << 32 for authority in authorities):  # Wine cuts an authority to 32 bits
        descriptor = SecurityDescriptor.from_bytes(parse_sddl(text))
        sids = [sid for sid in (descriptor.owner, descriptor.group) if sid]
        assert [sid.authority for sid in sids] == authorities
    elif letters != sorted(letters, key="OGDS".index):  # Wine's order of the parts is the text's
        assert SecurityDescriptor.from_bytes(parse_sddl(text)) == SecurityDescriptor.from_bytes(vector_bytes(vector))
    else:
        assert parse_sddl(text) == vector_bytes(vector)


def wine_corrected(vector: Vector, descriptor: SecurityDescriptor) -> str:
    """What Wine prints of the descriptor that it has made of a text, with what it has no names for."""
    printed = str(vector["back"])
    # The types that it reads but does not print (ML), in the order of the text; a label's rights are named otherwise.
    types = iter(re.findall(r"\(\s*([A-Z]+)\s*;", vector["text"]))

    def entry(found: re.Match[str]) -> str:
        kind, flags, rights = next(types), found[2], found[3]
        if kind == "ML":
            rights = re.sub("[A-Z]{2}", lambda name: _LABEL_RIGHTS[name[0]], rights)
        return f"({found[1] or kind};{flags};{rights};"

    printed = re.sub(r"\(([A-Z]*);([^;]*);([^;]*);", entry, printed)
    # It knows fewer SIDs by name.
    aliases = {str(sid): alias for alias, sid in WELL_KNOWN.items()}
    printed = re.sub(r"S-1(?:-\d+)+", lambda sid: aliases.get(sid[0], sid[0]), printed)
    # The flags of a list are in the control bits; a NULL list is not an empty one.
    for letter, shift, acl in (("D", 0, descriptor.dacl), ("S", 1, descriptor.sacl)):
        bits = (("P", 0x1000), ("AR", 0x0100), ("AI", 0x0400))
        flags = "".join(name for name, bit in bits if descriptor.control & bit << shift)
        flags += "" if acl else "NO_ACCESS_CONTROL"
        printed = re.sub(rf"{letter}:(?:P|AR|AI)*", f"{letter}:{flags}", printed)
    return printed


@cases("sddl", "sddl2sd")
def test_sddl_back_from_descriptor(vector: Vector) -> None:
    letters = re.findall(r"([OGDS]):", vector["text"])
    if vector["error"]:
        return
    data = vector_bytes(vector)
    if len(letters) != len(set(letters)):  # a repeated list: the room that Wine has reserved is not all there
        with pytest.raises(SecurityDescriptorError):
            format_sddl(data)
        return
    descriptor = SecurityDescriptor.from_bytes(data)
    text = format_sddl(data)
    assert SecurityDescriptor.from_bytes(parse_sddl(text)) == descriptor
    if not vector["back_error"]:  # go-winio asks for 40 bytes before it asks Wine
        assert text == wine_corrected(vector, descriptor)


@cases("sddl", "sd2sddl")
def test_descriptor_to_sddl(vector: Vector) -> None:
    data = vector_bytes(vector)
    if vector["error"]:
        # Go refuses everything below 40 bytes; ours what is no descriptor, and only that.
        try:
            descriptor = SecurityDescriptor.from_bytes(data)
        except SecurityDescriptorError:
            assert len(data) < 20 or data[0] != 1 or not data[3] & 0x80 or max(struct.unpack("<4I", data[4:20])) > 0
        else:
            assert (descriptor.owner, descriptor.group, descriptor.dacl, descriptor.sacl) == (None,) * 4
            assert format_sddl(data) in ("", "D:NO_ACCESS_CONTROL")
        return
    meant = SecurityDescriptor.from_bytes(parse_sddl(vector["text"]))
    found = SecurityDescriptor.from_bytes(data)
    assert (meant.owner, meant.group) == (found.owner, found.group)
    if found.dacl is not None:  # a NULL list is `D:` to Wine, an empty one to Windows
        assert meant.dacl is not None
        assert meant.dacl.aces == found.dacl.aces
    assert found.to_bytes() == data
    assert format_sddl(data) == wine_corrected({**vector, "back": vector["text"]}, found)
