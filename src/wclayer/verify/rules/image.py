"""Rules of images: their blobs, index, manifest, config and history, as [image-spec], containerd and moby have them."""

from __future__ import annotations

from typing import Final

from ...codes import Code
from .model import ALL, ENGINES, WINDOWS, Effect, Rule, Severity, Target

__all__ = ["IMAGE_RULES"]

_CONTAINERD: Final = (Target.CONTAINERD,)
_DOCKER: Final = (Target.DOCKER,)
_REST: Final = tuple(target for target in ALL if target not in ENGINES)
_NEVER_THERE: Final = Effect(_REST, "the image does not reach the host")
_MADE_ANEW: Final = "Copy the image again from an intact source, or build it again."


def _refused(containerd: str, docker: str | None = None) -> tuple[Effect, ...]:
    """docker: what Docker says, where that is something else."""
    if docker is None:
        return Effect(ENGINES, containerd), _NEVER_THERE
    return Effect(_CONTAINERD, containerd), Effect(_DOCKER, docker), _NEVER_THERE


IMAGE_RULES: Final = (
    Rule(
        Code.IMAGE_INVALID,
        Severity.ERROR,
        "a tag that leads to no image",
        "A tag leads to one image manifest, or to one image index, whose manifests are images. No client takes an"
        " index in an index.",
        _refused("`no match for platform in manifest: not found`", "`no matching manifest for windows/amd64`"),
        "Select an image: oci:DIR:TAG. An index is made with `wclayer index`.",
    ),
    Rule(
        Code.LAYOUT_MISSING,
        Severity.ERROR,
        "a file of the image layout that is missing",
        "An image layout has a file `oci-layout`, with"
        ' `{"imageLayoutVersion": "1.0.0"}`, and an `index.json` ([image-spec] image-layout.md).',
        _refused("the archive is not taken for an image: `unrecognized image format`", "`docker load` finds no image"),
        "Pack all of the layout: `tar -C DIR -cf image.tar oci-layout index.json blobs`.",
    ),
    Rule(
        Code.DOCUMENT_MALFORMED,
        Severity.ERROR,
        "a malformed index, manifest or config",
        "These are JSON: UTF-8, each name once in an object, with the fields and types that [image-spec] gives them. A"
        " digest is `sha256:` and 64 lower-case hexadecimal digits. Manifests are at most 4 MiB large.",
        _refused("`json: cannot unmarshal ...`, or `invalid checksum digest format`"),
        "Write the documents with a JSON library, and the manifest again with the new digests and sizes.",
    ),
    Rule(
        Code.BLOB_MISSING,
        Severity.ERROR,
        "a blob that is missing",
        "All blobs that the index, the manifest and the config name must be there. Only foreign layers may be"
        " elsewhere, at the urls of their descriptor.",
        _refused(
            "`content digest sha256:...: not found`", "`unknown blob` from a registry; from an archive, no such file"
        ),
        _MADE_ANEW,
    ),
    Rule(
        Code.BLOB_SIZE,
        Severity.ERROR,
        "a blob whose size differs from its descriptor",
        "The blob has been cut off, or the manifest was changed by hand.",
        _refused(
            "`unexpected commit size ..., expected ...: failed precondition`",
            "the download is repeated, then given up",
        ),
        _MADE_ANEW,
    ),
    Rule(
        Code.BLOB_DIGEST,
        Severity.ERROR,
        "a blob whose digest differs",
        "The SHA-256 of the bytes is not that of the descriptor: they were damaged on the way, or changed by hand.",
        _refused(
            "`unexpected commit digest sha256:...: failed precondition`",
            "`filesystem layer verification failed for digest`, `manifest verification failed for digest`",
        ),
        _MADE_ANEW,
    ),
    Rule(
        Code.DIFF_ID,
        Severity.ERROR,
        "a layer whose tar does not match its diff_id",
        "A diff_id is the SHA-256 of the layer's tar before it is compressed. The blob is the one that the manifest"
        " names, but not the one that the config means.",
        _refused("`wrong diff id calculated on extraction`", "`layers from manifest don't match image configuration`"),
        "Put the layer's right diff_id into the config: `gzip -dc BLOB | sha256sum` gives it.",
    ),
    Rule(
        Code.DIFF_ID_COUNT,
        Severity.ERROR,
        "a number of diff_ids that differs from that of layers",
        "Each layer of the manifest has one diff_id in the config, in the same order.",
        _refused(
            "`number of layers and diffIDs don't match`", "`layers from manifest don't match image configuration`"
        ),
        "Write a diff_id for each layer, base first; put a layer on an image with `wclayer import` or `wclayer build`.",
    ),
    Rule(
        Code.ROOTFS_TYPE,
        Severity.ERROR,
        "a rootfs.type that is not `layers`",
        "No other type exists. Docker's `layers+base` for Windows is no longer supported.",
        (
            Effect(_CONTAINERD, "takes it, but others that read the image do not"),
            Effect(_DOCKER, "`invalid rootfs in image configuration`"),
            _NEVER_THERE,
        ),
        'Write `"type": "layers"`.',
    ),
    Rule(
        Code.OS_NOT_WINDOWS,
        Severity.ERROR,
        "an image that is not for Windows",
        "`os` of the config is `windows`; of an index at least one image is. Tools on Linux write `linux` by default.",
        _refused(
            "`no match for platform in manifest: not found`",
            '`image operating system "linux" cannot be used on this platform`',
        ),
        'Write `"os": "windows"` into the config; `--platform windows/amd64` for `docker buildx`, `--os windows` for'
        " buildah.",
    ),
    Rule(
        Code.HISTORY,
        Severity.ERROR,
        "a history that does not fit the layers",
        "The history has as many entries without `empty_layer` as there are layers, or none at all. Its texts are"
        " texts, and `empty_layer` is true or false ([image-spec] config.md).",
        (
            Effect(_CONTAINERD, "runs it; a build on top of it fails or gives layers a wrong history"),
            Effect(_DOCKER, "takes no image whose history has more layers than it has; builds on top fail"),
            Effect(_REST, "tools that map layers to the steps that made them fail"),
        ),
        "Add an entry for each layer, or leave the history out.",
    ),
    Rule(
        Code.DATE,
        Severity.ERROR,
        "a date that does not follow RFC 3339",
        "Dates in the config and its history are like `2024-01-31T12:00:00Z`. Go refuses all others, and with them the"
        " document.",
        _refused("`parsing time ... as RFC 3339`"),
        "Write the date in UTC with `T` and `Z`, or leave it out.",
    ),
    Rule(
        Code.INDEX_PLATFORM,
        Severity.ERROR,
        "a platform in the index that is not that of the config",
        "Hosts select by the index and run by the config. `os`, `architecture` and, if present, `os.version`"
        " and `os.features` must be the same.",
        (
            Effect(ENGINES, "a host selects an image that it cannot run, or skips one that it could"),
            _NEVER_THERE,
        ),
        "Make the index again from the images: `wclayer index`.",
    ),
    Rule(
        Code.MEDIA_TYPE,
        Severity.ERROR,
        "an unknown media type",
        "Known are those of OCI and Docker: an image manifest, an image config, and for layers a tar, plain, gzip or"
        " zstd. The manifest's own media type is that of its descriptor.",
        _refused(
            "the layer is not unpacked, and then `number of layers and diffIDs don't match`",
            "`mediaType in manifest should be ...`, or the layer cannot be fetched",
        ),
        "Write application/vnd.oci.image.layer.v1.tar+gzip, or the type that fits.",
    ),
    Rule(
        Code.COMPRESSION_OTHER,
        Severity.ERROR,
        "a layer whose compression differs from its media type",
        "`tar+gzip` is a gzip stream, `tar+zstd` one of zstd, `tar` the tar itself. Some programs look at the bytes;"
        " others trust the media type.",
        (
            Effect(
                _CONTAINERD,
                "goes by the first bytes if the media type is a compressed one; a plain tar"
                " that is not one gives `archive/tar: invalid tar header`",
            ),
            Effect(_DOCKER, "looks at the bytes, and takes it"),
            Effect(_REST, "tools that trust the media type cannot read the layer"),
        ),
        "Write the media type that fits; `wclayer copy` cannot, as it would give the manifest another digest.",
    ),
    Rule(
        Code.TOO_MANY_LAYERS,
        Severity.ERROR,
        "more than 127 layers",
        "Windows mounts at most 127 layers. Docker's own store takes fewer, 125.",
        (
            Effect(WINDOWS, "the container does not start, so nothing can be built on top"),
            Effect((Target.CIMFS, Target.CONTAINERD), "the layers cannot be mounted"),
            Effect(_DOCKER, "`max depth exceeded`"),
        ),
        "Merge layers: `wclayer squash`.",
        imports=True,
    ),
    Rule(
        Code.FOREIGN_LAYER,
        Severity.WARNING,
        "a foreign layer whose content is not here",
        "Microsoft's base layers could not be redistributed: the image has only their addresses. The layers"
        " above are checked without them.",
        (Effect(ALL, "the host must reach the layer's address; without internet it cannot pull the image"),),
        "Copy the image with its foreign layers where it can be reached: `wclayer copy`.",
    ),
    Rule(
        Code.OS_VERSION_MALFORMED,
        Severity.ERROR,
        "a malformed os.version",
        "It is like `10.0.20348.2227`: the build, and the revision, which may be left out. An image for any Windows, as"
        " one for HostProcess containers, has no os.version at all.",
        (
            Effect(
                (*WINDOWS, Target.CIMFS, Target.CONTAINERD),
                "no host matches: `no match for platform in manifest: not found`",
            ),
            Effect(_DOCKER, "does not compare it"),
        ),
        "Take the os.version of the base image, or leave it out.",
        imports=True,
    ),
    Rule(
        Code.OS_VERSION_REFUSED,
        Severity.ERROR,
        "an os.version that the host does not run",
        "Hosts before Windows Server 2022 run their own build only; later ones all from the LTSC release before theirs"
        " (20348, 26100) up to their own ([hcsshim] osversion.CheckHostAndContainerCompat). Checked only"
        " with `--for`, for each host that it names; one image of an index must match, for each"
        " processor that it has images for; Server 2019 and 2022 are compared with those for amd64.",
        (
            Effect(
                WINDOWS,
                "hcsshim: `The container operating system does not match the host operating system.`"
                " (0xc0370101), other than with Hyper-V isolation",
            ),
            Effect(_CONTAINERD, "`no match for platform in manifest: not found`"),
            Effect(
                _DOCKER,
                "for one newer than the host: `a newer Windows version-based image can only be run"
                " on a host using Hyper-V isolation`",
            ),
        ),
        "Build on the base image of the host's release, and put images for several into an index: `wclayer index`.",
        imports=True,
    ),
    Rule(
        Code.NO_BASE_LAYER,
        Severity.ERROR,
        "an image without layers",
        "A Windows container needs a base layer, with a registry at least.",
        (
            Effect(_CONTAINERD, "the image exists, but no container of it starts"),
            Effect(_DOCKER, "the container does not start"),
            Effect(_REST, "there is nothing to mount"),
        ),
        "Start with a base layer: FROM an image of Microsoft's, or `wclayer makebaselayer`.",
    ),
    Rule(
        Code.ARCHIVE_BROKEN,
        Severity.ERROR,
        "an image archive that is not a complete tar of plain files",
        "An archive of an image holds folders, files, and links to them below its root, each name once.",
        _refused("`archive/tar: invalid tar header`, or `unexpected EOF`"),
        "Save the image again; `docker save`, `skopeo copy` and `wclayer copy` write complete archives.",
    ),
)
