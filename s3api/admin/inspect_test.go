package admin_test

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/kms/audit"
	"coffer/kms/manager"
	"coffer/object"
	"coffer/s3api/admin"
)

// TestInspect shows objects of every mode, and sends what it shows to kms/rewrap.
func TestInspect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(200, "POST kms/configure", vaultBody(""))
	w.want(200, "POST kms/key/create?keyName=app", "")
	w.put("box", "plain", "")
	client := `{"tenant": "t1"}`
	for key, how := range map[string]object.Sealing{
		"own":    {Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(client)},
		"shared": {Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: new(true), Context: []byte(client)},
		"client": {Mode: object.ModeSSEC, Customer: cipher.NewKEK()},
	} {
		_, err := w.store.Put(context.Background(), object.PutRequest{Bucket: "box", Key: key, Body: strings.NewReader("bytes"), Size: 5, Sealing: how})
		if err != nil {
			t.Fatal(err)
		}
	}
	const sse = "x-amz-server-side-encryption"
	for _, tc := range []struct {
		key     string
		names   string // of the metadata, less the prefix of S2
		context map[string]any
		fields  map[string]any
	}{
		{"plain", "|-context-bucket|-iv|-key|-tag", map[string]any{"bucket": "box"},
			map[string]any{"mode": "SSE-S3", "key_id": builtinKey, "key_version": 1, "builtin": true, "serving": false, "sealed_as": doc{"bucket": "box", "key": ""}}},
		{"own", "sse-kms-encrypted-key|sse-kms-iv||-aws-kms-key-id|-context|-context-bucket|-context-key|-context-tenant|-iv|-key|-tag",
			map[string]any{"bucket": "box", "key": "own", "tenant": "t1"},
			map[string]any{"mode": "SSE-KMS", "key_id": "app", "backend_type": "vault-transit", "serving": true, "bucket_key_generation": 0, "slot": 0,
				"sealed_as": doc{"bucket": "box", "key": "own"}, "extents": 1, "bytes": 5}},
		{"shared", "sse-kms-encrypted-key|sse-kms-iv||-aws-kms-key-id|-context|-context-bucket|-context-key|-context-tenant|-iv|-key|-tag",
			map[string]any{"bucket": "box"}, map[string]any{"mode": "SSE-KMS", "sealed_as": doc{"bucket": "box", "key": "shared"}}},
		{"client", "-customer-algorithm|-iv|-tag", nil, map[string]any{"mode": "SSE-C", "key_id": "", "instance": "", "key_fingerprint": ""}},
	} {
		t.Run(tc.key, func(t *testing.T) {
			d := w.want(200, "GET kms/inspect?bucket=box&key="+tc.key, "")
			k := d.list("keys")[0]
			w.has(d, map[string]any{"bucket": "box", "key": tc.key, "size": 5, "mode": k["mode"], "bucket_key_enabled": tc.key == "shared"})
			w.has(d.sub("body"), map[string]any{"extents": 1, "chunks": 1, "chunks_in_metastore": 1, "references": 1})
			w.has(k, tc.fields)
			m := k.sub("metadata")
			if diff := cmp.Diff(tc.names, nameList(m, sse)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if tc.context == nil {
				return
			}
			w.has(m, map[string]any{sse + "-key": k.sub("rewrap")["ciphertext_b64"]})
			if tc.key != "plain" {
				w.has(m, map[string]any{"x-amz-meta-sse-kms-encrypted-key": m[sse+"-key"], "x-amz-meta-sse-kms-iv": m[sse+"-iv"],
					sse + "-context": base64.StdEncoding.EncodeToString([]byte(client))})
			}
			if diff := cmp.Diff(tc.context, map[string]any(k.sub("rewrap").sub("context"))); diff != "" {
				t.Errorf("context (-want +got):\n%s", diff)
			}
			answer := w.want(200, "POST kms/rewrap", mustJSON(t, k["rewrap"]))
			w.has(answer, map[string]any{"key_id": k["key_id"]})
		})
	}
	w.want(200, "POST kms/stop", "")
	w.want(200, "GET kms/inspect?bucket=box&key=own", "")
	w.refused(404, "NoSuchKey", "GET kms/inspect?bucket=box&key=none", "")
	w.refused(400, "NoSuchBucket", "GET kms/inspect?bucket=none&key=own", "")
	w.refused(400, "InvalidRequest", "GET kms/inspect?bucket=box", "")
	w.refused(400, "InvalidRequest", "GET kms/inspect?bucket=box&key=own&versionId=x", "")
	w.refused(404, "NoSuchVersion", "GET kms/inspect?bucket=box&key=own&versionId=00000000000000000000000000000001", "")
	w.refused(400, "InvalidRequest", "GET kms/inspect?bucket=box&key="+strings.Repeat("k", 1025), "")
}

// nameList lists names in order, less a prefix.
func nameList(m doc, prefix string) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		name = strings.TrimPrefix(strings.TrimPrefix(name, "x-amz-meta-"), prefix)
		names = append(names, name)
	}
	return strings.Join(names, "|")
}

// recorder is an admin.Auditor that keeps what it is told.
type recorder struct{ events []audit.Event }

func (r *recorder) Ready() error                                       { return nil }
func (r *recorder) RecordNow(ctx context.Context, e audit.Event) error { return r.Record(ctx, e) }
func (r *recorder) Status() audit.GuardStatus                          { return audit.GuardStatus{} }
func (r *recorder) Record(_ context.Context, e audit.Event) error {
	r.events = append(r.events, e)
	return nil
}

// TestInspectIsRecorded: the log tells whose sealing was looked at.
func TestInspectIsRecorded(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	w := newWorld(t, func(_ *manager.Options, o *admin.Options) { o.Audit = r })
	w.put("box", "plain", "")
	w.want(200, "GET kms/inspect?bucket=box&key=plain", "")
	want := audit.Event{Operation: "Inspect", Outcome: audit.Success, KeyID: builtinKey, KeyVersion: 1, Bucket: "box", Object: "plain"}
	got := r.events[len(r.events)-1]
	if got.Instance.IsZero() {
		t.Error("no instance")
	}
	got.Instance = want.Instance
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b caller.Caller) bool { return true })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
