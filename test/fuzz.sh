#!/bin/sh
# Fuzzes every target of the module for a while:
#
#	test/fuzz.sh 3s                    all targets
#	test/fuzz.sh 10m ./s3api/sigv4     those of one package
set -eu

time=$1
shift
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

packages() {
	if [ $# -gt 0 ]; then
		printf '%s\n' "$@"
	else
		for directory in $(go list -f '{{.Dir}}' ./...); do
			if grep -qs '^func Fuzz' "$directory"/*_test.go; then echo "$directory"; fi
		done
	fi
}

targets() {
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$1"/*_test.go
}

run() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" "$1" >"$log" 2>&1
}

for package in $(packages "$@"); do
	for target in $(targets "$package"); do
		# Before Go 1.27 a run may fail at the end of its time with nothing but "context deadline exceeded"
		# (golang/go#75804); a second run tells that from a finding.
		if ! run "$package" "$target"; then
			if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log" || ! run "$package" "$target"; then
				cat "$log"
				exit 1
			fi
		fi
		printf '%-20s %s\n' "$target" "$(tail -n 1 "$log")"
	done
done
