package object_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"testing"

	"coffer/object"
	"coffer/object/checksum"
	"coffer/object/objecttest"
)

const mib = 1 << 20

func begin(t testing.TB, s *object.Store, req object.UploadRequest) string {
	t.Helper()
	u, err := s.CreateUpload(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return u.UploadID
}

func putPart(t testing.TB, s *object.Store, upload string, number int, body []byte, d object.Digests) object.CompletedPart {
	t.Helper()
	p, err := s.PutPart(context.Background(), object.PartRequest{
		Bucket: "bucket", Key: "key", UploadID: upload, Number: number, Body: bytes.NewReader(body), Size: int64(len(body)), Digests: d,
	})
	if err != nil {
		t.Fatal(err)
	}
	return object.CompletedPart{Number: number, ETag: p.ETag, Checksum: p.Checksum}
}

func TestMultipartOfOddSizesReadsBack(t *testing.T) {
	t.Parallel()
	s := objecttest.New().Open(t, nil)
	newBucket(t, s, "bucket")
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key"})
	sizes := []int{5*mib + 1, 5*mib + 7, 5 * mib, 1}
	var whole []byte
	var sums []byte
	parts := make([]object.CompletedPart, len(sizes))
	for i, size := range sizes {
		body := data(size, byte(i))
		whole = append(whole, body...)
		sum := md5.Sum(body)
		sums = append(sums, sum[:]...)
	}
	rest := whole
	bodies := make([][]byte, len(sizes))
	for i, size := range sizes {
		bodies[i], rest = rest[:size], rest[size:]
	}
	for _, i := range []int{2, 0, 3, 1} { // any order, one of them twice, with gaps in the numbers
		putPart(t, s, id, 10*i+1, []byte("replaced"), object.Digests{})
		parts[i] = putPart(t, s, id, 10*i+1, bodies[i], object.Digests{})
	}
	req := object.CompleteRequest{Bucket: "bucket", Key: "key", UploadID: id, Parts: parts, Size: int64(len(whole))}
	info, err := s.CompleteUpload(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x-4", md5.Sum(sums)); info.ETag != want || info.Parts != 4 {
		t.Errorf("ETag %s of %d parts, want %s of 4", info.ETag, info.Parts, want)
	}
	if again, err := s.CompleteUpload(context.Background(), req); err != nil || again.ETag != info.ETag || again.ModTime != info.ModTime {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, whole) {
		t.Fatal("the object differs from its parts")
	}
	offset := 0
	for i, size := range sizes {
		got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", PartNumber: 10*i + 1})
		if !bytes.Equal(got, bodies[i]) {
			t.Errorf("part %d differs", 10*i+1)
		}
		for _, first := range []int{offset - 1, offset, offset + 1} {
			first = min(max(first, 0), len(whole)-1)
			last := min(first+70_000, len(whole)-1)
			got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Range: &object.RangeSpec{First: int64(first), Last: int64(last)}})
			if !bytes.Equal(got, whole[first:last+1]) {
				t.Errorf("range %d-%d differs", first, last)
			}
		}
		offset += size
	}
	_, err = s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: "key", PartNumber: 2})
	wantKind(t, err, object.KindInvalidRange)
	table, err := s.Parts(context.Background(), object.GetRequest{Bucket: "bucket", Key: "key"}, 1, 2)
	if err != nil || !table.More || len(table.Parts) != 2 || table.Parts[0].Number != 11 || table.Parts[1].Size != int64(sizes[2]) {
		t.Errorf("part table %+v, %v", table, err)
	}
}

func TestCompleteRefuses(t *testing.T) {
	t.Parallel()
	s := objecttest.New().Open(t, nil)
	newBucket(t, s, "bucket")
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key"})
	small := putPart(t, s, id, 1, []byte("small"), object.Digests{})
	last := putPart(t, s, id, 2, []byte("last"), object.Digests{})
	forged := object.CompletedPart{Number: 2, ETag: small.ETag}
	for _, c := range []struct {
		name  string
		parts []object.CompletedPart
		size  int64
		cond  object.WriteConditions
		want  object.Kind
	}{
		{"no parts", nil, -1, object.WriteConditions{}, object.KindInvalidArgument},
		{"out of order", []object.CompletedPart{last, small}, -1, object.WriteConditions{}, object.KindInvalidPartOrder},
		{"twice the same", []object.CompletedPart{last, last}, -1, object.WriteConditions{}, object.KindInvalidPartOrder},
		{"too small", []object.CompletedPart{small, last}, -1, object.WriteConditions{}, object.KindEntityTooSmall},
		{"unknown part", []object.CompletedPart{{Number: 3, ETag: last.ETag}}, -1, object.WriteConditions{}, object.KindInvalidPart},
		{"other entity tag", []object.CompletedPart{forged}, -1, object.WriteConditions{}, object.KindInvalidPart},
		{"other size", []object.CompletedPart{last}, 5, object.WriteConditions{}, object.KindInvalidRequest},
		{"condition", []object.CompletedPart{last}, -1, object.WriteConditions{IfMatch: "*"}, object.KindNoSuchKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.CompleteUpload(context.Background(), object.CompleteRequest{
				Bucket: "bucket", Key: "key", UploadID: id, Parts: c.parts, Size: c.size, If: c.cond,
			})
			wantKind(t, err, c.want)
		})
	}
	if _, err := s.CompleteUpload(context.Background(), object.CompleteRequest{
		Bucket: "bucket", Key: "key", UploadID: id, Parts: []object.CompletedPart{last}, Size: -1,
	}); err != nil {
		t.Fatalf("an upload must survive refused completes: %v", err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); string(got) != "last" {
		t.Fatalf("read %q", got)
	}
}

func TestChecksumsOfUploads(t *testing.T) {
	t.Parallel()
	s := objecttest.New().Open(t, nil)
	newBucket(t, s, "bucket")
	first, second := data(5*mib, 1), data(1000, 2)
	digest := func(a checksum.Algorithm, pieces ...[]byte) []byte {
		h := a.New()
		for _, p := range pieces {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	for _, a := range checksum.Algorithms() {
		for _, typ := range []checksum.Type{checksum.FullObject, checksum.Composite} {
			if !a.Supports(typ) {
				continue
			}
			t.Run(fmt.Sprint(a, typ), func(t *testing.T) {
				id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key", Algorithm: a, Type: typ})
				_, err := s.PutPart(context.Background(), object.PartRequest{
					Bucket: "bucket", Key: "key", UploadID: id, Number: 1, Body: bytes.NewReader(first), Size: -1,
				})
				wantKind(t, err, object.KindInvalidRequest)
				parts := []object.CompletedPart{
					putPart(t, s, id, 1, first, object.Digests{Algorithm: a, Value: digest(a, first)}),
					putPart(t, s, id, 2, second, object.Digests{Algorithm: a}),
				}
				want := digest(a, first, second)
				if typ == checksum.Composite {
					want = digest(a, digest(a, first), digest(a, second))
				}
				req := object.CompleteRequest{Bucket: "bucket", Key: "key", UploadID: id, Parts: parts, Size: -1}
				req.Checksum = object.Checksum{Algorithm: a, Value: digest(a, []byte("other"))}
				_, err = s.CompleteUpload(context.Background(), req)
				wantKind(t, err, object.KindBadDigest)
				req.Checksum.Value = want
				info, err := s.CompleteUpload(context.Background(), req)
				if err != nil {
					t.Fatal(err)
				}
				sel, err := s.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: "key", PartNumber: 2})
				if err != nil {
					t.Fatal(err)
				}
				if ofPart := sel.Checksum.Value; (typ == checksum.Composite) != bytes.Equal(ofPart, digest(a, second)) {
					t.Errorf("checksum of part 2 is %x", ofPart)
				}
				if c := info.Checksum; c.Algorithm != a || c.Type != typ || !bytes.Equal(c.Value, want) {
					t.Errorf("checksum %+v, want %x", c, want)
				}
			})
		}
	}
}

// TestCompleteIgnoresPartChecksumsOfPlainUploads is what SDKs do that name no algorithm at the beginning.
func TestCompleteIgnoresPartChecksumsOfPlainUploads(t *testing.T) {
	t.Parallel()
	s := objecttest.New().Open(t, nil)
	newBucket(t, s, "bucket")
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key"})
	part := putPart(t, s, id, 1, []byte("body"), object.Digests{Algorithm: checksum.CRC32})
	part.Checksum = object.Checksum{Algorithm: checksum.CRC32, Value: []byte{1, 2, 3, 4}}
	info, err := s.CompleteUpload(context.Background(), object.CompleteRequest{
		Bucket: "bucket", Key: "key", UploadID: id, Size: -1, Parts: []object.CompletedPart{part},
	})
	if err != nil || info.Checksum.Algorithm != 0 {
		t.Fatalf("%+v, %v", info, err)
	}
}

// TestManyParts makes trees and part tables that need pages.
func TestManyParts(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	s := env.Open(t, func(o *object.Options) { o.ChunkSize = 8 << 10; o.FrameSize = 4096 })
	newBucket(t, s, "bucket")
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "key"})
	var whole []byte
	var parts []object.CompletedPart
	for number := 1; number <= 3; number++ { // 641 chunks a part: pages within parts, and in the object
		body := data(5*mib+number, byte(number))
		whole = append(whole, body...)
		parts = append(parts, putPart(t, s, id, number, body, object.Digests{}))
	}
	if _, err := s.CompleteUpload(context.Background(), object.CompleteRequest{
		Bucket: "bucket", Key: "key", UploadID: id, Parts: parts, Size: -1,
	}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, whole) {
		t.Fatal("the object differs from its parts")
	}
	for first := 0; first < len(whole)-1; first += 777_777 {
		got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key", Range: &object.RangeSpec{First: int64(first), Last: int64(first + 9000)}})
		if !bytes.Equal(got, whole[first:min(first+9001, len(whole))]) {
			t.Fatalf("range from %d differs", first)
		}
	}
	if err := s.Delete(context.Background(), object.DeleteRequest{Bucket: "bucket", Key: "key"}); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, env, s)
}
