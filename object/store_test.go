package object_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

// data returns n bytes that differ by seed.
func data(n int, seed byte) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func put(t testing.TB, s *object.Store, bucket, key string, body []byte) object.ObjectInfo {
	t.Helper()
	info, err := s.Put(context.Background(), object.PutRequest{Bucket: bucket, Key: key, Body: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(t testing.TB, s *object.Store, req object.GetRequest) []byte {
	t.Helper()
	r, err := s.Get(context.Background(), req)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer r.Close()
	var out bytes.Buffer
	if _, err := io.Copy(&out, r); err != nil {
		t.Fatalf("read: %v", err)
	}
	return out.Bytes()
}

func newBucket(t testing.TB, s *object.Store, name string) {
	t.Helper()
	if _, err := s.CreateBucket(context.Background(), name); err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, want object.Kind) {
	t.Helper()
	if err == nil || object.KindOf(err) != want {
		t.Fatalf("error %v, want kind %q", err, want)
	}
}

// smallLayout makes every boundary of the layout reachable with little data.
func smallLayout(o *object.Options) {
	o.InlineLimit, o.ChunkSize, o.FrameSize = 100, 40_000, 4096
}

func TestPutGetAcrossEveryBoundary(t *testing.T) {
	t.Parallel()
	s := objecttest.New().Open(t, smallLayout)
	newBucket(t, s, "bucket")
	for _, size := range []int{0, 1, 99, 100, 101, 4095, 4096, 4097, 39_999, 40_000, 40_001, 80_000, 256 << 10, 256<<10 + 1, 900_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			body := data(size, 1)
			info := put(t, s, "bucket", "key", body)
			sum := md5.Sum(body)
			if info.ETag != hex.EncodeToString(sum[:]) || info.Size != int64(size) {
				t.Fatalf("info %+v", info)
			}
			if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, body) {
				t.Fatalf("read %d bytes that differ from the %d put", len(got), size)
			}
			for _, edge := range []int{0, 1, 4096, 40_000, 80_000, 256 << 10, size - 1} {
				for _, span := range []int{1, 2, 4097, 50_000} {
					if edge < 0 || edge >= size {
						continue
					}
					first, last := int64(edge), int64(edge+span-1)
					got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Range: &object.RangeSpec{First: first, Last: last}})
					if want := body[first:min(last+1, int64(size))]; !bytes.Equal(got, want) {
						t.Fatalf("range %d-%d differs", first, last)
					}
				}
			}
		})
	}
}
