package localdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/internal/disk"
)

// DefaultDir is the directory of a store below its file system's root.
const DefaultDir = "chunks"

// Options of Open.
type Options struct {
	FS  disk.Volume // required
	Dir string      // DefaultDir if empty
}

// Store is a chunk.Store over a file system.
type Store struct {
	fs    disk.Volume
	dir   string
	syncs [256]dirSync // one for each directory, by its number

	gate   sync.RWMutex // held for reading by every call; Close takes it for writing
	closed bool         // guarded by gate

	mu   sync.Mutex // taken last, never held while the disk works
	busy map[cipher.ChunkID]struct{}

	commits, dirSyncs, strays atomic.Int64
}

var _ chunk.Store = (*Store)(nil)

// Stats counts what a store has done since it was opened.
type Stats struct {
	Commits  int64 // chunks committed
	DirSyncs int64 // directories synced, for commits and removals
	Strays   int64 // ill-named entries that the last finished List skipped
}

// Open opens the store in a directory, and makes it where it is missing.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.FS == nil {
		return nil, errors.New("localdisk: Options.FS is missing")
	}
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	s := &Store{fs: o.FS, dir: path.Clean(o.Dir), busy: make(map[cipher.ChunkID]struct{})}
	if err := s.makeDirs(ctx); err != nil {
		return nil, fmt.Errorf("open chunk store %s: %w", s.dir, err)
	}
	return s, nil
}

// makeDirs makes the directories and syncs them, also when all were there: the
// process that made them may have died before it could.
func (s *Store) makeDirs(ctx context.Context) error {
	if err := s.fs.MkdirAll(s.dir); err != nil {
		return err
	}
	for i := range s.syncs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.fs.MkdirAll(s.subdir(byte(i))); err != nil {
			return err
		}
	}
	for d := s.dir; ; d = path.Dir(d) {
		if err := s.fs.SyncDir(d); err != nil {
			return err
		}
		if d == "." {
			return nil
		}
	}
}

func (s *Store) subdir(n byte) string { return path.Join(s.dir, fmt.Sprintf("%02x", n)) }

func (s *Store) name(id cipher.ChunkID) string { return path.Join(s.subdir(id[0]), id.String()) }

// enter begins a call; where it returns nil, leave ends it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return chunk.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// reserve marks an id as being written.
func (s *Store) reserve(id cipher.ChunkID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.busy[id]; taken {
		return false
	}
	s.busy[id] = struct{}{}
	return true
}

func (s *Store) release(id cipher.ChunkID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, id)
}

func (s *Store) isBusy(id cipher.ChunkID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, busy := s.busy[id]
	return busy
}

// Create implements chunk.Store.
func (s *Store) Create(ctx context.Context, id cipher.ChunkID) (chunk.Writer, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fail("create", id, err)
	}
	defer s.leave()
	if !s.reserve(id) {
		return nil, fail("create", id, chunk.ErrExists)
	}
	f, err := s.fs.Create(s.name(id))
	if err != nil {
		s.release(id)
		return nil, fail("create", id, err)
	}
	return &writer{store: s, id: id, file: f}, nil
}

// Open implements chunk.Store.
func (s *Store) Open(ctx context.Context, id cipher.ChunkID) (chunk.Reader, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fail("open", id, err)
	}
	defer s.leave()
	if s.isBusy(id) {
		return nil, fail("open", id, chunk.ErrNotFound)
	}
	f, err := s.fs.Open(s.name(id))
	if err != nil {
		return nil, fail("open", id, err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, fail("open", id, errors.Join(err, f.Close()))
	}
	return &reader{id: id, file: f, size: size}, nil
}

// Space implements chunk.Store.
func (s *Store) Space(ctx context.Context) (disk.Space, error) {
	if err := s.enter(ctx); err != nil {
		return disk.Space{}, fail("space", cipher.ChunkID{}, err)
	}
	defer s.leave()
	sp, err := s.fs.Space()
	if err != nil {
		return disk.Space{}, fail("space", cipher.ChunkID{}, err)
	}
	return sp, nil
}

// Stats tells what the store has done.
func (s *Store) Stats() Stats {
	return Stats{Commits: s.commits.Load(), DirSyncs: s.dirSyncs.Load(), Strays: s.strays.Load()}
}

// Close implements chunk.Store.
func (s *Store) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.closed = true
	return nil
}

// fail names the operation and the chunk of an error, and says in the words of
// package chunk what the file system said.
func fail(op string, id cipher.ChunkID, err error) error {
	switch {
	case op == "create" && errors.Is(err, fs.ErrExist):
		err = fmt.Errorf("%w: %w", chunk.ErrExists, err)
	case op == "open" && errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %w", chunk.ErrNotFound, err)
	case errors.Is(err, fs.ErrClosed):
		err = fmt.Errorf("%w: %w", chunk.ErrClosed, err)
	case disk.IsNoSpace(err):
		err = fmt.Errorf("%w: %w", chunk.ErrNoSpace, err)
	}
	return &chunk.Error{Op: op, ID: id, Err: err}
}
