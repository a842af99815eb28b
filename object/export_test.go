package object

import (
	"bytes"
	"context"
	"errors"
	"time"

	"coffer/metastore"
)

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
