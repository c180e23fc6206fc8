"""Where the command line finds credentials and proxies; and that no secret is in any output."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import posix_only
from tests.images import layout
from tests.registry_model import AUTH, BASIC, HOST, SECRET, USER, Model
from wclayer.cli.main import main
from wclayer.cli.network import registries_of
from wclayer.distribution.credentials import Credential
from wclayer.distribution.registries import Registries
from wclayer.errors import NotFoundError

NAMES = ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSL_CERT_FILE")
PROXIES = ("HTTPS_PROXY", "NO_PROXY", "HTTP_PROXY", "ALL_PROXY")


def auths(user: str, secret: str = SECRET) -> str:
    return json.dumps({"auths": {HOST: {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}}})


def write(path: Path, user: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(auths(user))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and no variable that matters."""
    for name in (*NAMES, *PROXIES, *(name.lower() for name in PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("WCLAYER_TMPDIR", str(tmp_path))
    return tmp_path / "home"


def made(authfile: str | None = None, **more: Any) -> Registries:
    return registries_of(plain_http=more.get("plain_http", False), authfile=authfile, jobs=more.get("jobs", 3))


def user(authfile: str | None = None) -> str | None:
    """Whose credentials are used."""
    credentials = made(authfile)._credentials
    assert credentials is not None
    found = credentials.find(HOST, "a")
    return None if found is None else found.username


# --- files of credentials -------------------------------------------------------


def test_no_file(home: Path) -> None:
    assert user() is None


def test_the_files_in_their_order(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last that is looked at to the first; each one put there comes before those."""
    write(home / ".docker" / "config.json", "docker")
    assert user() == "docker"
    write(home / ".config" / "containers" / "auth.json", "podman")
    assert user() == "podman"
    write(tmp_path / "run" / "containers" / "auth.json", "runtime")
    assert user() == "podman"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert user() == "runtime"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(write(tmp_path / "variable.json", "variable")))
    assert user() == "variable"
    assert user(str(write(tmp_path / "option.json", "option"))) == "option"


def test_folders_that_variables_name(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".docker" / "config.json", "home")
    write(tmp_path / "docker" / "config.json", "variable")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    assert user() == "variable"
    write(tmp_path / "config" / "containers" / "auth.json", "xdg")
    write(home / ".config" / "containers" / "auth.json", "home")
    assert user() == "home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert user() == "xdg"
    for name in NAMES:
        monkeypatch.setenv(name, "")
    assert user() == "home"


def test_a_file_that_was_named_is_the_only_one(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".docker" / "config.json", "docker")
    (tmp_path / "empty.json").write_text("{}")
    assert user(str(tmp_path / "empty.json")) is None
    with pytest.raises(NotFoundError):
        user(str(tmp_path / "none.json"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "none.json"))
    with pytest.raises(NotFoundError):
        user()


BY_CASE = posix_only("names of variables that differ in case alone")

# --- the rest -------------------------------------------------------------------


class Recorded:
    """Stands for HttpTransport."""

    made: list[dict[str, Any]]

    def __init__(self, **arguments: Any) -> None:
        Recorded.made.append(arguments)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"https_proxy": None, "no_proxy": "", "ca_file": None}),
        ({"HTTPS_PROXY": "http://p:1"}, {"https_proxy": "http://p:1"}),
        ({"https_proxy": "http://p:2"}, {"https_proxy": "http://p:2"}),
        pytest.param(
            {"https_proxy": "http://p:2", "HTTPS_PROXY": "http://p:1"}, {"https_proxy": "http://p:2"}, marks=BY_CASE
        ),
        pytest.param({"https_proxy": "", "HTTPS_PROXY": "http://p:1"}, {"https_proxy": "http://p:1"}, marks=BY_CASE),
        ({"HTTPS_PROXY": ""}, {"https_proxy": None}),
        ({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, {"https_proxy": None}),
        ({"NO_PROXY": "a,b"}, {"no_proxy": "a,b"}),
        pytest.param({"no_proxy": "c", "NO_PROXY": "a,b"}, {"no_proxy": "c"}, marks=BY_CASE),
        ({"SSL_CERT_FILE": "/ca.pem"}, {"ca_file": "/ca.pem"}),
        ({"SSL_CERT_FILE": ""}, {"ca_file": None}),
    ],
)
def test_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: dict[str, str | None]
) -> None:
    Recorded.made = []
    monkeypatch.setattr("wclayer.distribution.http.HttpTransport", Recorded)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with made() as registries:
        registries.registry(HOST)
        registries.registry("other.example")
    [arguments] = Recorded.made
    assert expected.items() <= arguments.items()


def test_options(home: Path) -> None:
    assert made(jobs=7).jobs == 7
    assert not made().registry(HOST).may_be_plain(HOST)
    assert made(plain_http=True).registry(HOST).may_be_plain(HOST)
    assert made().registry("localhost").may_be_plain("localhost")


# --- commands -------------------------------------------------------------------


@pytest.fixture
def model(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """The command line reaches this registry, and has credentials for it."""
    model = Model(auth="bearer")
    write(home / ".docker" / "config.json", USER)
    monkeypatch.setattr("wclayer.distribution.http.HttpTransport", lambda **_: model)
    before = signal.getsignal(signal.SIGTERM)
    yield model
    signal.signal(signal.SIGTERM, before)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def secrets(home: Path) -> list[str]:
    return [SECRET, BASIC, "token-1", "Bearer ", "SIGNED", base64.b64encode(SECRET.encode()).decode()]


@pytest.mark.parametrize("more", [[], ["--json"], ["--debug"], ["-v"], ["--debug", "--json"]])
def test_copy_there_and_back(
    model: Model, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: list[str]
) -> None:
    folder = layout(tmp_path / "d")
    assert run("copy", *more, f"oci:{folder}:t", f"docker://{HOST}/a:t") == 0
    assert run("copy", *more, f"docker://{HOST}/a:t", f"oci:{tmp_path / 'out'}:t") == 0
    assert run("layers", *[one for one in more if one != "-v"], f"docker://{HOST}/a:t") == 0
    out, err = capfd.readouterr()
    assert model.tags[("a", "t")] in out
    assert {one.headers["User-Agent"].partition("/")[0] for one in model.requests} == {"wclayer"}
    for secret in secrets(home):
        assert secret not in out + err


@pytest.mark.parametrize("more", [[], ["--json"], ["--debug"], ["--debug", "--json"]])
@pytest.mark.parametrize(
    "fault",
    [
        {"pattern": AUTH, "status": 401},
        {"pattern": AUTH, "status": 200, "body": b'{"token": "token-1 broken"}'},
        {"pattern": f"POST https://{HOST}", "status": 403},
        {"pattern": f"PUT https://{HOST}", "status": 400},
        {"pattern": f"PUT https://{HOST}", "status": 409},
        {"pattern": "HEAD", "status": 307, "headers": {"location": "http://cdn.example/?sig=SIGNED"}},
        {"pattern": "HEAD", "status": 307, "headers": {"location": "https://cdn.example/?sig=SIGNED"}},
    ],
)
def test_no_secret_in_what_an_error_says(
    model: Model, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: dict[str, Any], more: list[str]
) -> None:
    folder = layout(tmp_path / "d")
    model.fail(**fault, times=None)
    assert run("copy", *more, f"oci:{folder}:t", f"docker://{HOST}/a:t") == 16
    out, err = capfd.readouterr()
    assert out == ""
    assert "docker://r.example/a:t" in err
    for secret in secrets(home):
        assert secret not in err


@pytest.mark.parametrize("more", [[], ["--json"], ["--debug"]])
def test_no_secret_in_what_is_said_of_a_broken_file(
    model: Model, home: Path, capfd: pytest.CaptureFixture[str], more: list[str]
) -> None:
    broken = base64.b64encode(f"no colon {SECRET}".encode()).decode()
    for text in (json.dumps({"auths": {HOST: {"auth": broken}}}), f'{{"auths": "{SECRET}'):
        (home / ".docker" / "config.json").write_text(text)
        assert run("layers", *more, f"docker://{HOST}/a:t") == 10
        out, err = capfd.readouterr()
        assert "config.json" in err
        assert SECRET not in out + err
        assert broken not in out + err


def test_no_secret_in_what_is_said_of_a_proxy(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in (f"ftp://{USER}:{SECRET}@proxy:1", f"socks5://{USER}:{SECRET}@proxy:1"):
        monkeypatch.setenv("HTTPS_PROXY", text)
        assert run("layers", "--debug", f"docker://{HOST}/a:t") == 16
        out, err = capfd.readouterr()
        assert "HTTPS_PROXY" in err
        assert SECRET not in out + err


def test_exit_codes(model: Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = layout(tmp_path / "d")
    assert run("layers", f"docker://{HOST}/none:t") == 16
    assert run("layers", f"docker://{HOST}/UPPER") == 2
    assert run("copy", f"oci:{folder}:t", f"docker://{HOST}/a:t") == 0
    assert run("copy", f"oci:{folder}:t", f"docker://{HOST}/a:t") == 0
    other = layout(tmp_path / "e", os_version="10.0.1.1")
    assert run("copy", f"oci:{other}:t", f"docker://{HOST}/a:t") == 13
    assert run("copy", "--force", f"oci:{other}:t", f"docker://{HOST}/a:t") == 0
    assert run("copy", "--platform", "windows/amd64:10.0.20348", f"docker://{HOST}/a:t", f"oci:{tmp_path / 'f'}") == 12
    assert "internal error" not in capfd.readouterr().err


def test_the_option_names_whose_credentials(model: Model, home: Path, tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    (home / ".docker" / "config.json").unlink()
    assert run("copy", f"oci:{folder}:t", f"docker://{HOST}/a:t") == 16
    file = write(tmp_path / "f.json", USER)
    assert run("copy", "--authfile", str(file), f"oci:{folder}:t", f"docker://{HOST}/a:t") == 0
    assert Credential(USER, SECRET) == made(str(file))._credentials.find(HOST, "a")  # type: ignore[union-attr]
