package localdisk

import (
	"context"
	"iter"
	"path"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/internal/disk"
)

// List implements chunk.Store. It holds one batch of directory entries in
// memory at a time.
func (s *Store) List(ctx context.Context) iter.Seq2[chunk.Info, error] {
	return func(yield func(chunk.Info, error) bool) {
		var strays int64
		for e, err := range s.walk(ctx) {
			switch {
			case err != nil:
				yield(chunk.Info{}, fail("list", cipher.ChunkID{}, err))
				return
			case e.stray:
				strays++
			case s.isBusy(e.id):
			case !yield(chunk.Info{ID: e.id, Size: e.Size, ModTime: e.ModTime}, nil):
				return
			}
		}
		s.strays.Store(strays)
	}
}

// Strays yields the names, below the root of the file system, of the entries in
// the store's directory that are no chunks. They are for a person to look at.
func (s *Store) Strays(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for e, err := range s.walk(ctx) {
			if err != nil {
				yield("", fail("list", cipher.ChunkID{}, err))
				return
			}
			if e.stray && !yield(e.path, nil) {
				return
			}
		}
	}
}

// entry is what a walk finds: a chunk, or a stray.
type entry struct {
	disk.Entry
	path  string // below the root of the file system
	id    cipher.ChunkID
	stray bool
}

// walk yields everything in the store's directory and in its 256 directories.
func (s *Store) walk(ctx context.Context) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if !s.walkTop(ctx, yield) {
			return
		}
		for i := range s.syncs {
			if !s.walkDir(ctx, byte(i), yield) {
				return
			}
		}
	}
}

// walkTop yields the strays beside the 256 directories, and reports whether to
// go on.
func (s *Store) walkTop(ctx context.Context, yield func(entry, error) bool) bool {
	return s.each(ctx, s.dir, yield, func(e *entry) bool {
		e.stray = true
		return !e.Dir || !isSubdir(e.Name)
	})
}

// walkDir yields what is in one directory, and reports whether to go on.
func (s *Store) walkDir(ctx context.Context, n byte, yield func(entry, error) bool) bool {
	return s.each(ctx, s.subdir(n), yield, func(e *entry) bool {
		id, err := cipher.ParseChunkID(e.Name)
		e.id, e.stray = id, err != nil || e.Dir || id[0] != n
		return true
	})
}

// each yields the entries of a directory that classify wants, and reports
// whether to go on. While the reader of the list works, the store may be closed.
func (s *Store) each(ctx context.Context, dir string, yield func(entry, error) bool, classify func(*entry) bool) bool {
	if err := s.check(ctx); err != nil {
		yield(entry{}, err)
		return false
	}
	for de, err := range s.fs.ReadDir(dir) {
		if err == nil {
			err = s.check(ctx)
		}
		if err != nil {
			yield(entry{}, err)
			return false
		}
		e := entry{Entry: de, path: path.Join(dir, de.Name)}
		if classify(&e) && !yield(e, nil) {
			return false
		}
	}
	return true
}

// check reports why a call may not go on.
func (s *Store) check(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.leave()
	return nil
}

// isSubdir reports whether a name is that of one of the 256 directories.
func isSubdir(name string) bool {
	return len(name) == 2 && isHex(name[0]) && isHex(name[1])
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }
