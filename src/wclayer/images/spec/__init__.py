"""The JSON documents of an image, checked: OCI image specification, and Docker's schema 2.

    documents          JSON without duplicate keys, in bounds
    descriptors        media types, descriptors, platforms
    config_settings    what a config says of running the image
    config             manifest and config, checked
    compose            new manifests and configs

May import `errors`, `codes`, and modules below the packages that do I/O: nothing here opens a file.
"""
