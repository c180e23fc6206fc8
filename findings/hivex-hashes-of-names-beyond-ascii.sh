#!/usr/bin/env bash
# hivex writes other hashes than Windows for keys whose names have letters beyond ASCII.
#
# Expected: an entry of an "lh" list has the hash over the UTF-16 code units of the upper-case name (regf
#   specification: hash = 37 * hash + code unit).
# Seen: hivexsh's `add` gives the hash of the specification for "plain" only; for "Größe" and "ключ" another one.
# Versions: libhivex-bin 1.3.23.
# Why it matters: Windows looks a key up by this hash. hivex, libregf, regipy and python-registry compare names, so
#   none of them reports it. `wclayer hive check` does.
. "$(dirname "$0")/common.sh"
seen <<'END'
plain as specified
Größe other
ключ other
END
debian libhivex-bin 1.3.23
export PYTHONPATH=$findings PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
python3 -c 'from small_hive import *; write_hive("hive", Key("ROOT", keys=[Key("first")]))'
printf '%s\n' 'add plain' 'add Größe' 'add ключ' commit | hivexsh -w hive
python3 - <<'END' | same
import struct

from small_hive import name_hash

with open("hive", "rb") as file:
    data = file.read()


def at(offset, form):
    return struct.unpack_from(form, data, 4096 + 4 + offset)


root = struct.unpack_from("<I", data, 36)[0]
subkeys = at(root + 28, "<I")[0]
kind, count = at(subkeys, "<2sH")
assert kind == b"lh"
found = {}
for number in range(count):
    key, value = at(subkeys + 4 + 8 * number, "<II")
    flags, length = at(key + 2, "<H")[0], at(key + 72, "<H")[0]
    name = at(key + 76, f"{length}s")[0].decode("latin-1" if flags & 0x20 else "utf-16-le")
    found[name] = "as specified" if value == name_hash(name) else "other"
for name in ("plain", "Größe", "ключ"):
    print(name, found[name])
END
