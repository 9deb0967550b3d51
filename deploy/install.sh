#!/bin/sh
# Puts the service into an environment of its own, from the top of the source: sh deploy/install.sh TARGET
#
# Every package is checked against its hash. The container's build runs this, and so may whoever installs on a machine.
set -eu
target=$1
python=${PYTHON:-python3}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

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
