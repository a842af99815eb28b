package object

import (
	"context"
	"errors"
	"slices"

	"coffer/cipher"
	"coffer/metastore"
)

// nameWriter changes the names of one bucket within one transaction. Whatever writes a record or takes one away goes
// through it, so it knows what watchers are to be told.
type nameWriter struct {
	tx     *change
	bucket *bucketRecord
	known  []knownName

	changes []Change // what the transaction does, but for the bucket's name
	first   [1]Change
}

// knownName is a name that was read, with the SealedKeys of its record as they were.
type knownName struct {
	key  string
	keys [][]byte
}

// changeNames runs fn in a transaction over the names of a bucket, and tells the watchers once it is committed. id is
// the bucket's, or zero where any of that name will do.
func (s *Store) changeNames(ctx context.Context, bucket string, id cipher.BucketID, fn func(*nameWriter) error) error {
	var names *nameWriter
	err := s.update(ctx, func(tx *change) (err error) {
		if names, err = namesForUpdate(tx, bucket, id); err != nil {
			return err
		}
		return fn(names)
	})
	if err == nil {
		s.watchers.publish(ctx, bucket, names.changes)
	}
	return err
}

// namesForUpdate reads a bucket by its name for a change of its objects. A bucket that is being deleted conflicts; one
// whose id is not the expected one has been made anew.
func namesForUpdate(tx *change, bucket string, id cipher.BucketID) (*nameWriter, error) {
	b, err := bucketForUpdate(tx.Tx, bucket)
	if err != nil {
		return nil, err
	}
	if b.ID != id && !id.IsZero() {
		return nil, errKind(KindNoSuchBucket)
	}
	n := &nameWriter{tx: tx, bucket: b}
	n.changes = n.first[:0]
	return n, nil
}

// current reads for update what a key names, nil when there is nothing.
func (n *nameWriter) current(key string) (*record, error) {
	r, err := readName(n.tx.GetForUpdate, n.bucket.ID, key)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	if r != nil {
		keys = slices.Clone(r.Keys)
	}
	n.know(key, keys)
	return r, nil
}

// know remembers the SealedKeys that a name has now.
func (n *nameWriter) know(key string, keys [][]byte) {
	for i := range n.known {
		if n.known[i].key == key {
			n.known[i].keys = keys
			return
		}
	}
	n.known = append(n.known, knownName{key, keys})
}

// tell tells the change which SealedKeys a name will have. The name must have been read.
func (n *nameWriter) tell(key string, keys [][]byte) error {
	for _, k := range n.known {
		if k.key == key {
			defer n.know(key, slices.Clone(keys))
			return n.tx.keys(n.bucket.ID, k.keys, keys)
		}
	}
	return errKindf(KindInternal, "a name is changed that was not read")
}

// put makes r what a key names, which current was asked for. What it names until now keeps its body, which r has or
// another record has.
func (n *nameWriter) put(key string, r *record) error {
	n.note(Change{Key: key, Object: r.Object, Kind: Written})
	return n.write(key, r)
}

// write is put without a word to the watchers.
func (n *nameWriter) write(key string, r *record) error {
	value := encode(r)
	if len(value) > maxRecordBytes {
		return errKindf(KindMetadataTooLarge, "record of %d bytes, at most %d", len(value), maxRecordBytes)
	}
	if err := n.tell(key, r.Keys); err != nil {
		return err
	}
	return n.tx.Put(nameKey(n.bucket.ID, key), value)
}

// replace makes r what a key names and queues the removal of what it named until now, which current returned; nil for
// nothing.
func (n *nameWriter) replace(key string, was, r *record) error {
	if err := n.put(key, r); err != nil || was == nil {
		return err
	}
	return queueRecord(n.tx.Tx, was)
}

// remove takes a key away and queues the removal of what it named, which current returned. A directory loses its times
// with its marker.
func (n *nameWriter) remove(key string, was *record) error {
	n.note(Change{Key: key, Object: was.Object, Kind: Removed})
	if isDirectory(key) {
		if err := n.tx.Delete(timesKey(n.bucket.ID, key)); err != nil {
			return err
		}
	}
	if err := queueRecord(n.tx.Tx, was); err != nil {
		return err
	}
	return n.drop(key)
}

// drop takes a key away whose record goes on under another key.
func (n *nameWriter) drop(key string) error {
	if err := n.tell(key, nil); err != nil {
		return err
	}
	return n.tx.Delete(nameKey(n.bucket.ID, key))
}

// note keeps a change for the watchers.
func (n *nameWriter) note(c Change) { n.changes = append(n.changes, c) }

// keepDirectory lets a directory whose marker is written through S3 stay the directory that it is for mounts.
func (n *nameWriter) keepDirectory(dir string, was, r *record) {
	r.Inode = directoryInode(n.bucket.ID, dir)
	if was != nil {
		r.Inode, r.Attributes = was.Inode, was.Attributes
	}
}

// readName reads the current version of a key, nil when there is none.
func readName(get func([]byte) ([]byte, error), id cipher.BucketID, key string) (*record, error) {
	value, err := get(nameKey(id, key))
	if errors.Is(err, metastore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeRecord(value)
}

func decodeRecord(value []byte) (*record, error) {
	var r record
	if err := decode(value, &r); err != nil {
		return nil, err
	}
	return &r, r.validate()
}
