"""A registry's error responses ([distribution-spec] "Error Codes") as errors of our own."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from ..errors import RemoteError, RemoteNotFoundError, UnreachableError, printable
from .backoff import TRANSIENT
from .transport import Response

__all__ = ["codes_and_text", "error_from", "error_of"]

_MAX_TEXT: Final = 64 << 10  # bytes of an answer that are looked at
_HINTS: Final[dict[int, str]] = {
    401: "log in (docker login, podman login), or say --authfile",
    403: "this account may not do it, or there is no such repository",
    407: "the proxy wants credentials: put them into HTTPS_PROXY",
    413: "a proxy before the registry takes no body of this size",
    429: "it has had enough of requests for now: try again later, or log in",
}


def codes_and_text(response: Response) -> tuple[frozenset[str], str]:
    """The error codes of a response, and its text for people, escaped for display. Closes the response."""
    data = b""
    try:
        while len(data) < _MAX_TEXT and (chunk := response.read(_MAX_TEXT)):
            data += chunk
    except RemoteError:
        pass  # what there is will do
    finally:
        response.close()
    codes: list[str] = []
    texts: list[str] = []
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    errors = value.get("errors") if isinstance(value, dict) else None
    for one in errors if isinstance(errors, list) else ():
        if isinstance(one, dict):
            code, message, detail = one.get("code"), one.get("message"), one.get("detail")
            codes += [code] if isinstance(code, str) else []
            shown = [part for part in (code, message) if isinstance(part, str) and part]
            if detail:
                shown.append(detail if isinstance(detail, str) else json.dumps(detail, sort_keys=True))
            texts.append(": ".join(shown))
    if not texts and isinstance(value, dict):
        texts = [text for key in ("message", "details", "error") if isinstance(text := value.get(key), str)]
    if not texts and not data.lstrip().startswith(b"<"):  # no page for browsers
        texts = [data.decode("utf-8", "replace").strip()]
    return frozenset(codes), printable("; ".join(filter(None, texts)))


def error_of(response: Response, what: str, where: str) -> RemoteError:
    """The error for an unexpected response. Closes the response.

    what: what failed, as in "it does not give the manifest". where: the image or repository.
    """
    codes, text = codes_and_text(response)
    return error_from(response.status, codes, text, what, where)


def error_from(status: int, codes: frozenset[str], text: str, what: str, where: str) -> RemoteError:
    """The same for a response that has been read already."""
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    message = f"{what}: the registry answers {phrase}" + (f": {text}" if text else "")
    if status == HTTPStatus.NOT_FOUND:
        return RemoteNotFoundError(message, path=where)
    hint = _HINTS.get(status)
    if status in TRANSIENT:
        return UnreachableError(message, path=where, hint=hint)
    if status == HTTPStatus.BAD_REQUEST and "DIGEST_INVALID" in codes:
        hint = "the bytes changed on the way: push again"
    return RemoteError(message, path=where, hint=hint)
