#!/bin/sh
# Installs the programs that the tests of the mount need and this machine lacks (Debian: as root or by sudo). What is
# there is left alone.
set -eu

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing=
need() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need git git
need rsync rsync
need sqlite3 sqlite3
need vim vim
need make make
need gcc gcc
need tar tar
need flock util-linux
need fusermount3 fuse3
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"

if [ -n "$missing" ]; then
	echo "mount: installing$missing"
	as_root apt-get update -q
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive as_root apt-get install -qy --no-install-recommends $missing
fi

# As udev has it: every user may open it, and fusermount3 decides who mounts what.
if [ -c /dev/fuse ] && [ "$(stat -c %a /dev/fuse)" != 666 ]; then as_root chmod 666 /dev/fuse; fi
