"""How the checks of a layer say what they found."""

from __future__ import annotations

from ..codes import Code
from ..errors import WclayerError
from .findings import Finding, Report
from .rules import RULES

__all__ = ["Notes"]


class Notes:
    """Findings on their way into a report; `layer` is the name of the layer or image that they are of.

    silent: a layer that is only looked into because others lie on it. unknown: rules of which nothing can be said.
    """

    def __init__(
        self, report: Report, layer: str, *, silent: bool = False, unknown: frozenset[Code] = frozenset()
    ) -> None:
        self.layer = layer
        self.silent = silent
        self._report = report
        self._unknown = unknown

    def note(
        self,
        code: Code,
        message: str,
        *,
        path: str | None = None,
        offset: int | None = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        """A rule is broken."""
        if not self.silent and code not in self._unknown:
            expected, got = (None if one is None else str(one) for one in (expected, got))
            self._report.add(Finding(RULES[code], self.layer, message, path, offset, expected, got, hint))

    def error(self, error: WclayerError, code: Code | None = None) -> bool:
        """An error says that a rule is broken, `code` if it does not say which; False if it says nothing of a layer."""
        finding = Finding.of_error(error, self.layer, code)
        if finding is None:
            return False
        if not self.silent and finding.rule.code not in self._unknown:
            self._report.add(finding)
        return True
