"""Layer folders on an NTFS volume that ntfs-3g has mounted."""
