# Two commands on a fresh machine: `make demo` runs the main job, `make test` the tests.
# Needed for both: python3 (3.11 or later), python3-venv, make, git.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-tools lint mypy mypy-win32 mypy-darwin bench bench-data clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

# Build a HostProcess image, a service on a base, and a Dockerfile; make a base layer from a folder; import a layer with one of everything,
# export it, and show that nothing changed.
demo: $(STAMP)
	$(BIN)/python -m examples.build_images
	$(BIN)/python -m examples.make_base_layer
	$(BIN)/python -m examples.round_trip

# Everything that this machine allows; with WCLAYER_REQUIRE_TOOLS=1 a missing tool is a failure. Three files at a time on
# two processors, as many tests wait for a server, for wine or for a signal.
test: $(STAMP) lint
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations 10

# The real programs that tests/compat compares with, and a Windows Python for wine (Debian and its kin; needs root).
test-tools:
	apt-get install --yes --no-install-recommends git libarchive-tools libhivex-bin libregf-utils libwin-hivex-perl reglookup rsync tar \
		fdisk mount ntfs-3g qemu-utils util-linux wimtools \
		containerd golang-github-opencontainers-image-spec-dev skopeo umoci \
		apache2-utils docker-registry openssl podman \
		gcc-mingw-w64-x86-64 wine wine64
	$(PYTHON) tests/compat/wine/install.py

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(MAKE) --no-print-directory --jobs 2 mypy mypy-win32 mypy-darwin

mypy:
	$(BIN)/mypy
mypy-win32 mypy-darwin:
	$(BIN)/mypy --platform $(@:mypy-%=%) --cache-dir .mypy_cache/$@ src

# What `make bench` cuts its files from: the Windows programs of Debian's wine, 600 MB.
bench-data:
	mkdir -p benchmarks/data
	cd benchmarks/data && apt-get download libwine && dpkg -x libwine_*.deb . && rm libwine_*.deb

bench: $(STAMP)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.inside
	$(BIN)/python -m benchmarks.registry
	$(BIN)/python -m benchmarks.hives
	$(BIN)/python -m benchmarks.ntfs

clean:
	rm -rf $(VENV) .wine benchmarks/data build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
