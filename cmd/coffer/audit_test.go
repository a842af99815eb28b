package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/kms/audit"
	"coffer/kms/vault/vaulttest"
	"coffer/object"
	"coffer/s3api/admin"
)

// marker ends what a test has recorded so far.
const marker audit.Operation = "Marker"

func (r *residence) auditKey() *cipher.Subkey { return r.house.home.Key.Derive(cipher.LabelAudit) }

// since gives the events since the last call, once they are durable.
func (r *residence) since() []audit.Found {
	r.t.Helper()
	if err := r.house.audit.RecordNow(r.t.Context(), audit.Event{Operation: marker, Outcome: audit.Success}); err != nil {
		r.t.Fatal(err)
	}
	volume, dir := auditVolume(r.cfg.Audit.Dir)
	var found, last []audit.Found
	_, err := audit.Events(r.t.Context(), volume, dir, r.auditKey(), func(f audit.Found) error {
		if f.Operation == string(marker) {
			last, found = found, nil
		} else {
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return last
}

// TestAuditRoutes asks every route of the administration as one who may and as those who may not: each leaves one line, with
// the class of what came of it.
func TestAuditRoutes(t *testing.T) {
	t.Parallel()
	r := inhabit(t, t.TempDir())
	asked := map[string]asking{} // by request id
	for _, route := range admin.Routes() {
		target, _, open := strings.Cut(route.Path, "{")
		if open {
			target += "x"
		}
		for name, m := range map[string]message{
			"signed":    {},
			"unsigned":  {unsigned: true},
			"signed by": {secret: "another-secret"},
			"too late":  {at: time.Now().Add(-time.Hour)},
			"bad pairs": {header: map[string]string{caller.HeaderPrefix + "a!": "v"}},
			"another":   {header: map[string]string{caller.HeaderPrefix + "ticket": "T-1"}, body: []byte(`{"broken`)},
		} {
			m.method, m.target = route.Method, target+"?keyName=from-query"
			got := r.do(m)
			asked[got.header.Get("X-Amz-Request-Id")] = asking{name, route, got.status}
		}
	}
	lines := map[string][]audit.Found{}
	for _, f := range r.since() {
		lines[f.RequestID] = append(lines[f.RequestID], f)
	}
	for id, a := range asked {
		if len(lines[id]) != 1 {
			t.Errorf("%s %s, %s: %d lines: %+v", a.route.Method, a.route.Path, a.name, len(lines[id]), lines[id])
			continue
		}
		a.check(t, &lines[id][0])
	}
	if len(asked) != 6*len(admin.Routes()) {
		t.Errorf("%d requests had an id", len(asked))
	}
}

// asking is a request of TestAuditRoutes.
type asking struct {
	name   string
	route  admin.Route
	status int
}

func (a *asking) check(t *testing.T, f *audit.Found) {
	t.Helper()
	what := fmt.Sprintf("%s %s, %s, %d", a.route.Method, a.route.Path, a.name, a.status)
	proven := a.name == "signed" || a.name == "another" || a.name == "bad pairs"
	var outcomes []audit.Outcome
	switch {
	case !proven:
		if a.status != http.StatusForbidden {
			t.Errorf("%s: it was let in", what)
		}
		outcomes = []audit.Outcome{audit.AccessDenied}
	case a.status == http.StatusOK:
		outcomes = []audit.Outcome{audit.Success}
		if strings.HasSuffix(a.route.Path, "/kms/v1/key/status") { // which tells within the answer what is wrong with the key
			outcomes = append(outcomes, audit.InvalidOperation, audit.KeyNotFound)
		}
	case a.status == http.StatusBadRequest:
		outcomes = []audit.Outcome{audit.Validation, audit.InvalidOperation}
	case a.status == http.StatusNotFound:
		outcomes = []audit.Outcome{audit.KeyNotFound, audit.Validation}
	case a.status == http.StatusConflict:
		outcomes = []audit.Outcome{audit.KeyAlreadyExists, audit.KeyStillReferenced, audit.InvalidOperation}
	case a.status == http.StatusNotImplemented:
		outcomes = []audit.Outcome{audit.UnsupportedCapability, audit.ServiceUnavailable}
	default:
		t.Errorf("%s: nobody expects this status", what)
	}
	if !slices.Contains(outcomes, audit.Outcome(f.Outcome)) {
		t.Errorf("%s: outcome %s, want one of %v", what, f.Outcome, outcomes)
	}
	principal := ""
	if proven {
		principal = testUser
	}
	bucket := ""
	if proven && a.name != "bad pairs" && strings.HasSuffix(a.route.Path, "{bucket}") {
		bucket = "x"
	}
	if f.Principal != principal || f.Source == "" || f.UserAgent == "" || f.Operation == string(audit.Unknown) || f.Bucket+f.Object != bucket {
		t.Errorf("%s: %+v", what, f.Entry)
	}
	if ticket := len(f.Pairs) == 1 && f.Pairs[0] == (caller.Pair{Name: "ticket", Value: "T-1"}); ticket != (a.name == "another") {
		t.Errorf("%s: pairs %v", what, f.Pairs)
	}
	if !proven && f.KeyID != "from-query" && !strings.Contains(a.route.Path, "{") {
		t.Errorf("%s: key %q", what, f.KeyID)
	}
}

// used is what a line says of a use of a KEK.
type used struct {
	Operation audit.Operation
	Outcome   audit.Outcome
	Object    string // BUCKET/NAME, or BUCKET/ where it is the bucket itself
	KeyID     string
	Version   uint32
	Cached    bool
}

// TestAuditUses goes through the operations of S3 in every mode, over a real Vault: each use of a KEK leaves one line.
func TestAuditUses(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t, vaulttest.Options{})
	r := inhabit(t, t.TempDir(), "COFFER_KMS_TYPE=vault", "COFFER_KMS_VAULT_ADDRESS="+v.Address, "COFFER_KMS_VAULT_TOKEN="+v.RootToken,
		"COFFER_KMS_VAULT_MOUNT_PATH="+v.Transit(t), "COFFER_KMS_VAULT_KV_MOUNT="+v.KV(t), "COFFER_KMS_DEFAULT_KEY_ID=app",
		"COFFER_KMS_PROBE_INTERVAL_SECS=0", "COFFER_KMS_READY_CHECK=false")
	r.awaitKMS()
	r.since()

	const sse, customerKey = "X-Amz-Server-Side-Encryption", "0123456789abcdef0123456789abcdef"
	own := map[string]string{sse: "aws:kms", sse + "-Bucket-Key-Enabled": "false"}
	shared := map[string]string{sse: "aws:kms", sse + "-Bucket-Key-Enabled": "true"}
	customer := customerFields("", customerKey)
	source := func(key string, more map[string]string) map[string]string {
		header := map[string]string{"X-Amz-Copy-Source": "/one/" + key}
		for name, value := range more {
			header[name] = value
		}
		return header
	}
	const builtin = "coffer-sse-s3"
	generated := func(object string) used { return used{audit.GenerateDataKey, audit.Success, object, "app", 1, false} }
	opened := func(object string, cached bool) used {
		return used{audit.Decrypt, audit.Success, object, "app", 1, cached}
	}
	sealed := func(object string) used { return used{audit.Encrypt, audit.Success, object, "app", 1, true} }
	var upload string
	part := []byte(strings.Repeat("p", 5<<20))
	for _, step := range []struct {
		name   string
		m      message
		status int
		want   []used
	}{
		{"bucket", message{method: "PUT", target: "/one"}, 200, []used{{audit.GenerateDataKey, audit.Success, "one/", builtin, 1, false}}},
		{"another", message{method: "PUT", target: "/two"}, 200, []used{{audit.GenerateDataKey, audit.Success, "two/", builtin, 1, false}}},
		{"SSE-S3 put", message{method: "PUT", target: "/one/s3", body: []byte("x")}, 200, []used{{audit.Encrypt, audit.Success, "one/s3", builtin, 1, false}}},
		{"SSE-S3 get", message{method: "GET", target: "/one/s3"}, 200, []used{{audit.Decrypt, audit.Success, "one/s3", builtin, 1, false}}},
		{"SSE-KMS put", message{method: "PUT", target: "/one/own", body: []byte("x"), header: own}, 200, []used{generated("one/own")}},
		{"SSE-KMS get", message{method: "GET", target: "/one/own"}, 200, []used{opened("one/own", true)}},
		{"range", message{method: "GET", target: "/one/own", header: map[string]string{"Range": "bytes=0-0"}}, 206, []used{opened("one/own", true)}},
		{"head", message{method: "HEAD", target: "/one/own"}, 200, nil},
		{"attributes", message{method: "GET", target: "/one/own?attributes=", header: map[string]string{"X-Amz-Object-Attributes": "ETag"}}, 200, nil},
		{"list", message{method: "GET", target: "/one?list-type=2"}, 200, nil},
		{"clear the cache", message{method: "POST", target: "/rustfs/admin/v3/kms/clear-cache"}, 200, []used{{Operation: audit.ClearCache, Outcome: audit.Success}}},
		{"cold get", message{method: "GET", target: "/one/own"}, 200, []used{opened("one/own", false)}},
		{"bucket key put", message{method: "PUT", target: "/one/shared", body: []byte("x"), header: shared}, 200, []used{generated("one/"), sealed("one/shared")}},
		{"bucket key put again", message{method: "PUT", target: "/one/shared2", body: []byte("x"), header: shared}, 200, []used{sealed("one/shared2")}},
		{"bucket key get", message{method: "GET", target: "/one/shared"}, 200, []used{opened("one/shared", true)}},
		{"SSE-C put", message{method: "PUT", target: "/one/customer", body: []byte("x"), header: customer}, 200, nil},
		{"SSE-C get", message{method: "GET", target: "/one/customer", header: customer}, 200, nil},
		{"copy to another bucket", message{method: "PUT", target: "/two/own", header: source("own", own)}, 200, []used{opened("one/own", true), generated("two/own")}},
		{"copy to SSE-S3", message{method: "PUT", target: "/two/s3", header: source("own", nil)}, 200,
			[]used{opened("one/own", true), {audit.Encrypt, audit.Success, "two/s3", builtin, 1, false}}},
		{"copy of SSE-C", message{method: "PUT", target: "/two/customer", header: source("customer", customerFields("Copy-Source-", customerKey))}, 200,
			[]used{{audit.Encrypt, audit.Success, "two/customer", builtin, 1, false}}},
		{"copy to SSE-C", message{method: "PUT", target: "/two/to-customer", header: source("own", customer)}, 200, []used{opened("one/own", true)}},
		{"upload", message{method: "POST", target: "/one/parts?uploads=", header: own}, 200, []used{generated("one/parts")}},
		{"part", message{method: "PUT", target: "/one/parts?partNumber=1&uploadId=", body: part}, 200, []used{opened("one/parts", true)}},
		{"part copy", message{method: "PUT", target: "/one/parts?partNumber=2&uploadId=", header: source("s3", nil)}, 200,
			[]used{{audit.Decrypt, audit.Success, "one/s3", builtin, 1, false}, opened("one/parts", true)}},
		{"default encryption", message{method: "PUT", target: "/two?encryption=", body: []byte(bucketDefault)}, 200, []used{generated("two/")}},
		{"put by default", message{method: "PUT", target: "/two/default", body: []byte("x")}, 200, []used{generated("two/default")}},
		{"no such key", message{method: "PUT", target: "/one/none", body: []byte("x"), header: map[string]string{sse: "aws:kms", sse + "-Aws-Kms-Key-Id": "none"}}, 400,
			[]used{{audit.GenerateDataKey, audit.KeyNotFound, "one/none", "none", 0, false}}},
		{"rotate", message{method: "POST", target: "/rustfs/admin/v3/kms/key/rotate?keyName=app"}, 200, []used{{audit.RotateKey, audit.Success, "", "app", 2, false}}},
		{"put by the new version", message{method: "PUT", target: "/one/new", body: []byte("x"), header: own}, 200,
			[]used{{audit.GenerateDataKey, audit.Success, "one/new", "app", 2, false}}},
		{"get by the old version", message{method: "GET", target: "/one/own"}, 200, []used{opened("one/own", true)}},
		{"rewrap", message{method: "POST", target: "/rustfs/admin/v3/kms/rewrap-bucket", body: []byte(`{"bucket":"one"}`)}, 200, []used{
			{audit.ReEncrypt, audit.Success, "one/", "app", 2, false}, {audit.ReEncrypt, audit.Success, "one/own", "app", 2, false},
			{audit.ReEncrypt, audit.Success, "one/parts", "app", 2, false}, // of the upload
			{Operation: "RewrapBucket", Outcome: audit.Success, Object: "one/"},
		}},
		{"get after that", message{method: "GET", target: "/one/own"}, 200, []used{{audit.Decrypt, audit.Success, "one/own", "app", 2, false}}},
		{"delete", message{method: "DELETE", target: "/one/own"}, 204, nil},
	} {
		if strings.HasSuffix(step.m.target, "uploadId=") {
			step.m.target += upload
		}
		got := r.do(step.m)
		if got.status != step.status {
			t.Fatalf("%s: status %d: %s", step.name, got.status, got.body)
		}
		if _, after, ok := strings.Cut(string(got.body), "<UploadId>"); ok {
			upload, _, _ = strings.Cut(after, "<")
		}
		if diff := cmp.Diff(step.want, r.uses(got.header.Get("X-Amz-Request-Id"), step.want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// TestAuditInternal finds what nobody asked for: the first key of a new store, the probe of the backend, and a rewrap in the
// background.
func TestAuditInternal(t *testing.T) {
	t.Parallel()
	r := inhabit(t, t.TempDir())
	r.must(message{method: "PUT", target: "/bucket"})
	r.must(message{method: "PUT", target: "/bucket/key", body: []byte("x"), header: map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms"}})
	r.must(message{method: "POST", target: "/rustfs/admin/v3/kms/key/rotate?keyName=rustfs-default-key"})
	if _, err := r.house.store.Load().StartRewrap(t.Context(), object.RewrapJobRequest{Bucket: "bucket"}); err != nil {
		t.Fatal(err)
	}
	hash, err := audit.ObjectHash(r.auditKey(), "bucket", "key")
	if err != nil {
		t.Fatal(err)
	}
	var created, probed, rewrapped bool
	r.until("all are recorded", func() bool {
		for _, f := range r.since() {
			created = created || f.Operation == string(audit.CreateKey) && f.KeyID == "coffer-sse-s3" && f.KeyVersion == 1 && f.Principal == caller.Internal
			probed = probed || f.Operation == string(audit.ProbeKey) && f.Outcome == string(audit.Success) && f.KeyID == "coffer-sse-s3"
			again := f.Operation == string(audit.ReEncrypt) && f.Bucket == "bucket" && f.Object == hash && f.KeyVersion == 2
			rewrapped = rewrapped || again
			if (again || f.Operation == string(audit.ProbeKey)) && (f.Principal != caller.Internal || f.Source+f.RequestID != "") {
				t.Errorf("somebody asked for %+v", f.Entry)
			}
		}
		return created && probed && rewrapped
	})
}

const bucketDefault = `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>` +
	`</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`

// uses gives what the lines of a request say. Names stand in the log as hashes, which are found out by those of want.
func (r *residence) uses(request string, want []used) []used {
	r.t.Helper()
	names := map[string]string{"": ""}
	for _, u := range want {
		bucket, name, _ := strings.Cut(u.Object, "/")
		hash, err := audit.ObjectHash(r.auditKey(), bucket, name)
		if err != nil {
			r.t.Fatal(err)
		}
		names[hash] = name
	}
	var all []used
	for _, f := range r.since() {
		if f.RequestID != request || f.Principal != testUser {
			r.t.Errorf("nobody asked for %+v", f.Entry)
		}
		object := ""
		if f.Bucket != "" {
			name, known := names[f.Object]
			if !known {
				name = "?"
			}
			object = f.Bucket + "/" + name
		}
		all = append(all, used{audit.Operation(f.Operation), audit.Outcome(f.Outcome), object, f.KeyID, f.KeyVersion, f.Cached})
	}
	return all
}

// awaitKMS waits until the backend of the settings serves.
func (r *residence) awaitKMS() {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := r.do(message{method: "GET", target: "/rustfs/admin/v3/kms/service-status"})
		if strings.Contains(string(got.body), `"Running"`) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the backend does not start: %s", got.body)
		}
	}
}
