#!/usr/bin/env bash
# umoci cannot unpack a layer that deletes a name before it hard-links another name to that file of the layer below.
#
# Expected: whiteouts are about the layers below, and a layer is a set of changes, so the order of its entries does
#   not matter: the new name leads to the file, the old name is gone.
# Seen: umoci applies entries in their order. "Link, then whiteout" works, "whiteout, then link" ends with an error
#   (no such file or directory).
# Versions: umoci 0.4.7 (Debian).
# Why it matters: a layer that moves a file by a link into the layer below is read by some programs in one order only.
#   Write links before whiteouts.
. "$(dirname "$0")/common.sh"
seen <<'END'
link, whiteout: ['new']
whiteout, link: no such file or directory
END
debian umoci 0.4.7
python3 - <<'END' | same
import hashlib
import io
import json
import os
import subprocess
import tarfile


def layer(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, link in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if link:
                member.type, member.linkname = tarfile.LNKTYPE, link
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def layout(folder, layers):
    os.makedirs(f"{folder}/blobs/sha256")

    def blob(kind, data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{folder}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    parts = [blob("layer.v1.tar", one) for one in layers]
    rootfs = {"type": "layers", "diff_ids": [one["digest"] for one in parts]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = {"schemaVersion": 2, "layers": parts, "config": blob("config.v1+json", json.dumps(config).encode())}
    entry = blob("manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": "tag"}
    for name, document in (
        ("index.json", {"schemaVersion": 2, "manifests": [entry]}),
        ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
    ):
        with open(f"{folder}/{name}", "w") as file:
            json.dump(document, file)


base = layer(("old", b"content", None))
link, whiteout = ("new", b"", "old"), (".wh.old", b"", None)
for words, entries in (("link, whiteout", (link, whiteout)), ("whiteout, link", (whiteout, link))):
    layout(words, [base, layer(*entries)])
    command = ["umoci", "raw", "unpack", "--rootless", "--image", f"{words}:tag", f"out {words}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        print(f"{words}:", os.listdir(f"out {words}"))
    else:
        print(f"{words}:", done.stderr.strip().splitlines()[-1].rpartition(": ")[2])
END
