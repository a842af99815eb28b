package cipher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
)

// TestReadAtEveryEdge reads from every edge ±1 to every edge ±1.
func TestReadAtEveryEdge(t *testing.T) {
	t.Parallel()
	const frame = MinFrameSize
	for _, size := range []int{0, 1, frame, frame + 1, 3*frame + 100, 4 * frame, readUnit + 2*frame + 5, 2*readUnit + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			key, id, plain := NewDataKey(), NewChunkID(), pattern(size)
			r := readerOf(t, must[[]byte](t)(SealChunk(nil, key, id, frame, plain)), key, id)
			var edges []int
			for _, e := range []int{0, frame, 2 * frame, 3 * frame, readUnit, readUnit + frame, 2 * readUnit, size} {
				edges = append(edges, e-1, e, e+1)
			}
			slices.Sort(edges)
			edges = slices.Compact(edges)
			for i, from := range edges {
				for _, to := range edges[i:] {
					if from >= 0 && from <= size+1 {
						checkReadAt(t, r, plain, from, to)
					}
				}
			}
		})
	}
}

// checkReadAt reads [from, to) into the middle of a larger slice, whose other bytes must stay.
func checkReadAt(t *testing.T, r *ChunkReader, plain []byte, from, to int) {
	t.Helper()
	const guard = 64
	room := bytes.Repeat([]byte{0xEE}, guard+to-from+guard)
	p := room[guard : guard+to-from]
	n, err := r.ReadAt(p, int64(from))
	want := plain[min(from, len(plain)):min(to, len(plain))]
	wantErr := error(nil)
	if len(want) < len(p) {
		wantErr = io.EOF
	}
	if n != len(want) || !errors.Is(err, wantErr) {
		t.Errorf("[%d,%d): %d, %v; want %d, %v", from, to, n, err, len(want), wantErr)
	}
	if !bytes.Equal(p[:n], want) {
		t.Errorf("[%d,%d): other bytes", from, to)
	}
	for _, b := range slices.Concat(room[:guard], p[n:], room[guard+len(p):]) {
		if b != 0xEE {
			t.Fatalf("[%d,%d): wrote outside of what it was asked for", from, to)
		}
	}
}

func TestReadAtFarOffsets(t *testing.T) {
	t.Parallel()
	key, id := NewDataKey(), NewChunkID()
	r := readerOf(t, must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, pattern(10))), key, id)
	for _, off := range []int64{10, 11, 1 << 40, math.MaxInt64} {
		if n, err := r.ReadAt(make([]byte, 10), off); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("offset %d: %d, %v", off, n, err)
		}
	}
	if n, err := r.ReadAt(nil, math.MaxInt64); n != 0 || err != nil {
		t.Errorf("nothing wanted: %d, %v", n, err)
	}
}

// TestChunkReaderAsReaderAt lets the standard library check what io.ReaderAt and io.Reader promise.
func TestChunkReaderAsReaderAt(t *testing.T) {
	t.Parallel()
	key, id, plain := NewDataKey(), NewChunkID(), pattern(3*MinFrameSize+77)
	r := readerOf(t, must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, plain)), key, id)
	if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), plain); err != nil {
		t.Error(err)
	}
}

func TestReadAtConcurrently(t *testing.T) {
	t.Parallel()
	const size = 600 << 10
	key, id, plain := NewDataKey(), NewChunkID(), pattern(size)
	r := readerOf(t, must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, plain)), key, id)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				from := (g*7919 + i*104729) % size
				p := make([]byte, (g*31+i*6007)%(size-from)+1)
				n, err := r.ReadAt(p, int64(from))
				if err != nil || n != len(p) || !bytes.Equal(p, plain[from:from+n]) {
					t.Errorf("[%d,%d): %d, %v", from, from+len(p), n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// faultySource ends early, or fails, at an offset.
type faultySource struct {
	bytes []byte
	err   error
}

func (s faultySource) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(s.bytes)) {
		return 0, s.err
	}
	n := copy(p, s.bytes[off:])
	if n < len(p) {
		return n, s.err
	}
	return n, nil
}

// eagerSource reports io.EOF with the last byte, which io.ReaderAt allows.
type eagerSource []byte

func (s eagerSource) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, s[off:])
	if off+int64(n) == int64(len(s)) {
		return n, io.EOF
	}
	return n, nil
}

func TestChunkReaderSources(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("unreadable sector")
	key, id, plain := NewDataKey(), NewChunkID(), pattern(3*MinFrameSize)
	sealed := must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, plain))
	tests := []struct {
		name string
		cut  int
		err  error
		want error
	}{
		{"ends in the header", 10, io.EOF, ErrTruncated},
		{"ends behind the header", HeaderSize, io.EOF, ErrTruncated},
		{"ends in a frame", 5000, io.EOF, ErrTruncated},
		{"ends before the last byte", len(sealed) - 1, io.EOF, ErrTruncated},
		{"says nothing of its end", 5000, nil, ErrTruncated},
		{"fails in the header", 10, errDisk, errDisk},
		{"fails in a frame", 5000, errDisk, errDisk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := NewChunkReader(faultySource{sealed[:tt.cut], tt.err}, int64(len(sealed)), key, id)
			if err == nil {
				_, err = r.ReadAt(make([]byte, len(plain)), 0)
				if checked := r.CheckSize(); !errors.Is(checked, tt.want) {
					t.Errorf("CheckSize: %v, want %v", checked, tt.want)
				}
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	r := must[*ChunkReader](t)(NewChunkReader(eagerSource(sealed), int64(len(sealed)), key, id))
	p := make([]byte, len(plain))
	if n, err := r.ReadAt(p, 0); n != len(p) || err != nil || !bytes.Equal(p, plain) {
		t.Errorf("source with an eager end: %d, %v", n, err)
	}
}

// TestReadAtLeavesNoPlaintextBehind looks into the buffer after frames that were wanted in part.
func TestReadAtLeavesNoPlaintextBehind(t *testing.T) {
	t.Parallel()
	key, id, plain := NewDataKey(), NewChunkID(), pattern(3*MinFrameSize)
	r := readerOf(t, must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, plain)), key, id)
	buf := takeBuffer(3 * r.frames.sealed())
	defer buf.release()
	p := make([]byte, 3*MinFrameSize-200)
	if n, err := r.readUnit(buf, p, 100, 3); n != len(p) || err != nil || !bytes.Equal(p, plain[100:len(plain)-100]) {
		t.Fatalf("%d, %v", n, err)
	}
	for i := 0; i+8 <= len(plain); i += 8 {
		if bytes.Contains(buf.bytes, plain[i:i+8]) {
			t.Fatalf("plaintext at %d is still in the buffer", i)
		}
	}
}
