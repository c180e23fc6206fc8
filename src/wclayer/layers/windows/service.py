"""What every step of Windows' own makes sure of first, and how it names folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...errors import NotFoundError, UnsupportedError
from ...hcs import calls
from ...host.errors import host_errors, shown
from ...native.privileges import ADMINISTRATORS, IMPORT, check_member, privileges, process_privileges
from ...win32.names import long_path

__all__ = ["extended", "service", "service_path", "the_layer"]


def service_path(path: str | os.PathLike[str]) -> str:
    """The path as the service is given it: absolute, with backslashes, without a prefix."""
    return os.path.abspath(os.fspath(path))


def extended(path: str | os.PathLike[str]) -> str:
    r"""The same with the prefix `\\?\`, as hcsshim names a layer that is being made."""
    return long_path(service_path(path))


def the_layer(path: str | os.PathLike[str], what: str = "layer folder") -> str:
    """`service_path` of a folder that is there. Raises NotFoundError."""
    if not os.path.isdir(path):
        raise NotFoundError(f"no such {what}", path=shown(path))
    return service_path(path)


@contextmanager
def service(what: str, paths: Sequence[str | os.PathLike[str]] = ()) -> Iterator[None]:
    """Have the calling thread fit for the host compute service while the block runs.

    what: it is to do, for the error. paths: of layers that must be there. Raises UnsupportedError where this is no
    Windows, or one without the Containers feature, AccessError for a process that is not elevated.
    """
    if os.name != "nt":
        raise UnsupportedError(f"{what} needs Windows: its host compute service does it", hint="run it on Windows")
    calls.require()
    with host_errors(what), process_privileges(IMPORT), privileges(IMPORT):
        check_member(ADMINISTRATORS)
        for path in paths:
            the_layer(path)
        yield
