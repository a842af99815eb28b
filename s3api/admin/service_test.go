package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"coffer/kms"
	"coffer/kms/manager"
	"coffer/s3api/admin"
)

// TestConfigureWithKMSType takes the form of S2: it starts at once, ignores what it does not know, and changes the words of status.
func TestConfigureWithKMSType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.want(200, "POST kms/configure", vaultBody(`,"vault_key_path":"x","vault_auth_method":"token","vault_timeout_seconds":7`))
	w.has(d, map[string]any{"success": true, "kms_type": "vault"})
	if s := w.keys.Status(); s.State != manager.Running || s.Type != manager.TypeVault || s.Config.Timeout.Seconds() != 7 {
		t.Errorf("status %+v", s)
	}
	w.want(200, "PUT kms/key/enable?keyName=app-default", "")
	for _, request := range []string{"GET kms/status", "POST kms/status", "GET /minio/admin/v3/kms/status"} {
		d = w.want(200, request, "")
		w.has(d, map[string]any{"status": "OK", "backend": "vault", "healthy": true, "backend_type": "VaultTransit", "backend_status": "healthy", "default_key_id": "app-default", "state": "Running"})
		w.has(d.sub("details"), map[string]any{"engine_type": "transit", "mount_path": "transit", "namespace": nil, "endpoint": "https://vault"})
		w.has(d.sub("config_summary"), map[string]any{"timeout_seconds": 7, "cache_ttl_seconds": 300, "max_cached_keys": 1000, "retry_attempts": 3})
	}
	w.has(w.want(200, "GET kms/service-status", ""), map[string]any{"status": "Running", "backend_type": "VaultTransit", "healthy": true})
	w.want(200, "POST kms/configure", `{"kms_type":"local"}`)
	d = w.want(200, "GET kms/status", "")
	w.has(d, map[string]any{"status": "OK", "backend": "local"})
	w.has(d.sub("details"), map[string]any{"engine_type": "local", "endpoint": "", "version": "1.2.3"})
	w.want(200, "POST kms/stop", "")
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "Failed", "state": "Configured", "healthy": nil})
}

func TestConfigureRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/configure", vaultBody(""))
	before := w.keys.Status()
	for name, tt := range map[string]struct{ code, body string }{
		"no JSON":           {"InvalidRequest", `{`},
		"no body":           {"InvalidRequest", ``},
		"neither form":      {"InvalidRequest", `{"address":"https://vault"}`},
		"aws":               {"UnsupportedKmsType", `{"kms_type":"aws"}`},
		"aws, second form":  {"UnsupportedKmsType", `{"backend_type":"AwsKms"}`},
		"no address":        {"InvalidConfiguration", `{"kms_type":"vault","vault_token":"hvs.canary"}`},
		"no credentials":    {"InvalidConfiguration", `{"kms_type":"vault","vault_address":"https://vault"}`},
		"half an AppRole":   {"InvalidConfiguration", `{"kms_type":"vault","vault_address":"https://vault","vault_app_role_id":"r"}`},
		"unreachable":       {"InvalidConfiguration", `{"kms_type":"vault","vault_address":"https://none","vault_token":"hvs.canary"}`},
		"unreachable, G2":   {"InvalidConfiguration", `{"backend_type":"vault","address":"https://none","auth_method":{"token":"hvs.canary"}}`},
		"unknown field":     {"InvalidRequest", `{"backend_type":"vault","address":"https://vault","colour":"red"}`},
		"unknown, deeper":   {"InvalidRequest", `{"backend_type":"vault","auth_method":{"Token":{"token":"hvs.canary","x":1}}}`},
		"of another type":   {"InvalidRequest", `{"backend_type":"vault","key_dir":"/k"}`},
		"two methods":       {"InvalidConfiguration", `{"backend_type":"vault","auth_method":{"token":"hvs.canary","approle":{}}}`},
		"no such method":    {"InvalidConfiguration", `{"backend_type":"vault","auth_method":{"ldap":"hvs.canary"}}`},
		"no time-out":       {"InvalidConfiguration", `{"backend_type":"vault","timeout_seconds":0}`},
		"no attempts":       {"InvalidConfiguration", `{"backend_type":"vault","retry_attempts":-1}`},
		"wrong type":        {"InvalidRequest", `{"backend_type":"vault","address":{"a":"hvs.canary"}}`},
		"skip-verify alone": {"InvalidConfiguration", `{"backend_type":"vault","skip_tls_verify":true}`},
		"file permissions":  {"InvalidConfiguration", `{"backend_type":"local","file_permissions":420}`},
		"no master key":     {"InvalidConfiguration", `{"backend_type":"local","key_dir":"/k"}`},
		"half a static key": {"InvalidConfiguration", `{"backend_type":"static","key_id":"k"}`},
		"token not sent on": {"InvalidConfiguration", `{"backend_type":"vault","address":"https://moved"}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, route := range []string{"configure", "reconfigure"} {
				if name == "neither form" && route == "reconfigure" {
					continue // there it changes what runs
				}
				if status, d := w.ask("POST kms/"+route, tt.body); status != 400 || d["code"] != tt.code {
					t.Errorf("%s: %d %v, want %s", route, status, d, tt.code)
				}
			}
		})
	}
	if s := w.keys.Status(); s.State != manager.Running || s.Instance != before.Instance || s.Config.Vault.Address != "https://vault" {
		t.Errorf("something was changed: %+v", s)
	}
}

// TestConfigureWithBackendType takes the form of S3: it is kept, and start starts it.
func TestConfigureWithBackendType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := `{"backend_type":"vault","address":"https://vault","auth_method":{"token":"hvs.canary"},"mount_path":"transit","kv_mount":"secret",
		"key_path_prefix":"rustfs/kms/keys","default_key_id":"rustfs-master","enable_cache":true,"max_cached_keys":7}`
	w.has(w.want(200, "POST kms/configure", body), map[string]any{"success": true, "status": "Configured"})
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "Configured", "healthy": nil})
	w.has(w.want(200, "POST kms/start", ""), map[string]any{"success": true, "status": "Running"})
	w.has(w.want(200, "POST kms/start", `{}`), map[string]any{"success": false, "status": "Running"})
	w.has(w.want(200, "POST kms/start", `{"force":true}`), map[string]any{"success": true, "status": "Running"})
	w.refused(400, "InvalidRequest", "POST kms/start", `{"hurry":true}`)
	w.want(200, "PUT kms/key/enable?keyName=rustfs-master", "")
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "Running", "backend": "vault", "healthy": true})

	w.has(w.want(200, "POST kms/reconfigure", `{"enable_cache":false,"cache_ttl_seconds":60}`), map[string]any{"success": true, "status": "Running"})
	s := w.keys.Status()
	if s.Config.EnableCache || s.Config.CacheTTL.Seconds() != 60 || s.Config.MaxCachedKeys != 7 || s.Config.DefaultKeyID != "rustfs-master" || !s.Config.Vault.HasCredentials {
		t.Errorf("merged configuration %+v", s.Config)
	}
	d := w.want(200, "GET kms/config", "")
	w.has(d, map[string]any{"backend": "VaultTransit", "cache_enabled": false, "cache_max_keys": 7, "cache_ttl_seconds": 60, "default_key_id": "rustfs-master"})
	w.has(d.sub("backend_summary"), map[string]any{"address": "https://vault", "auth_method_type": "token", "has_stored_credentials": true})

	w.want(200, "POST kms/reconfigure", `{"auth_method":{"Token":{"token":""}},"default_key_id":"rustfs-master"}`) // a blank token keeps the old one
	w.refused(400, "InvalidConfiguration", "POST kms/reconfigure", `{"address":"https://moved","auth_method":{"Token":{"token":""}}}`)
	w.has(w.want(200, "POST kms/stop", ""), map[string]any{"success": true, "status": "Configured"})
	if r := w.raw("GET kms/key/list", ""); r.Status != 503 || r.RetryAfter == 0 {
		t.Errorf("a stopped service answers %+v", r)
	}
	w.has(w.want(200, "POST kms/start", ""), map[string]any{"success": true, "status": "Running"})
}

func TestAuthMethods(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		`{"token":"hvs.canary"}`:                                       "token",
		`{"Token":{"token":"hvs.canary"}}`:                             "token",
		`{"AppRole":{"role_id":"r","secret_id":"canary"}}`:             "approle",
		`{"approle":{"role_id":"r","secret_id_file":"/f"}}`:            "approle",
		`{"Kubernetes":{"role":"r","refresh_safety_window_secs":5}}`:   "kubernetes",
		`{"TokenFile":{"path":"/f","poll_interval_secs":5}}`:           "token_file",
		`{"token_file":{"path":"/f","refresh_safety_window_secs":10}}`: "token_file",
	} {
		w := newWorld(t, nil)
		w.want(200, "POST kms/configure", `{"backend_type":"VaultTransit","address":"https://vault","auth_method":`+method+`}`)
		if s, _ := w.keys.Config(); s.Vault.AuthMethod != want {
			t.Errorf("%s: %+v", method, s.Vault)
		}
	}
}

func TestLocalMasterKeyGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *manager.Options, o *admin.Options) {
		o.LocalMasterKey, o.DefaultKeyID = value("canary-master"), "of-environment"
	})
	w.want(200, "POST kms/configure", `{"backend_type":"local","key_dir":"/srv/keys","default_key_id":"rustfs-master"}`)
	if s, _ := w.keys.Config(); s.Local == nil || !s.Local.HasMasterKey || s.Local.KeyDir != "/srv/keys" {
		t.Errorf("configuration %+v", s)
	}
	w.want(200, "POST kms/configure", `{"kms_type":"local"}`)
	if s, _ := w.keys.Config(); s.DefaultKeyID != "of-environment" {
		t.Errorf("configuration %+v", s)
	}
}

func TestClearCache(t *testing.T) {
	t.Parallel()
	revoked := 0
	w := newWorld(t, func(o *manager.Options, _ *admin.Options) { o.OnRevoke = func() { revoked++ } })
	w.has(w.want(200, "POST kms/clear-cache", ""), map[string]any{"status": "success", "revoked": false})
	w.refused(400, "InvalidRequest", "POST kms/clear-cache?revoke=perhaps", "")
	if revoked != 0 {
		t.Error("streams were ended")
	}
	w.has(w.want(200, "POST kms/clear-cache?revoke=true", ""), map[string]any{"revoked": true})
	if revoked != 1 {
		t.Error("streams were not ended")
	}
}

func TestRewrapBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/key/create?keyName=k", "")
	for _, key := range []string{"p/a", "p/b", "p/sub/c", "q"} {
		w.put("bucket1", key, "k")
	}
	run := func(body string) doc {
		return w.want(200, "POST kms/rewrap-bucket", `{"bucket":"bucket1"`+body+`}`)
	}
	w.has(run(""), map[string]any{"matched": 4, "rewrapped": 0, "failed": 0, "errors": []any{}, "shared_kek": false, "skipped": 4})
	w.want(200, "POST kms/key/rotate?keyName=k", "")
	w.has(run(`,"prefix":"p/","dry_run":true`), map[string]any{"matched": 3, "would_rewrap": 3, "errors": []any{}, "rewrapped": 0})
	w.has(run(`,"prefix":"p/","recursive":false,"max_objects":1,"unknown":1`), map[string]any{"rewrapped": 1, "keks": 1, "failed": 0})
	w.has(run(`,"prefix":"p/","recursive":false,"page_size":1`), map[string]any{"matched": 2, "rewrapped": 1, "keks": 1})
	w.has(run(``), map[string]any{"rewrapped": 2, "keks": 2, "shared_kek": false})
	entries := w.want(200, "GET kms/census?keyName=k", "").list("entries")
	if len(entries) != 1 {
		t.Fatalf("census %v", entries)
	}
	w.has(entries[0], map[string]any{"key_id": "k", "version": 2, "keks": 4, "objects": 4, "uploads": 0, "serving": true, "backend_type": "local"})
	for body, code := range map[string]string{
		`{}`: "InvalidRequest", `{"bucket":"bucket1","page_size":0}`: "InvalidRequest", `{"bucket":"bucket1","page_size":1001}`: "InvalidRequest",
		`{"bucket":"bucket1","max_objects":0}`: "InvalidRequest", `{"bucket":"absent"}`: "NoSuchBucket", `{"bucket":1}`: "InvalidRequest",
	} {
		w.refused(400, code, "POST kms/rewrap-bucket", body)
	}
}

// TestRewrapBucketErrors tells each object that failed, and goes on.
func TestRewrapBucketErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, id := range []string{"good", "lost"} {
		w.want(200, "POST kms/key/create?keyName="+id, "")
		w.put("bucket1", "of-"+id, id)
		w.want(200, "POST kms/key/rotate?keyName="+id, "")
	}
	w.want(200, "DELETE kms/keys/delete", `{"key_id":"lost","force":true,"confirm_key_id":"lost"}`)
	d := w.want(200, "POST kms/rewrap-bucket", `{"bucket":"bucket1"}`)
	w.has(d, map[string]any{"rewrapped": 1, "failed": 1})
	errs := d.list("errors")
	if len(errs) != 1 || errs[0]["key"] != "of-lost" || !strings.Contains(errs[0]["error"].(string), "key not found") {
		t.Errorf("errors %v", errs)
	}
}

// TestRewrapSharedKEK says when a KEK serves a whole bucket.
func TestRewrapSharedKEK(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.put("bucket1", "a", "")
	w.put("bucket1", "b", "")
	w.want(200, "POST kms/key/rotate?keyName="+builtinKey, "")
	w.has(w.want(200, "POST kms/rewrap-bucket", `{"bucket":"bucket1"}`), map[string]any{"rewrapped": 2, "keks": 1, "shared_kek": true})
}

// TestConfigTargets keeps Vaults as S0 has them.
func TestConfigTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := `{"endpoint":"https://vault","key_name":"rustfs-encryption-key","token":"hvs.canary","enabled":true}`
	w.refused(400, "InvalidConfiguration", "POST /minio/admin/v3/config/kms_vault/default", strings.Replace(body, "//vault", "//none", 1))
	w.refused(400, "InvalidConfiguration", "POST config/kms_vault/default", `{"endpoint":"https://vault"}`)
	w.refused(404, "NotFound", "GET config/kms_vault/default", "")
	w.has(w.want(200, "POST /minio/admin/v3/config/kms_vault/default", body), map[string]any{"success": true, "target": "default"})
	w.has(w.want(200, "GET config/kms_vault/default", ""), map[string]any{"enabled": true, "endpoint": "https://vault", "key_name": "rustfs-encryption-key", "token": "*redacted*"})
	w.want(200, "POST config/kms_vault/second", strings.Replace(body, "rustfs-encryption-key", "other", 1))
	d := w.want(200, "GET /minio/admin/v3/config", "")
	if targets := d.list("kms_vault"); len(targets) != 2 || targets[1]["target"] != "second" || targets[1]["enabled"] != false {
		t.Errorf("targets %v", targets)
	}
	w.want(200, "POST config/kms_vault_select/second", "")
	w.has(w.want(200, "GET config/kms_vault/default", ""), map[string]any{"key_name": "other"})
	w.refused(404, "NotFound", "POST config/kms_vault_select/none", "")
	w.want(200, "POST config/kms_vault/default", strings.Replace(body, "true", "false", 1))
	if s := w.keys.Status().State; s != manager.Configured {
		t.Errorf("state %v after the default target was disabled", s)
	}
}

// TestMinIO answers what mc reads.
func TestMinIO(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const door = "/minio/kms/v1/"
	if r := w.raw("GET "+door+"key/list?pattern=*", ""); strings.TrimSpace(string(r.Body)) != "[]" || r.Status != 200 {
		t.Errorf("empty list: %+v", r)
	}
	if r := w.raw("POST "+door+"key/create?key-id=my-key", ""); r.Status != 200 || len(r.Body) != 0 {
		t.Errorf("create: %+v", r)
	}
	w.refused(409, "kms:KeyAlreadyExists", "POST "+door+"key/create?key-id=my-key", "")
	w.refused(400, "InvalidRequest", "POST "+door+"key/create", "")
	if d := w.want(200, "GET "+door+"key/status?key-id=my-key", ""); len(d) != 1 || d["key-id"] != "my-key" {
		t.Errorf("status %v", d)
	}
	w.refused(404, "kms:KeyNotFound", "GET "+door+"key/status?key-id=none", "")
	if d := w.want(200, "GET "+door+"key/status?key-id=", ""); len(d) != 1 || d["key-id"] != manager.FallbackKeyID {
		t.Errorf("the default key, which is made when it is first looked at: %v", d)
	}
	w.want(200, "POST kms/keys/disable", `{"key_id":"my-key"}`)
	if d := w.want(200, "GET "+door+"key/status?key-id=my-key", ""); d["encryption-error"] == nil {
		t.Errorf("status of a disabled key %v", d)
	}
	w.want(200, "POST kms/key/create?keyName=other", "")
	if r := w.raw("GET "+door+"key/list?pattern=my*", ""); !strings.Contains(string(r.Body), `"name":"my-key"`) || strings.Contains(string(r.Body), "other") {
		t.Errorf("list: %s", r.Body)
	}
	w.has(w.want(200, "GET "+door+"status", ""), map[string]any{"name": "Local", "default-key-id": "rustfs-default-key", "endpoints": doc{"127.0.0.1": "online"}})
	w.has(w.want(200, "GET "+door+"version", ""), map[string]any{"version": "1.2.3"})
	w.put("one", "a", "")
	d := w.want(200, "GET /minio/admin/v3/info?metrics=false", "")
	w.has(d, map[string]any{"mode": "online", "buckets": doc{"count": 1}})
	if servers := d.list("servers"); len(servers) != 1 || servers[0]["state"] != "online" || servers[0]["uptime"].(float64) < 60 {
		t.Errorf("servers %v", servers)
	}
}

func TestNoRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, request := range []string{"GET kms", "GET kms/keys/", "GET kms/keys/a/b", "GET /minio/kms/v1/metrics", "GET /minio/kms/v1/kms/status", "GET kms/keys/%zz"} {
		w.refused(404, "NoSuchRoute", request, "")
	}
	if d := w.refused(405, "MethodNotAllowed", "DELETE kms/status", ""); !strings.Contains(d["description"].(string), "GET, POST") {
		t.Errorf("refusal %v", d)
	}
}

// TestObserve tells the audit of what was done and of what was refused.
func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/key/create?keyName=k", "")
	w.refused(404, "NotFound", "POST kms/keys/rotate", `{"key_id":"none"}`)
	r := w.api.Deny(t.Context(), &admin.Request{Method: "POST", Path: "/rustfs/admin/v3/kms/key/create", Caller: admin.Caller{Remote: "1.2.3.4:5"}}, "unsigned")
	if r.Status != 403 || !strings.Contains(string(r.Body), `"code":"AccessDenied"`) {
		t.Errorf("denied: %+v", r)
	}
	want := []admin.Event{
		{Op: "CreateKey", KeyID: "k", Caller: admin.Caller{AccessKey: "root", RequestID: "R1"}, Status: 200},
		{Op: "RotateKey", KeyID: "none", Caller: admin.Caller{AccessKey: "root", RequestID: "R1"}, Status: 404, Code: "NotFound"},
		{Op: "CreateKey", Caller: admin.Caller{Remote: "1.2.3.4:5"}, Status: 403, Code: "AccessDenied"},
	}
	if len(w.events) != len(want) {
		t.Fatalf("events %+v", w.events)
	}
	for i, e := range w.events {
		if e != want[i] {
			t.Errorf("event %+v, want %+v", e, want[i])
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := admin.New(admin.Options{DefaultKeyID: "\x00"})
	for _, part := range []string{"key manager", "engine", "control character"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name the %s", err, part)
		}
	}
}

// TestRemoveInstance forgets a backend when nothing needs it any more.
func TestRemoveInstance(t *testing.T) {
	t.Parallel()
	counts := manager.Counts{KEKs: 3, Objects: 2}
	w := newWorld(t, func(o *manager.Options, _ *admin.Options) {
		o.References = func(context.Context, kms.InstanceID) (manager.Counts, error) { return counts, nil }
	})
	w.want(200, "POST kms/configure", vaultBody(""))
	id := w.keys.Status().Instance.String()
	w.refused(400, "InvalidKeyState", "DELETE kms/instances/"+id, "")
	w.want(200, "POST kms/configure", `{"kms_type":"local"}`)
	w.has(w.refused(409, "BackendInUse", "DELETE kms/instances/"+id, "").sub("in_use"), map[string]any{"keks": 3, "objects": 2, "instance": id})
	counts = manager.Counts{}
	w.has(w.want(200, "DELETE kms/instances/"+id, ""), map[string]any{"success": true, "instance": id})
	w.refused(404, "NotFound", "DELETE kms/instances/"+id, "")
}

// TestStatusOfFailure names a backend that cannot be started.
func TestStatusOfFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *manager.Options, _ *admin.Options) {
		o.Given = &manager.Config{Type: manager.TypeVault, Vault: manager.Vault{Address: "https://none", Auth: manager.VaultAuth{Token: value(canary)}}}
	})
	for end := time.Now().Add(5 * time.Second); w.keys.Status().Failure == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the backend was not tried")
		}
	}
	d := w.want(200, "GET kms/status", "")
	w.has(d, map[string]any{"status": "Error", "backend_status": "error", "healthy": nil, "backend": "vault"})
	if d["failure"] == "" {
		t.Error("no reason is given")
	}
	if d := w.want(200, "GET kms/service-status", ""); d.sub("status")["Error"] == nil {
		t.Errorf("service status %v", d)
	}
}

// TestStatusWithoutKeys calls a backend available in which nobody has made a key yet: S2.
func TestStatusWithoutKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/configure", `{"kms_type":"vault","vault_address":"https://vault","vault_token":"`+canary+`"}`)
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "Degraded", "healthy": true, "backend_status": "healthy"})
	w.has(w.want(200, "GET kms/service-status", ""), map[string]any{"healthy": true})
	w.want(200, "POST kms/key/create?keyName=rustfs-default-key", "")
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "OK", "healthy": true})
}
