#!/usr/bin/env bash
# Readers of hives disagree about a REG_MULTI_SZ that has empty strings in the middle.
#
# Expected: the strings, the empty ones too. Windows itself stores such values: PendingFileRenameOperations is a
#   list of pairs, and an empty second string means "delete".
# Seen: hivexml keeps the empty string. dissect.regf ends at it, regipy leaves it out, so that the pairs shift;
#   python-registry keeps it and adds the end of the list as one more string.
# Versions: dissect.regf 3.14, regipy 6.5.0, python-registry 1.3.1, libhivex-bin 1.3.23.
# Why it matters: a list of pairs is read as other pairs (a file that is deleted looks renamed); compare raw data.
. "$(dirname "$0")/common.sh"
seen <<'END'
hivexml ['a', '', 'b', 'c', '']
dissect.regf ['a']
regipy ['a', 'b', 'c']
python-registry ['a', '', 'b', 'c', '', '']
END
debian libhivex-bin 1.3.23
python_with dissect.regf==3.14 regipy==6.5.0 python-registry==1.3.1
python - <<'END' | same
import re
import subprocess

from dissect.regf import RegistryHive as Dissect
from regipy.registry import RegistryHive as Regipy
from Registry.Registry import Registry
from small_hive import Key, write_hive

# Two pairs: delete a, rename b to c; a NUL after each string and one for the end of the list.
data = "a\0\0b\0c\0\0".encode("utf-16-le")
write_hive("hive", Key("ROOT", [("pairs", 7, data)]))
xml = subprocess.run(["hivexml", "hive"], stdout=subprocess.PIPE, text=True, check=True).stdout
print("hivexml", re.findall("<string>(.*?)</string>", xml))
with open("hive", "rb") as file:
    print("dissect.regf", list(Dissect(file).root().value("pairs").value))
print("regipy", [*Regipy("hive").root.iter_values()][0].value)
print("python-registry", Registry("hive").root().value("pairs").value())
END
