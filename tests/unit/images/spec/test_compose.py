"""Config and manifest of a new image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wclayer.errors import ImageError, UsageError
from wclayer.images.spec.compose import compose_config, compose_manifest, history_entry, rfc3339
from wclayer.images.spec.config_settings import Config
from wclayer.images.spec.descriptors import Descriptor, Platform

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
NANOSERVER: dict[str, Any] = {
    "architecture": "amd64",
    "os": "windows",
    "os.version": "10.0.20348.2227",
    "os.features": ["win32k"],
    "x-vendor": {"kept": [1]},
    "config": {
        "User": "ContainerUser",
        "Cmd": ["c:\\windows\\system32\\cmd.exe"],
        "Env": ["Path=C:\\Windows", "TEMP=C:\\Temp"],
        "Labels": {"a": "1", "z": "2"},
        "ExposedPorts": {"80/tcp": {}},
        "ArgsEscaped": True,
        "OnBuild": None,
    },
    "rootfs": {"type": "layers", "diff_ids": [A]},
    "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "Apply image"}],
}


def compose(base: dict[str, Any] | None, config: Config, **more: Any) -> dict[str, Any]:
    history = more.pop("history", [history_entry(0, None)])
    data = compose_config(base, config, more.pop("platform", Platform()), 0, more.pop("diff_ids", [B]), history)
    result = json.loads(data)
    assert isinstance(result, dict)
    return result


def test_from_scratch() -> None:
    config = Config(entrypoint=("a", "b"), cmd=("c",), env={"X": "1"}, workdir="C:\\app", user="me", ports=("80",))
    assert compose(None, config) == {
        "created": "1970-01-01T00:00:00Z",
        "architecture": "amd64",
        "os": "windows",
        "config": {
            "Entrypoint": ["a", "b"],
            "Cmd": ["c"],
            "Env": ["X=1"],
            "WorkingDir": "C:\\app",
            "User": "me",
            "ExposedPorts": {"80/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [B]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "wclayer build"}],
    }
    assert compose(None, Config(), platform=Platform(os_version="10.0.1.2"))["os.version"] == "10.0.1.2"


def test_what_the_base_says_stays() -> None:
    result = compose(NANOSERVER, Config())
    expected = json.loads(json.dumps(NANOSERVER))
    expected["created"] = "1970-01-01T00:00:00Z"
    expected["rootfs"]["diff_ids"].append(B)
    expected["history"].append({"created": "1970-01-01T00:00:00Z", "created_by": "wclayer build"})
    assert result == expected
    assert list(result)[:4] == ["created", "architecture", "os", "os.version"]
    assert NANOSERVER["rootfs"]["diff_ids"] == [A]  # the base's own is not touched


def test_a_new_entrypoint_takes_the_command_of_the_base_with_it() -> None:
    run = compose(NANOSERVER, Config(entrypoint=("app.exe",)))["config"]
    assert run["Entrypoint"] == ["app.exe"]
    assert "Cmd" not in run
    assert "ArgsEscaped" not in run
    run = compose(NANOSERVER, Config(cmd=("app.exe",)))["config"]
    assert run["Cmd"] == ["app.exe"]
    assert "ArgsEscaped" not in run
    assert "User" not in compose(NANOSERVER, Config(user=""))["config"]


def test_names_of_variables_have_no_case() -> None:
    run = compose(NANOSERVER, Config(env={"PATH": "C:\\app", "New": ""}))["config"]
    assert run["Env"] == ["PATH=C:\\app", "TEMP=C:\\Temp", "New="]


def test_labels_and_ports_are_added() -> None:
    run = compose(NANOSERVER, Config(labels={"a": "9", "b": "3"}, ports=("53/udp", "80")))["config"]
    assert run["Labels"] == {"a": "9", "b": "3", "z": "2"}
    assert run["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}}


@pytest.mark.parametrize(
    ("key", "value"),
    [("Env", "A=1"), ("Env", [1]), ("Labels", ["a"]), ("ExposedPorts", 80), (None, "nothing")],
)
def test_a_base_s_config_of_other_types_is_refused(key: str | None, value: object) -> None:
    base = {**NANOSERVER, "config": value if key is None else {key: value}}
    with pytest.raises(ImageError, match=f'"{key or "config"}"'):
        compose(base, Config(env={"X": "1"}, labels={"a": "b"}, ports=("1",)))


def test_a_base_without_history_gets_as_much_as_it_has_layers() -> None:
    base = {key: value for key, value in NANOSERVER.items() if key != "history"}
    history = compose(base, Config())["history"]
    assert len(history) == 2
    assert not any(entry.get("empty_layer") for entry in history)
    history = compose(NANOSERVER, Config(), diff_ids=[], history=[history_entry(5, None, empty=True)])["history"]
    assert [entry.get("empty_layer") for entry in history] == [None, True]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1706702400, "2024-01-31T12:00:00Z"),
        (-62135596800, "0001-01-01T00:00:00Z"),
        (253402300799, "9999-12-31T23:59:59Z"),
    ],
)
def test_rfc3339(seconds: int, text: str) -> None:
    assert rfc3339(seconds) == text


@pytest.mark.parametrize("seconds", [-62135596801, 253402300800, 10**30])
def test_rfc3339_has_four_digits_for_a_year(seconds: int) -> None:
    with pytest.raises(UsageError):
        rfc3339(seconds)


def test_manifest() -> None:
    config = Descriptor(media_type="application/vnd.docker.container.image.v1+json", digest=A, size=1)
    layer = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=B, size=2, urls=("https://x",))
    data = compose_manifest(config, [layer], {"z": "1", "a": "ü"})
    assert (
        data
        == (
            '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
            f'"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{A}","size":1}},'
            f'"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{B}","size":2,'
            '"urls":["https://x"]}],"annotations":{"a":"ü","z":"1"}}'
        ).encode()
    )
