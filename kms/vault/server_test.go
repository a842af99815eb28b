package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"coffer/kms"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

// recovery is within what a backend is well again, with room for loaded
// machines: the circuit stays open for pause, a failed login is tried again
// after two seconds.
const (
	pause    = 300 * time.Millisecond
	recovery = 15 * time.Second
)

// TestSeal seals a server under a backend, and restarts it over its files.
func TestSeal(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t, vaulttest.Options{Dir: t.TempDir()})
	mount := setUp(t, s)
	limited := s.Token(t, vaulttest.Token{Policies: []string{s.Policy(t, vaulttest.DataPolicy(mount, testKey))}})
	b := open(t, vault.Options{Address: s.Address, Mount: mount, Auth: token(limited), BreakerPause: pause})
	var old kms.Wrapped
	eventually(t, recovery, func() (err error) {
		_, old, err = b.GenerateKEK(t.Context(), testKey, testContext())
		return err
	})
	works := func() error {
		_, err := b.Unwrap(t.Context(), old, testContext())
		return errors.Join(err, b.Health(t.Context()))
	}
	sealed := func() {
		t.Helper()
		begin := time.Now()
		_, err := b.Unwrap(t.Context(), old, testContext())
		wantError(t, err, kms.Unavailable)
		wantError(t, b.Health(t.Context()), kms.Unavailable, "sealed")
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v to say that it is sealed", took)
		}
	}
	if err := works(); err != nil {
		t.Fatal(err)
	}
	if version := b.Report().Version; !strings.HasPrefix(version, "1.") {
		t.Errorf("Vault has version %q", version)
	}
	s.Seal(t)
	sealed()
	fresh := open(t, vault.Options{Address: s.Address, Mount: mount, Auth: token(limited)})
	_, _, err := fresh.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Unavailable, "no token")
	s.Unseal(t)
	eventually(t, recovery, works)
	eventually(t, recovery, func() error {
		_, _, err := fresh.GenerateKEK(t.Context(), testKey, nil)
		return err
	})

	s.Restart(t)
	sealed()
	s.Unseal(t)
	eventually(t, recovery, works)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t, vaulttest.Options{TLS: true, ClientCertificate: true})
	mount := setUp(t, s)
	both := vault.TLS{CAFile: s.CAFile, ClientCertFile: s.ClientCertFile, ClientKeyFile: s.ClientKeyFile}
	with := func(change func(*vault.TLS)) vault.TLS {
		c := both
		change(&c)
		return c
	}
	tests := []struct {
		name string
		tls  vault.TLS
		want kms.Kind // Other: it works
	}{
		{"authority and certificate", both, kms.Other},
		{"no authority", with(func(c *vault.TLS) { c.CAFile = "" }), kms.Configuration},
		{"no authority, and none asked for", with(func(c *vault.TLS) { c.CAFile, c.DangerSkipVerify = "", true }), kms.Other},
		{"other name", with(func(c *vault.TLS) { c.ServerName = "vault.example" }), kms.Configuration},
		{"no certificate", vault.TLS{CAFile: s.CAFile}, kms.Configuration},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, patient(vault.Options{Address: s.Address, TLS: tt.tls, Mount: mount, Auth: token(fullToken(t, s, mount))}))
			_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
			health := b.Health(t.Context())
			if tt.want == kms.Other {
				if err := errors.Join(err, health); err != nil {
					t.Error(err)
				}
				return
			}
			for _, err := range []error{err, health} {
				// A server that wants a certificate says so, and hangs up: which of
				// the two is seen first is chance.
				if kind := kms.KindOf(err); kind != tt.want && (tt.tls.ClientCertFile != "" || kind != kms.Unavailable) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			}
		})
	}
}

func TestNotTLS(t *testing.T) {
	t.Parallel()
	b := open(t, patient(vault.Options{Address: "https" + shared.Address[len("http"):], Mount: "transit", Auth: token("hvs.CAESIJ")}))
	_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Configuration, "HTTP response to HTTPS client")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	mount, kv := setUp(t, shared), shared.KV(t)
	tests := []struct {
		name    string
		options vault.Options
		want    kms.Kind // Other: it is well
		text    string
	}{
		{"well", vault.Options{Mount: mount, Auth: token(fullToken(t, shared, mount))}, kms.Other, ""},
		{"well, for root", vault.Options{Mount: mount, Auth: token(shared.RootToken)}, kms.Other, ""},
		{"no mount", vault.Options{Mount: "none", Auth: token(shared.RootToken)}, kms.Configuration, "none/keys"},
		{"no mount, as far as one can tell", vault.Options{Mount: "none", Auth: token(fullToken(t, shared, mount))}, kms.Denied, "nothing is mounted at none"},
		{"another engine", vault.Options{Mount: kv, Auth: token(shared.RootToken)}, kms.Configuration, "not transit"},
		{"bad token", vault.Options{Mount: mount, Auth: token("hvs.CAESIJ")}, kms.Denied, "invalid token"},
		{"nobody there", vault.Options{Address: "http://127.0.0.1:1", Mount: mount, Auth: token("hvs.CAESIJ")}, kms.Unavailable, "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := open(t, patient(tt.options)).Health(t.Context())
			if tt.want != kms.Other {
				wantError(t, err, tt.want, tt.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestVanished takes the key and then the mount away under a backend.
func TestVanished(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	b := open(t, patient(vault.Options{Mount: mount, Auth: token(fullToken(t, shared, mount))}))
	_, w := issue(t, b)
	if err := b.DestroyKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	_, err := b.Unwrap(t.Context(), w, testContext())
	wantError(t, err, kms.NotFound)
	shared.Unmount(t, mount)
	_, err = b.Unwrap(t.Context(), w, testContext())
	wantError(t, err, kms.Configuration, mount+"/decrypt/"+testKey)
	wantError(t, b.Health(t.Context()), kms.Configuration, mount)
	if c := b.Report().Circuit; c != kms.CircuitClosed {
		t.Errorf("the circuit is %v", c)
	}
}
