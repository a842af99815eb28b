package memchunk_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"coffer/chunk"
	"coffer/chunk/chunktest"
	"coffer/chunk/memchunk"
	"coffer/cipher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	t.Parallel()
	chunktest.Run(t, func(*testing.T) chunk.Store { return memchunk.New(memchunk.Options{}) })
}

// machine is a store in memory whose power is cut.
type machine struct {
	store *memchunk.Store
	torn  bool
}

func (m *machine) Store() chunk.Store { return m.store }

func (m *machine) Crash(*testing.T) chunk.Store {
	if m.torn {
		return m.store.CrashTorn(rand.New(rand.NewPCG(1, 2)))
	}
	return m.store.Crash()
}

func TestCrash(t *testing.T) {
	t.Parallel()
	for name, torn := range map[string]bool{"clean": false, "torn": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chunktest.RunCrash(t, func(*testing.T) chunktest.Machine {
				return &machine{store: memchunk.New(memchunk.Options{}), torn: torn}
			})
		})
	}
}

// TestCrashTorn finds an unfinished chunk after some cuts, never longer than
// what was written, and none after a clean cut.
func TestCrashTorn(t *testing.T) {
	t.Parallel()
	s := memchunk.New(memchunk.Options{})
	id := cipher.NewChunkID()
	w, err := s.Create(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	found := 0
	for seed := range uint64(50) {
		for info, err := range s.CrashTorn(rand.New(rand.NewPCG(seed, 0))).List(t.Context()) {
			if err != nil || info.ID != id || info.Size > 100 {
				t.Errorf("found %+v, %v; want at most 100 bytes of %s", info, err, id)
			}
			found++
		}
	}
	if found == 0 || found == 50 {
		t.Errorf("the unfinished chunk was found in %d of 50 cuts, want in some", found)
	}
	for info := range s.Crash().List(t.Context()) {
		t.Errorf("after a clean cut: %+v", info)
	}
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	s := memchunk.New(memchunk.Options{Capacity: 100})
	free := func() uint64 {
		sp, err := s.Space(t.Context())
		if err != nil || sp.Total != 100 {
			t.Fatalf("Space = %+v, %v; want 100 in total", sp, err)
		}
		return sp.Free
	}
	a, b := cipher.NewChunkID(), cipher.NewChunkID()
	w, err := s.Create(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 60)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, err = s.Create(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(make([]byte, 41))
	for call, err := range map[string]error{"Write beyond the capacity": err, "Commit after it": w.Commit(t.Context())} {
		if !errors.Is(err, chunk.ErrNoSpace) {
			t.Errorf("%s = %v, want ErrNoSpace", call, err)
		}
	}
	if got := free(); got != 40 {
		t.Errorf("free = %d, want 40", got)
	}
	if sp, err := s.Crash().Space(t.Context()); err != nil || sp.Free != 40 {
		t.Errorf("free after a cut = %d, %v; want 40", sp.Free, err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if got := free(); got != 100 {
		t.Errorf("free after removal = %d, want 100", got)
	}
}
