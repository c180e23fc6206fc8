#!/usr/bin/env bash
# With isal and zlib-ng the compressed bytes depend on how the input was cut into calls of compress().
#
# Expected: the same input, level and settings give the same output, as with zlib, in one call or in a thousand.
# Seen: isal (levels 1 to 3) and zlib-ng (levels 1, 5 and 6) give other bytes for calls of 1,000 bytes than for one
#   call; zlib-ng at levels 2, 3 and 9 gives the same. All of it decompresses to the input.
# Versions: isal 1.9.1, zlib-ng 1.1.0 (Python packages), zlib of the Python that runs this.
# Why it matters: a blob's digest changes with the size of a buffer. Who wants reproducible output fixes the size of
#   the pieces, and collects short reads of a pipe before compressing. (The bytes may also depend on the processor;
#   that is not tried here.)
. "$(dirname "$0")/common.sh"
seen <<'END'
zlib 1: same, 6: same, 9: same
isal 1: other, 2: other, 3: other
zlib-ng 1: other, 2: same, 3: same, 5: other, 6: other, 9: same
END
python_with isal==1.9.1 zlib-ng==1.1.0
python - <<'END' | same
import random
import zlib

from isal import isal_zlib
from zlib_ng import zlib_ng

random.seed(1)
words = [random.randbytes(random.randrange(3, 12)) for _ in range(3000)]
data = b"".join(random.choice(words) for _ in range(400_000))


def compressed(module, level, size):
    stream = module.compressobj(level, wbits=31)
    out = b"".join(stream.compress(data[at : at + size]) for at in range(0, len(data), size)) + stream.flush()
    assert zlib.decompress(out, wbits=31) == data
    return out


for name, module, levels in (
    ("zlib", zlib, (1, 6, 9)),
    ("isal", isal_zlib, (1, 2, 3)),
    ("zlib-ng", zlib_ng, (1, 2, 3, 5, 6, 9)),
):
    results = [
        "same" if compressed(module, level, 1000) == compressed(module, level, len(data)) else "other"
        for level in levels
    ]
    print(name, ", ".join(f"{level}: {result}" for level, result in zip(levels, results, strict=True)))
END
