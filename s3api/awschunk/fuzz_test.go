package awschunk_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"coffer/s3api/awschunk"
	"coffer/s3api/s3err"
)

// trusting accepts every signature, so that the fuzzer gets past them.
type trusting struct{}

func (trusting) VerifyChunk([32]byte, string) bool   { return true }
func (trusting) VerifyTrailer([32]byte, string) bool { return true }

// FuzzReader feeds hostile bodies. Whatever comes, no more data than declared is
// handed on, a clean end means all of it, errors are of the vocabulary, and how
// the bytes arrive makes no difference.
func FuzzReader(f *testing.F) {
	for _, mode := range modes {
		b := sample(mode)
		b.chunks = []string{"rest"}
		f.Add(b.encode(), uint8(mode), int64(len(b.data())), "x-amz-checksum-crc32")
	}
	f.Add("5\r\nhello\r\n0\r\n\r\n", uint8(awschunk.UnsignedTrailer), int64(5), "")
	f.Add("0\r\na:b\nb:\r\n\r\n", uint8(awschunk.UnsignedTrailer), int64(0), "b,a")
	f.Fuzz(func(t *testing.T, wire string, mode uint8, length int64, trailers string) {
		options := awschunk.Options{Mode: awschunk.Mode(mode), DecodedLength: length, Chunks: trusting{}, Trailers: []string{trailers}}
		got, r, err := decode(strings.NewReader(wire), options, 4096)
		slow, r2, err2 := decode(iotest.OneByteReader(strings.NewReader(wire)), options, 3)
		if s3err.CodeOf(err) != s3err.CodeOf(err2) || err == nil && got != slow {
			t.Fatalf("%q, %v in one go; %q, %v byte by byte", got, err, slow, err2)
		}
		if r == nil {
			return
		}
		if int64(len(got)) > length || len(got) > len(wire) {
			t.Fatalf("%d bytes of %d declared, %d sent", len(got), length, len(wire))
		}
		if err != nil {
			var e *s3err.Error
			if !errors.As(err, &e) || errors.Is(err, io.EOF) || r.Trailers() != nil {
				t.Fatalf("error %v, trailers %v", err, r.Trailers())
			}
			return
		}
		if int64(len(got)) != length || len(r.Trailers()) != len(r2.Trailers()) {
			t.Fatalf("clean end with %d bytes of %d, trailers %v", len(got), length, r.Trailers())
		}
	})
}
