"""What is told of layers: kind, counts, links, times, owners, names, Windows, and who wrote the tar."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from tests.strategies import Item, tar_of
from tests.tars import BASE, M, build, directory
from wclayer.entry import AlternateStream, Directory, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import NotFoundError, TarError
from wclayer.layers.inspect.contents import Named, Sized, Span, Tally
from wclayer.layers.inspect.inspect import Inspection, inspect_sources
from wclayer.layers.inspect.windows import Program, Update
from wclayer.layertar.reader import TarSource
from wclayer.regf.model import Hive, Key, Value, dword, sz
from wclayer.regf.writer import write_hive
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

SOFTWARE = "Files/Windows/System32/config/SOFTWARE"
SD = parse_sddl("O:BAG:SYD:(A;;FA;;;BA)")
FILES: Item = (Directory("Files", security_descriptor=SD, last_write_time=5), None, None)
HIVES: Item = (Directory("Hives", security_descriptor=SD, last_write_time=5), None, None)


def file(path: str, content: bytes = b"", **fields: Any) -> Item:
    return File(path, size=len(content), security_descriptor=SD, last_write_time=5, **fields), content, None


def inspect(*layers: Sequence[Item], **options: Any) -> Inspection:
    sources = [(f"layer {n}", TarSource(io.BytesIO(tar_of(items)))) for n, items in enumerate(layers)]
    return inspect_sources(sources, **options)


def test_counts_sizes_and_links() -> None:
    found = inspect(
        [
            FILES,
            (Directory("Files/d"), None, None),
            file("Files/d/a", b"x" * 1000),
            (AlternateStream("Files/d/a", "Zone", 10), b"z" * 10, None),
            (HardLink("Files/d/b", "Files/d/a"), None, None),
            (HardLink("Files/c", "Files/d/b"), None, None),
            file("Files/small", b"y"),
            (Directory("UtilityVM"), None, None),
            (Directory("UtilityVM/Files"), None, None),
        ],
        top=2,
    )
    contents = found.contents
    assert contents.entries == {"directories": 4, "files": 2, "hard_links": 2, "streams": 1}
    assert (contents.bytes, contents.linked_bytes, contents.unresolved_links) == (1011, 2000, 0)
    assert contents.largest_files == (Sized("Files/d/a", 1000), Sized("Files/small", 1))
    assert contents.largest_folders == (Sized("Files/d", 1010),)
    assert contents.streams == (Named("Zone", 1, 10),)
    (layer,) = found.layers
    assert (layer.name, layer.base, layer.utility_vm) == ("layer 0", True, True)
    assert layer.contents == contents
    assert layer.stored is not None
    assert layer.stored.compression == "none"


def test_links_to_what_comes_later() -> None:
    later: list[Item] = [
        FILES,
        (HardLink("Files/one", "Files/TWO"), None, None),
        (HardLink("Files/two", "Files/f"), None, None),
        (HardLink("Files/none", "Files/ring"), None, None),
        (HardLink("Files/ring", "Files/none"), None, None),
        file("Files/f", b"x" * 100),
    ]
    found = inspect(later)
    assert (found.contents.linked_bytes, found.contents.unresolved_links) == (200, 2)
    # On top of others these would be links to what is below; both layers count what they have.
    found = inspect([FILES, file("Files/f", b"below")], [HIVES, *later])
    assert (found.contents.linked_bytes, found.contents.unresolved_links) == (5, 3)
    assert [layer.contents.unresolved_links for layer in found.layers] == [0, 4]


def test_folders_are_the_same_in_any_case() -> None:
    items: list[Item] = [FILES, (Directory("Files/Data"), None, None), (Directory("Files/Data/Sub"), None, None)]
    items += [file("Files/DATA/a", b"12"), file("Files/data/b", b"345"), file("Files/data/SUB/c", b"6")]
    items += [file("Files/Data!/x", b"7")]
    assert inspect(items).contents.largest_folders == (
        Sized("Files/Data", 6),
        Sized("Files/Data/Sub", 1),
        Sized("Files/Data!", 1),
    )


def test_a_deep_path_takes_memory_by_its_length() -> None:
    parts = ["a"] * 15_000
    tally = Tally(2)
    tally.add(File("/".join(("Files", *parts, "f")), size=3))
    tracemalloc.start()
    folders = tally.contents().largest_folders
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert folders == (Sized("Files/a", 3), Sized("Files/a/a", 3))
    assert peak < 8 << 20


def test_times() -> None:
    found = inspect([FILES, file("Files/a", creation_time=3, change_time=9), file("Files/b", creation_time=7)])
    assert found.contents.times == {
        "creation_time": Span(3, 7, 0),
        "last_access_time": Span(None, None, 3),
        "last_write_time": Span(5, 5, 0),
        "change_time": Span(9, 9, 2),
    }


def test_descriptors_attributes_names_and_reparse_points() -> None:
    other = parse_sddl("O:S-1-5-80-1-2-3G:SY")
    found = inspect(
        [
            FILES,
            file("Files/a", extended_attributes=(ExtendedAttribute(b"$CI", b"12345"), ExtendedAttribute(b"X", b""))),
            (File("Files/b", 0x21, security_descriptor=other), b"", None),
            (File("Files/c", security_descriptor=parse_sddl("O:BAG:SYD:NO_ACCESS_CONTROL")), b"", None),
            (File("Files/d", security_descriptor=b"what"), b"", None),
            (File("Files/e"), b"", None),
            (File("Files/l", 0x420, reparse_data=build_link("a", False), data_stream=False), None, None),
        ],
        top=1,
    ).contents
    descriptors = found.descriptors
    assert (descriptors.distinct, descriptors.absent, descriptors.no_dacl) == (4, 2, 1)
    assert (descriptors.null_dacl, descriptors.malformed) == (1, 1)
    assert descriptors.common == (("O:BAG:SYD:(A;;FA;;;BA)", 2),)
    assert descriptors.owners == (("BA", 3), ("S-1-5-80-1-2-3", 1))
    assert found.attributes == {0x1: 1, 0x10: 1, 0x20: 6, 0x400: 1}
    assert found.extended_attributes == (Named("$CI", 1, 5), Named("X", 1, 0))
    assert found.reparse_tags == {"SYMLINK": 1}
    assert found.entries["reparse_points"] == 1


def test_a_layer_for_on_top() -> None:
    found = inspect([FILES, (Whiteout("Files/w"), None, None), (HardLink("Files/l", "Files/below"), None, None)])
    assert not found.layers[0].base
    assert found.contents.unresolved_links == 1
    base = [FILES, file("Files/below", b"1234")]
    found = inspect(base, [FILES, (HardLink("Files/l", "Files/below"), None, None)])
    assert [layer.base for layer in found.layers] == [True, False]
    assert found.layers[1].contents.unresolved_links == 1
    assert (found.contents.unresolved_links, found.contents.linked_bytes) == (0, 4)
    assert found.contents.entries == {"directories": 2, "files": 1, "hard_links": 1}


def test_below_a_path() -> None:
    items = [FILES, (Directory("Files/Dir"), None, None), file("Files/Dir/a", b"1"), file("Files/Directory", b"22")]
    assert inspect(items, inside="files/dir").contents.entries == {"directories": 1, "files": 1}
    with pytest.raises(NotFoundError, match="no such path"):
        inspect(items, inside="Files/x")


def test_a_broken_tar_stops_it() -> None:
    tar = tar_of([FILES, file("Files/a", b"x" * 2000)])
    with pytest.raises(TarError, match="the tar ends") as error:
        inspect_sources([("cut", TarSource(io.BytesIO(tar[:2600])))])
    assert error.value.offset is not None


# --- Windows ------------------------------------------------------------------------


def test_of_several_layers_the_error_says_which() -> None:
    tar = tar_of([FILES, file("Files/a", b"x" * 2000)])
    sources = [("below", TarSource(io.BytesIO(tar))), ("above", TarSource(io.BytesIO(tar[:-3000])))]
    with pytest.raises(TarError, match=r"in above: the tar ends"):
        inspect_sources(sources)


def key(path: str, *values: Value, below: tuple[Key, ...] = ()) -> Key:
    names = path.split("\\")
    found = Key(names[-1], values, below)
    for name in reversed(names[:-1]):
        found = Key(name, subkeys=(found,))
    return found


def package(name: str, state: int = 0x70, *values: Value) -> Key:
    return Key(name, (dword("CurrentState", state), *values))


def software(build: str = "20348", ubr: int = 2227, *, minor: int = 3) -> bytes:
    time = 133_500_000_000_000_000
    current = Key(
        "CurrentVersion",
        subkeys=(
            Key(
                "Component Based Servicing",
                subkeys=(
                    Key(
                        "Packages",
                        subkeys=(
                            package("Microsoft-Windows-Foundation~31bf3856ad364e35~amd64~~10.0.20348.1"),
                            package(
                                "Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2227.1.11",
                                0x70,
                                sz("InstallLocation", "\\\\?\\C:\\x\\Windows10.0-KB5034129-x64.cab\\"),
                                dword("InstallTimeHigh", time >> 32),
                                dword("InstallTimeLow", time & 0xFFFFFFFF),
                            ),
                            package("Package_for_KB5034439~31bf3856ad364e35~amd64~~20348.1.1.0"),
                            package("Package_for_KB1111111~31bf3856ad364e35~amd64~~1.1.1.0", 0x40),
                        ),
                    ),
                ),
            ),
            Key(
                "Uninstall", subkeys=(Key("{1}", (sz("DisplayName", "Tool"), sz("DisplayVersion", "1.2"))), Key("{2}"))
            ),
        ),
    )
    version = Key(
        "CurrentVersion",
        (
            sz("ProductName", "Windows Server 2022 Datacenter"),
            sz("EditionID", "ServerDatacenter"),
            sz("DisplayVersion", "21H2"),
            sz("CurrentBuildNumber", build),
            sz("InstallationType", "Nano Server"),
            dword("CurrentMajorVersionNumber", 10),
            dword("CurrentMinorVersionNumber", 0),
            dword("UBR", ubr),
        ),
    )
    wow64 = key(
        "WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
        below=(Key("x", (sz("DisplayName", "App"), sz("Publisher", "Acme"))),),
    )
    microsoft = Key("Microsoft", subkeys=(Key("Windows", subkeys=(current,)), Key("Windows NT", subkeys=(version,))))
    return write_hive(Hive(Key("ROOT", subkeys=(microsoft, wow64)), minor=minor))


def test_windows_updates_and_programs() -> None:
    windows = inspect([FILES, file(SOFTWARE, software())]).windows
    assert windows is not None
    assert (windows.product_name, windows.edition) == ("Windows Server 2022 Datacenter", "ServerDatacenter")
    assert (windows.version, windows.display_version) == ("10.0.20348.2227", "21H2")
    assert (windows.installation_type, windows.packages) == ("Nano Server", 3)
    assert windows.updates == (
        Update(
            "Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2227.1.11",
            "KB5034129",
            "20348.2227.1.11",
            133_500_000_000_000_000,
        ),
        Update("Package_for_KB5034439~31bf3856ad364e35~amd64~~20348.1.1.0", "KB5034439", "20348.1.1.0", None),
    )
    assert windows.programs == (Program("App", None, "Acme", True), Program("Tool", "1.2", None))


def test_windows_of_each_layer_and_of_all() -> None:
    delta = write_hive(
        Hive(Key("ROOT", subkeys=(key("Microsoft\\Windows NT\\CurrentVersion", dword("UBR", 2300)),)), minor=6)
    )
    found = inspect([FILES, file(SOFTWARE, software())], [FILES], [FILES, HIVES, file("Hives/Software_Delta", delta)])
    assert [layer.windows and layer.windows.version for layer in found.layers] == [
        "10.0.20348.2227",
        None,
        "10.0.20348.2300",
    ]
    assert found.windows == found.layers[2].windows
    assert found.notes == ()


def test_what_a_layer_alone_changes() -> None:
    delta = software(minor=6)
    found = inspect([FILES, HIVES, file("Hives/Software_Delta", delta)])
    assert found.windows is not None
    assert found.windows.version == "10.0.20348.2227"
    assert found.notes == ("a layer without those below it: of the registry, what it changes",)


@pytest.mark.parametrize("content", [b"regf, but no hive", software()[:4096]])
def test_a_registry_that_cannot_be_read_is_a_note(content: bytes) -> None:
    found = inspect([FILES, file(SOFTWARE, content)])
    assert found.windows is None
    (note,) = found.notes
    assert note.startswith("the hive SOFTWARE cannot be read")
    assert found.contents.entries == {"directories": 1, "files": 1}


def test_a_link_in_the_place_of_a_hive_is_a_note() -> None:
    hive = File(SOFTWARE, 0x420, reparse_data=build_link("x", False), data_stream=False)
    found = inspect([FILES, (hive, None, None), file("Files/z")])
    assert found.contents.entries == {"directories": 1, "files": 1, "reparse_points": 1}
    assert found.notes[0].startswith("the registry cannot be read")


def test_a_hive_that_is_a_hard_link() -> None:
    items = [FILES, file("Files/a", software()), (HardLink(SOFTWARE, "Files/a"), None, None)]
    assert inspect(items).notes == (
        "the registry cannot be read: one of its hives is a hard link, and a pipe can be read only once",
    )
    tar = tar_of(items)
    found = inspect_sources([("file", TarSource(None, reopen=lambda: io.BytesIO(tar)))])
    assert found.windows is not None


# --- framing ------------------------------------------------------------------------


def writer(tar: bytes) -> str:
    framing = inspect_sources([("tar", TarSource(io.BytesIO(tar)))]).layers[0].framing
    assert framing is not None
    return framing.writer


def test_who_wrote_it() -> None:
    assert writer(tar_of([FILES, file("Files/a", b"1")])) == "hcsshim, containerd, Docker or wclayer"
    assert writer(tar_of([FILES, file("Files/a", short_name="A~1")])) == "wclayer"
    assert writer(build([*BASE, M("Files/f", b"x")])) == "Python's tarfile"
    assert writer(build([directory("Files")], tarfile.USTAR_FORMAT)) == "no PAX headers (USTAR)"
    assert writer(build([directory("Files")], tarfile.GNU_FORMAT)) == "GNU tar, or Python's tarfile in its format"


def go_tar(*members: tuple[str, bytes, dict[str, str], int]) -> bytes:
    """As Go's archive/tar writes PAX headers, which tarfile writes but for their name."""
    output = io.BytesIO()
    for name, kind, records, mode in members:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.pax_headers = kind, mode, records
        block = info.tobuf(tarfile.PAX_FORMAT)
        old, parts = b"././@PaxHeader", name.rpartition("/")
        new = "/".join(filter(None, (parts[0], "PaxHeaders.0", parts[2]))).encode()
        head = bytearray(block[:512])
        assert head.startswith(old)
        head[:100] = new.ljust(100, b"\0")
        head[148:156] = b"        "
        head[148:156] = b"%06o\0 " % sum(head)
        output.write(bytes(head) + block[512:])
    return output.getvalue() + bytes(1024)


def test_go_programs_are_told_apart() -> None:
    windows = {"MSWINDOWS.fileattr": "16", "LIBARCHIVE.creationtime": "1700000000.1234567"}
    file_ = {"MSWINDOWS.fileattr": "32", "LIBARCHIVE.creationtime": "1700000000.1234567"}
    published = go_tar(
        ("Files", tarfile.DIRTYPE, {**windows, "atime": "1700000000"}, 0),
        ("Files/a", tarfile.REGTYPE, {**file_, "atime": "1700000000"}, 0o644),
    )
    assert writer(published) == "Microsoft (a base layer as it is published)"
    assert (
        writer(
            go_tar(
                ("Hives", tarfile.DIRTYPE, {**windows, "LIBARCHIVE.creationtime": "1795463584.262557811"}, 0),
                ("Files", tarfile.DIRTYPE, {**windows, "LIBARCHIVE.creationtime": "1795463584.0"}, 0),
            )
        )
        == "BuildKit"
    )
    crane = go_tar(("Files/a", tarfile.REGTYPE, {"MSWINDOWS.rawsd": "AQAEgA=="}, 0o644))
    assert writer(crane) == "crane, ko or imgutil"


def test_gnu_tar_and_bsdtar() -> None:
    names = {"PaxHeaders/": "GNU tar", "PaxHeaders.123/": "GNU tar", "PaxHeader/": "bsdtar (libarchive)"}
    for folder, program in names.items():
        tar = bytearray(go_tar(("Files", tarfile.DIRTYPE, {"LIBARCHIVE.creationtime": "1"}, 0o755)))
        tar[:100] = f"{folder}Files".encode().ljust(100, b"\0")
        tar[148:156] = b"        "
        tar[148:156] = b"%06o\0 " % sum(tar[:512])
        assert writer(bytes(tar)) == program


def test_reading_it_needs_no_http_client() -> None:
    script = (
        "import sys, wclayer.layers.inspect.inspect; "
        "print([m for m in sys.modules if m.startswith(('httpx', 'click'))])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"[]"
