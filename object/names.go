package object

import (
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

// nameWriter changes the names of one bucket within one transaction. Whatever writes a record or takes one away goes
// through it.
type nameWriter struct {
	tx     *metastore.Tx
	bucket *bucketRecord
}

// namesForUpdate reads a bucket by its name for a change of its objects. A bucket that is being deleted conflicts; one
// whose id is not the expected one has been made anew.
func namesForUpdate(tx *metastore.Tx, bucket string, id cipher.BucketID) (*nameWriter, error) {
	b, err := bucketForUpdate(tx, bucket)
	if err != nil {
		return nil, err
	}
	if b.ID != id && !id.IsZero() {
		return nil, errKind(KindNoSuchBucket)
	}
	return &nameWriter{tx: tx, bucket: b}, nil
}

// current reads for update what a key names, nil when there is nothing.
func (n *nameWriter) current(key string) (*record, error) {
	return readName(n.tx.GetForUpdate, n.bucket.ID, key)
}

// put makes r what a key names. What it names until now keeps its body, which r has or another record has.
func (n *nameWriter) put(key string, r *record) error {
	value := encode(r)
	if len(value) > maxRecordBytes {
		return errKindf(KindMetadataTooLarge, "record of %d bytes, at most %d", len(value), maxRecordBytes)
	}
	return n.tx.Put(nameKey(n.bucket.ID, key), value)
}

// replace makes r what a key names and queues the removal of what it named until now, which current returned; nil for
// nothing.
func (n *nameWriter) replace(key string, was, r *record) error {
	if err := n.put(key, r); err != nil || was == nil {
		return err
	}
	return queueRecord(n.tx, was)
}

// remove takes a key away and queues the removal of what it named, which current returned.
func (n *nameWriter) remove(key string, was *record) error {
	if err := queueRecord(n.tx, was); err != nil {
		return err
	}
	return n.tx.Delete(nameKey(n.bucket.ID, key))
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
