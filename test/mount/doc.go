// Package mount tests the mount of the built server with real programs, and against what S3 does at the same time.
//
// The server is a process of its own: one that serves a mount and uses it can deadlock. git, rsync, tar, cp, vim, make,
// SQLite and the Go compiler work on the mount as anywhere; SQLite and the server are killed while they work; eight
// threads compare what S3 and the mount say, with an entry time-out of an hour, so that only notifications can be right.
//
// The tests are behind the build tag e2e, because they need the binary, the programs and the right to mount. From the
// root of the repository:
//
//	make build
//	test/mount/setup.sh
//	go test -tags e2e -v -timeout 30m ./test/mount
//	go test -tags e2e -v -timeout 6h ./test/mount -run TestCoherence -args -checks=100000
//
// What the machine lacks is skipped, unless CI is true: then it is a failure.
package mount
