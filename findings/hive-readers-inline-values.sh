#!/usr/bin/env bash
# Values of up to four bytes lie in the value's own cell; three readers give other bytes for some of them.
#
# Expected: the one, two or three bytes that were stored; 0x1234 for the big-endian DWORD 00 00 12 34.
# Seen: libregf gives zeros for one and two bytes, and the second and third byte and a zero for three.
#   Of a REG_DWORD_BIG_ENDIAN python-registry gives 0x05000000 whatever is stored (5 is the type), regipy nothing.
# Versions: libregf-python 20260526, python-registry 1.3.1, regipy 6.5.0.
# Why it matters: no error is raised, so a comparison of two hives with one of these finds no difference.
. "$(dirname "$0")/common.sh"
seen <<'END'
libregf one 00
libregf two 0000
libregf three 223300
libregf four 11223344
python-registry big-endian 0x5000000
regipy big-endian ''
libregf big-endian 0x1234
END
python_with libregf-python==20260526 python-registry==1.3.1 regipy==6.5.0
python - <<'END' | same
import pyregf
from regipy.registry import RegistryHive
from Registry.Registry import Registry
from small_hive import Key, write_hive

stored = {"one": "11", "two": "1122", "three": "112233", "four": "11223344"}
values = [(name, 3, bytes.fromhex(data)) for name, data in stored.items()]
write_hive("hive", Key("ROOT", [*values, ("big-endian", 5, (0x1234).to_bytes(4, "big"))]))
file = pyregf.file()
file.open("hive")
root = file.get_root_key()
for name in stored:
    print("libregf", name, root.get_value_by_name(name).data.hex())
print("python-registry big-endian", hex(Registry("hive").root().value("big-endian").value()))
print("regipy big-endian", repr([*RegistryHive("hive").root.iter_values()][-1].value))
print("libregf big-endian", hex(root.get_value_by_name("big-endian").get_data_as_integer()))
END
