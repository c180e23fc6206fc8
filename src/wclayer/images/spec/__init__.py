"""The OCI documents of images as values: descriptors, manifests, indexes, configs. No I/O."""
