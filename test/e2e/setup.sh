#!/bin/sh
# Installs the clients that the end-to-end tests need and this machine lacks: Debian's packages by apt-get, Python's by
# pip, JavaScript's by npm, Go's by go. What is there is left alone, so running it again is quick.
#
#   setup.sh                all clients
#   setup.sh aws-pip rclone only those, by the names of the test's flag -clients
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
wanted=${*:-aws-pip aws-debian boto3 s3cmd rclone curl awscurl mc sdkgo sdkjs}

wants() {
	case " $wanted " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

has() {
	command -v "$1" >/dev/null 2>&1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's awscli is looked for by its path: another aws may come first on PATH.
debian_packages() {
	if wants aws-debian && [ ! -x /usr/bin/aws ]; then echo awscli; fi
	for program in s3cmd rclone curl; do
		if wants $program && ! has $program; then echo $program; fi
	done
	if wants aws-pip || wants boto3 || wants awscurl; then
		has python3 || echo python3 python3-venv
	fi
	if wants sdkjs; then
		has node || echo nodejs
		has npm || echo npm
	fi
}

packages=$(debian_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
	echo "e2e: installing $packages"
	as_root apt-get update -q
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive as_root apt-get install -qy --no-install-recommends $packages
fi

# An environment of our own leaves the machine's Python as it is.
pip_aws() {
	IFS=:
	for directory in $PATH "$here/.tools/venv/bin"; do
		case $directory in /usr/bin | /bin) continue ;; esac
		if [ -x "$directory/aws" ]; then return 0; fi
	done
	return 1
}
needs_venv=no
if wants aws-pip && ! (pip_aws); then needs_venv=yes; fi
if wants boto3 && ! python3 -c 'import boto3' 2>/dev/null && [ ! -x "$here/.tools/venv/bin/python3" ]; then needs_venv=yes; fi
pip_packages=
if [ $needs_venv = yes ]; then pip_packages='awscli boto3'; fi
if wants awscurl && ! has awscurl && [ ! -x "$here/.tools/venv/bin/awscurl" ]; then pip_packages="$pip_packages awscurl"; fi
if [ -n "$pip_packages" ]; then
	echo "e2e: installing $pip_packages in $here/.tools/venv"
	if ! python3 -c 'import ensurepip' 2>/dev/null; then as_root apt-get install -qy --no-install-recommends python3-venv; fi
	python3 -m venv "$here/.tools/venv"
	# shellcheck disable=SC2086
	"$here/.tools/venv/bin/pip" install --quiet $pip_packages
fi

# MinIO's client is built from its module: there are no downloads of it any more.
mc=github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
if wants mc && ! has mc && [ ! -x "$here/.tools/bin/mc" ]; then
	echo "e2e: building $mc"
	GOBIN="$here/.tools/bin" CGO_ENABLED=0 go install "$mc"
fi

# npm writes this file last, so it is newer than the lock file if what is installed is what the lock file says.
installed=$here/sdkjs/node_modules/.package-lock.json
if wants sdkjs && { [ ! -e "$installed" ] || [ "$here/sdkjs/package-lock.json" -nt "$installed" ]; }; then
	echo "e2e: installing the AWS SDK for JavaScript"
	(cd "$here/sdkjs" && npm ci --no-audit --no-fund)
	touch "$installed"
fi

if wants sdkgo; then
	(cd "$here/sdkgo" && go mod download)
fi
