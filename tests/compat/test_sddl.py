"""SDDL as Windows takes, prints and stores it: what samba's tests recorded of it."""

from __future__ import annotations

import json
import re

import pytest

from tests.compat.tools import shared
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.security import SecurityDescriptor, Sid

# LA and LG are relative to the machine, whose SID the caller names; they are printed in full.
MACHINE = Sid(5, (21, 1, 2, 3))
TEXTS = ("canonical", "non_canonical", "conditional_aces", "windows_is_less_fussy")
BYTES = ("conditional_aces.txt", "registry-object-rights", "short-ordinary-acls-v2")


def in_full(text: str) -> str:
    return re.sub(r"\bL([AG])(?=G:|\))", lambda found: f"{MACHINE}-{500 + (found[1] == 'G')}", text)


@pytest.mark.parametrize("name", TEXTS)
def test_what_windows_prints(name: str) -> None:
    lines = shared(f"data/sddl/{name}.txt").read_text(encoding="utf-8").splitlines()
    cases = [line.partition(" -> ") for line in lines if line.strip() and not line.startswith("#")]
    assert len(cases) >= 10
    for given, _, printed in cases:
        found = format_sddl(parse_sddl(given, machine=MACHINE))
        assert found == in_full(printed or given), given


@pytest.mark.parametrize("name", BYTES)
def test_what_windows_stores(name: str) -> None:
    """The parts: which of them lies first, SDDL does not say."""
    cases = json.loads(shared(f"data/sddl/{name}.json").read_bytes())
    assert len(cases) >= 10
    for given, stored in cases.items():
        found = SecurityDescriptor.from_bytes(parse_sddl(given, machine=MACHINE))
        assert found == SecurityDescriptor.from_bytes(bytes(stored)), given
