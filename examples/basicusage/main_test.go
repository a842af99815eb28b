package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRun runs it twice over one directory, the second time with a key that is
// there already.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	for first, want := range []string{`key my-master-key: Enabled, AES-256, version 1
decrypted: sensitive data
under another context: cryptographic failure
file of 1400000 bytes came back: true
rotated my-master-key to version 2
data key: version 1 is now version 2
disabled: it decrypts, and to encrypt is "key is disabled"
`, `key my-master-key: Enabled, AES-256, version 2
decrypted: sensitive data
under another context: cryptographic failure
file of 1400000 bytes came back: true
rotated my-master-key to version 3
data key: version 2 is now version 3
disabled: it decrypts, and to encrypt is "key is disabled"
`} {
		var out strings.Builder
		if err := run(t.Context(), &out, dir, []byte("not a secret at all")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("run %d: %s", first+1, diff)
		}
	}
}
