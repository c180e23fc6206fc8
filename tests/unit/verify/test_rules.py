"""The rules as a whole: each code has one, each has its cases, and what an import refuses names one."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import wclayer
from tests.tars import M, build, directory
from tests.unit.verify.test_names import BELOW
from wclayer import verify_layer
from wclayer.codes import Code
from wclayer.verify.rules import RULES, Target

SOURCES = Path(wclayer.__file__).parent
TESTS = [import_module(f"tests.unit.verify.{name}") for name in ("test_names", "test_metadata", "test_registry")]
# What no tar can break: a folder's record, backup streams, and the documents of images. Their tests have no table.
ELSEWHERE = {
    Code.PARENTS_NOT_GIVEN,
    Code.RECORD_BROKEN,
    Code.EA_MALFORMED,
    Code.STREAM_MALFORMED,
    *(code for code in Code if code >= "WCL601"),
}
# Nothing gives these, as each fault of entries that is known has a rule of its own: they are for those to come.
SPARE = {Code.LAYER_INVALID}


def test_each_code_has_a_rule_with_words_of_its_own() -> None:
    assert set(RULES) == set(Code)
    assert [rule.code for rule in RULES.values()] == sorted(RULES)
    for code, rule in RULES.items():
        assert rule.code is code
        assert rule.title
        assert rule.effects
        assert rule.why.endswith((".", ":"))
        assert rule.mend.endswith(".")
    assert len({rule.title for rule in RULES.values()}) == len(RULES)


def test_each_rule_has_a_layer_that_breaks_it_and_one_that_does_not() -> None:
    cases = {code for module in TESTS for code in module.CASES}
    assert cases == set(Code) - ELSEWHERE - SPARE


@pytest.mark.parametrize(
    "module",
    [*SOURCES.glob("layertar/*.py"), SOURCES / "body.py", SOURCES / "union/rules.py"],
    ids=lambda path: path.name,
)
def test_what_is_refused_names_its_rule(module: Path) -> None:
    """The classes of these errors tell too little; all others have a rule by themselves."""
    if module.name == "writer.py":  # raises for who gives it entries in no order
        return
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in ("FormatError", "LayerError", "ConfinementError"):
            assert any(word.arg == "rule" for word in node.keywords), ast.unparse(node)  # type: ignore[attr-defined]


def test_verify_for_who_calls_it(tmp_path: Path) -> None:
    base, top = tmp_path / "base.tar", tmp_path / "top.tar"
    base.write_bytes(BELOW)
    top.write_bytes(build([directory("Files"), M("Files/l", type="1", link="Files/f")]))
    report = verify_layer(str(top), [base], ignored=[Code.NO_DESCRIPTOR])
    assert (report.passed, report.findings, report.read) == (True, [], [str(top)])
    report = verify_layer(str(top), ignored=[Code.HIVE_MISSING], targets=[Target.CIMFS])
    assert not report.passed
    assert {one.rule.code for one in report.findings} == {Code.LINK_TO_NOTHING, Code.NO_DESCRIPTOR}
