"""The rules about the registry, and the boot store of the utility VM."""

from __future__ import annotations

from typing import Final

from ...codes import Code
from .model import ALL, ENGINES, WINDOWS, Effect, Rule, Severity, Target

__all__ = ["REGISTRY_RULES"]

_PROCESS: Final = "ProcessBaseImage fails, and with it the import"
_SINCE_2025: Final = (Target.WS2025, Target.WIN11)
_BEFORE_2025: Final = (Target.WS2019, Target.WS2022)
_MINIMAL: Final = "`wclayer makebaselayer FOLDER --replace-invalid` puts a minimal hive in its place"
_NO_BASE: Final = f"{_PROCESS}: the hive cannot be loaded (ERROR_BADDB, 0x3f1)"
_NO_MERGE: Final = "ORMergeHives fails as the layer is imported"
_NO_BOOT: Final = (
    "ProcessUtilityVMImage fails: `The registry could not read in, or write out, or flush, one of the files` (0x3f8)"
)

REGISTRY_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        Code.HIVE_MISSING,
        Severity.ERROR,
        "a base layer without one of its hives",
        "Windows makes the registry of containers from Files/Windows/System32/config/DEFAULT, SAM, SECURITY, SOFTWARE"
        " and SYSTEM. A base layer has all five, even if they are empty.",
        (Effect(ALL, _PROCESS),),
        "Import the layer, and export it after `wclayer makebaselayer FOLDER`, which makes the hives that are missing.",
        imports=True,
    ),
    Rule(
        Code.HIVE_EMPTY,
        Severity.ERROR,
        "an empty file in place of a hive",
        "Before Windows Server 2025, empty files were accepted as the hives of an image without an operating system;"
        " imgutil and pack write them. Since then all five must be hives.",
        (
            Effect(_SINCE_2025, "ProcessBaseImage 0x3f1 on Server 2025 (ERROR_BADDB, 0x800703f1)"),
            Effect(_BEFORE_2025, "some updates of Windows refuse it as Server 2025 does"),
            Effect((Target.CIMFS,), "offreg cannot open it when a layer above is merged with it"),
            Effect(ENGINES, "a pull fails on hosts that refuse it"),
        ),
        f"{_MINIMAL}.",
        imports=True,
    ),
    Rule(
        Code.HIVE_BROKEN,
        Severity.ERROR,
        "a broken hive",
        "Windows refuses the hive, or drops or never finds some of its keys. `wclayer hive check` lists all faults.",
        (Effect(ALL, f"{_NO_BASE}, or a part of the registry is lost"),),
        f"Take the hive from the image again, or {_MINIMAL}.",
        imports=True,
    ),
    Rule(
        Code.HIVE_DIRTY,
        Severity.ERROR,
        "a dirty hive without its logs",
        "The two sequence numbers of its base block differ, or the checksum is wrong: a part of the changes is in"
        " transaction logs (.LOG1, .LOG2), and the layer has none that fit.",
        (Effect(ALL, _NO_BASE),),
        "Recover it with its logs (`wclayer hive recover`), or take it from the image again.",
        imports=True,
    ),
    Rule(
        Code.HIVE_DIRTY_WITH_LOGS,
        Severity.WARNING,
        "a dirty hive with its logs",
        "The latest changes are in the transaction logs beside it. Hives\\*_Base, which containers load, are hard"
        " links to the hives only.",
        (Effect(ALL, "the changes in the logs may be missing from the container's registry"),),
        "`wclayer hive recover` writes the hive with the changes of its logs.",
        imports=True,
    ),
    Rule(
        Code.HIVE_DIFFERENCING,
        Severity.ERROR,
        "a differencing hive in a base layer",
        "A hive of version 1.6 with layered keys holds the changes of a layer. Windows loads it only over another one,"
        " and there is none below a base layer.",
        (Effect(ALL, _NO_BASE),),
        "Put the hive of the base layer there; `wclayer hive merge` merges differencing hives into it.",
        imports=True,
    ),
    Rule(
        Code.HIVE_NO_FILE,
        Severity.ERROR,
        "a hive of the registry that is not a file",
        "A directory, symlink or junction is in the place of a hive.",
        (Effect(ALL, f"{_PROCESS}; in a layer above, the registry of the layer cannot be mounted"),),
        "Put the hive itself there.",
        imports=True,
    ),
    Rule(
        Code.HIVE_HARD_LINK,
        Severity.WARNING,
        "a hive of the registry that is a hard link",
        "The importer for CimFS stores the five hives by name, and refuses a link in their place. Its"
        " contents are those of another name, and are checked if that is an empty file or a hive, or is read again.",
        (Effect((Target.CIMFS,), "the import fails at this entry"),),
        "Put a copy of the file there, or let the other name be the link.",
        imports=True,
        refused_at=(Target.CIMFS,),
    ),
    Rule(
        Code.HIVE_HEALED,
        Severity.NOTE,
        "a hive that Windows repairs while loading",
        "It is loaded completely, but the program that wrote it broke the format's rules.",
        (Effect(ALL, "nothing is lost; other programs may not read it"),),
        "None needed; `wclayer hive check` lists all of them.",
        imports=True,
    ),
    Rule(
        Code.DELTA_BROKEN,
        Severity.ERROR,
        "a broken differencing hive",
        "A file Hives/*_Delta is empty, dirty, or not a hive that can be merged with the one below.",
        (
            Effect((*WINDOWS, *ENGINES), "containers of the image do not start: their registry cannot be mounted"),
            Effect((Target.CIMFS,), _NO_MERGE),
        ),
        "Take the hive from the layer again, or write an empty one: `wclayer hive new --version 1.6`.",
        imports=True,
    ),
    Rule(
        Code.DELTA_ORDINARY,
        Severity.WARNING,
        "an ordinary hive in place of a differencing one",
        "A file Hives/*_Delta must be of version 1.6 with layered keys. wclayer reads an ordinary hive as one that"
        " changes all its keys; whether Windows does so is not known.",
        (Effect(ALL, "its keys may not be seen, or hide those below"),),
        "Write its keys to a .reg file (`wclayer hive export`), and import that into an empty differencing hive (`hive"
        " new --version 1.6`, `hive import`).",
        imports=True,
    ),
    Rule(
        Code.DELTA_OF_OTHER_BASE,
        Severity.WARNING,
        "a differencing hive that was made on another base",
        "Some of its keys change one below (InheritClass), but no layer below has that key. Windows never writes"
        " such keys: the layer was made on another image.",
        (Effect(ALL, "keys appear with only some of their values"),),
        "Put the layer on the image that it was made on, or make it again on this one.",
        imports=True,
    ),
    Rule(
        Code.DELTA_MISSING,
        Severity.WARNING,
        "a differencing hive on top of a layer that has none",
        "For CimFS, hcsshim makes the complete hive X_Base of a layer with X_Delta from the X_Base of the layer right"
        " below, and makes none where there is no X_Delta. Layers that Windows makes have all five; BuildKit's have"
        " none.",
        (Effect((Target.CIMFS,), "the import fails: there is no X_Base in the layer below"),),
        "Add an empty differencing hive to the layer below, or squash the two (`wclayer squash`).",
        imports=True,
        refused_at=(Target.CIMFS,),
    ),
    Rule(
        Code.HIVES_UNKNOWN,
        Severity.WARNING,
        "an unknown entry in Hives/",
        "In Hives/ are DefaultUser_Delta, Sam_Delta, Security_Delta, Software_Delta and System_Delta, and their logs;"
        " Windows looks for no other name.",
        (Effect(ALL, "nothing in the container shows it"),),
        "Leave it out, or give it the right name.",
        imports=True,
    ),
    Rule(
        Code.HIVE_ABOVE_BASE,
        Severity.WARNING,
        "a hive of the registry in a layer above the base layer",
        "In a container Windows loads the base's hive at this path, merged with the differencing hives of the"
        " layers. The file of this layer is not part of the registry.",
        (Effect(ALL, "its changes of the registry have no effect"),),
        "Write the changes to Hives/*_Delta, with `wclayer build` or `wclayer hive import`.",
        imports=True,
    ),
    Rule(
        Code.BCD_MISSING,
        Severity.ERROR,
        "a utility VM without a boot store",
        "Where a base layer has UtilityVM/Files, Windows prepares it to boot, and changes its store"
        " EFI/Microsoft/Boot/BCD.",
        (Effect(ALL, _NO_BOOT),),
        "Copy the store of the utility VM, leave UtilityVM out, or `wclayer makebaselayer --create-bcd`, which makes"
        " one that imports but does not boot.",
        imports=True,
    ),
    Rule(
        Code.BCD_NO_FILE,
        Severity.ERROR,
        "a boot store that is not a file",
        "A directory, symlink or junction is in the place of the boot store.",
        (Effect(ALL, "ProcessUtilityVMImage fails"),),
        "Put the store itself there.",
        imports=True,
    ),
    Rule(
        Code.BCD_BROKEN,
        Severity.ERROR,
        "a boot store that Windows cannot load",
        "The store of boot configuration data is a registry hive.",
        (Effect(ALL, _NO_BOOT),),
        "Take the store from the image again, or `wclayer makebaselayer --create-bcd --replace-invalid`.",
        imports=True,
    ),
)
