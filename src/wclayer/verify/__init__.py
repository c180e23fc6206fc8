"""Check layers and images for what Windows, hcsshim, containerd or Docker refuse or damage (`wclayer verify`).

In reading order:

    rules        the rules, as data: severity, reason, effects, fix
    findings     broken rules with their place; the report
    notes        how the checks of one layer add findings
    names        names, order, hard links and whiteouts of a layer
    metadata     attributes, times, descriptors, reparse points, extended attributes
    link_targets where symlinks and junctions lead
    registry     hives and the boot store
    layer        one layer, read to its end through all checks
    blobs, image, os_versions    the blobs, documents and platform of an image
    verifying    layers and images, from the base up: `verify_layer`
    output, documentation, sarif    reports as text, JSON, SARIF; docs/rules.md

May import `operations` and all that lies below it; not `dockerfile` or `cli`.
"""
