"""A non-base layer on Windows for export: the host compute service makes a transport folder of it, which is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...hcs import calls
from ...host.errors import absolute, host_errors, shown
from ...stores.atomic import folder_beside
from ...stores.windows.hcs_source import ExportedLayer
from .service import service_path

__all__ = ["exported"]


@contextmanager
def exported(
    path: str | os.PathLike[str], parents: Sequence[str | os.PathLike[str]], *, verify_content: bool
) -> Iterator[ExportedLayer]:
    """The layer folder `path` as a source; parents: nearest first. The layer is active (see `scratch.prepared`).

    The transport folder lies beside the layer while the block runs, on its volume. Raises what the service answers.
    """
    with host_errors(shown(path)), folder_beside(absolute(path)) as transport:
        calls.export_layer(service_path(path), shown(transport), [service_path(parent) for parent in parents])
        with ExportedLayer(path, transport, parents, verify_content=verify_content) as layer:
            yield layer
