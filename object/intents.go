package object

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	intentBatch  = 32 // intents committed ahead of their writers
	intentChunks = 2  // chunk ids in a fresh intent
	intentGrow   = 64 // chunk ids added to an intent that ran out
)

// intents hands out chunk ids that a committed intent already names, so that a writer that dies leaves nothing that
// the next start could not find. They are committed in batches ahead of use: a write pays nothing for its own.
type intents struct {
	db  *metastore.DB
	run cipher.RunID

	mu    sync.Mutex // held while a batch is committed: the others wait for it anyway
	ready []*intent
}

// intent is what one writer may leave behind. It belongs to one goroutine.
type intent struct {
	of     *intents
	writer cipher.WriterID
	record intentRecord
	used   int // chunk ids taken
}

// take returns an intent that is durable.
func (s *intents) take(ctx context.Context) (*intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		if err := s.commitBatch(ctx); err != nil {
			return nil, err
		}
	}
	last := len(s.ready) - 1
	in := s.ready[last]
	s.ready = s.ready[:last]
	return in, nil
}

func (s *intents) commitBatch(ctx context.Context) error {
	batch := make([]*intent, intentBatch)
	for i := range batch {
		batch[i] = &intent{of: s, writer: cipher.NewWriterID(), record: intentRecord{Format: recordFormat}}
		batch[i].record.addChunks(intentChunks)
	}
	err := s.db.Update(ctx, func(tx *metastore.Tx) error {
		for _, in := range batch {
			if err := in.put(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.ready = batch
	return nil
}

func (r *intentRecord) addChunks(n int) {
	for range n {
		r.Chunks = append(r.Chunks, cipher.NewChunkID())
	}
}

func (in *intent) key() []byte { return intentKey(in.of.run, in.writer) }

func (in *intent) put(tx *metastore.Tx) error { return tx.Put(in.key(), encode(&in.record)) }

// clear removes the intent with the commit that takes over what it names.
func (in *intent) clear(tx *metastore.Tx) error { return tx.Delete(in.key()) }

// nextChunk returns a chunk id that is named by the intent on disk.
func (in *intent) nextChunk(ctx context.Context) (cipher.ChunkID, error) {
	if in.used == len(in.record.Chunks) {
		in.record.addChunks(intentGrow)
		if err := in.save(ctx); err != nil {
			return cipher.ChunkID{}, err
		}
	}
	in.used++
	return in.record.Chunks[in.used-1], nil
}

// save commits the intent as it is now.
func (in *intent) save(ctx context.Context) error { return in.of.db.Update(ctx, in.put) }

// leavesOutcomeOpen reports whether a transaction that failed with err may have been applied all the same. Then what
// its intent names must stay: the next start sees whether the intent does.
func leavesOutcomeOpen(err error) bool { return errors.Is(err, metastore.ErrFailed) }

// discard removes what an intent names, and the intent. What cannot be removed now is removed at the next start.
func (s *Store) discard(ctx context.Context, in *intent) {
	ctx = context.WithoutCancel(ctx)
	if err := s.dropIntent(ctx, in.key(), &in.record); err != nil {
		s.log.WarnContext(ctx, "leftovers of a failed write stay until the next start", "error", err)
	}
}

// dropIntent removes what an intent names, then the intent.
func (s *Store) dropIntent(ctx context.Context, key []byte, in *intentRecord) error {
	w := sweep{store: s, chunks: in.Chunks}
	for _, id := range in.Pages {
		if err := w.delete(ctx, pageKey(id)); err != nil {
			return err
		}
	}
	if err := w.delete(ctx, key); err != nil {
		return err
	}
	return w.flush(ctx)
}

// recover removes what former runs left unfinished: whatever their intents name, and marks on buckets. It runs before
// the store serves, so every intent is of a former run.
func (s *Store) recover(ctx context.Context) error {
	dropped := 0
	from, to := metastore.PrefixRange([]byte{tagIntent})
	for {
		var keys [][]byte
		var records []*intentRecord
		err := s.scanDamaged(ctx, from, to, func(kv metastore.KV, damage error) error {
			var in intentRecord
			if damage == nil {
				damage = decode(kv.Value, &in)
			}
			if damage != nil {
				s.logDamage(ctx, kv.Key, damage)
				return nil
			}
			keys, records = append(keys, bytes.Clone(kv.Key)), append(records, &in)
			return stopAfter(len(keys), intentBatch)
		})
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		for i, key := range keys {
			if err := s.dropIntent(ctx, key, records[i]); err != nil {
				return err
			}
		}
		dropped += len(keys)
		from = append(keys[len(keys)-1], 0)
	}
	if dropped > 0 {
		s.log.InfoContext(ctx, "removed what former runs left unfinished", "intents", dropped)
	}
	return s.settleBuckets(ctx)
}

// settleBuckets clears the marks of deletions and of renames that former runs did not get through with, and hands over to
// the mover the renames that everybody has seen.
func (s *Store) settleBuckets(ctx context.Context) error {
	var names []string
	err := s.scanPrefix(ctx, []byte{tagBucket}, func(kv metastore.KV) error {
		var b bucketRecord
		if err := decode(kv.Value, &b); err != nil {
			return err
		}
		if !b.Deleting.IsZero() || len(b.Renames) > 0 {
			names = append(names, string(kv.Key[1:]))
		}
		return nil
	})
	for _, name := range names {
		if err == nil {
			err = s.settleBucket(ctx, name)
		}
	}
	return err
}

func (s *Store) settleBucket(ctx context.Context, name string) error {
	var b *bucketRecord
	err := s.opts.Meta.Update(ctx, func(tx *metastore.Tx) (err error) {
		if b, err = readBucket(tx.GetForUpdate, name); err != nil {
			return err
		}
		b.Deleting = cipher.RunID{}
		b.Renames = slices.DeleteFunc(b.Renames, func(r renameEntry) bool { return r.State == renamePreparing })
		return tx.Put(bucketKey(name), encode(b))
	})
	if err != nil {
		return err
	}
	for len(b.Renames) > 0 {
		m := &moving{bucket: name, id: b.ID, rename: b.Renames[0].ID}
		for _, r := range b.Renames {
			if r.ID == m.rename {
				m.entries = append(m.entries, r)
			}
		}
		b.dropRename(m.rename)
		s.mover.begin(m.rename)
		s.mover.add(m)
	}
	return nil
}
