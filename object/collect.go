package object

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/metastore"
)

const (
	// collectBatch is how many queued removals one pass takes.
	collectBatch = 512
	// collectPause is how long removals gather before a pass takes them: a pass costs a flush, and looks at all that
	// former passes have removed since the metastore was compacted.
	collectPause = 250 * time.Millisecond
	// deletesPerTransaction and chunksPerRemove bound what a sweep gathers.
	deletesPerTransaction = metastore.MaxTransactionWrites - 10
	chunksPerRemove       = 512
)

// queueRecord queues the removal of a record's body and part table, in the transaction that takes its name away.
func queueRecord(tx *metastore.Tx, r *record) error {
	if r.Body.IsZero() && len(r.Parts.Pages) == 0 {
		return nil
	}
	return tx.Put(queueKey(queueBody, r.Object), encode(&removal{Format: recordFormat, Body: r.Body, Parts: r.Parts.Pages}))
}

// queuePart queues the removal of a part that another one replaces.
func queuePart(tx *metastore.Tx, p *partRecord) error {
	if p.Body.IsZero() {
		return nil
	}
	return tx.Put(queueKey(queueBody, p.Body.ID), encode(&removal{Format: recordFormat, Body: p.Body}))
}

// queueUploadRemoval queues the removal of an upload's parts; the bodies of those in used belong to an object now.
func queueUploadRemoval(tx *metastore.Tx, id cipher.UploadID, used []byte) error {
	return tx.Put(queueKey(queueUpload, id), encode(&removal{Format: recordFormat, Upload: id, Used: used}))
}

// collector carries out queued removals in the background.
type collector struct {
	store  *Store
	kicks  chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	pass   sync.Mutex // one pass at a time, held across its transactions

	marks map[string]uint64 // of garbage that waits for readers, by its place in the queue; guarded by pass

	collected, failures atomic.Uint64
}

func newCollector(s *Store) *collector {
	return &collector{store: s, kicks: make(chan struct{}, 1), done: make(chan struct{}), marks: make(map[string]uint64)}
}

func (c *collector) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.done)
		c.loop(ctx)
	}()
}

func (c *collector) stop() {
	c.cancel()
	<-c.done
}

// wake lets the collector look at the queue soon.
func (c *collector) wake() {
	select {
	case c.kicks <- struct{}{}:
	default:
	}
}

func (c *collector) loop(ctx context.Context) {
	ticker := time.NewTicker(c.store.opts.CollectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.kicks:
			if !c.rest(ctx) {
				return
			}
		}
		if _, err := c.store.Collect(ctx); err != nil && ctx.Err() == nil {
			c.failures.Add(1)
			c.store.log.ErrorContext(ctx, "collection failed; it will be tried again", "error", err)
		}
	}
}

// rest waits for removals to gather. It answers false when the collector ends.
func (c *collector) rest(ctx context.Context) bool {
	timer := time.NewTimer(collectPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Collect carries out the removals that are queued and that no reader holds up, and returns how many those were. The
// Store does so by itself; calling it is for tools and tests.
func (s *Store) Collect(ctx context.Context) (int, error) {
	s.collector.pass.Lock()
	defer s.collector.pass.Unlock()
	done := 0
	var after []byte
	for {
		keys, removals, err := s.queued(ctx, after)
		if err != nil || len(keys) == 0 {
			return done, s.wrap("collect", "", "", err)
		}
		after = append(keys[len(keys)-1], 0)
		if err := s.pins.settle(ctx); err != nil {
			return done, s.wrap("collect", "", "", err)
		}
		n, err := s.collectBatch(ctx, keys, removals)
		done += n
		s.collector.collected.Add(uint64(n))
		if err != nil {
			return done, s.wrap("collect", "", "", err)
		}
	}
}

// errStop ends a scan early; scanPrefix turns it into success.
var errStop = errors.New("stop")

// stopAfter ends a scan that has gathered limit entries.
func stopAfter(n, limit int) error {
	if n == limit {
		return errStop
	}
	return nil
}

// scanPrefix calls fn for every key with a prefix.
func (s *Store) scanPrefix(ctx context.Context, prefix []byte, fn func(metastore.KV) error) error {
	from, to := metastore.PrefixRange(prefix)
	return s.scan(ctx, from, to, fn)
}

func (s *Store) scan(ctx context.Context, from, to []byte, fn func(metastore.KV) error) error {
	return s.scanDamaged(ctx, from, to, func(kv metastore.KV, damage error) error {
		if damage != nil {
			return damage
		}
		return fn(kv)
	})
}

// scanDamaged is a scan whose fn is told of values that do not open, and decides whether it goes on.
func (s *Store) scanDamaged(ctx context.Context, from, to []byte, fn func(kv metastore.KV, damage error) error) error {
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		for kv, err := range v.Scan(from, to) {
			if err == nil || errors.Is(err, metastore.ErrCorrupt) {
				err = fn(kv, err)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// queued reads the next entries of the removal queue. One that cannot be read stays where it is.
func (s *Store) queued(ctx context.Context, after []byte) (keys [][]byte, removals []*removal, err error) {
	from, to := metastore.PrefixRange([]byte{tagQueue})
	if after != nil {
		from = after
	}
	err = s.scanDamaged(ctx, from, to, func(kv metastore.KV, damage error) error {
		var r removal
		if damage == nil {
			damage = decode(kv.Value, &r)
		}
		if damage != nil {
			s.logDamage(ctx, kv.Key, damage)
			return nil
		}
		keys, removals = append(keys, bytes.Clone(kv.Key)), append(removals, &r)
		return stopAfter(len(keys), collectBatch)
	})
	return keys, removals, err
}

// logDamage tells of something that cannot be removed, because what says what it is does not open.
func (s *Store) logDamage(ctx context.Context, key []byte, err error) {
	s.log.ErrorContext(ctx, "a damaged entry keeps what it names from being removed", "entry", hex.EncodeToString(key), "error", err)
}

// collectBatch carries out removals. One that meets damage is passed over, so that it does not keep the others.
func (s *Store) collectBatch(ctx context.Context, keys [][]byte, removals []*removal) (int, error) {
	done := 0
	w := sweep{store: s}
	for i, r := range removals {
		if s.collector.heldUp(keys[i], r) {
			continue
		}
		err := w.remove(ctx, keys[i], r)
		switch {
		case err == nil:
			done++
		case kindOfCause(err) == KindCorrupt:
			s.logDamage(ctx, keys[i], err)
		default:
			return done, errors.Join(err, w.flush(ctx))
		}
	}
	return done, w.flush(ctx)
}

// sweep gathers chunks to remove and metastore keys to delete. Chunks go first: a key that names one is deleted only
// when the chunk is gone, so a sweep that is cut off can be done again. Keys are deleted in the order they were added.
type sweep struct {
	store  *Store
	chunks []cipher.ChunkID
	keys   [][]byte
}

// remove carries out one removal, up to a flush. No record refers to the body any more through this removal, and a
// record that is gone cannot be shared, so the number of references can only fall.
func (w *sweep) remove(ctx context.Context, key []byte, r *removal) error {
	if !r.Upload.IsZero() {
		return w.removeUpload(ctx, key, r)
	}
	if !r.Bucket.IsZero() {
		return w.removeKEKs(ctx, key, r.Bucket)
	}
	if r.Garbage != nil {
		return w.removeGarbage(ctx, key, r)
	}
	shared, lent, err := w.store.dropReference(ctx, key, r.Body.ID)
	switch {
	case shared || err != nil:
		return err
	case lent || r.Body.Edited != unedited:
		return w.removeOwned(ctx, key, r)
	}
	err = w.store.opts.Meta.View(ctx, func(v *metastore.View) error {
		for _, ref := range r.Parts {
			if err := w.delete(ctx, pageKey(ref.Page)); err != nil {
				return err
			}
		}
		return r.Body.walk(v, func(extents []extent, pages []cipher.PageID) error {
			return w.addBody(ctx, extents, pages)
		})
	})
	if err != nil {
		return err
	}
	return w.delete(ctx, key)
}

// addBody adds the chunks and pages of a part of a body's tree.
func (w *sweep) addBody(ctx context.Context, extents []extent, pages []cipher.PageID) error {
	for _, e := range extents {
		if e.Place.inMetastore() {
			if err := w.delete(ctx, dataKey(e.Chunk)); err != nil {
				return err
			}
			continue
		}
		w.chunks = append(w.chunks, e.Chunk)
	}
	for _, id := range pages {
		if err := w.delete(ctx, pageKey(id)); err != nil {
			return err
		}
	}
	if len(w.chunks) >= chunksPerRemove {
		return w.flush(ctx)
	}
	return nil
}

// removeKEKs removes what is left of the KEKs of a bucket that is gone.
func (w *sweep) removeKEKs(ctx context.Context, key []byte, bucket cipher.BucketID) error {
	var keks [][]byte
	err := w.store.scanPrefix(ctx, kekPrefix(bucket), func(kv metastore.KV) error {
		keks = append(keks, bytes.Clone(kv.Key))
		return nil
	})
	for _, kek := range append(keks, key) {
		if err == nil {
			err = w.delete(ctx, kek)
		}
	}
	return err
}

// removeUpload removes the part records of an upload that is gone, with the bodies that no object took over.
func (w *sweep) removeUpload(ctx context.Context, key []byte, r *removal) error {
	err := w.store.opts.Meta.View(ctx, func(v *metastore.View) error {
		from, to := metastore.PrefixRange(partPrefix(r.Upload))
		for kv, err := range v.Scan(from, to) {
			if err != nil {
				return err
			}
			if err := w.removePart(ctx, v, kv, r.Used); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.delete(ctx, key)
}

func (w *sweep) removePart(ctx context.Context, v *metastore.View, kv metastore.KV, used []byte) error {
	number, err := partNumber(kv.Key)
	if err != nil {
		return err
	}
	var p partRecord
	if err := decode(kv.Value, &p); err != nil {
		return err
	}
	key := bytes.Clone(kv.Key)
	taken := number/8 < len(used) && used[number/8]&(1<<(number%8)) != 0
	err = p.Body.walk(v, func(extents []extent, pages []cipher.PageID) error {
		if taken {
			extents = nil // the object's own tree refers to them
		}
		return w.addBody(ctx, extents, pages)
	})
	if err != nil {
		return err
	}
	return w.delete(ctx, key)
}

// delete adds a metastore key.
func (w *sweep) delete(ctx context.Context, key []byte) error {
	w.keys = append(w.keys, key)
	if len(w.keys) == deletesPerTransaction {
		return w.flush(ctx)
	}
	return nil
}

// flush removes what was gathered.
func (w *sweep) flush(ctx context.Context) error {
	if len(w.chunks) > 0 {
		if err := w.store.opts.Chunks.Remove(ctx, w.chunks...); err != nil && !errors.Is(err, chunk.ErrNotFound) {
			return err
		}
		w.chunks = nil
	}
	if len(w.keys) == 0 {
		return nil
	}
	err := w.store.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		for _, key := range w.keys {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
	w.keys = nil
	return err
}
