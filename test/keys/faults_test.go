package keys

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
	"coffer/test/canary"
)

// attempt is the text of everything that is written while Vault fails. None of it
// may be found afterwards.
const attempt = "canary-attempt-tern"

// faultSite is a server with objects whose Vault is about to fail.
type faultSite struct {
	*site
	proxy *vaulttest.Proxy
	mount string
	large string
	used  int // keys given to attempts
}

// faulty is a way to fail, and what S3 clients get then.
type faulty struct {
	name   string
	fault  vaulttest.Fault
	status int // 0: any of the server's failures
	code   string
}

// is reports whether an answer is the one.
func (tt faulty) is(a answer) bool {
	if tt.status == 0 {
		return a.err == nil && a.status/100 == 5
	}
	return a.err == nil && a.status == tt.status && a.code() == tt.code
}

// TestFaults fails in every way between a server and its Vault. Clients get the
// answer that says what to do, within the bound; nothing is stored, nothing is lost,
// and everything works again by itself.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := newFaultSite(t)
	nonsense := func(w http.ResponseWriter, _ *http.Request) bool {
		_, err := io.WriteString(w, "<html>"+attempt+"</html>")
		return err == nil
	}
	for _, tt := range []faulty{
		{"403", vaulttest.Status(403, "permission denied"), 403, "AccessDenied"},
		{"429", vaulttest.Status(429, "rate limit quota exceeded"), 503, "SlowDown"},
		{"slow", vaulttest.Slow(time.Hour), 503, "KMS.Unavailable"},
		{"472", vaulttest.Status(472), 503, "KMS.Unavailable"},
		{"473", vaulttest.Status(473), 503, "KMS.Unavailable"},
		{"500", vaulttest.Status(500, "internal error"), 503, "KMS.Unavailable"},
		{"sealed", vaulttest.Status(503, "Vault is sealed"), 503, "KMS.Unavailable"},
		{"cut", vaulttest.Cut, 503, "KMS.Unavailable"},
		{"cut short", vaulttest.CutShort, 503, "KMS.Unavailable"},
		{"an answer of something else", nonsense, 0, ""}, // 500, until the circuit opens
	} {
		f.suffer(tt)
	}
	f.loseKey()
	f.loseMount()
	f.stop()
	found, err := canary.Scan(filepath.Join(f.dir, "data"), []string{attempt, "canary-stored-wren"})
	if err != nil || len(found) != 0 {
		t.Errorf("at rest: %+v, %v", found, err)
	}
}

func newFaultSite(t *testing.T) *faultSite {
	t.Helper()
	mount, token := setUp(t, "app-default", "other", "gone")
	f := &faultSite{proxy: vaulttest.NewProxy(t, vault), mount: mount, large: strings.Repeat("canary-stored-wren ", 40_000)}
	f.site = newSite(t, nil, "--kms-probe-interval-secs", "0")
	f.admin("POST", "kms/configure", toJSON(map[string]any{
		"kms_type": "vault", "vault_address": f.proxy.Address, "vault_token": token, "vault_mount_path": mount,
		"default_key_id": "app-default", "vault_timeout_seconds": 2,
	}))
	f.must(request{method: "PUT", target: "/bucket"})
	f.put("/bucket/small", "canary-stored-wren", kmsMode(""))
	f.put("/bucket/large", f.large, kmsMode(""))
	f.put("/bucket/shared", f.large, with(kmsMode("other"), fields{"x-amz-server-side-encryption-bucket-key-enabled": "true"}))
	f.put("/bucket/gone", "canary-stored-wren", kmsMode("gone"))
	f.put("/bucket/plain", "canary-stored-wren", nil)
	return f
}

// next is a key that was never used.
func (f *faultSite) next() string {
	f.used++
	return fmt.Sprintf("/bucket/attempt-%d", f.used)
}

// suffer works while Vault fails, and afterwards.
func (f *faultSite) suffer(tt faulty) {
	f.t.Helper()
	upload := f.begin("/bucket/upload")
	f.clearCache()
	stream := f.open("/bucket/large") // its data key is there
	f.clearCache()
	f.proxy.SetFault(tt.fault)
	f.fails(tt, request{method: "PUT", target: f.next(), body: attempt, header: kmsMode("other")})
	f.fails(tt, request{method: "PUT", target: f.next(), body: strings.Repeat(attempt, 20_000), header: kmsMode("")})
	f.fails(tt, request{method: "PUT", target: "/bucket/small", body: attempt, header: kmsMode("")})
	f.fails(tt, request{method: "POST", target: f.next() + "?uploads=", header: kmsMode("")})
	f.fails(tt, request{method: "PUT", target: "/bucket/upload?partNumber=1&uploadId=" + upload, body: attempt})
	f.fails(tt, request{method: "PUT", target: f.next(), header: with(kmsMode("other"), fields{"x-amz-copy-source": "/bucket/large"})})
	f.fails(tt, request{method: "PUT", target: f.next(), header: fields{"x-amz-copy-source": "/bucket/large"}})
	f.fails(tt, request{method: "GET", target: "/bucket/large"})
	f.fails(tt, request{method: "GET", target: "/bucket/large", header: fields{"Range": "bytes=70000-70009"}})
	f.fails(tt, request{method: "GET", target: "/bucket/shared"})
	f.wantBody("/bucket/plain", "canary-stored-wren")
	f.must(request{method: "GET", target: "/bucket?list-type=2"})
	f.must(request{method: "HEAD", target: "/bucket/large"})
	f.fails(tt, request{method: "PUT", target: "/bucket?encryption=", body: encryptionRule})
	if rest, err := io.ReadAll(stream); err != nil || string(rest) != f.large {
		f.t.Errorf("%s: a stream that was open gave %d bytes of %d, %v", tt.name, len(rest), len(f.large), err)
	}
	f.proxy.SetFault(nil)
	f.afterwards(tt.name, upload)
}

const encryptionRule = `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>` +
	`<KMSMasterKeyID>other</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`

// fails checks one answer, how soon it came and that it repeats nothing.
func (f *faultSite) fails(tt faulty, r request) {
	f.t.Helper()
	a := f.do(f.t.Context(), r)
	switch {
	case !tt.is(a):
		f.t.Errorf("%s: %s %s: %v, want %d %s", tt.name, r.method, r.target, a, tt.status, tt.code)
	case a.took > coldLimit+grace:
		f.t.Errorf("%s: %s %s: answered after %v", tt.name, r.method, r.target, a.took)
	case (a.header.Get("Retry-After") != "") != (a.status == 503):
		f.t.Errorf("%s: %s %s: Retry-After %q", tt.name, r.method, r.target, a.header.Get("Retry-After"))
	case strings.Contains(a.body, attempt):
		f.t.Errorf("%s: %s %s: the answer repeats what another server said: %v", tt.name, r.method, r.target, a)
	}
}

// afterwards finds everything as it was, and finishes what was begun.
func (f *faultSite) afterwards(name, upload string) {
	f.t.Helper()
	f.await("/bucket/large", f.large)
	f.await("/bucket/shared", f.large)
	f.wantBody("/bucket/small", "canary-stored-wren")
	for i := range f.used {
		f.wantError(request{method: "HEAD", target: fmt.Sprintf("/bucket/attempt-%d", i+1)}, 404, "")
	}
	if a := f.must(request{method: "HEAD", target: "/bucket/small"}); a.header.Get("x-amz-server-side-encryption") != "aws:kms" {
		f.t.Errorf("%s: an object has another mode: %v", name, a.header)
	}
	etag := f.must(request{method: "PUT", target: "/bucket/upload?partNumber=1&uploadId=" + upload, body: f.large}).header.Get("Etag")
	f.must(request{method: "POST", target: "/bucket/upload?uploadId=" + upload, body: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" +
		etag + "</ETag></Part></CompleteMultipartUpload>"})
	f.wantBody("/bucket/upload", f.large)
	f.must(request{method: "DELETE", target: "/bucket/upload"})
}

// begin begins an upload.
func (f *faultSite) begin(target string) (id string) {
	f.t.Helper()
	a := f.must(request{method: "POST", target: target + "?uploads=", header: kmsMode("")})
	_, rest, _ := strings.Cut(a.body, "<UploadId>")
	id, _, found := strings.Cut(rest, "</UploadId>")
	if !found {
		f.t.Fatalf("no upload: %v", a)
	}
	return id
}

// open begins to read an object and leaves the body for later.
func (f *faultSite) open(target string) io.Reader {
	f.t.Helper()
	q, err := f.sign(context.WithoutCancel(f.t.Context()), request{method: "GET", target: target})
	if err != nil {
		f.t.Fatal(err)
	}
	response, err := f.client.Do(q)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		f.t.Fatalf("%s: %s", target, response.Status)
	}
	return response.Body
}

// loseKey has an operator delete a key in Vault.
func (f *faultSite) loseKey() {
	f.t.Helper()
	vault.Key(f.t, f.mount, "gone/config", map[string]any{"deletion_allowed": true})
	if _, err := vault.Root(f.t).Logical().DeleteWithContext(f.t.Context(), f.mount+"/keys/gone"); err != nil {
		f.t.Fatal(err)
	}
	tt := faulty{name: "key gone", status: 400, code: "KMS.NotFoundException"}
	f.clearCache()
	f.fails(tt, request{method: "PUT", target: f.next(), body: attempt, header: kmsMode("gone")})
	f.fails(tt, request{method: "GET", target: "/bucket/gone"})
	f.must(request{method: "HEAD", target: "/bucket/gone"})
	f.wantBody("/bucket/large", f.large)
	report := f.admin("POST", "kms/rewrap-bucket", `{"bucket":"bucket"}`)
	if errs, _ := report["errors"].([]any); len(errs) > 1 {
		f.t.Errorf("rewrap-bucket: %v", report)
	}
}

// loseMount has an operator take the engine away.
func (f *faultSite) loseMount() {
	f.t.Helper()
	vault.Unmount(f.t, f.mount)
	tt := faulty{name: "mount gone", status: 500, code: "InternalError"} // it is set up wrongly, and not away
	f.clearCache()
	f.fails(tt, request{method: "PUT", target: f.next(), body: attempt, header: kmsMode("")})
	f.fails(tt, request{method: "GET", target: "/bucket/large"})
	f.wantBody("/bucket/plain", "canary-stored-wren")
	if status := f.admin("GET", "kms/status", ""); status["status"] != "Failed" {
		f.t.Errorf("status %v", status)
	}
	for i := range f.used {
		f.wantError(request{method: "HEAD", target: fmt.Sprintf("/bucket/attempt-%d", i+1)}, 404, "")
	}
}
