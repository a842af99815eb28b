package object_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/object"
	"coffer/object/objecttest"
)

// writes counts the chunks that are begun.
type writes struct {
	chunk.Store
	begun int
}

func (w *writes) Create(ctx context.Context, id cipher.ChunkID) (chunk.Writer, error) {
	w.begun++
	return w.Store.Create(ctx, id)
}

// lyingChunks gives the hashes of the sealed bytes of everything that is stored: of chunk files, and of chunks in the metastore.
func lyingChunks(t *testing.T, env *objecttest.Env) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
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
		all[info.ID.String()] = sha256.Sum256(sealed)
	}
	snap, err := env.Driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for item, err := range snap.Scan([]byte("d"), []byte("e")) {
		if err != nil {
			t.Fatal(err)
		}
		all[string(item.Key)] = sha256.Sum256(item.Value)
	}
	return all
}

// TestNewClientKeyMovesNoByte: a copy of an SSE-C object onto itself with the old key and a new one leaves every sealed byte
// where it lies, begins no chunk, and keeps ETag and parts; and the old key opens nothing any more.
func TestNewClientKeyMovesNoByte(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, size := range map[string]int{"small": 50, "large": 90_000, "of parts": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := objecttest.New()
			counted := &writes{Store: env.Chunks}
			env.Chunks = counted
			s := env.Open(t, smallLayout)
			newBucket(t, s, "bucket")
			old, fresh := cipher.NewKEK(), cipher.NewKEK()
			how := object.Sealing{Mode: object.ModeSSEC, Customer: old}
			body := data(size, 1)
			if size > 0 {
				putSealed(t, s, "bucket", "key", body, how)
			} else {
				body = putSealedParts(t, s, how)
			}
			head := func(customer *cipher.KEK) object.ObjectInfo {
				t.Helper()
				sel, err := s.Head(ctx, object.GetRequest{Bucket: "bucket", Key: "key", Customer: customer})
				if err != nil {
					t.Fatal(err)
				}
				return sel.Info
			}
			before, lay, begun := head(old), lyingChunks(t, env), counted.begun
			if len(lay) == 0 {
				t.Fatal("nothing is stored")
			}
			if _, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "key", Bucket: "bucket", Key: "key",
				SourceCustomer: old, Sealing: object.Sealing{Mode: object.ModeSSEC, Customer: fresh}}); err != nil {
				t.Fatal(err)
			}
			if counted.begun != begun {
				t.Errorf("%d chunks were begun", counted.begun-begun)
			}
			if diff := cmp.Diff(lay, lyingChunks(t, env)); diff != "" {
				t.Errorf("sealed bytes changed (-before +after):\n%s", diff)
			}
			after := head(fresh)
			if after.ETag != before.ETag || after.Size != before.Size || after.Parts != before.Parts {
				t.Errorf("%+v became %+v", before, after)
			}
			if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Customer: fresh}); !bytes.Equal(got, body) {
				t.Error("it reads differently")
			}
			_, err := opened(s, "bucket", "key", old)
			wantKind(t, err, object.KindCustomerKeyWrong)
		})
	}
}

// putSealedParts makes bucket/key of three parts.
func putSealedParts(t *testing.T, s *object.Store, how object.Sealing) (body []byte) {
	t.Helper()
	ctx := context.Background()
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key", Sealing: how})
	var parts []object.CompletedPart
	for n, size := range []int{object.MinPartSize + 1, object.MinPartSize, 70} {
		part := data(size, byte(n))
		body = append(body, part...)
		p, err := s.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: "key", UploadID: id, Number: n + 1,
			Body: bytes.NewReader(part), Size: int64(size), Customer: customerOf(how)})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, object.CompletedPart{Number: n + 1, ETag: p.ETag})
	}
	if _, err := s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: "key", UploadID: id, Size: -1, Parts: parts}); err != nil {
		t.Fatal(err)
	}
	return body
}
