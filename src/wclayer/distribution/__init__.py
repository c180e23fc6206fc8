"""The client of container registries ([distribution-spec] 1.1, and what Docker's own registries do beside it).

Its protocol logic knows no sockets: it speaks through a `Transport` of one method.
"""
