package badgerdb

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"coffer/metastore"
)

// epochs holds the states of the store that somebody still reads.
type epochs struct {
	db *badger.DB

	mu     sync.Mutex
	live   []*epoch // ascending; the last one is what new snapshots get
	closed bool
	idle   sync.Cond // no epoch is referenced; its lock is mu
}

// epoch is the state after one merge: a read-only Badger transaction, which
// many may use at once, and how many do.
type epoch struct {
	txn        *badger.Txn
	timestamp  uint64
	references int
}

// newEpochs returns epochs that want a first advance.
func newEpochs(db *badger.DB) *epochs {
	e := &epochs{db: db}
	e.idle.L = &e.mu
	return e
}

// advance makes the state at timestamp the current one, and lets Badger drop
// versions that no reader needs any more. It returns the transaction that reads
// the new state, valid until the next call.
func (e *epochs) advance(timestamp uint64) *badger.Txn {
	next := &epoch{txn: e.db.NewTransactionAt(timestamp, false), timestamp: timestamp}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.live); n > 0 && e.live[n-1].references == 0 {
		e.live[n-1].txn.Discard()
		e.live = e.live[:n-1]
	}
	e.live = append(e.live, next)
	e.db.SetDiscardTs(e.live[0].timestamp)
	return next.txn
}

// acquire references the current epoch.
func (e *epochs) acquire() (*epoch, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, metastore.ErrClosed
	}
	current := e.live[len(e.live)-1]
	current.references++
	return current, nil
}

// share references an epoch that the caller's own reference keeps.
func (e *epochs) share(p *epoch) {
	e.mu.Lock()
	p.references++
	e.mu.Unlock()
}

func (e *epochs) release(p *epoch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.references--
	last := len(e.live) - 1
	if p.references == 0 && p != e.live[last] {
		p.txn.Discard()
		i := slices.Index(e.live, p)
		e.live = slices.Delete(e.live, i, i+1)
		e.db.SetDiscardTs(e.live[0].timestamp)
	}
	if e.closed {
		e.idle.Broadcast()
	}
}

// close refuses new snapshots and waits until all are released.
func (e *epochs) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for len(e.live) > 1 || e.live[0].references > 0 {
		e.idle.Wait()
	}
	e.live[0].txn.Discard()
}

// snapshot implements metastore.Snapshot.
type snapshot struct {
	epochs   *epochs
	epoch    *epoch
	hot      *hotItems
	released atomic.Bool
}

// Get implements metastore.Snapshot.
func (s *snapshot) Get(key []byte) ([]byte, uint64, error) {
	if s.released.Load() {
		return nil, 0, metastore.ErrClosed
	}
	if item, ok := s.hot.get(key, s.epoch.timestamp); ok {
		return item.value, item.version, nil
	}
	item, err := s.epoch.txn.Get(storedKey(key))
	if err != nil {
		return nil, 0, readError(err)
	}
	var value []byte
	err = item.Value(func(v []byte) error {
		value = v // a copy that Badger made for this item alone
		return nil
	})
	if err != nil {
		return nil, 0, readError(err)
	}
	return value, item.Version(), nil
}

// Scan implements metastore.Snapshot. It holds a reference of its own, so that
// the iterator is closed before Badger's transaction is, come what may.
//
// Badger's prefetching is for values in its value log: it starts a goroutine
// for each item. Here values lie beside their keys, and prefetching them costs
// more than it hides.
func (s *snapshot) Scan(from, to []byte) iter.Seq2[metastore.Item, error] {
	return func(yield func(metastore.Item, error) bool) {
		if s.released.Load() {
			yield(metastore.Item{}, metastore.ErrClosed)
			return
		}
		s.epochs.share(s.epoch)
		defer s.epochs.release(s.epoch)
		from, to := bound(from), bound(to)
		it := s.epoch.txn.NewIterator(badger.IteratorOptions{Prefix: commonPrefix(from, to)})
		defer it.Close()
		for it.Seek(from); it.Valid(); it.Next() {
			item := it.Item()
			if to != nil && bytes.Compare(item.Key(), to) >= 0 {
				return
			}
			key, ok := givenKey(item.Key())
			if !ok {
				continue
			}
			next := metastore.Item{Key: key, Version: item.Version()}
			err := item.Value(func(v []byte) error {
				next.Value = v // valid until Next
				return nil
			})
			if err != nil {
				yield(metastore.Item{}, readError(err))
				return
			}
			if !yield(next, nil) {
				return
			}
		}
	}
}

// Release implements metastore.Snapshot.
func (s *snapshot) Release() {
	if !s.released.Swap(true) {
		s.epochs.release(s.epoch)
	}
}

// bound returns the stored form of a bound of a Scan. It keeps nil.
func bound(key []byte) []byte {
	if key == nil {
		return nil
	}
	return storedKey(key)
}

// commonPrefix returns what all keys of [from, to) begin with, which tells
// Badger what tables it need not open.
func commonPrefix(from, to []byte) []byte {
	n := 0
	for n < len(from) && n < len(to) && from[n] == to[n] {
		n++
	}
	// A scan of one prefix: to is the prefix with its last byte raised by one.
	if n == len(to)-1 && n < len(from) && from[n]+1 == to[n] {
		n++
	}
	return from[:n]
}

// readError maps an error of Badger's read path. Badger quotes keys in its
// errors, which do not belong in a log.
func readError(err error) error {
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return metastore.ErrNotFound
	case errors.Is(err, badger.ErrDBClosed):
		return metastore.ErrClosed
	default:
		return fmt.Errorf("badgerdb: read: %w", err)
	}
}
