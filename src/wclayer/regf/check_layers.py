"""Check the layer byte of a key, its relation to the key of the same name in the lower hives."""

from __future__ import annotations

from typing import Final

from . import layout as lay
from .findings import Findings
from .model import LayerSemantics

__all__ = ["IN_A_TREE", "LAYER_KNOWN", "LET_THROUGH", "check_layer"]

LAYER_KNOWN: Final = lay.LAYER_SEMANTICS | lay.LAYER_INHERIT_CLASS
"""The bits of a layer byte that have a meaning."""
IN_A_TREE: Final = (LayerSemantics.SUPERSEDE_TREE, LayerSemantics.TOMBSTONE)
"""The semantics of subkeys below one that supersedes the tree."""
LET_THROUGH: Final = "a key that does not supersede, below one that supersedes the tree"

_LAYER, _SUBKEYS, _VALUES, _CLASS = 13, 20, 36, 74  # offsets of the fields in an nk cell


def check_layer(fields: lay.KeyCell, position: int, parent: int | None, findings: Findings, differencing: bool) -> None:
    """Check the layer byte of the nk cell at `position`.

    parent: the layer byte of the parent key, None at the root. The rules are those that Windows' own hives follow, and
    those of "Containerized registry hives in Windows" (Maxim Suhanov, 2020).
    """
    layer = fields.layer
    if not differencing:
        if layer:
            findings.warning(position + _LAYER, "a layer byte in a hive that is not differencing", 0, hex(layer))
        return
    if layer & ~LAYER_KNOWN:
        findings.warning(position + _LAYER, "a layer byte", f"no bits but {LAYER_KNOWN:#x}", hex(layer))
    semantics = LayerSemantics(layer & lay.LAYER_SEMANTICS)
    if parent is None:
        if layer:
            findings.warning(position + _LAYER, "a layer byte of the root", 0, hex(layer))
    elif parent & lay.LAYER_SEMANTICS == LayerSemantics.SUPERSEDE_TREE and semantics not in IN_A_TREE:
        findings.error(position + _LAYER, LET_THROUGH, "layer semantics 3 or 1", int(semantics))
    if semantics is LayerSemantics.TOMBSTONE:
        # What is in it can never be found.
        if fields.subkeys:
            findings.error(position + _SUBKEYS, "a deleted key with subkeys", "none", fields.subkeys)
        if fields.values:
            findings.error(position + _VALUES, "a deleted key with values", "none", fields.values)
        if fields.class_length:
            findings.warning(position + _CLASS, "a deleted key with a class name", "none", fields.class_length)
    elif layer & lay.LAYER_INHERIT_CLASS and fields.class_length:
        findings.warning(position + _CLASS, "a class name in a key that inherits it", "none", fields.class_length)
