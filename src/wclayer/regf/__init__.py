"""Registry hives, bytes to values and back; [REGF] is Maxim Suhanov's specification (`layout`).

In reading order:

    layout      structures, constants and limits of the format
    names       how names are stored, compared and hashed; model: a hive as a tree of keys
    base_block  the first 4,096 bytes; cells: bins and cells, each given out once
    reader      bytes to a hive; writer: a hive to bytes, always the same ones
    minimal     the smallest hive; bcd: the boot store of a utility VM
    findings    faults with their positions
    check       will Windows load it? check_keys, check_values, check_security, check_descriptor, check_layers
    log         transaction logs: completes a hive that was not completely written
    delta       differencing hives, merged onto a hive or onto one another
    edits       edits as a tree, applied to a hive or made a differencing hive
    links       edits of symbolic links between keys
    compare     the differences of two trees, and the edits between them
    values      what the bytes of values mean; keys, values and differences as JSON objects
    reg_text    .reg files to edits; reg_print: keys and edits to .reg files

May import `win32` and `errors` only. It touches no file, no clock and no environment.
"""
