"""The registry of a container: which hives it has, what they are called in layers, and in regedit.

    hive       base layer's Files/Windows/...   layers above's Hives/    in the registry
    DEFAULT    System32/config/DEFAULT          DefaultUser_Delta        HKEY_USERS\\.DEFAULT
    SAM        System32/config/SAM              Sam_Delta                HKEY_LOCAL_MACHINE\\SAM
    SECURITY   System32/config/SECURITY         Security_Delta           HKEY_LOCAL_MACHINE\\SECURITY
    SOFTWARE   System32/config/SOFTWARE         Software_Delta           HKEY_LOCAL_MACHINE\\SOFTWARE
    SYSTEM     System32/config/SYSTEM           System_Delta             HKEY_LOCAL_MACHINE\\SYSTEM

(hcsshim, internal/wclayer/cim/common.go.) All else that regedit shows is volatile, of a
user, or a view of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from ...errors import HiveError, NotFoundError, UsageError, WclayerError, printable
from ...regf.edits import KeyEdits
from ...regf.links import Links
from ...regf.model import Key, RegType, Value
from ...regf.names import key_order
from ...regf.reg_text import ROOTS
from ...union.rules import FILES, HIVES
from ...win32.names import upcase

__all__ = [
    "CONFIG",
    "CONFIG_HIVES",
    "MAX_HIVE",
    "ConfigHive",
    "below_root",
    "check_size",
    "control_set",
    "hive_context",
    "links_of",
    "locate",
    "root_path",
]

CONFIG: Final = f"{FILES}/Windows/System32/config"
MAX_HIVE: Final = 1 << 30  # bytes; real ones have up to 200 MB


@dataclass(frozen=True, slots=True)
class ConfigHive:
    """One of the five hives. config, delta: its paths in a base layer, and in one above. root: its place in regedit."""

    name: str
    config: str
    delta: str
    root: tuple[str, ...]


@contextmanager
def hive_context(path: str, *, only: type[WclayerError] = WclayerError) -> Iterator[None]:
    """Name the hive at `path` in errors of the block; the key that such an error is about goes into its message.

    only: the class of errors to do that with.
    """
    try:
        yield
    except only as error:
        where = "" if error.path is None else f", in the key {printable(error.path)}"
        error.message = f"{error.message}{where}"
        error.path = path
        raise


def _hive(name: str, delta: str, *root: str) -> ConfigHive:
    return ConfigHive(name, f"{CONFIG}/{name}", f"{HIVES}/{delta}_Delta", root)


CONFIG_HIVES: Final = (
    _hive("DEFAULT", "DefaultUser", "HKEY_USERS", ".DEFAULT"),
    _hive("SAM", "Sam", "HKEY_LOCAL_MACHINE", "SAM"),
    _hive("SECURITY", "Security", "HKEY_LOCAL_MACHINE", "SECURITY"),
    _hive("SOFTWARE", "Software", "HKEY_LOCAL_MACHINE", "SOFTWARE"),
    _hive("SYSTEM", "System", "HKEY_LOCAL_MACHINE", "SYSTEM"),
)

_CLASSES: Final = ("HKEY_LOCAL_MACHINE", "SOFTWARE", "Classes")  # what is written to HKEY_CLASSES_ROOT is written there
_NOT_HERE: Final = {
    "HKEY_CURRENT_USER": "it is that of the user who runs; HKEY_USERS\\.DEFAULT is the system's own",
    "HKEY_CURRENT_CONFIG": "it is a view of HKEY_LOCAL_MACHINE\\SYSTEM that only a running system has",
    "HKEY_PERFORMANCE_DATA": "only a running system has it",
}
_CURRENT: Final = "CURRENTCONTROLSET"


def check_size(size: int, path: str) -> None:
    """Raise HiveError for a file that is too large to be a hive."""
    if size > MAX_HIVE:
        raise HiveError("a hive this large", path=path, expected=f"at most {MAX_HIVE:,} bytes", got=f"{size:,}")


def locate(path: str) -> tuple[ConfigHive, tuple[str, ...]]:
    """The hive of a path of the registry, such as `HKLM\\Software\\Acme`, and the names below its root.

    Only backslashes separate, as names may have slashes. Raises UsageError for what is in no hive of a layer.
    """
    names = [name for name in path.split("\\") if name]
    root = upcase(names[0]) if names else ""
    names[:1] = [ROOTS.get(root, root)]
    if names[0] == "HKEY_CLASSES_ROOT":
        names[:1] = _CLASSES
    for hive in CONFIG_HIVES:
        count = len(hive.root)
        if tuple(map(upcase, names[:count])) == tuple(map(upcase, hive.root)):
            return hive, tuple(names[count:])
    expected = ", ".join(root_path(hive) for hive in CONFIG_HIVES)
    hint = _NOT_HERE.get(names[0])
    if names[0] == "HKEY_LOCAL_MACHINE" and len(names) > 1 and upcase(names[1]) == "HARDWARE":
        hint = "it is volatile: each system makes it as it starts"
    elif names[0] == "HKEY_USERS" and len(names) > 1:
        hint = "the hive of a user is a file in the profile, NTUSER.DAT"
    raise UsageError("a key that is in no hive of a layer", path=path, expected=expected, hint=hint)


def root_path(hive: ConfigHive) -> str:
    """Where regedit shows the hive."""
    return "\\".join(hive.root)


def below_root(hive: ConfigHive, names: Sequence[str]) -> Sequence[str]:
    """The names below the hive's root, of a path of the registry. Raises UsageError for a key of another hive."""
    found, rest = locate("\\".join(names))
    if found is not hive:
        raise UsageError("a key of another hive", expected=root_path(hive))
    return rest


def control_set(hive: ConfigHive, names: Sequence[str], view: Key, changes: KeyEdits | None = None) -> tuple[str, ...]:
    """The names below the hive's root, `CurrentControlSet` replaced by the one that `Select\\Current` of `view` names.

    It is a link that a system makes as it starts. changes: of the hive, which may name one where nothing does so far.
    Raises NotFoundError where nothing names one.
    """
    if hive.name != "SYSTEM" or not names or upcase(names[0]) != _CURRENT:
        return tuple(names)
    select = view.subkey("Select")
    current = None if select is None else select.value("Current")
    if current is None and changes is not None:
        current = _changed(changes, "Select", "Current")
    if current is None or current.type != RegType.DWORD or len(current.data) != 4:
        raise NotFoundError(
            "no CurrentControlSet: the hive has no number in Select\\Current",
            path="\\".join((*hive.root, *names)),
            hint="name the control set itself, ControlSet001",
        )
    return f"ControlSet{int.from_bytes(current.data, 'little'):03}", *names[1:]


def _changed(changes: KeyEdits, key: str, name: str) -> Value | None:
    """What a value of a key of the root becomes."""
    found = changes.subkeys.get(key_order(key))
    return None if found is None else found.values.get(key_order(name))


def links_of(hive: ConfigHive, root: Key) -> Links:
    """The links of a hive with that root, CurrentControlSet among them."""
    return Links(root, partial(below_root, hive), lambda names, changes: control_set(hive, names, root, changes))
