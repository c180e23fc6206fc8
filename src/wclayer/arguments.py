"""Arguments of public functions and settings: a wrong type ends in UsageError before anything is done.

The types are those of the annotations. A `str` or `bytes` is not a sequence here, as `names="*.cmd"` would
otherwise mean five names of one character.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import UsageError

__all__ = ["check_fields", "checked"]

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which raises UsageError for an argument of another type than its annotation."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        hints, signature = _hints(function), _signature(function)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            _check(name, value, hints.get(name, Any))
        return function(*args, **kwargs)

    return run


def check_fields(settings: Any) -> None:
    """Raise UsageError for a field of a dataclass that has another type than its annotation."""
    cls: Any = type(settings)
    hints = _hints(cls)
    for field in dataclasses.fields(settings):
        _check(field.name, getattr(settings, field.name), hints[field.name])


@cache
def _hints(owner: Any) -> dict[str, Any]:
    return get_type_hints(owner)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _check(name: str, value: Any, hint: Any) -> None:
    if not _fits(value, hint):
        raise UsageError(f"a wrong type for {name}", expected=_text(hint), got=_shown(value))


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any or hint is object or isinstance(hint, TypeVar):
        return True
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in args)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in args)
    if hint is None or hint is NoneType:
        return value is None
    if hint is BinaryIO:
        return any(hasattr(value, name) for name in ("read", "write")) and not isinstance(value, io.TextIOBase)
    kind = origin or hint
    if kind is Callable:
        return callable(value)
    if getattr(kind, "_is_protocol", False) and kind is not os.PathLike:
        return all(hasattr(value, name) for name in _members(kind))
    return _fits_class(value, kind, args)


def _fits_class(value: Any, kind: Any, args: tuple[Any, ...]) -> bool:
    if kind in (Sequence, Iterable, list, tuple):
        if isinstance(value, str | bytes) or not isinstance(value, Sequence if kind is not Iterable else Iterable):
            return False
        # The elements of an iterator are there once only.
        return kind is Iterable or all(_fits(one, args[0]) for one in value if args)
    if kind in (frozenset, set, AbstractSet):
        return isinstance(value, AbstractSet) and all(_fits(one, args[0]) for one in value if args)
    if kind in (Mapping, dict):
        return isinstance(value, Mapping) and all(
            _fits(key, args[0]) and _fits(one, args[1]) for key, one in value.items() if args
        )
    return isinstance(value, kind)


@cache
def _members(protocol: type) -> tuple[str, ...]:
    """The names that an object of a protocol has."""
    bases = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False)]
    names = {name for base in bases for name in (*vars(base), *vars(base).get("__annotations__", ()))}
    return tuple(name for name in names if not name.startswith("_"))


def _text(hint: Any) -> str:
    """A type as people write it: without the names of modules."""
    text = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
    text = re.sub(r"\b[a-z_]+(?:\.[a-z_]+)*\.(?=[A-Z])", "", text)
    return text.replace("NoneType", "None").replace("BinaryIO", "binary file object")


def _shown(value: Any) -> str:
    name = type(value).__name__
    return f"{name} {value!r}" if isinstance(value, str | int | float) else name
