"""The operating system under us: its errors, its programs, its temporary files."""
