"""Credentials for registries: Docker's config.json, podman's auth.json, and the credential helpers that they name.

Sources: [docker] cli/config/configfile and docker-credential-helpers; containers-auth.json(5).
No repr and no message contains a secret.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..errors import AccessError, ConfinementError, FormatError, NotFoundError, RemoteError, printable
from ..host.errors import host_errors
from .reference import usual_host

__all__ = ["AuthFiles", "Credential", "Credentials"]

_MAX_FILE: Final = 1 << 20  # bytes
_HELPER: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_PATIENCE: Final = 60  # seconds for a helper, which may ask the user
_IDENTITY: Final = "<token>"  # the user name that stands for an identity token
_HUB: Final = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password; `identity`: the secret is an identity token to exchange, without a user."""

    username: str
    secret: str = field(repr=False)
    identity: bool = False


class Credentials(Protocol):
    """A source of credentials."""

    def find(self, host: str, repository: str, /) -> Credential | None:
        """The credentials for a repository; None for anonymous access."""


class AuthFiles:
    """The files at `paths`; the first one with an entry for a host is used, missing files are skipped.

    needed: a file that must exist. In one file the longest matching entry is used, as podman does:
    `HOST/NAMESPACE/REPOSITORY`, `HOST/NAMESPACE`, `HOST`.

    find() raises FormatError for a malformed file, RemoteError for a helper that fails.
    """

    def __init__(self, paths: Sequence[str], *, needed: str | None = None) -> None:
        self._paths = [needed, *paths] if needed else list(paths)
        self._needed = needed
        self._read: dict[str, Mapping[str, Any]] = {}

    def find(self, host: str, repository: str, /) -> Credential | None:
        for path in self._paths:
            found = self._in(path, self._load(path), host, repository)
            if found is not None:
                return found
        return None

    def _load(self, path: str) -> Mapping[str, Any]:
        if path in self._read:
            return self._read[path]
        value: Any = {}
        try:
            with host_errors(path), open(path, "rb") as file:
                data = file.read(_MAX_FILE + 1)
            value = json.loads(data) if len(data) <= _MAX_FILE else None
        except (NotFoundError, AccessError, ConfinementError):  # NotADirectoryError: a component of the path is a file
            if path == self._needed:
                raise
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise FormatError("a credentials file that is not a JSON object", path=path, hint="log in again")
        self._read[path] = value
        return value

    def _in(self, path: str, value: Mapping[str, Any], host: str, repository: str) -> Credential | None:
        names = _names(host, repository)
        helpers = {_normal(key): helper for key, helper in _table(value, "credHelpers").items()}
        for name in names:
            helper = helpers.get(name)
            if isinstance(helper, str) and helper:
                return _ask(helper, _server(name), path)
        store = value.get("credsStore")
        if isinstance(store, str) and store:
            found = _ask(store, _server(host), path)
            if found is not None:
                return found
        entries = {_normal(key): entry for key, entry in _table(value, "auths").items()}
        for name in names:
            entry = entries.get(name)
            if isinstance(entry, dict) and (credential := _decode(entry, f"{path}: auths.{name}")) is not None:
                return credential
        return None


def _table(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _names(host: str, repository: str) -> list[str]:
    """The keys to look up, the most specific first."""
    parts = repository.split("/")
    return [*("/".join([host, *parts[:number]]) for number in range(len(parts), 0, -1)), host]


def _normal(key: str) -> str:
    """Normalize the spellings of a host in these files: `https://HOST/v1/`, `index.docker.io`."""
    name = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, rest = name.partition("/")
    host = usual_host(host)
    if rest in ("v1", "v2"):
        rest = ""
    return f"{host.lower()}/{rest}" if rest else host.lower()


def _server(name: str) -> str:
    """The name by which helpers know a host."""
    return _HUB if name == "docker.io" else name


def _decode(entry: Mapping[str, Any], where: str) -> Credential | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credential("", token, identity=True)
    text = entry.get("auth")
    if isinstance(text, str) and text:
        try:
            user, colon, secret = base64.b64decode(text, validate=True).decode("utf-8").rstrip("\0").partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise FormatError("a credential that cannot be read", path=where, expected="base64 of USER:PASSWORD")
        return Credential(user, secret) if user else None
    name, password = entry.get("username"), entry.get("password")
    return Credential(name, password) if isinstance(name, str) and isinstance(password, str) and name else None


def _found(program: str) -> str:
    """The path of the helper, from PATH only: Windows would look in the current folder first."""
    if os.name != "nt":
        return program
    folders = [folder for folder in os.get_exec_path() if os.path.isabs(folder)]
    found = shutil.which(program, path=os.pathsep.join(folders)) if folders else None
    if found is None:
        raise FileNotFoundError(program)
    return found


def _ask(helper: str, server: str, path: str) -> Credential | None:
    """The answer of `docker-credential-HELPER get`; None if it has none. Raises RemoteError for any other failure."""
    if not _HELPER.fullmatch(helper):
        raise FormatError("the name of a credential helper", path=path, expected="letters, digits, . _ -", got=helper)
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(  # noqa: S603 # the user's own configuration names it
            [_found(program), "get"], input=server.encode(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError:
        raise RemoteError(
            "a credential helper that is not installed", path=path, expected=program, hint="install it, or log in again"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RemoteError(f"the credential helper {program} fails: {type(error).__name__}", path=path) from None
    if done.returncode:
        said = (done.stdout or done.stderr).decode("utf-8", "replace").strip()
        if "credentials not found" in said.lower():
            return None
        raise RemoteError(f"the credential helper {program} fails: {printable(said) or done.returncode}", path=path)
    try:
        value = json.loads(done.stdout)
        user, secret = value["Username"], value["Secret"]
    except (ValueError, TypeError, KeyError, RecursionError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise RemoteError(
            f"the credential helper {program} gives nothing that makes sense", path=path, expected="Username and Secret"
        )
    if not secret:
        return None
    return Credential("", secret, identity=True) if user == _IDENTITY else Credential(user, secret)
