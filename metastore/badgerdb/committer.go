package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"coffer/metastore"
)

// Stats counts since the store was opened.
type Stats struct {
	Flushes      uint64 // merges made durable
	Transactions uint64 // batches applied
	Conflicts    uint64 // batches refused with ErrConflict
	TableBytes   int64  // of files, as of some minutes ago at most
	LogBytes     int64
}

// committer turns requests into durable merges. All fields but the counters
// belong to the goroutine in run.
type committer struct {
	db     *badger.DB
	queue  *queue
	epochs *epochs
	hot    *hotItems
	settle func() error // called after each flush, before it is called durable

	pending []*request  // taken from the queue, not yet admitted; in order
	next    *merge      // gathers
	flying  *merge      // is being flushed; nil if none
	spare   *merge      // takes over from next at the launch; nil during a flight
	landed  chan error  // gets the result of the flight
	durable *badger.Txn // reads the state after the last merge that landed
	last    uint64      // timestamp of the last merge launched
	failure error       // sticky

	maxSize, maxCount int64 // of a merge

	exclusive chan func() // run between flights

	flushes, transactions, conflicts atomic.Uint64
	stopped                          chan struct{}
}

func newCommitter(db *badger.DB, q *queue, e *epochs, hot *hotItems, settle func() error, last uint64) *committer {
	seed := maphash.MakeSeed()
	return &committer{
		db: db, queue: q, epochs: e, hot: hot, settle: settle,
		next:      newMerge(seed),
		spare:     newMerge(seed),
		landed:    make(chan error, 1),
		durable:   e.advance(last),
		last:      last,
		maxSize:   min(maxMergeSize, db.MaxBatchSize()-4*entryOverhead),
		maxCount:  db.MaxBatchCount() - 4, // Badger's marker, the sequence key
		exclusive: make(chan func()),
		stopped:   make(chan struct{}),
	}
}

// run ends when the queue is closed and every request was answered.
func (c *committer) run() {
	defer close(c.stopped)
	for {
		ended := c.gather()
		if c.flying == nil && !c.next.empty() {
			c.launch()
			continue
		}
		if c.flying == nil && ended {
			return // what was pending has been admitted, for next was empty
		}
		select {
		case <-c.queue.wake:
		case err := <-c.landed:
			c.land(err)
		case fn := <-c.exclusive:
			if c.flying != nil {
				c.land(<-c.landed)
			}
			fn()
		}
	}
}

// gather moves requests into the next merge until it is full. It reports
// whether the queue has ended.
func (c *committer) gather() (ended bool) {
	c.pending, ended = c.queue.takeAll(c.pending)
	n := 0
	for ; n < len(c.pending) && c.fits(c.pending[n]); n++ {
		c.admit(c.pending[n])
	}
	c.pending = slices.Delete(c.pending, 0, n)
	return ended
}

func (c *committer) fits(r *request) bool {
	return c.next.empty() ||
		c.next.size+r.size <= c.maxSize && c.next.count+int64(len(r.batch.Writes)) <= c.maxCount
}

// admit checks the conditions of one request against the merges that are not
// yet durable, and then against the store.
func (c *committer) admit(r *request) {
	reads := r.batch.Reads
	switch {
	case !r.take():
	case c.failure != nil:
		r.finish(0, c.failure)
	case c.next.writes(reads):
		c.next.losers = append(c.next.losers, r)
	case c.flying != nil && c.flying.writes(reads):
		c.flying.losers = append(c.flying.losers, r)
	default:
		if err := c.check(reads); err != nil {
			r.finish(0, err)
			return
		}
		c.next.add(r)
	}
}

// check compares conditions with the durable state.
func (c *committer) check(reads []metastore.Read) error {
	for i := range reads {
		version, err := c.version(reads[i].Key)
		if err != nil {
			return err
		}
		if version != reads[i].Version {
			c.conflicts.Add(1)
			return metastore.ErrConflict
		}
	}
	return nil
}

// version returns the durable version of key, 0 if it is absent.
func (c *committer) version(key []byte) (uint64, error) {
	if item, ok := c.hot.get(key, c.durable.ReadTs()); ok {
		return item.version, nil
	}
	item, err := c.durable.Get(storedKey(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil // not remembered: most are names about to be created
	}
	if err != nil {
		return 0, readError(err)
	}
	if err := c.hot.add(key, item); err != nil {
		return 0, readError(err)
	}
	return item.Version(), nil
}

// launch starts the flush of the next merge.
func (c *committer) launch() {
	m := c.next
	m.timestamp = c.last + uint64(len(m.winners))
	c.flying, c.next, c.spare = m, c.spare, nil

	txn := c.db.NewTransactionAt(c.last, true)
	c.last = m.timestamp
	if err := m.fill(txn); err != nil {
		txn.Discard()
		c.landed <- err
		return
	}
	// With a callback CommitAt does not wait, and reports every error there.
	_ = txn.CommitAt(m.timestamp, func(err error) {
		if err == nil {
			err = c.settle()
		}
		c.landed <- err
	})
}

// land ends a flight and starts the next. Between the two it lets others run:
// callers that were just released come back with their next transaction, and
// one flush for many costs less than the moment that takes.
func (c *committer) land(err error) {
	m := c.flying
	c.flying = nil
	if err != nil {
		c.fail(err)
		c.retire(m)
		return
	}
	c.hot.forget(m)
	c.durable = c.epochs.advance(m.timestamp)
	c.flushes.Add(1)
	c.transactions.Add(uint64(len(m.winners)))
	c.conflicts.Add(uint64(len(m.losers)))
	c.retire(m)
	runtime.Gosched()
}

// fail makes err the answer to the next merge and all that follows.
func (c *committer) fail(err error) {
	c.failure = fmt.Errorf("%w: %w", metastore.ErrFailed, err)
	c.next.finish(c.failure)
	c.next.reset()
}

// retire answers the batches of a merge that landed.
func (c *committer) retire(m *merge) {
	m.finish(c.failure)
	m.reset()
	c.spare = m
}

// exclusively runs fn in the committer while nothing is being flushed, and
// returns its error.
func (c *committer) exclusively(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	select {
	case c.exclusive <- func() { done <- fn() }:
		return <-done
	case <-c.stopped:
		return metastore.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flushMemtables writes the memtables into tables and these into the level
// below. Badger has no call for that; but dropping a prefix does it, if there is
// a key to drop.
func (c *committer) flushMemtables() error {
	if c.failure != nil {
		return c.failure
	}
	txn := c.db.NewTransactionAt(c.last, true)
	defer txn.Discard()
	if err := txn.Set([]byte(droppedKey), nil); err != nil {
		return err
	}
	c.last++
	if err := txn.CommitAt(c.last, nil); err != nil {
		return err
	}
	return c.db.DropPrefix([]byte(droppedKey))
}
