"""The command line: reads arguments and environment, prints, turns errors into exit codes. No logic lives here."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
