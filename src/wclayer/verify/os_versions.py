"""Which hosts run an image: its os.version against their builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..codes import Code
from ..images.choosing import oldest_build, runs_on
from ..images.spec.descriptors import Platform, is_os_version
from .notes import Notes
from .rules import Target

__all__ = ["HOSTS", "check_os_versions"]

HOSTS: Final[dict[Target, int]] = {
    Target.WS2019: 17763,
    Target.WS2022: 20348,
    Target.WS2025: 26100,
    Target.WIN11: 26100,
}
_AMD64: Final = "amd64"
_OF_AMD64: Final = (Target.WS2019, Target.WS2022)  # where an index has images for other processors, these are not meant


def check_os_versions(
    platforms: Sequence[Platform],
    targets: frozenset[Target],
    notes: Notes,
    unread: Sequence[Platform | None] = (),
) -> None:
    """Judge the os.version of an image, or of the images of an index, of which one for each processor must do for each
    host.

    unread: of images of the index that cannot be read the platforms that it says; None where it says none, and nobody
    knows which hosts are served. Where the targets are all there are, nobody has said where it is to run: each build
    has its hosts.
    """
    for platform in platforms:
        if platform.os_version is not None and not is_os_version(platform.os_version):
            notes.note(
                Code.OS_VERSION_MALFORMED,
                "the os.version of the config is no version",
                expected="numbers such as 10.0.20348.2227",
                got=platform.os_version,
            )
    if targets == frozenset(Target) or None in unread:
        return
    known: dict[str, list[Platform]] = {}  # by processor
    for one in (*platforms, *unread):
        if one is not None and (one.os_version is None or is_os_version(one.os_version)):
            known.setdefault(one.architecture, []).append(one)
    for target in (target for target in HOSTS if target in targets):
        for architecture, images in known.items():
            if architecture != _AMD64 and _AMD64 in known and target in _OF_AMD64:
                continue
            if not any(_runs(one, target) for one in images):
                _refuse(target, f" ({architecture})" if len(known) > 1 else "", images, notes)


def _refuse(target: Target, processor: str, images: Sequence[Platform], notes: Notes) -> None:
    build = HOSTS[target]
    oldest = oldest_build(build)
    notes.note(
        Code.OS_VERSION_REFUSED,
        f"a host of {target}{processor} does not run it",
        expected=f"10.0.{build}" if oldest == build else f"10.0.{oldest} to 10.0.{build}",
        got=", ".join(str(one.os_version) for one in images),
    )


def _runs(platform: Platform, target: Target) -> bool:
    host = Platform(
        os="windows", architecture=platform.architecture, variant=platform.variant, os_version=f"10.0.{HOSTS[target]}"
    )
    return runs_on(platform, host)
