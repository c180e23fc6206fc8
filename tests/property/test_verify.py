"""What verify passes, imports; what import refuses, verify explains, with the rule that the import itself names."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.property.test_hostile import TAR, broken
from tests.strategies import Item, layers, tar_of
from tests.tars import M, build, directory
from tests.unit.verify.cases import codes, found_in, refused_by_import
from wclayer.codes import Code
from wclayer.errors import FormatError, InexpressibleError

BELOW = build(
    [
        directory("Files"),
        M("Files/a", b"a"),
        directory("Files/d"),
        M("Files/d/x", b"x"),
        directory("UtilityVM"),
        directory("UtilityVM/Files"),
        M("UtilityVM/Files/a", b"u"),
    ]
)
# So few that they often meet.
_NAMES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "d",
        "d/x",
        "d/X",
        "D/y",
        "d/x/z",
        ".wh.a",
        ".wh.A",
        "d/.wh.x",
        ".wh.q",
        "a:s",
        "d:S",
        "..",
        "é",
        "É",
    ]
)
_ROOTS = st.sampled_from(
    [*["Files/"] * 30, *["UtilityVM/Files/"] * 6, "UtilityVM/", "Hives/", "", "./Files/", "files/"]
)
_PATHS = st.one_of(
    st.builds(lambda root, name: root + name, _ROOTS, _NAMES),
    st.sampled_from(
        ["Files", "Files/", "UtilityVM", "UtilityVM/Files", "Hives", "C:\\", "/etc", ".wh.Files", "f" * 300]
    ),
)
_FAULTS = st.sampled_from(
    [
        *[{}] * 60,
        {"MSWINDOWS.fileattr": "16"},
        {"MSWINDOWS.fileattr": "+32"},
        {"MSWINDOWS.fileattr": "1056"},
        {"MSWINDOWS.rawsd": "AAAA"},
        {"MSWINDOWS.rawsd": "A"},
        {"MSWINDOWS.sd": "O:BA"},
        {"MSWINDOWS.sd": "garbage"},
        {"MSWINDOWS.xattr.A": "QQ=="},
        {"MSWINDOWS.xattr.A": "QQ"},
        {"WCLAYER.sparse": "0,1"},
        {"WCLAYER.reparse": "AAAA"},
        {"WCLAYER.stream.6": "QQ=="},
        {"WCLAYER.eaflags.B": "1"},
        {"atime": "1.5"},
        {"ctime": "1e3"},
    ]
)
_MEMBERS = st.builds(
    M,
    _PATHS,
    st.sampled_from([b"", b"", b"", b"x", b"\0" * 9]),
    st.sampled_from([*"000000000000", *"5555", *"1111", *"22", "6"]),
    st.builds(lambda root, name: root + name, _ROOTS, _NAMES),
    _FAULTS,
)


ROOTS = [directory("Files"), directory("Files/d"), directory("UtilityVM"), directory("UtilityVM/Files")]


def tar_with(members: list[M]) -> bytes:
    sound = [M(one.name, one.data if one.type == "0" else b"", one.type, one.link, one.pax) for one in members]
    return build([*ROOTS, *sound])


SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def agree(tars: list[bytes]) -> None:
    """Import and verify say the same of the topmost layer."""
    with tempfile.TemporaryDirectory() as name:
        error = refused_by_import(tars, Path(name))
        assume(error is None or isinstance(error, FormatError | InexpressibleError))  # no limits of this host
        findings = found_in(tars, Path(name))
        assert (error is not None) == any(not one.rule.imports for one in findings), (error, findings)
        if error is not None:
            assert error.broken_rule in codes(findings)
        for finding in findings:
            assert str(finding).isprintable()


@given(st.lists(_MEMBERS, max_size=8))
@SETTINGS
def test_random_members_as_a_base_layer(members: list[M]) -> None:
    agree([tar_with(members)])


@given(st.lists(_MEMBERS, max_size=8))
@SETTINGS
def test_random_members_on_top_of_a_base_layer(members: list[M]) -> None:
    agree([BELOW, tar_with(members)])


@given(layers())
@SETTINGS
def test_what_is_sound_has_nothing_that_an_import_refuses(items: list[Item]) -> None:
    with tempfile.TemporaryDirectory() as name:
        findings = found_in(tar_of(items), Path(name))
    assert all(one.rule.imports for one in findings)


@given(
    broken(TAR, mend=True)
    | broken(TAR, mend=False)
    | layers(max_entries=5).flatmap(lambda items: broken(tar_of(items), mend=True))
)
@SETTINGS
def test_broken_bytes(tar: bytes) -> None:
    agree([tar])


@given(st.integers(0, len(TAR)))
@SETTINGS
def test_tars_that_are_cut_off(size: int) -> None:
    agree([TAR[:size]])


@given(st.lists(_MEMBERS, max_size=6), st.lists(_MEMBERS, max_size=6), st.data())
@SETTINGS
def test_what_is_wrong_with_a_layer_is_not_the_fault_of_those_above(
    middle: list[M], top: list[M], data: st.DataObject
) -> None:
    """Of a stack whose middle layer cannot be read to its end, the top one has no fault that it had not before."""
    tars = [BELOW, tar_with(middle), tar_with(top)]
    # Between two blocks an archive may just end.
    cut = data.draw(st.integers(0, len(tars[1]) - 1025).filter(lambda size: size % 512))
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken_one:
        before = found_in(tars, Path(whole))
        after = found_in([tars[0], tars[1][:cut], tars[2]], Path(broken_one))
    said = [(one.rule.code, one.path, one.message) for one in before]
    links = (Code.LINK_TO_NO_FILE,)  # a target of the middle layer may have hidden a directory of the lowest one
    assert all((one.rule.code, one.path, one.message) in said for one in after if one.rule.code not in links)
