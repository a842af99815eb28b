package cipher

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

var errSink = errors.New("no more room")

// sink takes what a ChunkWriter hands on, and fails at the write numbered failAt.
type sink struct {
	writes []int
	out    bytes.Buffer
	failAt int
	short  bool
}

func (s *sink) Write(p []byte) (int, error) {
	s.writes = append(s.writes, len(p))
	if len(s.writes) == s.failAt {
		if s.short {
			return len(p) - 1, nil
		}
		return 0, errSink
	}
	return s.out.Write(p)
}

func TestChunkWriterUnits(t *testing.T) {
	t.Parallel()
	for _, frameSize := range []int{MinFrameSize, DefaultFrameSize, MaxFrameSize} {
		s := new(sink)
		w := must[*ChunkWriter](t)(NewChunkWriter(s, NewDataKey(), NewChunkID(), frameSize))
		for range 5 {
			if _, err := w.Write(make([]byte, writeUnit)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if len(s.writes) != 5 {
			t.Errorf("frame size %d: 5 MiB handed on in %v", frameSize, s.writes)
		}
		for _, n := range s.writes {
			if n < writeUnit || n > writeBuffers.size {
				t.Errorf("frame size %d: a unit of %d bytes", frameSize, n)
			}
		}
	}
}

func TestChunkWriterFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		failAt int
		short  bool
		want   error
	}{
		{"first unit", 1, false, errSink},
		{"second unit", 2, false, errSink},
		{"at the close", 3, false, errSink},
		{"short write", 1, true, io.ErrShortWrite},
		{"short write at the close", 3, true, io.ErrShortWrite},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &sink{failAt: tt.failAt, short: tt.short}
			w := must[*ChunkWriter](t)(NewChunkWriter(s, NewDataKey(), NewChunkID(), DefaultFrameSize))
			var err error
			var taken int
			for range 5 * 9 {
				var n int
				if n, err = w.Write(make([]byte, writeUnit/16)); err != nil {
					break
				}
				taken += n
			}
			if err == nil {
				err = w.Close()
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if int64(taken) > w.Size() {
				t.Errorf("took %d bytes, knows of %d", taken, w.Size())
			}
			if n, again := w.Write([]byte{1}); n != 0 || !errors.Is(again, tt.want) {
				t.Errorf("the error did not stay in Write: %d, %v", n, again)
			}
			if again := w.Close(); !errors.Is(again, tt.want) {
				t.Errorf("the error did not stay in Close: %v", again)
			}
			if len(s.writes) != tt.failAt {
				t.Errorf("%d writes after the error", len(s.writes)-tt.failAt)
			}
			if w.buf != nil {
				t.Error("the buffer was kept")
			}
		})
	}
}

func TestChunkWriterEnds(t *testing.T) {
	t.Parallel()
	key := NewDataKey()
	s := new(sink)
	w := must[*ChunkWriter](t)(NewChunkWriter(s, key, NewChunkID(), MinFrameSize))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.buf != nil {
		t.Error("Close keeps the buffer")
	}
	if _, err := w.Write([]byte{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	w.Abort()
	if err := w.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("Close after Close: %v", err)
	}
	if s.out.Len() != HeaderSize+FrameOverhead || len(s.writes) != 1 {
		t.Errorf("an empty chunk in %v", s.writes)
	}

	s = new(sink)
	w = must[*ChunkWriter](t)(NewChunkWriter(s, key, NewChunkID(), MinFrameSize))
	if _, err := w.Write(pattern(100)); err != nil {
		t.Fatal(err)
	}
	buf := keepFromOthers(w)
	w.Abort()
	w.Abort()
	if err := w.Close(); !errors.Is(err, ErrClosed) || len(s.writes) != 0 {
		t.Errorf("Close after Abort: %v, %v", err, s.writes)
	}
	if bytes.Contains(buf.bytes, pattern(100)[:8]) {
		t.Error("Abort leaves plaintext in the pool")
	}
}

// keepFromOthers returns the buffer of w, and sees to it that nobody else gets it when w has given it back.
func keepFromOthers(w *ChunkWriter) *buffer {
	w.buf.home = newBufferPool(w.buf.home.size)
	return w.buf
}

func TestChunkWriterLimit(t *testing.T) {
	t.Parallel()
	w := must[*ChunkWriter](t)(NewChunkWriter(io.Discard, NewDataKey(), NewChunkID(), MinFrameSize))
	if _, err := w.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	w.plain = MaxChunkSize - 1
	if _, err := w.Write([]byte{1}); err != nil {
		t.Fatalf("up to the limit: %v", err)
	}
	if _, err := w.Write([]byte{1}); !errors.Is(err, ErrSize) {
		t.Fatalf("beyond the limit: %v", err)
	}
	if err := w.Close(); !errors.Is(err, ErrSize) {
		t.Errorf("a chunk that was refused bytes closes: %v", err)
	}
}

// TestChunkWriterHoldsLastFrameBack: a frame is sealed only when it is known whether it is the last.
func TestChunkWriterHoldsLastFrameBack(t *testing.T) {
	t.Parallel()
	w := must[*ChunkWriter](t)(NewChunkWriter(io.Discard, NewDataKey(), NewChunkID(), MinFrameSize))
	defer w.Abort()
	steps := []struct {
		write int
		index int64
		held  int
	}{
		{MinFrameSize, 0, MinFrameSize},
		{0, 0, MinFrameSize},
		{1, 1, 1},
		{MinFrameSize - 1, 1, MinFrameSize},
		{2 * MinFrameSize, 3, MinFrameSize},
		{2*MinFrameSize + 1, 6, 1},
	}
	for i, step := range steps {
		if _, err := w.Write(make([]byte, step.write)); err != nil {
			t.Fatal(err)
		}
		if w.index != step.index || w.held != step.held {
			t.Fatalf("step %d: %d frames sealed and %d bytes held, want %d and %d", i, w.index, w.held, step.index, step.held)
		}
	}
}

func TestChunkWriterReset(t *testing.T) {
	t.Parallel()
	key := NewDataKey()
	var first, second bytes.Buffer
	w := must[*ChunkWriter](t)(NewChunkWriter(&first, key, NewChunkID(), MinFrameSize))
	if _, err := w.Write(pattern(5000)); err != nil { // left unfinished
		t.Fatal(err)
	}
	if err := w.Reset(&second, ChunkID{}); !errors.Is(err, ErrID) {
		t.Fatalf("Reset to the zero id: %v", err)
	}
	buf := keepFromOthers(w)
	if err := w.Reset(&second, NewChunkID()); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(buf.bytes, pattern(5000)[4992:]) {
		t.Error("Reset leaves plaintext in the pool")
	}
	for _, size := range []int{0, 100, 9000} {
		second.Reset()
		id := NewChunkID()
		if err := w.Reset(&second, id); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(pattern(size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		want := must[[]byte](t)(SealChunk(nil, key, id, MinFrameSize, pattern(size)))
		if !bytes.Equal(second.Bytes(), want) {
			t.Errorf("%d bytes after Reset: another chunk", size)
		}
	}
	if first.Len() != 0 {
		t.Error("the unfinished chunk was handed on")
	}
	key.Wipe()
	if err := w.Reset(&second, NewChunkID()); !errors.Is(err, ErrKey) {
		t.Errorf("Reset after Wipe: %v", err)
	}
}
