"""Where images are: OCI layouts, archives and registries, read and written."""
