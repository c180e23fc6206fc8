#!/usr/bin/env bash
# impacket's winregistry finds no key below a key that has more than some 500 subkeys.
#
# Expected: Windows splits a long list of subkeys into several, under an index root ("ri"); readers go through it.
# Seen: with 400 subkeys (one list) findKey() finds all. With 600 it returns None for each of them, as if they were
#   not there; enumKey() raises TypeError, as it joins str and bytes.
# Versions: impacket 0.13.1, python-registry 1.3.1.
# Why it matters: below large keys (Classes, services, Installer) each name looks missing, without an error.
. "$(dirname "$0")/common.sh"
seen <<'END'
400 subkeys: python-registry 400, findKey 400, enumKey 400
600 subkeys: python-registry 600, findKey 0, enumKey TypeError
END
python_with impacket==0.13.1 python-registry==1.3.1
python - <<'END' | same
from impacket.winregistry import saveRegistryParser
from Registry.Registry import Registry
from small_hive import Key, write_hive

for count in (400, 600):
    names = [f"key{number:03}" for number in range(count)]
    write_hive("hive", Key("ROOT", keys=[Key("parent", keys=[Key(name) for name in names])]))
    registry = saveRegistryParser("hive")
    found = sum(registry.findKey(f"\\parent\\{name}") is not None for name in names)
    try:
        listed = len(registry.enumKey(registry.findKey("\\parent")))
    except TypeError as error:
        listed = type(error).__name__
    by_other = len(Registry("hive").open("parent").subkeys())
    print(f"{count} subkeys: python-registry {by_other}, findKey {found}, enumKey {listed}")
END
