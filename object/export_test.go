package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"coffer/metastore"
)

// CommitFiles commits what is open, however young, as the Store does by itself within 5 seconds.
func (s *Store) CommitFiles(ctx context.Context) { s.files.commitOld(ctx, s.opts.Now().Add(time.Hour)) }

// SettleFiles commits what was changed until no file is open any more. All Files are closed; the background may be about to
// neaten some.
func (s *Store) SettleFiles(ctx context.Context) {
	for {
		s.CommitFiles(ctx)
		if open, _ := s.files.count(); open == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// SetPatience sets how long writes of S3 wait for those who watch.
func (s *Store) SetPatience(d time.Duration) { s.watchers.patience = d }

// Envelope gives the SealedKeys of a version.
func (s *Store) Envelope(ctx context.Context, bucket, key string) ([][]byte, error) {
	r, _, err := s.find(ctx, bucket, key, "")
	if err != nil {
		return nil, err
	}
	return r.Keys, nil
}

// SetEnvelope puts other SealedKeys into a record, as somebody could who has the keys of the metastore. Nothing else of the
// record changes, and nothing is told of it.
func (s *Store) SetEnvelope(ctx context.Context, bucket, key string, sealed ...[]byte) error {
	r, id, err := s.find(ctx, bucket, key, "")
	if err != nil {
		return err
	}
	r.Keys = sealed
	return s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error { return tx.Put(nameKey(id, key), encode(r)) })
}

// SwapGenerations exchanges the records of two KEKs of buckets, in the same way.
func (s *Store) SwapGenerations(ctx context.Context, bucket, other string, generation, otherGeneration uint32) error {
	return s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		a, err := readBucket(tx.Get, bucket)
		if err != nil {
			return err
		}
		b, err := readBucket(tx.Get, other)
		if err != nil {
			return err
		}
		one, err := tx.Get(kekKey(a.ID, generation))
		if err != nil {
			return err
		}
		two, err := tx.Get(kekKey(b.ID, otherGeneration))
		if err != nil {
			return err
		}
		one, two = bytes.Clone(one), bytes.Clone(two)
		return errors.Join(tx.Put(kekKey(a.ID, generation), two), tx.Put(kekKey(b.ID, otherGeneration), one))
	})
}

// HoldMover lets renames of directories move by StepMover alone, a few names at a time. Who would have to wait moves
// everything first.
func HoldMover(o *Options, batch int) { o.holdMover, o.moveBatch = true, batch }

// SmallMoves lets the mover do a part of every rename.
func SmallMoves(o *Options, batch int) { o.moveBatch = batch }

// StepMover carries out one transaction of the mover; false if there is nothing to do.
func (s *Store) StepMover(ctx context.Context) (bool, error) {
	s.mover.held = func(ctx context.Context) error {
		for {
			if more, err := s.StepMover(ctx); err != nil || !more {
				return err
			}
		}
	}
	if len(s.mover.fresh) == 0 {
		return false, nil
	}
	r := s.mover.fresh[0]
	for i := range r.entries {
		for _, tag := range []byte{tagTimes, tagName} {
			from, to := metastore.PrefixRange(keyIn(tag, r.id, r.entries[i].From))
			batches, _, err := r.page(ctx, s, from, to)
			if err != nil {
				return false, err
			}
			if len(batches) > 0 {
				return true, r.move(ctx, s, &r.entries[i], batches[0])
			}
		}
	}
	over, err := r.advance(ctx, s)
	if over && err == nil {
		s.mover.fresh = s.mover.fresh[1:]
		s.mover.end(r.rename)
	}
	return true, err
}

// RenamesUnderWay counts the renames in a bucket's record.
func (s *Store) RenamesUnderWay(ctx context.Context, bucket string) (int, error) {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return 0, err
	}
	return len(b.Renames), nil
}

// CheckLinks compares shared records with the names that stand for them, wherever those lie, and with the notes of these.
func (s *Store) CheckLinks(ctx context.Context) error {
	names, notes, links := map[string]bool{}, map[string]bool{}, map[string]uint32{}
	return s.opts.Meta.View(ctx, func(v *metastore.View) error {
		err := scanTag(ctx, v, []byte{tagName}, func(kv metastore.KV) error {
			r, err := decodeRecord(kv.Value)
			if err == nil && r.Kind == kindLink {
				names[string(linkKey(bucketOf(kv.Key), r.LinkTo, nameOf(kv.Key)))] = true
				links[string(sharedKey(bucketOf(kv.Key), r.LinkTo))]++
			}
			return err
		})
		if err == nil {
			err = scanTag(ctx, v, []byte{tagLink}, func(kv metastore.KV) error { notes[string(kv.Key)] = true; return nil })
		}
		if err == nil {
			err = scanTag(ctx, v, []byte{tagShared}, func(kv metastore.KV) error {
				r, err := decodeRecord(kv.Value)
				if err == nil && links[string(kv.Key)] != r.Links {
					err = fmt.Errorf("%d names of a record that counts %d", links[string(kv.Key)], r.Links)
				}
				delete(links, string(kv.Key))
				return err
			})
		}
		if err == nil && (len(links) > 0 || !maps.Equal(names, notes)) {
			err = fmt.Errorf("%d names, %d notes of them, %d shared records are missing", len(names), len(notes), len(links))
		}
		return err
	})
}
