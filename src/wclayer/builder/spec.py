"""image.toml: the description of an image in TOML. docs/image-toml.md is its reference.

Nothing is opened here; every value is checked as far as it can be without files.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, cast

from ..errors import SpecError, UsageError, WclayerError
from ..images.places.parse import parse_place
from ..images.spec.config_settings import Config
from ..regf.edits import KeyEdits
from ..regf.names import key_order
from .access import Access
from .acl import parse_descriptor
from .ignore import check_text
from .recipe import DirectoryRule, FilesRule, JunctionRule, LayerRecipe, Recipe, RemoveRule, Security, SymlinkRule
from .source_tree import check_name
from .spec_keys import ATTRIBUTES, IMAGE, REGISTRY, TABLES, Key
from .spec_registry import registry_key, registry_value

__all__ = ["MAX_SIZE", "check_port", "load_recipe"]

MAX_SIZE: Final = 1 << 20  # bytes

_DRIVE: Final = re.compile(r"([A-Za-z]):")
_PORT: Final = re.compile(r"([0-9]{1,5})(?:/(?:tcp|udp))?", re.ASCII)
_REGISTRY_EXAMPLE: Final = "[registry.'HKLM\\SOFTWARE\\Acme']"
_MAX_TIME: Final = 253_402_300_799  # the end of the year 9999


def check_port(text: str) -> str:
    """The text of a port, `N[/tcp|/udp]`. Raises UsageError."""
    found = _PORT.fullmatch(text)
    if found is None or not 0 < int(found[1]) < 1 << 16:
        raise UsageError("a port", expected="1 to 65535, perhaps with /tcp or /udp", got=text)
    return text


def load_recipe(data: bytes, *, source: str, folder: str) -> Recipe:
    """The recipe in an image.toml.

    source: the file's name, for messages. folder: what relative sources and `from` are relative to. Raises SpecError,
    and MetadataError for names and SDDL that cannot be.
    """
    if len(data) > MAX_SIZE:
        raise SpecError("an image.toml this large", path=source, expected=f"at most {MAX_SIZE:,} bytes")
    check_text(data, source)
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SpecError(f"no TOML: {text}", path=source) from None
    return _Spec(value, source, folder).recipe()


class _Table:
    """One table, whose values have the types that `keys` say; `where` names it in messages."""

    def __init__(self, value: Any, keys: Mapping[str, Key], source: str, where: str) -> None:
        self.source = source
        self.where = where
        if not isinstance(value, dict):
            raise SpecError(f"{where} is no table", path=source, got=repr(value)[:100])
        self._value = value
        for key, found in value.items():
            if key not in keys:
                raise self.error("an unknown key", expected=_nearest(key, keys), got=key)
            self._check(key, found, keys[key])
        for key, known in keys.items():
            if known.required and key not in value:
                raise self.error(f"{key} is missing", expected=known.text)

    def error(self, message: str, *, expected: object = None, got: object = None, hint: str | None = None) -> SpecError:
        return SpecError(f"{self.where}: {message}", path=self.source, expected=expected, got=got, hint=hint)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name this table in the errors about a value."""
        try:
            yield
        except WclayerError as error:
            raise self.error(error.message, expected=error.expected, got=error.got, hint=error.hint) from None

    def get(self, key: str) -> Any:
        return self._value.get(key)

    def text(self, key: str) -> str | None:
        return cast("str | None", self._value.get(key))

    def texts(self, key: str) -> tuple[str, ...] | None:
        found = self._value.get(key)
        return None if found is None else tuple(found)

    def _check(self, key: str, value: Any, known: Key) -> None:
        if not _KINDS[known.kind][1](value):
            raise self.error(key, expected=_KINDS[known.kind][0], got=repr(value)[:100])
        chosen = value if known.kind == "attributes" else [value]
        for one in chosen if known.choices else ():
            if one not in known.choices:
                raise self.error(key, expected=", ".join(known.choices), got=one)
        if known.required and not value:
            raise self.error(f"{key} is empty", expected=known.text)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_time(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return type(value) is int and 0 <= value <= _MAX_TIME


def _is_ports(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(one) or type(one) is int for one in value)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and all(key and _is_text(key) and _is_text(value[key]) for key in value)


_KINDS: Final = {
    "text": ("text", _is_text),
    "texts": ("a list of text", _is_texts),
    "attributes": ("a list of text", _is_texts),
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "number": ("a number", lambda value: type(value) is int),
    "time": ("a date and time such as 2024-01-31T12:00:00Z, or seconds since 1970", _is_time),
    "ports": ("a list of ports", _is_ports),
    "map": ("a table of texts", _is_map),
    "value": ("a value of the registry", lambda _: True),  # registry_value looks closer
    "values": ("a table of values of the registry", lambda value: isinstance(value, dict)),
}


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(key.lower().replace("_", "-"), known, 1)
    return f"{found[0]}?" if found else ", ".join(known)


class _Spec:
    def __init__(self, value: dict[str, Any], source: str, folder: str) -> None:
        for key in value:
            if key not in ("image", "registry", *TABLES):
                known = {"image": None, "registry": None, **TABLES}
                raise SpecError("an unknown table", path=source, expected=_nearest(key, known), got=key)
        self._source = source
        self._folder = folder
        self._image = _Table(value.get("image", {}), IMAGE, source, "[image]")
        self._layers = self._image.texts("layers")
        if self._layers is not None and (not self._layers or len(set(self._layers)) < len(self._layers)):
            raise self._image.error("layers", expected="names, each of them once", got=", ".join(self._layers))
        self._tables: dict[str, list[_Table]] = {}
        for name, keys in TABLES.items():
            found = value.get(name, [])
            if not isinstance(found, list):
                raise SpecError(f"{name} is a single table", path=source, expected=f"[[{name}]]")
            self._tables[name] = [
                _Table(one, keys, source, f"[[{name}]] number {number}") for number, one in enumerate(found, 1)
            ]

        registry = value.get("registry", {})
        if not isinstance(registry, dict):
            raise SpecError("registry is no table of keys", path=source, expected=_REGISTRY_EXAMPLE)
        self._registry = {path: _Table(one, REGISTRY, source, f"[registry.'{path}']") for path, one in registry.items()}

    def recipe(self) -> Recipe:
        image = self._image
        created = image.get("created")
        return Recipe(
            layers=self._recipes(),
            base=self._base(),
            config=self._config(),
            annotations=image.get("annotations") or {},
            os_version=image.text("os-version"),
            architecture=image.text("architecture"),
            created=int(created.timestamp() // 1) if isinstance(created, datetime) else created,
            acl=image.text("acl") or "default",
            times=image.get("times") or "files",
            compression=image.get("compress") or "gzip",
            level=image.get("level"),
        )

    def _base(self) -> str | None:
        text = self._image.text("from")
        if text is None:
            return None
        try:
            place = parse_place(text)
        except UsageError as error:
            raise self._image.error(f"from: {error.message}", expected=error.expected, got=text) from None
        if not place.is_image:
            raise self._image.error("from", expected="the place of an image, such as oci:base:ltsc2022", got=text)
        if place.transport == "docker" or os.path.isabs(place.path):
            return text
        path = os.path.normpath(os.path.join(self._folder, place.path))
        return f"{place.transport}:{path}" + (f":{place.reference}" if place.reference else "")

    def _config(self) -> Config:
        image = self._image
        env = image.get("env") or {}
        names: set[str] = set()
        for name in env:
            if "=" in name or name.upper() in names:
                raise image.error("env", expected="names without =, each once in any case", got=name)
            names.add(name.upper())
        try:
            ports = tuple(check_port(str(port)) for port in image.get("ports") or ())
        except UsageError as error:
            raise image.error("ports", expected=error.expected, got=error.got) from None
        return Config(
            entrypoint=image.texts("entrypoint"),
            cmd=image.texts("cmd"),
            env=env,
            workdir=image.text("workdir"),
            user=image.text("user"),
            labels=image.get("labels") or {},
            ports=ports,
            author=image.text("author"),
        )

    # --- layers -----------------------------------------------------------------

    def _recipes(self) -> tuple[LayerRecipe, ...]:
        names: tuple[str | None, ...] = (None,) if self._layers is None else self._layers
        layers = tuple(self._layer(name) for name in names)
        if self._layers is None and not any(self._tables.values()) and not self._registry:
            return ()  # only the config changes
        for layer in layers:
            if layer == LayerRecipe(name=layer.name):
                raise self._image.error("a layer with nothing in it", expected="a table for it", got=layer.name)
        return layers

    def _layer(self, name: str | None) -> LayerRecipe:
        return LayerRecipe(
            files=tuple(self._files(table) for table in self._of("files", name)),
            directories=tuple(
                DirectoryRule(
                    path=self._path(table, "path"), security=self._security(table), attributes=_attributes(table)
                )
                for table in self._of("directories", name)
            ),
            symlinks=tuple(
                SymlinkRule(
                    path=self._path(table, "path"),
                    target=table.text("target") or "",
                    directory=table.get("directory"),
                    security=self._security(table),
                )
                for table in self._of("symlinks", name)
            ),
            junctions=tuple(
                JunctionRule(
                    path=self._path(table, "path"),
                    target="C:\\" + self._path(table, "target", absolute=True).replace("/", "\\"),
                    security=self._security(table),
                )
                for table in self._of("junctions", name)
            ),
            remove=tuple(RemoveRule(path=self._path(table, "path")) for table in self._of("remove", name)),
            registry=self._registry_of(name),
            name=name,
        )

    def _of(self, kind: str, name: str | None) -> list[_Table]:
        """The tables of one kind that go into the layer `name`."""
        return [table for table in self._tables[kind] if self._layer_of(table) == name]

    def _layer_of(self, table: _Table) -> str | None:
        """The layer that a table goes into."""
        layer = table.text("layer")
        if self._layers is None and layer is not None:
            raise table.error("layer, while [image] has no layers", got=layer)
        if self._layers is not None and layer not in self._layers:
            raise table.error("layer", expected=", ".join(self._layers), got=layer or "none")
        return layer

    def _registry_of(self, name: str | None) -> KeyEdits | None:
        """The changes of the registry that go into the layer `name`. Keys are deleted first: tables have no order."""
        root = KeyEdits()
        keys: list[tuple[tuple[str, ...], _Table]] = []
        for path, table in self._registry.items():
            if self._layer_of(table) == name:
                with table.named():
                    keys.append((registry_key(path), table))
                    root.at(keys[-1][0], make=False)
        for names, table in sorted(keys, key=lambda key: len(key[0]), reverse=True):
            if table.get("delete"):
                root.at(names, make=False).remove()
        for names, table in keys:
            with table.named():
                self._registry_key(root, names, table)
        return root if keys else None

    def _registry_key(self, root: KeyEdits, names: Sequence[str], table: _Table) -> None:
        values = [registry_value(name, given) for name, given in (table.get("values") or {}).items()]
        if (given := table.get("default")) is not None:
            values.append(registry_value("", given))
        values += [registry_value(name, {"delete": True}) for name in table.texts("delete-values") or ()]
        sddl = table.text("sddl")
        makes = any(not value.tombstone for value in values) or sddl is not None
        key = root.at(names, make=makes or not (values or table.get("delete")))
        for value in values:
            if key_order(value.name) in key.values:
                raise UsageError(
                    "a value twice", expected="each once in any case", got=value.name or "the default value"
                )
            key.change(value)
        if sddl is not None:
            if key.security is not None:
                raise UsageError("the security of a key twice")
            key.security = parse_descriptor(sddl)

    def _files(self, table: _Table) -> FilesRule:
        target = table.text("target") or ""
        return FilesRule(
            source=os.path.join(self._folder, table.text("source") or ""),
            target=self._path(table, "target", root=True),
            into=target.endswith(("/", "\\")),
            security=self._security(table),
            attributes=_attributes(table),
            exclude=table.texts("exclude") or (),
        )

    def _path(self, table: _Table, key: str, *, root: bool = False, absolute: bool = False) -> str:
        """A path of drive C:, relative and with `/`; root: it may be C: itself. absolute: it must begin with `C:`."""
        text = table.text(key) or ""
        rest = text.replace("\\", "/")
        if rest.startswith("//"):  # a UNC or device path would become names on drive C:
            expected = "a path of drive C:, such as C:\\app"
            raise table.error(f"{key} begins with two slashes", expected=expected, got=text)
        drive = _DRIVE.match(rest)
        if (drive is not None and drive[1] not in "Cc") or (absolute and drive is None):
            raise table.error(key, expected="a path of drive C:, such as C:\\app", got=text)
        rest = rest[drive.end() :] if drive is not None else rest
        if drive is not None and rest and not rest.startswith("/"):
            raise table.error(key, expected="C:\\ before the first name", got=text)
        parts = [part for part in rest.split("/") if part not in ("", ".")]
        if ".." in parts or (not parts and not root):
            raise table.error(key, expected="a path of drive C:, without ..", got=text)
        for part in parts:
            check_name(part, f"{self._source}: {table.where}: {key}")
        return "/".join(parts)

    def _security(self, table: _Table) -> Security:
        security = Security(acl=table.text("acl"), sddl=table.text("sddl"), owner=table.text("owner"))
        if security.acl is not None and security.sddl is not None:
            raise table.error("acl and sddl together", expected="one of the two")
        with table.named():
            Access.named("default").changed(security)
        return security


def _attributes(table: _Table) -> int:
    return sum(ATTRIBUTES[name] for name in set(table.texts("attributes") or ()))
