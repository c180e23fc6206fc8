#!/usr/bin/env bash
# regipy cannot find a key by its name where the name has Latin-1 letters beyond ASCII, and shows two such keys alike.
#
# Expected: a hive stores a name in one byte a character if all its characters are below U+0100 (flag KEY_COMP_NAME).
#   A reader decodes these bytes as Latin-1.
# Seen: regipy replaces each such letter by U+FFFD: the keys "Ä" and "Ö" get the same name, get_key("\\Ä") raises an
#   error, and get_key() of the replaced name always gives the first. A name stored in UTF-16 (Cyrillic) works.
# Versions: regipy 6.5.0, python-registry 1.3.1.
# Why it matters: keys with German, French or Scandinavian names look missing or have the values of another key.
. "$(dirname "$0")/common.sh"
seen <<'END'
python-registry ['Ä', 'Ö', 'Ж']
regipy ['\ufffd', '\ufffd', '\u0416']
get_key Ä RegistryKeyNotFoundException
get_key Ö RegistryKeyNotFoundException
get_key Ж value of Ж
get_key U+FFFD value of Ä
END
python_with regipy==6.5.0 python-registry==1.3.1
python - <<'END' | same
from regipy.exceptions import RegistryKeyNotFoundException
from regipy.registry import RegistryHive
from Registry.Registry import Registry
from small_hive import Key, write_hive

names = ["Ä", "Ö", "Ж"]
keys = [Key(name, [("value", 1, f"value of {name}\0".encode("utf-16-le"))]) for name in names]
write_hive("hive", Key("ROOT", keys=keys))
print("python-registry", [key.name() for key in Registry("hive").root().subkeys()])
hive = RegistryHive("hive")
print("regipy", ascii([key.name for key in hive.root.iter_subkeys()]))
for name in [*names, "\ufffd"]:
    shown = name if name in names else "U+FFFD"
    try:
        print("get_key", shown, [*hive.get_key("\\" + name).iter_values()][0].value)
    except RegistryKeyNotFoundException as error:
        print("get_key", shown, type(error).__name__)
END
