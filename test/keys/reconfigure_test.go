package keys

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
)

// TestReconfigureUnderClients changes the key backend 200 times under 64 clients: to
// other tokens of a Vault, to another mount, to the built-in keyring and back, and
// now and then to what does not work. No request of a client fails.
func TestReconfigureUnderClients(t *testing.T) {
	t.Parallel()
	const clients, changes = 64, 200
	first, second := vault.Transit(t), vault.Transit(t)
	policies := []string{vault.Policy(t, vaulttest.MountPolicy(first)), vault.Policy(t, vaulttest.MountPolicy(second))}
	tokens := []string{vault.Token(t, vaulttest.Token{Policies: policies}), vault.Token(t, vaulttest.Token{Policies: policies})}
	s := newSite(t, nil)
	s.useVault(vault.Address, first, tokens[0], "app-default")
	s.must(request{method: "PUT", target: "/bucket"})

	var served atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for n := 0; !t.Failed(); n++ {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond): // calls of Vault have 1.5 s, whatever else the machine does
				}
				target, body := fmt.Sprintf("/bucket/%d-%d", client, n%8), fmt.Sprintf("body %d of %d", n, client)
				if a := s.do(context.Background(), request{method: "PUT", target: target, body: body, header: kmsMode("")}); a.status != 200 {
					t.Errorf("PUT %s: %v", target, a)
				}
				if a := s.do(context.Background(), request{method: "GET", target: target}); a.body != body {
					t.Errorf("GET %s: %v", target, a)
				}
				served.Add(2)
			}
		})
	}
	for n := range changes {
		switch {
		case n%10 == 9:
			s.wantError(request{method: "POST", target: "/rustfs/admin/v3/kms/configure", body: toJSON(map[string]any{
				"kms_type": "vault", "vault_address": vault.Address, "vault_token": "hvs.no-such-token", "vault_mount_path": first,
			})}, 400, "InvalidConfiguration")
		case n%10 == 5:
			s.admin("POST", "kms/configure", `{"kms_type":"local"}`)
		default:
			s.useVault(vault.Address, []string{first, second}[n%2], tokens[n/2%2], "app-default")
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests during %d changes", served.Load(), changes)
}
