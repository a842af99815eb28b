package localdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"coffer/chunk"
	"coffer/chunk/chunktest"
	"coffer/chunk/localdisk"
	"coffer/cipher"
	"coffer/internal/disk/disktest"
)

// machine is a store over a file system whose power is cut.
type machine struct {
	fs    *disktest.Crash
	store *localdisk.Store
	seed  uint64 // 0 for a clean cut
}

func newMachine(t *testing.T, seed uint64) *machine {
	t.Helper()
	fs := disktest.NewCrash(disktest.Options{})
	return &machine{fs: fs, store: open(t, fs), seed: seed}
}

func (m *machine) Store() chunk.Store { return m.store }

func (m *machine) Crash(t *testing.T) chunk.Store {
	t.Helper()
	if m.seed == 0 {
		return open(t, m.fs.Crash())
	}
	return open(t, m.fs.CrashTorn(rand.New(rand.NewPCG(m.seed, 0))))
}

func TestCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			chunktest.RunCrash(t, func(t *testing.T) chunktest.Machine { return newMachine(t, seed) })
		})
	}
}

// lives reports whether a committed chunk is found whole after a clean cut.
func lives(t *testing.T, fs *disktest.Crash, id cipher.ChunkID, data []byte) bool {
	t.Helper()
	s := open(t, fs.Crash())
	defer s.Close()
	r, err := s.Open(t.Context(), id)
	if errors.Is(err, chunk.ErrNotFound) {
		return false
	}
	must(t, err)
	defer r.Close()
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	must(t, err)
	return bytes.Equal(got, data)
}

// TestEachSyncIsNeeded leaves out one kind of sync at a time: the commit still
// says nil, and the cut must find the lie. So the test above would catch a
// commit without it.
func TestEachSyncIsNeeded(t *testing.T) {
	t.Parallel()
	data := []byte("sealed bytes")
	for _, c := range []struct {
		name  string
		skip  func(disktest.Call) bool
		lives bool
	}{
		{"none left out", func(disktest.Call) bool { return false }, true},
		{"file", func(c disktest.Call) bool { return c.Op == disktest.OpSync }, false},
		{"directory of the chunk", func(c disktest.Call) bool {
			return c.Op == disktest.OpSyncDir && len(c.Name) == len("chunks/ab")
		}, false},
		{"directory of the directories", func(c disktest.Call) bool {
			return c.Op == disktest.OpSyncDir && c.Name == "chunks"
		}, false},
		{"root", func(c disktest.Call) bool { return c.Op == disktest.OpSyncDir && c.Name == "." }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs := disktest.NewCrash(disktest.Options{})
			s := open(t, disktest.NewFaulty(fs, disktest.Match(c.skip, disktest.Fault{Skip: true})))
			defer s.Close()
			id := cipher.NewChunkID()
			must(t, commit(t.Context(), s, id, data))
			if got := lives(t, fs, id, data); got != c.lives {
				t.Errorf("after a cut the committed chunk lives: %v, want %v", got, c.lives)
			}
		})
	}
}

// TestRemoveNeedsItsSync leaves out the sync after a removal: the chunk returns.
func TestRemoveNeedsItsSync(t *testing.T) {
	t.Parallel()
	data := []byte("sealed bytes")
	for name, skip := range map[string]bool{"synced": false, "left out": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := disktest.NewCrash(disktest.Options{})
			v := disktest.NewFaulty(fs)
			s := open(t, v)
			defer s.Close()
			id := cipher.NewChunkID()
			must(t, commit(t.Context(), s, id, data))
			v.SetRules(disktest.Match(func(c disktest.Call) bool {
				return skip && c.Op == disktest.OpSyncDir
			}, disktest.Fault{Skip: true}))
			must(t, s.Remove(t.Context(), id))
			if got := lives(t, fs, id, data); got != skip {
				t.Errorf("after a cut the removed chunk lives: %v, want %v", got, skip)
			}
		})
	}
}

// TestOpenSyncsOldDirectories: the process that made the directories may have
// died before it synced them.
func TestOpenSyncsOldDirectories(t *testing.T) {
	t.Parallel()
	fs := disktest.NewCrash(disktest.Options{})
	unsynced := disktest.NewFaulty(fs, disktest.Always(disktest.OpSyncDir, disktest.Fault{Skip: true}))
	must(t, open(t, unsynced).Close())
	s := open(t, fs)
	defer s.Close()
	id := cipher.NewChunkID()
	must(t, commit(t.Context(), s, id, []byte("x")))
	if !lives(t, fs, id, []byte("x")) {
		t.Error("a chunk in directories of an earlier process is lost")
	}
}

// TestCutAnywhere cuts the power before every call of a commit, a removal and an
// abort. Whatever is found, the store opens, committed chunks are whole, and
// what is listed beside them can be removed.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	fs := disktest.NewCrash(disktest.Options{})
	v := disktest.NewFaulty(fs)
	s := open(t, v)
	defer s.Close()
	kept, removed, aborted := cipher.NewChunkID(), cipher.NewChunkID(), cipher.NewChunkID()
	var keptDone, removedDone bool
	cuts := 0
	check := func(call disktest.Call) *disktest.Fault {
		cuts++
		for seed := range uint64(3) {
			after := open(t, fs.CrashTorn(rand.New(rand.NewPCG(seed, uint64(cuts)))))
			for id, want := range map[cipher.ChunkID]bool{kept: keptDone, removed: false, aborted: false} {
				_, err := after.Open(t.Context(), id)
				if want && err != nil {
					t.Errorf("cut before %s of %s: a committed chunk: %v", call.Op, call.Name, err)
				}
				if id == removed && removedDone && !errors.Is(err, chunk.ErrNotFound) {
					t.Errorf("cut before %s of %s: a removed chunk is back", call.Op, call.Name)
				}
			}
			must(t, after.Remove(t.Context(), removed, aborted))
			must(t, after.Close())
		}
		if keptDone && !lives(t, fs, kept, data) {
			t.Errorf("cut before %s of %s: a committed chunk is lost", call.Op, call.Name)
		}
		return nil
	}
	v.SetRules(check)
	must(t, commit(t.Context(), s, kept, data))
	keptDone = true
	must(t, commit(t.Context(), s, removed, data))
	must(t, s.Remove(t.Context(), removed))
	removedDone = true
	w, err := s.Create(t.Context(), aborted)
	must(t, err)
	_, err = w.Write(data)
	must(t, errors.Join(err, w.Abort()))
	check(disktest.Call{Op: "end"})
	if cuts < 15 {
		t.Errorf("only %d cuts; want one before every call", cuts)
	}
}
