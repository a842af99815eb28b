package object_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

// during runs fn when n bytes of a body have been read.
type during struct {
	io.Reader
	n  int
	fn func()
}

func (d *during) Read(p []byte) (int, error) {
	if d.n <= 0 && d.fn != nil {
		d.fn()
		d.fn = nil
	}
	n, err := d.Reader.Read(p[:min(len(p), 1000)])
	d.n -= n
	return n, err
}

// TestRevokeEndsStreams: reads, writes, parts and copies under way end; what begins afterwards works, and asks anew.
func TestRevokeEndsStreams(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, how := range sealings(cipher.NewKEK()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, _ := openSealed(t)
			body := data(900_000, 1)
			putSealed(t, s, "bucket", "key", body, how)
			get := object.GetRequest{Bucket: "bucket", Key: "key", Customer: customerOf(how)}

			r, err := s.Get(ctx, get)
			if err != nil {
				t.Fatal(err)
			}
			s.Revoke()
			var out bytes.Buffer
			_, err = io.Copy(&out, r)
			wantKind(t, err, object.KindUnavailable)
			if !bytes.HasPrefix(body, out.Bytes()) || out.Len() > 256<<10 {
				t.Errorf("%d bytes of the stream were handed out after it was revoked", out.Len())
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			for size, after := range map[int]int{50: 0, 900_000: 500_000} {
				_, err = s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "new", Size: int64(size), Sealing: how,
					Body: &during{bytes.NewReader(body[:size]), after, s.Revoke}})
				wantKind(t, err, object.KindUnavailable)
			}
			_, err = s.Head(ctx, object.GetRequest{Bucket: "bucket", Key: "new", Customer: customerOf(how)})
			wantKind(t, err, object.KindNoSuchKey)
			id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "up", Sealing: how})
			part := object.PartRequest{Bucket: "bucket", Key: "up", UploadID: id, Number: 1, Size: int64(len(body)), Customer: customerOf(how)}
			part.Body = &during{bytes.NewReader(body), 500_000, s.Revoke}
			_, err = s.PutPart(ctx, part)
			wantKind(t, err, object.KindUnavailable)
			part.Body = bytes.NewReader(body)
			if _, err := s.PutPart(ctx, part); err != nil {
				t.Errorf("a part afterwards: %v", err)
			}
			if got := read(t, s, get); !bytes.Equal(got, body) {
				t.Error("the object reads differently afterwards")
			}
		})
	}
}

// TestRevokeIsNotOutrun: a key that was had before a revocation serves no stream that begins after it.
func TestRevokeIsNotOutrun(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}
	putSealed(t, s, "bucket", "key", data(90_000, 1), how)
	fake.SetRule(func(context.Context, kmstest.Op, string) error {
		s.Revoke() // while the key is on its way
		return nil
	})
	_, err := s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: "key"})
	wantKind(t, err, object.KindUnavailable)
	_, err = s.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: "new", Body: bytes.NewReader(data(90_000, 1)), Size: 90_000, Sealing: how})
	wantKind(t, err, object.KindUnavailable)
	fake.SetRule(nil)
	if _, err := s.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: "new"}); !errors.As(err, new(*object.Error)) {
		t.Error("something was stored")
	}
}

// TestRevokeTakesKeysFromFiles: an open file asks the key service anew, and is refused with it; what waits to be sealed
// is not lost; of what was being sealed the file says so.
func TestRevokeTakesKeysFromFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	if _, err := fake.CreateKey(ctx, "app"); err != nil {
		t.Fatal(err)
	}
	s := env.Open(t, func(o *object.Options) {
		smallLayout(o)
		o.SealAfter = 50_000
	})
	newBucket(t, s, "bucket")
	if err := s.SetBucketEncryption(ctx, "bucket", object.BucketEncryption{Mode: object.ModeSSEKMS, KeyID: "app"}); err != nil {
		t.Fatal(err)
	}
	body := data(90_000, 1)
	put(t, s, "bucket", "key", body)
	f, err := s.OpenFile(ctx, "bucket", "key")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := func(off int64) error {
		t.Helper()
		p := make([]byte, 100)
		_, err := f.ReadAt(ctx, p, off)
		if err == nil && !bytes.Equal(p, body[off:off+100]) {
			t.Errorf("at %d the file reads differently", off)
		}
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(at(0))
	before := fake.Calls(kmstest.OpUnwrap)
	must(at(50_000))
	if n := fake.Calls(kmstest.OpUnwrap) - before; n != 0 {
		t.Fatalf("%d calls while nothing was revoked", n)
	}
	fake.SetRule(func(context.Context, kmstest.Op, string) error { return kms.Denied })
	must(at(0))
	s.Revoke()
	wantKind(t, at(0), object.KindKeyDenied)
	fake.SetRule(nil)
	must(at(0))
	if n := fake.Calls(kmstest.OpUnwrap) - before; n != 2 {
		t.Errorf("%d calls after it was revoked, want 2", n)
	}

	fresh, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: "new", Attr: object.Attributes{Mode: 0o100644}})
	must(err)
	defer fresh.Close()
	_, err = fresh.WriteAt(ctx, body[:1000], 0)
	must(err)
	s.Revoke()
	must(fresh.Sync(ctx))
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "new"}); !bytes.Equal(got, body[:1000]) {
		t.Error("what waited to be sealed is lost")
	}
	_, err = fresh.WriteAt(ctx, body, 0)
	must(err)
	s.Revoke()
	_, err = fresh.WriteAt(ctx, body, 90_000)
	wantKind(t, err, object.KindUnavailable)
	wantKind(t, fresh.Sync(ctx), object.KindUnavailable)
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "new"}); !bytes.Equal(got, body[:1000]) {
		t.Error("the object is not what was committed last")
	}
}
