package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

// works sums up what Options.Observe is told.
type works struct {
	mu     sync.Mutex
	bytes  map[string]int64
	errors map[string]int
	timed  map[string]bool
}

func (w *works) observe(done object.Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := fmt.Sprintf("seal %v", done.Mode)
	if done.Opened {
		what = fmt.Sprintf("open %v", done.Mode)
	}
	if done.Err != nil {
		w.errors[what+": "+object.KindOf(done.Err).String()]++
		return
	}
	w.bytes[what] += done.Bytes
	w.timed[what] = w.timed[what] || done.Took > 0
}

// TestObserve counts what is sealed and opened in each mode, small and large.
func TestObserve(t *testing.T) {
	t.Parallel()
	const total = 100 + 90_000
	customer := cipher.NewKEK()
	for name, how := range sealings(customer) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, _, s := openObserved(t)
			putSealed(t, s, "bucket", "small", data(100, 3), how)
			putSealed(t, s, "bucket", "large", data(90_000, 3), how)
			for _, key := range []string{"small", "large"} {
				read(t, s, object.GetRequest{Bucket: "bucket", Key: key, Customer: customerOf(how)})
			}
			read(t, s, object.GetRequest{Bucket: "bucket", Key: "large", Range: &object.RangeSpec{First: 10, Last: 19}, Customer: customerOf(how)})
			mode := how.Mode
			if mode == 0 {
				mode = object.ModeSSES3
			}
			sealed, opened := fmt.Sprintf("seal %v", mode), fmt.Sprintf("open %v", mode)
			want := map[string]int64{sealed: total, opened: total + 10}
			if diff := cmp.Diff(want, seen.bytes); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}
			if len(seen.errors) != 0 || !seen.timed[sealed] || !seen.timed[opened] {
				t.Errorf("errors %v, timed %v", seen.errors, seen.timed)
			}
		})
	}
}

func openObserved(t *testing.T) (*works, *objecttest.Env, *object.Store) {
	seen := &works{bytes: map[string]int64{}, errors: map[string]int{}, timed: map[string]bool{}}
	env := objecttest.New()
	if _, err := env.Keyring.(*kmstest.Fake).CreateKey(context.Background(), "app"); err != nil {
		t.Fatal(err)
	}
	s := env.Open(t, func(o *object.Options) {
		smallLayout(o)
		o.Observe = seen.observe
	})
	newBucket(t, s, "bucket")
	return seen, env, s
}

// TestObserveFailures counts keys that cannot be had, and nothing that a client has spoilt.
func TestObserveFailures(t *testing.T) {
	t.Parallel()
	seen, env, s := openObserved(t)
	ctx, customer := context.Background(), cipher.NewKEK()
	app := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}
	putSealed(t, s, "bucket", "kms", data(100, 1), app)
	putSealed(t, s, "bucket", "client's", data(100, 1), object.Sealing{Mode: object.ModeSSEC, Customer: customer})
	clear(seen.bytes)
	get := func(key string, customer *cipher.KEK) error {
		_, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: key, Customer: customer})
		return err
	}
	store := func(body []byte, how object.Sealing, want object.Digests) error {
		_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "new", Body: bytes.NewReader(body), Size: 100, Sealing: how, Digests: want})
		return err
	}
	fake := env.Keyring.(*kmstest.Fake)
	fake.SetRule(func(context.Context, kmstest.Op, string) error { return kms.Unavailable })
	errs := []error{get("kms", nil), store(data(100, 1), app, object.Digests{})}
	fake.SetRule(nil)
	errs = append(errs,
		store(data(100, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "nobody"}, object.Digests{}),
		get("client's", cipher.NewKEK()), get("client's", nil),
		get("kms", customer), store(data(99, 1), app, object.Digests{}))
	for i, err := range errs {
		if err == nil {
			t.Errorf("call %d succeeded", i)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Get(stopped, object.GetRequest{Bucket: "bucket", Key: "kms"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
	want := map[string]int{
		"open SSE-KMS: unavailable": 1, "seal SSE-KMS: unavailable": 1, "seal SSE-KMS: key not found": 1,
		"open SSE-C: customer key wrong": 1, "open SSE-C: customer key missing": 1,
	}
	if diff := cmp.Diff(want, seen.errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if len(seen.bytes) != 0 {
		t.Errorf("bytes of what failed: %v", seen.bytes)
	}
}

// TestStats holds a removal up by reading what is removed.
func TestStats(t *testing.T) {
	t.Parallel()
	_, _, s := openObserved(t)
	ctx := context.Background()
	put(t, s, "bucket", "key", data(90_000, 1))
	put(t, s, "bucket", "other", data(90_000, 1))
	r, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	stats := func() object.Stats {
		t.Helper()
		got, err := s.Stats(ctx)
		if err != nil || got.Total == 0 || got.Free > got.Total {
			t.Errorf("%+v, %v", got, err)
		}
		got.Free, got.Total = 0, 0
		return got
	}
	for _, key := range []string{"key", "other"} {
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object.Stats{Removals: 1, Collected: 1, Pinned: 1}, stats()); diff != "" {
		t.Errorf("while it is read (-want +got):\n%s", diff)
	}
	_ = r.Close()
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object.Stats{Collected: 2}, stats()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}
