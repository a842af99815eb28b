package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
	"coffer/object"
	"coffer/object/objecttest"
)

// TestSwept begins rewraps for keys that were rotated because they were due, where that is asked for, and forgets the floors of
// those that were destroyed.
func TestSwept(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	store := env.Open(t, nil)
	h := &house{log: slog.New(slog.DiscardHandler)}
	h.swept(true)(ctx, []manager.Swept{{Instance: fake.Instance(), KeyID: "app", Rotated: true}}) // before the store is open
	h.store.Store(store)
	for bucket, keyID := range map[string]string{"one": "app", "two": "other"} {
		if _, err := fake.CreateKey(ctx, keyID); err != nil {
			t.Fatal(err)
		}
		if _, err := store.CreateBucket(ctx, bucket); err != nil {
			t.Fatal(err)
		}
		_, err := store.Put(ctx, object.PutRequest{Bucket: bucket, Key: "key", Body: strings.NewReader("x"), Size: 1,
			Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: keyID}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fake.RotateKey(ctx, keyID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Retire(ctx, kms.KeyRef{Instance: fake.Instance(), KeyID: "other", Version: 1}); err != nil {
		t.Fatal(err)
	}
	swept := []manager.Swept{
		{Instance: fake.Instance(), KeyID: "app", Rotated: true}, {Instance: fake.Instance(), KeyID: "other", Destroyed: true},
	}
	h.swept(false)(ctx, swept)
	if floors, err := store.Retirements(ctx); err != nil || len(floors) != 0 {
		t.Errorf("floors %+v, %v", floors, err)
	}
	if jobs, err := store.RewrapJobs(ctx); err != nil || len(jobs) != 0 {
		t.Errorf("jobs that nobody asked for: %+v, %v", jobs, err)
	}
	h.swept(true)(ctx, swept)
	jobs, err := store.RewrapJobs(ctx)
	if err != nil || len(jobs) != 1 || jobs[0].Bucket != "one" || jobs[0].From.KeyID != "app" {
		t.Fatalf("jobs %+v, %v", jobs, err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		j, err := store.RewrapJob(ctx, "one")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", j, err)
		}
		if j.State == object.JobDone {
			if j.Report.Rewrapped != 1 {
				t.Errorf("job %+v", j)
			}
			return
		}
	}
}
