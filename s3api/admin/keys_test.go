package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
	"coffer/object"
	"coffer/s3api/admin"
)

// TestKeyRoutesOfDocuments walks through the life of a key as S1 and S2 describe it, on Local.
func TestKeyRoutesOfDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if d := w.want(200, "GET kms/key/list", ""); len(d.list("keys")) != 0 || d["keys"] == nil {
		t.Errorf("empty list: %v", d)
	}
	d := w.want(200, "POST kms/key/create?keyName=app-default&algorithm=AES-256", "")
	w.has(d, map[string]any{"key_id": "app-default", "key_name": "app-default", "status": "Active"})
	if _, err := time.Parse(time.RFC3339, d["created_at"].(string)); err != nil {
		t.Error(err)
	}
	w.refused(409, "KeyAlreadyExists", "POST kms/key/create?keyName=app-default", "")
	for _, name := range []string{"keyName", "key-id", "keyId", "key"} {
		w.has(w.want(200, "GET kms/key/status?"+name+"=app-default", ""), map[string]any{
			"key_id": "app-default", "key_name": "app-default", "key-id": "app-default", "status": "Active", "algorithm": "AES-256", "version": 1,
		})
	}
	w.refused(404, "NotFound", "GET kms/key/status?keyName=none", "")
	w.refused(400, "InvalidRequest", "GET kms/key/status", "")
	w.has(w.want(200, "PUT kms/key/disable?keyName=app-default", ""), map[string]any{"status": "Disabled"})
	w.refused(400, "KeyDisabled", "POST kms/key/rotate?keyName=app-default", "")
	w.has(w.want(200, "PUT kms/key/enable?keyName=app-default", ""), map[string]any{"status": "Active"})
	w.refused(404, "NotFound", "PUT kms/key/enable?keyName=none", "")
	w.has(w.want(200, "POST kms/key/rotate?keyName=app-default", ""), map[string]any{"version": 2, "key_id": "app-default"})
	keys := w.want(200, "GET /minio/admin/v3/kms/key/list", "").list("keys")
	if len(keys) != 1 {
		t.Fatalf("keys %v", keys)
	}
	w.has(keys[0], map[string]any{"key_id": "app-default", "algorithm": "AES-256", "status": "Active", "version": 2})
}

func TestCreateKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, algorithm := range []string{"AES-128", "RSA-2048", "RSA-4096"} {
		if d := w.refused(501, "NotImplemented", "POST kms/key/create?keyName=k&algorithm="+algorithm, ""); !strings.Contains(d["description"].(string), "AES-256") {
			t.Errorf("what can be made is not named: %v", d)
		}
	}
	w.refused(400, "InvalidRequest", "POST kms/key/create?keyName=k&algorithm=DES", "")
	w.refused(400, "InvalidRequest", "POST kms/key/create", "")
	w.refused(400, "InvalidRequest", "POST kms/key/create?keyName=", "")
	w.refused(400, "InvalidRequest", "POST kms/key/create", `{"keyName":`)
	w.has(w.want(200, "POST kms/key/create", `{"keyName":"of-body","algorithm":"AES-256"}`), map[string]any{"key_id": "of-body"})
	w.has(w.want(200, "POST kms/create-key", `{"tags":{"name":"of-tag"}}`), map[string]any{"key_id": "of-tag"})
	if d := w.want(200, "POST kms/key/create", `{}`); len(d["key_id"].(string)) != 36 {
		t.Errorf("a key without a name: %v", d)
	}
	d := w.want(200, "POST kms/keys", `{"key_usage":"EncryptDecrypt","description":"d","tags":{"name":"tagged","team":"a"}}`)
	w.has(d, map[string]any{"success": true, "key_id": "tagged"})
	w.has(d.sub("key_metadata"), map[string]any{"key_state": "Enabled", "description": "d", "key_manager": "CUSTOMER", "deletion_date": nil})
	w.has(d.sub("key_metadata").sub("tags"), map[string]any{"team": "a"})
	w.refused(400, "InvalidRequest", "POST kms/keys", `{"colour":"red"}`)
	d = w.want(200, "POST kms/keys", `{"key_name":null,"key_usage":"EncryptDecrypt","description":"project-alpha","tags":{},"origin":null,"policy":null}`) // of S4
	w.has(d.sub("key_metadata"), map[string]any{"description": "project-alpha", "key_usage": "EncryptDecrypt", "tags": doc{}, "origin": "COFFER_LOCAL"})
	w.has(w.want(200, "POST kms/keys", `{"key_name":"of-s4","origin":"elsewhere"}`).sub("key_metadata"), map[string]any{"key_id": "of-s4", "origin": "elsewhere"})
	w.refused(501, "NotImplemented", "POST kms/keys", `{"policy":{"Version":"2012-10-17"}}`)
	w.refused(501, "NotImplemented", "POST kms/keys", `{"key_usage":"SignVerify"}`)
	w.want(200, "POST kms/keys", "")
}

// TestKeyOnTransit shows what S2 wants where a backend knows no disabled keys.
func TestKeyOnTransit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/configure", vaultBody(""))
	w.has(w.want(200, "PUT kms/key/enable?keyName=fresh", ""), map[string]any{"key_id": "fresh", "status": "Active"})
	w.refused(501, "NotImplemented", "PUT kms/key/disable?keyName=fresh", "")
	w.has(w.want(200, "GET kms/key/status?keyName=fresh", ""), map[string]any{"status": "Active"})
	w.has(w.want(200, "POST kms/keys/disable", `{"key_id":"fresh"}`).sub("key_metadata"), map[string]any{"key_state": "Disabled"})
	w.has(w.want(200, "PUT kms/key/enable?keyName=fresh", ""), map[string]any{"status": "Active"})
	w.vault.SetRule(func(_ context.Context, _ kmstest.Op, _ string) error { return kms.Denied })
	w.refused(403, "AccessDenied", "GET kms/key/status?keyName=fresh", "")
}

func TestKeysFamily(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, id := range []string{"a", "b", "c/d"} {
		w.want(200, "POST kms/key/create?keyName="+id, "")
	}
	d := w.want(200, "GET kms/keys?limit=2", "")
	w.has(d, map[string]any{"success": true, "truncated": true, "next_marker": "b"})
	d = w.want(200, "GET kms/keys?limit=2&marker=b", "")
	if keys := d.list("keys"); len(keys) != 1 || keys[0]["key_id"] != "c/d" || d["truncated"] != false || d["next_marker"] != nil {
		t.Errorf("second page: %v", d)
	}
	w.has(w.want(200, "GET kms/keys?limit=0", ""), map[string]any{"truncated": false, "keys": []any{}})
	w.want(200, "GET kms/keys?limit=99999999999999999999999", "")
	for _, query := range []string{"limit=abc", "limit=-1", "limit=", "status=odd", "usage=odd"} {
		w.refused(400, "InvalidRequest", "GET kms/keys?"+query, "")
	}
	w.has(w.want(200, "GET kms/keys/c%2Fd", "").sub("key_metadata"), map[string]any{"key_id": "c/d", "key_state": "Enabled"})
	w.refused(404, "NotFound", "GET kms/keys/none", "")
	w.refused(400, "InvalidRequest", "GET kms/keys/a?impact=perhaps", "")
	w.has(w.want(200, "GET kms/keys/a?impact=true", "").sub("impact"), map[string]any{"objects": 0, "keks": 0})

	w.want(200, "POST kms/keys/disable", `{"key_id":"a"}`)
	if keys := w.want(200, "GET kms/keys?status=dis_abled", "").list("keys"); len(keys) != 1 || keys[0]["key_id"] != "a" {
		t.Errorf("disabled keys: %v", keys)
	}
	w.want(200, "POST kms/keys/enable?keyId=a", "")
	w.has(w.want(200, "POST kms/keys/rotate", `{"key_id":"a"}`).sub("key_metadata"), map[string]any{"version": 2})
	w.has(w.want(200, "POST kms/keys/update-description", `{"key_id":"a","description":"x"}`).sub("key_metadata"), map[string]any{"description": "x"})
	w.refused(400, "InvalidRequest", "POST kms/keys/update-description", `{"key_id":"a"}`)
	w.refused(400, "InvalidRequest", "POST kms/keys/update-description?keyId=a", "")
	w.has(w.want(200, "POST kms/keys/tag", `{"key_id":"a","tags":{"x":"1","y":"2"}}`).sub("key_metadata").sub("tags"), map[string]any{"x": "1", "y": "2"})
	w.refused(400, "InvalidRequest", "POST kms/keys/tag", `{"key_id":"a","tags":{"name":"b"}}`)
	if tags := w.want(200, "POST kms/keys/untag", `{"key_id":"a","tag_keys":["x","none"]}`).sub("key_metadata").sub("tags"); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
	w.refused(400, "InvalidRequest", "POST kms/keys/untag", `{"key_id":"a","tag_keys":["name"]}`)
	w.has(w.want(200, "POST kms/keys/max-age", `{"key_id":"a","max_age_seconds":3600}`).sub("key_metadata"), map[string]any{"max_age_seconds": 3600, "rotation_due": false})
	w.refused(400, "InvalidRequest", "POST kms/keys/enable", `{"key_id":"a","extra":1}`)
}

// TestMaxAgeOfAllKeys shows the age that is set for all keys with those that have none of their own.
func TestMaxAgeOfAllKeys(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(m *manager.Options, o *admin.Options) {
		m.KeyMaxAge = time.Hour
		o.Now = func() time.Time { return now.Add(2 * time.Hour) }
	})
	w.want(200, "POST kms/key/create?keyName=a", "")
	w.has(w.want(200, "POST kms/keys/max-age", `{"key_id":"a","max_age_seconds":86400}`).sub("key_metadata"), map[string]any{"max_age_seconds": 86400, "rotation_due": false})
	w.has(w.want(200, "POST kms/keys", `{"key_name":"b"}`).sub("key_metadata"), map[string]any{"max_age_seconds": 3600, "rotation_due": true})
	for _, key := range w.want(200, "GET kms/keys", "").list("keys") {
		w.has(key, map[string]any{"rotation_due": key["key_id"] == "b"})
	}
}

func TestDeleteKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/key/create?keyName=k", "")
	for _, query := range []string{"&pending_window_in_days=6", "&pending_window_in_days=31", "&days=x", "&force=true", "&confirm_key_id=k", "&force_immediate=true"} {
		w.refused(400, "InvalidRequest", "DELETE kms/keys/delete?keyId=k"+query, "")
	}
	w.refused(404, "NotFound", "DELETE kms/keys/delete", `{"key_id":"none"}`)
	d := w.want(200, "DELETE kms/keys/delete", `{"key_id":"k","pending_window_in_days":7}`)
	at, err := time.Parse(time.RFC3339, d["deletion_date"].(string))
	if left := time.Until(at); err != nil || left < 7*24*time.Hour-time.Minute || left > 7*24*time.Hour+time.Minute {
		t.Errorf("deletion %v: %v", d, err)
	}
	w.refused(400, "InvalidKeyState", "DELETE kms/keys/delete", `{"key_id":"k"}`)
	w.has(w.want(200, "POST kms/keys/cancel-deletion", `{"key_id":"k"}`).sub("key_metadata"), map[string]any{"key_state": "Enabled"})
	w.refused(400, "InvalidKeyState", "POST kms/keys/cancel-deletion?keyId=k", "")
	w.refused(400, "InvalidRequest", "DELETE kms/keys/delete", `{"key_id":"k","force_immediate":true,"confirm_key_id":"other"}`)
	d = w.want(200, "DELETE kms/keys/delete", `{"key_id":"k","force_immediate":true,"confirm_key_id":"k"}`)
	w.has(d.sub("receipt"), map[string]any{"key_id": "k", "objects": 0, "requested_by": "root", "request_id": "R1"})
	w.refused(404, "NotFound", "GET kms/key/status?keyName=k", "")
}

// TestDeleteKeyInUse shows that what needs a key keeps it, unless the caller insists; then the objects are gone.
func TestDeleteKeyInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, id := range []string{"k", "default-of-bucket"} {
		w.want(200, "POST kms/key/create?keyName="+id, "")
	}
	w.put("one", "a", "k")
	w.put("one", "b", "k")
	err := w.store.SetBucketEncryption(t.Context(), "one", object.BucketEncryption{Mode: cipher.ModeSSEKMS, KeyID: "default-of-bucket"})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"key_id":"k"}`, `{"key_id":"k","force_immediate":true,"confirm_key_id":"k"}`} {
		w.has(w.refused(409, "KeyInUse", "DELETE kms/keys/delete", body).sub("in_use"), map[string]any{"keks": 2, "objects": 2, "uploads": 0, "bucket_defaults": []string{}})
	}
	w.has(w.refused(409, "KeyInUse", "DELETE kms/key/delete?keyName=default-of-bucket", "").sub("in_use"), map[string]any{"objects": 0, "bucket_defaults": []string{"one"}})
	w.has(w.want(200, "GET kms/key/status?keyName=k", ""), map[string]any{"status": "Active"})
	w.refused(400, "InvalidRequest", "DELETE kms/keys/delete", `{"key_id":"k","force":true}`)
	if _, err := w.store.Get(t.Context(), object.GetRequest{Bucket: "one", Key: "a"}); err != nil {
		t.Fatal(err)
	}
	d := w.want(200, "DELETE kms/keys/delete", `{"key_id":"k","force":true,"confirm_key_id":"k"}`)
	w.has(d.sub("receipt"), map[string]any{"key_id": "k", "keks": 2, "objects": 2})
	if _, err := w.store.Get(t.Context(), object.GetRequest{Bucket: "one", Key: "a"}); err == nil {
		t.Error("the object still reads")
	}
}

// late is an engine in which an object comes to need a key between the first count and the second.
type late struct {
	*object.Store
	counts int
}

// Dependents implements admin.Counter.
func (l *late) Dependents(context.Context, kms.KeyRef) (object.Dependents, error) {
	l.counts++
	if l.counts < 2 {
		return object.Dependents{}, nil
	}
	return object.Dependents{KEKs: 1, Objects: 1}, nil
}

// TestDeleteKeyRace keeps a key that came into use while its deletion was decided.
func TestDeleteKeyRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/key/create?keyName=k", "")
	l := &late{Store: w.store}
	api, err := admin.New(admin.Options{Keys: w.keys, Engine: l})
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	w.refused(409, "KeyInUse", "DELETE kms/keys/delete", `{"key_id":"k","force_immediate":true,"confirm_key_id":"k"}`)
	w.has(w.want(200, "GET kms/key/status?keyName=k", ""), map[string]any{"status": "Active"})

	// Who insists is told of it in the receipt, and finds the key as it was where it cannot be destroyed.
	w.want(200, "POST kms/configure", vaultBody(""))
	w.want(200, "POST kms/key/create?keyName=k", "")
	w.vault.SetRule(func(_ context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpDestroyKey {
			return kms.Denied
		}
		return nil
	})
	w.refused(403, "AccessDenied", "DELETE kms/keys/delete", `{"key_id":"k","force":true,"confirm_key_id":"k"}`)
	w.has(w.want(200, "GET kms/key/status?keyName=k", ""), map[string]any{"status": "Active"})
	w.vault.SetRule(nil)
	l.counts = 0
	d := w.want(200, "DELETE kms/keys/delete", `{"key_id":"k","force":true,"confirm_key_id":"k"}`)
	w.has(d.sub("receipt"), map[string]any{"key_id": "k", "keks": 1, "objects": 1})
}

func TestDataKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/key/create?keyName=k", "")
	d := w.want(200, "POST kms/generate-data-key", `{"key_id":"k","key_spec":"AES_256","encryption_context":{"a":"b"}}`)
	if len(d["plaintext_key"].(string)) != 44 || d["ciphertext_blob"] == "" {
		t.Errorf("data key %v", d)
	}
	again := w.want(200, "POST kms/rewrap", mustJSON(t, doc{"ciphertext_b64": d["ciphertext_blob"], "context": doc{"a": "b"}}))
	w.has(again, map[string]any{"ciphertext_b64": d["ciphertext_blob"], "key_version": 1})
	w.want(200, "POST kms/key/rotate?keyName=k", "")
	w.has(w.want(200, "POST kms/rewrap", mustJSON(t, doc{"ciphertext_b64": d["ciphertext_blob"], "context": doc{"a": "b"}})), map[string]any{"key_version": 2, "key_id": "k"})
	w.refused(400, "InvalidCiphertext", "POST kms/rewrap", mustJSON(t, doc{"ciphertext_b64": d["ciphertext_blob"], "context": doc{"a": "c"}}))
	w.refused(400, "InvalidBase64", "POST kms/rewrap", `{"ciphertext_b64":"%"}`)
	w.refused(400, "InvalidBase64", "POST kms/rewrap", `{}`)
	w.refused(400, "InvalidRequest", "POST kms/rewrap", `{"ciphertext_b64":"AAAA"}`)
	w.refused(400, "InvalidRequest", "POST kms/rewrap", `{`)
	w.refused(501, "NotImplemented", "POST kms/keys/generate-data-key", `{"key_id":"k","key_spec":"Aes128"}`)
	w.refused(404, "NotFound", "POST kms/generate-data-key", `{"key_id":"none"}`)
}

// TestNotConfigured never answers 503, which clients would repeat.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *manager.Options, _ *admin.Options) { m.NoStandIn = true })
	w.refused(501, "KMSNotConfigured", "GET kms/key/list", "")
	w.refused(501, "NotImplemented", "GET /minio/kms/v1/key/list?pattern=*", "")
	w.refused(501, "NotImplemented", "GET /minio/kms/v1/status", "")
	w.refused(501, "KMSNotConfigured", "GET kms/config", "")
	w.has(w.want(200, "GET kms/status", ""), map[string]any{"status": "NotConfigured", "healthy": nil})
	if r := w.raw("GET kms/key/list", ""); r.RetryAfter != 0 || r.Status != http.StatusNotImplemented {
		t.Errorf("answer %+v", r)
	}
}
