package object_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

// gated is a KeyService that holds back KEKs which it has made already.
type gated struct {
	object.KeyService
	made chan struct{} // nil: goes on at once
	gate chan struct{}
}

func (g *gated) GenerateKEK(ctx context.Context, mode cipher.Mode, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	kek, w, err := g.KeyService.GenerateKEK(ctx, mode, keyID, keyContext)
	if g.made != nil {
		g.made <- struct{}{}
		<-g.gate
	}
	return kek, w, err
}

// slowBody gives its first byte, and the rest when the gate opens.
type slowBody struct {
	rest io.Reader
	sent chan struct{}
	gate chan struct{}
	once sync.Once
}

func (b *slowBody) Read(p []byte) (int, error) {
	first := false
	b.once.Do(func() { first = true })
	if first {
		return b.rest.Read(p[:1])
	}
	select {
	case <-b.sent:
	default:
		close(b.sent)
	}
	<-b.gate
	return b.rest.Read(p)
}

// TestRetirement begins a put, an upload, a part, a copy and a stream before the rotation and ends them after it.
func TestRetirement(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	if _, err := fake.CreateKey(ctx, "app"); err != nil {
		t.Fatal(err)
	}
	g := &gated{KeyService: env.Options().Keys, gate: make(chan struct{})}
	s := env.Open(t, func(o *object.Options) {
		smallLayout(o)
		o.Keys = g
	})
	newBucket(t, s, "bucket")
	app := kms.KeyRef{Instance: fake.Instance(), KeyID: "app", Version: 1}
	own := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}
	_, err := s.Retirement(ctx, app)
	wantKind(t, err, object.KindNoSuchJob)
	_, err = s.Retire(ctx, app) // the newest
	wantKind(t, err, object.KindInvalidArgument)

	putSealed(t, s, "bucket", "stored", data(90_000, 1), own)
	upload := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "upload", Sealing: own})
	p, err := s.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: "upload", UploadID: upload, Number: 1, Body: bytes.NewReader(data(50_000, 2)), Size: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: "stored"})
	if err != nil {
		t.Fatal(err)
	}
	body := &slowBody{rest: bytes.NewReader(data(90_000, 3)), sent: make(chan struct{}), gate: make(chan struct{})}
	results := make(chan error, 3)
	go func() {
		_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "slow", Body: body, Size: 90_000, Sealing: own})
		results <- err
	}()
	<-body.sent
	g.made = make(chan struct{})
	go func() {
		_, err := s.CreateUpload(ctx, object.UploadRequest{Bucket: "bucket", Key: "late", Sealing: own})
		results <- err
	}()
	<-g.made
	go func() {
		_, err := s.CreateBucket(ctx, "late-bucket")
		results <- err
	}()
	<-g.made
	g.made = nil
	rotate(t, fake, "app")
	rotate(t, fake, object.DefaultKeyID)

	r, err := s.Retire(ctx, app)
	if err != nil || r.Retirable || r.Key.Version != 2 || r.Needs != (object.Dependents{KEKs: 2, Objects: 1, Uploads: 1, Open: 2}) {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := s.Retire(ctx, kms.KeyRef{Instance: fake.Instance(), KeyID: object.DefaultKeyID, Version: 1}); err != nil {
		t.Fatal(err)
	}
	close(g.gate)
	close(body.gate)
	for range 3 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: "upload", UploadID: upload, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}})
	if err != nil {
		t.Fatal(err)
	}
	if keks, objects, uploads := below(t, s, "app", 2); keks != 1 || objects != 1 || uploads != 0 {
		t.Errorf("%d KEKs, %d objects, %d uploads below the floor; what was stored before is all there should be", keks, objects, uploads)
	}
	for _, bucket := range []string{"bucket", "late-bucket"} {
		if _, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err = s.Retirement(ctx, app); err != nil || r.Retirable || r.Needs != (object.Dependents{Open: 1}) {
		t.Errorf("with a stream: %+v, %v", r, err)
	}
	if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, data(90_000, 1)) {
		t.Errorf("the stream differs: %v", err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := s.Retirements(ctx)
	if err != nil || len(all) != 2 || !all[0].Retirable || !all[1].Retirable {
		t.Fatalf("%+v, %v", all, err)
	}
	fake.SetLeastVersion("app", 2)
	fake.SetLeastVersion(object.DefaultKeyID, 2)
	for key, want := range map[string][]byte{"stored": data(90_000, 1), "upload": data(50_000, 2), "slow": data(90_000, 3)} {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: key}); !bytes.Equal(got, want) {
			t.Errorf("%s differs", key)
		}
	}
	put(t, s, "late-bucket", "key", data(10, 4))
	checkCensus(t, s)
	if err := s.CancelRetirement(ctx, app); err != nil {
		t.Fatal(err)
	}
	_, err = s.Retirement(ctx, app)
	wantKind(t, err, object.KindNoSuchJob)
}

// TestFloorThatNothingReaches refuses writes under a key whose versions begin anew below its floor.
func TestFloorThatNothingReaches(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	rotate(t, fake, "app")
	if _, err := s.Retire(t.Context(), kms.KeyRef{Instance: fake.Instance(), KeyID: "app", Version: 1}); err != nil {
		t.Fatal(err)
	}
	fake.Destroy("app")
	if _, err := fake.CreateKey(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), object.PutRequest{Bucket: "bucket", Key: "key", Body: bytes.NewReader(nil), Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}})
	wantKind(t, err, object.KindKeyDisabled)
}

// TestRetirementHasNoRace rotates, retires, rewraps and disables old versions as soon as they may be, over and over, while
// writers and readers work. Not one of them fails.
func TestRetirementHasNoRace(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := 0; ctx.Err() == nil && !t.Failed(); i++ {
				workThrough(t, s, fmt.Sprint("w", w), rand.New(rand.NewPCG(uint64(w), uint64(i))))
			}
		})
	}
	keys := []string{"app", object.DefaultKeyID}
	for version := uint32(1); version <= 6; version++ {
		for _, keyID := range keys {
			rotate(t, fake, keyID)
			if _, err := s.Retire(ctx, kms.KeyRef{Instance: fake.Instance(), KeyID: keyID, Version: version}); err != nil {
				t.Fatal(err)
			}
		}
		if report, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "bucket"}); err != nil || report.Failed != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		if report, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "second"}); err != nil || report.Failed != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		for _, keyID := range keys {
			waitUntilRetirable(t, s, kms.KeyRef{Instance: fake.Instance(), KeyID: keyID})
			fake.SetLeastVersion(keyID, version+1)
		}
	}
	stop()
	workers.Wait()
	checkCensus(t, s)
}

func waitUntilRetirable(t *testing.T, s *object.Store, key kms.KeyRef) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Microsecond) {
		r, err := s.Retirement(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		if r.Retirable {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never retirable: %+v", r)
		}
	}
}

// workThrough takes keys of a worker's own through puts, copies, uploads and reads, in the modes that need KEKs.
func workThrough(t *testing.T, s *object.Store, worker string, r *rand.Rand) {
	ctx, yes := context.Background(), true
	how := []object.Sealing{{}, {Mode: object.ModeSSEKMS, KeyID: "app"}, {Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}}[r.IntN(3)]
	body := data(r.IntN(500), byte(r.IntN(256)))
	key := fmt.Sprint(worker, "/", r.IntN(3))
	var err error
	switch r.IntN(3) {
	case 0:
		_, err = s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Sealing: how})
	case 1:
		_, err = s.Put(ctx, object.PutRequest{Bucket: "second", Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Sealing: how})
		if err == nil {
			_, err = s.Copy(ctx, object.CopyRequest{SourceBucket: "second", SourceKey: key, Bucket: "bucket", Key: key, Sealing: how})
		}
	case 2:
		err = putInParts(ctx, s, key, body, how)
	}
	if err != nil {
		t.Errorf("write %s in %+v: %v", key, how, err)
		return
	}
	got, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: key})
	if err != nil {
		t.Errorf("read %s in %+v: %v", key, how, err)
		return
	}
	all, err := io.ReadAll(got)
	if _ = got.Close(); err != nil || !bytes.Equal(all, body) {
		t.Errorf("%s differs: %v", key, err)
	}
}

func putInParts(ctx context.Context, s *object.Store, key string, body []byte, how object.Sealing) error {
	u, err := s.CreateUpload(ctx, object.UploadRequest{Bucket: "bucket", Key: key, Sealing: how})
	if err != nil {
		return err
	}
	p, err := s.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: key, UploadID: u.UploadID, Number: 1, Body: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		return err
	}
	_, err = s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: key, UploadID: u.UploadID, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}})
	return err
}
