"""Registries on loopback: docker-registry, killed and started again at will, and a proxy before it that misbehaves."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.compat.tools import tool

USER, PASSWORD = "lily", "s3cret-p4ssw0rd"
PATIENCE: Final = 20.0  # seconds for a registry to answer
_PIECE: Final = 1 << 16
_CONFIG = """
version: 0.1
log: {{level: warn, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http:
  addr: 127.0.0.1:{port}
  secret: {secret}
{more}"""


def wait_until(found: Callable[[], bool], what: str, seconds: float = PATIENCE, every: float = 0.01) -> None:
    """Poll; fail the test if it takes longer."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass(frozen=True)
class Tls:
    """A CA, and a server's certificate of it for 127.0.0.1 and localhost."""

    ca: Path
    certificate: Path
    key: Path


def make_tls(folder: Path) -> Tls:
    """Made by openssl."""

    def openssl(*arguments: str | Path) -> None:
        subprocess.run([tool("openssl"), *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    folder.mkdir()
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=throwaway CA")
    openssl("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return Tls(folder / "ca.pem", folder / "server.pem", folder / "server.key")


class DockerRegistry:
    """docker-registry in `folder`; `host` is its HOST:PORT."""

    def __init__(self, folder: Path, tls: Tls | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.tls = tls
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._root = folder / "storage" / "docker" / "registry" / "v2"
        self._process: subprocess.Popen[bytes] | None = None
        self._more = ""
        if tls is not None:
            made = subprocess.run([tool("htpasswd"), "-Bbn", USER, PASSWORD], check=True, capture_output=True)
            (folder / "htpasswd").write_bytes(made.stdout)
            self._more = (
                f"  tls: {{certificate: {tls.certificate}, key: {tls.key}}}\n"
                f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}\n"
            )

    def start(self, secret: str = "one") -> None:  # noqa: S107 # one of its own, for the state of uploads
        """Start it, on the same port and with the same storage each time; it answers when this comes back."""
        assert self._process is None
        config = self.folder / "config.yml"
        storage = self.folder / "storage"
        config.write_text(_CONFIG.format(storage=storage, port=self.port, secret=secret, more=self._more))
        with (self.folder / "log").open("ab") as log:
            command = [tool("docker-registry"), "serve", str(config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_until(self._answers, "an answer of docker-registry")
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        if self.tls is not None:
            context = ssl.create_default_context(cafile=str(self.tls.ca))
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        with closing(connection), suppress(OSError):
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        return False

    def kill(self) -> None:
        """SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def accesses(self, method: str) -> list[str]:
        """`PATH HTTP/1.1" STATUS ...` of each request of a method that has ended."""
        return re.findall(rf'"{method} (.*)', self.log())

    # --- what is stored -----------------------------------------------------------

    def blob(self, digest: str) -> Path:
        """The one file of a blob, whatever repositories have it."""
        name = digest.partition(":")[2]
        return self._root / "blobs" / "sha256" / name[:2] / name / "data"

    def has(self, repository: str, digest: str) -> bool:
        """Has the repository a link to the blob?"""
        return (self._root / "repositories" / repository / "_layers/sha256" / digest[7:] / "link").is_file()

    def tags(self, repository: str) -> dict[str, str]:
        """Tag -> digest of the manifest."""
        folder = self._root / "repositories" / repository / "_manifests/tags"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return {path.name: (path / "current/link").read_text() for path in found}

    def uploads(self, repository: str) -> dict[str, int]:
        """Uploads that have not ended -> bytes of each."""
        folder = self._root / "repositories" / repository / "_uploads"
        sizes = {}
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):
                sizes[path.name] = (path / "data").stat().st_size
        return sizes


@contextmanager
def docker_registry(folder: Path, tls: Tls | None = None) -> Iterator[DockerRegistry]:
    """One that runs: plain, or with TLS and the account USER."""
    registry = DockerRegistry(folder, tls)
    registry.start()
    try:
        yield registry
    finally:
        registry.kill()


# --- a proxy that can be told to do wrong ---------------------------------------


@dataclass
class Seen:
    """A request that came to the proxy; sent: bytes of the body of the answer. Names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


@dataclass
class Answer:
    """An answer of the registry, to be edited; its Content-Length is that of the body in the end."""

    status: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One request at the proxy, and what can be done about it."""

    def __init__(self, handler: _Handler, seen: Seen) -> None:
        self.seen = seen
        self.length = int(seen.headers.get("content-length", "0"))
        self._handler = handler
        self._unread = self.length

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """An answer that does not come from the registry; like nginx, what the client sends yet is thrown away."""
        self._begin(status, {**headers, "Content-Length": str(len(body))})
        self._write(b"" if self.seen.method == "HEAD" else body)
        self._handler.wfile.flush()
        self._drain()

    def stream(self, status: int, headers: Mapping[str, str], chunks: Iterable[bytes]) -> None:
        """An answer as long as `chunks` are; without a Content-Length it ends with the connection."""
        self._handler.close_connection = True
        self._begin(status, headers)
        for chunk in chunks:
            self._write(chunk)

    def forward(
        self,
        *,
        edit: Callable[[Answer], None] | None = None,
        cut_request: int | None = None,
        cut_response: int | None = None,
        reset: bool = False,
        change: Callable[[bytes], bytes] | None = None,
        before: bytes = b"",
    ) -> None:
        """Ask the registry. edit: change what it answers. cut_*: break off after so many bytes of the body; the answer
        with a mere end of the connection, or if `reset`, hard, so that what is on its way gets lost too.

        change: what it is sent, in pieces. before: send this before the body.
        """
        upstream = http.client.HTTPConnection(*self._handler.server.upstream, timeout=60)
        with closing(upstream):
            upstream.putrequest(self.seen.method, self.seen.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.seen.headers.items():
                length = name == "content-length"
                upstream.putheader(name, str(self.length + len(before)) if length else value)
            upstream.endheaders(before)
            left = self.length if cut_request is None else min(cut_request, self.length)
            while left and (data := self._read(left)):
                upstream.send(data if change is None else change(data))
                left -= len(data)
            if left:
                return self._handler.cut()  # the client has gone away
            if cut_request is not None:
                # Let the registry write down what it has got before the client hears of it.
                upstream.sock.shutdown(socket.SHUT_WR)
                with suppress(OSError, http.client.HTTPException):
                    upstream.getresponse().read()
                return self._handler.cut()
            response = upstream.getresponse()
            assert not response.chunked
            headers = {name: value for name, value in response.getheaders() if name.lower() != "connection"}
            if edit is not None:
                answer = Answer(response.status, headers, response.read())
                edit(answer)
                if self.seen.method != "HEAD":
                    headers["Content-Length"] = str(len(answer.body))
                self._begin(answer.status, headers)
                return self._write(answer.body)
            self._begin(response.status, headers)
            while data := response.read(_PIECE):
                if cut_response is not None and self.seen.sent + len(data) >= cut_response:
                    self._write(data[: cut_response - self.seen.sent])
                    self._handler.cut(reset=reset)
                    break
                self._write(data)
        return None

    def body(self, most: int | None = None) -> bytes:
        """The body, or the front of it."""
        left = self.length if most is None else min(most, self.length)
        return b"".join(iter(lambda: self._read(left - (self.length - self._unread)), b""))

    def cut(self) -> None:
        """Break the connection off, with a reset."""
        self._handler.cut()

    def _read(self, n: int) -> bytes:
        data = self._handler.rfile.read(min(n, _PIECE))
        self._unread -= len(data)
        return data

    def _drain(self) -> None:
        if self._unread:
            self._handler.close_connection = True
        while self._unread and self._read(self._unread):
            pass

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.seen.status = status
        self._handler.send_response_only(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        if self._unread:
            self._handler.send_header("Connection", "close")
        self._handler.end_headers()

    def _write(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self.seen.sent += len(data)


Action: TypeAlias = Callable[[Exchange], None]


@dataclass
class _Rule:
    method: re.Pattern[str]
    path: re.Pattern[str]
    act: Action
    left: int | None


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.lock = threading.Lock()
        self.rules: list[_Rule] = []
        self.seen: list[Seen] = []
        self.errors: list[str] = []
        self.sockets: set[socket.socket] = set()

    def action_for(self, seen: Seen) -> Action | None:
        with self.lock:
            self.seen.append(seen)
            for rule in self.rules:
                if rule.left != 0 and rule.method.fullmatch(seen.method) and rule.path.search(seen.path):
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule.act
        return None

    def shutdown_request(self, request: Any) -> None:
        with suppress(OSError):
            if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):  # cut off: no end that looks like one
                request.close()
                return
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        text = traceback.format_exc()
        with self.lock:
            self.errors.append(text)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Server
    connection: socket.socket

    def handle(self) -> None:
        with self.server.lock:
            self.server.sockets.add(self.connection)
        try:
            with suppress(ConnectionError, TimeoutError):  # the client has gone away
                if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":  # it tries TLS: what Go and nginx say to that
                    self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\nThis is no TLS.\n")
                    return
                super().handle()
        finally:
            with self.server.lock:
                self.server.sockets.discard(self.connection)

    def _do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers)
        exchange = Exchange(self, seen)
        (self.server.action_for(seen) or Exchange.forward)(exchange)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 # http.server's names

    def cut(self, *, reset: bool = True) -> None:
        """Break the connection off."""
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 # http.server's name
        pass


class Proxy:
    """The proxy at `host`; `seen` are the requests so far."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.host = f"127.0.0.1:{server.server_address[1]}"

    @property
    def seen(self) -> list[Seen]:
        with self._server.lock:
            return list(self._server.seen)

    def of(self, method: str, path: str = "") -> list[Seen]:
        """The requests of a method to a path in which `path`, a pattern, is found."""
        return [one for one in self.seen if one.method == method and re.search(path, one.path)]

    def on(self, methods: str, path: str, act: Action, *, times: int | None = None) -> None:
        """Act so on requests of these methods (`GET|HEAD`) to such paths, so many times; of several rules the first."""
        rule = _Rule(re.compile(methods), re.compile(path), act, times)
        with self._server.lock:
            self._server.rules.append(rule)


@contextmanager
def proxy(registry: DockerRegistry) -> Iterator[Proxy]:
    """A proxy before a plain registry; what goes wrong in it fails the test."""
    with _Server(("127.0.0.1", registry.port)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Proxy(server)
        finally:
            server.shutdown()
            thread.join()
            with server.lock:
                for one in server.sockets:
                    with suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
    assert not server.errors, server.errors[0]


def answers(status: int, body: bytes = b"", **headers: str) -> Action:
    """`Retry_After="0"` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, named, body)


def redirects(host: str) -> Action:
    """To the same path of another host."""
    return lambda exchange: exchange.answer(307, {"Location": f"http://{host}{exchange.seen.path}"})


def edits(edit: Callable[[Answer], None]) -> Action:
    return lambda exchange: exchange.forward(edit=edit)


def cuts_response(after: int, *, reset: bool = False) -> Action:
    return lambda exchange: exchange.forward(cut_response=after, reset=reset)


def cuts_request(after: int) -> Action:
    return lambda exchange: exchange.forward(cut_request=after)


class Resumable:
    """Uploads as the specification has them, kept here until the PUT: docker-registry 2.8 goes on only at an offset
    that it has told in an answer, so resumes none that broke off. cuts: after how many bytes the first PATCHes break.
    """

    def __init__(self, *cuts: int) -> None:
        self._cuts = list(cuts)
        self._kept: dict[str, bytes] = {}

    def __call__(self, exchange: Exchange) -> None:
        path, _, query = exchange.seen.path.partition("?")
        kept = self._kept.get(path, b"")
        if exchange.seen.method == "PUT" and path in self._kept:
            return exchange.forward(before=kept)
        found = {"Location": f"{path}?{query}", "Range": f"0-{max(0, len(kept) - 1)}"}
        if exchange.seen.method == "GET":
            return exchange.answer(204 if path in self._kept else 404, found)
        if exchange.seen.method != "PATCH":
            return exchange.forward()
        start = exchange.seen.headers.get("content-range", f"{len(kept)}-").partition("-")[0]
        if int(start) != len(kept):
            return exchange.answer(416, found)
        cut = self._cuts.pop(0) if self._cuts else None
        self._kept[path] = kept = kept + exchange.body(cut)
        if cut is not None:
            return exchange.cut()
        return exchange.answer(202, {**found, "Range": f"0-{len(kept) - 1}"})


def takes_at_most(size: int) -> Action:
    """413 for a larger body."""

    def act(exchange: Exchange) -> None:
        if exchange.length > size:
            exchange.answer(413, {"Content-Type": "text/html"}, b"<html>413 Request Entity Too Large</html>")
        else:
            exchange.forward()

    return act


def flips_a_byte(answer: Answer) -> None:
    if answer.body:
        middle = len(answer.body) // 2
        answer.body = answer.body[:middle] + bytes((answer.body[middle] ^ 1,)) + answer.body[middle + 1 :]


def says_another_digest(answer: Answer) -> None:
    answer.headers["Docker-Content-Digest"] = f"sha256:{'0' * 64}"


def shortens(answer: Answer) -> None:
    answer.body = answer.body[:-1]
