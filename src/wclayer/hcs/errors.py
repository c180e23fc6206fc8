"""HRESULTs of the host compute service as errors of ours, with Windows' text and what to do about the frequent ones.

What each means for layers is told in hcsshim's, moby's and containerd's issues.
"""

from __future__ import annotations

from typing import Final

from ..errors import AccessError, AlreadyExistsError, HiveError, LayerError, NotFoundError, StorageError, WclayerError
from ..native.handles import message_of

__all__ = ["hresult_error"]

_PARENTS: Final = "is each parent given, nearest first and base last, and are their folders whole?"
_ELEVATE: Final = (
    "run it as administrator: the Administrators SID must be enabled in the token, and SeBackupPrivilege and"
    " SeRestorePrivilege held"
)
_DEBRIS: Final = (
    "an earlier run left something (blank-base.vhdx, Hives, layout): `wclayer process --clean` removes it first"
)
_BAD_HIVE: Final = (
    "a hive of Files/Windows/System32/config, or the boot store, is not one that this Windows loads:"
    " `wclayer hive check` says why, `wclayer makebaselayer --replace-invalid` makes a new one"
)
_NO_HIVE: Final = (
    "a hive of Files/Windows/System32/config is missing, or the utility VM's boot store: `wclayer makebaselayer` makes"
    " hives"
)
_ACTIVE: Final = "the layer is active already, or mounted: unmount it first"
_IN_USE: Final = "another process, or a container, uses the layer: unmount it, and try again"

# By the HRESULT: the class, and a hint.
_KNOWN: Final[dict[int, tuple[type[WclayerError], str | None]]] = {
    0x80070002: (NotFoundError, _PARENTS),
    0x80070003: (NotFoundError, _PARENTS),
    0x80070005: (AccessError, _ELEVATE),
    0x80070020: (StorageError, _IN_USE),
    0x80070050: (AlreadyExistsError, _DEBRIS),
    0x80070070: (StorageError, "make room on the volume"),
    0x800700B7: (AlreadyExistsError, _DEBRIS),
    0x800703F1: (
        HiveError,
        _BAD_HIVE,
    ),
    0x80070522: (AccessError, _ELEVATE),
    0xC0370112: (
        LayerError,
        "a layer of a format that this host does not know: of a later Windows than the host, or not processed",
    ),
    0x80370101: (LayerError, "the container's Windows must be the host's"),
    0x80370118: (StorageError, "the service did not answer in time: try again"),
}


def hresult_error(call: str, hresult: int, path: str) -> WclayerError:
    """The error for the HRESULT that a call has returned about the layer at `path`."""
    code = hresult & 0xFFFFFFFF
    cls, hint = _KNOWN.get(code, (StorageError, None))
    if cls is NotFoundError and call.startswith("Process"):
        hint = _NO_HIVE
    if cls is AlreadyExistsError and not call.startswith("Process"):
        hint = _ACTIVE if call in ("ActivateLayer", "PrepareLayer") else None
    # Of FACILITY_WIN32 the text is that of the Win32 error.
    text = message_of(code & 0xFFFF if code >> 16 == 0x8007 else code)
    return cls(f"{call} failed: {text} ({code:#010x})", path=path, hint=hint)
