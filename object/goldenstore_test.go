package object_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coffer/chunk/memchunk"
	"coffer/cipher"
	"coffer/kms/static"
	"coffer/metastore"
	"coffer/metastore/memdb"
	"coffer/object"
	"coffer/object/objecttest"
)

const (
	goldenStore    = "testdata/v1/store.txt"
	goldenStoreKey = "store key of the golden store, 1"
	goldenClient   = "a client's key of 32 bytes, known"
	goldenBackend  = "app:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
)

// goldenEnv is an empty Env under keys that are known: those of the metastore, and one key of a static backend, for every
// mode.
func goldenEnv(t *testing.T) *objecttest.Env {
	t.Helper()
	key, err := cipher.StoreKeyFromBytes([]byte(goldenStoreKey))
	if err != nil {
		t.Fatal(err)
	}
	backend, err := static.Open([]byte(goldenBackend))
	if err != nil {
		t.Fatal(err)
	}
	return &objecttest.Env{
		Driver: memdb.New(), Chunks: memchunk.New(memchunk.Options{}), Keyring: backend,
		StoreID: cipher.StoreID([]byte("golden store ID!")), Box: cipher.NewBox(key.Derive(cipher.LabelValues)),
	}
}

func openGolden(t *testing.T, env *objecttest.Env) *object.Store {
	t.Helper()
	return env.Open(t, func(o *object.Options) {
		smallLayout(o)
		o.Keys = object.SingleKey{Backend: env.Keyring, KeyID: "app"}
	})
}

func goldenCustomer(t *testing.T) *cipher.KEK {
	t.Helper()
	customer, err := object.CustomerKey([]byte(goldenClient)[:32])
	if err != nil {
		t.Fatal(err)
	}
	return customer
}

// goldenObjects are the objects of each mode, and how many bytes they have. There is an upload of each mode besides, with
// one part of the size of "parts".
var goldenObjects = map[string]int{"empty": 0, "small": 50, "large": 9000, "parts": 5000}

// makeGoldenStore fills a store with an object of each kind in each mode, and dumps all that lies anywhere.
func makeGoldenStore(t *testing.T) []byte {
	t.Helper()
	env := goldenEnv(t)
	s := openGolden(t, env)
	newBucket(t, s, "bucket")
	for name, how := range sealings(goldenCustomer(t)) {
		for kind, size := range goldenObjects {
			if kind != "parts" {
				putSealed(t, s, "bucket", name+"/"+kind, data(size, byte(size)), how)
				continue
			}
			goldenUpload(t, s, name+"/parts", how, true)
			goldenUpload(t, s, name+"/upload", how, false)
		}
		if how.Mode != object.ModeSSEC {
			_, err := s.Copy(context.Background(), object.CopyRequest{SourceBucket: "bucket", SourceKey: name + "/large",
				Bucket: "bucket", Key: name + "/copy", Sealing: how})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var out bytes.Buffer
	snap, err := env.Driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for item, err := range snap.Scan([]byte{0}, bytes.Repeat([]byte{0xff}, 100)) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "value %x %x\n", item.Key, item.Value)
	}
	for info, err := range env.Chunks.List(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := env.Chunks.Open(context.Background(), info.ID)
		if err != nil {
			t.Fatal(err)
		}
		sealed := make([]byte, r.Size())
		if _, err := r.ReadAt(sealed, 0); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		fmt.Fprintf(&out, "chunk %s %x\n", info.ID, sealed)
	}
	return out.Bytes()
}

func goldenUpload(t *testing.T, s *object.Store, key string, how object.Sealing, complete bool) {
	t.Helper()
	body := data(goldenObjects["parts"], 7)
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: key, Sealing: how})
	p, err := s.PutPart(context.Background(), object.PartRequest{Bucket: "bucket", Key: key, UploadID: id, Number: 3,
		Body: bytes.NewReader(body), Size: int64(len(body)), Customer: customerOf(how)})
	if err == nil && complete {
		_, err = s.CompleteUpload(context.Background(), object.CompleteRequest{Bucket: "bucket", Key: key, UploadID: id, Size: -1,
			Parts: []object.CompletedPart{{Number: 3, ETag: p.ETag}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// load puts back what makeGoldenStore has dumped.
func load(t *testing.T, env *objecttest.Env, dump []byte) {
	t.Helper()
	ctx := context.Background()
	lines := bufio.NewScanner(bytes.NewReader(dump))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		value, err := hex.DecodeString(words[2])
		if err != nil {
			t.Fatal(err)
		}
		if words[0] == "value" {
			key, err := hex.DecodeString(words[1])
			if err != nil {
				t.Fatal(err)
			}
			apply(t, env, metastore.Write{Key: key, Value: value})
			continue
		}
		id, err := cipher.ParseChunkID(words[1])
		if err != nil {
			t.Fatal(err)
		}
		w, err := env.Chunks.Create(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(value); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenStore opens a store that an earlier version has written: records, envelopes and chunks of every mode.
// -golden.make writes the file where there is none; one that is there is never changed.
func TestGoldenStore(t *testing.T) {
	t.Parallel()
	dump, err := os.ReadFile(filepath.FromSlash(goldenStore))
	if os.IsNotExist(err) && flag.Lookup("golden.make").Value.String() == "true" {
		dump = makeGoldenStore(t)
		err = os.WriteFile(filepath.FromSlash(goldenStore), dump, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	env := goldenEnv(t)
	load(t, env, dump)
	s := openGolden(t, env)
	for name, how := range sealings(goldenCustomer(t)) {
		t.Run(name, func(t *testing.T) {
			for kind, size := range goldenObjects {
				body := data(size, byte(size))
				if kind == "parts" {
					body = data(size, 7)
				}
				wantGolden(t, s, name+"/"+kind, how, body)
			}
			if how.Mode != object.ModeSSEC {
				wantGolden(t, s, name+"/copy", how, data(9000, byte(9000%256)))
			}
			finishGolden(t, s, name+"/upload", how)
		})
	}
	checkCensus(t, s)
}

func wantGolden(t *testing.T, s *object.Store, key string, how object.Sealing, body []byte) {
	t.Helper()
	got, err := opened(s, "bucket", key, customerOf(how))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s: %d bytes of %d, %v", key, len(got), len(body), err)
	}
	k := inspect(t, s, "bucket", key).Keys[0]
	want := how.Mode
	if want == 0 {
		want = object.ModeSSES3
	}
	if k.Mode != want || want != object.ModeSSEC && k.KeyID != "app" {
		t.Errorf("%s: sealed as %v under %q", key, k.Mode, k.KeyID)
	}
}

// finishGolden completes an upload that an earlier version has begun.
func finishGolden(t *testing.T, s *object.Store, key string, how object.Sealing) {
	t.Helper()
	ctx := context.Background()
	list, err := s.ListUploads(ctx, object.ListUploadsRequest{Bucket: "bucket", Prefix: key, Max: 10})
	if err != nil || len(list.Uploads) != 1 {
		t.Fatalf("%s: %d uploads, %v", key, len(list.Uploads), err)
	}
	id, more := list.Uploads[0].UploadID, data(300, 9)
	last, err := s.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: key, UploadID: id, Number: 4,
		Body: bytes.NewReader(more), Size: int64(len(more)), Customer: customerOf(how)})
	if err != nil {
		t.Fatalf("%s: a further part: %v", key, err)
	}
	if _, err := s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: key, UploadID: id, Size: -1,
		Parts: []object.CompletedPart{{Number: 4, ETag: last.ETag}}}); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	wantGolden(t, s, key, how, more)
}
