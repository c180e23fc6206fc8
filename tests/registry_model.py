"""A registry in memory, behind the client's transport of one method: no socket, and every fault on demand.

It knows OCI's distribution API as Docker's registry has it: the location of an upload changes with every answer, of no
byte and of one it says the same, and a manifest is taken once all that it leads to is there. What was asked is written
down.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from wclayer.distribution.backoff import Backoff
from wclayer.distribution.credentials import Credential
from wclayer.distribution.registries import Registries
from wclayer.distribution.session import Registry
from wclayer.distribution.transport import NotTlsError, Request
from wclayer.errors import RemoteError, UnreachableError

HOST: Final = "r.example"
AUTH: Final = "auth.example"
USER: Final = "me"
SECRET: Final = "s3cr3t-of-me"  # noqa: S105 # of nobody
BASIC: Final = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"

_MANIFEST_PATH: Final = re.compile(r"/v2/(.+)/manifests/([^/]+)")
_BLOB_PATH: Final = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
_UPLOAD_PATH: Final = re.compile(r"/v2/(.+)/blobs/uploads/([^/]*)")
_RANGE: Final = re.compile(r"bytes=([0-9]+)-")
_CONTENT_RANGE: Final = re.compile(r"([0-9]+)-([0-9]+)")
_ENOUGH: Final = 300  # requests, and waits: more than these are without end
_KEPT: Final = 8 << 20  # bytes of an upload; of a larger one just the digest is kept


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Content(Protocol):
    """The bytes of a blob, as they are asked for."""

    size: int

    def at(self, offset: int, n: int) -> bytes: ...


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def at(self, offset: int, n: int) -> bytes:
        return self.data[offset : offset + n]


class Zeros:
    """A blob that nobody keeps: `size` zeros."""

    def __init__(self, size: int) -> None:
        self.size = size

    def at(self, offset: int, n: int) -> bytes:
        return bytes(max(0, min(n, self.size - offset)))

    def digest(self) -> str:
        state = hashlib.sha256()
        for _ in range(self.size >> 20):
            state.update(bytes(1 << 20))
        state.update(bytes(self.size & (1 << 20) - 1))
        return f"sha256:{state.hexdigest()}"


@dataclass
class Sent:
    """A request that was sent; `got`: how many bytes of its body arrived, `largest`: in one piece."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None
    got: int = 0
    largest: int = 0
    status: int | None = None

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


class Answer:
    """A response. cut: the connection breaks after so many bytes of its body. piece: at most so many come at once."""

    def __init__(
        self,
        status: int,
        body: bytes | Content = b"",
        headers: Mapping[str, str] | None = None,
        *,
        start: int = 0,
        head: bool = False,
    ) -> None:
        self.status = status
        self.content: Content = Bytes(body) if isinstance(body, bytes) else body
        self._headers = {"content-length": str(self.content.size - start), **(headers or {})}
        self.headers: Mapping[str, str] = self._headers
        self.cut: int | None = None
        self.piece = 1 << 16
        self.closed = False
        self.largest = 0
        self._position = start
        self._start = start
        self._head = head

    @property
    def given(self) -> int:
        """How many bytes of its body have been read."""
        return self._position - self._start

    def set(self, name: str, value: str | None) -> None:
        """Give it another header; None for none of that name."""
        self._headers.pop(name, None)
        if value is not None:
            self._headers[name] = value

    def read(self, n: int = -1, /) -> bytes:
        assert not self.closed
        if self._head:
            return b""
        if n < 0:
            return b"".join(iter(lambda: self.read(self.content.size + 1), b""))
        self.largest = max(self.largest, n)
        n = min(n, self.piece)
        if self.cut is not None:
            left = self._start + self.cut - self._position
            if left <= 0 and not ("content-length" in self.headers and self._position == self.content.size):
                raise UnreachableError("the connection broke off: the model does")
            n = min(n, max(0, left))
        data = self.content.at(self._position, n)
        self._position += len(data)
        return data

    def close(self) -> None:
        self.closed = True


@dataclass
class Fault:
    """What goes wrong with a request whose `METHOD URL` the pattern is found in, after the first `skip` of them; those
    that an earlier fault meets do not count.

    times: with how many of them; None for all. unreachable: nothing arrives. lost: all is done, and the answer lost.
    status: the answer, after the request's body has arrived (just its first byte, if `at_once`). cut_request: the
    connection breaks after so many bytes of the request's body. cut: after so many of the answer's. edit: changes the
    answer. before: called first.
    """

    pattern: str
    skip: int = 0
    times: int | None = 1
    unreachable: bool = False
    lost: bool = False
    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    at_once: bool = False
    cut_request: int | None = None
    cut: int | None = None
    edit: Callable[[Answer], None] | None = None
    before: Callable[[], None] | None = None
    met: int = 0

    def meets(self, line: str) -> bool:
        if not re.search(self.pattern, line):
            return False
        self.met += 1
        return self.met > self.skip and (self.times is None or self.met <= self.skip + self.times)


def redirect(pattern: str, url: str, status: int = 307, **more: Any) -> Fault:
    return Fault(pattern, status=status, headers={"location": url}, **more)


def failure(code: str, message: str = "", detail: object = None) -> bytes:
    """The body of an answer that is an error."""
    return json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()


@dataclass
class _Upload:
    repository: str
    size: int = 0
    state: int = 0
    data: bytearray | None = field(default_factory=bytearray)
    hash: Any = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self.hash.update(piece)
        if self.data is not None:
            self.data += piece
            if len(self.data) > _KEPT:
                self.data = None

    def content(self) -> Content:
        return Zeros(self.size) if self.data is None else Bytes(bytes(self.data))


class Model:
    """The registry at `host`, its token server, and other hosts.

    auth: `basic`, `bearer`, or None for none. public: everybody may pull. tls: whether it speaks TLS. no_patch: the
    status that it answers PATCH with; 400 stands for UNSUPPORTED. most_body: 413 for larger bodies. ranges: whether it
    knows Range. tell_digest, chunked: whether its answers have a Docker-Content-Digest, and no Content-Length.
    """

    def __init__(self, host: str = HOST, *, auth: str | None = None, public: bool = False, tls: bool = True) -> None:
        self.host = host
        self.auth = auth
        self.public = public
        self.tls = tls
        self.realm = f"https://{AUTH}/token"
        self.service = "the service"
        self.no_patch: int | None = None
        self.most_body: int | None = None
        self.ranges = True
        self.mounts = True
        self.tell_digest = True
        self.chunked = False
        self.piece = 1 << 16
        self.token_extra: dict[str, Any] = {}
        self.challenge_extra = ""
        self.requests: list[Sent] = []
        self.answers: list[Answer] = []
        self.faults: list[Fault] = []
        self.blobs: dict[tuple[str, str], Content] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.uploads: dict[str, _Upload] = {}
        self.tokens: dict[str, frozenset[str]] = {}
        self.hosts: dict[str, Callable[[Request], Answer]] = {AUTH: self._token}
        self._issued = 0
        self._lock = threading.RLock()

    # --- what is in it ------------------------------------------------------------

    def put_blob(self, repository: str, data: bytes | Content) -> str:
        name = digest_of(data) if isinstance(data, bytes) else Zeros(data.size).digest()
        self.blobs[repository, name] = Bytes(data) if isinstance(data, bytes) else data
        return name

    def put(self, repository: str, data: bytes, media_type: str = MANIFEST, tag: str | None = None) -> str:
        name = digest_of(data)
        self.manifests[repository, name] = (data, media_type)
        if tag is not None:
            self.tags[repository, tag] = name
        return name

    def blob(self, repository: str, name: str) -> bytes:
        content = self.blobs[repository, name]
        assert isinstance(content, Bytes)
        return content.data

    def fail(self, pattern: str, **more: Any) -> Fault:
        self.faults.append(fault := Fault(pattern, **more))
        return fault

    # --- what was asked -----------------------------------------------------------

    def lines(self, pattern: str = "") -> list[str]:
        """`METHOD /path` of the requests with the pattern in it."""
        return [one.line for one in self.requests if re.search(pattern, one.line)]

    def count(self, pattern: str) -> int:
        """How many requests had the pattern in `METHOD URL`."""
        return sum(1 for one in self.requests if re.search(pattern, f"{one.method} {one.url}"))

    def authorized(self) -> set[str]:
        """The origins that were sent an Authorization header."""
        return {one.origin for one in self.requests if "authorization" in {name.lower() for name in one.headers}}

    def told(self, secret: str) -> set[str]:
        """The origins that a secret was sent to, in whatever part of a request."""
        return {one.origin for one in self.requests if secret in f"{one.url} {one.headers} {one.body!r}"}

    def sent(self, pattern: str) -> int:
        """Bytes of the bodies of the requests with the pattern in it that have arrived."""
        return sum(one.got for one in self.requests if re.search(pattern, f"{one.method} {one.url}"))

    # --- transport ----------------------------------------------------------------

    def send(self, request: Request, /) -> Answer:
        parts = urlsplit(request.url)
        line = f"{request.method} {request.url}"
        kept = request.body if isinstance(request.body, bytes) else None
        sent = Sent(request.method, request.url, dict(request.headers), kept)
        with self._lock:
            self.requests.append(sent)
            assert len(self.requests) < _ENOUGH, "requests without end"
            fault = next((one for one in self.faults if one.meets(line)), None)
        if fault is not None and fault.before is not None:
            fault.before()
        known = {self.host: self._registry, **self.hosts}.get(parts.netloc)
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if fault is not None and fault.unreachable:
            raise UnreachableError("no answer: the model gives none", path=where)
        if known is None:
            raise RemoteError("no address of this name: the model has no such host", path=where)
        if parts.netloc == self.host and (parts.scheme == "https") != self.tls:
            if self.tls:
                raise UnreachableError("no answer: nothing but TLS there", path=where)
            raise NotTlsError("no TLS there: wrong version number", path=where)
        body = _received(request, sent, None if fault is None else fault.cut_request)
        if fault is not None and fault.status is not None:
            for _ in body:
                if fault.at_once:
                    break
            answer = Answer(fault.status, fault.body, fault.headers, head=request.method == "HEAD")
        else:
            answer = known(replace(request, body=body))
        if fault is not None:
            answer.cut = fault.cut
            if fault.edit is not None:
                fault.edit(answer)
            if fault.lost:
                raise UnreachableError("no answer: the model lost it", path=where)
        if self.chunked:
            answer.set("content-length", None)
        answer.piece = self.piece
        sent.status = answer.status
        self.answers.append(answer)
        return answer

    def close(self) -> None:
        pass

    # --- the registry -------------------------------------------------------------

    def _registry(self, request: Request) -> Answer:
        parts = urlsplit(request.url)
        path, query = parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}
        if self.most_body is not None and int(request.headers.get("Content-Length", "0")) > self.most_body:
            next(iter(_pieces(request)), None)
            return Answer(413, b"<html>too large</html>")
        if (refusal := self._refusal(request, path)) is not None:
            return refusal
        if path == "/v2/":
            return Answer(200, b"{}")
        if (found := _MANIFEST_PATH.fullmatch(path)) is not None:
            return self._manifest(request, found[1], unquote(found[2]))
        if (found := _BLOB_PATH.fullmatch(path)) is not None:
            return self._blob(request, found[1], found[2])
        if (found := _UPLOAD_PATH.fullmatch(path)) is not None:
            if request.method == "POST":
                return self._begin(found[1], query)
            return self._upload(request, found[1], found[2], query)
        return Answer(404, failure("UNSUPPORTED"))

    def _refusal(self, request: Request, path: str) -> Answer | None:
        if self.auth is None:
            return None
        sent = request.headers.get("Authorization", "")
        name = next((m[1] for one in (_MANIFEST_PATH, _UPLOAD_PATH, _BLOB_PATH) if (m := one.fullmatch(path))), "")
        action = "pull" if request.method in ("GET", "HEAD") else "push"
        if self.auth == "basic":
            if sent == f"Basic {BASIC}":
                return None
            challenge = 'Basic realm="the registry"'
        else:
            scopes = self.tokens.get(sent.removeprefix("Bearer "), frozenset())
            if sent.startswith("Bearer ") and (not name or f"{name}:{action}" in scopes):
                return None
            challenge = f'Bearer realm="{self.realm}",service="{self.service}",scope="repository:{name}:{action}"'
        headers = {"www-authenticate": challenge + self.challenge_extra}
        body = failure("UNAUTHORIZED", "authentication required")
        return Answer(401, body, headers, head=request.method == "HEAD")

    def _token(self, request: Request) -> Answer:
        """What the token server says; it is another host."""
        query = parse_qs(urlsplit(request.url).query)
        known = request.headers.get("Authorization") == f"Basic {BASIC}"
        if request.method == "POST":
            form = parse_qs(b"".join(_pieces(request)).decode())
            known = form.get("refresh_token") == [SECRET] and form.get("grant_type") == ["refresh_token"]
            query = {**form, "scope": form.get("scope", [""])[0].split()}
        elif "Authorization" in request.headers and not known:
            return Answer(401, failure("UNAUTHORIZED", "incorrect username or password"))
        assert query.get("service") == [self.service]
        granted = set()
        for scope in query.get("scope", []):
            _, name, actions = scope.split(":")
            granted |= {f"{name}:{one}" for one in actions.split(",") if known or (one == "pull" and self.public)}
        with self._lock:
            self._issued += 1
            token = f"token-{self._issued}-xyz"
            self.tokens[token] = frozenset(granted)
        return Answer(200, json.dumps({"token": token, **self.token_extra}).encode())

    def _manifest(self, request: Request, repository: str, name: str) -> Answer:
        if request.method == "PUT":
            data = b"".join(_pieces(request))
            media_type = request.headers["Content-Type"]
            missing = self._missing(repository, data)
            if missing:
                return Answer(400, failure("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", missing))
            if name.startswith("sha256:") and name != digest_of(data):
                return Answer(400, failure("DIGEST_INVALID"))
            with self._lock:
                made = self.put(repository, data, media_type, None if name.startswith("sha256:") else name)
            return Answer(201, b"", self._digest_header(made))
        name = self.tags.get((repository, name), name)
        if (found := self.manifests.get((repository, name))) is None:
            return Answer(404, failure("MANIFEST_UNKNOWN", "manifest unknown"), head=request.method == "HEAD")
        data, media_type = found
        assert media_type in request.headers["Accept"].split(", ")
        headers = {"content-type": media_type, **self._digest_header(name)}
        return Answer(200, data, headers, head=request.method == "HEAD")

    def _missing(self, repository: str, data: bytes) -> list[str]:
        value = json.loads(data)
        leaves = [one for one in (value.get("config"), *value.get("layers", ())) if one and not one.get("urls")]
        missing = [one["digest"] for one in leaves if (repository, one["digest"]) not in self.blobs]
        children = [one["digest"] for one in value.get("manifests", ())]
        return missing + [one for one in children if (repository, one) not in self.manifests]

    def _blob(self, request: Request, repository: str, name: str) -> Answer:
        content = self.blobs.get((repository, name))
        if content is None:
            return Answer(404, failure("BLOB_UNKNOWN", "blob unknown"), head=request.method == "HEAD")
        return self.give(request, content)

    def give(self, request: Request, content: Content) -> Answer:
        """The answer of a host that has a blob."""
        wanted = request.headers.get("Range")
        if request.method == "HEAD" or wanted is None or not self.ranges:
            return Answer(200, content, {"content-type": "application/octet-stream"}, head=request.method == "HEAD")
        found = _RANGE.fullmatch(wanted)
        assert found is not None
        start = int(found[1])
        if start >= content.size:
            return Answer(416, b"", {"content-range": f"bytes */{content.size}"})
        headers = {"content-range": f"bytes {start}-{content.size - 1}/{content.size}"}
        return Answer(206, content, headers, start=start)

    def _digest_header(self, name: str) -> dict[str, str]:
        return {"docker-content-digest": name} if self.tell_digest else {}

    # --- uploads ------------------------------------------------------------------

    def _begin(self, repository: str, query: Mapping[str, str]) -> Answer:
        wanted = query.get("mount", "")
        with self._lock:
            content = self.blobs.get((query.get("from", ""), wanted))
            if content is not None and self.mounts:
                self.blobs[repository, wanted] = content
                return Answer(201, b"", {"location": f"/v2/{repository}/blobs/{wanted}"})
            self._issued += 1
            number = f"u{self._issued}"
            self.uploads[number] = _Upload(repository)
            return Answer(202, b"", self._where(number))

    def _where(self, number: str) -> dict[str, str]:
        """The headers of an answer about an upload; its location is another one each time."""
        upload = self.uploads[number]
        upload.state += 1
        location = f"/v2/{upload.repository}/blobs/uploads/{number}?_state=SIGNED{upload.state}"
        return {"location": location, "range": f"0-{max(0, upload.size - 1)}", "docker-upload-uuid": number}

    def _upload(self, request: Request, repository: str, number: str, query: Mapping[str, str]) -> Answer:
        upload = self.uploads.get(number)
        if upload is None or upload.repository != repository:
            for _ in _pieces(request):
                pass
            return Answer(404, failure("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
        if request.method == "GET":
            return Answer(204, b"", self._where(number))
        if request.method == "DELETE":
            del self.uploads[number]
            return Answer(204)
        if query.get("_state") != f"SIGNED{upload.state}":
            return Answer(400, failure("BLOB_UPLOAD_INVALID", "a location that is no longer right"))
        if request.method == "PATCH" and self.no_patch is not None:
            return Answer(self.no_patch, failure("UNSUPPORTED", "the operation is unsupported"))
        span = request.headers.get("Content-Range")
        if span is not None:
            found = _CONTENT_RANGE.fullmatch(span)
            assert found is not None
            assert int(found[2]) - int(found[1]) + 1 == int(request.headers["Content-Length"])
            if int(found[1]) != upload.size:
                return Answer(416, failure("RANGE_INVALID"), self._where(number))
        for piece in _pieces(request):
            upload.add(piece)
        if request.method == "PATCH":
            return Answer(202, b"", self._where(number))
        assert request.method == "PUT"
        name = f"sha256:{upload.hash.hexdigest()}"
        if query.get("digest") != name:
            return Answer(400, failure("DIGEST_INVALID", "provided digest did not match uploaded content"))
        with self._lock:
            del self.uploads[number]
            self.blobs[repository, name] = upload.content()
        headers = {"location": f"/v2/{repository}/blobs/{name}", **self._digest_header(name)}
        return Answer(201, b"", headers)


def _pieces(request: Request) -> Iterator[bytes]:
    body = request.body
    if isinstance(body, bytes):
        yield from (body,) if body else ()
    elif body is not None:
        yield from body


def _received(request: Request, sent: Sent, cut: int | None) -> Iterator[bytes]:
    """The request's body as it arrives, to the last byte that its Content-Length says."""
    for piece in _pieces(request):
        taken = piece
        if cut is not None and sent.got + len(piece) > cut:
            taken = piece[: cut - sent.got]
        sent.got += len(taken)
        sent.largest = max(sent.largest, len(piece))
        if taken:
            yield taken
        if len(taken) < len(piece):
            raise UnreachableError("no answer: the model broke off", path=sent.origin)
    if cut is not None:
        raise UnreachableError("no answer: the model broke off", path=sent.origin)
    if (length := request.headers.get("Content-Length")) is not None:
        assert sent.got == int(length)


# --- clients of it --------------------------------------------------------------


class Always:
    """Credentials that are the same everywhere."""

    def __init__(self, credential: Credential | None = None) -> None:
        self.credential = credential or Credential(USER, SECRET)
        self.asked: list[tuple[str, str]] = []

    def find(self, host: str, repository: str, /) -> Credential | None:
        self.asked.append((host, repository))
        return self.credential


IDENTITY: Final = Always(Credential("", SECRET, identity=True))


def quick(waits: list[float] | None = None, **more: Any) -> Backoff:
    """Tries that do not wait, but write down how long they would have."""
    noted: list[float] = [] if waits is None else waits

    def pause(seconds: float) -> bool:
        noted.append(seconds)
        assert len(noted) < _ENOUGH, "tries without end"
        return True

    return Backoff(pause=pause, chance=lambda: 0.5, **more)


def connect(model: Model, waits: list[float] | None = None, host: str | None = None, **more: Any) -> Registry:
    """The client of the model."""
    tries = more.pop("tries", 8)
    return Registry(host or model.host, model, backoff=quick(waits, tries=tries), **more)


def reach(model: Model, waits: list[float] | None = None, **more: Any) -> Registries:
    """All registries, as functions that take places want them."""
    tries = more.pop("tries", 8)
    return Registries(transport=model, backoff=quick(waits, tries=tries), **more)


def put_layout(
    model: Model, repository: str, files: Sequence[tuple[str, bytes]], root: Mapping[str, Any], tag: str
) -> str:
    """Put all files of an image layout in, and the descriptor `root` under a tag."""
    for name, data in files:
        if name.startswith("blobs/sha256/"):
            media_type = _media_type(data)
            if media_type is None:
                model.put_blob(repository, data)
            else:
                model.put(repository, data, media_type)
    model.tags[repository, tag] = root["digest"]
    return str(root["digest"])


def _media_type(data: bytes) -> str | None:
    """That of a manifest or index; None for any other blob."""
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict) or not ("layers" in value or "manifests" in value):
        return None
    return str(value.get("mediaType", MANIFEST))
