package object

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"coffer/cipher"
	"coffer/kms"
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

// census is a count under way.
type census struct {
	entries     map[censusKey]*CensusEntry
	generations map[kekID]censusKey
}

type censusKey struct {
	instance cipher.InstanceID
	keyID    string
	version  uint32
}

// Census counts, from the records themselves, what depends on each version of each key: KEKs of buckets, and objects and
// uploads under those or under KEKs of their own. Objects sealed by clients' keys depend on none.
func (s *Store) Census(ctx context.Context) ([]CensusEntry, error) {
	c := &census{entries: make(map[censusKey]*CensusEntry), generations: make(map[kekID]censusKey)}
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		for _, count := range []struct {
			tag byte
			add func(metastore.KV) error
		}{{tagKEK, c.addGeneration}, {tagName, c.addObject}, {tagUpload, c.addUpload}} {
			from, to := metastore.PrefixRange([]byte{count.tag})
			for kv, err := range v.Scan(from, to) {
				if err == nil {
					err = count.add(kv)
				}
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.wrap("census", "", "", err)
	}
	out := make([]CensusEntry, 0, len(c.entries))
	for _, e := range c.entries {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b CensusEntry) int {
		return cmp.Or(bytes.Compare(a.Instance[:], b.Instance[:]), cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.Version, b.Version))
	})
	return out, nil
}

func (c *census) entry(k censusKey) *CensusEntry {
	e := c.entries[k]
	if e == nil {
		e = &CensusEntry{Instance: k.instance, KeyID: k.keyID, Version: k.version}
		c.entries[k] = e
	}
	return e
}

func (c *census) addGeneration(kv metastore.KV) error {
	id, err := parseKEKKey(kv.Key)
	if err != nil {
		return err
	}
	var r kekRecord
	if err := decode(kv.Value, &r); err != nil {
		return err
	}
	key := censusKey{r.Instance, r.KeyID, r.Version}
	c.generations[id] = key
	c.entry(key).KEKs++
	return nil
}

func (c *census) addObject(kv metastore.KV) error {
	r, err := decodeRecord(kv.Value)
	if err != nil {
		return err
	}
	counted := map[censusKey]bool{}
	for _, sealed := range r.Keys {
		key, err := c.addKey(bucketOf(kv.Key), sealed)
		if err != nil {
			return err
		}
		if key != nil && !counted[*key] {
			counted[*key] = true
			c.entry(*key).Objects++
		}
	}
	return nil
}

func (c *census) addUpload(kv metastore.KV) error {
	var u uploadRecord
	if err := decode(kv.Value, &u); err != nil {
		return err
	}
	key, err := c.addKey(bucketOf(kv.Key), u.Key)
	if key != nil {
		c.entry(*key).Uploads++
	}
	return err
}

// addKey counts the KEK of a SealedKey, if it is not a bucket's, and returns what it depends on; nil for a client's key.
func (c *census) addKey(bucket cipher.BucketID, sealed []byte) (*censusKey, error) {
	var s cipher.SealedKey
	if err := s.UnmarshalBinary(sealed); err != nil {
		return nil, errKindf(KindCorrupt, "sealed key: %w", err)
	}
	if s.Mode == cipher.ModeSSEC {
		return nil, nil
	}
	if s.Generation != 0 {
		key, ok := c.generations[kekID{bucket, s.Generation}]
		if !ok {
			return nil, errKindf(KindCorrupt, "generation %d of the bucket's KEK is missing", s.Generation)
		}
		return &key, nil
	}
	keyID, _, err := kms.ParseBlob(s.Wrapped)
	if err != nil {
		return nil, errKindf(KindCorrupt, "wrapped kek: %w", err)
	}
	key := censusKey{s.Instance, keyID, s.KeyVersion}
	c.entry(key).KEKs++
	return &key, nil
}
