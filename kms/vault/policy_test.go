package vault_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

// TestLeastPolicy has a token with the four lines of the least policy and
// nothing else, not even Vault's default policy, and keys that an operator made.
func TestLeastPolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		params map[string]any
		bound  bool // Vault refuses another context
	}{
		{"derived", map[string]any{"derived": true}, true},
		{"not derived", nil, false},
		{"ChaCha20", map[string]any{"type": "chacha20-poly1305", "derived": true}, true},
		{"RSA", map[string]any{"type": "rsa-2048"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mount := shared.Transit(t)
			shared.Key(t, mount, testKey, tt.params)
			policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
			limited := shared.Token(t, vaulttest.Token{Policies: []string{policy}, OnlyPolicies: true})
			b := open(t, patient(vault.Options{Mount: mount, Auth: token(limited)}))
			if err := b.Health(t.Context()); err != nil {
				t.Error(err)
			}
			kek, w := issue(t, b)
			wantKEK(t, b, w, kek)
			_, err := b.Unwrap(t.Context(), w, []byte("other"))
			if tt.bound {
				wantError(t, err, kms.Crypto)
			} else if err != nil {
				t.Error(err)
			}
			testLeastRewrap(t, b, mount, w)
			testForbidden(t, b, mount)

			full := open(t, patient(vault.Options{Mount: mount, Auth: token(shared.RootToken)}))
			info, err := full.DescribeKey(t.Context(), testKey)
			if err != nil || info.Unbound == tt.bound || len(info.Versions) != 2 {
				t.Errorf("described as %+v, %v", info, err)
			}
			if told := len(full.Report().Notes) == 2; told == tt.bound {
				t.Errorf("reported as %q", full.Report().Notes)
			}
		})
	}
}

// testLeastRewrap rewraps w, alone and in a batch, before and after a rotation.
func testLeastRewrap(t *testing.T, b *vault.Backend, mount string, w kms.Wrapped) {
	t.Helper()
	kek, err := b.Unwrap(t.Context(), w, testContext())
	if err != nil {
		t.Fatal(err)
	}
	same, err := b.Rewrap(t.Context(), w, testContext())
	if diff := cmp.Diff(w, same); err != nil || diff != "" {
		t.Errorf("rewrapped without need: %v\n%s", err, diff)
	}
	shared.Key(t, mount, testKey+"/rotate", nil)
	next, err := b.Rewrap(t.Context(), w, testContext())
	if err != nil || next.Version != 2 || bytes.Equal(next.Ciphertext, w.Ciphertext) {
		t.Fatalf("rewrapped to %+v, %v", next, err)
	}
	wantKEK(t, b, next, kek)
	for _, r := range b.RewrapBatch(t.Context(), []kms.RewrapItem{{Wrapped: w, Context: testContext()}}) {
		if r.Err != nil || r.Wrapped.Version != 2 {
			t.Fatalf("rewrapped to %+v, %v", r.Wrapped, r.Err)
		}
		wantKEK(t, b, r.Wrapped, kek)
	}
	moved, err := b.WrapKEK(t.Context(), testKey, kek, testContext())
	if err != nil {
		t.Fatal(err)
	}
	wantKEK(t, b, moved, kek)
}

// testForbidden shows that what the policy does not allow names the path that
// it would have to.
func testForbidden(t *testing.T, b *vault.Backend, mount string) {
	t.Helper()
	keys := mount + "/keys"
	_, err := b.DescribeKey(t.Context(), testKey)
	wantError(t, err, kms.Denied, keys+"/"+testKey, "policy")
	_, err = b.RotateKey(t.Context(), testKey)
	wantError(t, err, kms.Denied, keys+"/"+testKey+"/rotate")
	_, err = b.CreateKey(t.Context(), "other")
	wantError(t, err, kms.Denied, keys+"/other")
	_, err = b.ListKeys(t.Context(), "", 0)
	wantError(t, err, kms.Denied, "GET "+keys+":")
	_, err = b.DisableKey(t.Context(), testKey)
	wantError(t, err, kms.Denied, keys+"/"+testKey)
	wantError(t, b.DestroyKey(t.Context(), testKey), kms.Denied, keys+"/"+testKey)
	_, _, err = b.GenerateKEK(t.Context(), "other", nil)
	wantError(t, err, kms.Denied, mount+"/datakey/plaintext/other")
	_, err = b.WrapKEK(t.Context(), "other", cipher.NewKEK(), nil)
	wantError(t, err, kms.Denied, mount+"/encrypt/other")
	if c := b.Report().Circuit; c != kms.CircuitClosed {
		t.Errorf("after refusals the circuit is %v", c)
	}
}

// TestOldVersions shows what a version says that Vault no longer opens.
func TestOldVersions(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	b := open(t, patient(vault.Options{Mount: mount, Auth: token(fullToken(t, shared, mount))}))
	_, w := issue(t, b)
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	shared.Key(t, mount, testKey+"/config", map[string]any{"min_decryption_version": 2})
	_, err := b.Unwrap(t.Context(), w, testContext())
	wantError(t, err, kms.InvalidState, "too old")
	info, err := b.DescribeKey(t.Context(), testKey)
	if err != nil || len(info.Versions) != 1 || info.Newest().Number != 2 {
		t.Errorf("described as %+v, %v", info, err)
	}
	_, w = issue(t, b)
	if w.Fingerprint != info.Newest().Fingerprint {
		t.Error("the fingerprint of a version depends on what is listed beside it")
	}
}

// TestForeignKeys lists what Coffer did not make.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	mount := shared.Transit(t)
	for name, params := range map[string]map[string]any{
		"plain": nil, "signs": {"type": "ed25519"}, "coffer.x.a-2fb": {"derived": true}, "coffer.x.-zz": nil,
	} {
		shared.Key(t, mount, name, params)
	}
	b := open(t, patient(vault.Options{Mount: mount, Auth: token(fullToken(t, shared, mount))}))
	page, err := b.ListKeys(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{} // whether they serve
	for _, k := range page.Keys {
		got[k.ID] = k.Fault == nil
	}
	want := map[string]bool{"a/b": true, "plain": true, "signs": false, "coffer.x.-zz": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	_, _, err = b.GenerateKEK(t.Context(), "signs", nil)
	wantError(t, err, kms.Unsupported)
	_, err = b.CreateKey(t.Context(), "plain")
	wantError(t, err, kms.AlreadyExists)
	if err := b.DestroyKey(t.Context(), "signs"); err != nil {
		t.Error(err)
	}
}

// TestNoUpsert shows that encrypting never makes a key, although the token may.
func TestNoUpsert(t *testing.T) {
	t.Parallel()
	mount := shared.Transit(t)
	b := open(t, patient(vault.Options{Mount: mount, Auth: token(fullToken(t, shared, mount))}))
	_, err := b.Encrypt(t.Context(), testKey, []byte("text"), nil)
	wantError(t, err, kms.NotFound)
	_, _, err = b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.NotFound)
	if page, err := b.ListKeys(t.Context(), "", 0); err != nil || len(page.Keys) != 0 {
		t.Errorf("keys: %+v, %v", page, err)
	}
}
