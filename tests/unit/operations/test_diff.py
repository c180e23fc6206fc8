"""Configs of images compared: by field, with nothing passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.images import layout
from wclayer import diff_layers


def changes(tmp_path: Path, old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs of the images with these fields in `config`."""
    places: list[str] = []
    for name, fields in (("old", old), ("new", new)):

        def edit(value: dict[str, Any], fields: dict[str, Any] = fields) -> None:
            value["config"].update(fields)

        places.append(f"oci:{layout(tmp_path / name, config=edit)}")
    found = diff_layers(*places)
    assert not found.split()[1].differs
    return [(one.field, one.old, one.new) for one in found.config]


def test_variables_by_name(tmp_path: Path) -> None:
    found = changes(tmp_path, {"Env": ["A=1", "B=2", "C=3"]}, {"Env": ["D=", "C=3", "A=1", "B==2"]})
    assert found == [("config.Env.B", "2", "=2"), ("config.Env.D", None, "")]


def test_variables_that_are_there_twice_are_compared_as_they_are(tmp_path: Path) -> None:
    old, new = ["A=1", "A=2"], ["A=2", "a=2"]
    assert changes(tmp_path / "1", {"Env": old}, {"Env": new}) == [("config.Env", old, new)]
    assert changes(tmp_path / "2", {"Env": old}, {"Env": ["A=2"]}) == [("config.Env", old, ["A=2"])]
    assert changes(tmp_path / "3", {"Env": old}, {"Env": [*reversed(old)]}) == [("config.Env", old, ["A=2", "A=1"])]
    assert changes(tmp_path / "4", {"Env": ["A"]}, {"Env": ["A="]}) == [("config.Env", ["A"], ["A="])]
    assert changes(tmp_path / "5", {"Env": old}, {"Env": old}) == []


def test_labels_with_dots_are_no_objects(tmp_path: Path) -> None:
    found = changes(tmp_path, {"Labels": {"a.b": "1"}}, {"Labels": {"a": {"b": "1"}}})
    assert sorted(found, key=str) == [("config.Labels.a.b", "1", None), ("config.Labels.a.b", None, "1")]


def test_sets_by_their_keys(tmp_path: Path) -> None:
    found = changes(tmp_path, {"ExposedPorts": {"80/tcp": {}}}, {"ExposedPorts": {}, "Volumes": {"C:\\data": {}}})
    assert found == [("config.ExposedPorts.80/tcp", {}, None), ("config.Volumes.C:\\data", None, {})]


def test_the_order_of_a_list_counts_and_true_is_not_one(tmp_path: Path) -> None:
    found = changes(tmp_path, {"Cmd": ["a", "b"], "ArgsEscaped": True}, {"Cmd": ["b", "a"], "ArgsEscaped": 1})
    assert found == [("config.ArgsEscaped", True, 1), ("config.Cmd", ["a", "b"], ["b", "a"])]
