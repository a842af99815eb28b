package cipher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

// chunkFixture is a chunk in the smallest frames, with everything needed to open it.
type chunkFixture struct {
	key    *DataKey
	id     ChunkID
	plain  []byte
	sealed []byte
}

func newChunkFixture(tb testing.TB, key *DataKey, size int) chunkFixture {
	tb.Helper()
	f := chunkFixture{key: key, id: NewChunkID(), plain: pattern(size)}
	f.sealed = must[[]byte](tb)(SealChunk(nil, key, f.id, MinFrameSize, f.plain))
	return f
}

// frame returns the bytes of a frame within the chunk.
func (f chunkFixture) frame(index int) []byte {
	from := int(frameOffset(int64(index), MinFrameSize))
	return f.sealed[from:min(len(f.sealed), from+MinFrameSize+FrameOverhead)]
}

// refuses checks that sealed, which is not what f sealed, is refused on every way of opening it, with one of the
// errors of this package, and that not a byte which the way delivers is other than what f sealed.
func (f chunkFixture) refuses(t *testing.T, sealed []byte, want ...error) {
	t.Helper()
	if len(want) == 0 {
		want = []error{ErrAuth}
	}
	check := func(way string, err error) {
		t.Helper()
		if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
			t.Errorf("%s: %v, want %v", way, err, want)
		}
	}
	opened, err := OpenChunk(nil, f.key, f.id, sealed)
	check("OpenChunk", err)
	if opened != nil {
		t.Errorf("OpenChunk: %d bytes beside an error", len(opened))
	}
	r, err := NewChunkReader(bytes.NewReader(sealed), int64(len(sealed)), f.key, f.id)
	if err != nil {
		check("NewChunkReader", err)
		return
	}
	for _, step := range []int{int(r.Size()) + 1, MinFrameSize, 1000} {
		got, err := readBy(r, step)
		check(fmt.Sprintf("ReadAt by %d", step), err)
		if !bytes.HasPrefix(f.plain, got) {
			t.Errorf("ReadAt by %d: delivered bytes that were not sealed here", step)
		}
	}
}

// readBy reads r from the beginning in steps and returns what was delivered before the end or the first error.
func readBy(r *ChunkReader, step int) ([]byte, error) {
	var got []byte
	p := make([]byte, step)
	for {
		n, err := r.ReadAt(p, int64(len(got)))
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

func TestEveryFlippedByteIsDetected(t *testing.T) {
	t.Parallel()
	f := newChunkFixture(t, NewDataKey(), MinFrameSize+100)
	for _, mask := range []byte{0x01, 0x80} {
		t.Run(fmt.Sprintf("%#02x", mask), func(t *testing.T) {
			t.Parallel()
			bad := bytes.Clone(f.sealed)
			for i := range bad {
				bad[i] ^= mask
				f.refuses(t, bad, ErrAuth, ErrFormat)
				bad[i] ^= mask
				if t.Failed() {
					t.Fatalf("byte %d", i)
				}
			}
		})
	}
}

func TestHeaderErrors(t *testing.T) {
	t.Parallel()
	f := newChunkFixture(t, NewDataKey(), 100)
	tests := []struct {
		name   string
		offset int
		value  byte
		want   error
	}{
		{"magic", 0, 'X', ErrFormat},
		{"magic end", 3, 'k', ErrFormat},
		{"version 0", headerVersion, 0, ErrVersion},
		{"version 2", headerVersion, 2, ErrVersion},
		{"frame size 2 KiB", headerLog2, 11, ErrFormat},
		{"frame size 2 MiB", headerLog2, 21, ErrFormat},
		{"frame size 2^255", headerLog2, 255, ErrFormat},
		{"another frame size", headerLog2, 13, ErrAuth},
		{"first reserved byte", headerReserved, 1, ErrFormat},
		{"last reserved byte", headerID - 1, 1, ErrFormat},
		{"id", headerID, f.id[0] + 1, ErrAuth},
		{"end of id", HeaderSize - 1, f.id[15] + 1, ErrAuth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := bytes.Clone(f.sealed)
			bad[tt.offset] = tt.value
			f.refuses(t, bad, tt.want)
			if _, err := OpenChunk(nil, f.key, f.id, bad); tt.want == ErrFormat && errors.Is(err, ErrVersion) {
				t.Errorf("taken for another version: %v", err)
			}
		})
	}
}

func TestEveryTruncationIsDetected(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, MinFrameSize, MinFrameSize + 100} {
		f := newChunkFixture(t, NewDataKey(), size)
		for cut := range len(f.sealed) {
			f.refuses(t, f.sealed[:cut:cut], ErrAuth, ErrTruncated)
			if t.Failed() {
				t.Fatalf("%d bytes of a chunk of %d", cut, size)
			}
		}
	}
}

// TestRearrangedFramesAreDetected moves whole frames, each of which is genuine somewhere.
func TestRearrangedFramesAreDetected(t *testing.T) {
	t.Parallel()
	key := NewDataKey()
	a := newChunkFixture(t, key, 3*MinFrameSize+100)
	b := newChunkFixture(t, key, 3*MinFrameSize+100)
	exact := newChunkFixture(t, key, 2*MinFrameSize)
	other := newChunkFixture(t, NewDataKey(), 3*MinFrameSize+100)
	header := func(f chunkFixture) []byte { return f.sealed[:HeaderSize] }
	tests := []struct {
		name   string
		f      chunkFixture
		pieces [][]byte
		want   []error
	}{
		{"two swapped within", a, [][]byte{header(a), a.frame(1), a.frame(0), a.frame(2), a.frame(3)}, nil},
		{"one repeated", a, [][]byte{header(a), a.frame(0), a.frame(0), a.frame(2), a.frame(3)}, nil},
		{"first dropped", a, [][]byte{header(a), a.frame(1), a.frame(2), a.frame(3)}, nil},
		{"middle dropped", a, [][]byte{header(a), a.frame(0), a.frame(2), a.frame(3)}, nil},
		{"last dropped", a, [][]byte{header(a), a.frame(0), a.frame(1), a.frame(2)}, nil},
		{"last two dropped", a, [][]byte{header(a), a.frame(0), a.frame(1)}, nil},
		{"all but the header dropped", a, [][]byte{header(a)}, []error{ErrTruncated}},
		{"last alone", a, [][]byte{header(a), a.frame(3)}, nil},
		{"last twice", exact, [][]byte{header(exact), exact.frame(0), exact.frame(1), exact.frame(1)}, nil},
		{"extended by a zero byte", a, [][]byte{a.sealed, {0}}, nil},
		{"extended by zeros to a whole frame", a, [][]byte{a.sealed, make([]byte, MinFrameSize-100)}, nil},
		{"extended by a frame of zeros", exact, [][]byte{exact.sealed, make([]byte, MinFrameSize+FrameOverhead)}, nil},
		{"extended by less than a tag", exact, [][]byte{exact.sealed, make([]byte, FrameOverhead)}, []error{ErrTruncated}},
		{"extended by the shortest frame", exact, [][]byte{exact.sealed, make([]byte, FrameOverhead+1)}, nil},
		{"extended by a frame of another chunk", exact, [][]byte{exact.sealed, a.frame(2)}, nil},
		{"same frame of another chunk", a, [][]byte{header(a), a.frame(0), b.frame(1), a.frame(2), a.frame(3)}, nil},
		{"same last frame of another chunk", a, [][]byte{header(a), a.frame(0), a.frame(1), a.frame(2), b.frame(3)}, nil},
		{"same frame under another key", a, [][]byte{header(a), other.frame(0), a.frame(1), a.frame(2), a.frame(3)}, nil},
		{"another chunk in its place", a, [][]byte{b.sealed}, nil},
		{"another chunk under its header", a, [][]byte{header(a), b.sealed[HeaderSize:]}, nil},
		{"another object's chunk under its header", a, [][]byte{header(a), other.sealed[HeaderSize:]}, nil},
		{"the chunk twice", a, [][]byte{a.sealed, a.sealed}, nil},
		{"a byte in front", a, [][]byte{{0}, a.sealed}, []error{ErrFormat}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.f.refuses(t, slices.Concat(tt.pieces...), tt.want...)
		})
	}
}

func TestChunkUnderAnotherKey(t *testing.T) {
	t.Parallel()
	f := newChunkFixture(t, NewDataKey(), 100)
	f.key = NewDataKey()
	f.refuses(t, f.sealed)
}

// TestEndIsProved: io.EOF and CheckSize vouch for the size, however little of the chunk has been read.
func TestEndIsProved(t *testing.T) {
	t.Parallel()
	f := newChunkFixture(t, NewDataKey(), 3*MinFrameSize)
	cut := f.sealed[:frameOffset(2, MinFrameSize)]
	r := readerOf(t, cut, f.key, f.id)
	p := make([]byte, MinFrameSize)
	if n, err := r.ReadAt(p, 0); n != len(p) || err != nil || !bytes.Equal(p, f.plain[:n]) {
		t.Errorf("a frame before the cut: %d, %v", n, err)
	}
	if n, err := r.ReadAt(p, r.Size()); n != 0 || !errors.Is(err, ErrAuth) {
		t.Errorf("at the end of a cut chunk: %d, %v", n, err)
	}
	if err := r.CheckSize(); !errors.Is(err, ErrAuth) {
		t.Errorf("CheckSize of a cut chunk: %v", err)
	}
	whole := readerOf(t, f.sealed, f.key, f.id)
	for range 2 {
		if err := whole.CheckSize(); err != nil {
			t.Errorf("CheckSize: %v", err)
		}
	}
}

// TestReadAtDeliversWhatIsGood: frames before a bad one are delivered, none of the bad one is, and others stay
// readable.
func TestReadAtDeliversWhatIsGood(t *testing.T) {
	t.Parallel()
	f := newChunkFixture(t, NewDataKey(), 4*MinFrameSize)
	bad := bytes.Clone(f.sealed)
	bad[frameOffset(2, MinFrameSize)+7] ^= 1
	r := readerOf(t, bad, f.key, f.id)
	p := bytes.Repeat([]byte{0xEE}, 4*MinFrameSize)
	n, err := r.ReadAt(p, 0)
	if n != 2*MinFrameSize || !errors.Is(err, ErrAuth) || !bytes.Equal(p[:n], f.plain[:n]) {
		t.Fatalf("%d, %v", n, err)
	}
	if !bytes.Equal(p[n:n+MinFrameSize], make([]byte, MinFrameSize)) {
		t.Error("something of the bad frame was left in the caller's memory")
	}
	if _, err := r.ReadAt(p[:10], 2*MinFrameSize+5); !errors.Is(err, ErrAuth) {
		t.Errorf("part of the bad frame: %v", err)
	}
	if n, err := r.ReadAt(p[:MinFrameSize], 3*MinFrameSize); n != MinFrameSize || err != nil || !bytes.Equal(p[:n], f.plain[3*MinFrameSize:]) {
		t.Errorf("the frame behind the bad one: %d, %v", n, err)
	}
}
