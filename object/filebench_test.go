package object_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

// BenchmarkFileFrame compares sizes of frames in what a mount writes: reading 4 KiB here and there, and all in order.
func BenchmarkFileFrame(b *testing.B) {
	const size = 64 << 20
	ctx := context.Background()
	for _, frame := range []int{4 << 10, 16 << 10, 64 << 10} {
		disk, err := objecttest.OpenDisk(ctx, filepath.Join(b.TempDir(), fmt.Sprint(frame)))
		if err != nil {
			b.Fatal(err)
		}
		s, err := object.Open(ctx, optionsOf(disk.Env, func(o *object.Options) { o.FileFrame = frame }))
		if err != nil {
			b.Fatal(err)
		}
		newBucket(b, s, "bucket")
		f, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: "key", Attr: object.Attributes{Mode: 0o100644}})
		if err != nil {
			b.Fatal(err)
		}
		unit := data(1<<20, 1)
		for off := int64(0); off < size; off += int64(len(unit)) {
			if _, err := f.WriteAt(ctx, unit, off); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(ctx); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("random/%d", frame), func(b *testing.B) {
			p := make([]byte, 4<<10)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if _, err := f.ReadAt(ctx, p, rand.Int64N(size/int64(len(p)))*int64(len(p))); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("sequential/%d", frame), func(b *testing.B) {
			p := make([]byte, 128<<10)
			b.SetBytes(int64(len(p)))
			for off := int64(0); b.Loop(); off = (off + int64(len(p))) % size {
				if _, err := f.ReadAt(ctx, p, off); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := disk.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
