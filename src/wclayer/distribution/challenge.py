"""WWW-Authenticate: the authorization that a registry requires (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Challenge", "parse_challenges"]

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER: Final = re.compile(rf'\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*', re.ASCII)
_SCHEME: Final = re.compile(rf"\s*({_WORD})(?:\s+|\s*(?=,)|\s*\Z)", re.ASCII)
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|\Z)", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(slots=True)
class Challenge:
    """One challenge; scheme and the names of parameters are in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(text: str) -> list[Challenge]:
    """The challenges in a WWW-Authenticate header; malformed parts are skipped."""
    found: list[Challenge] = []
    at = 0
    while at < len(text):
        if text[at] in ", \t":
            at += 1
            continue
        parameter = _PARAMETER.match(text, at) if found else None
        if parameter is not None:
            name, quoted, plain = parameter.groups()
            found[-1].parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted))
            at = parameter.end()
            continue
        scheme = _SCHEME.match(text, at)
        if scheme is None:
            break
        found.append(Challenge(scheme[1].lower()))
        at = scheme.end()
        if (token := _TOKEN68.match(text, at)) is not None and not _PARAMETER.match(text, at):
            at = token.end()
    return found
