package memdb

import (
	"bytes"
	"context"
	"iter"
	"sync"

	"coffer/metastore"
)

// DB is a metastore.Driver in memory.
type DB struct {
	mu     sync.Mutex // guards all below
	root   *node
	seq    uint64
	closed bool
}

var _ metastore.Driver = (*DB)(nil)

// New returns an empty store.
func New() *DB { return &DB{} }

// Crash returns a store with the batches applied so far, leaving this one as it
// is. It works on a closed store too: that is how to open it again.
func (db *DB) Crash() *DB {
	db.mu.Lock()
	defer db.mu.Unlock()
	return &DB{root: db.root, seq: db.seq}
}

// Snapshot implements metastore.Driver.
func (db *DB) Snapshot() (metastore.Snapshot, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, metastore.ErrClosed
	}
	return snapshot{root: db.root}, nil
}

// Apply implements metastore.Driver.
func (db *DB) Apply(ctx context.Context, b metastore.Batch) (uint64, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return 0, metastore.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for _, r := range b.Reads {
		if db.root.version(r.Key) != r.Version {
			return 0, metastore.ErrConflict
		}
	}
	db.seq++
	for _, w := range b.Writes {
		if w.Value == nil {
			db.root = db.root.without(w.Key)
			continue
		}
		item := metastore.Item{Key: bytes.Clone(w.Key), Value: bytes.Clone(w.Value), Version: db.seq}
		db.root = db.root.with(item)
	}
	return db.seq, nil
}

// Close implements metastore.Driver.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	return nil
}

// snapshot is a root; nodes are never changed, so it needs no release.
type snapshot struct{ root *node }

// Get implements metastore.Snapshot.
func (s snapshot) Get(key []byte) ([]byte, uint64, error) {
	n := s.root.find(key)
	if n == nil {
		return nil, 0, metastore.ErrNotFound
	}
	return n.item.Value, n.item.Version, nil
}

// Scan implements metastore.Snapshot.
func (s snapshot) Scan(from, to []byte) iter.Seq2[metastore.Item, error] {
	return func(yield func(metastore.Item, error) bool) {
		s.root.scan(from, to, func(item metastore.Item) bool { return yield(item, nil) })
	}
}

// Release implements metastore.Snapshot.
func (s snapshot) Release() {}
