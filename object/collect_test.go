package object_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"coffer/metastore"
	"coffer/object"
	"coffer/object/objecttest"
)

// leftovers counts chunk files, and metastore keys by their tag.
func leftovers(t testing.TB, env *objecttest.Env) (chunks int, keys map[byte]int) {
	t.Helper()
	for _, err := range env.Chunks.List(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		chunks++
	}
	keys = make(map[byte]int)
	snap, err := env.Driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for item, err := range snap.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		keys[item.Key[0]]++
	}
	return chunks, keys
}

// wantEmpty collects and then finds nothing of any object in the store.
func wantEmpty(t testing.TB, env *objecttest.Env, s *object.Store) {
	t.Helper()
	s.SettleFiles(context.Background())
	if _, err := s.Collect(context.Background()); err != nil {
		t.Fatal(err)
	}
	chunks, keys := leftovers(t, env)
	if chunks != 0 {
		t.Errorf("%d chunk files are left", chunks)
	}
	for _, tag := range []byte("ndecqupbx") {
		if keys[tag] != 0 {
			t.Errorf("%d keys with tag %q are left", keys[tag], tag)
		}
	}
}

func TestNothingIsLeftOfWhatIsGone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, size := range []int{50, 100_000} {
		body := data(size, 1)
		for name, act := range map[string]func(*testing.T, *object.Store){
			"delete": func(t *testing.T, s *object.Store) { put(t, s, "bucket", "key", body) },
			"overwrite": func(t *testing.T, s *object.Store) {
				put(t, s, "bucket", "key", body)
				put(t, s, "bucket", "key", data(size+1, 2))
			},
			"shared copy": func(t *testing.T, s *object.Store) {
				put(t, s, "bucket", "source", body)
				for _, key := range []string{"key", "third"} {
					if _, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "source", Bucket: "bucket", Key: key}); err != nil {
						t.Fatal(err)
					}
				}
				for _, key := range []string{"source", "third"} {
					if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
						t.Fatal(err)
					}
					if _, err := s.Collect(ctx); err != nil {
						t.Fatal(err)
					}
					if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, body) {
						t.Fatal("the copy changed when its sibling went")
					}
				}
			},
			"broken body": func(t *testing.T, s *object.Store) {
				torn := io.MultiReader(bytes.NewReader(body), iotest.ErrReader(errors.New("connection lost")))
				_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "torn", Body: torn, Size: int64(size + 5)})
				wantKind(t, err, object.KindIncompleteBody)
			},
			"wrong digest": func(t *testing.T, s *object.Store) {
				_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "torn", Body: bytes.NewReader(body), Size: int64(size),
					Digests: object.Digests{MD5: make([]byte, 16)}})
				wantKind(t, err, object.KindBadDigest)
			},
			"aborted upload": func(t *testing.T, s *object.Store) {
				id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key"})
				putPart(t, s, id, 1, body, object.Digests{})
				putPart(t, s, id, 7, body, object.Digests{})
				if err := s.AbortUpload(ctx, "bucket", "key", id); err != nil {
					t.Fatal(err)
				}
			},
			"completed upload with a part left out": func(t *testing.T, s *object.Store) {
				id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key"})
				putPart(t, s, id, 1, body, object.Digests{})
				part := putPart(t, s, id, 2, body, object.Digests{})
				if _, err := s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: "key", UploadID: id,
					Parts: []object.CompletedPart{part}, Size: -1}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Collect(ctx); err != nil {
					t.Fatal(err)
				}
				if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, body) {
					t.Fatal("collecting the parts took the object's bytes")
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				env := objecttest.New()
				s := env.Open(t, smallLayout)
				newBucket(t, s, "bucket")
				act(t, s)
				if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "key"}); err != nil {
					t.Fatal(err)
				}
				wantEmpty(t, env, s)
			})
		}
	}
}

func TestReaderKeepsItsVersion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, smallLayout)
	newBucket(t, s, "bucket")
	body := data(900_000, 1)
	put(t, s, "bucket", "key", body)
	r, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "bucket", "key", data(10, 2))
	if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "key"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, r); err != nil || !bytes.Equal(got.Bytes(), body) {
		t.Fatalf("the open reader lost its version: %v", err)
	}
	if chunks, _ := leftovers(t, env); chunks == 0 {
		t.Fatal("the chunks of a version that is being read were collected")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, env, s)
}

func TestRestartRemovesWhatWasUnfinished(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, smallLayout)
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "kept", data(100_000, 1))
	body := &stopped{data: data(200_000, 2), reached: make(chan struct{}), resume: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "torn", Body: body, Size: 400_000})
		done <- err
	}()
	<-body.reached
	crashed := env.Crash()
	close(body.resume)
	wantKind(t, <-done, object.KindIncompleteBody)

	again := crashed.Open(t, smallLayout)
	if got := read(t, again, object.GetRequest{Bucket: "bucket", Key: "kept"}); !bytes.Equal(got, data(100_000, 1)) {
		t.Error("an acknowledged object changed")
	}
	_, err := again.Head(ctx, object.GetRequest{Bucket: "bucket", Key: "torn"})
	wantKind(t, err, object.KindNoSuchKey)
	if err := again.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "kept"}); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, crashed, again)
}

// stopped is a body that waits after its data, and then ends too early.
type stopped struct {
	data            []byte
	reached, resume chan struct{}
}

func (b *stopped) Read(p []byte) (int, error) {
	if len(b.data) == 0 {
		close(b.reached)
		<-b.resume
		return 0, io.EOF
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

func TestChangedBytesAreNeverHandedOut(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	s := env.Open(t, smallLayout)
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "one", data(50, 1))
	put(t, s, "bucket", "two", data(50, 2))
	snap, err := env.Driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var names []metastore.Item
	for item, err := range snap.Scan([]byte("n"), []byte("o")) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, metastore.Item{Key: bytes.Clone(item.Key), Value: bytes.Clone(item.Value)})
	}
	snap.Release()
	if _, err := env.Driver.Apply(context.Background(), metastore.Batch{Writes: []metastore.Write{
		{Key: names[0].Key, Value: names[1].Value}, // the record of another name
	}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: "one"})
	wantKind(t, err, object.KindCorrupt)
}

// TestDamagedRemovalKeepsNoOthers spoils one entry of the removal queue.
func TestDamagedRemovalKeepsNoOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, func(o *object.Options) { smallLayout(o); o.CollectEvery = time.Hour })
	newBucket(t, s, "bucket")
	keep := put(t, s, "bucket", "pinned", data(50_000, 1))
	r, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: keep.Key})
	if err != nil {
		t.Fatal(err)
	}
	remove := func(key string) {
		t.Helper()
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	remove("pinned") // stays queued while it is read
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	from, to := metastore.PrefixRange([]byte("q"))
	snap, err := env.Driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var spoiled []metastore.Write
	for item, err := range snap.Scan(from, to) {
		if err != nil {
			t.Fatal(err)
		}
		spoiled = append(spoiled, metastore.Write{Key: bytes.Clone(item.Key), Value: []byte("damaged")})
	}
	snap.Release()
	if len(spoiled) != 1 {
		t.Fatalf("%d queued removals, want 1", len(spoiled))
	}
	if _, err := env.Driver.Apply(ctx, metastore.Batch{Writes: spoiled}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b", "c"} {
		put(t, s, "bucket", key, data(50_000, 2))
		remove(key)
	}
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if chunks, keys := leftovers(t, env); chunks != 2 || keys['q'] != 1 {
		t.Errorf("%d chunk files and %d queued removals are left, want the 2 and 1 of the damaged one", chunks, keys['q'])
	}
}
