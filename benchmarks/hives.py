"""`make bench`: loading and walking a large hive, wclayer beside hivex, python-registry and regipy, as ratios.

    python -m benchmarks.hives [HIVE] [--rounds N]

Every program runs as a process of its own, reads all names and values of the hive, and
must count the same. Without HIVE, one of the shape of a SYSTEM hive of Windows 10 is
made (30,730 keys, 72,809 values, 11.6 MB). Prints a table, and writes
benchmarks/results/hives.json. A ratio is wclayer's time over the other program's, each
the best of N rounds; below 1 is faster. hivex is read through hivexml; a program that
is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, Value, dword, sz
from wclayer.regf.writer import write_hive
from wclayer.win32.sddl import parse_sddl

from .__main__ import record

_TIME = 133_000_000_000_000_000  # FILETIME
_WCLAYER = """
import sys
from wclayer.regf.reader import read_hive
hive = read_hive(open(sys.argv[1], "rb").read())
keys = values = size = 0
for _, key in hive.root.walk():
    keys += 1
    for value in key.values:
        values += 1
        size += len(value.data)
print(keys, values)
"""
_CHECK = """
import sys
from wclayer.regf.check import check_hive
assert check_hive(open(sys.argv[1], "rb").read()).findings == ()
"""
_ROUND = """
import sys
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive
write_hive(read_hive(open(sys.argv[1], "rb").read()))
"""
_PYTHON_REGISTRY = """
import sys
from Registry import Registry
keys = values = 0
stack = [Registry.Registry(sys.argv[1]).root()]
while stack:
    key = stack.pop()
    keys += 1
    for value in key.values():
        values += 1
        value.name(), value.raw_data()
    stack += key.subkeys()
print(keys, values)
"""
_REGIPY = """
import sys
from regipy.registry import RegistryHive
hive = RegistryHive(sys.argv[1])
keys = values = 0
for key in hive.recurse_subkeys(as_json=True):
    keys += 1
    values += len(key.values)
print(keys, values)
"""
_HIVEX = """
import subprocess, sys
out = subprocess.run(["hivexml", sys.argv[1]], capture_output=True, check=True).stdout
print(out.count(b"<node "), out.count(b"<value "))
"""


def system_hive(seed: int = 1) -> bytes:
    """A hive of the shape of a SYSTEM hive: services with parameters, devices with properties, lists of strings."""
    made = random.Random(seed)  # noqa: S311 (the same each time)
    descriptors = [DEFAULT_SECURITY] + [
        parse_sddl(f"O:BAG:SYD:P(A;CI;KA;;;SY)(A;CI;KR;;;S-1-5-80-{number})") for number in range(60)
    ]

    def values(count: int) -> tuple[Value, ...]:
        result: list[Value] = []
        for number in range(count):
            name = f"{made.choice(('Start', 'Type', 'ImagePath', 'Group', 'DisplayName', 'Owners', 'Data'))}{number}"
            kind = made.random()
            if kind < 0.35:
                result.append(dword(name, made.getrandbits(32)))
            elif kind < 0.75:
                result.append(sz(name, "\\SystemRoot\\System32\\drivers\\" + "x" * made.randrange(60)))
            else:
                result.append(Value(name, 3, made.randbytes(made.randrange(170))))
        return tuple(result)

    def key(name: str, subkeys: tuple[Key, ...] = (), count: int = 3) -> Key:
        return Key(name, values(count), subkeys, _TIME, made.choice(descriptors))

    services = tuple(
        key(f"service{number:05}", (key("Parameters", (), 4), key("Enum"), key("Security", (), 1)), 5)
        for number in range(1900)
    )
    devices = tuple(
        key(
            f"VID_{number:04X}&PID_{made.getrandbits(16):04X}",
            tuple(
                key(f"{made.getrandbits(40):010x}", tuple(key(f"{n:08X}", (), 2) for n in range(5))) for _ in range(4)
            ),
            0,
        )
        for number in range(925)
    )
    root = key("ROOT", (key("ControlSet001", (key("Services", services, 0), key("Enum", devices, 0))), key("Select")))
    return write_hive(Hive(root, _TIME))


def measure(path: Path, script: str, rounds: int) -> tuple[float, str]:
    """Seconds of the fastest round, and what it printed."""
    times: list[float] = []
    out = ""
    for _ in range(rounds):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=True, text=True)
        times.append(time.perf_counter() - began)
        out = done.stdout.strip()
    return min(times), out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("hive", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wclayer-bench-") as name:
        path = Path(name) / "SYSTEM"
        path.write_bytes(system_hive() if options.hive is None else options.hive.read_bytes())
        size = path.stat().st_size
        mine, counted = measure(path, _WCLAYER, options.rounds)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        check, _ = measure(path, _CHECK, options.rounds)
        both, _ = measure(path, _ROUND, options.rounds)
        others = [("hivex", _HIVEX)] if shutil.which("hivexml") else []
        if importlib.util.find_spec("Registry"):
            others.append(("python-registry", _PYTHON_REGISTRY))
        if importlib.util.find_spec("regipy"):
            others.append(("regipy", _REGIPY))
        rows = []
        print(f"{size:,} bytes, {' keys, '.join(counted.split())} values; load and walk {mine:.2f} s,", end=" ")
        print(f"{memory / size:.1f} times its size in memory; check {check:.2f} s; load and save {both:.2f} s")
        for what, script in others:
            seconds, found = measure(path, script, options.rounds)
            if found != counted:
                raise SystemExit(f"{what} counts {found}")
            print(f"beside {what:16} {seconds:8.2f} s   ratio {mine / seconds:6.2f}")
            rows.append({"beside": what, "seconds": round(seconds, 3), "ratio": round(mine / seconds, 3)})
    counts = dict(zip(("keys", "values"), map(int, counted.split()), strict=True))
    times = {"load": round(mine, 3), "check": round(check, 3), "load_and_save": round(both, 3)}
    record("hives", size=size, **counts, seconds=times, memory_ratio=round(memory / size, 2), rows=rows)


if __name__ == "__main__":
    main()
