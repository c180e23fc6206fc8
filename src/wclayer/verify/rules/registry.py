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
        " and SYSTEM. A base layer has all five, were they without a key.",
        (Effect(ALL, _PROCESS),),
        "Import the layer, and export it after `wclayer makebaselayer FOLDER`, which makes the hives that are missing.",
        imports=True,
    ),
    Rule(
        Code.HIVE_EMPTY,
        Severity.ERROR,
        "an empty file in place of a hive",
        "Before Windows Server 2025, empty files passed for the hives of an image without an operating system; imgutil"
        " and pack write them. Since then all five must be hives.",
        (
            Effect(_SINCE_2025, "ProcessBaseImage 0x3f1 on Server 2025 (ERROR_BADDB, 0x800703f1)"),
            Effect(_BEFORE_2025, "some updates of Windows refuse it as Server 2025 does"),
            Effect((Target.CIMFS,), "offreg cannot open it as a layer above is merged with it"),
            Effect(ENGINES, "a pull fails on hosts that refuse it"),
        ),
        f"{_MINIMAL}.",
        imports=True,
    ),
    Rule(
        Code.HIVE_BROKEN,
        Severity.ERROR,
        "a broken hive",
        "Windows refuses the hive, or drops or never finds keys of it. What a hive must be is said by `wclayer hive"
        " check`.",
        (Effect(ALL, f"{_NO_BASE}, or a part of the registry is lost"),),
        f"Take the hive from the image anew, or {_MINIMAL}.",
        imports=True,
    ),
    Rule(
        Code.HIVE_DIRTY,
        Severity.ERROR,
        "a hive that was not wholly written, without its logs",
        "The two sequence numbers of its base block differ, or the checksum is wrong: a part of what was written is in"
        " transaction logs (.LOG1, .LOG2), and the layer has none that fit.",
        (Effect(ALL, _NO_BASE),),
        "Make it whole with its logs (`wclayer hive recover`), or take it from the image anew.",
        imports=True,
    ),
    Rule(
        Code.HIVE_DIRTY_WITH_LOGS,
        Severity.WARNING,
        "a hive that is whole only with its logs",
        "What was written last is in the transaction logs beside it. Hives\\*_Base, which containers load, are hard"
        " links to the hives alone.",
        (Effect(ALL, "what the logs have may be missing from the registry of the container"),),
        "`wclayer hive recover` writes the hive with what its logs have.",
        imports=True,
    ),
    Rule(
        Code.HIVE_DIFFERENCING,
        Severity.ERROR,
        "a differencing hive in a base layer",
        "A hive of version 1.6 with layered keys says what a layer changes. Windows loads it over another one alone,"
        " and below a base layer is none.",
        (Effect(ALL, _NO_BASE),),
        "Put the hive of the base layer there; `wclayer hive merge` lays differencing hives over it.",
        imports=True,
    ),
    Rule(
        Code.HIVE_NO_FILE,
        Severity.ERROR,
        "a hive of the registry that is no file",
        "A directory, symlink or junction is where Windows wants a hive.",
        (Effect(ALL, f"{_PROCESS}; in a layer above, the registry of the layer cannot be mounted"),),
        "Put the hive itself there.",
        imports=True,
    ),
    Rule(
        Code.HIVE_HARD_LINK,
        Severity.WARNING,
        "a hive of the registry that is a hard link",
        "The importer for CimFS keeps the five hives by their names, and refuses a link in their place. Its"
        " contents are those of another name, and are judged if that is an empty file or a hive, or can be read again.",
        (Effect((Target.CIMFS,), "the import fails at this entry"),),
        "Put a copy of the file there, or let the other name be the link.",
        imports=True,
        refused_at=(Target.CIMFS,),
    ),
    Rule(
        Code.HIVE_HEALED,
        Severity.NOTE,
        "a hive that Windows repairs as it loads it",
        "It is loaded whole, but no program that keeps the rules wrote it.",
        (Effect(ALL, "nothing is lost; other programs may not read it"),),
        "Nothing; `wclayer hive check` names all.",
        imports=True,
    ),
    Rule(
        Code.DELTA_BROKEN,
        Severity.ERROR,
        "a broken differencing hive",
        "A file Hives/*_Delta is empty, was not wholly written, or is no hive that can be laid over the one below.",
        (
            Effect((*WINDOWS, *ENGINES), "containers of the image do not start: their registry cannot be mounted"),
            Effect((Target.CIMFS,), _NO_MERGE),
        ),
        "Take the hive from the layer anew, or write an empty one: `wclayer hive new --version 1.6`.",
        imports=True,
    ),
    Rule(
        Code.DELTA_ORDINARY,
        Severity.WARNING,
        "an ordinary hive in place of a differencing one",
        "A file Hives/*_Delta is to be of version 1.6 with layered keys. wclayer takes an ordinary hive for one that"
        " changes all its keys; whether Windows does is not known.",
        (Effect(ALL, "its keys may not be seen, or hide those below"),),
        "Write its keys to a .reg file (`wclayer hive export`), and import that into an empty differencing hive (`hive"
        " new --version 1.6`, `hive import`).",
        imports=True,
    ),
    Rule(
        Code.DELTA_OF_OTHER_BASE,
        Severity.WARNING,
        "a differencing hive that was made on another base",
        "It has keys that say they change one below (InheritClass), where no layer below has one. Windows writes none"
        " of those: the layer was made on another image.",
        (Effect(ALL, "keys appear with a part of their values, and programs find them incomplete"),),
        "Put the layer on the image that it was made on, or make it anew on this one.",
        imports=True,
    ),
    Rule(
        Code.DELTA_MISSING,
        Severity.WARNING,
        "a differencing hive on top of a layer that has none",
        "For CimFS, hcsshim makes the whole hive X_Base of a layer with X_Delta from the X_Base of the layer right"
        " below, and makes none where there is no X_Delta. Layers that Windows makes have all five; BuildKit's have"
        " none.",
        (Effect((Target.CIMFS,), "the import fails: there is no X_Base in the layer below"),),
        "Give the layer below an empty differencing hive, or squash the two (`wclayer squash`).",
        imports=True,
        refused_at=(Target.CIMFS,),
    ),
    Rule(
        Code.HIVES_UNKNOWN,
        Severity.WARNING,
        "something in Hives/ that is no hive of Windows'",
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
        "In a container Windows has the base's hive at this path, and lays the differencing hives of the layers over"
        " it. The file of this layer is no part of the registry.",
        (Effect(ALL, "what it would change in the registry is not seen"),),
        "Say what is to change in Hives/*_Delta: `wclayer build` and `wclayer hive import` do.",
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
        " one that imports, and boots nothing.",
        imports=True,
    ),
    Rule(
        Code.BCD_NO_FILE,
        Severity.ERROR,
        "a boot store that is no file",
        "A directory, symlink or junction is where Windows wants the boot store.",
        (Effect(ALL, "ProcessUtilityVMImage fails"),),
        "Put the store itself there.",
        imports=True,
    ),
    Rule(
        Code.BCD_BROKEN,
        Severity.ERROR,
        "a boot store that is no hive which Windows loads",
        "The store of boot configuration data is a registry hive.",
        (Effect(ALL, _NO_BOOT),),
        "Take the store from the image anew, or `wclayer makebaselayer --create-bcd --replace-invalid`.",
        imports=True,
    ),
)
