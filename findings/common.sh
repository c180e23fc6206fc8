# What the findings share: a temporary folder, pinned packages, and the comparison. Read by each script with `.`.
# Exit codes: 0 the behaviour is still there, 1 it has changed, 77 it could not be tried here.
set -euo pipefail

findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
cleanup() { rm -rf "$folder"; }
trap cleanup EXIT
cd "$folder"

skip() {
    echo "not tried: $*" >&2
    exit 77
}

# python_with PACKAGE==VERSION ...: `python` is that of a new virtual environment with these packages.
python_with() {
    python3 -m venv venv
    venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" >pip.log 2>&1 || skip "$(tail -n 1 pip.log)"
    export PATH="$folder/venv/bin:$PATH" PYTHONPATH="$findings" PYTHONDONTWRITEBYTECODE=1
}

# debian PACKAGE VERSION: the Debian package is installed, in this version (revisions of Debian left out).
debian() {
    local installed
    installed=$(dpkg-query --show --showformat='${Version}' "$1" 2>/dev/null) || skip "needs the Debian package $1"
    [[ $installed == "$2"* ]] || skip "seen with $1 $2, here is $installed"
}

# needs_fuse: mounts work (root and /dev/fuse).
needs_fuse() {
    [ "$(id -u)" = 0 ] && [ -c /dev/fuse ] || skip "mounts with FUSE, which needs root and /dev/fuse"
}

# The output that was seen comes from standard input of `seen`, the output of now from that of `same`.
seen() { cat >seen.txt; }
same() { diff --unified seen.txt - || { echo "the behaviour has changed" >&2; exit 1; }; }
