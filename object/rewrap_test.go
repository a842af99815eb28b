package object_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

func rotate(t *testing.T, fake *kmstest.Fake, keyID string) {
	t.Helper()
	if _, err := fake.RotateKey(context.Background(), keyID); err != nil {
		t.Fatal(err)
	}
}

// below counts what the census finds under versions of a key before the given one.
func below(t *testing.T, s *object.Store, keyID string, version uint32) (keks, objects, uploads int64) {
	t.Helper()
	entries, err := s.Census(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.KeyID == keyID && e.Version < version {
			keks, objects, uploads = keks+e.KEKs, objects+e.Objects, uploads+e.Uploads
		}
	}
	return keks, objects, uploads
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, s, fake := openSealed(t)
	own := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(`{"tenant":"t1"}`)}
	yes := true
	shared := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}
	infos := map[string]object.ObjectInfo{}
	body := func(i int) []byte { return data(1000+i, byte(i)) }
	const objects = 100
	for i := range objects {
		if i == objects/2 {
			rotate(t, fake, "app")
		}
		key := fmt.Sprintf("own/%03d", i)
		infos[key] = putSealed(t, s, "bucket", key, body(i), own)
	}
	for i := range 10 {
		key := fmt.Sprintf("shared/%d", i)
		infos[key] = putSealed(t, s, "bucket", key, body(i), shared)
	}
	rotate(t, fake, "app")

	dry, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "bucket", DryRun: true})
	if err != nil || dry.Matched != objects+10 || dry.Outdated != objects+10 || dry.Rewrapped != 0 || !dry.SharedKEK {
		t.Fatalf("dry run %+v, %v", dry, err)
	}
	if keks, objs, _ := below(t, s, "app", 3); keks != objects+1 || objs != objects+10 {
		t.Fatalf("the census counts %d KEKs and %d objects below the newest version", keks, objs)
	}
	part, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "bucket", Prefix: "own/", PageSize: 7, MaxObjects: 30})
	if err != nil || part.Rewrapped != 30 || part.KEKs != 30 || part.Next != "own/029" || part.SharedKEK {
		t.Fatalf("30 objects: %+v, %v", part, err)
	}
	rest, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "bucket"})
	if err != nil || rest.Rewrapped != objects-30+10 || rest.KEKs != objects-30+1 || rest.Failed != 0 || rest.Next != "" {
		t.Fatalf("the rest: %+v, %v", rest, err)
	}
	again, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "bucket", MaxObjects: 1})
	if err != nil || again.Outdated != 0 || again.KEKs != 0 || again.Matched != objects+10 {
		t.Fatalf("again: %+v, %v", again, err)
	}
	if keks, objs, _ := below(t, s, "app", 3); keks != 0 || objs != 0 {
		t.Errorf("%d KEKs and %d objects are left below the newest version", keks, objs)
	}
	for key, before := range infos {
		r, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		now := r.Selection().Info
		_ = r.Close()
		if now.ETag != before.ETag || !now.ModTime.Equal(before.ModTime) || now.VersionID != before.VersionID || !bytes.Equal(now.Encryption.Context, before.Encryption.Context) {
			t.Errorf("%s changed: %+v, before %+v", key, now, before)
		}
	}
	for i := range objects {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: fmt.Sprintf("own/%03d", i)}); !bytes.Equal(got, body(i)) {
			t.Fatalf("object %d differs", i)
		}
	}
}

func TestRewrapReportsWhatFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, s, fake := openSealed(t)
	for i, keyID := range []string{"app", "other", "app"} {
		putSealed(t, s, "bucket", fmt.Sprint(i), data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: keyID})
	}
	rotate(t, fake, "app")
	fake.Destroy("other")
	report, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "bucket"})
	if err != nil || report.Rewrapped != 2 || report.Failed != 1 || len(report.Errors) != 1 || report.Errors[0].Key != "1" {
		t.Fatalf("report %+v, %v", report, err)
	}
	wantKind(t, report.Errors[0].Err, object.KindKeyNotFound)
}

func TestRewrapOfOneLevel(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	for _, key := range []string{"a/1", "a/b/2", "a/3"} {
		putSealed(t, s, "bucket", key, data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	}
	rotate(t, fake, "app")
	report, err := s.Rewrap(context.Background(), object.RewrapRequest{Bucket: "bucket", Prefix: "a/", Shallow: true})
	if err != nil || report.Rewrapped != 2 || report.Matched != 2 {
		t.Fatalf("report %+v, %v", report, err)
	}
}

func TestCensusCountsUploads(t *testing.T) {
	t.Parallel()
	_, s, _ := openSealed(t)
	begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key", Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}})
	if keks, objects, uploads := below(t, s, "app", 2); keks != 1 || objects != 0 || uploads != 1 {
		t.Errorf("%d KEKs, %d objects, %d uploads", keks, objects, uploads)
	}
}

// TestBucketKEKGrowsOld lets time pass: new objects get a new generation, old ones stay readable.
func TestBucketKEKGrowsOld(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	now := time.Now()
	s := env.Open(t, func(o *object.Options) { o.Now = func() time.Time { return now } })
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "first", data(10, 1))
	calls := fake.Calls(kmstest.OpGenerateKEK)
	now = now.Add(91 * 24 * time.Hour)
	put(t, s, "bucket", "second", data(10, 2))
	put(t, s, "bucket", "third", data(10, 3))
	if got := fake.Calls(kmstest.OpGenerateKEK) - calls; got != 1 {
		t.Errorf("%d new generations, want 1", got)
	}
	for i, key := range []string{"first", "second", "third"} {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: key}); !bytes.Equal(got, data(10, byte(i+1))) {
			t.Errorf("%s differs", key)
		}
	}
}

// versioned is a KeyService that knows the newest versions of keys.
type versioned struct {
	object.KeyService
	version uint32
}

func (v *versioned) Resolve(ctx context.Context, mode cipher.Mode, keyID string) (kms.KeyRef, error) {
	ref, err := v.KeyService.Resolve(ctx, mode, keyID)
	ref.Version = v.version
	return ref, err
}

// moving has a second backend that KEKs can be moved to.
type moving struct{ twoBackends }

func (m moving) Move(ctx context.Context, w kms.Wrapped, keyContext []byte, to kms.KeyRef) (kms.Wrapped, error) {
	kek, err := m.Unwrap(ctx, w, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer kek.Wipe()
	return kms.WrapKEK(ctx, m.second, to.KeyID, kek, keyContext)
}

// TestMoveLeavesTheKEKsOfSSES3 moves what SSE-KMS has to another backend. A KEK of SSE-S3 that no object needs any more
// stays where those of SSE-S3 are, as the present one does.
func TestMoveLeavesTheKEKsOfSSES3(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	second, now := kmstest.NewFake("app"), time.Now()
	s := env.Open(t, func(o *object.Options) {
		o.Now = func() time.Time { return now }
		o.Keys = moving{twoBackends{object.SingleKey{Backend: env.Keyring, KeyID: object.DefaultKeyID}, second}}
	})
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "key", data(10, 1))
	now = now.Add(91 * 24 * time.Hour)
	put(t, s, "bucket", "key", data(10, 2))
	to := kms.KeyRef{Instance: second.Instance(), KeyID: "app"}
	if _, err := s.Rewrap(t.Context(), object.RewrapRequest{Bucket: "bucket", To: to}); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Census(t.Context())
	if err != nil || len(entries) != 1 || entries[0].Instance != env.Keyring.Instance() || entries[0].KEKs != 2 {
		t.Errorf("census %+v, error %v", entries, err)
	}
}

// TestBucketKEKFollowsRotation makes a new generation after a rotation, once, also where the backend lags behind.
func TestBucketKEKFollowsRotation(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	now := time.Now()
	keys := &versioned{KeyService: env.Options().Keys, version: 1}
	s := env.Open(t, func(o *object.Options) {
		o.Now = func() time.Time { return now }
		o.Keys = keys
	})
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "first", data(10, 1))
	for _, step := range []struct {
		name      string
		rotate    bool
		version   uint32 // that is known
		later     time.Duration
		generates int
	}{
		{"nothing happened", false, 1, time.Hour, 0},
		{"rotated", true, 2, time.Hour, 1},
		{"the backend lags behind", false, 3, time.Hour, 1},
		{"and still does", false, 3, time.Second, 0},
		{"not known", false, 0, time.Hour, 0},
	} {
		if step.rotate {
			rotate(t, fake, object.DefaultKeyID)
		}
		now, keys.version = now.Add(step.later), step.version
		calls := fake.Calls(kmstest.OpGenerateKEK)
		for i := range 3 {
			put(t, s, "bucket", fmt.Sprint(step.name, i), data(10, 2))
		}
		if got := fake.Calls(kmstest.OpGenerateKEK) - calls; got != step.generates {
			t.Errorf("%s: %d new generations, want %d", step.name, got, step.generates)
		}
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "first"}); !bytes.Equal(got, data(10, 1)) {
		t.Error("an object of the first generation differs")
	}
}
