#!/usr/bin/env bash
# regipy takes the first cell of a hive as its root key and does not look at the offset in the base block.
#
# Expected: the root key is read at the offset that the base block names (field at byte 36).
# Seen: in a hive whose first cell holds the security descriptor, regipy reads that as the root key: the hive opens,
#   lists no subkeys, and an error about some value comes up later. hivex and python-registry read it.
# Versions: regipy 6.5.0, python-registry 1.3.1, libhivex-bin 1.3.23.
# Why it matters: Windows puts the root first, so this shows only with hives that other programs write. A writer of
#   hives that wants all readers puts the root key first too.
. "$(dirname "$0")/common.sh"
seen <<'END'
root first: regipy ['below'] python-registry ['below'] hivexsh ['below']
root second: regipy [] python-registry ['below'] hivexsh ['below']
regipy: RegistryParsingException
END
debian libhivex-bin 1.3.23
python_with regipy==6.5.0 python-registry==1.3.1
python - <<'END' | same
import subprocess

from regipy.exceptions import RegistryParsingException
from regipy.registry import RegistryHive
from Registry.Registry import Registry
from small_hive import Key, write_hive

for order in ("first", "second"):
    write_hive(order, Key("ROOT", [("value", 1, "x\0".encode("utf-16-le"))], [Key("below")]), root_first=order == "first")
    regipy = [key.name for key in RegistryHive(order).root.iter_subkeys()]
    registry = [key.name() for key in Registry(order).root().subkeys()]
    hivexsh = subprocess.run(["hivexsh", order], input="ls\n", stdout=subprocess.PIPE, text=True, check=True).stdout
    print(f"root {order}: regipy {regipy} python-registry {registry} hivexsh {hivexsh.split()}")
try:
    [*RegistryHive("second").root.iter_values()]
except RegistryParsingException as error:
    print("regipy:", type(error).__name__)
END
