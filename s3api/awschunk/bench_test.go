package awschunk_test

import (
	"io"
	"strings"
	"testing"

	"coffer/s3api/awschunk"
)

// BenchmarkReader decodes 8 MiB in chunks of 64 KiB. The signed form costs one
// SHA-256 of the data.
func BenchmarkReader(b *testing.B) {
	for name, mode := range modes {
		b.Run(name, func(b *testing.B) {
			bd := body{mode: mode}
			for range 128 {
				bd.chunks = append(bd.chunks, strings.Repeat("x", 64<<10))
			}
			if mode == awschunk.SignedTrailer {
				bd.trailers = crc("AAAAAA==")
			}
			wire, length := bd.encode(), int64(len(bd.data()))
			b.SetBytes(8 << 20)
			b.ReportAllocs()
			for b.Loop() {
				o := awschunk.Options{Mode: mode, DecodedLength: length, Chunks: &chain{}, Trailers: bd.names()}
				r, err := awschunk.NewReader(strings.NewReader(wire), o)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
