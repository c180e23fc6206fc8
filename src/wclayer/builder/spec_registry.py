"""Values of the registry in image.toml: what each form of TOML stands for.

"text"                       REG_SZ
42                           REG_DWORD
["one", "two"]               REG_MULTI_SZ
{ expand = '%TEMP%' }        REG_EXPAND_SZ; so also string, multi, dword, qword
{ binary = "00 ff" }         REG_BINARY, in hexadecimal; with type = N of any type
{ delete = true }            no value
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from ..errors import UsageError, printable
from ..layers.hives.config_hives import locate
from ..regf.layout import MAX_KEY_NAME, MAX_VALUE_NAME
from ..regf.model import RegType, Value, dword, multi_sz, qword, sz
from ..regf.names import utf16_length

__all__ = ["FORMS", "registry_key", "registry_value"]

FORMS: Final = ("string", "expand", "multi", "dword", "qword", "binary", "delete")
_EXPECTED: Final = "text, a number, a list of text, or a table with one of " + ", ".join(FORMS)


def registry_key(path: str) -> tuple[str, ...]:
    """The names of the key at a path of the registry, from its root on. Raises UsageError."""
    hive, names = locate(path)
    for name in names:
        if utf16_length(name) > 2 * MAX_KEY_NAME:
            expected = f"at most {MAX_KEY_NAME} UTF-16 code units"
            raise UsageError("the name of a key", expected=expected, got=printable(name))
    return (*hive.root, *names)


def registry_value(name: str, given: Any) -> Value:
    """The value called `name` that `given`, a value of TOML, stands for; a tombstone is to delete it.

    Raises UsageError.
    """
    if utf16_length(name) > 2 * MAX_VALUE_NAME:
        raise UsageError("the name of a value", expected=f"at most {MAX_VALUE_NAME:,} characters", got=len(name))
    if not isinstance(given, dict):
        form = {str: "string", int: "dword", list: "multi"}.get(type(given))
        given = {form: given} if form else {}
    kind = given.get("type", int(RegType.BINARY))
    forms = [form for form in given if form in _MADE]
    if len(forms) != 1 or len(given) > 1 + ("type" in given and forms == ["binary"]):
        raise UsageError("a value of the registry", expected=_EXPECTED, got=_shown(given))
    if type(kind) is not int or not 0 <= kind < 1 << 32:
        raise UsageError("the type of a value", expected="a number below 2 to the 32nd", got=_shown(kind))
    return _MADE[forms[0]](name, given[forms[0]], kind)


def _shown(given: Any) -> str:
    return repr(given)[:100]


def _text(name: str, given: Any, kind: int) -> Value:
    if not isinstance(given, str) or "\0" in given:
        raise UsageError("a string of the registry", expected="text", got=_shown(given))
    return sz(name, given, kind)


def _multi(name: str, given: Any, _: int) -> Value:
    if not isinstance(given, list) or not all(isinstance(one, str) and one and "\0" not in one for one in given):
        raise UsageError("a list of the registry", expected="texts, none of them empty", got=_shown(given))
    return multi_sz(name, given)


def _number(given: Any, bits: int) -> int:
    if type(given) is not int or not 0 <= given < 1 << bits:
        hint = "{ qword = N } has room for it" if type(given) is int and 0 <= given < 1 << 64 else None
        raise UsageError("a number of the registry", expected=f"0 to {(1 << bits) - 1:,}", got=_shown(given), hint=hint)
    return given


def _binary(name: str, given: Any, kind: int) -> Value:
    try:
        data = bytes.fromhex(re.sub(r"[\s,]+", "", given))
    except (TypeError, ValueError):
        raise UsageError("binary data", expected='hexadecimal, such as "00 ff"', got=_shown(given)) from None
    return Value(name, kind, data)


def _delete(name: str, given: Any, _: int) -> Value:
    if given is not True:
        raise UsageError("the deletion of a value", expected="delete = true", got=_shown(given))
    return Value(name, 0, tombstone=True)


_MADE: Final[dict[str, Callable[[str, Any, int], Value]]] = {
    "string": lambda name, given, _: _text(name, given, RegType.SZ),
    "expand": lambda name, given, _: _text(name, given, RegType.EXPAND_SZ),
    "multi": _multi,
    "dword": lambda name, given, _: dword(name, _number(given, 32)),
    "qword": lambda name, given, _: qword(name, _number(given, 64)),
    "binary": _binary,
    "delete": _delete,
}
