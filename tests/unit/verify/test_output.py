"""Reports as text, JSON and SARIF, and the page of rules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from wclayer.codes import Code
from wclayer.errors import TarError
from wclayer.verify.documentation import anchor, effect_lines, rules_page, severity_text
from wclayer.verify.findings import MOST, Finding, Report
from wclayer.verify.notes import Notes
from wclayer.verify.output import text_lines, to_json, to_sarif
from wclayer.verify.rules import RULES, Rule, Severity, Target
from wclayer.verify.rules.model import TARGET_NAMES

DOCS = Path(__file__).parents[3] / "docs"
HOSTILE = "Files/\x1b[2Ja\u202etxt.exe\n\ud800"
HOSTILE_LAYER = "oci:\x1b[31md r\n\u202e:t#0"
PAGE = "https://example.com/docs/rules.md"


def report_of(*notes: tuple[str, Code, str | None], **more: Any) -> Report:
    report = Report(**more)
    for layer, code, path in notes:
        Notes(report, layer).note(code, f"about {code}", path=path, offset=512)
    return report


def lines(report: Report, *, verbose: bool = False) -> list[str]:
    return list(text_lines(report, verbose=verbose))


# --- text -------------------------------------------------------------------------


def test_text() -> None:
    report = Report(read=["a#0", "a#1"], stopped={"a#1": "cut off"})
    top, base, image = (Notes(report, name) for name in ("a#1", "a#0", "a"))
    top.note(Code.DIFF_ID, "another tar", expected="x", got="y")
    base.note(Code.BLOB_SIZE, "another size", path="p", offset=1024, hint="do this")
    image.note(Code.FOREIGN_LAYER, "elsewhere")
    size, diff_id, foreign = (RULES[code] for code in (Code.BLOB_SIZE, Code.DIFF_ID, Code.FOREIGN_LAYER))
    effect = {rule.code: f"    {rule.title}: {rule.effect(frozenset(Target))}" for rule in (size, diff_id, foreign)}
    assert lines(report) == [
        "a:",
        "  warning WCL617 elsewhere",
        effect[Code.FOREIGN_LAYER],
        f"    fix: {foreign.mend}",
        "",
        "a#0:",
        "  error WCL605 p: another size (at byte 1,024)",
        effect[Code.BLOB_SIZE],
        "    fix: do this",
        "",
        "a#1:",
        "  error WCL607 another tar; expected x; got y",
        effect[Code.DIFF_ID],
        f"    fix: {diff_id.mend}",
        "  stopped reading; the rest is unknown: cut off",
        "",
        "refused: 2 layers checked, not read completely, 2 errors, 1 warning",
    ]


def test_where_it_had_to_stop_is_not_said_twice() -> None:
    error = TarError("the tar is cut off", path="Files/a", offset=2560, expected="512 bytes", got="7", hint="get it")
    report = Report(read=["a", "b"], stopped={"a": str(error), "b": str(error)})
    Notes(report, "a").error(error, Code.TAR_CUT_OFF)
    text = lines(report)
    assert [line for line in text if "stop" in line] == [
        "  stopped reading there (at byte 2,560): what follows and the layer's registry were not checked",
        f"  stopped reading; the rest is unknown: {error}",
    ]
    assert "\n".join(text[: text.index("b:")]).count("the tar is cut off; expected 512 bytes") == 1
    error.offset = None
    report = Report(read=["a"], stopped={"a": str(error)})
    Notes(report, "a").error(error, Code.TAR_CUT_OFF)
    assert "  stopped reading there: what follows and the layer's registry were not checked" in lines(report)


def test_a_title_that_says_no_more_than_the_message_is_left_out() -> None:
    report = Report(targets=frozenset({Target.WS2022}))
    notes, rule = Notes(report, "a"), RULES[Code.NO_DESCRIPTOR]
    notes.note(Code.NO_DESCRIPTOR, f"{rule.title} of its own")
    assert lines(report)[2] == f"    {rule.effect(report.targets)}"
    notes.note(Code.NO_DESCRIPTOR, "something else")
    assert lines(report)[3] == f"    {rule.title}: {rule.effect(report.targets)}"


def test_an_effect_is_said_with_its_place() -> None:
    rule = RULES[Code.DIFF_ID]
    containerd, docker, _ = rule.effects
    assert rule.effect(frozenset({Target.CONTAINERD})) == containerd.text
    assert rule.effect(frozenset({Target.CONTAINERD, Target.DOCKER})) == (
        f"containerd: {containerd.text}; Docker: {docker.text}"
    )
    assert "Windows, CimFS: " in rule.effect(frozenset(Target))
    only = RULES[Code.HIVE_HARD_LINK]
    assert only.effect(frozenset(Target)).startswith("CimFS: ")
    for rule in RULES.values():
        for effect in rule.effects:
            assert not effect.text.startswith(tuple(f"{name}:" for name in TARGET_NAMES.values())), effect


@pytest.mark.parametrize("code", [Code.HIVE_HARD_LINK, Code.DELTA_MISSING, Code.STREAM_SUFFIX])
def test_what_cimfs_alone_refuses_is_an_error_where_it_is_asked_for(code: Code) -> None:
    assert {target for effect in RULES[code].effects for target in effect.targets} == {Target.CIMFS}
    for targets, severity in ((frozenset(Target), "warning"), (frozenset({Target.CIMFS, Target.WS2022}), "error")):
        report = report_of(("a", code, "p"), targets=targets)
        assert report.passed == (severity == "warning")
        assert [one.severity for one in report.findings] == [severity]
        assert lines(report)[1].startswith(f"  {severity} {code} p")
        found = to_json(report)
        assert found[f"{severity}s"] == 1
        assert found["rules"][code]["severity"] == found["findings"][0]["severity"] == severity
        run = to_sarif(report, "1")["runs"][0]
        assert run["results"][0]["level"] == severity
        assert run["invocations"][0]["exitCode"] == (severity == "error")
    assert "**warning; error with --for cimfs**; `wclayer import` accepts it" in rules_page()
    refused = {rule.code for rule in RULES.values() if rule.refused_at}
    alone = {rule.code for rule in RULES.values() if not rule.concerns(frozenset(Target) - {Target.CIMFS})}
    assert refused == alone


def test_text_of_nothing() -> None:
    assert lines(Report(read=["a"])) == ["OK: 1 layer checked, no problems found"]


def test_a_rule_that_is_broken_often() -> None:
    report = report_of(*[("a", Code.BLOB_SIZE, f"f{number}") for number in range(10_000)], read=["a"])
    assert report.count(Severity.ERROR) == 10_000
    found = [line for line in lines(report) if line.startswith("  error")]
    assert found == [
        *(f"  error WCL605 f{number}: about WCL605 (at byte 512)" for number in range(10)),
        "  error WCL605 and 9,990 more",
    ]
    assert len(lines(report)) == 11 + 5
    verbose = [line for line in lines(report, verbose=True) if line.startswith("  error")]
    assert len(verbose) == MOST + 1
    assert verbose[-1] == f"  error WCL605 and {10_000 - MOST:,} more"
    assert lines(report)[-1] == "refused: 1 layer checked, 10,000 errors"


def test_the_effect_is_that_at_the_targets() -> None:
    docker = report_of(("a", Code.DIFF_ID, None), targets=frozenset({Target.DOCKER}))
    text = "\n".join(lines(docker))
    *_, effect = RULES[Code.DIFF_ID].effects[:2]
    assert f": {effect.text}" in text
    assert "Docker: " not in text
    assert "containerd" not in text
    only = report_of(("a", Code.DIFF_ID, None), ignored=frozenset({Code.DIFF_ID}))
    assert lines(only) == ["OK: 0 layers checked, no problems found"]


def test_hints_of_findings() -> None:
    report = Report()
    for hint in ("one way", "another way"):
        Notes(report, "a").note(Code.DIFF_ID, "wrong", hint=hint)
    assert [line for line in lines(report) if "way" in line or "fix: " in line] == [
        "      one way",
        "      another way",
        f"    fix: {RULES[Code.DIFF_ID].mend}",
    ]


def test_hostile_names_cannot_write_to_a_terminal() -> None:
    report = report_of((HOSTILE_LAYER, Code.BLOB_SIZE, HOSTILE), read=[HOSTILE_LAYER])
    report.stopped[HOSTILE_LAYER] = f"{HOSTILE} is cut off"
    Notes(report, HOSTILE_LAYER).note(Code.DIFF_ID, HOSTILE, expected=HOSTILE, got=HOSTILE, hint=HOSTILE)
    for line in lines(report, verbose=True):
        assert line.isprintable(), line
    assert any("Files/\\x1b[2Ja\\u202etxt.exe\\x0a\\ud800" in line for line in lines(report))


# --- JSON -------------------------------------------------------------------------


def test_json() -> None:
    report = report_of(
        ("a#0", Code.BLOB_SIZE, HOSTILE),
        ("a#0", Code.BLOB_SIZE, "b"),
        ("a", Code.FOREIGN_LAYER, None),
        targets=frozenset({Target.DOCKER, Target.WS2022}),
        ignored=frozenset({Code.DATE}),
        read=["a#0"],
        stopped={"a#0": "why"},
    )
    text = json.dumps(to_json(report))
    assert text.isprintable()
    found = json.loads(text)
    assert found["findings"][0] == {
        "code": "WCL605",
        "severity": "error",
        "layer": "a#0",
        "path": HOSTILE,
        "offset": 512,
        "message": "about WCL605",
        "expected": None,
        "got": None,
        "hint": None,
    }
    assert {key: found[key] for key in ("passed", "errors", "warnings", "notes", "targets", "ignored")} == {
        "passed": False,
        "errors": 2,
        "warnings": 1,
        "notes": 0,
        "targets": ["docker", "ws2022"],
        "ignored": ["WCL612"],
    }
    assert found["layers"] == ["a#0"]
    assert found["stopped"] == {"a#0": "why"}
    assert {code: rule["count"] for code, rule in found["rules"].items()} == {"WCL605": 2, "WCL617": 1}


# --- SARIF ------------------------------------------------------------------------

# From the schema of SARIF 2.1.0 (errata 01): of each object that is used here the properties that it may have, those
# that it must have, and their types; the schema allows no others ("additionalProperties": false).
TEXT, NUMBER, LIST, OBJECT, BOOLEAN = str, int, list, dict, bool
SCHEMA: dict[str, tuple[dict[str, type], set[str]]] = {
    "log": ({"$schema": TEXT, "version": TEXT, "runs": LIST}, {"version", "runs"}),
    "run": (
        {"tool": OBJECT, "invocations": LIST, "results": LIST, "columnKind": TEXT},
        {"tool"},
    ),
    "driver": (
        {"name": TEXT, "version": TEXT, "semanticVersion": TEXT, "informationUri": TEXT, "rules": LIST},
        {"name"},
    ),
    "rule": (
        {
            "id": TEXT,
            "name": TEXT,
            "shortDescription": OBJECT,
            "fullDescription": OBJECT,
            "help": OBJECT,
            "helpUri": TEXT,
            "defaultConfiguration": OBJECT,
            "properties": OBJECT,
        },
        {"id"},
    ),
    "multiformat": ({"text": TEXT, "markdown": TEXT}, {"text"}),
    "message": ({"text": TEXT, "markdown": TEXT, "id": TEXT, "arguments": LIST}, {"text"}),
    "invocation": (
        {"executionSuccessful": BOOLEAN, "exitCode": NUMBER, "toolExecutionNotifications": LIST},
        {"executionSuccessful"},
    ),
    "notification": ({"level": TEXT, "message": OBJECT, "locations": LIST}, {"message"}),
    "result": (
        {
            "ruleId": TEXT,
            "ruleIndex": NUMBER,
            "level": TEXT,
            "message": OBJECT,
            "locations": LIST,
            "partialFingerprints": OBJECT,
        },
        {"message"},
    ),
    "location": ({"physicalLocation": OBJECT, "logicalLocations": LIST, "message": OBJECT}, set()),
    "physical": ({"artifactLocation": OBJECT, "region": OBJECT}, {"artifactLocation"}),
    "artifact": ({"uri": TEXT, "uriBaseId": TEXT, "index": NUMBER}, {"uri"}),
    "region": (
        dict.fromkeys(("startLine", "startColumn", "endLine", "endColumn", "byteOffset", "byteLength"), NUMBER),
        {"startLine"},
    ),
    "logical": ({"name": TEXT, "fullyQualifiedName": TEXT, "kind": TEXT}, set()),
}
LEVELS = {"none", "note", "warning", "error"}


def conform(value: Any, kind: str) -> None:
    types, required = SCHEMA[kind]
    assert isinstance(value, dict)
    assert required <= set(value) <= set(types), kind
    for key, one in value.items():
        assert type(one) is types[key], (kind, key)


def check_sarif(log: dict[str, Any]) -> None:
    """What the schema demands of it, and code scanning beyond that."""
    conform(log, "log")
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    conform(run, "run")
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    assert list(run["tool"]) == ["driver"]
    driver = run["tool"]["driver"]
    conform(driver, "driver")
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids)) <= 25_000
    for rule in driver["rules"]:
        check_rule(rule)
    for one in run["invocations"]:
        conform(one, "invocation")
        for notification in one["toolExecutionNotifications"]:
            conform(notification, "notification")
            conform(notification["message"], "message")
            assert notification["level"] in LEVELS
    assert len(run["results"]) <= 25_000
    for result in run["results"]:
        check_result(result, ids)


def check_rule(rule: dict[str, Any]) -> None:
    conform(rule, "rule")
    assert len(rule["id"]) <= 255
    assert re.fullmatch("[A-Za-z0-9]{1,255}", rule["name"])
    for key in ("shortDescription", "fullDescription", "help"):
        conform(rule[key], "multiformat")
        assert rule[key]["text"].strip()
    assert len(rule["shortDescription"]["text"]) <= 1024
    assert len(rule["fullDescription"]["text"]) <= 1024
    assert rule["defaultConfiguration"]["level"] in LEVELS
    if "helpUri" in rule:
        assert urlsplit(rule["helpUri"]).scheme == "https"
    assert len(rule["properties"]["tags"]) <= 20
    assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")


def check_result(result: dict[str, Any], ids: list[str]) -> None:
    conform(result, "result")
    assert ids[result["ruleIndex"]] == result["ruleId"]
    assert result["level"] in LEVELS
    conform(result["message"], "message")
    assert result["message"]["text"].isprintable()
    assert 1 <= len(result["locations"]) <= 1000
    for location in result["locations"]:
        conform(location, "location")
        conform(location["physicalLocation"], "physical")
        conform(location["physicalLocation"]["artifactLocation"], "artifact")
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri)  # a relative path of RFC 3986
        region = location["physicalLocation"]["region"]
        conform(region, "region")
        assert min(region["startLine"], region["startColumn"], region["endLine"], region["endColumn"]) >= 1
        assert region.get("byteOffset", 0) >= 0
        for logical in location.get("logicalLocations", ()):
            conform(logical, "logical")
            assert logical["fullyQualifiedName"].isprintable()
    for value in result["partialFingerprints"].values():
        assert isinstance(value, str)


def test_sarif() -> None:
    report = report_of(
        ("oci:d r:t", Code.FOREIGN_LAYER, None),
        ("oci:d r:t#0", Code.BLOB_SIZE, "Files/a b"),
        (HOSTILE_LAYER, Code.DIFF_ID, HOSTILE),
        stopped={HOSTILE_LAYER: HOSTILE},
    )
    Notes(report, "C:\\layers\\a.tar").note(Code.DATE, "a" * 5000, hint=HOSTILE)
    log = json.loads(json.dumps(to_sarif(report, "1.2.3", PAGE)))
    check_sarif(log)
    run = log["runs"][0]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == sorted(RULES)
    assert all(
        rule["helpUri"] == f"{PAGE}#{rule['id'].lower()}"
        and rule["defaultConfiguration"]["level"] == RULES[code].severity
        for rule, code in zip(run["tool"]["driver"]["rules"], sorted(RULES), strict=True)
    )
    assert [result["level"] for result in run["results"]] == ["error", "error", "error", "warning"]
    first = run["results"][0]
    location = first["locations"][0]
    assert first["ruleId"] == "WCL605"
    assert first["message"]["text"] == "Files/a b: about WCL605 (at byte 512)"
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "oci%3Ad%20r%3At%230"
    assert location["physicalLocation"]["region"]["byteOffset"] == 512
    assert location["logicalLocations"] == [{"fullyQualifiedName": "Files/a b", "kind": "resource"}]
    uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]]
    assert unquote(uris[1]) == HOSTILE_LAYER
    assert unquote(uris[2]) == "C:/layers/a.tar"
    assert run["invocations"][0]["exitCode"] == 1


def test_sarif_without_a_page_of_rules() -> None:
    log = json.loads(json.dumps(to_sarif(Report(), "1")))
    check_sarif(log)
    assert log["runs"][0]["results"] == []
    assert log["runs"][0]["invocations"][0]["exitCode"] == 0
    assert all("helpUri" not in rule for rule in log["runs"][0]["tool"]["driver"]["rules"])


def test_sarif_holds_no_more_than_code_scanning_takes() -> None:
    notes = [(f"a#{number}", Code.FOREIGN_LAYER, str(n)) for number in range(26) for n in range(MOST)]
    report = report_of(*notes, ("a#0", Code.DATE, None))
    results = to_sarif(report, "1")["runs"][0]["results"]
    assert len(results) == 25_000
    assert results[0]["level"] == "error"


def test_the_same_fault_is_the_same_alert() -> None:
    def prints(report: Report) -> list[str]:
        return [
            r["partialFingerprints"]["primaryLocationLineHash"] for r in to_sarif(report, "1")["runs"][0]["results"]
        ]

    one = report_of(("a", Code.DATE, "p"), ("a", Code.DATE, "q"), ("a", Code.HISTORY, "p"), ("b", Code.DATE, "p"))
    assert len(set(prints(one))) == 4
    moved = Report()
    moved.add(Finding(RULES[Code.DATE], "a", "said otherwise", path="p", offset=99))
    assert prints(moved) == prints(one)[:1]


# --- the rules ---------------------------------------------------------------------


def test_the_page_is_what_the_rules_say() -> None:
    assert (DOCS / "rules.md").read_text(encoding="utf-8") == rules_page(), "run python -m docs.rules"


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_a_rule_says_all_that_is_wanted(rule: Rule) -> None:
    page = rules_page()
    heading = f"## {rule.code} {rule.title}\n"
    assert page.count(heading) == 1
    assert page.count(f'<a id="{anchor(rule)}"></a>\n') == 1
    section = page.partition(heading)[2].partition("\n## ")[0]
    assert f"**{severity_text(rule)}**; `wclayer import` {'accepts' if rule.imports else 'refuses'} it." in section
    assert rule.why in section
    assert f"**Fix:** {rule.mend}" in section
    assert effect_lines(rule)
    assert all(f"- {line}\n" in section for line in effect_lines(rule))
    texts = (rule.title, rule.why, rule.mend, *(effect.text for effect in rule.effects))
    assert all(text.isprintable() and text.strip() == text and text for text in texts)
    assert not rule.title.endswith(".")
    assert rule.why.endswith((".", ".)", ":"))
    assert rule.mend.endswith((".", "`."))
    assert not any(effect.text.endswith(".") for effect in rule.effects)
    assert len(rule.why) <= 1024


def test_each_target_is_explained() -> None:
    page = rules_page()
    for target in Target:
        assert re.search(rf"^\| `{target}` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert set(RULES) == set(Code)
