package metrics_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/metrics"
	"coffer/object"
	"coffer/object/objecttest"
	"coffer/s3api"
)

// BenchmarkTell is what one number costs those who are counted.
func BenchmarkTell(b *testing.B) {
	m := metrics.New(metrics.Options{})
	b.Run("unit of a stream", func(b *testing.B) {
		for b.Loop() {
			m.Work(object.Work{Mode: cipher.ModeSSEKMS, Bytes: 256 << 10, Took: time.Millisecond})
		}
	})
	b.Run("request", func(b *testing.B) {
		for b.Loop() {
			m.Served(s3api.Served{Operation: "GetObject", Status: 200, Took: time.Millisecond, Sent: 1000})
		}
	})
}

// BenchmarkStream moves objects with and without numbers, small and large.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{4 << 10, 16 << 20} {
		for _, counted := range []bool{false, true} {
			name := map[bool]string{false: "plain", true: "counted"}[counted] + map[int]string{4 << 10: " 4 KiB", 16 << 20: " 16 MiB"}[size]
			b.Run(name, func(b *testing.B) {
				d, err := objecttest.OpenDisk(b.Context(), b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = d.Close() }()
				store := d.Open(b, func(o *object.Options) {
					if counted {
						o.Observe = metrics.New(metrics.Options{}).Work
					}
				})
				if _, err := store.CreateBucket(b.Context(), "bucket"); err != nil {
					b.Fatal(err)
				}
				body := make([]byte, size)
				if _, err := store.Put(b.Context(), object.PutRequest{Bucket: "bucket", Key: "key", Body: bytes.NewReader(body), Size: int64(size)}); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				for b.Loop() {
					r, err := store.Get(b.Context(), object.GetRequest{Bucket: "bucket", Key: "key"})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					_ = r.Close()
				}
			})
		}
	}
}
