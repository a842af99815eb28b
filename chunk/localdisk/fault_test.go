package localdisk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"coffer/chunk"
	"coffer/chunk/localdisk"
	"coffer/cipher"
	"coffer/internal/disk/disktest"
)

// TestFaultsOfCommit injects one fault into the making of a chunk. The caller
// must be told, by every later call too, and after a cut the chunk must not pass
// for a committed one that was lost: the id can be removed and used again.
func TestFaultsOfCommit(t *testing.T) {
	t.Parallel()
	data := make([]byte, 5<<20) // beyond the first step of writeback
	type fault = disktest.Fault
	for _, c := range []struct {
		op    disktest.Op
		fault fault
		err   error
	}{
		{disktest.OpCreate, fault{Err: syscall.EIO}, syscall.EIO},
		{disktest.OpCreate, fault{Err: syscall.EIO, After: true}, syscall.EIO},
		{disktest.OpCreate, fault{Err: syscall.ENOSPC}, chunk.ErrNoSpace},
		{disktest.OpCreate, fault{Err: syscall.EDQUOT}, chunk.ErrNoSpace},
		{disktest.OpWrite, fault{Err: syscall.EIO}, syscall.EIO},
		{disktest.OpWrite, fault{Err: syscall.EIO, Bytes: 1000}, syscall.EIO},
		{disktest.OpWrite, fault{Err: syscall.EIO, After: true}, syscall.EIO},
		{disktest.OpWrite, fault{Err: syscall.ENOSPC, Bytes: 4096}, chunk.ErrNoSpace},
		{disktest.OpWrite, fault{Bytes: 1000}, io.ErrShortWrite},
		{disktest.OpWrite, fault{Bytes: 0}, io.ErrShortWrite},
		{disktest.OpWriteback, fault{Err: syscall.EIO}, syscall.EIO},
		{disktest.OpWriteback, fault{Err: syscall.ENOSPC}, chunk.ErrNoSpace},
		{disktest.OpSync, fault{Err: syscall.EIO}, syscall.EIO},
		{disktest.OpSync, fault{Err: syscall.EIO, After: true}, syscall.EIO},
		{disktest.OpSync, fault{Err: syscall.ENOSPC}, chunk.ErrNoSpace},
		{disktest.OpClose, fault{Err: syscall.EIO}, syscall.EIO},
		{disktest.OpSyncDir, fault{Err: syscall.EIO}, syscall.EIO},
		{disktest.OpSyncDir, fault{Err: syscall.EIO, After: true}, syscall.EIO},
		{disktest.OpSyncDir, fault{Err: syscall.ENOSPC}, chunk.ErrNoSpace},
	} {
		t.Run(fmt.Sprintf("%s %+v", c.op, c.fault), func(t *testing.T) {
			t.Parallel()
			fs := disktest.NewCrash(disktest.Options{})
			v := disktest.NewFaulty(fs)
			s := open(t, v)
			defer s.Close()
			id := cipher.NewChunkID()
			v.SetRules(disktest.Nth(c.op, 1, c.fault))
			failCommit(t, s, id, data, c.err)

			if c.op != disktest.OpCreate || !c.fault.After { // that one leaves an entry nobody knows of
				if _, err := s.Open(t.Context(), id); !errors.Is(err, chunk.ErrNotFound) {
					t.Errorf("Open after the failure = %v, want ErrNotFound", err)
				}
			}
			must(t, s.Remove(t.Context(), id))
			if lives(t, fs, id, data) {
				t.Error("after a cut the chunk is there, though it was removed")
			}
			must(t, commit(t.Context(), s, id, data))
			if !lives(t, fs, id, data) {
				t.Error("the store lost the commit that followed the fault")
			}
			if n := fs.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
	}
}

// failCommit makes a chunk and wants it to fail, once and for all.
func failCommit(t *testing.T, s *localdisk.Store, id cipher.ChunkID, data []byte, want error) {
	t.Helper()
	w, err := s.Create(t.Context(), id)
	if err != nil {
		if !errors.Is(err, want) {
			t.Errorf("Create = %v, want %v", err, want)
		}
		return
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Commit(t.Context())
	}
	if !errors.Is(err, want) {
		t.Errorf("the making of a chunk = %v, want %v", err, want)
	}
	if _, again := w.Write([]byte("x")); !errors.Is(again, want) {
		t.Errorf("Write after the failure = %v, want %v", again, want)
	}
	if again := w.Commit(t.Context()); !errors.Is(again, want) {
		t.Errorf("Commit after the failure = %v, want %v", again, want)
	}
	must(t, w.Abort())
}

// TestFaultsOfAbort: the caller learns that something stayed behind.
func TestFaultsOfAbort(t *testing.T) {
	t.Parallel()
	for _, op := range []disktest.Op{disktest.OpRemove, disktest.OpClose} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			fs := disktest.NewCrash(disktest.Options{})
			v := disktest.NewFaulty(fs)
			s := open(t, v)
			defer s.Close()
			id := cipher.NewChunkID()
			w, err := s.Create(t.Context(), id)
			must(t, err)
			v.SetRules(disktest.Nth(op, 1, disktest.Fault{Err: syscall.EIO}))
			if err := w.Abort(); !errors.Is(err, syscall.EIO) {
				t.Errorf("Abort = %v, want EIO", err)
			}
			must(t, w.Abort())
			must(t, s.Remove(t.Context(), id))
			for info, err := range s.List(t.Context()) {
				t.Errorf("List shows %v, %v", info, err)
			}
			if n := fs.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
	}
}

// TestFaultsOfRemove: a removal that failed may be repeated, and is durable
// only when it says so.
func TestFaultsOfRemove(t *testing.T) {
	t.Parallel()
	data := []byte("sealed")
	for _, c := range []struct {
		name string
		op   disktest.Op
		n    int
	}{
		{"first unlink", disktest.OpRemove, 1},
		{"second unlink", disktest.OpRemove, 2},
		{"first sync", disktest.OpSyncDir, 1},
		{"second sync", disktest.OpSyncDir, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs := disktest.NewCrash(disktest.Options{})
			v := disktest.NewFaulty(fs)
			s := open(t, v)
			defer s.Close()
			ids := []cipher.ChunkID{{0: 1, 15: 1}, {0: 2, 15: 2}}
			for _, id := range ids {
				must(t, commit(t.Context(), s, id, data))
			}
			v.SetRules(disktest.Nth(c.op, c.n, disktest.Fault{Err: syscall.EIO}))
			if err := s.Remove(t.Context(), ids...); !errors.Is(err, syscall.EIO) {
				t.Errorf("Remove = %v, want EIO", err)
			}
			if other := ids[2-c.n]; lives(t, fs, other, data) {
				t.Error("the chunk without a fault was not removed for good")
			}
			must(t, s.Remove(t.Context(), ids...))
			for _, id := range ids {
				if lives(t, fs, id, data) {
					t.Errorf("%s is back after the repeated removal", id)
				}
			}
		})
	}
}

// TestFaultsOfOthers covers what only reads, and the opening of the store.
func TestFaultsOfOthers(t *testing.T) {
	t.Parallel()
	id := cipher.ChunkID{0: 1, 15: 1}
	for _, c := range []struct {
		name string
		op   disktest.Op
		call func(ctx context.Context, s *localdisk.Store) error
	}{
		{"open", disktest.OpOpen, readOne(id)},
		{"size", disktest.OpSize, readOne(id)},
		{"read", disktest.OpReadAt, readOne(id)},
		{"close", disktest.OpClose, readOne(id)},
		{"list", disktest.OpReadDir, func(ctx context.Context, s *localdisk.Store) (last error) {
			for _, err := range s.List(ctx) {
				last = err
			}
			return last
		}},
		{"strays", disktest.OpReadDir, func(ctx context.Context, s *localdisk.Store) (last error) {
			for _, err := range s.Strays(ctx) {
				last = err
			}
			return last
		}},
		{"space", disktest.OpSpace, func(ctx context.Context, s *localdisk.Store) error {
			_, err := s.Space(ctx)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs := disktest.NewCrash(disktest.Options{})
			v := disktest.NewFaulty(fs)
			s := open(t, v)
			defer s.Close()
			must(t, commit(t.Context(), s, id, []byte("sealed")))
			v.SetRules(disktest.Always(c.op, disktest.Fault{Err: syscall.EIO}))
			err := c.call(t.Context(), s)
			var e *chunk.Error
			if !errors.Is(err, syscall.EIO) || !errors.As(err, &e) {
				t.Errorf("got %v, want EIO in a *chunk.Error", err)
			}
			if n := fs.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
	}
	for _, op := range []disktest.Op{disktest.OpMkdirAll, disktest.OpSyncDir} {
		v := disktest.NewFaulty(disktest.NewCrash(disktest.Options{}), disktest.Nth(op, 2, disktest.Fault{Err: syscall.EIO}))
		if _, err := localdisk.Open(t.Context(), localdisk.Options{FS: v}); !errors.Is(err, syscall.EIO) {
			t.Errorf("Open with a fault in %s = %v, want EIO", op, err)
		}
	}
}

// readOne opens a chunk, reads a byte and closes it.
func readOne(id cipher.ChunkID) func(ctx context.Context, s *localdisk.Store) error {
	return func(ctx context.Context, s *localdisk.Store) error {
		r, err := s.Open(ctx, id)
		if err != nil {
			return err
		}
		_, err = r.ReadAt(make([]byte, 1), 0)
		return errors.Join(err, r.Close())
	}
}
