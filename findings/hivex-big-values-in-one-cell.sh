#!/usr/bin/env bash
# hivex stores a value of more than 16,344 bytes in one cell, where Windows splits it; dissect.regf cannot read that.
#
# Expected: in hives of version 1.4 and later Windows stores such data in segments, under a "db" cell.
# Seen: hivexregedit --merge writes one large cell into a hive of version 1.5. regipy and python-registry read it
#   back; dissect.regf raises NotImplementedError, as it expects the segments.
# Versions: libhivex-bin and libwin-hivex-perl 1.3.23, dissect.regf 3.14, regipy 6.5.0, python-registry 1.3.1.
# Why it matters: other programs may not read a hive that hivex has written; keep such values below 16 KiB.
#   `wclayer hive check` reports it.
. "$(dirname "$0")/common.sh"
seen <<'END'
16344 bytes: python-registry True, regipy True, dissect.regf True
16345 bytes: python-registry True, regipy True, dissect.regf NotImplementedError
END
debian libwin-hivex-perl 1.3.23
python_with dissect.regf==3.14 regipy==6.5.0 python-registry==1.3.1
python - <<'END' | same
import subprocess

from dissect.regf import RegistryHive as Dissect
from regipy.registry import RegistryHive as Regipy
from Registry.Registry import Registry
from small_hive import Key, write_hive

for size in (16344, 16345):
    data = bytes(number % 251 for number in range(size))
    write_hive("hive", Key("ROOT", keys=[Key("key")]))
    with open("big.reg", "w") as text:
        text.write("Windows Registry Editor Version 5.00\n\n[\\key]\n")
        text.write('"big"=hex:' + data.hex(",") + "\n")
    subprocess.run(["hivexregedit", "--merge", "hive", "big.reg"], check=True)
    registry = Registry("hive").open("key").value("big").raw_data() == data
    regipy = [*Regipy("hive").get_key("\\key").iter_values(trim_values=False)][0].value == data
    try:
        with open("hive", "rb") as file:
            dissect = Dissect(file).open("key").value("big").value == data
    except NotImplementedError as error:
        dissect = type(error).__name__
    print(f"{size} bytes: python-registry {registry}, regipy {regipy}, dissect.regf {dissect}")
END
