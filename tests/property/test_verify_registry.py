"""What verify says of differencing hives on each other is what merging each into the whole hive below meets."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.test_delta import BASES, DELTAS
from wclayer.body import BytesBody
from wclayer.codes import Code
from wclayer.entry import File
from wclayer.layers.hives.config_hives import CONFIG_HIVES
from wclayer.regf.delta import MergeReport, merge_delta
from wclayer.regf.model import Hive
from wclayer.regf.writer import write_hive
from wclayer.verify.findings import Report
from wclayer.verify.notes import Notes
from wclayer.verify.registry import RegistryCheck

HIVE = CONFIG_HIVES[0]


def missed(hives: list[Hive]) -> list[str | None]:
    """Of each hive on those before it, what verify says of keys below that are missing."""
    report = Report()
    with RegistryCheck() as check:
        for number, hive in enumerate(hives):
            data = write_hive(hive)
            check.begin(Notes(report, str(number)), base=number == 0)
            check.see(File(HIVE.delta if number else HIVE.config, size=len(data)), BytesBody(data), None)
            check.end()
    assert {one.rule.code for one in report.findings if one.layer != "0"} <= {
        Code.DELTA_OF_OTHER_BASE,
        Code.DELTA_ORDINARY,
    }
    found = {one.layer: one.message for one in report.findings if one.rule.code is Code.DELTA_OF_OTHER_BASE}
    return [found.get(str(number)) for number in range(len(hives))]


@given(BASES, st.lists(DELTAS | BASES, min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_keys_that_are_missing_below(base: Hive, above: list[Hive]) -> None:
    wanted: list[list[str]] = [[]]
    merged = base
    for hive in above:
        report = MergeReport()
        merged = merge_delta(merged, hive, report)
        wanted.append(report.unbacked.paths)
    for found, expected in zip(missed([base, *above]), wanted, strict=True):
        assert (found is None) == (not expected), (found, expected)
        if found is not None:
            keys, _, first = found.partition("the first ")
            count = len(expected)
            assert f" {count} key{'s change' if count > 1 else ' changes'} " in keys
            assert first in expected  # in a file the keys are in the order of their names
