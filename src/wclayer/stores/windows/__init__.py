"""Layer folders on Windows itself: metadata in NTFS, non-base layers through the host compute service."""
