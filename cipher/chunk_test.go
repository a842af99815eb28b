package cipher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

// edgeSizes are the plaintext sizes around every edge of the format for a frame size.
func edgeSizes(frameSize int) []int {
	var sizes []int
	for _, edge := range []int{0, 1, 16, frameSize, 2 * frameSize, 3 * frameSize, readUnit, writeUnit, writeUnit + frameSize} {
		for _, size := range []int{edge - 1, edge, edge + 1} {
			if size >= 0 {
				sizes = append(sizes, size)
			}
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// writeChunk seals plain by a ChunkWriter in writes of step bytes.
func writeChunk(tb testing.TB, key *DataKey, id ChunkID, frameSize int, plain []byte, step int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := must[*ChunkWriter](tb)(NewChunkWriter(&out, key, id, frameSize))
	defer w.Abort()
	for piece := range slices.Chunk(plain, step) {
		mine := bytes.Clone(piece)
		if n, err := w.Write(mine); n != len(piece) || err != nil {
			tb.Fatalf("Write: %d of %d, %v", n, len(piece), err)
		}
		if !bytes.Equal(mine, piece) {
			tb.Fatal("Write changed the caller's bytes")
		}
		clear(mine) // the writer may not have kept them
	}
	if w.Size() != int64(len(plain)) {
		tb.Fatalf("Size %d, want %d", w.Size(), len(plain))
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func readerOf(tb testing.TB, sealed []byte, key *DataKey, id ChunkID) *ChunkReader {
	tb.Helper()
	return must[*ChunkReader](tb)(NewChunkReader(bytes.NewReader(sealed), int64(len(sealed)), key, id))
}

func TestChunkRoundTrip(t *testing.T) {
	t.Parallel()
	key := NewDataKey()
	for _, frameSize := range []int{MinFrameSize, DefaultFrameSize, 512 << 10, MaxFrameSize} {
		for _, size := range edgeSizes(frameSize) {
			t.Run(fmt.Sprintf("%d in %d", size, frameSize), func(t *testing.T) {
				t.Parallel()
				id, plain := NewChunkID(), pattern(size)
				sealed := must[[]byte](t)(SealChunk([]byte("before"), key, id, frameSize, plain))
				if string(sealed[:6]) != "before" {
					t.Fatal("SealChunk does not append")
				}
				sealed = sealed[6:]
				if want := must[int64](t)(SealedSize(int64(size), frameSize)); int64(len(sealed)) != want {
					t.Fatalf("sealed into %d bytes, want %d", len(sealed), want)
				}
				for _, step := range []int{max(1, size), frameSize - 1, frameSize, frameSize + 1, 3*frameSize + 7} {
					if got := writeChunk(t, key, id, frameSize, plain, step); !bytes.Equal(got, sealed) {
						t.Errorf("written %d bytes at a time: another chunk", step)
					}
				}
				opened, err := OpenChunk([]byte("before"), key, id, sealed)
				if err != nil || !bytes.Equal(opened, append([]byte("before"), plain...)) {
					t.Errorf("OpenChunk: %v", err)
				}
				r := readerOf(t, sealed, key, id)
				if r.Size() != int64(size) || r.FrameSize() != frameSize {
					t.Errorf("Size %d, FrameSize %d", r.Size(), r.FrameSize())
				}
				got := make([]byte, size+1)
				n, err := r.ReadAt(got, 0)
				if n != size || !errors.Is(err, io.EOF) || !bytes.Equal(got[:n], plain) {
					t.Errorf("ReadAt: %d, %v", n, err)
				}
			})
		}
	}
}

func TestChunkHidesItsPlaintext(t *testing.T) {
	t.Parallel()
	plain := bytes.Repeat([]byte("distinctive text"), 1000)
	sealed := must[[]byte](t)(SealChunk(nil, NewDataKey(), NewChunkID(), MinFrameSize, plain))
	if bytes.Contains(sealed, plain[:8]) {
		t.Error("plaintext in the chunk")
	}
	again := must[[]byte](t)(SealChunk(nil, NewDataKey(), NewChunkID(), MinFrameSize, plain))
	for i := HeaderSize; i+16 < len(sealed); i += 16 {
		if bytes.Equal(sealed[i:i+16], again[i:i+16]) {
			t.Fatalf("block at %d the same in two chunks", i)
		}
	}
}

// TestFramesOfOneChunkDiffer: equal plaintext in two frames, or in two chunks of one key, gives different bytes.
func TestFramesOfOneChunkDiffer(t *testing.T) {
	t.Parallel()
	key, plain := NewDataKey(), make([]byte, 4*MinFrameSize)
	seen := map[string]bool{}
	for range 2 {
		sealed := must[[]byte](t)(SealChunk(nil, key, NewChunkID(), MinFrameSize, plain))
		for frame := range slices.Chunk(sealed[HeaderSize:], MinFrameSize+FrameOverhead) {
			if seen[string(frame[:16])] {
				t.Fatal("two frames begin alike: a nonce was used twice")
			}
			seen[string(frame[:16])] = true
		}
	}
}

func TestChunkCallsRefuse(t *testing.T) {
	t.Parallel()
	key, id := NewDataKey(), NewChunkID()
	sealed := must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, nil))
	for _, frameSize := range []int{0, -4096, 2048, 4095, 4097, 65535, 2 << 20} {
		if _, err := NewChunkWriter(io.Discard, key, id, frameSize); !errors.Is(err, ErrSize) {
			t.Errorf("NewChunkWriter, frame size %d: %v", frameSize, err)
		}
		if _, err := SealChunk(nil, key, id, frameSize, nil); !errors.Is(err, ErrSize) {
			t.Errorf("SealChunk, frame size %d: %v", frameSize, err)
		}
	}
	if _, err := NewChunkWriter(io.Discard, key, ChunkID{}, MinFrameSize); !errors.Is(err, ErrID) {
		t.Errorf("NewChunkWriter, zero id: %v", err)
	}
	if _, err := SealChunk(nil, key, ChunkID{}, MinFrameSize, nil); !errors.Is(err, ErrID) {
		t.Errorf("SealChunk, zero id: %v", err)
	}
	for name, size := range map[string]int64{"negative": -1, "zero": 0, "header only": HeaderSize} {
		if _, err := NewChunkReader(bytes.NewReader(sealed), size, key, id); !errors.Is(err, ErrTruncated) {
			t.Errorf("NewChunkReader, %s size: %v", name, err)
		}
	}
	if _, err := NewChunkReader(bytes.NewReader(sealed), 1<<62, key, id); !errors.Is(err, ErrSize) {
		t.Errorf("NewChunkReader, huge size: %v", err)
	}
	r := readerOf(t, sealed, key, id)
	if _, err := r.ReadAt(make([]byte, 1), -1); !errors.Is(err, ErrSize) {
		t.Errorf("ReadAt, negative offset: %v", err)
	}
}
