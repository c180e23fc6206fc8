"""A real registry, behind a proxy that does wrong: one line, the right exit code, and nothing half done."""

from __future__ import annotations

import http.client
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.compat.clients import blobs
from tests.compat.registries import (
    Answer,
    DockerRegistry,
    Exchange,
    Proxy,
    Resumable,
    answers,
    cuts_request,
    cuts_response,
    edits,
    flips_a_byte,
    free_port,
    proxy,
    redirects,
    says_another_digest,
    shortens,
    takes_at_most,
)
from tests.compat.registry_clients import VERSIONS, Cli, all_of, basic, check_stored, docker_config, layer_of, root_of

# --- what goes wrong --------------------------------------------------------------

ERRORS = json.dumps({"errors": [{"code": "DENIED", "message": "not on a Wednesday", "detail": "x"}]}).encode()


class Wrong:
    """The image `gzip` or another one, pushed, and pulled and pushed once more through the proxy `before`."""

    def __init__(self, cli: Cli, registry: DockerRegistry, before: Proxy, repository: str, made: Path, work: Path):
        self.cli, self.registry, self.proxy, self.made = cli, registry, before, made
        self.there, self.new = f"{repository}/there", f"{repository}/new"
        self.out = work / "out"
        self.out.mkdir()

    def put(self, image: str) -> None:
        command = ("copy", *all_of(image), f"oci:{self.made / image}:t")
        self.cli.json(*command, f"docker://{self.registry.host}/{self.there}:t")

    def pull(self, *more: str) -> tuple[str, ...]:
        return ("copy", *more, f"docker://{self.proxy.host}/{self.there}:t", f"oci:{self.out / 'image'}:t")

    def push(self, image: str) -> tuple[str, ...]:
        return ("copy", f"oci:{self.made / image}:t", f"docker://{self.proxy.host}/{self.new}:t")

    def pull_fails(self, code: int, said: str, *more: str) -> str:
        """The line; nothing of the image is here."""
        line = self.cli.fails(code, *self.pull(*more))
        assert said in line
        assert not list(self.out.iterdir())
        return line

    def push_fails(self, code: int, said: str, image: str = "none") -> str:
        """The line; no tag leads to anything."""
        line = self.cli.fails(code, *self.push(image))
        assert said in line
        assert not self.registry.tags(self.new)
        return line

    def pulls(self, image: str) -> dict[str, Any]:
        copied = self.cli.json(*self.pull())
        assert blobs(self.out / "image") == blobs(self.made / image)
        return copied

    def pushes(self, image: str) -> dict[str, Any]:
        copied = self.cli.json(*self.push(image))
        check_stored(self.registry, self.new, self.made / image)
        return copied


@pytest.fixture
def wrong(tmp_path: Path, cli: Cli, registry: DockerRegistry, before: Proxy, repository: str, made: Path) -> Wrong:
    return Wrong(cli, registry, before, repository, made, tmp_path)


def test_a_proxy_that_does_nothing(wrong: Wrong) -> None:
    wrong.put("stack")
    wrong.pulls("stack")
    wrong.pushes("stack")


@pytest.mark.parametrize("edit", [flips_a_byte, shortens])
def test_a_blob_of_other_bytes(wrong: Wrong, edit: Any) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", edits(edit))
    assert name in wrong.pull_fails(11, "the blob has another")
    assert len(wrong.proxy.of("GET", f"/blobs/{name}")) == 1
    # For import and export the same.
    place = f"docker://{wrong.proxy.host}/{wrong.there}:t#0"
    wrong.cli.fails(11, "import", "-i", place, wrong.out / "layer")
    wrong.cli.fails(11, "export", "-o", wrong.out / "layer.tar", place)
    assert not list(wrong.out.iterdir())


@pytest.mark.parametrize("edit", [flips_a_byte, says_another_digest])
def test_a_manifest_of_other_bytes(wrong: Wrong, edit: Any) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/manifests/", edits(edit))
    wrong.pull_fails(11, "the manifest is not the one of its digest")


def test_a_manifest_of_another_digest_than_asked_for(wrong: Wrong) -> None:
    wrong.put("index")
    other = root_of(wrong.made / VERSIONS[1])

    def swaps(answer: Answer) -> None:
        answer.body = (wrong.made / "index/blobs" / other.replace(":", "/")).read_bytes()
        answer.headers["Docker-Content-Digest"] = other

    first = root_of(wrong.made / VERSIONS[0])
    wrong.proxy.on("GET", f"/manifests/{first}", edits(swaps))
    assert first in wrong.pull_fails(11, "digest", "--all")


def test_bytes_that_change_on_the_way_out(wrong: Wrong) -> None:
    def change(data: bytes) -> bytes:
        return bytes((data[0] ^ 1,)) + data[1:] if data else data

    wrong.proxy.on("PATCH|PUT", "/blobs/uploads/", lambda exchange: exchange.forward(change=change))
    assert "provided digest did not match uploaded content" in wrong.push_fails(11, "the registry has got other bytes")


@pytest.mark.parametrize("what", ["blobs/uploads", "manifests"])
def test_a_registry_that_stores_another_digest(wrong: Wrong, what: str) -> None:
    wrong.proxy.on("PUT", f"/{what}/", edits(says_another_digest))
    line = wrong.cli.fails(11, *wrong.push("none"))
    assert "the registry has stored another" in line
    assert "0" * 64 in line


@pytest.mark.parametrize(
    ("status", "said"), [(401, "log in"), (403, "not on a Wednesday"), (404, "not on a Wednesday")]
)
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_it_says_no(wrong: Wrong, status: int, said: str, what: str) -> None:
    wrong.put("none")
    wrong.proxy.on("GET|POST|PUT", f"/{what}/", answers(status, ERRORS, Content_Type="application/json"))
    for line in (wrong.pull_fails(16, said), wrong.push_fails(16, said)):
        assert f"{status} " in line
        assert "DENIED: not on a Wednesday: x" in line


def test_there_is_no_such_image(wrong: Wrong) -> None:
    line = wrong.pull_fails(16, "404 Not Found")
    assert "manifest unknown" in line
    assert f"docker://{wrong.proxy.host}/{wrong.there}:t" in line


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_it_never_gets_better(wrong: Wrong, status: int, what: str) -> None:
    wrong.put("none")
    wrong.proxy.on("GET|POST|PUT", f"/{what}/", answers(status, ERRORS, Retry_After="0"))
    for line in (wrong.pull_fails(16, "not on a Wednesday"), wrong.push_fails(16, "not on a Wednesday")):
        assert f"{status} " in line
        assert "(8 times)" in line
    name, _ = layer_of(wrong.made / "none")
    path = name if what == "blobs" else "manifests/t"
    assert len(wrong.proxy.of("GET", path)) == (8 if what == "manifests" else len(wrong.proxy.of("GET", path)))


def test_it_asks_to_wait_for_too_long(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET|HEAD", "/manifests/", answers(429, ERRORS, Retry_After="1000"))
    assert "1,000 s" in wrong.pull_fails(16, "not on a Wednesday")
    assert len(wrong.proxy.of("GET", "/manifests/")) == 1
    wrong.push_fails(16, "1,000 s")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_it_gets_better(wrong: Wrong, status: int) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    page = b"<html><body>Oops</body></html>"
    for path in ("/manifests/", f"/blobs/{name}", "/blobs/uploads/$", "/blobs/uploads/.+"):
        wrong.proxy.on("GET|HEAD|POST|PATCH|PUT", path, answers(status, page, Retry_After="0"), times=2)
    wrong.pulls("none")
    wrong.pushes("none")


def test_a_page_for_browsers(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/manifests/", answers(502, b"<html><body>Oops</body></html>"))
    assert "Oops" not in wrong.pull_fails(16, "502 Bad Gateway")


def test_a_pull_that_is_cut_off_goes_on(wrong: Wrong) -> None:
    wrong.put("none")
    name, size = layer_of(wrong.made / "none")
    assert size > 7_000_000
    for after in (2_000_000, 1_500_000, 1):
        wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(after), times=1)
    wrong.pulls("none")
    gets = wrong.proxy.of("GET", f"/blobs/{name}")
    starts = [int(one.headers.get("range", "bytes=0-")[6:-1]) for one in gets]
    assert len(starts) == 4
    assert starts == [0, 2_000_000, 3_500_000, 3_500_001]
    assert (gets[-1].status, gets[-1].sent) == (206, size - starts[-1])


def test_a_pull_that_is_reset_goes_on(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(3_000_000, reset=True), times=2)
    wrong.pulls("none")
    assert wrong.proxy.of("GET", f"/blobs/{name}")[-1].status == 206


def test_a_server_that_knows_no_ranges(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")

    def whole(exchange: Exchange) -> None:
        exchange.seen.headers.pop("range", None)
        exchange.forward()

    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(2_000_000), times=1)
    wrong.proxy.on("GET", f"/blobs/{name}", whole)
    wrong.pulls("none")
    assert [one.status for one in wrong.proxy.of("GET", f"/blobs/{name}")] == [200, 200]


def test_a_manifest_that_is_cut_off(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/manifests/", cuts_response(100), times=2)
    wrong.pulls("none")


def test_a_config_that_is_cut_off(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/blobs/", cuts_response(100), times=2)
    wrong.pulls("none")


def test_an_import_that_is_cut_off_goes_on(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(2_000_000), times=2)
    imported = wrong.cli.json("import", "-i", f"docker://{wrong.proxy.host}/{wrong.there}:t#0", wrong.out / "layer")
    assert imported["diff_id"] == name
    assert "range" in wrong.proxy.of("GET", f"/blobs/{name}")[-1].headers


def test_a_pull_that_is_always_cut_off(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(1000))
    wrong.pull_fails(16, "(8 times)")
    assert len(wrong.proxy.of("GET", f"/blobs/{name}")) == 8


def test_a_push_that_is_cut_off_goes_on(wrong: Wrong) -> None:
    wrong.proxy.on(".*", "/blobs/uploads/.+", Resumable(2_000_000, 1_500_000))
    wrong.pushes("none")
    _, size = layer_of(wrong.made / "none")
    patches = wrong.proxy.of("PATCH")
    assert [int(one.headers["content-length"]) for one in patches] == [size, size - 2_000_000, size - 3_500_000]
    assert len(wrong.proxy.of("GET", "/blobs/uploads/")) == 2, "it asks how far it has got"
    assert len(wrong.proxy.of("POST")) == 2, "one for the config, one for the layer"


def test_a_push_that_is_cut_off_begins_anew(wrong: Wrong) -> None:
    """docker-registry does not know how far it has got."""
    wrong.proxy.on("PATCH", "/blobs/uploads/", cuts_request(2_000_000), times=2)
    wrong.pushes("none")
    _, size = layer_of(wrong.made / "none")
    assert [int(one.headers["content-length"]) for one in wrong.proxy.of("PATCH")] == [size] * 3
    assert len(wrong.proxy.of("POST")) == 4


def test_the_end_of_a_push_is_cut_off(wrong: Wrong) -> None:
    """The registry has got it, but nobody hears of it."""
    wrong.proxy.on("PATCH", "/blobs/uploads/", lambda exchange: exchange.forward(cut_response=0), times=1)
    wrong.proxy.on("PUT", "/blobs/uploads/", lambda exchange: exchange.forward(cut_response=0), times=1)
    wrong.proxy.on("PUT", "/manifests/", lambda exchange: exchange.forward(cut_response=0), times=1)
    wrong.pushes("none")


@pytest.mark.parametrize("after", [0, 1000, 2_000_000])
def test_a_push_that_is_always_cut_off(wrong: Wrong, after: int) -> None:
    wrong.proxy.on("PATCH", "/blobs/uploads/", cuts_request(after))
    done = wrong.cli.run(*wrong.push("none"), seconds=15)
    assert done.code == 16
    assert "(8 times)" in done.err
    assert len(wrong.proxy.of("PATCH")) == 8
    assert not wrong.registry.tags(wrong.new)


def authorized(otherwise: Any) -> Any:
    """Ask for a password first."""

    def act(exchange: Exchange) -> None:
        if "authorization" in exchange.seen.headers:
            otherwise(exchange)
        else:
            exchange.answer(401, {"WWW-Authenticate": 'Basic realm="x"'}, ERRORS)

    return act


def test_a_redirect_to_another_host(wrong: Wrong) -> None:
    wrong.put("none")
    docker_config(wrong.cli, {"auths": {wrong.proxy.host: {"auth": basic()}}})
    name, _ = layer_of(wrong.made / "none")
    with proxy(wrong.registry) as other:
        wrong.proxy.on("GET", "/blobs/", authorized(redirects(other.host)))
        wrong.proxy.on(".*", "/v2/.+", authorized(Exchange.forward))
        other.on("GET", f"/blobs/{name}", cuts_response(2_000_000), times=1)
        wrong.pulls("none")
        assert {one.headers.get("authorization") for one in wrong.proxy.of("GET", f"/blobs/{name}")} == {
            f"Basic {basic()}"
        }
        assert len(other.of("GET", f"/blobs/{name}")) == 2
        for one in other.seen:
            assert not {"authorization", "cookie", "proxy-authorization"} & one.headers.keys()


def test_an_upload_to_another_host(wrong: Wrong) -> None:
    docker_config(wrong.cli, {"auths": {wrong.proxy.host: {"auth": basic()}}})
    with proxy(wrong.registry) as other:

        def elsewhere(answer: Answer) -> None:
            answer.headers["Location"] = answer.headers["Location"].replace(wrong.proxy.host, other.host)

        wrong.proxy.on("POST", "/blobs/uploads/", authorized(edits(elsewhere)))
        wrong.proxy.on(".*", "/v2/.+", authorized(Exchange.forward))
        wrong.pushes("none")
        assert other.of("PATCH")
        for one in other.seen:
            assert "authorization" not in one.headers


@pytest.mark.parametrize("length", [1, 2, 50])
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_redirects_in_a_circle(wrong: Wrong, length: int, what: str) -> None:
    wrong.put("none")

    def act(exchange: Exchange) -> None:
        path, _, number = exchange.seen.path.partition("?n=")
        target = f"http://{wrong.proxy.host}{path}?n={(int(number or 0) + 1) % length}"
        exchange.answer(307, {"Location": target})

    wrong.proxy.on("GET|HEAD", f"/{what}/", act)
    wrong.pull_fails(16, "redirects without end")
    assert len(wrong.proxy.of("GET", f"/{what}/")) <= 2 * 6
    wrong.push_fails(16, "redirects without end")


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("command", ["copy", "layers", "index"])
def test_a_manifest_of_100_mb(wrong: Wrong, told: bool, command: str) -> None:
    def act(exchange: Exchange) -> None:
        headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        exchange.stream(200, headers | ({"Content-Length": "100000000"} if told else {}), (b" " * 100_000,) * 1000)

    wrong.proxy.on("GET", "/manifests/", act)
    place = f"docker://{wrong.proxy.host}/{wrong.there}:t"
    arguments = {"copy": wrong.pull(), "layers": ("layers", place), "index": ("index", "-o", wrong.pull()[-1], place)}
    line = wrong.cli.fails(16, *arguments[command])
    assert "a manifest this large" in line
    assert not list(wrong.out.iterdir())
    [seen] = wrong.proxy.of("GET", "/manifests/")
    assert seen.sent < 20_000_000


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_registry_without_patch(wrong: Wrong, status: int) -> None:
    wrong.proxy.on("PATCH", "/blobs/uploads/", answers(status))
    wrong.pushes("none")
    _, size = layer_of(wrong.made / "none")
    assert str(size) in [one.headers["content-length"] for one in wrong.proxy.of("PUT", "/blobs/uploads/")]


@pytest.mark.parametrize("act", [answers(404), answers(405), takes_at_most(1_000_000)], ids=["404", "405", "413"])
def test_no_upload_is_left_behind(wrong: Wrong, act: Any) -> None:
    """One that is not gone on with is given up in a way that the registry hears of."""
    wrong.proxy.on("PATCH", "/blobs/uploads/", act)
    wrong.cli.run(*wrong.push("none"))
    assert not wrong.registry.uploads(wrong.new)


@pytest.fixture(scope="module")
def large(made: Path) -> Path:
    """An image of 40 MB that do not compress; in a layout of its own."""
    (made / "large-context").mkdir()
    (made / "large-context" / "x.bin").write_bytes(os.urandom(40_000_000))
    cli = Cli(made / "large-cli")
    cli.json("build", made / "large-context", "--compress", "none", "-o", f"oci:{made / 'large'}:t")
    return made / "large"


def test_a_body_that_is_too_large(wrong: Wrong, large: Path) -> None:
    wrong.proxy.on(".*", "", takes_at_most(20_000_000))
    wrong.pushes("large")
    _, size = layer_of(large)
    patches = [one for one in wrong.proxy.of("PATCH") if one.status == 202]
    chunk = 16 << 20
    assert [int(one.headers["content-length"]) for one in patches] == [chunk, chunk, size - 2 * chunk]
    ranges = [one.headers["content-range"] for one in patches[:2]]
    assert ranges == [f"0-{chunk - 1}", f"{chunk}-{2 * chunk - 1}"]


def test_a_chunk_that_is_cut_off(wrong: Wrong, large: Path) -> None:
    wrong.proxy.on("PATCH", "", takes_at_most(20_000_000), times=2)
    wrong.proxy.on("PATCH", "", cuts_request(5_000_000), times=1)
    wrong.pushes("large")


def test_every_body_is_too_large(wrong: Wrong, large: Path) -> None:
    wrong.proxy.on(".*", "", takes_at_most(1_000_000))
    wrong.push_fails(16, "413 Request Entity Too Large", "large")


@pytest.mark.parametrize("command", ["pull", "push"])
def test_nobody_is_there(wrong: Wrong, command: str) -> None:
    host = f"127.0.0.1:{free_port()}"
    place, local = f"docker://{host}/x:t", f"oci:{wrong.made / 'gzip'}:t"
    places = (place, f"oci:{wrong.out / 'image'}:t") if command == "pull" else (local, place)
    line = wrong.cli.fails(16, "copy", *places)
    assert place in line
    assert "refused" in line
    assert not list(wrong.out.iterdir())


def test_every_command_says_it_in_one_line(wrong: Wrong) -> None:
    wrong.proxy.on("GET|HEAD", "/manifests/", answers(403, ERRORS))
    place = f"docker://{wrong.proxy.host}/{wrong.there}:t"
    out = wrong.out / "x"
    commands: list[tuple[str | Path, ...]] = [
        ("layers", place),
        ("import", "-i", f"{place}#0", out),
        ("export", "-o", out, f"{place}#0"),
        ("export", "-o", f"{place}#0", f"oci:{wrong.made / 'gzip'}:t#0"),
        ("index", "-o", f"oci:{out}:t", place),
        ("index", "-o", place, f"oci:{wrong.made / VERSIONS[0]}:t"),
        ("build", "-o", place, wrong.made / "context"),
        ("build", "--from", place, "-o", f"oci:{out}:t", wrong.made / "context"),
    ]
    for command in commands:
        line = wrong.cli.fails(16, *command)
        assert "403 Forbidden" in line, command
        # A tag that is written to is asked for by HEAD, to which there is no more of an answer.
        if command[0] in ("layers", "import") or out in map(Path, map(str, command)):
            assert "not on a Wednesday" in line, command
        assert not list(wrong.out.iterdir()), command
    assert not wrong.registry.tags(wrong.there)


def test_the_tests_own_proxy_tells(registry: DockerRegistry) -> None:
    """A mistake in the proxy is not taken for one of the client."""

    def act(exchange: Exchange) -> None:
        raise ZeroDivisionError

    def ask() -> None:
        with proxy(registry) as found, closing(http.client.HTTPConnection(found.host)) as connection:
            found.on("GET", "", act)
            connection.request("GET", "/")
            with pytest.raises(http.client.RemoteDisconnected):
                connection.getresponse()

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        ask()
