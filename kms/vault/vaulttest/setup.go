package vaulttest

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// name returns a name that nobody has used.
func name(kind string) string { return kind + "-" + strings.ToLower(rand.Text()) }

// Transit mounts a Transit engine and returns its path.
func (s *Server) Transit(t testing.TB) string {
	t.Helper()
	mount := name("transit")
	s.TransitAt(t, mount)
	return mount
}

// TransitAt mounts a Transit engine at a path that nothing else is at.
func (s *Server) TransitAt(t testing.TB, mount string) {
	t.Helper()
	if err := s.Root(t).Sys().MountWithContext(t.Context(), mount, &api.MountInput{Type: "transit"}); err != nil {
		t.Fatalf("mount transit: %v", err)
	}
}

// KV mounts a KV engine of version 2 and returns its path.
func (s *Server) KV(t testing.TB) string {
	t.Helper()
	mount := name("kv")
	s.KVAt(t, mount)
	return mount
}

// KVAt mounts a KV engine of version 2 at a path that nothing else is at.
func (s *Server) KVAt(t testing.TB, mount string) {
	t.Helper()
	root := s.Root(t)
	err := root.Sys().MountWithContext(t.Context(), mount, &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}})
	if err != nil {
		t.Fatalf("mount kv: %v", err)
	}
	for { // it answers with errors while it prepares itself
		if _, err = root.Logical().ReadWithContext(t.Context(), mount+"/data/none"); err == nil {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("kv: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Key makes a Transit key as an operator would, with Vault's parameters.
func (s *Server) Key(t testing.TB, mount, key string, params map[string]any) {
	t.Helper()
	s.write(t, mount+"/keys/"+key, params)
}

// DataPolicy is the least that a backend needs for one key: to use it.
func DataPolicy(mount, key string) string {
	return fmt.Sprintf(`
path "%[1]s/datakey/plaintext/%[2]s" { capabilities = ["update"] }
path "%[1]s/encrypt/%[2]s"           { capabilities = ["update"] }
path "%[1]s/decrypt/%[2]s"           { capabilities = ["update"] }
path "%[1]s/rewrap/%[2]s"            { capabilities = ["update"] }
`, mount, key)
}

// AdminPolicy is the least that a backend needs to use all keys of a mount, to
// administer them, and to keep their state in a KV engine.
func AdminPolicy(mount, kv, prefix string) string {
	return fmt.Sprintf(`
path "%[1]s/datakey/plaintext/*" { capabilities = ["update"] }
path "%[1]s/encrypt/*"           { capabilities = ["update"] }
path "%[1]s/decrypt/*"           { capabilities = ["update"] }
path "%[1]s/rewrap/*"            { capabilities = ["update"] }
path "%[1]s/keys"                { capabilities = ["list"] }
path "%[1]s/keys/*"              { capabilities = ["create", "read", "update", "delete"] }
path "%[2]s/data/%[3]s/*"        { capabilities = ["create", "read", "update"] }
path "%[2]s/metadata/%[3]s/*"    { capabilities = ["read", "delete"] }
`, mount, kv, prefix)
}

// MountPolicy allows everything below a mount.
func MountPolicy(mount string) string {
	return fmt.Sprintf(`path "%s/*" { capabilities = ["create", "read", "update", "delete", "list"] }`, mount)
}

// Policy stores a policy and returns its name.
func (s *Server) Policy(t testing.TB, rules string) string {
	t.Helper()
	policy := name("policy")
	if err := s.Root(t).Sys().PutPolicyWithContext(t.Context(), policy, rules); err != nil {
		t.Fatalf("policy: %v", err)
	}
	return policy
}

// Token says what a token is. The zero value is one that lives as long as Vault
// likes and may only do what every token may.
type Token struct {
	Policies []string
	TTL      time.Duration
	MaxTTL   time.Duration
	// OnlyPolicies leaves out Vault's default policy, which lets a token look
	// itself up and renew itself.
	OnlyPolicies bool
}

// Token makes a token.
func (s *Server) Token(t testing.TB, o Token) string {
	t.Helper()
	if len(o.Policies) == 0 {
		o.Policies = []string{"default"} // none would mean those of the root token
	}
	r := &api.TokenCreateRequest{Policies: o.Policies, NoParent: true, NoDefaultPolicy: o.OnlyPolicies}
	if o.TTL != 0 {
		r.TTL = o.TTL.String()
	}
	if o.MaxTTL != 0 {
		r.ExplicitMaxTTL = o.MaxTTL.String()
	}
	secret, err := s.Root(t).Auth().Token().CreateWithContext(t.Context(), r)
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	return secret.Auth.ClientToken
}

// Revoke ends a token before its time.
func (s *Server) Revoke(t testing.TB, token string) {
	t.Helper()
	if err := s.Root(t).Auth().Token().RevokeTreeWithContext(t.Context(), token); err != nil {
		t.Fatalf("revoke: %v", err)
	}
}

// AppRole says what an AppRole gives to those who log in.
type AppRole struct {
	Policies []string
	TTL      time.Duration
	MaxTTL   time.Duration
	// SecretIDUses is how often one may log in; without limit when zero.
	SecretIDUses int
}

// Role is an AppRole that was made.
type Role struct {
	Mount    string
	Name     string
	ID       string
	SecretID string
}

// AppRole mounts the AppRole login and makes a role with a secret id.
func (s *Server) AppRole(t testing.TB, o AppRole) Role {
	t.Helper()
	return s.AppRoleAt(t, name("approle"), o)
}

// AppRoleAt is AppRole at a path that nothing else is at.
func (s *Server) AppRoleAt(t testing.TB, mount string, o AppRole) Role {
	t.Helper()
	r := Role{Mount: mount, Name: "coffer"}
	err := s.Root(t).Sys().EnableAuthWithOptionsWithContext(t.Context(), r.Mount, &api.EnableAuthOptions{Type: "approle"})
	if err != nil {
		t.Fatalf("enable AppRole: %v", err)
	}
	path := "auth/" + r.Mount + "/role/" + r.Name
	s.write(t, path, map[string]any{
		"token_policies": o.Policies, "token_ttl": o.TTL.String(), "token_max_ttl": o.MaxTTL.String(),
		"secret_id_num_uses": o.SecretIDUses,
	})
	secret, err := s.Root(t).Logical().ReadWithContext(t.Context(), path+"/role-id")
	if err != nil {
		t.Fatalf("role id: %v", err)
	}
	r.ID, _ = secret.Data["role_id"].(string)
	r.SecretID, _ = s.write(t, path+"/secret-id", nil)["secret_id"].(string)
	return r
}

// RevokeLogins ends all tokens that a role's logins have given.
func (s *Server) RevokeLogins(t testing.TB, r Role) {
	t.Helper()
	if err := s.Root(t).Sys().RevokePrefixWithContext(t.Context(), "auth/"+r.Mount+"/login"); err != nil {
		t.Fatalf("revoke: %v", err)
	}
}

// Unmount takes an engine away.
func (s *Server) Unmount(t testing.TB, mount string) {
	t.Helper()
	if err := s.Root(t).Sys().UnmountWithContext(t.Context(), mount); err != nil {
		t.Fatalf("unmount: %v", err)
	}
}

// Quota lets the server answer so many calls a second below path; the others
// get 429.
func (s *Server) Quota(t testing.TB, path string, perSecond float64) {
	t.Helper()
	s.write(t, "sys/quotas/rate-limit/"+name("quota"), map[string]any{"path": path, "rate": perSecond})
}
