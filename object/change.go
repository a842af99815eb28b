package object

import (
	"bytes"
	"context"
	"slices"

	"coffer/cipher"
	"coffer/metastore"
)

// change is a transaction that may write SealedKeys or take some away. It keeps the census exact, and every new
// SealedKey above the floors of retired key versions, where it is told of each: by keys for records, by uploadKey for
// uploads, by kek for KEKs of buckets. nameWriter tells of the records that it writes.
type change struct {
	*metastore.Tx

	deltas deltas
	fresh  []freshKey
	gone   [][]byte // SealedKeys of records that are away now
}

// freshKey is something wrapped by a version of a MasterKey that was not there before.
type freshKey struct {
	under  masterVersion
	sealed []byte // nil for the KEK of a bucket
}

// update runs fn in a transaction, as DB.Update does, and writes in the same one what it changes of the census: to a key
// that this call alone writes, so that writers of different objects never meet. A new SealedKey below a floor is a
// *belowFloorError; see aboveFloors.
func (s *Store) update(ctx context.Context, fn func(*change) error) error {
	var t *tally
	var sums deltas
	err := s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		c := &change{Tx: tx}
		sums = nil
		if err := fn(c); err != nil {
			return err
		}
		if err := c.checkFloors(); err != nil || len(c.deltas) == 0 {
			return err
		}
		if t == nil {
			t = s.ledger.take()
		}
		sums = t.sums.plus(c.deltas)
		return t.put(tx, sums)
	})
	if t == nil || leavesOutcomeOpen(err) { // then nobody knows what it holds, and the metastore takes no more writes
		return err
	}
	if err == nil && sums != nil {
		t.sums = sums
	}
	s.ledger.give(t)
	return err
}

// keys tells which SealedKeys a record had before and has after the change; nil where there is no record. A record that
// only gets another place may be told as gone from one and new at the other, or not at all.
func (c *change) keys(bucket cipher.BucketID, before, after [][]byte) error {
	if slices.EqualFunc(before, after, bytes.Equal) {
		return nil
	}
	err := eachDependency(bucket, before, func(d dependency, n counts) { c.deltas.add(d, n.negative()) })
	if err == nil {
		err = eachDependency(bucket, after, c.deltas.add)
	}
	c.gone = append(c.gone, before...)
	for _, sealed := range after {
		if err == nil {
			err = c.addFresh(bucket, sealed)
		}
	}
	return err
}

// uploadKey is keys for an upload. A SealedKey that an object takes over from its upload counts as new.
func (c *change) uploadKey(bucket cipher.BucketID, before, after []byte) error {
	if bytes.Equal(before, after) {
		return nil
	}
	err := uploadDependency(bucket, before, func(d dependency, n counts) { c.deltas.add(d, n.negative()) })
	if err == nil {
		err = uploadDependency(bucket, after, c.deltas.add)
	}
	if err == nil && after != nil {
		err = c.addFresh(bucket, after)
	}
	return err
}

// kek tells that the KEK of a bucket is written, freshly wrapped.
func (c *change) kek(r *kekRecord) {
	c.fresh = append(c.fresh, freshKey{under: masterVersion{r.Instance, r.KeyID, r.Version}})
}

func (c *change) addFresh(bucket cipher.BucketID, sealed []byte) error {
	d, err := dependencyOf(bucket, sealed)
	if err == nil && d.isOwn() {
		c.fresh = append(c.fresh, freshKey{under: d.master, sealed: sealed})
	}
	return err
}

// checkFloors fails if a SealedKey that is new lies below the floor of its MasterKey. One that was moved is not new.
func (c *change) checkFloors() error {
	if len(c.fresh) == 0 {
		return nil
	}
	floors := make(map[masterKey]uint32, 1)
	for _, f := range c.fresh {
		key := f.under.key()
		floor, known := floors[key]
		if !known {
			var err error
			if floor, err = readFloor(c.GetForUpdate, key); err != nil {
				return err
			}
			floors[key] = floor
		}
		moved := f.sealed != nil && slices.ContainsFunc(c.gone, func(b []byte) bool { return bytes.Equal(b, f.sealed) })
		if f.under.version < floor && !moved {
			return &fault{kind: KindOperationAborted, err: &belowFloorError{under: f.under, floor: floor}}
		}
	}
	return nil
}
