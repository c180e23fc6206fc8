"""The rules of metadata: for each a smallest layer that breaks it, and one that just does not."""

from __future__ import annotations

import base64
import io
import struct
import tarfile
from pathlib import Path

import pytest

from tests.tars import M, build, directory
from tests.unit.verify.cases import Cases, check, codes, found_in
from wclayer.codes import Code
from wclayer.entry import Directory, File
from wclayer.layertar.reader import TarSource
from wclayer.operations.layer_places import LayerPlaces, parse_layer_place
from wclayer.union.links import LinkTarget, resolve_link
from wclayer.verify.findings import Finding, Report
from wclayer.verify.metadata import MetadataCheck
from wclayer.verify.notes import Notes
from wclayer.verify.verifying import verify_layers
from wclayer.win32.reparse import IO_REPARSE_TAG_MOUNT_POINT, IO_REPARSE_TAG_SYMLINK, ReparseLink, build_link
from wclayer.win32.sddl import parse_sddl

SD = {"MSWINDOWS.sd": "O:BAG:SYD:(A;;FA;;;BA)"}
WOF = struct.pack("<IHHIIIIII", 0x80000017, 24, 0, 1, 2, 1, 4, 0, 0)
TIME = "1600000000"


def base(*members: M) -> bytes:
    return build([directory("Files", **SD), *members])


def file(**records: str) -> bytes:
    """A layer of one file, with these records; `_` stands for the point in their names."""
    return base(M("Files/f", pax={**SD, **{name.replace("_", "."): value for name, value in records.items()}}))


def link(target: str, attributes: int | None = 1024, *, junction: bool = False) -> M:
    pax = {} if attributes is None else {"MSWINDOWS.fileattr": str(attributes)}
    return M("Files/l", type="2", link=target, pax={**SD, **pax, **({"MSWINDOWS.mountpoint": "1"} if junction else {})})


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def descriptor(sddl: str, **fields: int) -> str:
    """A descriptor in base64, with bytes changed: at3=7 sets that at 3."""
    data = bytearray(parse_sddl(sddl))
    for at, byte in fields.items():
        data[int(at[2:])] = byte
    return encoded(bytes(data))


ABSOLUTE = build_link("C:\\a", False)
REBUILT = ABSOLUTE[: -len("C:\\a\0".encode("utf-16-le"))] + "C:\\z\0".encode("utf-16-le")

CASES: Cases = {
    Code.ATTRIBUTES_MALFORMED: (file(MSWINDOWS_fileattr="0x20"), file(MSWINDOWS_fileattr="0032")),
    Code.ATTRIBUTES_OF_OTHER_KIND: (file(MSWINDOWS_fileattr="48"), file(MSWINDOWS_fileattr="32")),
    Code.LINK_WITHOUT_ATTRIBUTES: (base(link("f", None)), base(link("f"))),
    Code.DIRECTORY_LINK_AS_FILE: (
        base(link("D"), directory("Files/d", **SD)),
        base(link("D", 1040), directory("Files/d", **SD)),
    ),
    Code.JUNCTION_AS_FILE: (
        base(link("C:\\d", 1024, junction=True)),
        base(link("C:\\d", 1040, junction=True)),
    ),
    Code.TIME_MALFORMED: (file(LIBARCHIVE_creationtime="1e9"), file(LIBARCHIVE_creationtime="1")),
    Code.TIME_WRAPPED: (
        file(LIBARCHIVE_creationtime="9223372036.8547759"),
        file(LIBARCHIVE_creationtime="9223372036.8547758"),
    ),
    Code.TIME_UNPADDED: (
        file(LIBARCHIVE_creationtime=f"{TIME}.45600", mtime=f"{TIME}.0000456"),
        file(LIBARCHIVE_creationtime=f"{TIME}.456000000", mtime=f"{TIME}.456"),
    ),
    Code.DESCRIPTOR_MALFORMED: (
        file(MSWINDOWS_rawsd=descriptor("O:BAG:SYD:(A;;FA;;;BA)", at0=2)),
        file(MSWINDOWS_rawsd=descriptor("O:BAG:SYD:(A;;FA;;;BA)", at0=1)),
    ),
    Code.SDDL_MALFORMED: (file(MSWINDOWS_sd="O:??"), file(MSWINDOWS_sd="O:BAD:")),
    Code.NO_DESCRIPTOR: (base(M("Files/f")), file()),
    Code.NO_OWNER: (file(MSWINDOWS_sd="G:SYD:(A;;FA;;;BA)"), file(MSWINDOWS_sd="O:BAD:(A;;FA;;;BA)")),
    Code.NO_DACL: (file(MSWINDOWS_sd="O:BAG:SY"), file(MSWINDOWS_sd="O:BAG:SYD:")),
    Code.REPARSE_MALFORMED: (file(WCLAYER_reparse=encoded(WOF[:-1])), file(WCLAYER_reparse=encoded(WOF))),
    Code.REPARSE_REBUILT: (file(WCLAYER_reparse=encoded(REBUILT)), file(WCLAYER_reparse=encoded(ABSOLUTE))),
    Code.REPARSE_TAG_UNKNOWN: (file(WCLAYER_reparse=encoded(WOF)), file()),
    Code.LINK_LEAVES_CONTAINER: (base(link("D:\\f")), base(link("c:\\f"))),
    Code.LINK_WITH_FILES: (base(link("Files/f")), base(link("File/f"))),
    Code.JUNCTION_NOT_ABSOLUTE: (base(link("d", 1040, junction=True)), base(link("d", 1040))),
    Code.REPARSE_TOO_LARGE: (base(link("x" * 4091)), base(link("x" * 4090))),
    Code.EA_TOO_LARGE: (
        file(MSWINDOWS_xattr_A=encoded(bytes(65536))),
        file(MSWINDOWS_xattr_A=encoded(bytes(65518))),
    ),
    Code.OWN_RECORDS: (file(WCLAYER_shortname="F~1"), file(WCLAYE_shortname="F~1")),
    Code.METADATA_INEXPRESSIBLE: (base(link("x" * 16380)), base(link("x"))),
    Code.EA_NAME: (file(**{"MSWINDOWS_xattr_a:b": "QQ=="}), file(MSWINDOWS_xattr_ab="QQ==")),
    Code.EAS_TOO_LARGE: (
        file(MSWINDOWS_xattr_A=encoded(bytes(65519))),
        file(MSWINDOWS_xattr_A=encoded(bytes(65518))),
    ),
    Code.EA_EMPTY: (file(MSWINDOWS_xattr_A=""), file(MSWINDOWS_xattr_A="QQ==")),
    Code.EA_TWICE: (
        file(MSWINDOWS_xattr_Ab="QQ==", MSWINDOWS_xattr_aB="QQ=="),
        file(MSWINDOWS_xattr_Ab="QQ==", MSWINDOWS_xattr_aC="QQ=="),
    ),
    Code.STREAM_SUFFIX: (
        base(M("Files/f", pax=SD), M("Files/f:s", b"x")),
        base(M("Files/f", pax=SD), M("Files/f:s:$DATA", b"x")),
    ),
}

# Of what the first layer breaks: the path, and what is said.
SAID = {
    Code.ATTRIBUTES_MALFORMED: ("Files/f", "file attributes; expected a decimal uint32; got 0x20"),
    Code.ATTRIBUTES_OF_OTHER_KIND: ("Files/f", "expected 0x10 (directory) not set; got 0x30"),
    Code.LINK_WITHOUT_ATTRIBUTES: ("Files/l", "a symlink without attributes, which Windows takes for one to a file;"),
    Code.DIRECTORY_LINK_AS_FILE: (
        "Files/l",
        "to the directory Files/D without the attribute of one: it becomes one to a file; expected attributes 0x410;",
    ),
    Code.JUNCTION_AS_FILE: ("Files/l", "a junction on a file; expected attributes 0x410; got 0x400"),
    Code.TIME_MALFORMED: ("Files/f", "expected decimal seconds; got 1e9"),
    Code.TIME_WRAPPED: ("Files/f", "a creation time that hcsshim cannot count in 64-bit nanoseconds"),
    Code.TIME_UNPADDED: ("Files/f", "expected 1600000000.0000456; got 1600000000.45600"),
    Code.DESCRIPTOR_MALFORMED: ("Files/f", "a malformed security descriptor: unknown revision (at 0 in it)"),
    Code.SDDL_MALFORMED: ("Files/f", "SDDL"),
    Code.NO_DESCRIPTOR: ("Files/f", "no security descriptor"),
    Code.NO_OWNER: ("Files/f", "a security descriptor without an owner"),
    Code.NO_DACL: ("Files/f", "a security descriptor without a DACL: everybody may do everything"),
    Code.REPARSE_MALFORMED: ("Files/f", "reparse point WOF cut off; expected 32 bytes; got 31"),
    Code.REPARSE_REBUILT: ("Files/f", r"rebuilds from its print name; expected \??\C:\z; got \??\C:\a"),
    Code.REPARSE_TAG_UNKNOWN: ("Files/f", "a reparse point that is no symlink and no junction"),
    Code.LINK_LEAVES_CONTAINER: ("Files/l", r"a link that leaves the container: to drive D:; expected"),
    Code.LINK_WITH_FILES: ("Files/l", r"expected a target as it is on drive C:; got Files\f"),
    Code.JUNCTION_NOT_ABSOLUTE: ("Files/l", "a junction whose target is no absolute path; expected C:\\...; got d"),
    Code.REPARSE_TOO_LARGE: ("Files/l", "got 16,388"),
    Code.EA_TOO_LARGE: ("Files/f", "extended attribute too large for NTFS;"),
    Code.OWN_RECORDS: ("Files/f", "WCLAYER.shortname, which only wclayer restores"),
    Code.METADATA_INEXPRESSIBLE: ("Files/l", "link target too long for a reparse point;"),
    Code.EA_NAME: ("Files/f", "an extended attribute whose name Windows refuses;"),
    Code.EAS_TOO_LARGE: ("Files/f", "more extended attributes than NTFS takes on one file; expected a list of at most"),
    Code.EA_EMPTY: ("Files/f", "the extended attribute A, which has no value: Windows keeps none of those"),
    Code.EA_TWICE: ("Files/f", "the extended attributes Ab and aB: to Windows these are one"),
    Code.STREAM_SUFFIX: ("Files/f:s", "a stream whose name does not end in :$DATA"),
}


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name.lower())
def test_each_rule(tmp_path: Path, code: Code) -> None:
    check(code, CASES[code], tmp_path)


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name.lower())
def test_where_and_what(tmp_path: Path, code: Code) -> None:
    layer = CASES[code][0]
    assert isinstance(layer, bytes)
    (finding,) = (one for one in found_in(layer, tmp_path) if one.rule.code is code)
    path, text = SAID[code]
    assert finding.path == path
    assert text in str(finding)
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert finding.offset == tar.getmember(path).offset


def metadata(layer: bytes) -> list[Finding]:
    """What the check alone finds."""
    report = Report()
    check = MetadataCheck(Notes(report, "layer"))
    source = TarSource(io.BytesIO(layer))
    for entry, _ in source.entries():
        check.see(entry, source.member, source.offset)
    check.end()
    return report.findings


# --- links ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("d", "Files/a/d"),
        (r"..\d", "Files/d"),
        (r".\\d\.", "Files/a/d"),
        (r"\d\e", "Files/d/e"),
        (r"C:\d", "Files/d"),
        ("c:", "Files"),
        (r"\\?\C:\d", "Files/d"),
        (r"\..\d", LinkTarget(leaves="above the root of the drive")),
        (r"..\..\d", LinkTarget(leaves="above the root of the drive")),
        (r"C:\d\..\..", LinkTarget(leaves="above the root of the drive")),
        (r"d:\d", LinkTarget(leaves="drive D:")),
        (r"\\server\share", LinkTarget(leaves="another computer")),
        (r"\\?\UNC\server\share", LinkTarget(leaves="another computer")),
        (r"\\?\Volume{6e0a}\d", LinkTarget(leaves="a volume of the host, by its GUID")),
        (r"\\?\ContainerMappedDirectories\d", LinkTarget(leaves="the device ContainerMappedDirectories")),
        (r"\\?\GLOBALROOT\Device\x", LinkTarget(leaves="the device GLOBALROOT")),
        (r"\\?\é:\x", LinkTarget(leaves="the device é:")),
        (r"\??\Volume{6e0a}\d", LinkTarget(leaves=r"the object \??\Volume{6e0a}\d")),
    ],
)
def test_where_symlinks_lead(target: str, expected: str | LinkTarget) -> None:
    buffer = build_link(target, False)
    size = int.from_bytes(buffer[10:12], "little")
    substitute = buffer[20 : 20 + size].decode("utf-16-le")
    found = resolve_link("Files/a/l", ReparseLink(IO_REPARSE_TAG_SYMLINK, substitute, target, buffer[16]))
    assert found == (LinkTarget(expected) if isinstance(expected, str) else expected)


def test_where_other_links_lead() -> None:
    def leads(path: str, substitute: str, tag: int = IO_REPARSE_TAG_MOUNT_POINT) -> LinkTarget:
        return resolve_link(path, ReparseLink(tag, substitute, ""))

    assert leads("UtilityVM/Files/a", r"\??\C:\d") == LinkTarget("UtilityVM/Files/d")
    assert leads("Files/a", r"\d") == LinkTarget(leaves=r"the object \d")
    assert leads("Files/a", r"d\e") == LinkTarget(pathless=True)
    assert leads("Files/a", r"Files\e") == LinkTarget(pathless=True, with_files=True)
    assert leads("Files/a", "d", IO_REPARSE_TAG_SYMLINK) == LinkTarget(leaves="the object d")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("dir", True),
        ("DIR", True),
        (r"..\Files", False),  # the folder of the tar is no folder of drive C:
        (r"\dir", True),
        (r"C:\Dir\sub\..", True),
        ("dir/file", False),
        ("elsewhere", False),
        ("D:\\dir", False),
    ],
)
def test_a_link_to_a_directory_of_the_layer(target: str, found: bool) -> None:
    members = (directory("Files/dir", **SD), M("Files/dir/file", pax=SD))
    for order in ((link(target), *members), (*members, link(target))):
        assert (Code.DIRECTORY_LINK_AS_FILE in codes(metadata(base(*order)))) == found


def test_a_folder_called_files_is_a_folder() -> None:
    members = (link("Files/f"), directory("Files/files", **SD))
    assert codes(metadata(base(*members))) == set()
    inside = (
        directory("Files/d", **SD),
        M("Files/d/l", type="2", link="Files\\f", pax={**SD, "MSWINDOWS.fileattr": "1024"}),
    )
    assert codes(metadata(base(*inside))) == {Code.LINK_WITH_FILES}


def test_what_buildkit_writes_of_a_symlink_to_a_directory() -> None:
    written = base(directory("Files/d", **SD), M("Files/l", type="2", link="Files/d"))
    assert codes(metadata(written)) == {Code.LINK_WITHOUT_ATTRIBUTES, Code.NO_DESCRIPTOR, Code.LINK_WITH_FILES}


def test_a_print_name_that_the_tar_cannot_hold_is_rebuilt_differently() -> None:
    for print_name in ("C:\\a\0b", "C:\\\ud800"):
        buffer = build_link(print_name, False)
        found = metadata(file(WCLAYER_reparse=encoded(buffer), MSWINDOWS_fileattr="1024"))
        assert codes(found) == {Code.REPARSE_REBUILT, Code.OWN_RECORDS}


# --- security ---------------------------------------------------------------------

SOUND = "O:BAG:SYD:(A;;FA;;;BA)"  # owner at 20, group at 36, DACL at 48, its ACE at 56


@pytest.mark.parametrize(
    ("sddl", "fields", "said"),
    [
        (SOUND, {"at3": 0}, "not self-relative (at 2 in it)"),
        (SOUND, {"at4": 200}, "part that lies outside it (at 4 in it)"),
        (SOUND, {"at21": 16}, "malformed SID (at 20 in it)"),
        (SOUND, {"at48": 5}, "the revision of an ACL (at 48 in it)"),
        (SOUND, {"at52": 2}, "an ACE outside its ACL (at 80 in it)"),
        (SOUND, {"at64": 2}, "an ACE without a SID (at 56 in it)"),
        ("G:SYD:(A;;FA;;;BA)", {"at20": 9}, "malformed SID (at 20 in it)"),
    ],
)
def test_malformed_descriptors(sddl: str, fields: dict[str, int], said: str) -> None:
    (finding,) = metadata(file(MSWINDOWS_rawsd=descriptor(sddl, **fields)))
    assert finding.rule.code is Code.DESCRIPTOR_MALFORMED
    assert finding.message == f"a malformed security descriptor: {said}"


def test_a_null_dacl_is_none() -> None:
    (finding,) = metadata(file(MSWINDOWS_rawsd=descriptor("O:BAG:SY", at2=4)))
    assert finding.rule.code is Code.NO_DACL
    assert finding.message == "a security descriptor with a NULL DACL: everybody may do everything"


def test_a_descriptor_is_judged_once_and_said_of_each_file() -> None:
    files = [M(f"Files/{name}", pax={"MSWINDOWS.sd": "G:SY"}) for name in "abc"]
    found = metadata(base(*files))
    assert [(one.rule.code, one.path) for one in found] == [
        (code, f"Files/{name}") for name in "abc" for code in (Code.NO_OWNER, Code.NO_DACL)
    ]


def test_links_whiteouts_and_streams_have_no_metadata_of_their_own() -> None:
    times = {"LIBARCHIVE.creationtime": "99999999999"}
    more = (M("Files/f:s:$DATA", pax=times), M("Files/h", type="1", link="Files/f", pax=times), M("Files/.wh.g"))
    assert metadata(base(M("Files/f", pax=SD), *more)) == []


# --- the rest ---------------------------------------------------------------------


@pytest.mark.parametrize("record", ["atime", "ctime", "mtime", "LIBARCHIVE.creationtime"])
@pytest.mark.parametrize(
    ("time", "wrapped"),
    [
        ("-9223372036.8547759", True),
        ("-9223372036.8547758", False),
        ("-6795364578.8713451", False),  # what hcsshim makes of no time
        ("9223372036.8547758", False),
        ("253402300800", True),
    ],
)
def test_each_time_is_looked_at(record: str, time: str, wrapped: bool) -> None:
    creation = {} if record == "LIBARCHIVE.creationtime" else {"LIBARCHIVE.creationtime": "1"}
    found = metadata(base(M("Files/f", pax={**SD, **creation, record: time})))
    assert [one.rule.code for one in found] == [Code.TIME_WRAPPED] * wrapped


@pytest.mark.parametrize(
    ("creation", "write", "unpadded"),
    [
        ("1.123", "1.000000123", True),
        ("1.12300000", "1.0123", True),
        ("1.1", "1.100000001", False),
        ("1.123", "2.000000123", False),
        ("1.123", "1.0123", False),  # it would have printed 12300000
        ("1.0", "1", False),
        ("1.0", "1.", False),
        ("1", "1.000000001", False),
    ],
)
def test_the_creation_time_of_buildkit(creation: str, write: str, unpadded: bool) -> None:
    found = metadata(file(LIBARCHIVE_creationtime=creation, mtime=write))
    assert (Code.TIME_UNPADDED in codes(found)) == unpadded


@pytest.mark.parametrize("name", ["", "n" * 255, "a/b", "a\tb", "[a]", "a;b", "a|b", "a?b"])
def test_names_of_extended_attributes_that_windows_refuses(name: str) -> None:
    (finding,) = metadata(base(M("Files/f", pax={**SD, f"MSWINDOWS.xattr.{name}": "QQ=="})))
    assert finding.rule.code is Code.EA_NAME
    assert finding.got == (name.replace("\t", "\\t") or "no name")


@pytest.mark.parametrize(("flags", "refused"), [("0", False), ("128", False), ("1", True), ("129", True)])
def test_flags_of_extended_attributes(flags: str, refused: bool) -> None:
    found = metadata(file(MSWINDOWS_xattr_X="QQ==", WCLAYER_eaflags_X=flags))
    assert (Code.EA_NAME in codes(found)) == refused


@pytest.mark.parametrize("name", ["$KERNEL.PURGE.ESBCACHE", "$CI.CATALOGHINT", "user.näme", "n" * 254])
def test_names_of_extended_attributes_that_windows_takes(name: str) -> None:
    assert metadata(base(M("Files/f", pax={**SD, f"MSWINDOWS.xattr.{name}": "QQ=="}))) == []


def test_own_records_are_counted_by_name() -> None:
    one = M("Files/a", pax={**SD, "WCLAYER.shortname": "A", "MSWINDOWS.xattr.X": "QQ==", "WCLAYER.eaflags.X": "128"})
    two = M("Files/b", pax={**SD, "WCLAYER.stream.6": "", "WCLAYER.stream.10": "", "WCLAYER.shortname": "B"})
    found = metadata(base(one, two))
    assert [(note.path, note.message) for note in found] == [
        ("Files/a", "WCLAYER.eaflags, which only wclayer restores"),
        ("Files/a", "WCLAYER.shortname in 2 entries, of which this is the first: only wclayer restores it"),
        ("Files/b", "WCLAYER.stream, which only wclayer restores"),
    ]


def test_streams_are_counted() -> None:
    streams = [M(f"Files/f:{name}") for name in "abc"]
    (finding,) = metadata(base(M("Files/f", pax=SD), *streams))
    assert finding.path == "Files/f:a"
    assert finding.message == "3 streams whose names do not end in :$DATA; this is the first"


def test_what_is_in_a_folder_has_no_member() -> None:
    report = Report()
    check = MetadataCheck(Notes(report, "folder"))
    sd = parse_sddl(SOUND)
    check.see(Directory("Files", security_descriptor=sd), None, None)
    check.see(File("Files/f", security_descriptor=sd, reparse_data=WOF, short_name="F~1", size=1), None, None)
    check.see(File("Files/l", security_descriptor=sd, reparse_data=ABSOLUTE[:-1]), None, None)
    check.see(File("Files/g", security_descriptor=sd), None, None)
    check.end()
    assert [(one.rule.code, one.path, one.offset) for one in report.findings] == [
        (Code.REPARSE_TAG_UNKNOWN, "Files/f", None),
        (Code.REPARSE_MALFORMED, "Files/l", None),
        (Code.OWN_RECORDS, "Files/f", None),
        (Code.OWN_RECORDS, "Files/f", None),
    ]


# --- folders ------------------------------------------------------------


def test_no_file_of_a_transport_folder_can_be_malformed_unseen(tmp_path: Path) -> None:
    """The faults that no tar can have, as metadata are text in it."""
    stream = struct.pack("<IIQI", 2, 0, 9, 0) + struct.pack("<IBBH", 0, 0, 9, 9) + b"A"
    for code, content in ((Code.EA_MALFORMED, stream), (Code.STREAM_MALFORMED, stream[:5])):
        folder = tmp_path / code
        (folder / "Files").mkdir(parents=True)
        (folder / "Files" / "f").write_bytes(struct.pack("<I", 0x20) + content)
        (folder / "Files.$wcidirs$").write_bytes(struct.pack("<I", 0x10))
        report = verify_layers(LayerPlaces(), parse_layer_place(f"transport:{folder}"))
        assert code in codes(report.findings)
        assert report.stopped
