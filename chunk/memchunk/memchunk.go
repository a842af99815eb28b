package memchunk

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/internal/disk"
)

// DefaultCapacity is the room of a store that states none, in bytes.
const DefaultCapacity = 1 << 40

// Options of New.
type Options struct {
	Capacity int64 // bytes, of committed and uncommitted chunks; DefaultCapacity if 0
}

// Store is a chunk.Store in memory.
type Store struct {
	capacity int64

	mu      sync.Mutex
	closed  bool
	used    int64
	chunks  map[cipher.ChunkID]*stored // never changed once in the map
	writers map[cipher.ChunkID]*writer
}

var _ chunk.Store = (*Store)(nil)

// stored is a committed chunk.
type stored struct {
	data    []byte
	modTime time.Time
}

// New makes an empty store.
func New(o Options) *Store {
	if o.Capacity == 0 {
		o.Capacity = DefaultCapacity
	}
	return &Store{
		capacity: o.Capacity,
		chunks:   make(map[cipher.ChunkID]*stored),
		writers:  make(map[cipher.ChunkID]*writer),
	}
}

// Crash returns the store as a power cut at this moment would leave it: with
// what was committed, and nothing else. The old store goes on by itself.
func (s *Store) Crash() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := New(Options{Capacity: s.capacity})
	maps.Copy(c.chunks, s.chunks)
	for _, m := range c.chunks {
		c.used += int64(len(m.data))
	}
	return c
}

// CrashTorn is Crash with a harsher medium: of the chunks being written, some
// are found too, cut off somewhere. The same generator state gives the same
// result.
func (s *Store) CrashTorn(r *rand.Rand) *Store {
	c := s.Crash()
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.SortedFunc(maps.Keys(s.writers), func(a, b cipher.ChunkID) int {
		return slices.Compare(a[:], b[:])
	})
	for _, id := range ids {
		if _, taken := c.chunks[id]; taken || r.IntN(2) == 0 {
			continue
		}
		data := s.writers[id].data
		torn := slices.Clone(data[:r.IntN(len(data)+1)])
		c.chunks[id] = &stored{data: torn, modTime: time.Now()}
		c.used += int64(len(torn))
	}
	return c
}

// check reports why a call may not go on. The caller holds mu.
func (s *Store) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed {
		return chunk.ErrClosed
	}
	return nil
}

// Create implements chunk.Store.
func (s *Store) Create(ctx context.Context, id cipher.ChunkID) (chunk.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, fail("create", id, err)
	}
	_, exists := s.chunks[id]
	_, busy := s.writers[id]
	if exists || busy {
		return nil, fail("create", id, chunk.ErrExists)
	}
	w := &writer{store: s, id: id}
	s.writers[id] = w
	return w, nil
}

// Open implements chunk.Store.
func (s *Store) Open(ctx context.Context, id cipher.ChunkID) (chunk.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, fail("open", id, err)
	}
	m, ok := s.chunks[id]
	if !ok {
		return nil, fail("open", id, chunk.ErrNotFound)
	}
	return newReader(id, m.data), nil
}

// Remove implements chunk.Store.
func (s *Store) Remove(ctx context.Context, ids ...cipher.ChunkID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return fail("remove", cipher.ChunkID{}, err)
	}
	var busy error
	for _, id := range ids {
		if _, writing := s.writers[id]; writing {
			busy = fail("remove", id, chunk.ErrBusy)
			continue
		}
		if m, ok := s.chunks[id]; ok {
			s.used -= int64(len(m.data))
			delete(s.chunks, id)
		}
	}
	return busy
}

// Space implements chunk.Store.
func (s *Store) Space(ctx context.Context) (disk.Space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return disk.Space{}, fail("space", cipher.ChunkID{}, err)
	}
	return disk.Space{Free: uint64(max(s.capacity-s.used, 0)), Total: uint64(s.capacity)}, nil
}

// Close implements chunk.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func fail(op string, id cipher.ChunkID, err error) error {
	return &chunk.Error{Op: op, ID: id, Err: err}
}
