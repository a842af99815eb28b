#!/bin/bash
# Runs pjdfstest (https://github.com/pjd/pjdfstest) on a mount, as root, and compares what fails with the list beside this
# script: a failure that is not in the list is one, and so is an entry that does not fail any more.
#
#	make build
#	test/mount/pjdfstest.sh DIRECTORY
#
# DIRECTORY has the suite, built. It needs perl's prove, and about two minutes.
set -euo pipefail

suite=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
chmod 755 "$work"
"$here/../../bin/coffer" serve --config-dir "$work/config" --data "$work/data" --listen 127.0.0.1:0 --metrics-listen off \
	--mount "$work/mount" --mount-allow-other >"$work/log" 2>&1 &
server=$!
cleanup() {
	cd /
	kill "$server"
	wait "$server" || true
	rm -rf "$work"
}
trap cleanup EXIT
until mountpoint -q "$work/mount"; do
	kill -0 "$server" || { cat "$work/log"; exit 1; }
	sleep 0.1
done
mkdir "$work/mount/bucket"
chmod 755 "$work/mount/bucket"
cd "$work/mount/bucket"

prove -r -j 2 "$suite/tests" >"$work/report" 2>/dev/null || true
grep -E '^(Files|All tests)' "$work/report"
# As “GROUP/FILE.t NUMBERS”.
sed -nE "s,^$suite/tests/([^ ]+) .*,\1,p; s/^  Failed tests?: +(.*)/\1/p; s/^ +([0-9, -]+)\$/+\1/p" \
	<(sed '1,/^Test Summary/d' "$work/report") |
	awk '/\.t$/ { name = $0; next } { line = /^\+/ ? line "," substr($0, 2) : $0; last[name] = line }
	     END { for (n in last) { gsub(/ /, "", last[n]); print n, last[n] } }' | sort >"$work/failed"
sed '/^#/d' "$here/pjdfstest.txt" | sort >"$work/known"
if ! diff "$work/known" "$work/failed" >"$work/difference"; then
	echo 'What fails is not what the list says (< list, > this run):'
	cat "$work/difference"
	exit 1
fi
echo "$(wc -l <"$work/known") files with failures, all in the list."
