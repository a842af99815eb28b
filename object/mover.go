package object

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	moverPage    = 4096 // keys read at a time
	moverWorkers = 8    // transactions at a time; they share flushes
	// moverPause is how long a rename that met an error rests.
	moverPause = time.Second
)

// mover carries out renames of directories behind those who asked for them, and tells those who wait when one is over.
type mover struct {
	store *Store
	kicks chan struct{}

	mu    sync.Mutex
	fresh []*moving
	over  map[cipher.WriterID]chan struct{} // closed when the rename is over
	held  func(context.Context) error       // in tests, what is done instead of waiting

	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// moving is a rename that everybody sees as done.
type moving struct {
	bucket  string
	id      cipher.BucketID
	rename  cipher.WriterID
	entries []renameEntry // the two halves of an exchange, or one
}

func newMover(s *Store) *mover {
	return &mover{store: s, kicks: make(chan struct{}, 1), over: make(map[cipher.WriterID]chan struct{})}
}

// start begins to move. What was added before is begun with.
func (m *mover) start() {
	if m.store.opts.holdMover {
		m.cancel = func() {}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.tasks.Go(func() {
		for {
			for r := m.next(); r != nil; r = m.next() {
				m.tasks.Go(func() { m.carryOut(ctx, r) })
			}
			select {
			case <-m.kicks:
			case <-ctx.Done():
				return
			}
		}
	})
}

// stop leaves what is under way to the next start.
func (m *mover) stop() {
	m.cancel()
	m.tasks.Wait()
}

// begin lets others wait for a rename; end lets them go on.
func (m *mover) begin(id cipher.WriterID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over[id] = make(chan struct{})
}

func (m *mover) end(id cipher.WriterID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.over[id])
	delete(m.over, id)
}

// wait waits until a rename is over.
func (m *mover) wait(ctx context.Context, id cipher.WriterID) error {
	m.mu.Lock()
	over := m.over[id]
	m.mu.Unlock()
	if over == nil {
		return nil
	}
	if m.held != nil {
		return m.held(ctx)
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return errKindf(KindOperationAborted, "a directory is being renamed: %w", ctx.Err())
	}
}

// add hands a rename over that has begun.
func (m *mover) add(r *moving) {
	m.mu.Lock()
	m.fresh = append(m.fresh, r)
	m.mu.Unlock()
	select {
	case m.kicks <- struct{}{}:
	default:
	}
}

func (m *mover) next() *moving {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.fresh) == 0 {
		return nil
	}
	r := m.fresh[0]
	m.fresh = m.fresh[1:]
	return r
}

// carryOut moves until a rename is over. What fails is tried again.
func (m *mover) carryOut(ctx context.Context, r *moving) {
	for {
		err := r.moveAll(ctx, m.store)
		if err == nil {
			m.end(r.rename)
			return
		}
		if ctx.Err() != nil {
			return
		}
		m.store.log.ErrorContext(ctx, "a rename of a directory is held up; it will go on", "bucket", r.bucket, "error", err)
		select {
		case <-time.After(moverPause):
		case <-ctx.Done():
			return
		}
	}
}

// moveAll moves everything that is left, then takes the rename off the bucket.
func (r *moving) moveAll(ctx context.Context, s *Store) error {
	for {
		for i := range r.entries {
			if err := r.moveBelow(ctx, s, &r.entries[i]); err != nil {
				return err
			}
		}
		if over, err := r.advance(ctx, s); err != nil || over {
			return err
		}
	}
}

// moveBelow moves what lies below From.
func (r *moving) moveBelow(ctx context.Context, s *Store, e *renameEntry) error {
	for _, tag := range []byte{tagTimes, tagName} {
		from, to := metastore.PrefixRange(keyIn(tag, r.id, e.From))
		for from != nil {
			batches, next, err := r.page(ctx, s, from, to)
			if err != nil {
				return err
			}
			var workers errgroup.Group
			workers.SetLimit(moverWorkers)
			for _, batch := range batches {
				workers.Go(func() error { return r.move(ctx, s, e, batch) })
			}
			if err := workers.Wait(); err != nil {
				return err
			}
			from = next
		}
	}
	return nil
}

// page reads the next keys, in batches of one transaction each, and tells where to go on, nil at the end. A value that
// does not open stays where it is: it opens under no other name.
func (r *moving) page(ctx context.Context, s *Store, from, to []byte) (batches [][][]byte, next []byte, err error) {
	weight, size, count := 0, 0, 0
	err = s.scanDamaged(ctx, from, to, func(kv metastore.KV, damage error) error {
		if count == moverPage {
			next = bytes.Clone(kv.Key)
			return errStop
		}
		count++
		if damage != nil {
			s.logDamage(ctx, kv.Key, damage)
			return nil
		}
		weight += weightOf(kv.Value)
		size += len(kv.Value)
		if len(batches) == 0 || weight > s.opts.moveBatch || size > maxMovedBytes {
			batches, weight, size = append(batches, nil), weightOf(kv.Value), len(kv.Value)
		}
		last := len(batches) - 1
		batches[last] = append(batches[last], bytes.Clone(kv.Key))
		return nil
	})
	return batches, next, err
}

// move moves metastore keys of names or times, those of them that are still there.
func (r *moving) move(ctx context.Context, s *Store, e *renameEntry, keys [][]byte) error {
	return s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		if moves, err := r.isUnderWay(tx); err != nil || !moves {
			return err
		}
		for _, metaKey := range keys {
			key := nameOf(metaKey)
			if err := moveValue(tx, metaKey[0], r.id, key, e.moved(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

// isUnderWay reads the bucket for update, and reports whether it still has the rename.
func (r *moving) isUnderWay(tx *metastore.Tx) (bool, error) {
	b, err := readBucket(tx.GetForUpdate, r.bucket)
	if faultKind(err) == KindNoSuchBucket {
		return false, nil
	}
	if err != nil || b.ID != r.id {
		return false, err
	}
	return b.dropRename(r.rename), nil
}

// advance ends a rename when nothing is left below From, and an exchange that has staged everything goes on to what it
// staged. Nothing has come to lie below From meanwhile: whoever writes a name puts it where it will lie next, or waits.
func (r *moving) advance(ctx context.Context, s *Store) (over bool, err error) {
	err = s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		over = true
		b, err := readBucket(tx.GetForUpdate, r.bucket)
		if faultKind(err) == KindNoSuchBucket {
			return nil
		}
		if err != nil || b.ID != r.id || !b.dropRename(r.rename) {
			return err
		}
		for _, e := range r.entries {
			if e.State == renameStaging {
				over = false
				b.Renames = append(b.Renames, e.staged())
			}
		}
		return tx.Put(bucketKey(r.bucket), encode(b))
	})
	if err == nil && !over {
		for i := range r.entries {
			r.entries[i] = r.entries[i].staged()
		}
	}
	return over, err
}

// staged is the second part of half an exchange: a rename of what was staged.
func (r *renameEntry) staged() renameEntry {
	return renameEntry{ID: r.ID, From: r.Via, To: r.To, State: renameMoving}
}

// moveValue gives a value, of the kind that the tag says, another key, if it is there. Whatever writes one under its new
// key takes this one away, so there is nothing there. What is one of several names is noted by its new key.
func moveValue(tx *metastore.Tx, tag byte, bucket cipher.BucketID, from, to string) error {
	old := keyIn(tag, bucket, from)
	value, err := tx.GetForUpdate(old)
	if errors.Is(err, metastore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.Put(keyIn(tag, bucket, to), value); err != nil {
		return err
	}
	if err := tx.Delete(old); err != nil || tag != tagName || len(value) > maxLinkBytes {
		return err
	}
	r, err := decodeRecord(value)
	if err != nil || r.Kind != kindLink {
		return err
	}
	if err := tx.Delete(linkKey(bucket, r.LinkTo, from)); err != nil {
		return err
	}
	return tx.Put(linkKey(bucket, r.LinkTo, to), encode(&linkRecord{Format: recordFormat}))
}

// maxLinkBytes is more than a record of kindLink has, so that larger ones need not be decoded to be told apart.
const maxLinkBytes = 128

// weightOf is how many values move with one: that of a link takes a note along.
func weightOf(value []byte) int {
	if len(value) > maxLinkBytes {
		return 1
	}
	return 2
}
