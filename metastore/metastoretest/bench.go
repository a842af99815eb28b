package metastoretest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"coffer/metastore"
)

// Sizes of what Benchmark writes: an object of 4 KiB kept inline, and its record.
const (
	bodySize   = 4 << 10
	recordSize = 700
)

// Benchmark measures durable transactions as the engine makes them for a small
// new object: two keys read for update, of which one is the same for all and
// one is absent, and two written. It runs them from the given number of
// goroutines and reports their rate.
func Benchmark(b *testing.B, d metastore.Driver, goroutines int) {
	db := metastore.New(d, newBox())
	ctx := context.Background()
	bucket := []byte("bucket/one")
	if err := db.Update(ctx, func(tx *metastore.Tx) error { return tx.Put(bucket, make([]byte, 300)) }); err != nil {
		b.Fatal(err)
	}
	body, record := make([]byte, bodySize), make([]byte, recordSize)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	var worker atomic.Uint64
	b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
	b.SetBytes(bodySize + recordSize)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		id := worker.Add(1)
		for n := uint64(0); pb.Next(); n++ {
			name, data := benchKey("name/", id, n), benchKey("data/", id, n)
			err := db.Update(ctx, func(tx *metastore.Tx) error {
				if _, err := tx.GetForUpdate(bucket); err != nil {
					return err
				}
				if _, err := tx.GetForUpdate(name); !errors.Is(err, metastore.ErrNotFound) {
					return errors.Join(errors.New("name exists"), err)
				}
				return errors.Join(tx.Put(name, record), tx.Put(data, body))
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}

// benchKey returns a key that no other pair of numbers gets, in an order that
// says nothing of the time it was made.
func benchKey(prefix string, worker, n uint64) []byte {
	key := bytes.Clone([]byte(prefix))
	key = binary.BigEndian.AppendUint64(key, (worker<<40|n)*0x9e3779b97f4a7c15)
	return binary.BigEndian.AppendUint64(key, worker<<40|n)
}
