"""The rules about the metadata."""

from __future__ import annotations

from typing import Final

from ...codes import Code
from .model import ALL, ENGINES, WINDOWS, Effect, Rule, Severity, Target

__all__ = ["METADATA_RULES"]

_REFUSED: Final = "the import fails at this entry"
_BACKUP_WRITE: Final = (*WINDOWS, *ENGINES)  # where layers are files of NTFS

METADATA_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        Code.ATTRIBUTES_MALFORMED,
        Severity.ERROR,
        "file attributes that are not a decimal uint32",
        "MSWINDOWS.fileattr is read by Go's ParseUint: ASCII digits only, at most 4294967295. A sign, a space, a"
        " hexadecimal number or nothing at all is an error.",
        (Effect(ALL, f"{_REFUSED}: strconv.ParseUint, invalid syntax"),),
        "Write the attributes as a decimal number, or leave the record out.",
    ),
    Rule(
        Code.ATTRIBUTES_OF_OTHER_KIND,
        Severity.ERROR,
        "attributes that do not fit the kind of entry",
        "FILE_ATTRIBUTE_DIRECTORY (0x10) is for Windows what the type of the entry is for tar programs. hcsshim"
        " trusts the attributes: a directory without the bit becomes a file, and a file with it a directory without"
        " its data.",
        (Effect(ALL, "the entry becomes one of the other kind, and its contents or data end the import"),),
        "Set 0x10 for directories, and for nothing else but symlinks and junctions that lead to one.",
    ),
    Rule(
        Code.LINK_WITHOUT_ATTRIBUTES,
        Severity.WARNING,
        "a symlink without attributes",
        "Windows has symlinks to files and symlinks to directories, and MSWINDOWS.fileattr tells them apart."
        " Without it, as BuildKit writes them, all are symlinks to files.",
        (Effect(ALL, "a symlink to a directory becomes one to a file, and opening it fails"),),
        "Give symlinks the attributes 1040 (0x410) where they lead to a directory, 1024 (0x400) where to a file.",
        imports=True,
    ),
    Rule(
        Code.DIRECTORY_LINK_AS_FILE,
        Severity.WARNING,
        "a symlink to a directory that is one to a file",
        "The target is a directory of the same layer, and the attributes of the link lack FILE_ATTRIBUTE_DIRECTORY."
        " Windows makes a symlink to a file.",
        (Effect(ALL, "the directory cannot be listed, and nothing in it be opened, through the link"),),
        "Give the link the attributes 1040 (0x410).",
        imports=True,
    ),
    Rule(
        Code.JUNCTION_AS_FILE,
        Severity.ERROR,
        "a junction on a file",
        "Only a directory can be a mount point, and the attributes of this one lack FILE_ATTRIBUTE_DIRECTORY.",
        (
            Effect(
                _BACKUP_WRITE,
                f"{_REFUSED}: BackupWrite, `The directory name is invalid.` (ERROR_DIRECTORY, 0x8007010b)",
            ),
        ),
        "Give the junction the attributes 1040 (0x410), or write a symlink, without MSWINDOWS.mountpoint.",
        imports=True,
    ),
    Rule(
        Code.TIME_MALFORMED,
        Severity.ERROR,
        "a malformed time",
        "Times are decimal seconds since 1970, perhaps with a sign and a fraction, and from 1601-01-01 to 60056-05-28,"
        " which is what a FILETIME holds.",
        (Effect(ALL, f"{_REFUSED}: archive/tar, invalid tar header"),),
        "Write the time as decimal seconds.",
    ),
    Rule(
        Code.TIME_WRAPPED,
        Severity.WARNING,
        "a time that overflows in hcsshim",
        "hcsshim counts times in 64-bit nanoseconds since 1970, which reach from 1677-09-21 to 2262-04-11. A time"
        " outside wraps to another one inside. wclayer keeps it.",
        (Effect(ALL, "the file gets another time"),),
        "Give the file a time in that range.",
        imports=True,
    ),
    Rule(
        Code.TIME_UNPADDED,
        Severity.WARNING,
        "a creation time without the leading zeros of its fraction",
        "BuildKit prints seconds and nanoseconds as two numbers with a point between, so that .000000123 reads as"
        " .123.",
        (Effect(ALL, "the creation time is up to a second late"),),
        "Write the nanoseconds with nine digits.",
        imports=True,
    ),
    Rule(
        Code.DESCRIPTOR_MALFORMED,
        Severity.ERROR,
        "a malformed security descriptor",
        "MSWINDOWS.rawsd is a self-relative security descriptor ([MS-DTYP] 2.4.6). Windows looks at its revision, at"
        " the offsets and alignment of its parts, and at the sizes of SIDs, ACLs and ACEs.",
        (
            Effect(_BACKUP_WRITE, f"{_REFUSED}: BackupWrite, ERROR_INVALID_SECURITY_DESCR (0x8007053a)"),
            Effect((Target.CIMFS,), "the descriptor is stored as it is, and the file cannot be opened"),
        ),
        "Write the descriptor again; MSWINDOWS.sd takes SDDL.",
        imports=True,
    ),
    Rule(
        Code.SDDL_MALFORMED,
        Severity.ERROR,
        "text that is no SDDL",
        "MSWINDOWS.sd is the older form of a descriptor, in the security descriptor definition language.",
        (
            Effect(
                ALL, f"{_REFUSED}: ConvertStringSecurityDescriptorToSecurityDescriptor, ERROR_INVALID_ACL or the like"
            ),
        ),
        "Correct the SDDL, or write MSWINDOWS.rawsd.",
    ),
    Rule(
        Code.NO_DESCRIPTOR,
        Severity.WARNING,
        "no security descriptor",
        "The entry has neither MSWINDOWS.rawsd nor MSWINDOWS.sd. BuildKit writes `Files`, `Hives` and symlinks so.",
        (Effect(ALL, "it inherits from the folder above, and the importing process is its owner"),),
        "Give it a descriptor, such as the one that a fresh volume has:"
        " O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU).",
        imports=True,
    ),
    Rule(
        Code.NO_OWNER,
        Severity.WARNING,
        "a security descriptor without an owner",
        "Every object of Windows has an owner, who may always change its permissions. The descriptor names none.",
        (Effect(ALL, "the owner is the one who imports, or Windows refuses the descriptor (ERROR_INVALID_OWNER)"),),
        "Name an owner: O:BA in SDDL.",
        imports=True,
    ),
    Rule(
        Code.NO_DACL,
        Severity.WARNING,
        "a security descriptor without a DACL",
        "Without a DACL, or with a NULL one, Windows checks no access at all. crane, ko and imgutil write those.",
        (Effect(ALL, "every user of the container, ContainerUser too, may read, change and delete the file"),),
        "Give it a DACL: D:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU) in SDDL.",
        imports=True,
    ),
    Rule(
        Code.REPARSE_MALFORMED,
        Severity.ERROR,
        "a malformed reparse point",
        "The buffer is shorter than it says, or a name of the link lies outside it ([MS-FSCC] 2.1.2).",
        (Effect(_BACKUP_WRITE, f"{_REFUSED}: BackupWrite, ERROR_INVALID_REPARSE_DATA (0x80071128)"),),
        "Write the reparse point again, or leave it out.",
    ),
    Rule(
        Code.REPARSE_REBUILT,
        Severity.WARNING,
        "a link that hcsshim rebuilds differently",
        "In the tar a link is its print name, and hcsshim makes the substitute name, which Windows follows, from that."
        " Here the two differ, or a tar cannot hold the name. WCLAYER.reparse has the exact link.",
        (Effect(ALL, "the link leads elsewhere, or nowhere"),),
        "Make the link again, with its target as its print name.",
        imports=True,
    ),
    Rule(
        Code.REPARSE_TAG_UNKNOWN,
        Severity.WARNING,
        "a reparse point that is not a link",
        'hcsshim knows symlinks and junctions. Its export fails at any other tag ("unsupported reparse point"), and'
        " its import ignores WCLAYER.reparse, which holds it.",
        (Effect(ALL, "the file is made without its reparse point"),),
        "Leave it out of the layer, or import the layer with wclayer.",
        imports=True,
    ),
    Rule(
        Code.LINK_LEAVES_CONTAINER,
        Severity.WARNING,
        "a link that leaves the container",
        "A container has only drive C:, which is `Files`. The link leads to another drive, a volume or device of the"
        " host, another computer, or above the root.",
        (Effect(ALL, "it leads nowhere, or to something outside the container"),),
        "Point the link to a path on drive C:.",
        imports=True,
    ),
    Rule(
        Code.LINK_WITH_FILES,
        Severity.WARNING,
        "a link target with the layer's own folder in it",
        "BuildKit and buildah put `Files/` before the targets of symlinks, as before names. In the container there is"
        " no such folder, and the path begins where the link is.",
        (Effect(ALL, "the link leads nowhere"),),
        "Write the target as the container sees it, without `Files/`.",
        imports=True,
    ),
    Rule(
        Code.JUNCTION_NOT_ABSOLUTE,
        Severity.WARNING,
        "a junction whose target is not an absolute path",
        "A mount point holds a path of the object manager, as \\??\\C:\\Windows; Windows has no relative ones.",
        (Effect(ALL, "the junction leads nowhere"),),
        r"Write the target with its drive, C:\..., or write a symlink, without MSWINDOWS.mountpoint.",
        imports=True,
    ),
    Rule(
        Code.REPARSE_TOO_LARGE,
        Severity.ERROR,
        "a reparse point of more than 16 KiB",
        "MAXIMUM_REPARSE_DATA_BUFFER_SIZE is 16,384 bytes; a link holds its target twice, in UTF-16.",
        (Effect(_BACKUP_WRITE, f"{_REFUSED}: BackupWrite, ERROR_INVALID_REPARSE_DATA (0x80071128)"),),
        "Point the link to a shorter path.",
        imports=True,
    ),
    Rule(
        Code.EA_MALFORMED,
        Severity.ERROR,
        "malformed extended attributes",
        "An entry of the FILE_FULL_EA_INFORMATION list exceeds the list ([MS-FSCC] 2.4.16).",
        (Effect(_BACKUP_WRITE, f"{_REFUSED}: BackupWrite, ERROR_EA_LIST_INCONSISTENT (0x800700ff)"),),
        "Write the extended attributes again, or leave them out.",
    ),
    Rule(
        Code.EA_TOO_LARGE,
        Severity.ERROR,
        "an extended attribute that is too large",
        "The name of an extended attribute has at most 255 bytes, its value 65,535.",
        (Effect(ALL, f"{_REFUSED}: the list of extended attributes cannot be written"),),
        "Leave it out, or store its value as a file or stream.",
    ),
    Rule(
        Code.STREAM_MALFORMED,
        Severity.ERROR,
        "a malformed backup stream",
        "A file of a transport folder is its attributes and a Win32 backup stream (WIN32_STREAM_ID), which exceeds"
        " the file here.",
        (Effect(_BACKUP_WRITE, "ImportLayer fails"),),
        "Write the folder again: `wclayer import -i TAR transport:DIR` makes one from a tar.",
    ),
    Rule(
        Code.OWN_RECORDS,
        Severity.NOTE,
        "records that only wclayer restores",
        "Records whose names begin with WCLAYER. hold what the standard ones cannot: other reparse points, the flags of"
        " extended attributes, holes, DOS names, object IDs. hcsshim, containerd and Docker ignore them.",
        (Effect(ALL, "their contents are lost with other programs"),),
        "None needed if that does not matter; else import the layer with wclayer.",
        imports=True,
    ),
    Rule(
        Code.METADATA_INEXPRESSIBLE,
        Severity.ERROR,
        "metadata that neither the tar nor NTFS can hold",
        "A link target of more than 64 KiB, or a backup stream without a matching record.",
        (Effect(ALL, _REFUSED),),
        "Leave it out.",
    ),
    Rule(
        Code.EA_NAME,
        Severity.ERROR,
        "an extended attribute whose name or flags Windows refuses",
        'The name is empty, has more than 254 bytes, or has a control character or one of \\ / : * ? " < > | , + = ['
        " ] ;, or the flags are neither 0 nor FILE_NEED_EA, 0x80 ([MS-FSCC], FileFullEaInformation).",
        (Effect(_BACKUP_WRITE, f"{_REFUSED}: BackupWrite, ERROR_INVALID_EA_NAME (0x800700fe)"),),
        "Give it another name, or leave it out.",
        imports=True,
    ),
    Rule(
        Code.EAS_TOO_LARGE,
        Severity.ERROR,
        "more than 64 KiB of extended attributes on one file",
        "All extended attributes of a file, with their headers, have at most 64 KiB - 5 bytes ([MS-FSA] 2.1.5.15.5).",
        (Effect(_BACKUP_WRITE, f"{_REFUSED}: BackupWrite, STATUS_EA_TOO_LARGE (ERROR_EAS_DIDNT_FIT, 0x80070113)"),),
        "Leave some of them out, or store their values as a file or stream.",
        imports=True,
    ),
    Rule(
        Code.STREAM_SUFFIX,
        Severity.WARNING,
        "a stream whose name does not end in :$DATA",
        "hcsshim's importer for CimFS needs the full name of a stream, file:stream:$DATA, and its export writes it"
        " without the end; the importer for NTFS takes both.",
        (Effect((Target.CIMFS,), f"{_REFUSED}: stream types other than $DATA are not supported"),),
        "Leave the streams out of a layer for CimFS, or write their names with :$DATA.",
        imports=True,
        refused_at=(Target.CIMFS,),
    ),
    Rule(
        Code.EA_EMPTY,
        Severity.WARNING,
        "an extended attribute without a value",
        "Windows deletes an extended attribute that is set to nothing ([MS-FSA] 2.1.5.15.5).",
        (Effect(_BACKUP_WRITE, "the file does not have the extended attribute"),),
        "Leave it out, or give it a value.",
        imports=True,
    ),
    Rule(
        Code.EA_TWICE,
        Severity.WARNING,
        "two extended attributes whose names differ only in case",
        "NTFS makes the names of extended attributes upper-case, and of two of one name the later one replaces the"
        " other. Which one is random: hcsshim collects them from a Go map, which has no order.",
        (Effect(_BACKUP_WRITE, "the file has only one of the two"),),
        "Leave one of them out, or give it another name.",
        imports=True,
    ),
)
