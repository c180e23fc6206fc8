"""Docker's and podman's files of credentials, and the helpers that they name."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.registry_model import SECRET
from wclayer.distribution.credentials import AuthFiles, Credential
from wclayer.errors import FormatError, NotFoundError, RemoteError

HUB = "https://index.docker.io/v1/"


def auth(user: str = "me", secret: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


def write(path: Path, value: object) -> str:
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return str(path)


def find(path: Path, value: object, host: str = "r.example", repository: str = "a/b") -> Credential | None:
    return AuthFiles([write(path / "config.json", value)]).find(host, repository)


# --- auths ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("r.example", "r.example"),
        ("https://r.example", "r.example"),
        ("https://r.example/v1/", "r.example"),
        ("https://r.example/v2/", "r.example"),
        ("http://r.example/", "r.example"),
        ("R.Example", "r.example"),
        ("r.example:5000", "r.example:5000"),
        ("localhost:5000", "localhost:5000"),
        (HUB, "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("r.example/a", "r.example"),
        ("r.example/a/b", "r.example"),
    ],
)
def test_keys(tmp_path: Path, key: str, host: str) -> None:
    assert find(tmp_path, {"auths": {key: auth()}}, host) == Credential("me", SECRET)


@pytest.mark.parametrize(
    "key",
    ["r.example:443", "other.example", "example", "r.example.org", "r.example/b", "r.example/a/bc", "x@r.example"],
)
def test_keys_of_others(tmp_path: Path, key: str) -> None:
    assert find(tmp_path, {"auths": {key: auth()}}) is None


def test_the_narrowest_key_counts(tmp_path: Path) -> None:
    value = {"auths": {key: auth(key) for key in ("r.example", "r.example/a", "r.example/a/b", "r.example/a/b/c")}}
    path = write(tmp_path / "f", value)
    users = {
        repository: found.username
        for repository in ("a/b/c/d", "a/b", "a/x", "x/y")
        if (found := AuthFiles([path]).find("r.example", repository)) is not None
    }
    assert users == {"a/b/c/d": "r.example/a/b/c", "a/b": "r.example/a/b", "a/x": "r.example/a", "x/y": "r.example"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (auth("me", "with:colon"), Credential("me", "with:colon")),
        (auth("me", ""), Credential("me", "")),
        (auth("mé", "pässword"), Credential("mé", "pässword")),
        ({"auth": base64.b64encode(b"me:x\0\0").decode()}, Credential("me", "x")),
        ({"username": "me", "password": "x"}, Credential("me", "x")),
        ({"auth": "", "username": "me", "password": "x"}, Credential("me", "x")),
        ({**auth(), "identitytoken": "t"}, Credential("", "t", identity=True)),
        ({}, None),
        ({"auth": ""}, None),
        ({"username": "me"}, None),
        ({"username": 1, "password": 2}, None),
        (None, None),
        ("text", None),
        (auth("", "x"), None),
    ],
)
def test_entries(tmp_path: Path, entry: object, expected: Credential | None) -> None:
    assert find(tmp_path, {"auths": {"r.example": entry}}) == expected


@pytest.mark.parametrize(
    "text", ["!!!", "YQ", base64.b64encode(b"no colon").decode(), base64.b64encode(b"\xff:x").decode(), "é"]
)
def test_an_entry_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        FormatError, match="a credential that cannot be read; expected base64 of USER:PASSWORD"
    ) as caught:
        find(tmp_path, {"auths": {"r.example": {"auth": text}}})
    assert caught.value.path == f"{tmp_path / 'config.json'}: auths.r.example"
    if text != "é":
        assert text not in str(caught.value)


# --- files ----------------------------------------------------------------------


def test_the_first_file_that_knows_the_host(tmp_path: Path) -> None:
    one = write(tmp_path / "1", {"auths": {"a.example": auth("one")}})
    two = write(tmp_path / "2", {"auths": {"a.example": auth("two"), "b.example": auth("two")}})
    files = AuthFiles([str(tmp_path / "none"), one, two])
    assert files.find("a.example", "x") == Credential("one", SECRET)
    assert files.find("b.example", "x") == Credential("two", SECRET)
    assert files.find("c.example", "x") is None


def test_a_file_that_is_needed_comes_first_and_must_be_there(tmp_path: Path) -> None:
    needed = write(tmp_path / "needed", {"auths": {"r.example": auth("needed")}})
    other = write(tmp_path / "other", {"auths": {"r.example": auth("other")}})
    assert AuthFiles([other], needed=needed).find("r.example", "x") == Credential("needed", SECRET)
    with pytest.raises(NotFoundError):
        AuthFiles([other], needed=str(tmp_path / "none")).find("r.example", "x")


def test_a_file_in_a_folder_that_is_none(tmp_path: Path) -> None:
    """The home of many a service is /dev/null."""
    (tmp_path / "home").write_bytes(b"")
    other = write(tmp_path / "other", {"auths": {"r.example": auth()}})
    files = AuthFiles([str(tmp_path / "home" / ".docker" / "config.json"), other])
    assert files.find("r.example", "x") == Credential("me", SECRET)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "f", {"auths": {"r.example": auth()}})
    files = AuthFiles([path])
    first = files.find("r.example", "x")
    Path(path).unlink()
    assert files.find("r.example", "y") == first


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe\xff",
        b"[" * 100_000,
        b'{"auths":' * 50_000,
        b" " * (1 << 20) + b"{}",
    ],
)
def test_a_file_that_cannot_be_right(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FormatError, match="a credentials file that is not a JSON object") as caught:
        find(tmp_path, data)
    assert caught.value.path == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"auths": None},
        {"auths": []},
        {"credHelpers": "x"},
        {"credsStore": 1},
        {"credsStore": ""},
        {"auths": {"": {}}},
    ],
)
def test_a_file_that_says_nothing(tmp_path: Path, value: object) -> None:
    assert find(tmp_path, value) is None


# --- helpers --------------------------------------------------------------------


class Helper:
    """Stands for the helpers: the server they are asked for -> what they answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[str, bytes] = {}
        self.code = 0
        self.error: Callable[[], BaseException] | None = None

    def run(self, command: Sequence[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
        server = more["input"].decode()
        assert command[1:] == ["get"]
        assert more["timeout"] > 0
        assert not more.get("shell")
        self.asked.append((command[0], server))
        if self.error is not None:
            raise self.error()
        if server not in self.answers:
            return subprocess.CompletedProcess(command, 1, b"credentials not found in native keychain\n", b"")
        return subprocess.CompletedProcess(command, self.code, self.answers[server], b"")

    def knows(self, server: str, user: str = "me", secret: str = SECRET) -> None:
        self.answers[server] = json.dumps({"ServerURL": server, "Username": user, "Secret": secret}).encode()


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> Helper:
    made = Helper()
    monkeypatch.setattr("wclayer.distribution.credentials.subprocess.run", made.run)
    # Where they are on Windows has tests of its own.
    monkeypatch.setattr("wclayer.distribution.credentials._found", lambda program: program)
    return made


def test_a_helper_for_a_host(tmp_path: Path, helper: Helper) -> None:
    helper.knows("r.example")
    value = {"credHelpers": {"r.example": "one"}, "credsStore": "two", "auths": {"r.example": auth("file")}}
    assert find(tmp_path, value) == Credential("me", SECRET)
    assert helper.asked == [("docker-credential-one", "r.example")]


def test_a_store_for_all(tmp_path: Path, helper: Helper) -> None:
    helper.knows(HUB)
    value = {"credsStore": "two", "auths": {HUB: {}, "r.example": auth("file")}}
    assert find(tmp_path, value, "docker.io", "library/x") == Credential("me", SECRET)
    assert find(tmp_path, value) == Credential("file", SECRET)  # what it does not know may be in the file
    assert helper.asked == [("docker-credential-two", HUB), ("docker-credential-two", "r.example")]


@pytest.mark.parametrize("key", ["docker.io", HUB])
def test_a_helper_for_the_hub(tmp_path: Path, helper: Helper, key: str) -> None:
    """Docker's own key for it is the address with `v1`."""
    helper.knows(HUB)
    assert find(tmp_path, {"credHelpers": {key: "one"}}, "docker.io", "library/x") == Credential("me", SECRET)


def test_an_identity_token(tmp_path: Path, helper: Helper) -> None:
    helper.knows("r.example", "<token>")
    assert find(tmp_path, {"credsStore": "two"}) == Credential("", SECRET, identity=True)


def test_a_helper_that_knows_nothing(tmp_path: Path, helper: Helper) -> None:
    assert find(tmp_path, {"credsStore": "two"}) is None
    helper.knows("r.example", "me", "")
    assert find(tmp_path, {"credsStore": "two"}) is None


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (b"no keychain \x1b[2J here", 1, r"docker-credential-two fails: no keychain \\x1b\[2J here"),
        (b"", 3, "docker-credential-two fails: 3"),
        (b"", 0, "nothing that makes sense"),
        (b"[]", 0, "nothing that makes sense"),
        (b'"x"', 0, "nothing that makes sense"),
        (b"\xff", 0, "nothing that makes sense"),
        (b'{"Username": "me"}', 0, "nothing that makes sense"),
        (b'{"Username": "me", "Secret": 1}', 0, "nothing that makes sense"),
        (b"[" * 100_000, 0, "nothing that makes sense"),
    ],
)
def test_a_helper_that_fails(tmp_path: Path, helper: Helper, answer: bytes, code: int, text: str) -> None:
    helper.answers["r.example"] = answer
    helper.code = code
    with pytest.raises(RemoteError, match=text) as caught:
        find(tmp_path, {"credsStore": "two"})
    assert caught.value.path == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError, "a credential helper that is not installed; expected docker-credential-two"),
        (PermissionError, "docker-credential-two fails: PermissionError"),
        (
            lambda: subprocess.TimeoutExpired("x", 60, output=SECRET.encode()),
            "docker-credential-two fails: TimeoutExpired",
        ),
    ],
)
def test_a_helper_that_cannot_be_run(
    tmp_path: Path, helper: Helper, error: Callable[[], BaseException], text: str
) -> None:
    helper.error = error
    with pytest.raises(RemoteError, match=text) as caught:
        find(tmp_path, {"credsStore": "two"})
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["../evil", "a/b", "a b", "a;b", "é", "a\n"])
def test_a_helper_of_an_impossible_name(tmp_path: Path, helper: Helper, name: str) -> None:
    with pytest.raises(FormatError, match="the name of a credential helper"):
        find(tmp_path, {"credsStore": name})
    with pytest.raises(FormatError, match="the name of a credential helper"):
        find(tmp_path, {"credHelpers": {"r.example": name}})
    assert helper.asked == []


# --- secrets --------------------------------------------------------------------


def test_a_secret_is_in_no_repr(tmp_path: Path) -> None:
    path = write(tmp_path / "f", {"auths": {"r.example": auth()}})
    files = AuthFiles([path])
    found = files.find("r.example", "x")
    assert found is not None
    for text in (repr(found), str(found), f"{found}", repr([found]), repr(files)):
        assert SECRET not in text
        assert auth()["auth"] not in text
