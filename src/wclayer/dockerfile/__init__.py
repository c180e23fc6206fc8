"""Dockerfiles that need no Windows to be built: what BuildKit makes of them, with the layers of `wclayer build`."""
