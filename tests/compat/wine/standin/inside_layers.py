"""The stand-in's calls of vmcompute.dll and of volume mount points: what they do, refuse, and write down."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from ctypes import byref, c_uint32, c_uint64
from pathlib import Path
from typing import Any, Final

import pytest

from tests.compat.wine.standin import calls, set_tombstones, violations
from tests.compat.wine.standin.abi import INFO, RESTORE, Backup, DriverInfo, Parent, descriptors, last_error, opened
from wclayer.entry import ExtendedAttribute
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.check import require_loadable
from wclayer.win32.backup_stream import StreamHeader, StreamId, pack_header
from wclayer.win32.ea import build_ea_list
from wclayer.win32.sddl import parse_sddl

OK: Final = 0
FILE_NOT_FOUND: Final = 0x80070002
PATH_NOT_FOUND: Final = 0x80070003
NOT_READY: Final = 0x80070015
SHARING_VIOLATION: Final = 0x80070020
FILE_EXISTS: Final = 0x80070050
E_INVALIDARG: Final = 0x80070057
BUSY: Final = 0x800700AA
ALREADY_EXISTS: Final = 0x800700B7
BAD_DB: Final = 0x800703F1

VOLUME: Final = "\\\\?\\Volume{11111111-2222-3333-4444-555555555555}"
CONFIG: Final = ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
BASES: Final = ("DefaultUser_Base", "Sam_Base", "Security_Base", "Software_Base", "System_Base")
STORE_WRITTEN: Final = 132_000_000_000_000_000  # a FILETIME
WRITTEN: Final = 1_500_000_000_123_456_700  # last write, in nanoseconds since 1970


class Layers:
    """The calls, on paths."""

    def __init__(self, dll: ctypes.CDLL) -> None:
        self.dll = dll

    def __getattr__(self, name: str) -> Callable[..., int]:
        function = getattr(self.dll, name)

        def call(path: Path | str, *more: Any) -> int:
            return int(function(byref(INFO), str(path), *more))

        return call

    def with_parents(self, name: str, path: Path | str, *more: Any, parents: tuple[Path, ...] = ()) -> int:
        array = descriptors(self.dll, [str(parent) for parent in parents])
        return int(getattr(self.dll, name)(byref(INFO), str(path), *more, *array))

    def mount_path(self, path: Path) -> str:
        length = c_uint64()
        assert self.GetLayerMountPath(path, byref(length), None) == OK
        buffer = ctypes.create_unicode_buffer(length.value)
        assert self.GetLayerMountPath(path, byref(length), buffer) == OK
        return buffer.value


@pytest.fixture
def layers(dll: ctypes.CDLL) -> Layers:
    return Layers(dll)


def make_base(folder: Path, *, utility_vm: bool = False) -> Path:
    config = folder / "Files" / "Windows" / "System32" / "config"
    config.mkdir(parents=True)
    for name in CONFIG:
        (config / name).write_bytes(b"regf of " + name.encode())
    if utility_vm:
        boot = folder / "UtilityVM" / "Files" / "EFI" / "Microsoft" / "Boot"
        boot.mkdir(parents=True)
        (boot / "BCD").write_bytes(minimal_bcd(STORE_WRITTEN))
    return folder


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# Activation and its order.


def test_the_order_in_which_a_layer_is_mounted(layers: Layers, clean: Path) -> None:
    layer, parent = clean / "Scratch", clean / "base"
    layer.mkdir()
    parent.mkdir()
    other = "\\\\?\\" + str(layer).upper()
    assert layers.with_parents("PrepareLayer", layer, parents=(parent,)) == NOT_READY
    assert layers.ActivateLayer(layer) == OK
    assert layers.ActivateLayer(other) == ALREADY_EXISTS
    assert layers.UnprepareLayer(layer) == NOT_READY
    assert layers.with_parents("PrepareLayer", other, parents=(parent,)) == OK
    assert layers.mount_path(layer) == VOLUME
    assert layers.DeactivateLayer(layer) == BUSY
    assert layers.UnprepareLayer(layer) == OK
    assert layers.DestroyLayer(other) == SHARING_VIOLATION
    assert layers.DeactivateLayer(layer) == OK
    assert layers.DeactivateLayer(layer) == NOT_READY
    assert layers.GetLayerMountPath(layer, byref(c_uint64()), None) == NOT_READY
    assert layers.DestroyLayer(layer) == OK
    assert layers.DestroyLayer(layer) == layers.ActivateLayer(layer) == PATH_NOT_FOUND


def test_what_is_not_there(layers: Layers, clean: Path) -> None:
    found = c_uint32(7)
    assert layers.LayerExists(clean / "layer", byref(found)) == OK
    assert found.value == 0
    (clean / "layer").mkdir()
    assert layers.LayerExists(clean / "layer", byref(found)) == OK
    assert found.value == 1
    assert layers.ExpandSandboxSize(clean / "layer", 1 << 30) == FILE_NOT_FOUND
    assert layers.dll.GrantVmAccess("vm", str(clean / "layer" / "sandbox.vhdx")) == FILE_NOT_FOUND
    assert layers.with_parents("CreateSandboxLayer", clean / "new", 0, parents=(clean / "base",)) == PATH_NOT_FOUND


def test_two_threads_in_prepare_layer_are_one_too_many(layers: Layers, folder: Path) -> None:
    results = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        layers.ActivateLayer(folder / name)
    start = threading.Barrier(2)

    def prepare(name: str) -> None:
        start.wait()
        results.append(layers.with_parents("PrepareLayer", folder / name))

    threads = [threading.Thread(target=prepare, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [OK, E_INVALIDARG]
    assert violations(folder) == ["PrepareLayer: called while another PrepareLayer runs"]


# The log.


def test_the_log_has_the_shape_of_the_vectors(layers: Layers, clean: Path) -> None:
    info = {"flavour": 1, "pad": 0, "home": ""}
    layer, parent = clean / "läyer 1 \U0001f600", clean / "a-name-that-is-longer-than-a-GUID"
    layer.mkdir()
    parent.mkdir()
    layers.ActivateLayer(layer)
    layers.with_parents("PrepareLayer", layer, parents=(parent,))
    layers.mount_path(layer)
    assert calls(clean) == [
        {"call": "ActivateLayer", "info": info, "id": str(layer), "hr": "0x00000000"},
        {"call": "NameToGuid", "name": parent.name, "hr": "0x00000000"},
        {
            "call": "PrepareLayer",
            "info": info,
            "id": str(layer),
            "parents": [{"guid_bytes": b"a-name-that-is-l".hex(), "flags": 0, "path": str(parent)}],
            "hr": "0x00000000",
        },
        {
            "call": "GetLayerMountPath",
            "info": info,
            "id": str(layer),
            "length": 0,
            "buffer": False,
            "hr": "0x00000000",
        },
        {
            "call": "GetLayerMountPath",
            "info": info,
            "id": str(layer),
            "length": 49,
            "buffer": True,
            "hr": "0x00000000",
        },
    ]


def test_the_log_is_json_whatever_is_in_it(layers: Layers, clean: Path) -> None:
    name = 'a"quote\t\x01 and a lone \ud83d'
    assert layers.dll.NameToGuid(name, (ctypes.c_uint8 * 16)()) == OK
    assert calls(clean) == [{"call": "NameToGuid", "name": name, "hr": "0x00000000"}]


# Arguments.


def _parent(path: str, guid: bytes, flags: int = 0, pad: int = 0) -> Any:
    return (Parent * 1)(Parent((ctypes.c_uint8 * 16)(*guid.ljust(16, b"\0")), flags, pad, path))


PATH: Final = "C:\\layers\\one"
WRONG_ARGUMENTS: Final[dict[str, tuple[str, tuple[Any, ...]]]] = {
    "info: no pointer to a driver info": ("ActivateLayer", (None, PATH)),
    "info: the flavour is not 1, the filter driver": ("ActivateLayer", (DriverInfo(0, 0, ""), PATH)),
    "info: the padding is not zero": ("ActivateLayer", (DriverInfo(1, 9, ""), PATH)),
    "info: its home is no string": ("ActivateLayer", (DriverInfo(1, 0, None), PATH)),
    "info: the home is not empty: C:\\": ("ActivateLayer", (DriverInfo(1, 0, "C:\\"), PATH)),
    "id: no string that ends in a NUL": ("DeactivateLayer", (INFO, None)),
    "id: empty": ("UnprepareLayer", (INFO, "")),
    "id: not absolute, on a drive: layer": ("DestroyLayer", (INFO, "layer")),
    "id: not absolute, on a drive: C:layer": ("DestroyLayer", (INFO, "C:layer")),
    "id: not absolute, on a drive: \\\\?\\layer": ("DestroyLayer", (INFO, "\\\\?\\layer")),
    "id: a slash, which \\\\?\\ would not take for a backslash: C:\\a/b": ("DestroyLayer", (INFO, "C:\\a/b")),
    "id: a component . or ..: C:\\a\\..\\b": ("DestroyLayer", (INFO, "C:\\a\\..\\b")),
    "id: an empty component: C:\\a\\": ("DestroyLayer", (INFO, "C:\\a\\")),
    "parent: not 0": ("CreateSandboxLayer", (INFO, PATH, 1, _parent(PATH, b"one"), 1)),
    "parents: none": ("CreateSandboxLayer", (INFO, PATH, 0, None, 0)),
    "parents: no pointer to so many": ("PrepareLayer", (INFO, PATH, None, 1)),
    "parents: more than 127": ("PrepareLayer", (INFO, PATH, _parent(PATH, b"one"), 128)),
    "parents: flags are not 0": ("PrepareLayer", (INFO, PATH, _parent(PATH, b"one", 1), 1)),
    "parents: the padding is not zero": ("ExportLayer", (INFO, PATH, PATH, _parent(PATH, b"one", 0, 1), 1)),
    f"parents: the GUID is not NameToGuid of the last component: {PATH}": (
        "ImportLayer",
        (INFO, PATH, PATH, _parent(PATH, b"two"), 1),
    ),
    "path: not absolute, on a drive: one": ("PrepareLayer", (INFO, PATH, _parent("one", b"one"), 1)),
    "folder: not absolute, on a drive: folder": ("ImportLayer", (INFO, PATH, "folder", None, 0)),
    "size: 0 bytes": ("ExpandSandboxSize", (INFO, PATH, 0)),
    "length: no pointer to 8 bytes": ("GetLayerMountPath", (INFO, PATH, None, None)),
    "length: not 0, without a buffer": ("GetLayerMountPath", (INFO, PATH, byref(c_uint64(49)), None)),
    "length: not what the call without a buffer told, in 8 bytes": (
        "GetLayerMountPath",
        (INFO, PATH, byref(c_uint64(49 | 1 << 32)), ctypes.create_unicode_buffer(49)),
    ),
    "exists: no pointer to 4 bytes": ("LayerExists", (INFO, PATH, None)),
    "name: a path, not a name: C:\\layers\\one": ("NameToGuid", (PATH, (ctypes.c_uint8 * 16)())),
    "guid: no pointer to 16 bytes": ("NameToGuid", ("one", None)),
    "vmid: empty": ("GrantVmAccess", ("", PATH)),
    "path: empty": ("ProcessBaseImage", ("",)),
    "path: not the folder UtilityVM of a layer: C:\\layers\\one": ("ProcessUtilityImage", (PATH,)),
}


@pytest.mark.parametrize("text", WRONG_ARGUMENTS)
def test_a_wrong_argument_is_noticed(dll: ctypes.CDLL, folder: Path, text: str) -> None:
    name, arguments = WRONG_ARGUMENTS[text]
    passed = [byref(value) if isinstance(value, DriverInfo) else value for value in arguments]
    assert getattr(dll, name)(*passed) == E_INVALIDARG
    assert violations(folder) == [f"{name}: {text}"]
    (call,) = calls(folder)
    assert (call["call"], call["hr"]) == (name, "0x80070057")


def test_without_a_state_folder_nothing_works(layers: Layers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WCLAYER_STANDIN_STATE")
    assert layers.ActivateLayer(folder) == E_INVALIDARG
    assert violations(folder) == ["ActivateLayer: WCLAYER_STANDIN_STATE names no folder"]


# Failures on demand.


def test_failures_on_demand(layers: Layers, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", "DeactivateLayer=0x80070005,ActivateLayer=0x80070006@2")
    one, two = clean / "one", clean / "two"
    one.mkdir()
    two.mkdir()
    assert layers.ActivateLayer(one) == OK
    assert layers.ActivateLayer(two) == 0x80070006
    assert layers.ActivateLayer(two) == OK
    assert layers.DeactivateLayer(one) == layers.DeactivateLayer(two) == 0x80070005
    assert layers.ActivateLayer(one) == ALREADY_EXISTS
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", "DeactivateLayer=0x80070005!@1")
    assert layers.DeactivateLayer(one) == 0x80070005
    assert layers.ActivateLayer(one) == OK
    assert calls(clean)[1]["hr"] == "0x80070006"


@pytest.mark.parametrize(
    "value", ["Activate=0x80070005", "ActivateLayer", "ActivateLayer=0", "ActivateLayer=0x80070005?"]
)
def test_a_failure_that_is_not_understood(
    layers: Layers, folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", value)
    assert layers.ActivateLayer(folder) == E_INVALIDARG
    assert violations(folder) == [f"ActivateLayer: WCLAYER_STANDIN_FAIL is not understood: {value}"]


# Images and scratches.


def test_processing_a_base_layer(layers: Layers, clean: Path) -> None:
    base = make_base(clean / "base", utility_vm=True)
    before = tree(base)
    assert layers.dll.ProcessBaseImage("\\\\?\\" + str(base)) == OK
    made = {"layout", "blank-base.vhdx", "blank.vhdx", "Hives", *(f"Hives/{name}" for name in BASES)}
    assert tree(base) == before | made
    assert (base / "layout").read_bytes() == b"vhd-with-hives\n"
    for config, name in zip(CONFIG, BASES, strict=True):
        assert (base / "Hives" / name).read_bytes() == b"regf of " + config.encode()
    assert layers.dll.ProcessBaseImage(str(base)) == FILE_EXISTS
    store = base / "UtilityVM" / "Files" / "EFI" / "Microsoft" / "Boot" / "BCD"
    os.link(store, clean / "other name")
    was = store.read_bytes()
    assert layers.dll.ProcessUtilityImage(str(base / "UtilityVM")) == OK
    assert tree(base) == before | made | {"UtilityVM/SystemTemplateBase.vhdx", "UtilityVM/SystemTemplate.vhdx"}
    assert store.read_bytes() != was
    assert (clean / "other name").read_bytes() == store.read_bytes()
    require_loadable(store.read_bytes())
    assert store.read_bytes()[12:20] == (STORE_WRITTEN + 1).to_bytes(8, "little")
    assert layers.dll.ProcessUtilityImage(str(base / "UtilityVM")) == FILE_EXISTS


def test_a_layer_that_cannot_be_processed(layers: Layers, clean: Path) -> None:
    base = make_base(clean / "base")
    before = tree(base)
    config = base / "Files" / "Windows" / "System32" / "config"
    (config / "SYSTEM").write_bytes(b"")
    assert layers.dll.ProcessBaseImage(str(base)) == BAD_DB
    (config / "SYSTEM").unlink()
    assert layers.dll.ProcessBaseImage(str(base)) == FILE_NOT_FOUND
    assert layers.dll.ProcessBaseImage(str(clean / "none")) == PATH_NOT_FOUND
    assert layers.dll.ProcessUtilityImage(str(base / "UtilityVM")) == PATH_NOT_FOUND
    assert tree(base) == before - {"Files/Windows/System32/config/SYSTEM"}


def test_debris_makes_the_next_run_fail(layers: Layers, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", "ProcessBaseImage=0x80070070!@1,ProcessUtilityImage=0x80070070!@1")
    base = make_base(clean / "base", utility_vm=True)
    assert layers.dll.ProcessBaseImage(str(base)) == 0x80070070
    assert {"layout", "blank-base.vhdx", "Hives"} <= tree(base)
    assert "blank.vhdx" not in tree(base)
    assert layers.dll.ProcessBaseImage(str(base)) == FILE_EXISTS
    assert layers.dll.ProcessUtilityImage(str(base / "UtilityVM")) == 0x80070070
    assert layers.dll.ProcessUtilityImage(str(base / "UtilityVM")) == FILE_EXISTS


def test_a_scratch_is_a_copy_of_the_bases_template(layers: Layers, clean: Path) -> None:
    near, base, scratch = clean / "near", clean / "base", clean / "scratch"
    near.mkdir()
    base.mkdir()
    (near / "blank.vhdx").write_bytes(b"not this")
    (base / "blank.vhdx").write_bytes(b"of the base")
    assert layers.with_parents("CreateSandboxLayer", scratch, 0, parents=(near, base)) == OK
    assert (scratch / "sandbox.vhdx").read_bytes() == b"of the base"
    assert layers.with_parents("CreateSandboxLayer", scratch, 0, parents=(near, base)) == FILE_EXISTS
    assert layers.ExpandSandboxSize(scratch, 40 << 30) == OK
    assert layers.dll.GrantVmAccess("vm", str(scratch / "sandbox.vhdx")) == OK
    layers.ActivateLayer(scratch)
    assert layers.ExpandSandboxSize(scratch, 40 << 30) == SHARING_VIOLATION


# Mount points.


def test_mount_points(dll: ctypes.CDLL, clean: Path) -> None:
    point, volume = clean / "mnt", VOLUME + "\\"
    name = ctypes.create_unicode_buffer(64)

    def failing(function: str, *arguments: Any) -> int:
        assert not getattr(dll, function)(*arguments)
        return last_error()

    assert failing("SetVolumeMountPointW", f"{point}\\", volume) == 2
    point.mkdir()
    (point / "file").write_bytes(b"")
    assert failing("SetVolumeMountPointW", f"{point}\\", volume) == 145  # ERROR_DIR_NOT_EMPTY
    (point / "file").unlink()
    assert failing("GetVolumeNameForVolumeMountPointW", f"{point}\\", name, 64) == 4390  # ERROR_NOT_A_REPARSE_POINT
    assert dll.SetVolumeMountPointW(f"{point}\\", volume)
    assert dll.GetVolumeNameForVolumeMountPointW(f"\\\\?\\{point}\\".upper(), name, 64)
    assert name.value == volume
    assert failing("GetVolumeNameForVolumeMountPointW", f"{point}\\", name, 49) == 206  # ERROR_FILENAME_EXCED_RANGE
    assert failing("SetVolumeMountPointW", f"{point}\\", volume) == 145
    assert dll.DeleteVolumeMountPointW(f"{point}\\")
    assert failing("DeleteVolumeMountPointW", f"{point}\\") == 4390
    assert calls(clean)[3] == {
        "call": "SetVolumeMountPointW",
        "path": f"{point}\\",
        "volume": volume,
        "hr": "0x00000000",
    }


@pytest.mark.parametrize(
    ("point", "volume", "text"),
    [
        ("", VOLUME, "volume: not \\\\?\\Volume{GUID}\\: " + VOLUME),
        ("", "Z:\\", "volume: not \\\\?\\Volume{GUID}\\: Z:\\"),
        ("..\\", VOLUME + "\\", "path: a component . or ..: "),
        ("mnt", VOLUME + "\\", "no backslash at the end: "),
    ],
)
def test_a_wrong_mount_point(dll: ctypes.CDLL, folder: Path, point: str, volume: str, text: str) -> None:
    path = f"{folder}\\{point}"
    assert not dll.SetVolumeMountPointW(path, volume)
    assert last_error() == 87
    expected = text + path.removesuffix("\\") if text.endswith("..: ") else text + path * text.endswith(": ")
    assert violations(folder) == [f"SetVolumeMountPointW: {expected}"]


def test_a_mount_point_fails_on_demand(dll: ctypes.CDLL, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", "SetVolumeMountPointW=0x80070005")
    (clean / "mnt").mkdir()
    assert not dll.SetVolumeMountPointW(f"{clean}\\mnt\\", VOLUME + "\\")
    assert last_error() == 5


# Transport folders.

SECURITY: Final = parse_sddl("O:SYG:SYD:P(A;;FR;;;WD)")


def packed(number: int, data: bytes, name: str = "") -> bytes:
    return pack_header(StreamHeader(number, len(data), 0, name)) + data


WOF: Final = packed(StreamId.REPARSE_DATA, bytes.fromhex("17000080 0400 0000 01020304"))
SECURED: Final = packed(StreamId.SECURITY_DATA, SECURITY)
DIRECTORY: Final = (0x10).to_bytes(4, "little") + SECURED
FILE: Final = (
    (0x2022).to_bytes(4, "little")
    + SECURED
    + packed(StreamId.DATA, b"content")
    + packed(StreamId.EA_DATA, build_ea_list((ExtendedAttribute(b"A", b"xy"),)))
    + packed(StreamId.ALTERNATE_DATA, b"of the stream", ":s:$DATA")
)
POINT: Final = (0x420).to_bytes(4, "little") + SECURED + WOF
DIRECTORY_POINT: Final = (0x410).to_bytes(4, "little") + SECURED + WOF


def make_transport(folder: Path) -> dict[str, bytes]:
    """A transport folder with one of everything; its files, by their paths."""
    files = {
        "Files.$wcidirs$": DIRECTORY,
        "Files/dir.$wcidirs$": DIRECTORY,
        "Files/dir/file": FILE,
        "Files/dir/empty": (0x20).to_bytes(4, "little") + SECURED,
        "Files/point": POINT,
        "Files/point-too.$wcidirs$": DIRECTORY_POINT,
        "Hives.$wcidirs$": DIRECTORY,
        "Hives/Software_Delta": b"regf",
    }
    for name in ("Files/dir", "Files/point-too", "Hives"):
        (folder / name).mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(WRITTEN, WRITTEN))
    return files


def written(path: Path) -> int:
    return path.stat().st_mtime_ns  # the time of access is the host's: it changes when somebody looks


def test_a_transport_folder_comes_in_and_goes_out(layers: Layers, clean: Path) -> None:
    transport, layer, parent, out = (clean / name for name in ("transport", "layer", "parent", "out"))
    parent.mkdir()
    files = make_transport(transport)
    assert layers.with_parents("ImportLayer", f"\\\\?\\{layer}", str(transport), parents=(parent,)) == OK
    for name in ("Files", "Files/dir", "Files/dir/file", "Files/dir/empty", "Files/point-too", "Hives/Software_Delta"):
        assert written(layer / name) == WRITTEN, name
    assert getattr((layer / "Files" / "dir" / "file").stat(), "st_file_attributes") & 0x7 == 0x2  # noqa: B009 # Windows'
    (layer / "Hives" / "Software_Base").write_bytes(b"regf")
    set_tombstones(clean, str(layer), ["\\dir\\gone", "\\wëg"])
    assert layers.with_parents("ExportLayer", layer, str(out), parents=(parent,)) == NOT_READY
    layers.ActivateLayer(layer)
    assert layers.with_parents("ExportLayer", layer, str(out), parents=(parent,)) == OK
    assert (layer / "Files" / "dir" / "file").read_bytes() == b"content"
    assert (layer / "Hives" / "Software_Delta").read_bytes() == b"regf"
    found = {name: (out / name).read_bytes() for name in tree(out) if (out / name).is_file()}
    assert found.pop("tombstones.txt") == "\ufeffVersion 1.0\r\n\\dir\\gone\r\n\\wëg\r\n".encode()
    assert found == files
    for name in set(files) - {"Hives.$wcidirs$"}:  # Hives got a file after it had come in
        assert written(out / name) == WRITTEN, name
    assert layers.with_parents("ExportLayer", layer, str(out), parents=(parent,)) == FILE_EXISTS
    assert layers.with_parents("ImportLayer", layer, str(transport), parents=(parent,)) == FILE_EXISTS


def test_an_export_without_whiteouts_has_a_list_of_none(layers: Layers, clean: Path) -> None:
    layer = clean / "layer"
    (layer / "Files").mkdir(parents=True)
    with opened(layer / "Files" / "file", RESTORE) as handle:
        backup = Backup(layers.dll, handle)
        backup.write(SECURED)
        backup.close("BackupWrite")
    layers.ActivateLayer(layer)
    assert layers.with_parents("ExportLayer", layer, str(clean / "out")) == OK
    assert tree(clean / "out") == {"Files", "Files.$wcidirs$", "Files/file", "tombstones.txt"}
    assert (clean / "out" / "tombstones.txt").read_bytes() == b"\xef\xbb\xbfVersion 1.0\r\n"


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _with(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


MALFORMED: Final[dict[str, tuple[Callable[[Path], None], str]]] = {
    "tombstones": (_with("tombstones.txt", b"\xef\xbb\xbfVersion 1.0\n"), "not for ImportLayer: {}\\tombstones.txt"),
    "something else": (_with("layer.db", b"x"), "not for ImportLayer: {}\\layer.db"),
    "no wcidirs": (
        _without("Files/dir.$wcidirs$"),
        "a directory without its .$wcidirs$ file: {}\\Files\\dir.$wcidirs$",
    ),
    "no root wcidirs": (
        _without("Files.$wcidirs$"),
        "a directory without its .$wcidirs$ file: {}\\Files.$wcidirs$",
    ),
    "no directory": (
        _with("Files/alone.$wcidirs$", DIRECTORY),
        "a .$wcidirs$ file without its directory: {}\\Files\\alone.$wcidirs$",
    ),
    "no attributes": (_with("Files/dir/file", b"\x20\0\0"), "no 4 bytes of attributes: {}\\Files\\dir\\file"),
    "a directory's attributes": (
        _with("Files/dir/file", DIRECTORY),
        "the attributes do not say whether it is a directory: {}\\Files\\dir\\file",
    ),
    "a file's attributes": (
        _with("Files/dir.$wcidirs$", FILE),
        "the attributes do not say whether it is a directory: {}\\Files\\dir.$wcidirs$",
    ),
    "cut off": (_with("Files/dir/file", FILE[:-1]), "the backup stream ends too early: {}\\Files\\dir\\file"),
    "cut in a header": (_with("Files/dir/file", FILE[:20]), "the backup stream ends too early: {}\\Files\\dir\\file"),
    "no stream": (_with("Files/dir/file", FILE[:4] + bytes(99)), "no backup stream: {}\\Files\\dir\\file"),
    "data in a directory": (
        _with("Files/dir.$wcidirs$", DIRECTORY + packed(StreamId.DATA, b"x")),
        "no backup stream: {}\\Files\\dir.$wcidirs$",
    ),
    "directory in Hives": (lambda folder: (folder / "Hives" / "d").mkdir(), "a directory in Hives: {}\\Hives\\d"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_transport_folder_is_refused(layers: Layers, folder: Path, kind: str) -> None:
    transport = folder / "transport"
    make_transport(transport)
    damage, text = MALFORMED[kind]
    damage(transport)
    assert layers.with_parents("ImportLayer", folder / "layer", str(transport)) == E_INVALIDARG
    (found,) = violations(folder)
    assert found == "ImportLayer: " + text.format(f"\\\\?\\{transport}")


def test_half_an_import_and_half_an_export(layers: Layers, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transport, layer, out = (clean / name for name in ("transport", "layer", "out"))
    make_transport(transport)
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", "ImportLayer=0x80070070!,ExportLayer=0x80070070!")
    assert layers.with_parents("ImportLayer", layer, str(transport)) == 0x80070070
    assert (layer / "Files" / "dir" / "file").exists()
    assert not (layer / "Hives").exists()
    layers.ActivateLayer(layer)
    assert layers.with_parents("ExportLayer", layer, str(out)) == 0x80070070
    assert (out / "Files" / "dir" / "file").exists()
    assert not (out / "tombstones.txt").exists()
