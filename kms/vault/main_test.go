package vault_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

// shared is the server of all tests that do not seal, restart or slow theirs.
var shared *vaulttest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	// Most tests wait for time to pass, and not for a processor.
	err := flag.Set("test.parallel", "12")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if shared, err = vaulttest.Launch(context.Background(), vaulttest.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = shared.Stop() }() // its process ends with this one in any case
	return m.Run()
}

// patient are bounds for machines that are loaded, in tests that do not measure
// them.
func patient(o vault.Options) vault.Options {
	o.CallTimeout = 20 * time.Second
	return o
}

// token is the simplest Auth.
func token(text string) vault.Token { return vault.Token{Token: secret.New([]byte(text))} }

// open opens a backend and fills in what most tests do not care for.
func open(t *testing.T, o vault.Options) *vault.Backend {
	t.Helper()
	if o.Instance.IsZero() {
		o.Instance = cipher.NewInstanceID()
	}
	if o.Address == "" {
		o.Address = shared.Address
	}
	b, err := vault.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// fullToken may do everything below mounts of s, and nothing else.
func fullToken(t *testing.T, s *vaulttest.Server, mounts ...string) string {
	t.Helper()
	token := vaulttest.Token{OnlyPolicies: true}
	for _, mount := range mounts {
		token.Policies = append(token.Policies, s.Policy(t, vaulttest.MountPolicy(mount)))
	}
	return s.Token(t, token)
}

// testKey and testContext are what most tests use.
const testKey = "app-default"

func testContext() []byte { return []byte(`{"bucket":"photos"}`) }

// setUp mounts Transit with testKey, derived.
func setUp(t *testing.T, s *vaulttest.Server) (mount string) {
	t.Helper()
	mount = s.Transit(t)
	s.Key(t, mount, testKey, map[string]any{"derived": true})
	return mount
}

// issue makes a KEK under testKey.
func issue(t *testing.T, b *vault.Backend) (*cipher.KEK, kms.Wrapped) {
	t.Helper()
	kek, w, err := b.GenerateKEK(t.Context(), testKey, testContext())
	if err != nil {
		t.Fatal(err)
	}
	return kek, w
}

// wantKEK unwraps and compares.
func wantKEK(t *testing.T, b *vault.Backend, w kms.Wrapped, want *cipher.KEK) {
	t.Helper()
	got, err := b.Unwrap(t.Context(), w, testContext())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(want) {
		t.Error("unwrap gave another KEK")
	}
}

// wantError checks the kind of an error, and that its text has some parts.
func wantError(t *testing.T, err error, want kms.Kind, parts ...string) {
	t.Helper()
	if known := new(kms.Error); !errors.As(err, &known) || known.Kind != want {
		t.Errorf("got %v (%T), want %v", err, err, want)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
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
