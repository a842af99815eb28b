package vault_test

import (
	"testing"

	"coffer/kms/kmstest"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

// TestConformance keeps the state of keys in Vault's own KV engine, and has no
// more rights than the package documentation asks for.
func TestConformance(t *testing.T) {
	t.Parallel()
	kv := shared.KV(t)
	kmstest.Run(t, func(t *testing.T) kmstest.Backend {
		mount := shared.Transit(t)
		policy := shared.Policy(t, vaulttest.AdminPolicy(mount, kv, mount))
		least := shared.Token(t, vaulttest.Token{Policies: []string{policy}, OnlyPolicies: true})
		return open(t, patient(vault.Options{Mount: mount, KVMount: kv, KVPrefix: mount, Auth: token(least)}))
	})
}

// TestConformanceWithoutKV keeps it elsewhere, since the token may not use one.
func TestConformanceWithoutKV(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(t *testing.T) kmstest.Backend {
		mount := shared.Transit(t)
		return open(t, patient(vault.Options{
			Mount: mount, State: newMemory(), Auth: token(fullToken(t, shared, mount)),
		}))
	})
}
