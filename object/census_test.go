package object_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms/kmstest"
	"coffer/metastore"
	"coffer/object"
	"coffer/object/objecttest"
)

// checkCensus compares the census that is kept with the records.
func checkCensus(t testing.TB, s *object.Store) {
	t.Helper()
	check, err := s.CheckCensus(context.Background())
	if err != nil {
		t.Errorf("check the census: %v", err)
		return
	}
	if diff := cmp.Diff(check.Entries, check.Kept); diff != "" || check.Repaired != 0 {
		t.Errorf("the census is wrong in %d counts (-counted +kept):\n%s", check.Repaired, diff)
	}
}

// historian works on a few keys of two buckets at random, in every mode.
type historian struct {
	s        *object.Store
	fake     *kmstest.Fake
	r        *rand.Rand
	customer *cipher.KEK
	uploads  []object.UploadInfo
}

var historyBuckets = []string{"bucket", "second"}

func (h *historian) sealing() object.Sealing {
	yes := true
	return []object.Sealing{
		{}, {Mode: object.ModeSSEKMS, KeyID: "app"}, {Mode: object.ModeSSEKMS, KeyID: "other"},
		{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}, {Mode: object.ModeSSEC, Customer: h.customer},
	}[h.r.IntN(5)]
}

func (h *historian) place() (bucket, key string) {
	folder := []string{"", "", "d1/", "d2/"}[h.r.IntN(4)]
	return historyBuckets[h.r.IntN(2)], fmt.Sprint(folder, "key", h.r.IntN(8))
}

// step does one thing. Most may fail, because another has taken away what they need.
func (h *historian) step(ctx context.Context) {
	bucket, key := h.place()
	switch h.r.IntN(16) {
	case 0, 1, 2:
		body := data(h.r.IntN(300), 1)
		_, _ = h.s.Put(ctx, object.PutRequest{Bucket: bucket, Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Sealing: h.sealing()})
	case 3:
		_ = h.s.Delete(ctx, object.DeleteRequest{Bucket: bucket, Key: key})
	case 4, 5:
		source, from := h.place()
		_, _ = h.s.Copy(ctx, object.CopyRequest{SourceBucket: source, SourceKey: from, Bucket: bucket, Key: key, Sealing: h.sealing()})
	case 6:
		_, _ = h.s.Copy(ctx, object.CopyRequest{SourceBucket: bucket, SourceKey: key, Bucket: bucket, Key: key,
			Meta: &object.Metadata{ContentType: "text/plain"}})
	case 7:
		sealing := h.sealing()
		if sealing.Mode == object.ModeSSEC {
			return
		}
		if u, err := h.s.CreateUpload(ctx, object.UploadRequest{Bucket: bucket, Key: key, Sealing: sealing}); err == nil {
			h.uploads = append(h.uploads, u)
		}
	case 8:
		h.endUpload(ctx)
	case 9:
		_, _ = h.fake.RotateKey(ctx, []string{"app", "other", object.DefaultKeyID}[h.r.IntN(3)])
	case 10:
		_, _ = h.s.Rewrap(ctx, object.RewrapRequest{Bucket: bucket, MaxObjects: h.r.IntN(4), PageSize: 1 + h.r.IntN(3)})
	case 11:
		h.emptyBucket(ctx)
	default:
		h.stepOfMount(ctx, bucket, key)
	}
}

// stepOfMount does one thing that a mount does.
func (h *historian) stepOfMount(ctx context.Context, bucket, key string) {
	_, other := h.place()
	switch h.r.IntN(4) {
	case 0:
		_, _ = h.s.Link(ctx, bucket, key, other)
	case 1:
		_ = h.s.Rename(ctx, object.RenameRequest{Bucket: bucket, From: key, To: other})
	case 2:
		_ = h.s.Rename(ctx, object.RenameRequest{Bucket: bucket, From: []string{"d1", "d2", "d3"}[h.r.IntN(3)], To: []string{"d1", "d2", "d3"}[h.r.IntN(3)]})
	case 3:
		h.edit(ctx, bucket, key, other)
	}
}

// edit writes into a file, which it makes where there is none, and clones a range of another into it.
func (h *historian) edit(ctx context.Context, bucket, key, other string) {
	f, err := h.s.OpenFile(ctx, bucket, key)
	if object.KindOf(err) == object.KindNoSuchKey {
		f, err = h.s.CreateFile(ctx, object.CreateRequest{Bucket: bucket, Key: key, Attr: object.Attributes{Mode: 0o100644}})
	}
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteAt(ctx, data(h.r.IntN(300), 3), int64(h.r.IntN(200)))
	if src, err := h.s.OpenFile(ctx, bucket, other); err == nil {
		_, _ = f.CloneRange(ctx, 100, src, 0, 120)
		_ = src.Close()
	}
	_ = f.Sync(ctx)
}

func (h *historian) endUpload(ctx context.Context) {
	if len(h.uploads) == 0 {
		return
	}
	u := h.uploads[0]
	h.uploads = h.uploads[1:]
	if h.r.IntN(3) == 0 {
		_ = h.s.AbortUpload(ctx, u.Bucket, u.Key, u.UploadID)
		return
	}
	p, err := h.s.PutPart(ctx, object.PartRequest{Bucket: u.Bucket, Key: u.Key, UploadID: u.UploadID, Number: 1, Body: bytes.NewReader(data(150, 2)), Size: 150})
	if err != nil {
		return
	}
	_, _ = h.s.CompleteUpload(ctx, object.CompleteRequest{Bucket: u.Bucket, Key: u.Key, UploadID: u.UploadID, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}})
}

// emptyBucket takes a bucket away, with its uploads, and makes it anew.
func (h *historian) emptyBucket(ctx context.Context) {
	page, _ := h.s.List(ctx, object.ListRequest{Bucket: "second", Max: object.MaxListKeys})
	for _, o := range page.Objects {
		_ = h.s.Delete(ctx, object.DeleteRequest{Bucket: "second", Key: o.Key})
	}
	if h.s.DeleteBucket(ctx, "second") == nil {
		_, _ = h.s.CreateBucket(ctx, "second")
	}
}

// TestCensusIsExact lets several writers work at random, cuts the power now and then while they do, and finds the kept
// census equal to the records each time.
func TestCensusIsExact(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	for _, id := range []string{"app", "other"} {
		if _, err := fake.CreateKey(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 6 {
		s := env.Open(t, func(o *object.Options) {
			smallLayout(o)
			o.CloneLeast = 50
		})
		checkCensus(t, s)
		for _, b := range historyBuckets {
			_, _ = s.CreateBucket(t.Context(), b)
		}
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				h := &historian{s: s, fake: fake, r: rand.New(rand.NewPCG(seed, uint64(round*10+w))), customer: cipher.NewKEK()}
				for range 60 {
					h.step(t.Context())
				}
			})
		}
		writers.Go(func() { checkCensus(t, s) }) // also while they write
		next := make(chan *objecttest.Env, 1)
		writers.Go(func() { next <- env.Crash() })
		writers.Wait()
		checkCensus(t, s)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 {
			env = <-next
		}
	}
}

// TestCensusOfEarlierVersions takes what keeps the census away from a store: the next run makes it, while it serves.
func TestCensusOfEarlierVersions(t *testing.T) {
	t.Parallel()
	env, s, fake := openSealed(t)
	h := &historian{s: s, fake: fake, r: rand.New(rand.NewPCG(1, 2)), customer: cipher.NewKEK()}
	for range 200 {
		h.step(t.Context())
	}
	want, err := s.Census(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	meta := metastore.New(env.Driver, env.Box)
	err = meta.Update(t.Context(), func(tx *metastore.Tx) error {
		from, to := metastore.PrefixRange([]byte("s"))
		for kv, err := range tx.Scan(from, to) {
			if err == nil {
				err = tx.Delete(kv.Key)
			}
			if err != nil {
				return err
			}
		}
		return tx.Delete([]byte("mcensus"))
	})
	if err != nil {
		t.Fatal(err)
	}
	s = env.Open(t, smallLayout)
	if got, err := s.Census(t.Context()); err != nil || !cmp.Equal(got, want) {
		t.Errorf("census %+v, %v; want %+v", got, err, want)
	}
	h.s = s
	for kept := false; !kept; {
		h.step(t.Context())
		err := meta.View(t.Context(), func(v *metastore.View) error {
			_, err := v.Get([]byte("mcensus"))
			return err
		})
		kept = err == nil
	}
	checkCensus(t, s)
}

// TestCensusIsSetRight finds a count that was damaged, says so, and mends it.
func TestCensusIsSetRight(t *testing.T) {
	t.Parallel()
	env, s, _ := openSealed(t)
	putSealed(t, s, "bucket", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	if err := s.Close(); err != nil { // folds
		t.Fatal(err)
	}
	err := metastore.New(env.Driver, env.Box).Update(t.Context(), func(tx *metastore.Tx) error {
		from, to := metastore.PrefixRange([]byte("sc"))
		for kv, err := range tx.Scan(from, to) {
			if err == nil {
				err = tx.Delete(kv.Key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s = env.Open(t, smallLayout)
	if check, err := s.CheckCensus(t.Context()); err != nil || check.Repaired != 1 || cmp.Equal(check.Entries, check.Kept) {
		t.Errorf("check %+v, %v", check, err)
	}
	checkCensus(t, s)
}

// countingDriver counts the keys that transactions write.
type countingDriver struct {
	metastore.Driver
	mu   sync.Mutex
	keys []int
}

func (d *countingDriver) Apply(ctx context.Context, b metastore.Batch) (uint64, error) {
	d.mu.Lock()
	d.keys = append(d.keys, len(b.Writes))
	d.mu.Unlock()
	return d.Driver.Apply(ctx, b)
}

// TestCensusCostsOneKey counts what a put writes: the record, its bytes and one tally; no tally where nothing changes.
func TestCensusCostsOneKey(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	d := &countingDriver{Driver: env.Driver}
	env.Driver = d
	s := env.Open(t, nil)
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "first", data(10, 1)) // what is made ahead is made now
	d.keys = nil
	put(t, s, "bucket", "key", data(10, 1))
	put(t, s, "bucket", "key", data(10, 1)) // replaces, and queues a removal
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.keys) < 2 || d.keys[0] != 3 || d.keys[1] != 3 {
		t.Errorf("transactions of %v keys", d.keys)
	}
}

// TestCensusForgetsBuckets removes a bucket with more KEKs than one transaction can take away.
func TestCensusForgetsBuckets(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	yes := true
	for i := range 70 {
		keyID := fmt.Sprint("key", i)
		if _, err := fake.CreateKey(t.Context(), keyID); err != nil {
			t.Fatal(err)
		}
		putSealed(t, s, "second", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: keyID, BucketKey: &yes})
	}
	if err := s.Delete(t.Context(), object.DeleteRequest{Bucket: "second", Key: "key"}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteBucket(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, err := s.Census(t.Context()); err != nil || len(entries) != 1 || entries[0].KeyID != object.DefaultKeyID || entries[0].KEKs != 1 {
		t.Errorf("census %+v, %v", entries, err)
	}
}
