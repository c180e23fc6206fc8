"""WWW-Authenticate headers as servers write them."""

from __future__ import annotations

import pytest

from wclayer.distribution.challenge import Challenge, parse_challenges

HUB = (
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull",'
    'error="invalid_token"'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        ("BASIC Realm=x", [Challenge("basic", {"realm": "x"})]),
        (
            HUB,
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:library/x:pull",
                        "error": "invalid_token",
                    },
                )
            ],
        ),
        (
            'Bearer realm="a,b=c" , service = "d\\"e\\\\f"',
            [Challenge("bearer", {"realm": "a,b=c", "service": 'd"e\\f'})],
        ),
        ('Bearer scope="a:b:pull,push", realm=y', [Challenge("bearer", {"scope": "a:b:pull,push", "realm": "y"})]),
        (
            'Basic realm="x", Bearer realm="y",service="z"',
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y", "service": "z"})],
        ),
        ('Negotiate, Basic realm="x"', [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        ('NTLM TlRM+/==, Basic realm="x"', [Challenge("ntlm"), Challenge("basic", {"realm": "x"})]),
        ('Negotiate abc=, Basic realm="x"', [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        (', ,Basic realm="x",,', [Challenge("basic", {"realm": "x"})]),
        ('Basic realm="x", realm="y"', [Challenge("basic", {"realm": "x"})]),
        ('Basic realm=""', [Challenge("basic", {"realm": ""})]),
        ('Basic realm="never closed', [Challenge("basic")]),
        ('realm="x"', []),
        ("=", []),
        ('Bearer realm="é"', [Challenge("bearer", {"realm": "é"})]),
    ],
)
def test_challenges(text: str, expected: list[Challenge]) -> None:
    assert parse_challenges(text) == expected


def test_much_of_it_takes_no_longer() -> None:
    """Headers of a megabyte, of the kinds that patterns choke on: in time, or the suite would not end."""
    for text in (
        'a="' * 300_000,
        "a " * 500_000,
        "Basic " + "a" * 1_000_000 + "!",
        "x " + " " * 1_000_000,
        '\\"' * 500_000,
    ):
        parse_challenges(f"Basic {text}")
