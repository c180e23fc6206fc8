"""Layers for the tests of rules, and what verify finds in them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from tests.hosts import WINDOWS
from wclayer.codes import Code
from wclayer.errors import WclayerError
from wclayer.layers.importing import import_layer_from_tar
from wclayer.operations.layer_places import LayerPlaces, parse_layer_place
from wclayer.verify.findings import Finding
from wclayer.verify.rules import Severity
from wclayer.verify.verifying import verify_layers

Layers: TypeAlias = bytes | Sequence[bytes]  # a tar, or the tars of layers, base first
Cases: TypeAlias = dict[Code, tuple[Layers, Layers]]  # what breaks a rule, and what just does not

# What a base layer lacks that has no more in it than a case needs.
UNPROCESSED = frozenset((Code.HIVE_MISSING, Code.BCD_MISSING))


def found_in(layers: Layers, folder: Path) -> list[Finding]:
    """What verify says of the topmost of some layers, which are written into a folder."""
    tars = [layers] if isinstance(layers, bytes) else list(layers)
    paths = [folder / f"{number}.tar" for number in range(len(tars))]
    for path, tar in zip(paths, tars, strict=True):
        path.write_bytes(tar)
    *parents, top = map(str, paths)
    if not parents:  # from stdin, which cannot be read again, it is taken for a base layer whatever is in it
        places = LayerPlaces(stdin=io.BytesIO(tars[0]))
        return verify_layers(places, parse_layer_place("-")).findings
    return verify_layers(LayerPlaces(parents=parents[::-1]), parse_layer_place(top)).findings


def refused_by_import(layers: Layers, folder: Path) -> WclayerError | None:
    """The error with which an import of the topmost layer ends, on top of those below; None if it does not."""
    tars = [layers] if isinstance(layers, bytes) else list(layers)
    made: list[Path] = []
    for number, tar in enumerate(tars[:-1]):
        made.insert(0, folder / f"imported-{number}")
        import_layer_from_tar(io.BytesIO(tar), made[0], made[1:], plain=True)
    try:
        import_layer_from_tar(io.BytesIO(tars[-1]), folder / "imported", made, plain=True)
    except WclayerError as error:
        return error
    return None


def check(code: Code, case: tuple[Layers, Layers], folder: Path) -> None:
    """One layer breaks the rule, and of all rules that are errors just this one; the other one does not break it.
    That a base layer has no hives is left out of account.

    What verify says of the import is what the import does.
    """
    for layers, broken in zip(case, (True, False), strict=True):
        place = folder / str(broken)
        place.mkdir()
        findings = found_in(layers, place)
        assert (code in codes(findings)) == broken, findings
        errors = codes(one for one in findings if one.severity is Severity.ERROR) - UNPROCESSED
        assert errors <= ({code} if broken else set()), findings
        if WINDOWS and code is Code.PATH_TOO_LONG:
            continue  # as deep as Windows allows, in a folder that is deep itself
        error = refused_by_import(layers, place)
        assert (error is not None) == any(not one.rule.imports for one in findings), (error, findings)
        if error is not None:
            assert error.broken_rule == code


def codes(findings: Iterable[Finding]) -> set[Code]:
    return {finding.rule.code for finding in findings}
