"""The rules of the tar, and of names: for each a smallest layer that breaks it, and one that just does not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.tars import BASE, END, M, build, directory, header, pax_header
from tests.unit.verify.cases import Cases, check, codes, found_in
from wclayer.codes import Code

D = directory("Files")


def base(*members: M) -> bytes:
    return build([D, *members])


def raw(*blocks: bytes) -> bytes:
    """A tar of Files and these blocks."""
    return build([D])[: 512 * 3] + b"".join(blocks) + END


BELOW = build([*BASE, M("Files/f", b"x"), M("Files/dir/g", b"y"), directory("UtilityVM"), directory("UtilityVM/Files")])
GOOD = base(M("Files/f", b"x"))
LONG = [M("/".join(["Files", *["d" * 200] * depth]), type="5") for depth in range(1, 164)]
LINKS = [M(f"Files/l{number}", type="1", link="Files/f") for number in range(1, 1024)]


UTILITY_VM = raw(header(b"UtilityVM", typeflag=b"5"), header(b"UtilityVM/Files", typeflag=b"5"))


def on(tar: bytes) -> list[bytes]:
    return [BELOW, tar]


CASES: Cases = {
    Code.TAR_MALFORMED: (GOOD[:148] + b"7" + GOOD[149:], GOOD),
    Code.TAR_CUT_OFF: (GOOD[: GOOD.rindex(b"x") + 1], GOOD),
    Code.PAX_MALFORMED: (
        raw(pax_header(b"9 a=b\n"), header(b"Files/f")),
        raw(pax_header(b"6 a=b\n"), header(b"Files/f")),
    ),
    Code.COMPRESSION_BROKEN: (gzip.compress(GOOD)[:-9], gzip.compress(GOOD)),
    Code.DATA_AFTER_END: (
        raw(header(b"Files/f"), bytes(512), b"x" * 512),
        raw(header(b"Files/f"), bytes(1024), b"x" * 512),
    ),
    Code.LOST_AFTER_END: (
        raw(header(b"Files/f"), bytes(1024), header(b"Files/g")),
        raw(header(b"Files/f"), bytes(1024), bytes(4096)),
    ),
    Code.ZEROS_AFTER_COMPRESSED: (gzip.compress(GOOD) + bytes(512), gzip.compress(GOOD)),
    Code.TYPE_UNKNOWN: (raw(header(b"Files/f", typeflag=b"6")), raw(header(b"Files/f"))),
    Code.SPARSE_MAP_MALFORMED: (
        base(M("Files/f", b"xy", pax={"WCLAYER.sparse": "0,3", "MSWINDOWS.fileattr": "512"})),
        base(M("Files/f", b"x\0", pax={"WCLAYER.sparse": "0,1", "MSWINDOWS.fileattr": "512"})),
    ),
    Code.BASE64_MALFORMED: (
        base(M("Files/f", pax={"MSWINDOWS.xattr.A": "QQ="})),
        base(M("Files/f", pax={"MSWINDOWS.xattr.A": "QQ=="})),
    ),
    Code.OWN_RECORD_MALFORMED: (
        base(M("Files/f", pax={"WCLAYER.stream.7": ""})),
        base(M("Files/f", pax={"WCLAYER.stream.6": ""})),
    ),
    Code.GLOBAL_HEADER: (
        raw(pax_header(b"6 a=b\n", b"g"), header(b"Files/f")),
        raw(pax_header(b"6 a=b\n"), header(b"Files/f")),
    ),
    Code.LEAVES_LAYER: (base(M("Files/../f")), base(M("Files/..f"))),
    Code.OUTSIDE_ROOTS: (base(M("etc/passwd")), base(directory("Files/etc"), M("Files/etc/passwd"))),
    Code.ROOT_CASE: (base(directory("utilityvm")), base(directory("UtilityVM"))),
    Code.ROOT_SLASH: (
        raw(header(b"UtilityVM", typeflag=b"5"), header(b"UtilityVM/Files/", typeflag=b"5")),
        raw(header(b"UtilityVM/", typeflag=b"5"), header(b"UtilityVM/Files", typeflag=b"5")),
    ),
    Code.ROOT_NO_DIRECTORY: (base(M("UtilityVM")), base(directory("UtilityVM"))),
    Code.NO_FILES: (build([directory("UtilityVM")]), build([D, directory("UtilityVM")])),
    Code.HIVES_IN_BASE: (base(directory("Hives")), on(base(directory("Hives")))),
    Code.BESIDE_UTILITY_VM: (
        base(directory("UtilityVM"), M("UtilityVM/f")),
        raw(*(header(name, typeflag=b"5") for name in (b"UtilityVM", b"UtilityVM/Files", b"UtilityVM/Files/d"))),
    ),
    Code.NAME_IMPOSSIBLE: (base(M("Files/" + "é" * 256)), base(M("Files/" + "é" * 255))),
    Code.NAME_OF_WIN32: (base(M("Files/nul.txt")), base(M("Files/null.txt"))),
    Code.PATH_TOO_LONG: (build([D, *LONG]), build([D, *LONG[:-1]])),
    Code.PATH_OVER_MAX_PATH: (
        base(directory("Files/" + "d" * 200), M("Files/" + "d" * 200 + "/" + "f" * 56)),
        base(directory("Files/" + "d" * 200), M("Files/" + "d" * 200 + "/" + "f" * 55)),
    ),
    Code.NAME_TAKEN: (base(M("Files/é"), M("Files/É")), base(M("Files/e"), M("Files/É"))),
    Code.NO_DIRECTORY_YET: (base(M("Files/d/f"), directory("Files/d")), base(directory("Files/d"), M("Files/D/f"))),
    Code.IN_NO_DIRECTORY: (base(M("Files/d"), M("Files/d/f")), base(M("Files/d"), M("Files/df"))),
    Code.BEHIND_LINK: (
        base(M("Files/l", type="2", link="C:\\d", pax={"MSWINDOWS.fileattr": "1040"}), M("Files/l/f")),
        base(M("Files/l", type="2", link="C:\\d", pax={"MSWINDOWS.fileattr": "1040"}), M("Files/lf")),
    ),
    Code.FILE_WITH_SLASH: (raw(header(b"Files/f/")), raw(header(b"Files/f"))),
    Code.STREAM_ASTRAY: (base(M("Files/f"), M("Files/g"), M("Files/f:s")), base(M("Files/f"), M("Files/f:s"))),
    Code.STREAM_TWICE: (
        base(M("Files/f"), M("Files/f:s"), M("Files/f:S")),
        base(M("Files/f"), M("Files/f:s"), M("Files/f:t")),
    ),
    Code.LINK_TO_NOTHING: (
        base(M("Files/l", type="1", link="Files/f")),
        on(base(M("Files/l", type="1", link="Files/f"))),
    ),
    Code.LINK_TO_NO_FILE: (
        base(directory("Files/d"), M("Files/l", type="1", link="Files/d")),
        base(M("Files/d"), M("Files/l", type="1", link="Files/d")),
    ),
    Code.LINK_OUTSIDE: (
        base(M("Files/f"), M("Files/l", type="1", link="f")),
        base(M("Files/f"), M("Files/l", type="1", link="Files/f")),
    ),
    Code.LINK_TARGET_CASE: (
        on(base(M("Files/new"), M("Files/l", type="1", link="Files/NEW"))),
        base(M("Files/new"), M("Files/l", type="1", link="Files/NEW")),
    ),
    Code.TOO_MANY_LINKS: (
        base(M("Files/f"), *LINKS, M("Files/one-more", type="1", link="Files/l7")),
        base(M("Files/f"), *LINKS),
    ),
    Code.WHITEOUT_IN_BASE: (base(M("Files/.wh.f")), on(base(M("Files/.wh.f")))),
    Code.WHITEOUT_OUTSIDE: (on(base(M("Hives/.wh.f"))), on(base(M("Files/.wh.f")))),
    Code.WHITEOUT_MALFORMED: (on(base(M("Files/.wh.f", b"x"))), on(base(M("Files/.wh.f")))),
    Code.WHITEOUT_TWICE: (on(base(M("Files/.wh.f"), M("Files/.wh.F"))), on(base(M("Files/.wh.f")))),
    Code.WHITEOUT_BESIDE_ENTRY: (on(base(M("Files/f"), M("Files/.wh.F"))), on(base(M("Files/.wh.f"), M("Files/e")))),
    Code.WHITEOUT_OPAQUE: (on(base(M("Files/.wh..wh..opq"))), on(base(M("Files/.wh.f")))),
    Code.WHITEOUT_OF_NOTHING: (on(base(M("Files/.wh.g"))), on(base(M("Files/.wh.F")))),
    Code.UTILITY_VM_WITHOUT_ONE_BELOW: ([base(), UTILITY_VM], [UTILITY_VM, UTILITY_VM]),
    Code.WHITEOUT_OF_NOTHING_IN_UTILITY_VM: (
        on(base(M("UtilityVM/Files/.wh.g"))),
        on(base(M("Files/.wh.g"))),
    ),
}


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name.lower())
def test_each_rule(tmp_path: Path, code: Code) -> None:
    check(code, CASES[code], tmp_path)


def test_a_root_beside_the_files_of_the_utility_vm_is_none_of_any_layer(tmp_path: Path) -> None:
    beside = raw(header(b"UtilityVM", typeflag=b"5"), header(b"UtilityVM/x"))
    check(Code.BESIDE_UTILITY_VM, ([UTILITY_VM, beside], [UTILITY_VM, UTILITY_VM]), tmp_path)


def test_links_into_layers_below_count_for_the_file_there(tmp_path: Path) -> None:
    links = [M(f"Files/{'n' if number % 2 else 'm'}{number}", type="1", link="Files/f") for number in range(1, 1025)]
    below = base(M("Files/f"), *LINKS[:500])
    middle = base(*links[:500])
    check(
        Code.TOO_MANY_LINKS, ([below, middle, base(*links[500:524])], [below, middle, base(*links[500:523])]), tmp_path
    )


def test_the_case_of_a_links_target_matters_not_in_the_utility_vm(tmp_path: Path) -> None:
    link = header(b"UtilityVM/Files/l", typeflag=b"1", linkname=b"UtilityVM/Files/NEW")
    top = UTILITY_VM[:-1024] + header(b"UtilityVM/Files/new") + link + END
    assert Code.LINK_TARGET_CASE not in codes(found_in([UTILITY_VM, top], tmp_path))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ([], Code.NO_DIRECTORY_YET),
        ([M("Files/d")], Code.IN_NO_DIRECTORY),
        ([M("Files/d", type="2", link="C:\\x", pax={"MSWINDOWS.fileattr": "1040"})], Code.BEHIND_LINK),
    ],
)
def test_a_directory_that_is_none_is_told_once(tmp_path: Path, first: list[M], code: Code) -> None:
    tar = base(*first, *(M(f"Files/d/{number}") for number in range(9)), directory("Files/d/e"), M("Files/d/e/f"))
    findings = [one for one in found_in(tar, tmp_path) if one.rule.code is code]
    assert [one.path for one in findings] == ["Files/d/0"]


def test_a_missing_directory_is_blamed_once_for_all_below_it(tmp_path: Path) -> None:
    tar = base(M("Files/d/e/f"), M("Files/d/e/g"))
    found = [one for one in found_in(tar, tmp_path) if one.rule.code is Code.NO_DIRECTORY_YET]
    assert [one.path for one in found] == ["Files/d/e/f"]
