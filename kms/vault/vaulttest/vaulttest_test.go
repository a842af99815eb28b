package vaulttest_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"coffer/kms/vault/vaulttest"
)

// TestBinary builds the server, and finds it the second time.
func TestBinary(t *testing.T) {
	t.Parallel()
	binary, err := vaulttest.Binary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	again, err := vaulttest.Binary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(again)
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("%s was built again as %s (%v)", binary, again, err)
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options vaulttest.Options
	}{
		{"memory", vaulttest.Options{}},
		{"files", vaulttest.Options{Dir: t.TempDir()}},
		{"TLS", vaulttest.Options{TLS: true}},
		{"client certificates", vaulttest.Options{TLS: true, ClientCertificate: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := vaulttest.Start(t, tt.options)
			mount := s.Transit(t)
			s.Key(t, mount, "k", nil)
			use := func(token string) error {
				_, err := s.Client(t, token).Logical().WriteWithContext(t.Context(), mount+"/datakey/plaintext/k", nil)
				return err
			}
			if err := use(s.RootToken); err != nil {
				t.Error(err)
			}
			limited := s.Token(t, vaulttest.Token{Policies: []string{s.Policy(t, vaulttest.DataPolicy(mount, "k"))}})
			if err := use(limited); err != nil {
				t.Error(err)
			}
			if err := use(s.Token(t, vaulttest.Token{})); err == nil {
				t.Error("a token without a policy may use the key")
			}
			s.Seal(t)
			if err := use(s.RootToken); err == nil {
				t.Error("it works while sealed")
			}
			s.Unseal(t)
			if tt.options.Dir != "" {
				s.Restart(t)
				if err := use(s.RootToken); err == nil {
					t.Error("it is not sealed after a restart")
				}
				s.Unseal(t)
			}
			if err := use(limited); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEnvironment shows that the variables of Vault's own tools change nothing.
func TestEnvironment(t *testing.T) {
	t.Setenv(api.EnvVaultAddress, "http://127.0.0.1:1")
	t.Setenv(api.EnvVaultToken, "bogus")
	t.Setenv(api.EnvVaultNamespace, "bogus")
	s := vaulttest.Start(t, vaulttest.Options{})
	if _, err := s.Root(t).Sys().ListMountsWithContext(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t, vaulttest.Options{})
	p := vaulttest.NewProxy(t, s)
	tests := []struct {
		name   string
		fault  vaulttest.Fault
		status int // 0: no answer
	}{
		{"nothing", nil, http.StatusOK},
		{"status", vaulttest.Status(473), 473},
		{"status once", vaulttest.Times(0, vaulttest.Status(473)), http.StatusOK},
		{"status elsewhere", vaulttest.On("transit", vaulttest.Status(473)), http.StatusOK},
		{"slow", vaulttest.Slow(time.Millisecond), http.StatusOK},
		{"cut", vaulttest.Cut, 0},
	}
	for i, tt := range tests {
		p.SetFault(tt.fault)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Address+"/v1/sys/seal-status", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		switch {
		case err != nil && tt.status != 0:
			t.Errorf("%s: %v", tt.name, err)
		case err == nil:
			_ = response.Body.Close()
			if response.StatusCode != tt.status {
				t.Errorf("%s: status %d, want %d", tt.name, response.StatusCode, tt.status)
			}
		}
		if n := p.Calls("sys/seal-status"); n < i+1 {
			t.Errorf("%s: %d calls counted", tt.name, n)
		}
	}
}
