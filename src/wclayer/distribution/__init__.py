"""The client of container registries: [distribution-spec] 1.1 and what Docker's own registries add to it.

The protocol code opens no sockets: it speaks through a `Transport` with one method. In reading order:

    reference    HOST/REPOSITORY:TAG@DIGEST
    transport    requests and responses; http: the transport on httpx2
    urls, challenge, answers, backoff    parts of the protocol
    credentials  config.json, auth.json, credential helpers; tokens: authorization
    session      one registry: scheme, redirects, tokens, tries
    repository   one repository: manifests and blobs
    download, upload    blobs, continued where a connection broke off
    fetch        a file from an https URL, by its digest
    registries   all registries of one operation

May import `host`, `errors` and `codes` only. The word registry elsewhere means the Windows registry.
"""
