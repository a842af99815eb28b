package admin_test

import (
	"context"
	"errors"
	"io"
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

// twoVaults is a world with a second pretended Vault at https://second. The engine is what counts for the manager.
func twoVaults(t *testing.T) (*world, *kmstest.Fake) {
	var w *world
	second := kmstest.NewFake()
	count := func(ctx context.Context, of kms.KeyRef) (manager.Counts, error) {
		d, err := w.store.Dependents(ctx, of)
		return manager.Counts{KEKs: uint64(d.KEKs), Objects: uint64(d.Objects), Uploads: uint64(d.Uploads), Open: uint64(d.Open)}, err
	}
	w = newWorld(t, func(o *manager.Options, _ *admin.Options) {
		first := o.Factories[manager.TypeVault]
		o.Factories[manager.TypeVault] = func(ctx context.Context, c manager.Config, id cipher.InstanceID) (manager.Service, error) {
			if c.Vault.Address != "https://second" {
				return first(ctx, c, id)
			}
			return second, nil
		}
		o.References = func(ctx context.Context, id cipher.InstanceID) (manager.Counts, error) {
			return count(ctx, kms.KeyRef{Instance: id})
		}
	})
	w.want(200, "POST kms/configure", vaultBody(""))
	return w, second
}

// waitForJob waits until the job of a bucket is in a state.
func (w *world) waitForJob(bucket, state string) doc {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		d := w.want(200, "GET kms/rewrap-jobs/"+bucket, "")
		if d["state"] == state {
			return d
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the job is not %s: %v", state, d)
		}
	}
}

// reads wants every object to read.
func (w *world) reads(bucket string, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		r, err := w.store.Get(w.t.Context(), object.GetRequest{Bucket: bucket, Key: key})
		if err != nil {
			w.t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || string(body) != "bytes" {
			w.t.Errorf("%s: %q, %v", key, body, err)
		}
	}
}

// TestMoveBackends writes under one backend, swaps to another, moves the KEKs and forgets the first.
func TestMoveBackends(t *testing.T) {
	t.Parallel()
	w, _ := twoVaults(t)
	w.put("box", "plain", "")
	w.put("box", "own", "app-default")
	err := w.store.SetBucketEncryption(t.Context(), "box", object.BucketEncryption{Mode: cipher.ModeSSEKMS, KeyID: "app-default", BucketKey: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.store.Put(t.Context(), object.PutRequest{Bucket: "box", Key: "shared", Body: strings.NewReader("bytes"), Size: 5})
	if err != nil {
		t.Fatal(err)
	}
	inspected := w.want(200, "GET kms/inspect?bucket=box&key=own", "").list("keys")[0].sub("rewrap")
	first := w.keys.Status().Instance.String()
	w.want(200, "POST kms/configure", `{"kms_type":"vault","vault_address":"https://second","vault_token":"`+canary+`","default_key_id":"new"}`)
	if second := w.keys.Status().Instance.String(); second == first {
		t.Fatal("the same backend serves")
	}
	w.reads("box", "plain", "own", "shared")
	w.has(w.refused(409, "BackendInUse", "DELETE kms/instances/"+first, "").sub("in_use"), map[string]any{"keks": 2, "objects": 2, "uploads": 0, "open": 0})

	moved := w.want(200, "POST kms/rewrap", mustJSON(t, doc{"ciphertext_b64": inspected["ciphertext_b64"], "context": inspected["context"], "to": doc{"key_id": "new"}}))
	w.has(moved, map[string]any{"key_id": "new", "key_version": 1, "instance": w.keys.Status().Instance.String()})
	w.has(w.want(200, "POST kms/rewrap-bucket", `{"bucket":"box","to":{"backend":"serving"},"dry_run":true}`), map[string]any{"matched": 3, "would_rewrap": 2, "keks": 0, "shared_kek": true})
	w.has(w.want(200, "POST kms/rewrap-bucket", `{"bucket":"box","to":{"backend":"serving","key_id":"new"},"max_objects":1}`), map[string]any{"rewrapped": 1, "keks": 1})
	w.want(200, "POST kms/rewrap-jobs", `{"all_buckets":true,"to":{"backend":"serving"},"from":{"backend":"`+first+`"}}`)
	w.has(w.waitForJob("box", "done"), map[string]any{"keks": 1, "rewrapped": 1, "failed": 0, "shared_kek": true, "to": doc{"instance": w.keys.Status().Instance.String(), "key_id": "new"}})
	for _, e := range w.want(200, "GET kms/census?rebuild=true", "").list("entries") {
		if e["instance"] == first {
			t.Errorf("the first backend is still needed: %v", e)
		}
	}
	w.want(200, "DELETE kms/instances/"+first, "")
	w.keys.ClearCache(false)
	w.reads("box", "plain", "own", "shared")
	info, err := w.store.Head(t.Context(), object.GetRequest{Bucket: "box", Key: "shared"})
	if err != nil || info.Info.Encryption.KeyID != "new" {
		t.Errorf("clients are told of key %q, %v", info.Info.Encryption.KeyID, err)
	}
	w.refused(404, "NotFound", "POST kms/rewrap-bucket", `{"bucket":"box","to":{"backend":"`+first+`"}}`)
}

func TestRewrapJobs(t *testing.T) {
	t.Parallel()
	w, _ := twoVaults(t)
	for _, key := range []string{"a", "b", "c"} {
		w.put("box", key, "app-default")
	}
	w.refused(404, "NotFound", "GET kms/rewrap-jobs/box", "")
	w.refused(404, "NotFound", "POST kms/rewrap-jobs/pause", `{"bucket":"box"}`)
	for _, body := range []string{`{}`, `{"bucket":"box","all_buckets":true}`, `{"all_buckets":true,"prefix":"a"}`, `{"bucket":"box","page_size":0}`,
		`{"bucket":"box","keks_per_second":-1}`, `{"bucket":"box","speed":1}`} {
		w.refused(400, "InvalidRequest", "POST kms/rewrap-jobs", body)
	}
	w.refused(400, "NoSuchBucket", "POST kms/rewrap-jobs", `{"bucket":"none"}`)
	w.want(200, "POST kms/key/rotate?keyName=app-default", "")
	reached := make(chan struct{}, 10)
	w.vault.SetRule(func(ctx context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpRewrapBatch {
			reached <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	w.has(w.want(200, "POST kms/rewrap-jobs", `{"bucket":"box","page_size":2,"keks_per_second":1000}`), map[string]any{"state": "running", "total": 3, "keks_per_second": 1000, "to": nil})
	<-reached
	w.refused(409, "OperationAborted", "POST kms/rewrap-jobs", `{"bucket":"box"}`)
	w.has(w.want(200, "POST kms/rewrap-jobs/pause", `{"bucket":"box"}`), map[string]any{"state": "paused"})
	w.refused(409, "OperationAborted", "POST kms/rewrap-jobs/pause", `{"bucket":"box"}`)
	w.vault.SetRule(nil)
	w.want(200, "POST kms/rewrap-jobs/resume", `{"bucket":"box"}`)
	w.has(w.waitForJob("box", "done"), map[string]any{"matched": 3, "rewrapped": 3, "keks": 3, "failed": 0, "skipped": 0, "errors": []any{}})
	w.refused(409, "OperationAborted", "POST kms/rewrap-jobs/cancel", `{"bucket":"box"}`)
	if jobs := w.want(200, "GET kms/rewrap-jobs", "").list("jobs"); len(jobs) != 1 || jobs[0]["ended_at"] == nil {
		t.Errorf("jobs %v", jobs)
	}
}

func TestRetirementRoutes(t *testing.T) {
	t.Parallel()
	w, _ := twoVaults(t)
	w.put("box", "a", "app-default")
	w.refused(400, "InvalidRequest", "POST kms/keys/retire", `{"key_id":"app-default","version":1}`)
	w.refused(400, "InvalidRequest", "POST kms/keys/retire", `{}`)
	w.want(200, "POST kms/key/rotate?keyName=app-default", "")
	w.has(w.want(200, "POST kms/keys/retire", `{"key_id":"app-default","version":1}`), map[string]any{
		"key_id": "app-default", "least_version": 2, "retirable": false, "needed_by": doc{"keks": 1, "objects": 1, "uploads": 0, "open": 0}})
	d := w.want(200, "POST kms/keys/retire", `{"key_id":"app-default","rewrap":true}`)
	if len(d.list("jobs")) != 1 {
		t.Errorf("no job: %v", d)
	}
	w.waitForJob("box", "done")
	list := w.want(200, "GET kms/retirements?keyName=app-default", "").list("retirements")
	if len(list) != 1 || list[0]["retirable"] != true {
		t.Fatalf("retirements %v", list)
	}
	w.vault.SetLeastVersion("app-default", 2)
	w.keys.ClearCache(false)
	w.reads("box", "a")
	w.want(200, "POST kms/keys/cancel-retirement", `{"key_id":"app-default"}`)
	if list := w.want(200, "GET kms/retirements", "").list("retirements"); len(list) != 0 {
		t.Errorf("retirements %v", list)
	}
}

func TestCensusRoutes(t *testing.T) {
	t.Parallel()
	w, _ := twoVaults(t)
	w.put("one", "a", "app-default")
	w.put("two", "b", "app-default")
	objects := func(target string) (n int) {
		for _, e := range w.want(200, "GET kms/census?"+target+"keyName=app-default", "").list("entries") {
			n += int(e["objects"].(float64))
		}
		return n
	}
	if all, one, counted := objects(""), objects("bucket=one&"), objects("rebuild=true&"); all != 2 || one != 1 || counted != 2 {
		t.Errorf("%d objects, %d in one bucket, %d counted", all, one, counted)
	}
	w.has(w.want(200, "GET kms/census?rebuild=true", ""), map[string]any{"counted": true, "repaired": 0})
	w.refused(400, "NoSuchBucket", "GET kms/census?bucket=none", "")
	w.refused(400, "InvalidRequest", "GET kms/census?rebuild=perhaps", "")
}
