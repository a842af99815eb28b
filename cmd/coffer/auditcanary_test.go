package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"coffer/kms/vault/vaulttest"
	"coffer/test/canary"
)

// Strings that must not be in the audit log.
const (
	canaryUnlock   = "canary-unlock-secret"
	canaryCustomer = "canary-customer-key-of-32-bytes!"
	canaryOther    = "canary-another-key-of-32-bytes!!"
	canaryContext  = "canary-context-value"
	canaryName     = "canary-object-name"
	canaryURL      = "canary-key-of-32-bytes-in-a-url!"
	canaryBody     = "canary-body-of-an-object"
	canaryToken    = "hvs.canary-of-a-wrong-token"
)

// TestAuditHoldsNoSecret has everything happen that lines are written of, with every secret that there is, over a Vault that
// fails and repeats what it was sent. Nothing of it is in the log.
func TestAuditHoldsNoSecret(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t, vaulttest.Options{})
	proxy := vaulttest.NewProxy(t, v)
	mount, kv := v.Transit(t), v.KV(t)
	token := v.Token(t, vaulttest.Token{Policies: []string{v.Policy(t, vaulttest.AdminPolicy(mount, kv, "rustfs/kms/keys"))}})
	r := inhabit(t, t.TempDir(), "COFFER_UNLOCK_KEY="+canaryUnlock, "COFFER_KMS_TYPE=vault", "COFFER_KMS_VAULT_ADDRESS="+proxy.Address,
		"COFFER_KMS_VAULT_TOKEN="+token, "COFFER_KMS_VAULT_MOUNT_PATH="+mount, "COFFER_KMS_VAULT_KV_MOUNT="+kv, "COFFER_KMS_DEFAULT_KEY_ID=app")
	r.awaitKMS()
	dataKey := r.canaryWork("works", 200)
	for name, fault := range map[string]vaulttest.Fault{
		"repeats": vaulttest.Echo, "denies": vaulttest.Status(403, "denied for "+canaryName), "is cut": vaulttest.Cut, "is cut short": vaulttest.CutShort,
	} {
		proxy.SetFault(fault)
		r.do(message{method: "POST", target: "/rustfs/admin/v3/kms/clear-cache"})
		r.canaryWork(name, 0)
	}
	proxy.SetFault(nil)
	if n := len(r.since()); n < 60 {
		t.Errorf("%d lines: too little happened", n)
	}
	needles := []string{
		testPassword, canaryUnlock, token, canaryToken, canaryCustomer, canaryOther, canaryContext, canaryName, canaryURL, canaryBody, dataKey,
		base64.StdEncoding.EncodeToString([]byte(canaryCustomer)), customerFields("", canaryCustomer)["X-Amz-Server-Side-Encryption-Customer-Key-Md5"],
	}
	found, err := canary.Scan(r.cfg.Audit.Dir, needles)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("%q lies as %s in %s at %d", f.Needle, f.Encoding, f.File, f.Offset)
	}
	if found, err := canary.Scan(r.cfg.Audit.Dir, []string{"canary-bucket-in-clear"}); err != nil || len(found) == 0 {
		t.Errorf("the search finds nothing at all: %v", err)
	}
}

// canaryWork asks for all that there is, and wants a status, where it is not 0, of what should succeed. It returns a data key.
func (r *residence) canaryWork(suffix string, want int) string {
	r.t.Helper()
	const bucket, sse = "/canary-bucket-in-clear", "X-Amz-Server-Side-Encryption"
	suffix = strings.ReplaceAll(suffix, " ", "-")
	context := base64.StdEncoding.EncodeToString([]byte(`{"` + canaryContext + `":"` + canaryContext + `"}`))
	do := func(status int, m message) reply {
		r.t.Helper()
		got := r.do(m)
		if want != 0 && got.status != status {
			r.t.Fatalf("%s %s: status %d: %s", m.method, m.target, got.status, got.body)
		}
		return got
	}
	put := func(name string, header map[string]string) {
		r.t.Helper()
		target := bucket + "/" + canaryName + name
		do(200, message{method: "PUT", target: target + suffix, body: []byte(canaryBody), header: header})
		read := map[string]string{}
		for field, value := range header {
			if strings.Contains(field, "Customer") {
				read[field] = value
			}
		}
		for _, method := range []string{"GET", "HEAD"} {
			do(200, message{method: method, target: target + suffix, header: read})
			r.do(message{method: method, target: target + "works", header: read}) // cold, and perhaps failing
		}
	}
	if want != 0 {
		do(200, message{method: "PUT", target: bucket})
	}
	put("s3", nil)
	put("own", map[string]string{sse: "aws:kms", sse + "-Context": context})
	put("shared", map[string]string{sse: "aws:kms", sse + "-Context": context, sse + "-Bucket-Key-Enabled": "true"})
	put("customer", customerFields("", canaryCustomer))
	for _, m := range []message{
		{method: "GET", target: bucket + "/" + canaryName + "customer" + suffix, header: customerFields("", canaryOther)},
		{method: "GET", target: bucket + "/" + canaryName + "own" + suffix + "?X-Amz-Server-Side-Encryption-Customer-Key=" + canaryURL},
		{method: "PUT", target: bucket + "/" + canaryName, header: map[string]string{sse: "aws:kms", sse + "-Context": "{" + canaryContext}},
		{method: "POST", target: "/rustfs/admin/v3/kms/configure", body: []byte(`{"kms_type":"vault","vault_address":"http://127.0.0.1:1","vault_token":"` + canaryToken + `"}`)},
		{method: "POST", target: "/rustfs/admin/v3/config/kms_vault/other", body: []byte(`{"endpoint":"http://127.0.0.1:1","token":"` + canaryToken + `"}`)},
		{method: "POST", target: "/rustfs/admin/v3/kms/configure", body: []byte(`{"` + canaryToken), secret: canaryToken},
		{method: "POST", target: "/rustfs/admin/v3/kms/rewrap-bucket", body: []byte(`{"bucket":"canary-bucket-in-clear","prefix":"` + canaryName + `"}`)},
		{method: "POST", target: "/rustfs/admin/v3/kms/key/rotate?keyName=app"},
		{method: "GET", target: "/minio/kms/v1/key/status?key-id=app"},
	} {
		r.do(m)
	}
	got := do(200, message{method: "POST", target: "/rustfs/admin/v3/kms/generate-data-key", body: []byte(`{"key_id":"app","encryption_context":{"a":"` + canaryContext + `"}}`)})
	var doc struct {
		Plaintext string `json:"plaintext_key"`
	}
	if err := json.Unmarshal(got.body, &doc); err != nil {
		r.t.Fatalf("%s: %v", got.body, err)
	}
	return doc.Plaintext
}
