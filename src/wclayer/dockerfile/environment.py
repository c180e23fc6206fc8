r"""The environment variables of an image that only its registry has: Windows gives them to every process.

    HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager\Environment

A variable in the config of an image replaces the one of the registry. So `PATH=C:\app` in a config is all that a
container has, and whoever adds a folder must know what the registry has.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from hashlib import sha256
from typing import Final

from ..entry import Progress, ProgressCallback
from ..errors import NotFoundError
from ..images.reading import ImageLayer
from ..layers.hives.config_hives import CONFIG_HIVES, control_set
from ..layers.hives.merge import HiveStack
from ..regf.model import Key, RegType
from ..win32.names import from_utf16, upcase

__all__ = ["registry_environment", "variables_of"]

_SYSTEM: Final = next(hive for hive in CONFIG_HIVES if hive.name == "SYSTEM")
_KEY: Final = ("Control", "Session Manager", "Environment")
_WITHIN: Final = ("Select", *("\\".join((f"ControlSet{number:03}", *_KEY)) for number in range(1, 10)))
_MOST: Final = 32_767  # characters of a variable ([win32] SetEnvironmentVariable)
_REFERENCE: Final = re.compile(r"%([^%]+)%")
# What the kernel and the logon set before they read the key, in a container.
_PREDEFINED: Final = {
    "SYSTEMDRIVE": "C:",
    "SYSTEMROOT": "C:\\Windows",
    "PROGRAMDATA": "C:\\ProgramData",
    "ALLUSERSPROFILE": "C:\\ProgramData",
    "PUBLIC": "C:\\Users\\Public",
    "PROGRAMFILES": "C:\\Program Files",
    "PROGRAMFILES(X86)": "C:\\Program Files (x86)",
    "PROGRAMW6432": "C:\\Program Files",
    "COMMONPROGRAMFILES": "C:\\Program Files\\Common Files",
    "COMMONPROGRAMFILES(X86)": "C:\\Program Files (x86)\\Common Files",
    "COMMONPROGRAMW6432": "C:\\Program Files\\Common Files",
}


def registry_environment(
    layers: Sequence[ImageLayer],
    warn: Callable[[str], object],
    progress: ProgressCallback | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
) -> Mapping[str, str]:
    """The variables in the registry of all layers of an image, base first, with references in them expanded.

    warn: called with a text where the registry cannot be read; the result is then empty. progress: called for each
    entry that is read. cache: a folder in which the result is kept. Each layer is read to its end. Raises what reading
    layers raises.
    """
    key = sha256("".join(f"{layer.diff_id} {layer.descriptor.digest}\n" for layer in layers).encode()).hexdigest()
    path = None if cache is None else os.path.join(cache, f"sha256-{key}.environment")
    known = None if path is None else _read(path)
    if known is not None:
        return known
    faults: list[str] = []
    sources = [layer.source() for layer in layers]
    with HiveStack(temp_dir=temp_dir, within={_SYSTEM.name: _WITHIN}, on_fault=faults.append) as registry:
        for number, source in enumerate(sources):
            with closing(source.entries()) as entries:
                for entry, body in entries:
                    registry.see(number, entry, body)
                    if progress is not None:
                        progress(Progress(source.so_far.bytes, None, entry))
        registry.finish(sources)
        view = registry.view(_SYSTEM)
    for fault in faults:
        warn(f"the environment in the registry of the base is unknown: {fault}")
    found = {} if view is None else variables_of(view.root)
    if path is not None and not faults:
        _write(path, found)
    return found


def variables_of(root: Key) -> dict[str, str]:
    """The variables in a SYSTEM hive with that root, by their names as they are spelled there."""
    try:
        key = root.find("\\".join(control_set(_SYSTEM, ("CurrentControlSet", *_KEY), root)))
    except NotFoundError:
        return {}
    texts = {
        value.name: (value.type, from_utf16(value.data).partition("\0")[0])
        for value in (() if key is None else key.values)
        if value.type in (RegType.SZ, RegType.EXPAND_SZ) and not value.tombstone
    }
    known = dict(_PREDEFINED)
    result = {name: text for name, (kind, text) in texts.items() if kind == RegType.SZ}
    known |= {upcase(name): text for name, text in result.items()}
    # As Windows does: values with references after those without, each seeing what was set before it; Path last.
    expandable = [name for name, (kind, _) in texts.items() if kind == RegType.EXPAND_SZ]
    for name in sorted(expandable, key=lambda name: upcase(name) == "PATH"):
        result[name] = known[upcase(name)] = _expanded(texts[name][1], known)
    return result


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """The text with `%NAME%` replaced, as ExpandEnvironmentStrings does; unknown names stay as they are."""
    result = _REFERENCE.sub(lambda found: known.get(upcase(found[1]), found[0]), text[:_MOST])
    return result if len(result) <= _MOST else text[:_MOST]


def _read(path: str) -> dict[str, str] | None:
    """The variables in a file of the cache; None without one, or for another file."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    valid = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if valid else None


def _write(path: str, found: Mapping[str, str]) -> None:
    """Keep the variables in the cache; without space or permission there, they are read again the next time."""
    folder = os.path.dirname(path)
    with suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        descriptor, made = tempfile.mkstemp(".partial", "environment-", folder)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(found, file)
            os.replace(made, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(made)
            raise
