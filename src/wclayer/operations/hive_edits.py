"""What a .reg file says of one hive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..errors import UsageError
from ..layers.hives.config_hives import ConfigHive, below_root, links_of, locate
from ..regf.edits import KeyEdits
from ..regf.links import Links
from ..regf.model import Hive
from ..regf.names import key_order
from ..regf.reg_text import ROOTS, parse_reg
from .hive_places import HivePlace, config_hive, registry_path

__all__ = ["edits_of_reg", "root_of"]


def root_of(place: HivePlace, prefix: str | None) -> str:
    """The registry path of a hive's root: `prefix`, else what its file's name tells. Raises UsageError for neither."""
    root = prefix or registry_path(place)
    if root is None:
        raise UsageError(
            "the registry path of this hive is not known",
            path=place.text,
            hint="give that of its root: --prefix 'HKEY_LOCAL_MACHINE\\NAME'",
        )
    names = [name for name in root.split("\\") if name]
    names[:1] = [ROOTS.get(name.upper(), name.upper()) for name in names[:1]]
    if not names or names[0] not in ROOTS.values():
        raise UsageError("--prefix", expected="HKEY_LOCAL_MACHINE\\NAME and the like", got=root)
    return "\\".join(names)


def edits_of_reg(
    data: bytes, place: HivePlace, hive: Hive, *, source: str, prefix: str | None = None, code_page: int | None = None
) -> KeyEdits:
    r"""The changes that a .reg file makes in the hive that is at a place, from its root.

    prefix: the registry path of the root, where the file's name does not tell it. `HKEY_CLASSES_ROOT` and
    `HKLM\SYSTEM\CurrentControlSet` are what they are views of, and links what they lead to. source: the .reg file's
    name. code_page: of a REGEDIT4 file.

    Raises SpecError, also for keys of other hives, and UsageError.
    """
    root = root_of(place, prefix)
    config = config_hive(place) if prefix is None else _config(root)
    below = _below(root) if config is None else partial(below_root, config)
    links = Links(hive.root, below) if config is None else links_of(config, hive.root)
    return parse_reg(
        data, source=source, code_page=code_page, where=lambda names, changes: links.followed(below(names), changes)
    )


def _config(root: str) -> ConfigHive | None:
    """Which of the five hives has its root there."""
    try:
        config, names = locate(root)
    except UsageError:
        return None
    return None if names else config


def _below(root: str) -> Callable[[Sequence[str]], Sequence[str]]:
    names = root.split("\\")
    orders = [key_order(name) for name in names]

    def where(given: Sequence[str]) -> Sequence[str]:
        if [key_order(name) for name in given[: len(names)]] != orders:
            raise UsageError("a key of another hive", expected=root)
        return given[len(names) :]

    return where
