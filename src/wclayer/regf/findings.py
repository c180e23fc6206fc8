"""Findings in a hive, each with its severity and position."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import printable
from .model import Place

__all__ = ["MAX_FINDINGS", "Finding", "Findings", "Severity"]

MAX_FINDINGS: Final = 1000
"""Kept of each severity; a broken hive of many megabytes could have millions."""


class Severity(Enum):
    """The severity of a finding."""

    ERROR = "error"
    """Windows refuses the hive, drops or replaces a part of it, or cannot find that part by its name."""
    WARNING = "warning"
    """Windows loads the hive nevertheless, perhaps repaired; a program that follows the rules does not write this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, at the position `offset` in the file; `path` is the key without the root, or None."""

    severity: Severity
    offset: int
    message: str
    expected: str | None = None
    got: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        text = self.message if self.path is None else f"{printable(self.path)}: {self.message}"
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.got is not None:
            text += f"; got {self.got}"
        return f"{text} (at byte {self.offset:,})"


class Findings:
    """Findings in the order in which they were made."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self._counts = dict.fromkeys(Severity, 0)
        self.place: Place | None = None  # the key that is being checked
        self.value: str | None = None  # the value whose data are being checked

    def error(self, offset: int, message: str, expected: object = None, got: object = None) -> None:
        """Note an error at the position `offset`."""
        self._note(Severity.ERROR, offset, message, expected, got)

    def warning(self, offset: int, message: str, expected: object = None, got: object = None) -> None:
        """Note a warning at the position `offset`."""
        self._note(Severity.WARNING, offset, message, expected, got)

    def _note(self, severity: Severity, offset: int, message: str, expected: object, got: object) -> None:
        self._counts[severity] += 1
        if self._counts[severity] <= MAX_FINDINGS:
            path = None if self.place is None else self.place.path()
            message = self.named(message)
            self.kept.append(Finding(severity, offset, message, _text(expected), _text(got), path))

    def named(self, message: str) -> str:
        """`message` with the value that it is about."""
        if self.value is None:
            return message
        return f"{message}, in the value {printable(self.value) or '(default)'}"


def _text(thing: object) -> str | None:
    return None if thing is None else str(thing)
