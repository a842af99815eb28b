package fs

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// wrong are tests of go-fuse that go-fuse itself leaves out: FcntlFlockLocksFile wants a process to be kept out by its own
// lock, which POSIX does not allow; testLocks does it right.
func wrong() []string { return []string{"FcntlFlockLocksFile"} }

// TestPOSIX runs the conformance tests of go-fuse, each in a directory of its own.
func TestPOSIX(t *testing.T) {
	t.Parallel()
	dir := serve(t, "=bucket")
	for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
		if slices.Contains(wrong(), name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			sub := filepath.Join(dir, name)
			if err := os.Mkdir(sub, 0o700); err != nil {
				t.Fatal(err)
			}
			posixtest.All[name](t, sub)
		})
	}
}
