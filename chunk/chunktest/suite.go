package chunktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"coffer/chunk"
	"coffer/cipher"
)

// Run checks a driver against the promises of chunk.Store. Each call of open
// gives an empty store.
func Run(t *testing.T, open func(t *testing.T) chunk.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s chunk.Store)
	}{
		{"what was written is read", testRoundTrip},
		{"create is exclusive", testExclusive},
		{"one of many creators wins", testCreateRace},
		{"an open writer is invisible", testInvisible},
		{"abort leaves nothing", testAbort},
		{"a writer ends once", testWriterEnds},
		{"write does not keep its argument", testWriteCopies},
		{"a large chunk", testLarge},
		{"read at", testReadAt},
		{"many readers of one chunk", testParallelReadAt},
		{"a closed reader", testReaderClosed},
		{"open finds committed chunks only", testOpenMissing},
		{"remove", testRemove},
		{"remove under a reader", testRemoveUnderReader},
		{"list", testList},
		{"list while removing", testListRemove},
		{"space", testSpace},
		{"cancelled", testCancelled},
		{"a cancelled commit is final", testCancelledCommit},
		{"a closed store", testClosed},
		{"close during commits", testCloseRace},
		{"many in parallel", testParallel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(t, s)
		})
	}
}

// content makes n bytes that are determined by id.
func content(id cipher.ChunkID, n int) []byte {
	seed := [32]byte(append(id[:], id[:]...))
	p := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(p)
	return p
}

// begin creates a chunk and writes to it.
func begin(t *testing.T, s chunk.Store, id cipher.ChunkID, data []byte) chunk.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), id)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if n, err := w.Write(data); n != len(data) || err != nil {
		t.Fatalf("Write = %d, %v; want %d", n, err, len(data))
	}
	return w
}

// put commits a chunk of n bytes, and returns its id.
func put(t *testing.T, s chunk.Store, n int) cipher.ChunkID {
	t.Helper()
	id := cipher.NewChunkID()
	if err := begin(t, s, id, content(id, n)).Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return id
}

// get reads a whole chunk.
func get(ctx context.Context, s chunk.Store, id cipher.ChunkID) ([]byte, error) {
	r, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

// wantChunk checks that a chunk made by put is there.
func wantChunk(t *testing.T, s chunk.Store, id cipher.ChunkID, n int) {
	t.Helper()
	got, err := get(t.Context(), s, id)
	if err != nil || !bytes.Equal(got, content(id, n)) {
		t.Errorf("chunk %s: %d bytes, %v; want its %d bytes", id, len(got), err, n)
	}
}

// wantNone checks that a chunk is not there.
func wantNone(t *testing.T, s chunk.Store, id cipher.ChunkID) {
	t.Helper()
	_, err := s.Open(t.Context(), id)
	wantErr(t, "Open", err, chunk.ErrNotFound)
}

// wantErr checks an error's kind, and that it says where it comes from.
func wantErr(t *testing.T, call string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s = %v, want %v", call, err, target)
		return
	}
	var e *chunk.Error
	if target != nil && (!errors.As(err, &e) || e.Op == "") {
		t.Errorf("%s = %v, which is not a *chunk.Error with an Op", call, err)
	}
}

// list gives the ids of a store in order, and their sizes.
func list(ctx context.Context, s chunk.Store) (ids []cipher.ChunkID, sizes map[cipher.ChunkID]int64, err error) {
	sizes = make(map[cipher.ChunkID]int64)
	for info, err := range s.List(ctx) {
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, info.ID)
		sizes[info.ID] = info.Size
	}
	return sorted(ids), sizes, nil
}

func sorted(ids []cipher.ChunkID) []cipher.ChunkID {
	slices.SortFunc(ids, func(a, b cipher.ChunkID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// wantList checks which chunks a store lists.
func wantList(t *testing.T, s chunk.Store, want ...cipher.ChunkID) {
	t.Helper()
	got, _, err := list(t.Context(), s)
	if err != nil || !slices.Equal(got, sorted(slices.Clone(want))) {
		t.Errorf("List = %v, %v; want %v", got, err, want)
	}
}
