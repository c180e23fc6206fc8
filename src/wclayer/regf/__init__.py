"""Registry hives: bytes to values and back. No file, no clock, no environment."""
