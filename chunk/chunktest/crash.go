package chunktest

import (
	"slices"
	"sync"
	"testing"

	"coffer/chunk"
	"coffer/cipher"
)

// Machine is a store whose power can be cut.
type Machine interface {
	// Store is the store as it runs now.
	Store() chunk.Store
	// Crash cuts the power and returns the store that is found afterwards,
	// open. The store before keeps running, for those that still use it.
	Crash(t *testing.T) chunk.Store
}

// RunCrash checks what a driver promises to be durable. Each call of open gives
// a machine with an empty store.
func RunCrash(t *testing.T, open func(t *testing.T) Machine) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, m Machine)
	}{
		{"a committed chunk survives", testCrashCommitted},
		{"a removed chunk stays removed", testCrashRemoved},
		{"what was not committed can be removed", testCrashUncommitted},
		{"every acknowledged commit survives", testCrashParallel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := open(t)
			t.Cleanup(func() {
				if err := m.Store().Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(t, m)
		})
	}
}

// crash cuts the power, and closes what is found at the end of the test.
func crash(t *testing.T, m Machine) chunk.Store {
	t.Helper()
	after := m.Crash(t)
	t.Cleanup(func() {
		if err := after.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return after
}

func testCrashCommitted(t *testing.T, m Machine) {
	for _, size := range []int{0, 1, 5 << 20} {
		id := put(t, m.Store(), size)
		wantChunk(t, crash(t, m), id, size)
	}
}

func testCrashRemoved(t *testing.T, m Machine) {
	a, b, kept := put(t, m.Store(), 10), put(t, m.Store(), 20), put(t, m.Store(), 30)
	if err := m.Store().Remove(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	after := crash(t, m)
	wantNone(t, after, a)
	wantNone(t, after, b)
	wantChunk(t, after, kept, 30)
	wantList(t, after, kept)
}

func testCrashUncommitted(t *testing.T, m Machine) {
	kept := put(t, m.Store(), 10)
	open, aborted := cipher.NewChunkID(), cipher.NewChunkID()
	w := begin(t, m.Store(), open, content(open, 1000))
	defer func() {
		if err := w.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}()
	if err := begin(t, m.Store(), aborted, content(aborted, 1000)).Abort(); err != nil {
		t.Fatal(err)
	}
	after := crash(t, m)
	ids, _, err := list(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !slices.Contains([]cipher.ChunkID{kept, open, aborted}, id) {
			t.Errorf("List shows %s, which nobody made", id)
		}
	}
	if err := after.Remove(t.Context(), open, aborted); err != nil {
		t.Errorf("Remove of what was not committed: %v", err)
	}
	wantList(t, after, kept)
	wantChunk(t, after, kept, 10)
}

// testCrashParallel cuts the power while many commit and remove.
func testCrashParallel(t *testing.T, m Machine) {
	var mu sync.Mutex
	committed := make(map[cipher.ChunkID]bool) // false: its removal has begun
	var removed []cipher.ChunkID
	var wg sync.WaitGroup
	half := make(chan struct{})
	for worker := range 16 {
		wg.Go(func() {
			for round := range 16 {
				if worker == 0 && round == 8 {
					close(half)
				}
				id := cipher.NewChunkID()
				if err := commitOne(t.Context(), m.Store(), id, 500); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				mu.Lock()
				committed[id] = round%2 == 0
				mu.Unlock()
				if round%2 == 0 {
					continue
				}
				if err := m.Store().Remove(t.Context(), id); err != nil {
					t.Errorf("Remove: %v", err)
					return
				}
				mu.Lock()
				removed = append(removed, id)
				mu.Unlock()
			}
		})
	}
	<-half
	mu.Lock()
	var keep []cipher.ChunkID
	for id, stays := range committed {
		if stays {
			keep = append(keep, id)
		}
	}
	gone := slices.Clone(removed)
	mu.Unlock()
	after := crash(t, m)
	wg.Wait()
	for _, id := range keep {
		wantChunk(t, after, id, 500)
	}
	for _, id := range gone {
		wantNone(t, after, id)
	}
	if len(keep) == 0 || len(gone) == 0 {
		t.Errorf("%d kept, %d removed before the cut; want some of both", len(keep), len(gone))
	}
}
