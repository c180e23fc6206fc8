"""A layer of 1 GiB: pushed and pulled in little memory, whatever is killed meanwhile, and given up cleanly."""

from __future__ import annotations

import filecmp
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from tests.compat.registries import DockerRegistry, docker_registry, wait_until
from tests.compat.registry_clients import SKOPEO_COPY, Cli, layer_of, root_of, skopeo
from tests.compat.test_nanoserver import measured
from tests.images import digest

SIZE = 1 << 30
PART = SIZE // 3  # how far it may get before something happens

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A layout of an image whose one layer has 1 GiB, every MiB of which is another."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "context").mkdir()
    block = Random(1).randbytes(1 << 20)
    with (folder / "context" / "x.bin").open("wb") as file:
        for number in range(SIZE >> 20):
            file.write(number.to_bytes(8, "little"))
            file.write(block[8:])
    measured("build", "--json", "--no-cache", folder / "context", "--compress", "none", "-o", f"oci:{folder / 'x'}:t")
    shutil.rmtree(folder / "context")
    assert layer_of(folder / "x")[1] > SIZE
    yield folder / "x"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory, large: Path) -> Iterator[DockerRegistry]:
    """A registry that has it."""
    folder = tmp_path_factory.mktemp("pushed")
    with docker_registry(folder / "registry") as registry:
        copied = measured("copy", "--json", f"oci:{large}:t", f"docker://{registry.host}/x:t")
        assert copied["digest"] == root_of(large)
        yield registry
    shutil.rmtree(folder)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DockerRegistry]:
    """One that has nothing."""
    with docker_registry(tmp_path / "registry") as registry:
        yield registry
    shutil.rmtree(tmp_path / "registry")


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A folder for what is pulled."""
    (tmp_path / "out").mkdir()
    yield tmp_path / "out"
    shutil.rmtree(tmp_path / "out")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "cli", quick=False)


def same_layer(large: Path, found: Path) -> bool:
    return filecmp.cmp(large / "blobs" / layer_of(large)[0].replace(":", "/"), found, shallow=False)


def blob_in(layout: Path, large: Path) -> Path:
    return layout / "blobs" / layer_of(large)[0].replace(":", "/")


def pulled(out: Path) -> int:
    """Bytes of the largest file below a folder."""
    sizes = [0]
    for path in out.rglob("*"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes)


@contextmanager
def half_way(cli: Cli, registry: DockerRegistry, out: Path | None, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A push, or a pull into `out`, that has got so far."""
    with cli.start(*command) as process:
        try:

            def far() -> bool:
                assert process.poll() is None, process.communicate()
                return (pulled(out) if out is not None else max(registry.uploads("x").values(), default=0)) > PART

            wait_until(far, "a third of the layer", seconds=60)
            yield process
        finally:
            process.kill()


def test_memory(large: Path, pushed: DockerRegistry, out: Path) -> None:
    """The limit is that of `measured`, also for the push."""
    assert same_layer(large, pushed.blob(layer_of(large)[0]))
    copied = measured("copy", "--json", f"docker://{pushed.host}/x:t", f"oci:{out / 'x'}:t")
    assert copied["digest"] == root_of(large)
    assert same_layer(large, blob_in(out / "x", large))


@pytest.mark.parametrize("secret", ["one", "another"])
def test_a_registry_dies_in_a_push(cli: Cli, large: Path, empty: DockerRegistry, out: Path, secret: str) -> None:
    """With another secret it knows nothing of the upload; with the same one docker-registry 2.8 does not go on either,
    as there is more of it than it has told of (test_registry.py has one that does).
    """
    with half_way(cli, empty, None, "copy", f"oci:{large}:t", f"docker://{empty.host}/x:t") as process:
        empty.kill()
        assert process.poll() is None
        empty.start(secret)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert not err
    assert not list(cli.temp_dir.iterdir())
    assert empty.tags("x") == {"t": root_of(large)}
    asked = [one for one in empty.accesses("GET") if "/v2/x/blobs/uploads/" in one]
    assert [" 404 " in one for one in asked] == [True], "how far it has got"
    skopeo(*SKOPEO_COPY, f"docker://{empty.host}/x:t", f"oci:{out / 'theirs'}:t")
    assert same_layer(large, blob_in(out / "theirs", large))


def test_a_registry_dies_in_a_pull(cli: Cli, large: Path, pushed: DockerRegistry, out: Path) -> None:
    before = len(pushed.accesses("GET"))
    with half_way(cli, pushed, out, "copy", f"docker://{pushed.host}/x:t", f"oci:{out / 'x'}:t") as process:
        pushed.kill()
        assert process.poll() is None
        pushed.start()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert not err
    assert not list(cli.temp_dir.iterdir())
    assert [path.name for path in out.iterdir()] == ["x"]
    assert same_layer(large, blob_in(out / "x", large))
    name, size = layer_of(large)
    [rest] = [one for one in pushed.accesses("GET")[before:] if name in one]
    status, length = rest.split('"')[1].split()
    assert status == "206"
    assert int(length) < size - PART + (64 << 20), "it went on where it was"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("what", ["push", "pull"])
def test_a_signal(
    request: pytest.FixtureRequest, cli: Cli, large: Path, out: Path, number: int, code: int, what: str
) -> None:
    registry: DockerRegistry = request.getfixturevalue("pushed" if what == "pull" else "empty")
    place = f"docker://{registry.host}/x:t"
    command = ("copy", place, f"oci:{out / 'x'}:t") if what == "pull" else ("copy", f"oci:{large}:t", place)
    with half_way(cli, registry, out if what == "pull" else None, *command) as process:
        began = time.monotonic()
        process.send_signal(number)
        text, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 5
    assert process.returncode == code, err
    assert (text, err) == ("", "\n" if number == signal.SIGINT else "")  # click's, after ^C
    assert not list(cli.temp_dir.iterdir())
    assert not list(out.iterdir())
    if what == "push":
        assert not registry.tags("x")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_nobody_answers(cli: Cli, large: Path, pushed: DockerRegistry, out: Path, number: int) -> None:
    """In the wait before another try."""
    with half_way(cli, pushed, out, "copy", f"docker://{pushed.host}/x:t", f"oci:{out / 'x'}:t") as process:
        pushed.kill()
        try:
            size = -1

            def stands_still() -> bool:
                nonlocal size
                before, size = size, pulled(out)
                return size == before

            wait_until(stands_still, "an end of the bytes", every=0.3)
            began = time.monotonic()
            process.send_signal(number)
            _, err = process.communicate(timeout=20)
            assert time.monotonic() - began < 5
        finally:
            pushed.start()
    assert process.returncode == (130 if number == signal.SIGINT else 143), err
    assert not err.strip()
    assert not list(cli.temp_dir.iterdir())
    assert not list(out.iterdir())


def test_an_import_that_is_interrupted(cli: Cli, pushed: DockerRegistry, out: Path) -> None:
    with half_way(cli, pushed, out, "import", "-i", f"docker://{pushed.host}/x:t#0", str(out / "layer")) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 5
    assert process.returncode == 130, err
    assert not list(cli.temp_dir.iterdir())
    assert not list(out.iterdir())


def test_import_and_export(large: Path, pushed: DockerRegistry, out: Path) -> None:
    """From a registry and into one, in as little memory."""
    name, _ = layer_of(large)
    imported = measured("import", "--json", "-i", f"docker://{pushed.host}/x:t#0", out / "layer")
    assert imported["diff_id"] == name
    exported = measured(
        *("export", "--json", "--compress", "none", "-o", f"docker://{pushed.host}/exported:t#0", out / "layer")
    )
    assert exported["diff_id"] == exported["digest"] == name
    assert pushed.has("exported", name)
    manifest = pushed.blob(pushed.tags("exported")["t"]).read_bytes()
    assert digest(manifest) == pushed.tags("exported")["t"]
