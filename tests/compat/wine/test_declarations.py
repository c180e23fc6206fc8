"""Windows' structures and functions as ctypes has them, against MinGW's headers and wine's libraries."""

from __future__ import annotations

import ctypes
import json
import subprocess
from pathlib import Path

import pytest

from tests.compat.tools import tool
from tests.compat.wine import standin, wine
from tests.compat.wine.native import LACKING
from wclayer.hcs.declarations import VMCOMPUTE
from wclayer.native import declarations
from wclayer.native.declarations import DECLARED

STRUCTURES = {
    "BY_HANDLE_FILE_INFORMATION": "BY_HANDLE_FILE_INFORMATION",
    "FILE_ATTRIBUTE_TAG_INFO": "FILE_ATTRIBUTE_TAG_INFO",
    "FILE_BASIC_INFO": "FILE_BASIC_INFO",
    "FILE_ID_BOTH_DIR_INFO": "FILE_ID_BOTH_DIR_INFO",
    "IO_STATUS_BLOCK": "IO_STATUS_BLOCK",
    "LUID": "LUID",
    "OBJECT_ATTRIBUTES": "OBJECT_ATTRIBUTES",
    "UNICODE_STRING": "UNICODE_STRING",
}
# Fields that the headers call otherwise, or have in a union.
UNNAMED = {("IO_STATUS_BLOCK", "u"), ("FILE_ID_BOTH_DIR_INFO", "FileId")}
CONSTANTS = {
    "FSCTL_SET_REPARSE_POINT": 0x900A4,
    "FSCTL_GET_REPARSE_POINT": 0x900A8,
    "FSCTL_SET_SPARSE": 0x900C4,
    "FILE_OPEN_REPARSE_POINT": 0x200000,
    "FILE_OPEN_FOR_BACKUP_INTENT": 0x4000,
    "FILE_SYNCHRONOUS_IO_NONALERT": 0x20,
    "FILE_DIRECTORY_FILE": 0x1,
    "FILE_NON_DIRECTORY_FILE": 0x40,
    "FILE_FLAG_BACKUP_SEMANTICS": 0x2000000,
    "ACCESS_SYSTEM_SECURITY": 0x1000000,
    "WRITE_DAC": 0x40000,
    "WRITE_OWNER": 0x80000,
    "FileBasicInfo": 0,
    "FileDispositionInfo": 4,
    "FileAttributeTagInfo": 9,
    "FileIdBothDirectoryInfo": 10,
    "FileIdBothDirectoryRestartInfo": 11,
    "FileRenameInformation": 10,
    "FileLinkInformation": 11,
    "SecurityImpersonation": 2,
    "TOKEN_ADJUST_PRIVILEGES": 0x20,
    "TOKEN_QUERY": 0x8,
    "SE_PRIVILEGE_ENABLED": 2,
    "ERROR_NOT_ALL_ASSIGNED": 1300,
}


def test_structures_are_those_of_the_headers(tmp_path: Path) -> None:
    lines = ["#include <stddef.h>", "#include <windows.h>", "#include <winioctl.h>", "#include <winternl.h>"]
    for name, other in STRUCTURES.items():
        structure = getattr(declarations, name)
        fields = [field for field, _ in structure._fields_]
        if (name, "FileId") in UNNAMED:  # the name follows, and makes the structure longer
            lines.append(
                f"_Static_assert(offsetof({other}, FileName) == {structure.FileId.offset + 8}, {json.dumps(name)});"
            )
        else:
            lines.append(f"_Static_assert(sizeof({other}) == {ctypes.sizeof(structure)}, {json.dumps(name)});")
        for field in fields:
            if (name, field) not in UNNAMED:
                offset = getattr(structure, field).offset
                lines.append(f"_Static_assert(offsetof({other}, {field}) == {offset}, {json.dumps(field)});")
    for name, value in CONSTANTS.items():
        lines.append(f"_Static_assert((unsigned long){name} == {value}u, {json.dumps(name)});")
    size = ctypes.sizeof(declarations.TOKEN_PRIVILEGE)
    lines.append(f'_Static_assert(sizeof(TOKEN_PRIVILEGES) == {size}, "TOKEN_PRIVILEGES");')
    source = tmp_path / "check.c"
    source.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [tool(standin.COMPILER), "-c", "-o", str(tmp_path / "check.o"), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_functions_are_there() -> None:
    """All but what the stand-in has are wine's own, under these names."""
    code = (
        "import json, sys; import wclayer.hcs.declarations\n"
        "from wclayer.native.declarations import DECLARED, NATIVES\n"
        "from wclayer.errors import UnsupportedError\n"
        "found = []\n"
        "for name in DECLARED:\n"
        "    try: getattr(NATIVES, name); found.append(name)\n"
        "    except UnsupportedError: pass\n"
        "print(json.dumps(found))\n"
    )
    done = wine.run_python("-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
    found = set(json.loads(done.stdout))
    # wine has BackupRead and its kin, which refuse; SetFileShortNameW it lacks.
    assert set(DECLARED) - found <= {*VMCOMPUTE, *LACKING, "SetFileShortNameW"}
    assert {"NtCreateFile", "AdjustTokenPrivileges", "GetFileInformationByHandleEx"} <= found


@pytest.mark.parametrize("name", [*LACKING, *VMCOMPUTE])
def test_the_stand_in_has_what_is_taken_from_it(name: str) -> None:
    exports = (standin.SOURCES / "standin.def").read_text().split()
    assert name in exports
