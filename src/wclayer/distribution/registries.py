"""All registries of one operation, and what they share: connections, credentials, retry limits."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import BinaryIO, Self

from .backoff import Backoff
from .credentials import Credentials
from .fetch import fetch
from .session import Registry
from .transport import Transport

__all__ = ["Registries"]


class Registries:
    """Registries, each created on first use. Closed by close(), or as a context manager.

    credentials: None for anonymous access. plain_http: allow registries without TLS (loopback is always allowed).
    transport: how to reach them; by default TCP with TLS by the system's certificates, or those in `ca_file`, and
    https_proxy and no_proxy as in the variables of these names. jobs: the number of blobs transferred at once.
    """

    def __init__(
        self,
        *,
        credentials: Credentials | None = None,
        plain_http: bool = False,
        ca_file: str | None = None,
        https_proxy: str | None = None,
        no_proxy: str = "",
        backoff: Backoff | None = None,
        transport: Transport | None = None,
        user_agent: str = "wclayer",
        jobs: int = 3,
    ) -> None:
        self.jobs = jobs
        self._credentials = credentials
        self._plain_http = plain_http
        self._network = (ca_file, https_proxy, no_proxy)
        self._transport = transport
        self._own = transport is None
        self._user_agent = user_agent
        self._stopped = threading.Event()
        backoff = backoff or Backoff()
        if backoff.pause is None:
            # A wait that abort() can end.
            backoff = replace(backoff, pause=lambda seconds: not self._stopped.wait(seconds))
        self._backoff = backoff
        self._lock = threading.Lock()
        self._found: dict[str, Registry] = {}

    def registry(self, host: str) -> Registry:
        """The registry at `host`."""
        with self._lock:
            found = self._found.get(host)
            if found is None:
                found = Registry(
                    host,
                    self._connect(),
                    credentials=self._credentials,
                    backoff=self._backoff,
                    plain_http=self._plain_http,
                    user_agent=self._user_agent,
                )
                self._found[host] = found
            return found

    def fetch(self, url: str, digest: str, file: BinaryIO) -> None:
        """Write the bytes at an https URL, which need not be of a registry, to the empty `file`: see `fetch`."""
        with self._lock:
            transport = self._connect()
        fetch(transport, self._backoff, self._user_agent, url, digest, file)

    def _connect(self) -> Transport:
        if self._transport is None:
            from .http import HttpTransport  # noqa: PLC0415 # httpx2 takes its time to import

            ca_file, https_proxy, no_proxy = self._network
            self._transport = HttpTransport(ca_file=ca_file, https_proxy=https_proxy, no_proxy=no_proxy)
        return self._transport

    def abort(self) -> None:
        """Abort all transfers in other threads; they soon end with an error."""
        self._stopped.set()
        if (abort := getattr(self._transport, "abort", None)) is not None:
            abort()

    def resume(self) -> None:
        """Allow requests again after abort(), once those threads have ended."""
        self._stopped.clear()

    def close(self) -> None:
        """Close all connections."""
        if self._own and (close := getattr(self._transport, "close", None)) is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
