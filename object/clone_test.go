package object_test

import (
	"bytes"
	"context"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

// TestCloneSharesChunks clones files and finds that no chunk was added, that either may change or go, and that nothing
// is left in the end.
func TestCloneSharesChunks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, size := range map[string]int{"new file": 0, "file with bytes": 30_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := objecttest.New()
			s := env.Open(t, editLayout)
			newBucket(t, s, "bucket")
			want, target := data(100_000, 1), data(size, 2)
			put(t, s, "bucket", "source", want)
			put(t, s, "bucket", "target", target)
			before, _ := leftovers(t, env)
			src, err := s.OpenFile(ctx, "bucket", "source")
			if err != nil {
				t.Fatal(err)
			}
			dst, err := s.OpenFile(ctx, "bucket", "target")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := dst.CloneRange(ctx, 5000, src, 1234, 50_000); n != 50_000 || err != nil {
				t.Fatal(n, err)
			}
			if after, _ := leftovers(t, env); after != before {
				t.Errorf("%d chunks became %d", before, after)
			}
			target = append(target, make([]byte, 55_000-len(target))...)
			copy(target[5000:], want[1234:51_234])
			check := func(key string, want []byte) {
				t.Helper()
				if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: key}); !bytes.Equal(got, want) {
					t.Errorf("%s has other bytes", key)
				}
			}
			check("target", target)
			if _, err := src.WriteAt(ctx, []byte("changed"), 2000); err != nil {
				t.Fatal(err)
			}
			copy(want[2000:], "changed")
			if err := src.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			check("source", want)
			check("target", target)
			for _, f := range []*object.File{src, dst} {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "source"}); err != nil {
				t.Fatal(err)
			}
			collectAll(t, s)
			check("target", target)
			if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "target"}); err != nil {
				t.Fatal(err)
			}
			s.SettleFiles(ctx)
			collectAll(t, s)
			wantEmpty(t, env, s)
		})
	}
}
