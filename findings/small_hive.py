"""Write a small registry hive of version 1.5. Format: https://github.com/msuhanov/regf (specification)."""

import struct

NIL = 0xFFFFFFFF
TIME = 133_500_000_000_000_000  # a FILETIME in 2024


def latin1(name):
    return all(ord(char) <= 0xFF for char in name)


def stored(name):
    return name.encode("latin-1" if latin1(name) else "utf-16-le")


def upper(char):
    """Windows maps one code unit to one."""
    return char.upper() if len(char.upper()) == 1 else char


def name_hash(name):
    """The hash of an lh list: over the UTF-16 code units of the upper-case name."""
    value = 0
    for char in map(upper, name):
        value = (value * 37 + ord(char)) & 0xFFFFFFFF
    return value


class Key:
    """A key: values as (name, type, data), subkeys as Key; a name of "" is the default value."""

    def __init__(self, name, values=(), keys=()):
        self.name, self.values, self.keys = name, values, keys


class _Cells:
    def __init__(self):
        self.data = bytearray()

    def add(self, content):
        offset = 32 + len(self.data)  # behind the header of the bin
        size = (4 + len(content) + 7) // 8 * 8
        self.data += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return offset

    def set(self, offset, content):
        at = offset - 32 + 4
        self.data[at : at + len(content)] = content


def _value(cells, name, kind, data):
    if len(data) <= 4:
        size, where = 0x80000000 | len(data), int.from_bytes(data, "little")
    else:
        size, where = len(data), cells.add(data)
    raw = stored(name)
    flags = 1 if name and latin1(name) else 0
    return cells.add(struct.pack("<2sHIIIHH", b"vk", len(raw), size, where, kind, flags, 0) + raw)


def _subkey_list(cells, pairs):
    """One lh list, or an index root (ri) over several, as Windows does beyond some 500 keys."""
    leaves = [pairs[at : at + 500] for at in range(0, len(pairs), 500)]
    lists = [
        cells.add(struct.pack(f"<2sH{2 * len(leaf)}I", b"lh", len(leaf), *[field for pair in leaf for field in pair]))
        for leaf in leaves
    ]
    if len(lists) == 1:
        return lists[0]
    return cells.add(struct.pack(f"<2sH{len(lists)}I", b"ri", len(lists), *lists))


def _fill(cells, key, where, parent, security, flags=0):
    """Fill the cell of a key and add what it consists of; return the number of keys."""
    raw = stored(key.name)
    values = [_value(cells, *one) for one in key.values]
    value_list = cells.add(struct.pack(f"<{len(values)}I", *values)) if values else NIL
    below = sorted(key.keys, key=lambda one: [*map(upper, one.name)])
    offsets = [cells.add(bytes(76 + len(stored(one.name)))) for one in below]
    subkeys = NIL
    if below:
        subkeys = _subkey_list(cells, [(o, name_hash(k.name)) for o, k in zip(offsets, below, strict=True)])
    longest = [
        max([2 * len(one.name) for one in below], default=0),
        0,
        max([2 * len(one[0]) for one in key.values], default=0),
        max([len(one[2]) for one in key.values], default=0),
    ]
    head = struct.pack("<2sHQII", b"nk", flags | (0x20 if latin1(key.name) else 0), TIME, 0, parent)
    head += struct.pack("<8I", len(below), 0, subkeys, NIL, len(values), value_list, security, NIL)
    head += struct.pack("<5IHH", *longest, 0, len(raw), 0)
    cells.set(where, head + raw)
    return 1 + sum(_fill(cells, one, o, where, security) for one, o in zip(below, offsets, strict=True))


def write_hive(path, root, root_first=True):
    """Write the hive. Windows puts the root key first; the base block names its offset, so it may lie elsewhere."""
    cells = _Cells()
    # Full access for SYSTEM and Administrators; Administrators are owner and group.
    system = bytes.fromhex("010100000000000512000000")
    administrators = bytes.fromhex("01020000000000052000000020020000")
    aces = b"".join(struct.pack("<BBHI", 0, 2, 8 + len(sid), 0xF003F) + sid for sid in (system, administrators))
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(aces), 2, 0) + aces
    owner = 20 + len(acl)
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8004, owner, owner + 16, 0, 20) + acl + administrators * 2

    room_for_root, room_for_security = bytes(76 + len(stored(root.name))), bytes(20 + len(descriptor))
    if root_first:
        root_cell, security = cells.add(room_for_root), cells.add(room_for_security)
    else:
        security, root_cell = cells.add(room_for_security), cells.add(room_for_root)
    keys = _fill(cells, root, root_cell, NIL, security, 0x2C)
    cells.set(security, struct.pack("<2sHIIII", b"sk", 0, security, security, keys, len(descriptor)) + descriptor)

    size = (32 + len(cells.data) + 8 + 4095) // 4096 * 4096
    rest = size - 32 - len(cells.data)
    header = struct.pack("<4sIIQQI", b"hbin", 0, size, 0, TIME, 0)
    free = struct.pack("<i", rest).ljust(rest, b"\0")
    base = bytearray(4096)
    struct.pack_into("<4sIIQ7I", base, 0, b"regf", 1, 1, TIME, 1, 5, 0, 1, root_cell, size, 1)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", base[:508]):
        checksum ^= word
    struct.pack_into("<I", base, 508, {0: 1, NIL: NIL - 1}.get(checksum, checksum))
    with open(path, "wb") as out:
        out.write(base + header + cells.data + free)
