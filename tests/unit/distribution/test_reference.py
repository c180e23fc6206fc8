"""Names of images in registries, as people write them; and which hosts are this machine."""

from __future__ import annotations

import pytest

from wclayer.distribution.reference import Reference, is_loopback, parse_reference
from wclayer.errors import UsageError

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("mcr.microsoft.com/windows/nanoserver:ltsc2022", "mcr.microsoft.com", "windows/nanoserver", "ltsc2022", None),
        ("r.example/a", "r.example", "a", None, None),
        ("r.example:5000/a/b/c:v1.0_x-y", "r.example:5000", "a/b/c", "v1.0_x-y", None),
        ("localhost/a", "localhost", "a", None, None),
        ("localhost:5000/a", "localhost:5000", "a", None, None),
        ("127.0.0.1:5000/a:t", "127.0.0.1:5000", "a", "t", None),
        ("[::1]:5000/a:t", "[::1]:5000", "a", "t", None),
        ("[2001:db8::1]/a", "[2001:db8::1]", "a", None, None),
        (f"r.example/a@{DIGEST}", "r.example", "a", None, DIGEST),
        (f"r.example/a:t@{DIGEST}", "r.example", "a", "t", DIGEST),
        ("R.Example/a", "r.example", "a", None, None),
        ("hello", "docker.io", "library/hello", None, None),
        ("hello:t", "docker.io", "library/hello", "t", None),
        ("me/hello", "docker.io", "me/hello", None, None),
        ("docker.io/hello", "docker.io", "library/hello", None, None),
        ("index.docker.io/hello", "docker.io", "library/hello", None, None),
        ("registry-1.docker.io/me/hello:t", "docker.io", "me/hello", "t", None),
        ("r.example/a__b/c--d/e.f", "r.example", "a__b/c--d/e.f", None, None),
        ("r.example/a:" + "t" * 128, "r.example", "a", "t" * 128, None),
    ],
)
def test_names(text: str, host: str, repository: str, tag: str | None, digest: str | None) -> None:
    found = parse_reference(text)
    assert found == Reference(host=host, repository=repository, tag=tag, digest=digest)
    assert found.name == (digest or tag or "latest")


def test_the_hub_in_capitals_is_the_hub() -> None:
    assert parse_reference("Docker.IO/hello") == Reference(host="docker.io", repository="library/hello")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("r.example/a", "docker://r.example/a:latest"),
        ("hello:t", "docker://docker.io/library/hello:t"),
        (f"r.example/a:t@{DIGEST}", f"docker://r.example/a@{DIGEST}"),
    ],
)
def test_how_it_is_shown(text: str, shown: str) -> None:
    assert str(parse_reference(text)) == shown
    assert parse_reference(shown.removeprefix("docker://")).name == parse_reference(text).name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r.example/A", "the name of a repository"),
        ("r.example/", "the name of a repository"),
        ("r.example//a", "the name of a repository"),
        ("r.example/a/", "the name of a repository"),
        ("r.example/a..b", "the name of a repository"),
        ("r.example/a/../b", "the name of a repository"),
        ("r.example/a%2fb", "the name of a repository"),
        ("r.example/a?b=c", "the name of a repository"),
        ("r.example/a\n", "the name of a repository"),
        ("r.example/ä", "the name of a repository"),
        ("r.example/" + "a" * 256, "the name of a repository"),
        ("", "the name of a repository"),
        ("UPPER", "the name of a repository"),
        ("r.example/a:", "a tag that no image can have"),
        ("r.example/a:b:c", "a tag that no image can have"),
        ("r.example/a:-x", "a tag that no image can have"),
        ("r.example/a:x/y", "a tag that no image can have"),
        ("r.example/a:" + "t" * 129, "a tag that no image can have"),
        ("r.example/a@sha256:12", "the digest of an image"),
        ("r.example/a@", "the digest of an image"),
        (f"r.example/a@{DIGEST.upper()}", "the digest of an image"),
        (f"r.example/a@{DIGEST}@{DIGEST}", "the digest of an image"),
        ("r.example:0/a", "the host of a registry"),
        ("r.example:65536/a", "the host of a registry"),
        ("r.example:x/a", "the host of a registry"),
        ("r.example:/a", "the host of a registry"),
        ("-r.example/a", "the host of a registry"),
        ("r..example/a", "the host of a registry"),
        ("user:pw@r.example/a", "the digest of an image"),
        ("r.example:80#/a", "the host of a registry"),
        ("[::1/a", "the host of a registry"),
        ("[::1]x/a", "the host of a registry"),
        ("[:::::]/a", "the host of a registry"),
        ("[1.2]/a", "the host of a registry"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_reference(text)
    assert str(caught.value).isprintable()


def test_errors_name_what_was_written() -> None:
    with pytest.raises(UsageError, match=r"^docker://X#1: the name"):
        parse_reference("X", shown="docker://X#1")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("a.localhost:80", False),  # a name to be looked up as any
        ("127.0.0.1", True),
        ("127.1.2.3:5000", True),
        ("[::1]", True),
        ("[::1]:5000", True),
        ("::1", True),
        ("r.example", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.example:80", False),
        ("10.0.0.1:5000", False),
        ("[2001:db8::1]:5000", False),
        ("0.0.0.0", False),  # noqa: S104 # no server
        ("", False),
        ("[", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["localhost:80@r.example", "localhost@r.example", "127.0.0.1:x@r.example:80"])
def test_a_user_named_localhost_is_no_loopback(host: str) -> None:
    """As `urlsplit` gives it: what stands before the @ is no host."""
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", ".x"])
def test_labels_that_no_name_can_have(host: str) -> None:
    with pytest.raises(UsageError, match="the host of a registry"):
        parse_reference(f"{host}:5000/a")
