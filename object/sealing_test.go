package object_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

// sealings are all ways to seal an object.
func sealings(customer *cipher.KEK) map[string]object.Sealing {
	yes := true
	return map[string]object.Sealing{
		"default":            {},
		"SSE-S3":             {Mode: object.ModeSSES3},
		"SSE-KMS":            {Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(`{"b":"2","a":"1"}`)},
		"SSE-KMS bucket key": {Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes},
		"SSE-C":              {Mode: object.ModeSSEC, Customer: customer},
	}
}

func openSealed(t *testing.T) (*objecttest.Env, *object.Store, *kmstest.Fake) {
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	for _, id := range []string{"app", "other"} {
		if _, err := fake.CreateKey(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	s := env.Open(t, smallLayout)
	newBucket(t, s, "bucket")
	newBucket(t, s, "second")
	return env, s, fake
}

func putSealed(t *testing.T, s *object.Store, bucket, key string, body []byte, how object.Sealing) object.ObjectInfo {
	t.Helper()
	info, err := s.Put(context.Background(), object.PutRequest{Bucket: bucket, Key: key, Body: bytes.NewReader(body),
		Size: int64(len(body)), Sealing: how})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// customerOf is what a request for an object sealed so must bring.
func customerOf(how object.Sealing) *cipher.KEK {
	if how.Mode == object.ModeSSEC {
		return how.Customer
	}
	return nil
}

func TestEveryModeReadsBack(t *testing.T) {
	t.Parallel()
	customer := cipher.NewKEK()
	for name, how := range sealings(customer) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, _ := openSealed(t)
			for _, size := range []int{0, 1, 100, 101, 90_000} {
				body := data(size, 3)
				info := putSealed(t, s, "bucket", "key", body, how)
				if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Customer: customerOf(how)}); !bytes.Equal(got, body) {
					t.Fatalf("%d bytes read back differently", size)
				}
				again := putSealed(t, s, "bucket", "again", body, how)
				plain := how.Mode == 0 || how.Mode == object.ModeSSES3
				if (info.ETag == again.ETag) != plain || len(info.ETag) != 32 {
					t.Errorf("ETags %s and %s of equal plaintexts", info.ETag, again.ETag)
				}
				if how.Mode == object.ModeSSEKMS && (info.Encryption.KeyID != "app" || !bytes.Equal(info.Encryption.Context, how.Context)) {
					t.Errorf("encryption %+v", info.Encryption)
				}
			}
		})
	}
}

func TestCopiesAcrossModes(t *testing.T) {
	t.Parallel()
	customer := cipher.NewKEK()
	body := data(90_000, 4)
	for from, source := range sealings(customer) {
		for to, target := range sealings(cipher.NewKEK()) {
			for _, bucket := range []string{"bucket", "second"} {
				t.Run(fmt.Sprintf("%s to %s in %s", from, to, bucket), func(t *testing.T) {
					t.Parallel()
					_, s, _ := openSealed(t)
					putSealed(t, s, "bucket", "source", body, source)
					req := object.CopyRequest{SourceBucket: "bucket", SourceKey: "source", Bucket: bucket, Key: "copy",
						SourceCustomer: customerOf(source), Sealing: target}
					if _, err := s.Copy(context.Background(), req); err != nil {
						t.Fatal(err)
					}
					if err := s.Delete(context.Background(), object.DeleteRequest{Bucket: "bucket", Key: "source"}); err != nil {
						t.Fatal(err)
					}
					if _, err := s.Collect(context.Background()); err != nil {
						t.Fatal(err)
					}
					got := read(t, s, object.GetRequest{Bucket: bucket, Key: "copy", Customer: customerOf(target)})
					if !bytes.Equal(got, body) {
						t.Error("the copy differs")
					}
				})
			}
		}
	}
}

func TestDestroyedKeyTakesOnlyItsOwnObjects(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	body := data(90_000, 5)
	putSealed(t, s, "bucket", "source", body, object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	if _, err := s.Copy(context.Background(), object.CopyRequest{SourceBucket: "bucket", SourceKey: "source", Bucket: "bucket", Key: "copy",
		Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: "other"}}); err != nil {
		t.Fatal(err)
	}
	fake.Destroy("app")
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "copy"}); !bytes.Equal(got, body) {
		t.Error("the copy differs")
	}
	_, err := s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: "source"})
	wantKind(t, err, object.KindKeyNotFound)
	if _, err := s.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: "source"}); err != nil {
		t.Errorf("HEAD needs a key: %v", err)
	}
}

// TestDestroyedKeyStopsWrites: a bucket key that was in use a moment ago must not be used on.
func TestDestroyedKeyStopsWrites(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	yes := true
	how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}
	putSealed(t, s, "bucket", "key", data(10, 1), how)
	fake.Destroy("app")
	_, err := s.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: "next", Body: bytes.NewReader(nil), Sealing: how})
	wantKind(t, err, object.KindKeyNotFound)
}

// TestNewKeyUnderAnOldName: what a bucket's KEK was wrapped by is gone, and a key that is made under its id serves the
// bucket's writes from then on, also after a restart.
func TestNewKeyUnderAnOldName(t *testing.T) {
	t.Parallel()
	env, s, fake := openSealed(t)
	yes := true
	how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}
	putSealed(t, s, "bucket", "old", data(10, 1), how)
	fake.Destroy("app")
	if _, err := fake.CreateKey(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		putSealed(t, s, "bucket", key, data(10, 2), how)
	}
	s = env.Crash().Open(t, smallLayout)
	putSealed(t, s, "bucket", "c", data(10, 2), how)
	for _, key := range []string{"a", "b", "c"} {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: key}); !bytes.Equal(got, data(10, 2)) {
			t.Errorf("%s reads back differently", key)
		}
	}
	_, err := s.Get(t.Context(), object.GetRequest{Bucket: "bucket", Key: "old"})
	wantKind(t, err, object.KindCorrupt)
}

// TestBackendThatUnwrapsNothing is not asked for a KEK with every write that fails.
func TestBackendThatUnwrapsNothing(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	yes := true
	how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}
	putSealed(t, s, "bucket", "key", data(10, 1), how)
	fake.SetRule(func(_ context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpUnwrap {
			return kms.Crypto
		}
		return nil
	})
	before := fake.Calls(kmstest.OpGenerateKEK)
	for range 5 {
		_, err := s.Put(t.Context(), object.PutRequest{Bucket: "bucket", Key: "next", Body: bytes.NewReader(nil), Sealing: how})
		wantKind(t, err, object.KindCorrupt)
	}
	if n := fake.Calls(kmstest.OpGenerateKEK) - before; n != 1 {
		t.Errorf("%d KEKs were made", n)
	}
}

// TestDisabledKeyStopsWrites: also those under a KEK of the bucket that the key could still unwrap.
func TestDisabledKeyStopsWrites(t *testing.T) {
	t.Parallel()
	for _, bucketKey := range []bool{false, true} {
		for state, kind := range map[kms.State]object.Kind{kms.StateDisabled: object.KindKeyDisabled, kms.StatePendingDeletion: object.KindKeyDisabled} {
			t.Run(fmt.Sprintf("%v, bucket key %v", state, bucketKey), func(t *testing.T) {
				t.Parallel()
				_, s, fake := openSealed(t)
				how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &bucketKey}
				putSealed(t, s, "bucket", "key", data(10, 1), how)
				fake.SetState("app", state)
				_, err := s.Put(t.Context(), object.PutRequest{Bucket: "bucket", Key: "next", Body: bytes.NewReader(nil), Sealing: how})
				wantKind(t, err, kind)
				if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, data(10, 1)) {
					t.Error("it reads back differently")
				}
				fake.SetState("app", kms.StateEnabled)
				putSealed(t, s, "bucket", "next", data(10, 1), how)
			})
		}
	}
}

func TestCustomerKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, s, _ := openSealed(t)
	first, second := cipher.NewKEK(), cipher.NewKEK()
	body := data(90_000, 6)
	info := putSealed(t, s, "bucket", "key", body, object.Sealing{Mode: object.ModeSSEC, Customer: first})
	for name, c := range map[string]struct {
		customer *cipher.KEK
		want     object.Kind
	}{"missing": {nil, object.KindCustomerKeyMissing}, "wrong": {second, object.KindCustomerKeyWrong}} {
		req := object.GetRequest{Bucket: "bucket", Key: "key", Customer: c.customer}
		_, err := s.Get(ctx, req)
		wantKind(t, err, c.want)
		_, err = s.Head(ctx, req)
		wantKind(t, err, c.want)
		_, err = s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "key", Bucket: "bucket", Key: "copy", SourceCustomer: c.customer})
		wantKind(t, err, c.want)
		_ = name
	}
	putSealed(t, s, "bucket", "plain", body, object.Sealing{})
	_, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: "plain", Customer: first})
	wantKind(t, err, object.KindInvalidRequest)

	changed, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "key", Bucket: "bucket", Key: "key",
		SourceCustomer: first, Sealing: object.Sealing{Mode: object.ModeSSEC, Customer: second}})
	if err != nil || changed.ETag != info.ETag {
		t.Fatalf("changing the client's key: %+v, %v", changed, err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Customer: second}); !bytes.Equal(got, body) {
		t.Error("the object differs under its new key")
	}
	_, err = s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: "key", Customer: first})
	wantKind(t, err, object.KindCustomerKeyWrong)
}

func TestCustomerKeysOfUploads(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, s, _ := openSealed(t)
	customer := cipher.NewKEK()
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key", Sealing: object.Sealing{Mode: object.ModeSSEC, Customer: customer}})
	body := data(50_000, 7)
	part := object.PartRequest{Bucket: "bucket", Key: "key", UploadID: id, Number: 1, Size: int64(len(body))}
	for customer, want := range map[*cipher.KEK]object.Kind{nil: object.KindCustomerKeyMissing, cipher.NewKEK(): object.KindCustomerKeyWrong} {
		part.Body, part.Customer = bytes.NewReader(body), customer
		_, err := s.PutPart(ctx, part)
		wantKind(t, err, want)
	}
	part.Body, part.Customer = bytes.NewReader(body), customer
	p, err := s.PutPart(ctx, part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: "key", UploadID: id, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Customer: customer}); !bytes.Equal(got, body) {
		t.Error("the object differs")
	}
}

func TestBucketEncryption(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, s, fake := openSealed(t)
	set := func(e object.BucketEncryption) {
		t.Helper()
		if err := s.SetBucketEncryption(ctx, "bucket", e); err != nil {
			t.Fatal(err)
		}
	}
	set(object.BucketEncryption{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: true, BlockSSEC: true})
	before := fake.Calls(kmstest.OpGenerateKEK)
	for i := range 20 {
		info := putSealed(t, s, "bucket", fmt.Sprint(i), data(10, 1), object.Sealing{})
		if e := info.Encryption; e.Mode != object.ModeSSEKMS || e.KeyID != "app" || !e.BucketKey {
			t.Fatalf("encryption %+v", e)
		}
	}
	if calls := fake.Calls(kmstest.OpGenerateKEK) - before; calls != 1 {
		t.Errorf("%d calls for a bucket key, want 1", calls)
	}
	if info := putSealed(t, s, "bucket", "explicit", data(10, 1), object.Sealing{Mode: object.ModeSSES3}); info.Encryption.Mode != object.ModeSSES3 {
		t.Errorf("an explicit mode did not win: %+v", info.Encryption)
	}
	_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "c", Body: strings.NewReader(""), Size: 0,
		Sealing: object.Sealing{Mode: object.ModeSSEC, Customer: cipher.NewKEK()}})
	wantKind(t, err, object.KindSSECBlocked)
	wantKind(t, s.SetBucketEncryption(ctx, "bucket", object.BucketEncryption{Mode: object.ModeSSEKMS, KeyID: "none"}), object.KindKeyNotFound)
	set(object.BucketEncryption{})
	if e, isSet, err := s.BucketEncryption(ctx, "bucket"); err != nil || isSet || e.Mode != object.ModeSSES3 {
		t.Errorf("removed default: %+v, %v, %v", e, isSet, err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "7"}); !bytes.Equal(got, data(10, 1)) {
		t.Error("an object lost its key with the bucket's default")
	}
}

func TestLongContexts(t *testing.T) {
	t.Parallel()
	_, s, _ := openSealed(t)
	long := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(`{"a":"` + strings.Repeat("x", object.MaxClientContext-8) + `"}`)}
	body := data(50_000, 8)
	putSealed(t, s, "bucket", "key", body, long)
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "upload", Sealing: long})
	p, err := s.PutPart(context.Background(), object.PartRequest{Bucket: "bucket", Key: "upload", UploadID: id, Number: 1,
		Body: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CompleteUpload(context.Background(), object.CompleteRequest{Bucket: "bucket", Key: "upload", UploadID: id, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"key", "upload"} {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: key}); !bytes.Equal(got, body) {
			t.Errorf("%s differs", key)
		}
	}
	_, err = s.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: strings.Repeat("\x01", 1024), Body: bytes.NewReader(nil), Sealing: long})
	wantKind(t, err, object.KindInvalidArgument)
}

func TestValidateContext(t *testing.T) {
	for text, ok := range map[string]bool{
		``: true, `{}`: true, `{"a":"1"}`: true, ` {"a" : "1", "b":"ü"} `: true,
		`{"a":1}`: false, `{"a":{"b":"c"}}`: false, `{"a":"1","a":"2"}`: false, `{"a":"1","\u0061":"2"}`: false,
		`{"bucket":"x"}`: false, `{"key":"x"}`: false, `[]`: false, `"a"`: false, `{"a":"1"`: false, `{"a":"1"} x`: false, `{"a":null}`: false,
		`{"a":"` + strings.Repeat("x", 8<<10) + `"}`: false, "{\"a\":\"\xff\"}": false, `{"a"}`: false, `{"a":"1",}`: false,
	} {
		if err := object.ValidateContext([]byte(text)); (err == nil) != ok || err != nil && object.KindOf(err) != object.KindInvalidArgument {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}
