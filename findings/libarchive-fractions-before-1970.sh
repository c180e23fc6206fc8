#!/usr/bin/env bash
# libarchive reads a negative PAX time with a fraction as up to one second later, and writes it so too.
#
# Expected: POSIX writes times as decimal numbers, so mtime=-1.5 is one and a half seconds before 1970.
# Seen: bsdtar reads -1.5 as -0.5 and -0.25 as +0.25: it takes the sign for the seconds only and adds the fraction.
#   Its writer does the opposite, so it reads its own archives right and others read them wrong: for a file of -1.5
#   it writes mtime=-2.5. GNU tar and Python's tarfile read and write -1.5. Whole seconds are not affected.
# Versions: libarchive-tools 3.6.2, tar 1.34.
# Why it matters: times of Windows files have steps of 100 ns and may lie before 1970 (in layers also the creation time,
#   LIBARCHIVE.creationtime); bsdtar restores and lists those up to a second late.
. "$(dirname "$0")/common.sh"
seen <<'END'
in the archive  GNU tar       bsdtar
-1.5            -1.500000000  -0.500000000
-0.25           -0.250000000  0.250000000
-2              -2.000000000  -2.000000000
1.5             1.500000000   1.500000000
bsdtar writes -1.5 as mtime=-2.5
END
debian libarchive-tools 3.6.2
debian tar 1.34
python3 - <<'END'
import tarfile

with tarfile.open("times.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    for time in ("-1.5", "-0.25", "-2", "1.5"):
        member = tarfile.TarInfo(f"time{time}")
        member.pax_headers = {"mtime": time}
        tar.addfile(member)
END
mkdir gnu bsd
tar -xf times.tar -C gnu 2>warnings.txt
bsdtar -xf times.tar -C bsd
{
    printf '%-15s %-13s %s\n' 'in the archive' 'GNU tar' bsdtar
    for time in -1.5 -0.25 -2 1.5; do
        printf '%-15s %-13s %s\n' "$time" "$(stat -c %.9Y "gnu/time$time")" "$(stat -c %.9Y "bsd/time$time")"
    done
    printf 'bsdtar writes -1.5 as %s\n' "$(bsdtar --format=pax -cf - -C gnu ./time-1.5 | grep -ao 'mtime=[-.0-9]*')"
} | same
