#!/bin/sh
# Puts the service into an environment of its own, from the top of the source: sh deploy/install.sh TARGET
#
# Every package is checked against its hash. The container's build runs this, and so may whoever installs on a machine.
set -eu
target=${1:?the folder to make, such as /usr/local/lib/aiba-0.1.0}
python=${PYTHON:-python3}

# Whoever runs the service reads it; nobody but its owner writes to it.
umask 022
test ! -e "$target" || { echo "$target is there already: a version is installed beside another, never over it" >&2; exit 1; }
"$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null \
    || { echo "$python with venv, 3.11 or newer, is needed: install python3-venv, or set PYTHON" >&2; exit 1; }

# What fails half-way leaves nothing behind.
work=$(mktemp -d)
trap 'rm -rf "$work" "$target"' EXIT

# The build backend, out of the lock that pins it.
awk '/^setuptools==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.lock > "$work/build.lock"
test -s "$work/build.lock"
"$python" -m venv "$work/build"
"$work/build/bin/pip" install --quiet --require-hashes --requirement "$work/build.lock"
"$work/build/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/wheels" .

"$python" -m venv "$target"
"$target/bin/pip" install --quiet --require-hashes --only-binary :all: --requirement deploy/requirements.lock
"$target/bin/pip" install --quiet --no-deps --no-index "$work"/wheels/*.whl
"$target/bin/pip" check
"$target/bin/aiba" --version
# Nothing is installed into it any more.
"$target/bin/pip" uninstall --quiet --yes pip
trap 'rm -rf "$work"' EXIT
