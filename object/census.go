package object

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"coffer/cipher"
	"coffer/metastore"
)

// CensusEntry counts what depends on one version of a key.
type CensusEntry struct {
	Instance cipher.InstanceID
	KeyID    string
	Version  uint32
	KEKs     int64 // of buckets, of objects and of uploads
	Objects  int64 // whose bytes cannot be read without it
	Uploads  int64 // in progress
}

// Census tells what depends on each version of each key: KEKs of buckets, and objects and uploads under those or under
// KEKs of their own. Objects sealed by clients' keys depend on none; one with several KEKs of a bucket counts for each.
// The counts are kept: they are exact at every moment, and reading them takes no look at the records.
func (s *Store) Census(ctx context.Context) ([]CensusEntry, error) {
	entries, err := s.census(ctx, nil)
	return entries, s.wrap("census", "", "", err)
}

// BucketCensus is Census of what one bucket holds.
func (s *Store) BucketCensus(ctx context.Context, bucket string) ([]CensusEntry, error) {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return nil, s.wrap("census", bucket, "", err)
	}
	entries, err := s.census(ctx, &b.ID)
	return entries, s.wrap("census", bucket, "", err)
}

// census reads the counts, or makes them where they are not kept yet.
func (s *Store) census(ctx context.Context, bucket *cipher.BucketID) (entries []CensusEntry, err error) {
	err = s.opts.Meta.View(ctx, func(v *metastore.View) error {
		kept, err := isCensusKept(v.Get)
		if err != nil {
			return err
		}
		count := countRecords
		if kept {
			count = keptCounts
		}
		sums, err := count(ctx, v)
		if err == nil {
			entries, err = entriesOf(ctx, v, sums, bucket)
		}
		return err
	})
	return entries, err
}

// CensusCheck compares the counts that are kept with the records.
type CensusCheck struct {
	Entries  []CensusEntry // as the records say
	Kept     []CensusEntry // as was kept at the same moment
	Repaired int           // counts that differed, and were set right
}

// CheckCensus counts the records, all of them, and sets right what was kept wrongly. Writes go on meanwhile.
func (s *Store) CheckCensus(ctx context.Context) (CensusCheck, error) {
	var check CensusCheck
	var wrong deltas
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		kept, err := isCensusKept(v.Get)
		if err != nil {
			return err
		}
		if !kept {
			return errKindf(KindOperationAborted, "the census is being made for the first time")
		}
		was, err := keptCounts(ctx, v)
		if err != nil {
			return err
		}
		is, err := countRecords(ctx, v)
		if err != nil {
			return err
		}
		if check.Kept, err = entriesOf(ctx, v, was, nil); err != nil {
			return err
		}
		check.Entries, err = entriesOf(ctx, v, is, nil)
		wrong = is.minus(was)
		return err
	})
	if err == nil && len(wrong) > 0 {
		check.Repaired = len(wrong)
		s.log.ErrorContext(ctx, "the census was wrong; it is set right", "counts", len(wrong))
		err = s.ledger.correct(ctx, wrong)
	}
	return check, s.wrap("check census", "", "", err)
}

// countRecords counts what depends on keys from the records and uploads themselves.
func countRecords(ctx context.Context, v *metastore.View) (deltas, error) {
	sums := deltas{}
	for _, count := range []struct {
		tag byte
		add func(metastore.KV) error
	}{
		{tagName, func(kv metastore.KV) error { return sums.addRecord(kv) }},
		{tagShared, func(kv metastore.KV) error { return sums.addRecord(kv) }},
		{tagUpload, func(kv metastore.KV) error {
			var u uploadRecord
			if err := decode(kv.Value, &u); err != nil {
				return err
			}
			return uploadDependency(bucketOf(kv.Key), u.Key, sums.add)
		}},
	} {
		if err := scanTag(ctx, v, []byte{count.tag}, count.add); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// addRecord counts a record, or nothing for one of several names of a shared record.
func (d *deltas) addRecord(kv metastore.KV) error {
	r, err := decodeRecord(kv.Value)
	if err != nil {
		return err
	}
	return eachDependency(bucketOf(kv.Key), r.Keys, d.add)
}

// scanTag calls fn for every key of a view with a prefix.
func scanTag(ctx context.Context, v *metastore.View, prefix []byte, fn func(metastore.KV) error) error {
	from, to := metastore.PrefixRange(prefix)
	for kv, err := range v.Scan(from, to) {
		if err = errors.Join(err, ctx.Err()); err == nil {
			err = fn(kv)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entriesOf adds the KEKs of buckets to the sums, whose generations say which version of which key each depends on. A
// nil bucket stands for all.
func entriesOf(ctx context.Context, v *metastore.View, sums deltas, bucket *cipher.BucketID) ([]CensusEntry, error) {
	found := make(map[masterVersion]*CensusEntry)
	entry := func(m masterVersion) *CensusEntry {
		e := found[m]
		if e == nil {
			e = &CensusEntry{Instance: m.instance, KeyID: m.keyID, Version: m.version}
			found[m] = e
		}
		return e
	}
	prefix := []byte{tagKEK}
	if bucket != nil {
		prefix = kekPrefix(*bucket)
	}
	generations := make(map[kekID]masterVersion)
	err := scanTag(ctx, v, prefix, func(kv metastore.KV) error {
		id, err := parseKEKKey(kv.Key)
		if err != nil {
			return err
		}
		var r kekRecord
		if err := decode(kv.Value, &r); err != nil {
			return err
		}
		generations[id] = masterVersion{r.Instance, r.KeyID, r.Version}
		entry(generations[id]).KEKs++
		return nil
	})
	if err != nil {
		return nil, err
	}
	for d, n := range sums {
		if bucket != nil && d.bucket != *bucket {
			continue
		}
		under := d.master
		if !d.isOwn() {
			var ok bool
			if under, ok = generations[kekID{d.bucket, d.generation}]; !ok {
				return nil, errKindf(KindCorrupt, "generation %d of a bucket's KEK is missing", d.generation)
			}
		}
		e := entry(under)
		e.KEKs, e.Objects, e.Uploads = e.KEKs+n.KEKs, e.Objects+n.Objects, e.Uploads+n.Uploads
	}
	entries := make([]CensusEntry, 0, len(found))
	for _, e := range found {
		entries = append(entries, *e)
	}
	slices.SortFunc(entries, func(a, b CensusEntry) int {
		return cmp.Or(bytes.Compare(a.Instance[:], b.Instance[:]), cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.Version, b.Version))
	})
	return entries, nil
}
