package object_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/object"
	"coffer/object/objecttest"
)

// witness is a KeyService that notes what keys are used for.
type witness struct {
	object.KeyService
	mu   sync.Mutex
	uses []use
}

type use struct {
	What     string
	Subjects []object.Subject
}

func (w *witness) note(ctx context.Context, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses = append(w.uses, use{what, object.Subjects(ctx)})
}

func (w *witness) GenerateKEK(ctx context.Context, mode cipher.Mode, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	w.note(ctx, "generate")
	return w.KeyService.GenerateKEK(ctx, mode, keyID, keyContext)
}

func (w *witness) Unwrap(ctx context.Context, wrapped kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	w.note(ctx, "unwrap")
	return w.KeyService.Unwrap(ctx, wrapped, keyContext)
}

func (w *witness) Rewrap(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	w.note(ctx, "rewrap")
	return w.KeyService.Rewrap(ctx, items)
}

// TestSubjects wants every use of a KEK to say which object it is about.
func TestSubjects(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	w := &witness{}
	s := env.Open(t, func(o *object.Options) {
		w.KeyService = o.Keys
		o.Keys = w
	})
	ctx := t.Context()
	own := object.Sealing{Mode: object.ModeSSEKMS, KeyID: object.DefaultKeyID, BucketKey: new(false)}
	shared := object.Sealing{Mode: object.ModeSSEKMS, KeyID: object.DefaultKeyID, BucketKey: new(true)}
	customer := object.Sealing{Mode: object.ModeSSEC, Customer: cipher.NewKEK()}
	opens := func(bucket, key string) object.Subject { return object.Subject{Bucket: bucket, Key: key} }
	seals := func(bucket, key string) object.Subject { return object.Subject{Bucket: bucket, Key: key, Seals: true} }
	put := func(key string, how object.Sealing) func() error {
		return func() error {
			_, err := s.Put(ctx, object.PutRequest{Bucket: "one", Key: key, Body: strings.NewReader("body"), Size: 4, Sealing: how})
			return err
		}
	}
	get := func(key string, customer *cipher.KEK) func() error {
		return func() error {
			r, err := s.Get(ctx, object.GetRequest{Bucket: "one", Key: key, Customer: customer})
			if err == nil {
				err = r.Close()
			}
			return err
		}
	}
	copied := func(key string, how object.Sealing) func() error {
		return func() error {
			_, err := s.Copy(ctx, object.CopyRequest{Bucket: "two", Key: key, SourceBucket: "one", SourceKey: "own", Sealing: how})
			return err
		}
	}
	var upload string
	for _, step := range []struct {
		name string
		do   func() error
		want []use
	}{
		{"create a bucket", func() error { _, err := s.CreateBucket(ctx, "one"); return err }, []use{{"generate", []object.Subject{seals("one", "")}}}},
		{"create another", func() error { _, err := s.CreateBucket(ctx, "two"); return err }, []use{{"generate", []object.Subject{seals("two", "")}}}},
		{"default encryption", func() error {
			return s.SetBucketEncryption(ctx, "two", object.BucketEncryption{Mode: object.ModeSSEKMS, KeyID: object.DefaultKeyID})
		}, []use{{"generate", []object.Subject{seals("two", "")}}}},
		{"put under the bucket's", put("plain", object.Sealing{}), []use{{"unwrap", []object.Subject{seals("one", "plain")}}}},
		{"put under a KEK of its own", put("own", own), []use{{"generate", []object.Subject{seals("one", "own")}}}},
		{"put under a bucket key", put("shared", shared), []use{
			{"generate", []object.Subject{seals("one", "")}}, {"unwrap", []object.Subject{seals("one", "shared")}},
		}},
		{"put under a client's key", put("customer", customer), nil},
		{"get", get("own", nil), []use{{"unwrap", []object.Subject{opens("one", "own")}}}},
		{"get of a client's", get("customer", customer.Customer), nil},
		{"copy of metadata", copied("own", own), []use{
			{"unwrap", []object.Subject{opens("one", "own")}}, {"generate", []object.Subject{seals("two", "own")}},
		}},
		{"copy of bytes", copied("plain", object.Sealing{Mode: object.ModeSSES3}), []use{
			{"unwrap", []object.Subject{opens("one", "own")}}, {"unwrap", []object.Subject{seals("two", "plain")}},
		}},
		{"upload", func() error {
			info, err := s.CreateUpload(ctx, object.UploadRequest{Bucket: "one", Key: "parts", Sealing: own})
			upload = info.UploadID
			return err
		}, []use{{"generate", []object.Subject{seals("one", "parts")}}}},
		{"part", func() error {
			_, err := s.PutPart(ctx, object.PartRequest{Bucket: "one", Key: "parts", UploadID: upload, Number: 1, Body: strings.NewReader("body"), Size: 4})
			return err
		}, []use{{"unwrap", []object.Subject{opens("one", "parts")}}}},
		{"head", func() error { _, err := s.Head(ctx, object.GetRequest{Bucket: "one", Key: "own"}); return err }, nil},
		{"rewrap", func() error {
			if _, err := env.Keyring.RotateKey(ctx, object.DefaultKeyID); err != nil {
				return err
			}
			_, err := s.Rewrap(ctx, object.RewrapRequest{Bucket: "one"})
			return err
		}, []use{
			{"rewrap", []object.Subject{opens("one", "")}}, {"rewrap", []object.Subject{opens("one", "")}}, {"rewrap", []object.Subject{opens("one", "own")}},
			{"rewrap", []object.Subject{opens("one", "parts")}},
		}},
	} {
		w.uses = nil
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, w.uses); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}
