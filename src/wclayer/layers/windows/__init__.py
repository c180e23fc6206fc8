"""What only Windows does with layers, with hcsshim's calls in hcsshim's order.

    service      what is made sure of first: privileges, the Containers feature, NTFS
    processing   ProcessBaseImage and ProcessUtilityImage, and the mark of it in layer.db
    scratch      create, mount, unmount and remove
    hcs_import   a transport folder becomes a layer (ImportLayer), then links and whiteouts
    hcs_export   a layer becomes a transport folder (ExportLayer)

May import `hcs`, `native`, `stores`, `union` and what lies below them.
"""
