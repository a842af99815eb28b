package awschunk_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coffer/s3api/awschunk"
	"coffer/s3api/s3err"
)

var modes = map[string]awschunk.Mode{ // read only
	"signed":           awschunk.Signed,
	"signed trailer":   awschunk.SignedTrailer,
	"unsigned trailer": awschunk.UnsignedTrailer,
}

func crc(value string) []awschunk.Trailer {
	return []awschunk.Trailer{{Name: "x-amz-checksum-crc32", Value: value}}
}

// sample is a body of two chunks in a mode.
func sample(mode awschunk.Mode) body {
	b := body{mode: mode, chunks: []string{strings.Repeat("a", 0x200a), "rest"}}
	if mode != awschunk.Signed {
		b.trailers = crc("AAAAAA==")
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := body{mode: rapid.SampledFrom([]awschunk.Mode{awschunk.Signed, awschunk.SignedTrailer, awschunk.UnsignedTrailer}).Draw(t, "mode")}
		sizes := rapid.SliceOfN(rapid.IntRange(8192, 20000), 0, 3).Draw(t, "sizes")
		if last := rapid.IntRange(0, 9000).Draw(t, "last"); last > 0 {
			sizes = append(sizes, last)
		}
		for i, n := range sizes {
			b.chunks = append(b.chunks, strings.Repeat(string(rune('a'+i)), n))
		}
		if b.mode != awschunk.Signed {
			b.trailers = crc(rapid.SampledFrom([]string{"AAAAAA==", ""}).Draw(t, "value"))
			if rapid.Bool().Draw(t, "two") {
				b.trailers = append(b.trailers, awschunk.Trailer{Name: "a-first", Value: "1"})
			}
		}
		wire := io.Reader(strings.NewReader(b.encode()))
		switch rapid.IntRange(0, 3).Draw(t, "reader") {
		case 1:
			wire = iotest.HalfReader(wire)
		case 2:
			wire = iotest.DataErrReader(wire)
		case 3:
			wire = iotest.OneByteReader(wire)
		}
		size := rapid.SampledFrom([]int{1, 7, 1000, 1024, 8192, 65536}).Draw(t, "buffer")
		got, r, err := decode(wire, b.options(), size)
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		if got != b.data() {
			t.Fatalf("%d bytes, want %d", len(got), len(b.data()))
		}
		if diff := cmp.Diff(b.trailers, r.Trailers()); diff != "" {
			t.Fatalf("trailers (-want +got):\n%s", diff)
		}
	})
}

// TestTruncation cuts a body at every byte. Only what leaves every promise of the
// reader whole may pass: the last CRLF missing.
func TestTruncation(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sample(mode)
			wire := b.encode()
			for n := range len(wire) {
				if n > 200 && n < 8192 {
					continue
				}
				got, r, err := decode(strings.NewReader(wire[:n]), b.options(), 4096)
				if n == len(wire)-2 {
					if err != nil || got != b.data() || len(r.Trailers()) != len(b.trailers) {
						t.Errorf("without the last CRLF: %v", err)
					}
					continue
				}
				missing := mode == awschunk.UnsignedTrailer && strings.HasSuffix(wire[:n], "\r\n0\r\n")
				if !errors.Is(err, s3err.IncompleteBody) && !(missing && errors.Is(err, s3err.MalformedTrailerError)) {
					t.Errorf("cut at %d of %d: %v", n, len(wire), err)
				}
				if errors.Is(err, io.EOF) {
					t.Errorf("cut at %d passes for io.EOF", n)
				}
				if r.Trailers() != nil {
					t.Errorf("cut at %d: trailers %v", n, r.Trailers())
				}
			}
		})
	}
}

// TestSignaturesAreAChain: chunks that are right one by one are wrong in another
// order, left out, or from another body.
func TestSignaturesAreAChain(t *testing.T) {
	t.Parallel()
	b := body{mode: awschunk.Signed, chunks: []string{strings.Repeat("a", 8192), strings.Repeat("b", 8192)}}
	wire := b.encode()
	half := (len(wire) - strings.Index(wire, "\r\n0;")) // what follows the data
	chunkLen := (len(wire) - half + 2) / 2
	one, two, end := wire[:chunkLen], wire[chunkLen:2*chunkLen], wire[2*chunkLen:]
	for name, spliced := range map[string]string{"swapped": two + one + end, "first twice": one + one + end} {
		if _, _, err := decode(strings.NewReader(spliced), b.options(), 4096); !errors.Is(err, s3err.SignatureDoesNotMatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := b.options()
	o.DecodedLength = 8192
	if _, _, err := decode(strings.NewReader(one+end), o, 4096); !errors.Is(err, s3err.SignatureDoesNotMatch) {
		t.Errorf("second left out: %v", err)
	}
}

func TestDecodedLength(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sample(mode)
			for _, delta := range []int64{-0x200e, -1, 1, math.MaxInt64 - 0x200e} {
				o := b.options()
				o.DecodedLength += delta
				got, _, err := decode(strings.NewReader(b.encode()), o, 4096)
				if !errors.Is(err, s3err.IncompleteBody) {
					t.Errorf("declared %d: %v", o.DecodedLength, err)
				}
				if int64(len(got)) > o.DecodedLength {
					t.Errorf("declared %d, handed on %d", o.DecodedLength, len(got))
				}
			}
		})
	}
}

func TestSmallChunks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		sizes []int
		ok    bool
		bad   string
	}{
		{"one small", []int{1}, true, ""},
		{"small last", []int{8192, 1}, true, ""},
		{"small first", []int{8191, 1}, false, "8191"},
		{"small in the middle", []int{9000, 3, 9000}, false, "3"},
		{"none", nil, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := body{mode: awschunk.UnsignedTrailer}
			for _, n := range tt.sizes {
				b.chunks = append(b.chunks, strings.Repeat("x", n))
			}
			_, _, err := decode(strings.NewReader(b.encode()), b.options(), 4096)
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, s3err.InvalidChunkSizeError) {
				t.Fatalf("decode: %v", err)
			}
			if err != nil && s3err.From(err).Details[1].Value != tt.bad {
				t.Errorf("details %v", s3err.From(err).Details)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    awschunk.Options
		want s3err.Code
	}{
		{"no decoded length", awschunk.Options{Mode: awschunk.UnsignedTrailer, DecodedLength: -1}, s3err.MissingContentLength},
		{"no mode", awschunk.Options{}, s3err.InternalError},
		{"no verifier", awschunk.Options{Mode: awschunk.Signed}, s3err.InternalError},
		{"trailers that cannot come", awschunk.Options{Mode: awschunk.Signed, Chunks: &chain{}, Trailers: []string{"a"}}, s3err.InvalidRequest},
		{"trailers that are not named", awschunk.Options{Mode: awschunk.SignedTrailer, Chunks: &chain{}}, s3err.MalformedTrailerError},
		{"only the signature is named", awschunk.Options{Mode: awschunk.SignedTrailer, Chunks: &chain{}, Trailers: []string{"X-Amz-Trailer-Signature, ,"}}, s3err.MalformedTrailerError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := awschunk.NewReader(strings.NewReader(""), tt.o); s3err.CodeOf(err) != tt.want {
				t.Errorf("NewReader: %v, want %s", err, tt.want)
			}
		})
	}
}

// TestTrailerNames: x-amz-trailer may come as one list, as several fields, in any
// case, and name the signature too.
func TestTrailerNames(t *testing.T) {
	t.Parallel()
	b := sample(awschunk.SignedTrailer)
	b.trailers = append(b.trailers, awschunk.Trailer{Name: "x-b", Value: "2"}, awschunk.Trailer{Name: "x-a", Value: "1"})
	o := b.options()
	o.Trailers = []string{"X-A , x-b,", "x-amz-trailer-signature, X-AMZ-checksum-crc32", "x-a"}
	_, r, err := decode(strings.NewReader(b.encode()), o, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := r.Trailer("x-amz-checksum-crc32"); !ok || v != "AAAAAA==" {
		t.Errorf("trailer %q, %v", v, ok)
	}
	if _, ok := r.Trailer("x-c"); ok {
		t.Error("a trailer that nobody sent")
	}
}

// TestReaderErrorPassesThrough: an error of the connection is not the client's
// fault and keeps its identity.
func TestReaderErrorPassesThrough(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	b := sample(awschunk.SignedTrailer)
	wire := b.encode()
	for _, n := range []int{0, 10, 90, 8000, len(wire) - 100, len(wire) - 2, len(wire)} {
		r := io.MultiReader(strings.NewReader(wire[:n]), iotest.ErrReader(broken))
		if _, _, err := decode(r, b.options(), 4096); !errors.Is(err, broken) {
			t.Errorf("broken at %d: %v", n, err)
		}
	}
	stuck := readerFunc(func([]byte) (int, error) { return 0, nil })
	for _, n := range []int{0, 1000} {
		r := io.MultiReader(strings.NewReader(wire[:n]), stuck)
		if _, _, err := decode(r, b.options(), 4096); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("stuck at %d: %v", n, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestNoAllocationBySize: a chunk that claims to be huge costs nothing. Not
// parallel, because it counts what the process allocates.
func TestNoAllocationBySize(t *testing.T) {
	o := awschunk.Options{Mode: awschunk.UnsignedTrailer, DecodedLength: math.MaxInt64}
	wire := strings.NewReader("7fffffffffffffff\r\n" + strings.Repeat("x", 1<<16))
	buf := make([]byte, 4096)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := awschunk.NewReader(wire, o)
	for err == nil {
		_, err = r.Read(buf)
	}
	runtime.ReadMemStats(&after)
	if !errors.Is(err, s3err.IncompleteBody) {
		t.Errorf("decode: %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<10 {
		t.Errorf("%d bytes allocated", n)
	}
}

// TestReadsGoStraight: payload is read into the caller's buffer, in pieces as
// large as it is.
func TestReadsGoStraight(t *testing.T) {
	t.Parallel()
	b := body{mode: awschunk.UnsignedTrailer, chunks: []string{strings.Repeat("x", 1<<20)}}
	largest, calls := 0, 0
	wire := bytes.NewReader([]byte(b.encode()))
	counting := readerFunc(func(p []byte) (int, error) {
		calls++
		largest = max(largest, len(p))
		return wire.Read(p)
	})
	if _, _, err := decode(counting, b.options(), 1<<16); err != nil {
		t.Fatal(err)
	}
	if largest != 1<<16 || calls > 25 {
		t.Errorf("%d reads, the largest of %d bytes", calls, largest)
	}
}
