package object_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"coffer/object"
	"coffer/object/objecttest"
)

func openBench(b *testing.B) (*objecttest.Disk, *object.Store) {
	d, err := objecttest.OpenDisk(context.Background(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	s := d.Open(b, nil)
	newBucket(b, s, "bucket")
	return d, s
}

// BenchmarkDurablePut stores 4 KiB objects from 64 goroutines; each is durable when it returns.
func BenchmarkDurablePut(b *testing.B) {
	d, s := openBench(b)
	body := data(4096, 1)
	var n atomic.Int64
	before := d.Badger.Stats()
	b.SetBytes(int64(len(body)))
	b.SetParallelism(32) // of 2 cores
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			key := fmt.Sprintf("%016x", n.Add(1))
			if _, err := s.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: int64(len(body))}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	after := d.Badger.Stats()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
	b.ReportMetric(float64(after.Transactions-before.Transactions)/float64(max(after.Flushes-before.Flushes, 1)), "tx/flush")
}

// BenchmarkPutLarge and BenchmarkGetLarge move 64 MiB objects.
func BenchmarkPutLarge(b *testing.B) {
	_, s := openBench(b)
	body := data(64<<20, 1)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		put(b, s, "bucket", "key", body)
	}
}

func BenchmarkGetLarge(b *testing.B) {
	_, s := openBench(b)
	body := data(64<<20, 1)
	put(b, s, "bucket", "key", body)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: "key"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}

// BenchmarkList pages through 10,000 keys, 1,000 at a time.
func BenchmarkList(b *testing.B) {
	_, s := openBench(b)
	ctx := context.Background()
	const keys = 10_000
	var g errgroup.Group
	g.SetLimit(64)
	for i := range keys {
		g.Go(func() error {
			_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: fmt.Sprintf("folder%02d/%06d", i%50, i), Body: bytes.NewReader(nil), Size: 0})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		req := object.ListRequest{Bucket: "bucket", Max: object.MaxListKeys}
		for more := true; more; {
			page, err := s.List(ctx, req)
			if err != nil {
				b.Fatal(err)
			}
			more, req.After = page.More, page.Next
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/(keys/object.MaxListKeys), "µs/page")
}

// BenchmarkInlineLimit is what the default of Options.InlineLimit rests on: objects of one size, in the metastore or in a
// chunk file, put by 64 goroutines and read by 8.
func BenchmarkInlineLimit(b *testing.B) {
	for _, kib := range []int{8, 16, 32, 46} {
		for place, limit := range map[string]int{"metastore": 47 << 10, "file": 1} {
			d, err := objecttest.OpenDisk(context.Background(), b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			s := d.Open(b, func(o *object.Options) { o.InlineLimit = limit })
			b.Cleanup(func() { _ = d.Close() })
			newBucket(b, s, "bucket")
			body := data(kib<<10, 1)
			var n atomic.Int64
			b.Run(fmt.Sprintf("put/%dKiB/%s", kib, place), func(b *testing.B) {
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						put(b, s, "bucket", fmt.Sprint(n.Add(1)), body)
					}
				})
			})
			last := n.Load()
			b.Run(fmt.Sprintf("get/%dKiB/%s", kib, place), func(b *testing.B) {
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					for i := int64(0); pb.Next(); i++ {
						read(b, s, object.GetRequest{Bucket: "bucket", Key: fmt.Sprint(1 + i*7919%last)})
					}
				})
			})
		}
	}
}
