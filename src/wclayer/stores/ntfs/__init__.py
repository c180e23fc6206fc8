"""What NTFS holds of an object, whichever driver is under it."""
