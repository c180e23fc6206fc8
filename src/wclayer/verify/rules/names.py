"""Rules of names, their order, hard links and whiteouts, as hcsshim's importers have them, and NTFS."""

from __future__ import annotations

from typing import Final

from ...codes import Code
from .model import ALL, ENGINES, WINDOWS, Effect, Rule, Severity

__all__ = ["NAME_RULES"]

_ESCAPES: Final = (Effect(ALL, "the import fails; a less careful importer writes outside the layer"),)
_NOT_FOUND: Final = (Effect(ALL, "the import fails: `The system cannot find the path specified.` (0x3)"),)
_EXISTS: Final = (Effect(ALL, "the import fails: `Cannot create a file when that file already exists.` (0xb7)"),)

NAME_RULES: Final = (
    Rule(
        Code.LEAVES_LAYER,
        Severity.ERROR,
        "a path that leaves the layer",
        "Paths are relative, with slashes, without `..`, without a drive, without a backslash.",
        _ESCAPES,
        "Make the tar with paths that begin with Files/; drive C: itself is Files.",
    ),
    Rule(
        Code.OUTSIDE_ROOTS,
        Severity.ERROR,
        "an entry outside the layer's roots",
        "In the root of a layer are `Files` (drive C:), `UtilityVM`, and in a layer on top of others `Hives`. All"
        " other names there are Windows' own. A tar of a Linux image, or one that was made with `tar -C folder`, has"
        " its files there.",
        (Effect(ALL, "the import fails, or the entry is lost: nothing in the container shows it"),),
        "Put what is to be drive C: below Files/: `wclayer build FOLDER -o IMAGE` does so.",
    ),
    Rule(
        Code.ROOT_CASE,
        Severity.ERROR,
        "a root folder in another case",
        "Windows ignores case, but hcsshim compares `Files`, `UtilityVM` and `Hives` exactly.",
        (Effect(ALL, "the import fails, or what is below is not part of the layer"),),
        "Write `Files`, `Hives`, `UtilityVM`.",
    ),
    Rule(
        Code.ROOT_SLASH,
        Severity.ERROR,
        "a root folder with a slash at its end",
        "hcsshim compares `UtilityVM` and `UtilityVM/Files` exactly with the name in the tar. GNU tar and"
        " Python's tarfile write a slash after the names of directories.",
        (
            Effect(
                ALL,
                "with `UtilityVM/Files/` the utility VM is not processed, without an error: Hyper-V containers do not"
                " start; with `UtilityVM/` the import of a non-base layer fails",
            ),
        ),
        "Import the tar and export it with `wclayer export --framing canonical`: no name has a slash at its end then.",
        imports=True,
    ),
    Rule(
        Code.ROOT_NO_DIRECTORY,
        Severity.ERROR,
        "a root that is not a plain directory",
        "`Files`, `Hives` and `UtilityVM` must be directories, not links.",
        (Effect(ALL, "the import fails"),),
        "Make it a directory.",
    ),
    Rule(
        Code.NO_FILES,
        Severity.ERROR,
        "a base layer without Files",
        "Without the directory `Files` there is no drive C:.",
        (Effect(ALL, "ProcessBaseImage fails: `The system cannot find the path specified.` (0x3)"),),
        "Add the entry `Files`, with the contents of the container below it.",
    ),
    Rule(
        Code.HIVES_IN_BASE,
        Severity.ERROR,
        "Hives in a base layer",
        "ProcessBaseImage makes the folder `Hives` itself and fails if it exists. A layer on top of others has it.",
        (Effect(ALL, "ProcessBaseImage fails: `Cannot create a file when that file already exists.` (0xb7)"),),
        "If this layer belongs on others, pass them with -l; else leave Hives out.",
    ),
    Rule(
        Code.BESIDE_UTILITY_VM,
        Severity.ERROR,
        "an entry beside UtilityVM/Files",
        "`UtilityVM` contains `Files` only; the disks beside it are made when the layer is processed.",
        (Effect(ALL, "the import of a non-base layer fails: `invalid UtilityVM layer`; ProcessUtilityVMImage may"),),
        "Leave the entry out.",
    ),
    Rule(
        Code.NAME_IMPOSSIBLE,
        Severity.ERROR,
        "a name that NTFS cannot hold",
        "A name has 1 to 255 UTF-16 code units, is not `.` or `..`, has no slash, backslash, colon or NUL, and its"
        " bytes in the tar are UTF-8.",
        (Effect(ALL, "the import fails: `The filename, directory name, or volume label syntax is incorrect.` (0x7b)"),),
        "Rename the file.",
    ),
    Rule(
        Code.NAME_OF_WIN32,
        Severity.WARNING,
        "a name that Windows programs cannot open",
        "NTFS holds it, and the layer is imported; but Win32 takes names with a dot or blank at the end, names of"
        " devices (`CON`,"
        ' `NUL.txt`) and those with one of `< > " | ? *` or a control character for something else.',
        (Effect(WINDOWS, "programs in the container can open or delete the file only through `\\\\?\\`"),),
        "Rename the file.",
        imports=True,
    ),
    Rule(
        Code.PATH_TOO_LONG,
        Severity.ERROR,
        "a path longer than Windows can open",
        "A path has at most 32,767 UTF-16 code units, drive and prefix included.",
        (Effect(ALL, "the import fails: `The filename or extension is too long.` (0xce)"),),
        "Shorten the path.",
    ),
    Rule(
        Code.PATH_OVER_MAX_PATH,
        Severity.NOTE,
        "a path longer than MAX_PATH",
        "Programs whose manifest does not declare support for long paths, and systems where LongPathsEnabled"
        " is not set, open paths of up to 259 characters, the `C:\\` included.",
        (Effect(WINDOWS, "older programs cannot open it"),),
        "Shorten the path, or set LongPathsEnabled in the layer's SYSTEM hive.",
        imports=True,
    ),
    Rule(
        Code.NAME_TAKEN,
        Severity.ERROR,
        "two entries of one name",
        "Windows compares names without regard to case: `Files/a` and `Files/A` are one file.",
        _EXISTS,
        "Leave one of the two out.",
    ),
    Rule(
        Code.NO_DIRECTORY_YET,
        Severity.ERROR,
        "an entry before its directory",
        "hcsshim makes no missing directories: each must come before its contents.",
        _NOT_FOUND,
        "Order the tar so that directories come first, and leave none out.",
    ),
    Rule(
        Code.IN_NO_DIRECTORY,
        Severity.ERROR,
        "an entry in something that is not a directory",
        "The parent of its path is a file in this layer.",
        _NOT_FOUND,
        "Rename one of the two.",
    ),
    Rule(
        Code.BEHIND_LINK,
        Severity.ERROR,
        "an entry behind a symlink or junction",
        "hcsshim opens each directory on the way without following links, and refuses one that is a reparse point.",
        (
            Effect(
                ALL, "the import fails: `The object manager encountered a reparse point while retrieving an object.`"
            ),
        ),
        "Give the path that the link leads to.",
    ),
    Rule(
        Code.FILE_WITH_SLASH,
        Severity.ERROR,
        "a file whose name ends in a slash",
        "A slash at the end is for directories, which have the type `5`.",
        (Effect(ALL, "the import fails, or makes another kind of entry"),),
        "Leave the slash out, or make it a directory.",
    ),
    Rule(
        Code.STREAM_ASTRAY,
        Severity.ERROR,
        "an alternate stream that does not follow its file",
        "`file:stream` is an entry of its own, right after that of the file or directory, or another stream of it; a"
        " `:` is in no file's name.",
        (Effect(ALL, "the import fails, or makes a file that is then lost"),),
        "Put the entry right after its owner.",
    ),
    Rule(
        Code.STREAM_TWICE,
        Severity.ERROR,
        "two streams of one name",
        "Names of streams are compared without regard to case.",
        (Effect(ALL, "the second overwrites the first"),),
        "Leave one of the two out.",
    ),
    Rule(
        Code.LINK_TO_NOTHING,
        Severity.ERROR,
        "a hard link to nothing",
        "The target of a hard link must exist before it: earlier in the layer, or, if that is not a"
        " base layer, in one below.",
        (Effect(ALL, "the import fails: `The system cannot find the file specified.` (0x2)"),),
        "Put the file before its links. If this layer belongs on others, pass them with -l, nearest first.",
    ),
    Rule(
        Code.LINK_TO_NO_FILE,
        Severity.ERROR,
        "a hard link to something that is not a file",
        "NTFS has hard links to files only.",
        (Effect(ALL, "the import fails: `Access is denied.` (0x5)"),),
        "Make it a link to a file.",
    ),
    Rule(
        Code.LINK_OUTSIDE,
        Severity.ERROR,
        "a hard link with an end outside Files and UtilityVM/Files",
        "Both ends of a hard link lie below `Files/` or `UtilityVM/Files/`.",
        (Effect(ALL, "the import fails: `invalid hard link in layer`"),),
        "Write the target as a path in the tar: crane leaves it without Files/.",
    ),
    Rule(
        Code.LINK_TARGET_CASE,
        Severity.ERROR,
        "a hard link that spells its target in another case",
        "In a layer on top of others hcsshim makes the hard links below `Files` after ImportLayer, and finds their"
        " targets among the names that it has read, compared exactly, else in the layers below.",
        (Effect(ENGINES, "the import fails: `failed to find link target`; or it becomes a link to a file below"),),
        "Spell the target as its own entry does.",
        imports=True,
    ),
    Rule(
        Code.TOO_MANY_LINKS,
        Severity.ERROR,
        "a file with more than 1,024 names",
        "NTFS gives a file at most 1,024 names.",
        (
            Effect(
                ALL,
                "the import fails: `An attempt was made to create more links on a file than the file system"
                " supports.` (0x476)",
            ),
        ),
        "Make some of the names files of their own.",
        imports=True,
    ),
    Rule(
        Code.WHITEOUT_IN_BASE,
        Severity.ERROR,
        "a whiteout in a base layer",
        "There is nothing below a base layer to delete from.",
        (Effect(ALL, "the import fails: `base layer cannot have tombstones`"),),
        "If this layer belongs on others, pass them with -l; else leave the whiteout out.",
    ),
    Rule(
        Code.WHITEOUT_OUTSIDE,
        Severity.ERROR,
        "a whiteout outside Files and UtilityVM/Files",
        "Only entries below one of the two can be deleted.",
        (Effect(ALL, "the import fails: `invalid tombstone`"),),
        "Leave it out.",
    ),
    Rule(
        Code.WHITEOUT_MALFORMED,
        Severity.ERROR,
        "a malformed whiteout",
        "`.wh.NAME` is an empty file that deletes NAME, which must not be empty or the name of a stream.",
        (Effect(ALL, "its data are lost, or the folder itself is deleted"),),
        "Write an empty file `.wh.NAME`. A layer cannot hold a file with such a name.",
    ),
    Rule(
        Code.WHITEOUT_TWICE,
        Severity.ERROR,
        "two whiteouts of one name",
        "In the utility VM hcsshim fails at the second one, as the first has deleted all; below `Files` it ignores"
        " it. wclayer refuses both: they are two entries of one name.",
        (Effect(ALL, "in the utility VM the import fails: `The system cannot find the file specified.` (0x2)"),),
        "Leave one of the two out.",
    ),
    Rule(
        Code.WHITEOUT_BESIDE_ENTRY,
        Severity.ERROR,
        "an entry and a whiteout of one name",
        "On Linux such a whiteout applies to the layers below only. hcsshim deletes, below `Files`, after"
        " ImportLayer: the new file goes with the old one. In the utility VM, and of hard links, it depends on the"
        " order.",
        (Effect(ALL, "the new file is lost, without an error"),),
        "Leave the whiteout out: an entry takes the place of what is below it.",
    ),
    Rule(
        Code.WHITEOUT_OPAQUE,
        Severity.WARNING,
        "an opaque whiteout",
        "`.wh..wh..opq` hides, on Linux, all of the directory below. To Windows' importers it is the"
        " whiteout of a file `.wh..opq`.",
        (Effect(ALL, "what it hides on Linux is visible"),),
        "Write a whiteout for each name.",
        imports=True,
    ),
    Rule(
        Code.WHITEOUT_OF_NOTHING,
        Severity.WARNING,
        "a whiteout of nothing",
        "No layer below has what it deletes (any more): it may have been made on other layers.",
        (Effect(ALL, "none, if these are the right layers"),),
        "Pass the layers that it was made on, or leave it out.",
        imports=True,
    ),
    Rule(
        Code.WHITEOUT_OF_NOTHING_IN_UTILITY_VM,
        Severity.ERROR,
        "a whiteout of nothing in the utility VM",
        "hcsshim deletes immediately from the utility VM's files, which it has cloned from the layer below.",
        (Effect(ALL, "the import fails: `The system cannot find the file specified.` (0x2)"),),
        "Leave it out, or pass the layers that it was made on.",
    ),
    Rule(
        Code.LAYER_INVALID,
        Severity.ERROR,
        "entries that are not a valid layer",
        "See the message.",
        (Effect(ALL, "the import fails"),),
        "See the message.",
    ),
    Rule(
        Code.UTILITY_VM_WITHOUT_ONE_BELOW,
        Severity.ERROR,
        "a utility VM in a layer on top of one without",
        "A layer's changes apply to the utility VM of the layer right below, which hcsshim clones first.",
        (Effect(ALL, "the import fails: `The system cannot find the path specified.` (0x3)"),),
        "Leave UtilityVM out, or put the utility VM into the layer below.",
        imports=True,
    ),
    Rule(
        Code.PARENTS_NOT_GIVEN,
        Severity.NOTE,
        "a layer on top of others, without them",
        "Whether targets of its hard links and whiteouts exist, and its hives fit those below, cannot be checked.",
        (Effect(ALL, "none: but not everything could be checked"),),
        "Pass the layers below with -l, nearest first, base last.",
        imports=True,
    ),
    Rule(
        Code.RECORD_BROKEN,
        Severity.ERROR,
        "a layer folder whose record is broken",
        "`layer.db` holds what the file system cannot (docs/layer-folder.md).",
        (Effect(ALL, "the layer cannot be exported"),),
        "Import the layer again.",
        imports=True,
    ),
)
