"""How to reach registries: the options that every command has that takes a place, and the environment.

Read are REGISTRY_AUTH_FILE, DOCKER_CONFIG, XDG_RUNTIME_DIR and XDG_CONFIG_HOME (where
credentials are), HTTPS_PROXY and NO_PROXY, SSL_CERT_FILE.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from .. import __version__
from ..distribution.credentials import AuthFiles
from ..distribution.registries import Registries

__all__ = ["jobs_option", "network_options", "registries_of"]

P = ParamSpec("P")
R = TypeVar("R")


def network_options(command: Callable[P, R]) -> Callable[P, R]:
    """--plain-http and --authfile; `registries_of` takes what they give."""
    for option in (
        click.option(
            "--authfile",
            metavar="FILE",
            type=click.Path(),
            help="File with credentials: Docker's config.json or podman's auth.json.",
        ),
        click.option("--plain-http", is_flag=True, help="Allow registries without TLS (always allowed on loopback)."),
    ):
        command = option(command)
    return command


jobs_option = click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 32),
    default=3,
    show_default=True,
    help="Number of blobs to copy at the same time.",
)


def registries_of(*, plain_http: bool, authfile: str | None, jobs: int = 3) -> Registries:
    """The registries, as the options and the environment say."""
    return Registries(
        credentials=_credentials(authfile),
        plain_http=plain_http,
        ca_file=os.environ.get("SSL_CERT_FILE") or None,
        https_proxy=_variable("HTTPS_PROXY"),
        no_proxy=_variable("NO_PROXY") or "",
        user_agent=f"wclayer/{__version__}",
        jobs=jobs,
    )


def _variable(name: str) -> str | None:
    """Of the two spellings curl lets the lower one win."""
    return os.environ.get(name.lower()) or os.environ.get(name) or None


def _credentials(authfile: str | None) -> AuthFiles:
    needed = authfile or os.environ.get("REGISTRY_AUTH_FILE") or None
    if needed is not None:
        return AuthFiles([], needed=needed)
    home = os.path.expanduser("~")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    docker = os.environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker")
    paths = [] if not runtime else [os.path.join(runtime, "containers", "auth.json")]
    paths += [os.path.join(config, "containers", "auth.json"), os.path.join(docker, "config.json")]
    return AuthFiles(paths)
