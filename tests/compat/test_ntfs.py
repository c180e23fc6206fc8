"""Layer folders on NTFS volumes, against what wimlib, ntfsinfo and dissect.ntfs read there and tarfile in the tars."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.compat import ntfs
from tests.compat.ntfs_facts import differences
from tests.compat.ntfs_info import ntfsinfo_differences
from tests.compat.ntfs_rich import enrich, get_xattr, set_xattr
from tests.compat.ntfs_tar import tar_facts
from tests.compat.ntfs_wim import capture, through_wim, wim_facts
from tests.compat.tools import tool
from tests.strategies import Item, items_of, tar_of
from tests.tars import BASE, M, build, directory
from wclayer import (
    convert_to_base_layer,
    create_disk,
    export_layer_to_tar,
    import_layer_from_tar,
    mounted_volume,
    open_layer,
)
from wclayer.entry import AlternateStream, Directory, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import AccessError, InexpressibleError, LayerError, StorageError, UnsupportedError
from wclayer.stores.folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from wclayer.stores.folder.source import LayerFolder
from wclayer.stores.ntfs3g.mount import Volume
from wclayer.stores.ntfs3g.source import Ntfs3gLayer
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

OBJECT_ID = bytes(range(64))
T = 133485408000000000  # 2024-01-01
APPEXEC = struct.pack("<IHH", 0x8000001B, 4, 0) + b"data"
DESCRIPTOR = parse_sddl("O:BAG:SYD:PAI(A;;FA;;;SY)(A;;0x1200a9;;;BU)S:(ML;;NW;;;LW)")


def exported(folder: Path, **options: Any) -> bytes:
    output = io.BytesIO()
    export_layer_to_tar(folder, output, **options)
    return output.getvalue()


def imported(tar: bytes, folder: Path, *parents: Path, **options: Any) -> list[str]:
    return import_layer_from_tar(io.BytesIO(tar), folder, parents, **options).warnings


def opened(folder: Path) -> LayerFolder:
    return cast("LayerFolder", open_layer(folder))


def status(folder: Path) -> list[tuple[str, str]]:
    with opened(folder) as layer:
        return list(layer.status())


def times(number: int = 0) -> dict[str, Any]:
    return {
        "creation_time": T + number,
        "last_access_time": T + number + 1,
        "last_write_time": T + number + 2,
        "change_time": T + number + 3,
    }


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return ntfs.volume(tmp_path / "volume.img")


@pytest.fixture
def mount(volume: Path) -> Iterator[Path]:
    with ntfs.mounted(volume) as place:
        yield place


def rich_tar(folder: Path) -> Path:
    """A layer tar with one of everything that an NTFS volume can hold, and what is said of it by another reader."""
    image = ntfs.volume(folder / "rich.img")
    with ntfs.mounted(image) as place:
        (place / "layer").mkdir()
        enrich(place / "layer", unreadable=False)
    before = ntfs.facts(image, "layer")
    with ntfs.mounted(image, readonly=True) as place:
        (folder / "rich.tar").write_bytes(exported(place / "layer"))
    assert differences(before, tar_facts(folder / "rich.tar")) == []
    return folder / "rich.tar"


# --- there and back ---------------------------------------------------------------------------------


def test_what_windows_will_see_is_what_the_tar_says(tmp_path: Path, volume: Path) -> None:
    tar = rich_tar(tmp_path)
    with ntfs.mounted(volume) as place:
        assert imported(tar.read_bytes(), place / "layer") == []
    on_volume = ntfs.facts(volume)
    assert ntfsinfo_differences(volume, on_volume) == []
    below = ntfs.facts(volume, "layer")
    del below["layer.db"]
    wanted = tar_facts(tar)
    assert len(wanted) > 150
    assert differences(wanted, below) == []
    # After a remount the very tar comes back, by its framing and by what the volume says.
    with ntfs.mounted(volume, readonly=True) as place:
        assert exported(place / "layer") == tar.read_bytes()
        assert exported(place / "layer", framing="canonical") == tar.read_bytes()
        assert status(place / "layer") == []


def test_a_volume_made_by_another_program(tmp_path: Path) -> None:
    """wimlib applies a WIM; export, import elsewhere and export again agree with wimlib's own dump of that WIM."""
    image = ntfs.volume(tmp_path / "rich.img")
    with ntfs.mounted(image) as place:
        enrich(place, unreadable=False)
    capture(image, tmp_path / "rich.wim")
    applied = ntfs.apply_wim(tmp_path / "rich.wim", tmp_path / "applied.img")
    with ntfs.mounted(applied, readonly=True) as place:
        (tmp_path / "layer.tar").write_bytes(exported(place))
    dumped = {path: facts for path, facts in wim_facts(tmp_path / "rich.wim").items() if path.split("/")[0] == "Files"}
    assert differences(through_wim(dumped), through_wim(tar_facts(tmp_path / "layer.tar"))) == []
    imported((tmp_path / "layer.tar").read_bytes(), tmp_path / "elsewhere")
    (tmp_path / "again.tar").write_bytes(exported(tmp_path / "elsewhere", framing="canonical"))
    assert differences(through_wim(dumped), through_wim(tar_facts(tmp_path / "again.tar"))) == []


KEPT: list[Item] = [
    (Directory("Files", **times()), None, None),
    (File("Files/normal", file_attributes=0, **times(10)), b"", None),
    (File("Files/bits", file_attributes=0xDA820, size=1, **times(20)), b"x", None),
    (File("Files/ownerless", security_descriptor=parse_sddl("D:(A;;FA;;;BA)"), **times(30)), b"", None),
    (File("Files/groupless", security_descriptor=parse_sddl("O:BAD:(A;;FR;;;BU)"), **times(35)), b"", None),
    (File("Files/broken", security_descriptor=b"\1\2\3", **times(40)), b"", None),
    (File("Files/none", **times(50)), b"", None),
    (File("Files/ea", extended_attributes=(ExtendedAttribute(b"", b"v"),), **times(60)), b"", None),
    (File("Files/odd id", object_id=b"short", **times(70)), b"", None),
    (
        File("Files/long tag", reparse_data=struct.pack("<IHH", 0x8000001B, 20000, 0) + bytes(20000), **times(80)),
        b"",
        None,
    ),
    (File("Files/streams", backup_streams=((6, b"property"),), **times(90)), b"", None),
    (File("Files/no times", creation_time=None, last_access_time=None, last_write_time=T, change_time=None), b"", None),
]


def test_what_the_driver_cannot_hold_is_kept_and_comes_back(volume: Path) -> None:
    tar = tar_of(KEPT)
    with ntfs.mounted(volume) as place:
        [warning] = imported(tar, place / "layer")
    assert warning == (
        "not on the volume, as ntfs-3g cannot hold it, but in layer.db: 1 attributes, 1 backup streams, 3 descriptor,"
        " 1 extended attributes, 1 object ID, 1 reparse data"
    )
    with ntfs.mounted(volume, readonly=True) as place:
        assert exported(place / "layer") == tar
        assert items_of(exported(place / "layer", framing="canonical")) == sorted(
            items_of(tar),
            key=lambda item: getattr(item[0], "path").encode(),  # noqa: B009
        )
    seen = ntfs.facts(volume, "layer")
    # What Windows sees instead: the DACL, with an owner and a group; where there is none that can be used, the default.
    assert seen["Files/ownerless"].descriptor == parse_sddl("O:BAG:SYD:(A;;FA;;;BA)")
    assert seen["Files/groupless"].descriptor == parse_sddl("O:BAG:SYD:(A;;FR;;;BU)")
    assert seen["Files/broken"].descriptor == FILE_DESCRIPTOR
    assert seen["Files/none"].descriptor == FILE_DESCRIPTOR
    assert seen["Files"].descriptor == DIRECTORY_DESCRIPTOR
    assert seen["Files/bits"].attributes == 0x2020
    assert seen["Files/no times"].creation_time == T
    assert ntfs.facts(volume)["layer"].descriptor == DIRECTORY_DESCRIPTOR
    assert seen["layer.db"].descriptor == FILE_DESCRIPTOR


def test_many_streams_with_long_names(mount: Path) -> None:
    """Their names are more than the driver can list; one has three lines."""
    names = ["a'\n\tb'\n'", *(f"{number:03}" + "字" * 240 for number in range(150))]
    items: list[Item] = [
        (Directory("Files", **times()), None, None),
        (File("Files/f", size=1, **times(1)), b"x", None),
        *((AlternateStream("Files/f", name, len(name)), name.encode()[: len(name)], None) for name in sorted(names)),
    ]
    imported(tar_of(items), mount / "layer")
    assert exported(mount / "layer") == tar_of(items)
    assert items_of(exported(mount / "layer", framing="canonical")) == items
    assert status(mount / "layer") == []
    (mount / "layer/layer.db").unlink()
    found = [item for item in items_of(exported(mount / "layer")) if isinstance(item[0], AlternateStream)]
    assert sorted(found, key=lambda item: getattr(item[0], "name")) == items[2:]  # noqa: B009


def test_a_layer_over_others(mount: Path, tmp_path: Path) -> None:
    base = tar_of([
        (Directory("Files", **times()), None, None),
        (File("Files/shared", size=3, security_descriptor=DESCRIPTOR, **times(1)), b"abc", None),
        (AlternateStream("Files/shared", "stream", 2), b"st", None),
        (File("Files/gone", **times(2)), b"", None),
    ])  # fmt: skip
    upper = tar_of([
        (Directory("Files", **times()), None, None),
        (Directory("Hives", **times()), None, None),
        (File("Hives/System_Delta", size=4, **times(5)), b"hive", None),
        (HardLink("Files/another", "Files/shared", **times(6)), None, None),
        (Whiteout("Files/gone"), None, None),
    ])  # fmt: skip
    imported(base, mount / "base")
    imported(upper, mount / "upper", mount / "base")
    assert exported(mount / "upper") == upper
    assert get_xattr(os.fsencode(mount / "upper/Files/another"), "system.ntfs_acl") == DESCRIPTOR
    assert (mount / "upper/Files/another:stream").read_bytes() == b"st"
    assert status(mount / "upper") == []
    imported(upper, tmp_path / "on ext4", mount / "base")
    imported(base, tmp_path / "base on ext4")
    imported(upper, mount / "over ext4", tmp_path / "base on ext4")
    assert (mount / "over ext4/Files/another:stream").read_bytes() == b"st"
    # A link that is edited becomes a file of its own, with them.
    (mount / "over ext4/Files/another").write_bytes(b"edited")
    edited = items_of(exported(mount / "over ext4"))
    assert (AlternateStream("Files/another", "stream", 2), b"st", None) in edited
    assert exported(mount / "upper", framing="canonical") == exported(tmp_path / "on ext4", framing="canonical")
    with opened(mount / "upper") as layer:
        assert not layer.base


def test_boot_files_keep_their_originals(mount: Path) -> None:
    boot = "UtilityVM/Files/EFI/Microsoft/Boot"
    tar = build([
        *BASE, directory("UtilityVM"), directory("UtilityVM/Files"), directory("UtilityVM/Files/EFI"),
        directory("UtilityVM/Files/EFI/Microsoft"), directory(boot), M(f"{boot}/BCD", b"original"),
        M(f"{boot}/BCD.LOG", b"", pax={"MSWINDOWS.fileattr": "4"}),  # which the driver shows as a pipe
    ])  # fmt: skip
    imported(tar, mount / "layer")
    assert (mount / "layer/bcd.bak").read_bytes() == b"original"
    assert get_xattr(os.fsencode(mount / "layer/bcd.bak"), "system.ntfs_acl") == FILE_DESCRIPTOR
    (mount / "layer" / boot / "BCD").write_bytes(b"rewritten by Windows")
    (mount / "layer/layout").write_text("vhd-with-hives\n")
    assert exported(mount / "layer") == tar


# --- hand edits ----------------------------------------------------------------------------------------


@pytest.fixture
def edited(mount: Path) -> Path:
    tar = tar_of([
        (Directory("Files", **times()), None, None),
        (Directory("Files/dir", security_descriptor=DESCRIPTOR, **times(1)), None, None),
        (File("Files/dir/f", size=3, security_descriptor=DESCRIPTOR, **times(2)), b"abc", None),
        (AlternateStream("Files/dir/f", "s", 2), b"st", None),
        (File("Files/dir/g", size=3, **times(3)), b"def", None),
        (HardLink("Files/dir/h", "Files/dir/g", **times(4)), None, None),
        (File("Files/link", reparse_data=build_link("dir\\f", False), file_attributes=0x420, **times(5)), b"", None),
    ])  # fmt: skip
    imported(tar, mount / "layer")
    assert status(mount / "layer") == []
    return mount / "layer"


def host(folder: Path, name: str) -> bytes:
    return os.fsencode(folder / "Files" / name)


def rewrite(folder: Path) -> None:
    (folder / "Files/dir/f").write_bytes(b"longer")


def attribute(folder: Path) -> None:
    set_xattr(host(folder, "dir/f"), "system.ntfs_attrib", struct.pack("<I", 0x21))


def descriptor(folder: Path) -> None:
    set_xattr(host(folder, "dir"), "system.ntfs_acl", FILE_DESCRIPTOR)


def created(folder: Path) -> None:
    set_xattr(host(folder, "dir/f"), "system.ntfs_times", struct.pack("<Q", T + 999))


def extended(folder: Path) -> None:
    set_xattr(host(folder, "dir/f"), "system.ntfs_ea", struct.pack("<IBBH", 12, 0, 1, 1) + b"A\0v\0")


def retarget(folder: Path) -> None:
    set_xattr(host(folder, "link"), "system.ntfs_reparse_data", build_link("dir\\g", False))


def stream(folder: Path) -> None:
    (folder / "Files/dir/f:s").write_bytes(b"TS")


def add_stream(folder: Path) -> None:
    (folder / "Files/dir/f:new").write_bytes(b"new")


def remove_stream(folder: Path) -> None:
    (folder / "Files/dir/f:s").unlink()


def add_file(folder: Path) -> None:
    (folder / "Files/dir/new").write_bytes(b"new")
    (folder / "Files/dir/new:with").write_bytes(b"a stream")


def remove(folder: Path) -> None:
    (folder / "Files/link").unlink()


def junction_for_file(folder: Path) -> None:
    """What was a file is a junction, which the driver shows as a symlink too."""
    (folder / "Files/link").unlink()
    (folder / "Files/link").mkdir()
    set_xattr(host(folder, "link"), "system.ntfs_reparse_data", build_link("C:\\x", True))


EDITS: dict[Callable[[Path], None], list[tuple[str, str]]] = {
    rewrite: [("changed", "Files/dir/f")],
    attribute: [("changed", "Files/dir/f")],
    descriptor: [("changed", "Files/dir")],
    created: [("changed", "Files/dir/f")],
    extended: [("changed", "Files/dir/f")],
    retarget: [("changed", "Files/link")],
    stream: [("changed", "Files/dir/f"), ("changed", "Files/dir/f:s")],  # with the write time of the file
    add_stream: [("changed", "Files/dir/f"), ("changed", "Files/dir/f:new")],
    remove_stream: [("gone", "Files/dir/f:s")],
    add_file: [("new", "Files/dir/new")],
    remove: [("gone", "Files/link")],
    junction_for_file: [("changed", "Files/link")],
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_hand_edits(edited: Path, edit: Callable[[Path], None], tmp_path: Path) -> None:
    """status names what was edited; both exports give what another reader of the volume sees."""
    edit(edited)
    assert status(edited) == EDITS[edit]
    canonical, original = exported(edited, framing="canonical"), exported(edited)
    key = lambda item: (item[0].path, getattr(item[0], "name", ""))  # noqa: E731
    assert sorted(items_of(original), key=key) == sorted(items_of(canonical), key=key)
    (tmp_path / "edited.tar").write_bytes(canonical)
    live = {  # the write time of a directory is that of its content, which is no change of its own
        name: replace(facts, last_write_time=None) if facts.attributes & 0x10 else facts
        for name, facts in tar_facts(tmp_path / "edited.tar").items()
    }
    (edited / "layer.db").unlink()
    (tmp_path / "volume.tar").write_bytes(exported(edited))
    assert differences(live, tar_facts(tmp_path / "volume.tar")) == []


def test_what_was_not_edited_keeps_what_the_driver_does_not_hold(mount: Path) -> None:
    items: list[Item] = [
        (Directory("Files", **times()), None, None),
        (File("Files/f", file_attributes=0x80020, size=1, **times(1)), b"a", None),
    ]
    imported(tar_of(items), mount / "layer")
    set_xattr(host(mount / "layer", "f"), "system.ntfs_acl", DESCRIPTOR)
    _, (file, _, _) = items_of(exported(mount / "layer", framing="canonical"))
    assert isinstance(file, File)
    assert (file.file_attributes, file.creation_time, file.last_write_time) == (0x80020, T + 1, T + 3)
    # A change is a change, and its time is that of the volume.
    assert file.change_time is not None
    assert file.change_time > T + 10**14
    assert file.security_descriptor == DESCRIPTOR


def test_an_edit_in_place(mount: Path) -> None:
    """The driver notes the time of a write that leaves the size as it was in the file's record much later."""
    items: list[Item] = [
        (Directory("Files", **times()), None, None),
        (File("Files/f", size=3, **times(1)), b"abc", None),
        (
            File("Files/sparse", file_attributes=0x220, size=1 << 20, **times(2)),
            b"x" * 4096 + bytes((1 << 20) - 4096),
            ((0, 4096),),
        ),
    ]
    imported(tar_of(items), mount / "layer")
    for name, place in (("f", 1), ("sparse", 500_000)):
        with (mount / "layer/Files" / name).open("r+b") as file:
            file.seek(place)
            file.write(b"Z")
    assert status(mount / "layer") == [("changed", "Files/f"), ("changed", "Files/sparse")]
    for options in ({}, {"framing": "canonical"}):
        _, (f, content, _), (_, holed, extents) = items_of(exported(mount / "layer", **options))
        assert isinstance(f, File)
        assert f.last_write_time is not None
        assert f.last_write_time > T + 10**14
        assert f.creation_time == T + 1
        assert content == b"aZc"
        assert holed is not None
        assert (holed[:4096], holed[500_000]) == (b"x" * 4096, ord("Z"))
        assert extents is not None


def test_content_behind_an_unchanged_time(edited: Path) -> None:
    before = struct.pack("<3Q", T + 2, T + 4, T + 3)
    (edited / "Files/dir/f").write_bytes(b"ABC")
    set_xattr(host(edited, "dir/f"), "system.ntfs_times", before)
    set_xattr(host(edited, "dir/f"), "system.ntfs_attrib", struct.pack("<I", 0x20))
    assert status(edited) == []
    with opened(edited) as layer:
        layer._verify_content = True
        assert list(layer.status()) == [("changed", "Files/dir/f")]


# --- makebaselayer, hives ---------------------------------------------------------------------------------


def test_makebaselayer_makes_what_windows_may_read(mount: Path) -> None:
    (mount / "layer/Files").mkdir(parents=True)
    set_xattr(os.fsencode(mount / "layer/Files"), "system.ntfs_times", struct.pack("<3Q", T, T, T))
    made = convert_to_base_layer(mount / "layer")
    assert len(made.made) == 5
    assert struct.unpack("<3Q", get_xattr(os.fsencode(mount / "layer/Files"), "system.ntfs_times")[:24]) == (T, T, T)
    by_path = {entry.path: entry for entry, _, _ in items_of(exported(mount / "layer"))}
    for path, wanted in (
        ("Files/Windows", DIRECTORY_DESCRIPTOR),
        ("Files/Windows/System32/config/SAM", FILE_DESCRIPTOR),
    ):
        entry = by_path[path]
        assert isinstance(entry, Directory | File)
        assert entry.security_descriptor == wanted
        assert (entry.creation_time, entry.last_write_time) == (T, T)


def test_a_hive_that_is_changed_keeps_its_metadata(mount: Path, tmp_path: Path) -> None:
    (mount / "layer/Files").mkdir(parents=True)
    convert_to_base_layer(mount / "layer")
    software = mount / "layer/Files/Windows/System32/config/SOFTWARE"
    path = os.fsencode(software)
    set_xattr(path, "system.ntfs_acl", DESCRIPTOR)
    set_xattr(path, "system.ntfs_attrib", struct.pack("<I", 0x26))
    set_xattr(path, "system.ntfs_times", struct.pack("<3Q", T, T, T))
    set_xattr(path, "system.ntfs_object_id", OBJECT_ID)
    set_xattr(path, "system.ntfs_dos_name", b"SOFTWA~1")
    (software.parent / "SOFTWARE:s").write_bytes(b"stream")
    (tmp_path / "a.reg").write_text(
        'Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n"v"="x"\n'
    )
    subprocess.run(
        [sys.executable, "-m", "wclayer", "hive", "import", "--in-place", str(software), str(tmp_path / "a.reg")],
        check=True,
    )
    assert get_xattr(path, "system.ntfs_acl") == DESCRIPTOR
    assert get_xattr(path, "system.ntfs_attrib") == struct.pack("<I", 0x26)
    creation, write = struct.unpack("<2Q", get_xattr(path, "system.ntfs_times")[:16])
    assert creation == T
    assert write > T
    assert (software.parent / "SOFTWARE:s").read_bytes() == b"stream"
    assert get_xattr(path, "system.ntfs_object_id") == OBJECT_ID
    assert get_xattr(path, "system.ntfs_dos_name") == b"SOFTWA~1"
    # Also where another takes the place of an invalid one.
    software.write_bytes(b"no hive")
    assert convert_to_base_layer(mount / "layer", replace_invalid=True).replaced == [
        "Files/Windows/System32/config/SOFTWARE"
    ]
    assert get_xattr(path, "system.ntfs_acl") == DESCRIPTOR
    assert get_xattr(path, "system.ntfs_object_id") == OBJECT_ID
    assert get_xattr(path, "system.ntfs_dos_name") == b"SOFTWA~1"


# --- what is refused -----------------------------------------------------------------------------------------


REFUSED = {
    "compressed by the Windows Overlay Filter": 0x80000017,
    "deduplicated": 0x80000013,
    "that Windows has processed (wcifs)": 0x90001018,
    "projected": 0x9000001C,
}


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_filters_would_have_to_read(mount: Path, what: str) -> None:
    (mount / "layer/Files").mkdir(parents=True)
    (mount / "layer/Files/stub").write_bytes(b"raw")
    buffer = struct.pack("<IHH", REFUSED[what], 4, 0) + b"data"
    set_xattr(host(mount / "layer", "stub"), "system.ntfs_reparse_data", buffer)
    with pytest.raises(InexpressibleError, match=r"Files/stub.*") as caught:
        exported(mount / "layer")
    assert what in str(caught.value)


def test_encrypted_files(mount: Path) -> None:
    (mount / "layer/Files").mkdir(parents=True)
    path = host(mount / "layer", "secret")
    (mount / "layer/Files/secret").write_bytes(b"")
    # The header of $EFS; with efs_raw the driver takes it, and sets ENCRYPTED.
    set_xattr(path, "system.ntfs_efsinfo", struct.pack("<II", 64, 0) + bytes(56))
    assert struct.unpack("<I", get_xattr(path, "system.ntfs_attrib"))[0] & 0x4000
    with pytest.raises(InexpressibleError, match=r"Files/secret.*EFS"):
        exported(mount / "layer")


def test_a_directory_whose_content_the_driver_hides(mount: Path) -> None:
    reparse = struct.pack("<IHH", 0x9000001A, 4, 0) + b"data"
    items: list[Item] = [
        (Directory("Files"), None, None),
        (Directory("Files/cloud", file_attributes=0x410, reparse_data=reparse), None, None),
    ]
    imported(tar_of(items), mount / "empty")
    assert exported(mount / "empty") == tar_of(items)
    with pytest.raises(InexpressibleError, match=r"Files/cloud/f.*does not show.*CLOUD"):
        imported(tar_of([*items, (File("Files/cloud/f"), b"", None)]), mount / "full")
    (mount / "empty/layer.db").unlink()
    with pytest.raises(InexpressibleError, match="Files/cloud: a directory"):
        exported(mount / "empty")
    assert sorted(os.listdir(mount)) == ["empty"]


@pytest.mark.parametrize("what", ["junction", "symlink", "file"])
def test_a_root_that_is_no_folder(mount: Path, what: str) -> None:
    files = mount / "layer/Files"
    if what == "junction":
        files.mkdir(parents=True)
        set_xattr(os.fsencode(files), "system.ntfs_reparse_data", build_link("C:\\Users", True))
    else:
        (mount / "layer").mkdir()
        if what == "symlink":
            files.symlink_to("/etc")
        else:
            files.touch()
    for read in (exported, status):
        with pytest.raises(LayerError, match="Files: a link or file in the place of a root"):
            read(mount / "layer")


def test_a_name_that_is_another_s_short_name(mount: Path) -> None:
    items: list[Item] = [
        (Directory("Files"), None, None),
        (File("Files/a long name", short_name="ALONGN~1"), b"", None),
        (File("Files/ALONGN~1"), b"", None),
    ]
    with pytest.raises(LayerError, match="Files/ALONGN~1: the name is the short"):
        imported(tar_of(items), mount / "layer")
    assert os.listdir(mount) == []


OPTIONS = {
    "efs_raw,noatime": "streams_interface=windows",
    "noatime,streams_interface=windows": "efs_raw",
    "efs_raw,noatime,streams_interface=windows,permissions": "permissions",
    "efs_raw,streams_interface=windows": "noatime",
    "efs_raw,noatime,streams_interface=windows,windows_names": "windows_names",
}


@pytest.mark.parametrize("options", OPTIONS)
def test_mount_options(volume: Path, options: str) -> None:
    with ntfs.mounted(volume, options=options) as place:
        with pytest.raises(UnsupportedError, match=OPTIONS[options]) as caught:
            imported(build(BASE), place / "layer")
        assert "ntfs-3g -o efs_raw,noatime,streams_interface=windows" in str(caught.value)
        assert os.listdir(place) == []


def test_a_read_only_mount(volume: Path) -> None:
    with ntfs.mounted(volume) as place:
        imported(build(BASE), place / "layer")
    with ntfs.mounted(volume, readonly=True) as place:
        with pytest.raises(AccessError, match="read-only"):
            imported(build(BASE), place / "another")
        assert exported(place / "layer") == build(BASE)


def test_a_full_volume(tmp_path: Path) -> None:
    image = ntfs.volume(tmp_path / "small.img", 16 << 20)
    with ntfs.mounted(image) as place:
        with pytest.raises(StorageError, match="No space"):
            imported(build([*BASE, M("Files/big", bytes(range(256)) * 100_000)]), place / "layer")
        assert os.listdir(place) == []


def test_a_folder_that_left_its_volume(mount: Path, tmp_path: Path) -> None:
    imported(build([*BASE, M("Files/f", b"x")]), mount / "layer")
    subprocess.run([tool("cp"), "-a", mount / "layer", tmp_path / "copy"], check=True)
    with pytest.raises(UnsupportedError, match="made on an NTFS volume"):
        exported(tmp_path / "copy")


def test_a_folder_that_came_to_a_volume(mount: Path, tmp_path: Path) -> None:
    tar = build([*BASE, M("Files/f", b"x")])
    imported(tar, tmp_path / "layer")
    subprocess.run([tool("cp"), "-a", tmp_path / "layer", mount / "copy"], check=True)
    assert exported(mount / "copy") == tar
    assert status(mount / "copy") == []


def test_short_names_of_files_with_several_names(volume: Path) -> None:
    """Made by others: the first name's comes back, another's is counted, and so are those that cannot be read."""
    with ntfs.mounted(volume) as place:
        (place / "layer/Files").mkdir(parents=True)
        for first, short, second in (
            ("a long name", b"ALONGN~1", "further"),
            ("z long name", b"ZLONGN~1", "a further"),
        ):
            path = place / "layer/Files" / first
            path.write_bytes(b"x")
            set_xattr(os.fsencode(path), "system.ntfs_dos_name", short)
            (place / "layer/Files" / second).hardlink_to(path)
        output = io.BytesIO()
        assert export_layer_to_tar(place / "layer", output).warnings == [
            "1 short names of hard links, which no layer can hold, left out"
        ]
    names = {entry.path: entry.short_name for entry, _, _ in items_of(output.getvalue()) if isinstance(entry, File)}
    assert names == {"Files/a long name": "ALONGN~1", "Files/a further": None}
    with (
        ntfs.mounted(volume, readonly=True) as place,
        Ntfs3gLayer(place / "layer", volume=Volume(device=None)) as layer,
    ):
        assert len(list(layer.entries())) == 5
        assert layer.warnings == ["2 files with several names: ntfs-3g does not tell their short names"]


def test_a_disk_mounted_by_another_thread(tmp_path: Path) -> None:
    """Its mount namespace is its own: the main thread does not see the volume, and /proc/self is the main thread's."""
    image = tmp_path / "disk.img"
    create_disk(image, 32 << 20, partition=False)
    items: list[Item] = [
        (Directory("Files", **times()), None, None),
        (File("Files/f", reparse_data=APPEXEC, size=3, **times()), b"abc", None),
    ]

    def there_and_back() -> bytes:
        with mounted_volume(image, writable=True) as root:
            imported(tar_of(items), Path(root, "layer"))
            return exported(Path(root, "layer"))

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(there_and_back).result() == tar_of(items)
