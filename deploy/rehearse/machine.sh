#!/bin/sh
# Does what docs/deploy.md says, on a machine that is made for it and thrown away: a Debian with a systemd of its own, in a folder.
#
# As root, from the top of the source, with debootstrap and systemd-nspawn: deploy/rehearse/machine.sh [FOLDER]
# FOLDER keeps the Debian and the packages for the next time. The machine has no network: packages are fetched before.
set -eu
here=$(pwd)
work=${1:-$(mktemp -d)}
mkdir -p "$work"

if ! test -e "$work/debian/ready"; then
    rm -rf "$work/debian"
    debootstrap --variant=minbase --include=systemd,dbus,curl,procps,python3,python3-venv,ca-certificates bookworm "$work/debian" ${MIRROR:+"$MIRROR"}
    touch "$work/debian/ready"
fi

# What is pinned, for the machine's own pip to find without a network.
pinned=$work/packages-$(cat requirements.lock deploy/requirements.lock | sha256sum | cut -c 1-16)
mkdir -p "$pinned"
test -e "$pinned/ready" || systemd-nspawn --quiet --directory "$work/debian" --register=no --keep-unit --pipe \
    --bind="$pinned:/packages" --bind-ro="$here:/source" --bind-ro=/etc/ssl/certs/ca-certificates.crt sh -eu -c '
    cd /source
    kept=$(mktemp -d)
    awk "/^setuptools==/ {on = 1} on {print} on && !/\\\\$/ {exit}" requirements.lock > $kept/build.lock
    python3 -m venv $kept/pip
    for lock in $kept/build.lock deploy/requirements.lock; do
        $kept/pip/bin/pip download --quiet --require-hashes --only-binary :all: --find-links /packages --dest /packages --requirement $lock
    done
    touch /packages/ready'

# The machine, this version as 0.1.0, and a next one that has one step more and is else the same.
machine=$work/machine
rm -rf "$machine"
cp -a "$work/debian" "$machine"
mkdir -p "$machine/source/0.1.0" "$machine/packages"
tar -C "$here" --exclude-vcs --exclude=.venv --exclude=build --exclude='.*_cache' -cf - deploy docs src pyproject.toml README.md requirements.lock \
    | tar -C "$machine/source/0.1.0" -xf -
cp -a "$machine/source/0.1.0" "$machine/source/0.2.0"
sed -i 's/^version = "0.1.0"/version = "0.2.0"/' "$machine/source/0.2.0/pyproject.toml"
cat >> "$machine/source/0.2.0/src/aiba_adapters/sqlite/schema.py" << 'PYTHON'

STEPS = (*STEPS, "CREATE TABLE rehearsals (id INTEGER PRIMARY KEY);")
PYTHON
cp "$pinned"/* "$machine/packages/"
printf '[global]\nno-index = true\nfind-links = /packages\n' > "$machine/etc/pip.conf"
cat > "$machine/etc/systemd/system/rehearsal.service" << 'UNIT'
[Unit]
After=basic.target
[Service]
Type=oneshot
WorkingDirectory=/source/0.1.0
ExecStart=/bin/sh deploy/rehearse/on-the-machine.sh
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" > /rehearsed; systemctl poweroff --no-block'
StandardOutput=file:/rehearsal.txt
StandardError=inherit
UNIT
mkdir -p "$machine/etc/systemd/system/multi-user.target.wants"
ln -s ../rehearsal.service "$machine/etc/systemd/system/multi-user.target.wants/"

systemd-nspawn --quiet --directory "$machine" --private-network --register=no --keep-unit --boot > "$work/boot.txt" 2>&1 || true
cat "$machine/rehearsal.txt"
test "$(cat "$machine/rehearsed")" = 0 || { echo 'the rehearsal failed' >&2; exit 1; }
