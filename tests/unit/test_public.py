"""The public names: one table, complete types, and arguments of a wrong type in UsageError."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import pytest
from docs.public_api import PAGE, STUB, page, stub

import wclayer
from wclayer.errors import UsageError

NAMES: Final = {name: getattr(wclayer, name) for name in wclayer.__all__ if name not in ("errors", "__version__")}
FUNCTIONS: Final = {name: found for name, found in NAMES.items() if isinstance(found, FunctionType)}
# Members of public classes that only wclayer's own modules use: what they take and give may change.
INTERNAL: Final = frozenset(
    (
        "Image.__init__",
        "Image.blobs",
        "Image.everything",
        "ImageLayer.blob",
        "ImageLayer.blobs",
        "ImageLayer.open",
        "LayerFolder.framed",
        "Listed.match",
        "Registries.backoff",
        "Registries.registry",
        "Registries.transport",
    )
)


def own_classes(hint: Any) -> Iterator[type]:
    """The classes of wclayer in a type."""
    kind = get_origin(hint) or hint
    if isinstance(kind, type) and kind.__module__.startswith("wclayer."):
        yield kind
    for inner in get_args(hint):
        for one in inner if isinstance(inner, list) else (inner,):
            yield from own_classes(one)


def members(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    """What a public name has types for: (name, type)."""
    if isinstance(found, FunctionType):
        yield from ((f"{name}({argument})", hint) for argument, hint in get_type_hints(found).items())
    elif not isinstance(found, type):
        yield name, found
    elif not issubclass(found, BaseException):
        for base in (one for one in found.__mro__ if one.__module__.startswith("wclayer.")):
            for field in vars(base).get("__annotations__", ()):
                if not field.startswith("_"):
                    yield f"{name}.{field}", get_type_hints(base)[field]
            for method, value in vars(base).items():
                function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                if not isinstance(function, FunctionType) or (method.startswith("_") and method != "__init__"):
                    continue
                for argument, hint in get_type_hints(function).items():
                    is_field = method == "__init__" and argument != "return"
                    yield f"{name}.{argument if is_field else method}", hint


@pytest.mark.parametrize("name", wclayer.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(wclayer, name) is not None
    assert name in dir(wclayer)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute"):
        wclayer.nothing  # type: ignore[attr-defined] # noqa: B018


def test_the_stub_and_the_page_are_made_from_the_table() -> None:
    assert STUB.read_text(encoding="utf-8") == stub(), "run python -m docs.public_api"
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python -m docs.public_api"


@pytest.mark.parametrize("name", NAMES)
def test_every_type_in_a_public_signature_is_public(name: str) -> None:
    public = {id(one) for one in NAMES.values()}
    hidden = [
        f"{member}: {cls.__module__}.{cls.__qualname__}"
        for member, hint in members(name, NAMES[name])
        if member not in INTERNAL and f"{name}.__init__" not in INTERNAL
        for cls in own_classes(hint)
        if id(cls) not in public
    ]
    assert hidden == []


def test_internal_members_exist() -> None:
    for member in INTERNAL:
        name, _, field = member.partition(".")
        found = NAMES[name]
        assert hasattr(found, field) or field in inspect.signature(found).parameters, member


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_type_of_any_argument_is_an_error_of_ours(name: str) -> None:
    """An object that nothing takes, in the place of each argument in turn."""
    signature = inspect.signature(FUNCTIONS[name])
    assert signature.parameters
    required = [one.name for one in signature.parameters.values() if one.default is one.empty]
    for parameter in signature.parameters:
        given = dict.fromkeys(required, object())
        given[parameter] = object()
        with pytest.raises(UsageError, match="a wrong type for"):
            FUNCTIONS[name](**given)


def test_a_string_is_no_sequence() -> None:
    with pytest.raises(UsageError, match=r"a wrong type for parents; expected Sequence\[str"):
        wclayer.read_file("layer.tar//Files/x", parents="base.tar")


def test_reading_a_hive_imports_no_client_of_registries() -> None:
    script = (
        "import sys, wclayer; wclayer.read_hive; print([m for m in sys.modules if m.startswith(('httpx', 'click'))])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"[]"


def test_importing_the_package_imports_no_part_of_it() -> None:
    script = "import sys, wclayer; print(sorted(m for m in sys.modules if m.startswith('wclayer')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "['wclayer', 'wclayer.codes', 'wclayer.errors']"
