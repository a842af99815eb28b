package admin_test

import (
	"context"
	"testing"
	"time"

	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
	"coffer/s3api/admin"
)

// lastVault lets a test see what the factory of Vault was given.
func lastVault(into *manager.Config) func(*manager.Options, *admin.Options) {
	return func(o *manager.Options, _ *admin.Options) {
		build := o.Factories[manager.TypeVault]
		o.Factories[manager.TypeVault] = func(ctx context.Context, c manager.Config, id kms.InstanceID) (manager.Service, error) {
			*into = c
			return build(ctx, c, id)
		}
	}
}

// TestConfigureKMSTypeAuth chooses the login as S2 says, and takes the fields as S2 names them.
func TestConfigureKMSTypeAuth(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ fields, method string }{
		"token":                   {`"vault_token":"hvs.canary"`, manager.AuthToken},
		"AppRole":                 {`"vault_app_role_id":"r","vault_app_role_secret_id":"canary"`, manager.AuthAppRole},
		"AppRole before token":    {`"vault_token":"hvs.canary","vault_app_role_id":"r","vault_app_role_secret_id":"canary"`, manager.AuthAppRole},
		"half an AppRole, token":  {`"vault_token":"hvs.canary","vault_app_role_id":"r"`, manager.AuthToken},
		"other half, and a token": {`"vault_token":"hvs.canary","vault_app_role_secret_id":"canary"`, manager.AuthToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got manager.Config
			w := newWorld(t, lastVault(&got))
			w.want(200, "POST kms/configure", `{"kms_type":"vault","vault_address":"https://vault","vault_namespace":"team","vault_mount_path":"custom-transit",
				"vault_timeout_seconds":9,"default_key_id":"app-default",`+tt.fields+`}`)
			v := got.Vault
			if v.Auth.Method != tt.method || v.Namespace != "team" || v.Mount != "custom-transit" || got.Timeout != 9*time.Second || got.DefaultKeyID != "app-default" {
				t.Errorf("configuration %v", got)
			}
			if (tt.method == manager.AuthAppRole) != (v.Auth.RoleID == "r" && string(v.Auth.SecretID.Expose()) == "canary") {
				t.Errorf("login %v", got)
			}
		})
	}
}

// TestConfigureOfS4 takes every field of the request that S4 shows.
func TestConfigureOfS4(t *testing.T) {
	t.Parallel()
	var got manager.Config
	w := newWorld(t, lastVault(&got))
	w.want(200, "POST kms/configure", `{"backend_type":"vault","address":"https://vault","auth_method":{"Token":{"token":"hvs.canary"}},"namespace":null,
		"mount_path":"transit","kv_mount":"secret","key_path_prefix":"rustfs/kms/keys","default_key_id":"rustfs-master","skip_tls_verify":false,
		"timeout_seconds":30,"retry_attempts":5,"enable_cache":true,"max_cached_keys":2048,"cache_ttl_seconds":600}`)
	w.want(200, "POST kms/start", "")
	v := got.Vault
	if v.Mount != "transit" || v.KVMount != "secret" || v.KeyPathPrefix != "rustfs/kms/keys" || v.Namespace != "" || v.DangerSkipVerify || string(v.Auth.Token.Expose()) != canary {
		t.Errorf("Vault %v", got)
	}
	if got.DefaultKeyID != "rustfs-master" || got.Timeout != 30*time.Second || got.RetryAttempts != 5 || got.NoCache || got.MaxCachedKeys != 2048 || got.CacheTTL != 600*time.Second {
		t.Errorf("configuration %v", got)
	}
	w.has(w.want(200, "GET kms/status", "").sub("config_summary"), map[string]any{"timeout_seconds": 30, "retry_attempts": 5, "max_cached_keys": 2048, "cache_ttl_seconds": 600})
}

// TestStatusHasEveryField looks for the fields of all generations of clients, whatever is configured and however it fares.
func TestStatusHasEveryField(t *testing.T) {
	t.Parallel()
	all := []string{
		"status", "backend", "healthy", "details", // S2
		"backend_type", "config_summary", // S3
		"backend_status", "cache_enabled", "cache_stats", "default_key_id", "capabilities", // today's RustFS
	}
	look := func(t *testing.T, w *world) {
		t.Helper()
		d := w.want(200, "GET kms/status", "")
		wantFields(t, d, all...)
		wantFields(t, d.sub("details"), "engine_type", "mount_path", "namespace", "endpoint", "version")
		wantFields(t, d.sub("config_summary"), "backend_type", "default_key_id", "timeout_seconds", "retry_attempts", "enable_cache", "max_cached_keys",
			"cache_ttl_seconds", "cache_summary", "backend_summary")
		wantFields(t, w.want(200, "GET kms/service-status", ""), "status", "backend_type", "healthy", "config_summary")
	}
	none := newWorld(t, func(o *manager.Options, _ *admin.Options) { o.NoStandIn = true })
	look(t, none)
	w := newWorld(t, nil)
	look(t, w)
	for _, body := range []string{
		`{"kms_type":"local"}`, vaultBody(""), `{"backend_type":"local"}`,
		`{"backend_type":"vault","address":"https://vault","auth_method":{"token":"hvs.canary"},"enable_cache":false}`,
	} {
		w.want(200, "POST kms/configure", body)
		look(t, w)
	}
	w.want(200, "POST kms/stop", "")
	look(t, w)
}

func wantFields(t *testing.T, d doc, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, is := d[name]; !is {
			t.Errorf("there is no %s in %v", name, d)
		}
	}
}

// TestStatusOfSealedVault tells a backend that cannot serve from one that cannot prove that it does.
func TestStatusOfSealedVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/configure", vaultBody(""))
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "OK", "healthy": true})
	w.vault.SetRule(func(_ context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpUnwrap {
			return kms.Denied
		}
		return nil
	})
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "Degraded", "healthy": false, "backend_status": "unhealthy", "state": "Running"})
	w.vault.SetRule(func(context.Context, kmstest.Op, string) error { return kms.Unavailable })
	d := w.want(200, "GET kms/status", "")
	w.has(d, map[string]any{"status": "Failed", "healthy": false, "state": "Running"})
	w.has(d.sub("probe"), map[string]any{"reachable": false, "proven": false})
	w.vault.SetRule(nil)
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "OK", "healthy": true})
}
