package chunktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"coffer/chunk"
	"coffer/cipher"
)

func testRoundTrip(t *testing.T, s chunk.Store) {
	for _, c := range []struct{ size, step int }{
		{0, 1}, {1, 1}, {100, 7}, {4095, 4096}, {4096, 4096}, {64<<10 + 16, 1000}, {1<<20 + 1, 64 << 10},
	} {
		t.Run(fmt.Sprintf("%d bytes by %d", c.size, c.step), func(t *testing.T) {
			id := cipher.NewChunkID()
			w := begin(t, s, id, nil)
			for rest := content(id, c.size); len(rest) > 0; {
				n := min(c.step, len(rest))
				if got, err := w.Write(rest[:n]); got != n || err != nil {
					t.Fatalf("Write = %d, %v; want %d", got, err, n)
				}
				rest = rest[n:]
			}
			if err := w.Commit(t.Context()); err != nil {
				t.Fatalf("Commit: %v", err)
			}
			wantChunk(t, s, id, c.size)
		})
	}
}

func testExclusive(t *testing.T, s chunk.Store) {
	id := cipher.NewChunkID()
	w := begin(t, s, id, content(id, 10))
	_, err := s.Create(t.Context(), id)
	wantErr(t, "Create under an open writer", err, chunk.ErrExists)
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), id)
	wantErr(t, "Create of a committed chunk", err, chunk.ErrExists)
	wantChunk(t, s, id, 10)
}

func testCreateRace(t *testing.T, s chunk.Store) {
	id := cipher.NewChunkID()
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			w, err := s.Create(t.Context(), id)
			if err != nil {
				wantErr(t, "Create", err, chunk.ErrExists)
				return
			}
			won.Add(1)
			if _, err := w.Write(content(id, 100)); err != nil {
				t.Errorf("Write: %v", err)
			}
			if err := w.Commit(t.Context()); err != nil {
				t.Errorf("Commit: %v", err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d creators won, want 1", n)
	}
	wantChunk(t, s, id, 100)
}

func testInvisible(t *testing.T, s chunk.Store) {
	id := cipher.NewChunkID()
	w := begin(t, s, id, content(id, 5<<20))
	wantNone(t, s, id)
	wantList(t, s)
	wantErr(t, "Remove", s.Remove(t.Context(), id), chunk.ErrBusy)
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantChunk(t, s, id, 5<<20)
	wantList(t, s, id)
}

func testAbort(t *testing.T, s chunk.Store) {
	for _, size := range []int{0, 1, 5 << 20} {
		id := cipher.NewChunkID()
		w := begin(t, s, id, content(id, size))
		for range 2 {
			if err := w.Abort(); err != nil {
				t.Errorf("Abort: %v", err)
			}
		}
		wantNone(t, s, id)
		wantList(t, s)
		again := begin(t, s, id, content(id, 3))
		if err := again.Commit(t.Context()); err != nil {
			t.Errorf("Commit under an id that was aborted: %v", err)
		}
		if err := w.Abort(); err != nil {
			t.Errorf("third Abort: %v", err)
		}
		wantChunk(t, s, id, 3)
		if err := s.Remove(t.Context(), id); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
}

func testWriterEnds(t *testing.T, s chunk.Store) {
	for _, end := range []struct {
		name  string
		call  func(w chunk.Writer) error
		chunk bool
	}{
		{"commit", func(w chunk.Writer) error { return w.Commit(t.Context()) }, true},
		{"abort", func(w chunk.Writer) error { return w.Abort() }, false},
	} {
		t.Run(end.name, func(t *testing.T) {
			id := cipher.NewChunkID()
			w := begin(t, s, id, content(id, 10))
			if err := end.call(w); err != nil {
				t.Fatal(err)
			}
			_, err := w.Write([]byte("more"))
			wantErr(t, "Write", err, chunk.ErrClosed)
			wantErr(t, "Commit", w.Commit(t.Context()), chunk.ErrClosed)
			if err := w.Abort(); err != nil {
				t.Errorf("Abort: %v", err)
			}
			if end.chunk {
				wantChunk(t, s, id, 10)
			} else {
				wantNone(t, s, id)
			}
		})
	}
}

func testWriteCopies(t *testing.T, s chunk.Store) {
	id := cipher.NewChunkID()
	data := content(id, 1000)
	w := begin(t, s, id, data)
	clear(data)
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantChunk(t, s, id, 1000)
}

func testLarge(t *testing.T, s chunk.Store) {
	const unit, units = 1<<20 + 13, 24 // crosses several steps of writeback, never on one
	id := cipher.NewChunkID()
	part := content(id, unit)
	w := begin(t, s, id, part)
	for range units - 1 {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() != unit*units {
		t.Errorf("Size = %d, want %d", r.Size(), unit*units)
	}
	got := make([]byte, unit)
	for i := range int64(units) {
		n, err := r.ReadAt(got, i*unit)
		if n != unit || (err != nil && !errors.Is(err, io.EOF)) || !bytes.Equal(got, part) {
			t.Fatalf("unit %d: %d bytes, %v, or wrong ones", i, n, err)
		}
	}
}
