package keys

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
	"coffer/test/e2e/daemon"
)

var (
	// vault is the server of all tests that do not seal or stop theirs.
	vault *vaulttest.Server
	// binDir holds the server under test, once build was called.
	binDir string
	// build builds it once, within a test: see daemon.Build.
	build = sync.OnceValues(func() (binary string, err error) { return daemon.Build(context.Background(), binDir) })
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binDir, err = os.MkdirTemp("", "coffer-keys-"); err == nil {
		defer func() { _ = os.RemoveAll(binDir) }()
		vault, err = vaulttest.Launch(context.Background(), vaulttest.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = vault.Stop() }() // its process ends with this one in any case
	return m.Run()
}

// setUp mounts Transit with keys, derived, and gives a token that may do
// everything below the mount.
func setUp(t *testing.T, keys ...string) (mount, token string) {
	t.Helper()
	mount = vault.Transit(t)
	for _, key := range keys {
		vault.Key(t, mount, key, map[string]any{"derived": true})
	}
	return mount, vault.Token(t, vaulttest.Token{Policies: []string{vault.Policy(t, vaulttest.MountPolicy(mount))}})
}

// eventually waits until fn returns nil.
func eventually(t *testing.T, within time.Duration, fn func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v still: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// recovery bounds how long it may take until something works again by itself.
const recovery = 30 * time.Second

// lockedBuffer is a buffer for a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
