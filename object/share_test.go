package object_test

import (
	"context"
	"fmt"
	"testing"

	"coffer/cipher"
	"coffer/object"
)

// TestCopiesShareUnderTheSameKeyAlone: a copy shares the body of its source only where mode, backend and MasterKey are the
// same, and the bucket's KEK where there is one, and never with a client's key. Every other has bytes of its own, under a
// DataKey of its own.
func TestCopiesShareUnderTheSameKeyAlone(t *testing.T) {
	t.Parallel()
	yes := true
	ways := map[string]object.Sealing{
		"SSE-S3":       {Mode: object.ModeSSES3},
		"app":          {Mode: object.ModeSSEKMS, KeyID: "app"},
		"app, context": {Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(`{"a":"1"}`)},
		"app, shared":  {Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes},
		"other":        {Mode: object.ModeSSEKMS, KeyID: "other"},
		"client":       {Mode: object.ModeSSEC, Customer: cipher.NewKEK()},
	}
	shares := map[[3]string]bool{ // from, to, bucket
		{"SSE-S3", "SSE-S3", "bucket"}: true, {"app, shared", "app, shared", "bucket"}: true, {"other", "other", "bucket"}: true, {"other", "other", "second"}: true,
	}
	for _, from := range []string{"app", "app, context"} {
		for _, to := range []string{"app", "app, context"} {
			shares[[3]string{from, to, "bucket"}], shares[[3]string{from, to, "second"}] = true, true
		}
	}
	for from, source := range ways {
		for to, target := range ways {
			for _, bucket := range []string{"bucket", "second"} {
				t.Run(fmt.Sprintf("%s to %s in %s", from, to, bucket), func(t *testing.T) {
					t.Parallel()
					_, s, _ := openSealed(t)
					putSealed(t, s, "bucket", "source", data(90_000, 1), source)
					if _, err := s.Copy(context.Background(), object.CopyRequest{SourceBucket: "bucket", SourceKey: "source", Bucket: bucket, Key: "copy",
						SourceCustomer: customerOf(source), Sealing: target}); err != nil {
						t.Fatal(err)
					}
					a, b := inspect(t, s, "bucket", "source"), inspect(t, s, bucket, "copy")
					shared := a.Body.ID == b.Body.ID
					if shared != shares[[3]string{from, to, bucket}] {
						t.Errorf("shared: %v", shared)
					}
					if want := map[bool]uint32{false: 1, true: 2}[shared]; a.Body.References != want || b.Body.References != want {
						t.Errorf("%d and %d references", a.Body.References, b.Body.References)
					}
					if string(envelope(t, s, "bucket", "source")) == string(envelope(t, s, bucket, "copy")) {
						t.Error("the envelopes are the same")
					}
				})
			}
		}
	}
}
