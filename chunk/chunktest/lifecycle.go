package chunktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"coffer/chunk"
	"coffer/cipher"
)

// calls makes every call of a store that takes a context.
func calls(ctx context.Context, s chunk.Store, id cipher.ChunkID) map[string]error {
	errs := make(map[string]error)
	_, errs["Create"] = s.Create(ctx, cipher.NewChunkID())
	_, errs["Open"] = s.Open(ctx, id)
	errs["Remove"] = s.Remove(ctx, id)
	errs["Remove of none"] = s.Remove(ctx)
	_, _, errs["List"] = list(ctx, s)
	_, errs["Space"] = s.Space(ctx)
	return errs
}

func testCancelled(t *testing.T, s chunk.Store) {
	id := put(t, s, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for call, err := range calls(ctx, s, id) {
		wantErr(t, call, err, context.Canceled)
	}
	wantChunk(t, s, id, 10)
	wantList(t, s, id)

	other := put(t, s, 10)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.List(ctx) {
		cancel()
		last = err
	}
	wantErr(t, "List cancelled between two chunks", last, context.Canceled)
	wantList(t, s, id, other)
}

func testCancelledCommit(t *testing.T, s chunk.Store) {
	id := cipher.NewChunkID()
	w := begin(t, s, id, content(id, 10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "Commit", w.Commit(ctx), context.Canceled)
	wantErr(t, "second Commit", w.Commit(t.Context()), context.Canceled)
	_, err := w.Write([]byte("more"))
	wantErr(t, "Write", err, context.Canceled)
	wantNone(t, s, id)
	if err := w.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	wantNone(t, s, id)
	wantList(t, s)
}

func testClosed(t *testing.T, s chunk.Store) {
	id := put(t, s, 10)
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w := begin(t, s, cipher.NewChunkID(), []byte("unfinished"))
	committing := begin(t, s, cipher.NewChunkID(), []byte("unfinished"))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for call, err := range calls(t.Context(), s, id) {
		wantErr(t, call, err, chunk.ErrClosed)
	}
	_, err = w.Write([]byte("more"))
	wantErr(t, "Write", err, chunk.ErrClosed)
	wantErr(t, "Commit", committing.Commit(t.Context()), chunk.ErrClosed)
	for _, w := range []chunk.Writer{w, committing} {
		if err := w.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || !bytes.Equal(got, content(id, 10)) {
		t.Errorf("a reader after Close: %d bytes, %v; want its 10", len(got), err)
	}
}

// testCloseRace closes a store under load: a call either does its work or says
// that the store is closed.
func testCloseRace(t *testing.T, s chunk.Store) {
	var wg sync.WaitGroup
	begun := make(chan struct{}, 8)
	for range cap(begun) {
		wg.Go(func() {
			for {
				err := commitOne(t.Context(), s, cipher.NewChunkID(), 100)
				select {
				case begun <- struct{}{}:
				default:
				}
				if err != nil {
					wantErr(t, "a call during Close", err, chunk.ErrClosed)
					return
				}
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
}

// commitOne makes a chunk, from any goroutine.
func commitOne(ctx context.Context, s chunk.Store, id cipher.ChunkID, size int) error {
	w, err := s.Create(ctx, id)
	if err != nil {
		return err
	}
	if _, err := w.Write(content(id, size)); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(ctx); err != nil {
		return errors.Join(err, w.Abort())
	}
	return nil
}

// testParallel has many goroutines make, read, abort and remove chunks.
func testParallel(t *testing.T, s chunk.Store) {
	const workers, rounds = 32, 12
	var mu sync.Mutex
	var kept []cipher.ChunkID
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for round := range rounds {
				id := cipher.NewChunkID()
				if err := parallelRound(t.Context(), s, id, worker*rounds+round); err != nil {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
					return
				}
				if round%3 == 0 {
					mu.Lock()
					kept = append(kept, id)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	wantList(t, s, kept...)
}

// parallelRound leaves a chunk in every third round; in the others it removes
// or aborts it.
func parallelRound(ctx context.Context, s chunk.Store, id cipher.ChunkID, n int) error {
	size := n * 37
	if n%3 == 1 {
		w, err := s.Create(ctx, id)
		if err != nil {
			return err
		}
		_, err = w.Write(content(id, size))
		return errors.Join(err, w.Abort())
	}
	if err := commitOne(ctx, s, id, size); err != nil {
		return err
	}
	got, err := get(ctx, s, id)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, content(id, size)) {
		return errors.New("wrong bytes")
	}
	if n%3 == 2 {
		return s.Remove(ctx, id)
	}
	return nil
}
