"""Transport folders: what ImportLayer takes and ExportLayer gives, made and read on any system."""
