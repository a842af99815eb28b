package object_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

// BenchmarkNames is what the engine itself costs for a small object, over memory.
func BenchmarkNames(b *testing.B) {
	ctx := context.Background()
	open := func(b *testing.B) *object.Store {
		s := objecttest.New().Open(b, nil)
		newBucket(b, s, "bucket")
		for i := range 1000 {
			put(b, s, "bucket", fmt.Sprintf("key/%04d", i), data(100, 1))
		}
		b.ReportAllocs()
		b.ResetTimer()
		return s
	}
	body := data(100, 1)
	b.Run("put", func(b *testing.B) {
		s := open(b)
		for i := 0; b.Loop(); i++ {
			if _, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: fmt.Sprintf("key/%04d", i%1000), Body: bytes.NewReader(body), Size: 100}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("head", func(b *testing.B) {
		s := open(b)
		for i := 0; b.Loop(); i++ {
			if _, err := s.Head(ctx, object.GetRequest{Bucket: "bucket", Key: fmt.Sprintf("key/%04d", i%1000)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		s := open(b)
		for b.Loop() {
			if _, err := s.List(ctx, object.ListRequest{Bucket: "bucket", Max: 1000}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
