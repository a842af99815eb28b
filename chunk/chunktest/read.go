package chunktest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"coffer/chunk"
	"coffer/cipher"
)

func testReadAt(t *testing.T, s chunk.Store) {
	const size = 10_000
	id := put(t, s, size)
	data := content(id, size)
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() != size {
		t.Errorf("Size = %d, want %d", r.Size(), size)
	}
	for _, c := range []struct {
		name  string
		off   int64
		len   int
		n     int
		ended bool // io.EOF is due; where the read ends at the end it is allowed
	}{
		{"all", 0, size, size, false},
		{"first byte", 0, 1, 1, false},
		{"last byte", size - 1, 1, 1, false},
		{"inside", 4095, 4098, 4098, false},
		{"over the end", size - 10, 20, 10, true},
		{"at the end", size, 1, 0, true},
		{"beyond the end", size + 1, 1, 0, true},
		{"far beyond", 1 << 60, 1, 0, true},
		{"nothing", 5, 0, 0, false},
	} {
		p := make([]byte, c.len)
		n, err := r.ReadAt(p, c.off)
		if n != c.n || (n > 0 && !bytes.Equal(p[:n], data[c.off:c.off+int64(n)])) {
			t.Errorf("%s: ReadAt = %d bytes, or wrong ones; want %d", c.name, n, c.n)
		}
		if c.ended != errors.Is(err, io.EOF) && (c.ended || c.off+int64(c.len) != size) {
			t.Errorf("%s: ReadAt = %v; want io.EOF: %v", c.name, err, c.ended)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: ReadAt = %v", c.name, err)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("before the start: ReadAt = %v, want an error of its own", err)
	}
}

func testParallelReadAt(t *testing.T, s chunk.Store) {
	const size, part = 1 << 20, 64 << 10
	id := put(t, s, size)
	data := content(id, size)
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			p := make([]byte, part)
			for round := range 8 {
				off := (i*7 + round*3) % 16 * part
				if n, err := r.ReadAt(p, int64(off)); n != part || !bytes.Equal(p, data[off:off+part]) {
					t.Errorf("ReadAt(%d) = %d, %v, or wrong bytes", off, n, err)
				}
			}
		})
	}
	wg.Wait()
}

func testReaderClosed(t *testing.T, s chunk.Store) {
	r, err := s.Open(t.Context(), put(t, s, 10))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	_, err = r.ReadAt(make([]byte, 1), 0)
	wantErr(t, "ReadAt", err, chunk.ErrClosed)
	wantErr(t, "second Close", r.Close(), chunk.ErrClosed)
	if r.Size() != 10 {
		t.Errorf("Size = %d, want 10", r.Size())
	}
}

func testOpenMissing(t *testing.T, s chunk.Store) {
	id := cipher.NewChunkID()
	wantNone(t, s, id)
	_, err := s.Open(t.Context(), id)
	var e *chunk.Error
	if !errors.As(err, &e) || e.ID != id || e.Op != "open" {
		t.Errorf("Open = %#v; want the id and the operation in it", err)
	}
}

func testRemove(t *testing.T, s chunk.Store) {
	a, b, c := put(t, s, 10), put(t, s, 20), put(t, s, 30)
	absent := cipher.NewChunkID()
	for _, ids := range [][]cipher.ChunkID{{}, {absent}, {a, absent, b, a}, {a, b}} {
		if err := s.Remove(t.Context(), ids...); err != nil {
			t.Errorf("Remove(%v): %v", ids, err)
		}
	}
	wantNone(t, s, a)
	wantNone(t, s, b)
	wantChunk(t, s, c, 30)
	wantList(t, s, c)

	busy := cipher.NewChunkID()
	w := begin(t, s, busy, nil)
	defer func() {
		if err := w.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}()
	wantErr(t, "Remove with a busy one", s.Remove(t.Context(), busy, c), chunk.ErrBusy)
	wantNone(t, s, c) // one that cannot be removed does not keep the others
}

func testRemoveUnderReader(t *testing.T, s chunk.Store) {
	id := put(t, s, 1000)
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, id)
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || !bytes.Equal(got, content(id, 1000)) {
		t.Errorf("reading a removed chunk: %d bytes, %v; want its 1000", len(got), err)
	}
}

func testList(t *testing.T, s chunk.Store) {
	wantList(t, s)
	before := time.Now().Add(-2 * time.Second) // clocks of file systems are coarse
	want := make(map[cipher.ChunkID]int64)
	var ids []cipher.ChunkID
	for n := range 300 {
		id := put(t, s, n)
		ids = append(ids, id)
		want[id] = int64(n)
	}
	wantList(t, s, ids...)
	for info, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != want[info.ID] {
			t.Errorf("size of %s = %d, want %d", info.ID, info.Size, want[info.ID])
		}
		if info.ModTime.Before(before) || info.ModTime.After(time.Now().Add(2*time.Second)) {
			t.Errorf("time of %s = %v, want now", info.ID, info.ModTime)
		}
	}
	seen := 0
	for range s.List(t.Context()) {
		if seen++; seen == 5 {
			break
		}
	}
	if seen != 5 {
		t.Errorf("a List that was left yielded %d, want 5", seen)
	}
}

// testListRemove removes what it sees, as the collector does.
func testListRemove(t *testing.T, s chunk.Store) {
	var ids []cipher.ChunkID
	for range 100 {
		ids = append(ids, put(t, s, 1))
	}
	var seen []cipher.ChunkID
	for info, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, info.ID)
		if err := s.Remove(t.Context(), info.ID); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sorted(seen), sorted(ids)) {
		t.Errorf("saw %d chunks, want each of %d once", len(seen), len(ids))
	}
	wantList(t, s)
}

func testSpace(t *testing.T, s chunk.Store) {
	sp, err := s.Space(t.Context())
	if err != nil || sp.Free == 0 || sp.Free > sp.Total {
		t.Errorf("Space = %+v, %v; want 0 < Free <= Total", sp, err)
	}
}
