package keys

import (
	"fmt"
	"strings"
	"testing"

	"coffer/kms/vault/vaulttest"
)

// TestFourLinePolicy gives the server a token that may do the four things that the
// runbook names to one key, which an operator has made, and nothing else.
func TestFourLinePolicy(t *testing.T) {
	t.Parallel()
	for name, derived := range map[string]bool{"derived": true, "not derived": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mount := vault.Transit(t)
			vault.Key(t, mount, "app-default", map[string]any{"derived": derived})
			policy := vault.Policy(t, fmt.Sprintf(`
path "%[1]s/datakey/plaintext/app-default" { capabilities = ["update"] }
path "%[1]s/encrypt/app-default"        { capabilities = ["update"] }
path "%[1]s/decrypt/app-default"        { capabilities = ["update"] }
path "%[1]s/rewrap/app-default"         { capabilities = ["update"] }
`, mount))
			token := vault.Token(t, vaulttest.Token{Policies: []string{policy}, OnlyPolicies: true})
			s := newSite(t, nil)
			s.useVault(vault.Address, mount, token, "app-default")
			status := s.admin("GET", "kms/status", "")
			if status["status"] != "OK" || status["healthy"] != true {
				t.Errorf("status %v", status)
			}
			s.must(request{method: "PUT", target: "/bucket1"})
			s.put("/bucket1/own", "one", kmsMode(""))
			s.put("/bucket1/shared", "two", with(kmsMode("app-default"), fields{"x-amz-server-side-encryption-bucket-key-enabled": "true"}))
			data := s.admin("POST", "kms/generate-data-key", `{"key_id":"app-default","key_spec":"AES_256","encryption_context":{"a":"b"}}`)
			vault.Key(t, mount, "app-default/rotate", nil)
			readAll := func() {
				t.Helper()
				s.clearCache()
				s.wantBody("/bucket1/own", "one")
				s.wantBody("/bucket1/shared", "two")
			}
			readAll()
			rewrapped := s.admin("POST", "kms/rewrap", toJSON(map[string]any{
				"ciphertext_b64": data["ciphertext_blob"], "context": map[string]string{"a": "b"},
			}))
			if rewrapped["ciphertext_b64"] == data["ciphertext_blob"] {
				t.Error("the wrapped key was not rewrapped")
			}
			if found := s.admin("POST", "kms/rewrap-bucket", `{"bucket":"bucket1","dry_run":true}`); found["would_rewrap"] != 2.0 {
				t.Errorf("a dry run found %v", found)
			}
			if done := s.admin("POST", "kms/rewrap-bucket", `{"bucket":"bucket1"}`); done["rewrapped"] != 2.0 || done["failed"] != 0.0 {
				t.Errorf("rewrapped %v", done)
			}
			if found := s.admin("POST", "kms/rewrap-bucket", `{"bucket":"bucket1","dry_run":true}`); found["would_rewrap"] != 0.0 {
				t.Errorf("a dry run after it found %v", found)
			}
			readAll()
			wantForbidden(s, mount)
		})
	}
}

// wantForbidden does what the policy forbids, by both APIs.
func wantForbidden(s *site, mount string) {
	s.t.Helper()
	for _, tt := range []struct {
		request
		path string // of Vault
	}{
		{request{method: "POST", target: "/rustfs/admin/v3/kms/key/create?keyName=another"}, "keys/another"},
		{request{method: "POST", target: "/rustfs/admin/v3/kms/key/rotate?keyName=app-default"}, "keys/app-default/rotate"},
		{request{method: "GET", target: "/rustfs/admin/v3/kms/key/list"}, "keys"},
		{request{method: "GET", target: "/rustfs/admin/v3/kms/key/status?keyName=app-default"}, "keys/app-default"},
		{request{method: "PUT", target: "/bucket1/new", body: "x", header: kmsMode("another")}, "datakey/plaintext/another"},
	} {
		a := s.wantError(tt.request, 403, "AccessDenied")
		if !strings.Contains(a.body, mount+"/"+tt.path) {
			s.t.Errorf("%s %s does not name %s: %v", tt.method, tt.target, tt.path, a)
		}
	}
	s.wantError(request{method: "HEAD", target: "/bucket1/new"}, 404, "")
}

// with merges header fields.
func with(sets ...fields) fields {
	all := fields{}
	for _, set := range sets {
		for name, value := range set {
			all[name] = value
		}
	}
	return all
}

// TestStateInMetastore disables a key of a Vault whose KV engine the token may not
// use: the server keeps that by itself, over a restart, and says where.
func TestStateInMetastore(t *testing.T) {
	t.Parallel()
	mount, token := setUp(t, "app-default")
	s := newSite(t, nil)
	s.useVault(vault.Address, mount, token, "app-default")
	s.must(request{method: "PUT", target: "/bucket"})
	s.put("/bucket/old", "one", kmsMode(""))
	s.admin("POST", "kms/keys/disable", `{"key_id":"app-default"}`)
	s.admin("POST", "kms/keys/tag", `{"key_id":"app-default","tags":{"team":"a"}}`)
	for range 2 {
		place := ""
		for _, in := range s.admin("GET", "kms/status", "")["instances"].([]any) {
			if in := in.(map[string]any); in["serving"] == true {
				place = fmt.Sprint(in["key_state"])
			}
		}
		if place != "metastore" {
			t.Errorf("status says that states are kept in %q", place)
		}
		s.wantError(request{method: "PUT", target: "/bucket/new", body: "x", header: kmsMode("")}, 400, "KMS.DisabledException")
		s.wantBody("/bucket/old", "one")
		if doc := toJSON(s.admin("GET", "kms/keys/app-default", "")); !strings.Contains(doc, `"team":"a"`) || !strings.Contains(doc, "Disabled") {
			t.Errorf("the key is described as %s", doc)
		}
		s.stop()
		s.serve()
	}
	s.admin("POST", "kms/keys/enable", `{"key_id":"app-default"}`)
	s.put("/bucket/new", "x", kmsMode(""))
}
