package object

import (
	"context"
	"errors"
	"slices"

	"coffer/cipher"
	"coffer/metastore"
)

// nameWriter changes the names of one bucket within one transaction. Whatever writes a record or takes one away goes
// through it, so it knows what watchers are to be told, and where a record lies.
type nameWriter struct {
	tx     *change
	bucket *bucketRecord
	known  []knownName
	now    int64 // when the transaction began

	changes []Change // what the transaction does, but for the bucket's name
	first   [1]Change
}

// knownName is a name that was read: the object that it names, and the SealedKeys of the record as they were.
type knownName struct {
	key    string
	object cipher.ObjectID
	links  uint32
	keys   [][]byte
	at     string // the key that it lies at while a directory is being renamed
}

// changeNames runs fn in a transaction over the names of a bucket, and tells the watchers once it is committed. id is
// the bucket's, or zero where any of that name will do.
func (s *Store) changeNames(ctx context.Context, bucket string, id cipher.BucketID, fn func(*nameWriter) error) error {
	var names *nameWriter
	err := s.updateNames(ctx, func(tx *change) (err error) {
		if names, err = namesForUpdate(tx, bucket, id); err != nil {
			return err
		}
		names.now = s.opts.Now().UnixNano()
		return fn(names)
	})
	if err == nil {
		s.watchers.publish(ctx, bucket, names.changes)
	}
	return err
}

// updateNames is update, but for names that are part of a rename under way it waits and tries again.
func (s *Store) updateNames(ctx context.Context, fn func(*change) error) error {
	for {
		err := s.update(ctx, fn)
		busy, is := errors.AsType[*busyError](err)
		if !is {
			return err
		}
		if err := s.mover.wait(ctx, busy.rename); err != nil {
			return err
		}
	}
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
	if err := n.bucket.busy(key); err != nil {
		return nil, err
	}
	r, at, err := findName(n.tx.GetForUpdate, n.bucket, key)
	if err != nil {
		return nil, err
	}
	n.know(key, r)
	n.known[n.find(key)].at = at
	return r, nil
}

// source reads for update what a key names for readers, who wait for no rename.
func (n *nameWriter) source(key string) (*record, error) {
	return readName(n.tx.GetForUpdate, n.bucket, key)
}

// know remembers what a key names now, nil for nothing.
func (n *nameWriter) know(key string, r *record) {
	k := knownName{key: key, at: key}
	if len(n.bucket.Renames) > 0 {
		k.at = n.bucket.locate(tagName, key).atKey
	}
	if r != nil {
		k.object, k.links, k.keys = r.Object, r.Links, slices.Clone(r.Keys)
	}
	if i := n.find(key); i >= 0 {
		n.known[i] = k
		return
	}
	n.known = append(n.known, k)
}

func (n *nameWriter) find(key string) int {
	return slices.IndexFunc(n.known, func(k knownName) bool { return k.key == key })
}

// become tells the change what a key will name, nil for nothing, and returns what it names until now. The key must have
// been read.
func (n *nameWriter) become(key string, r *record) (knownName, error) {
	i := n.find(key)
	if i < 0 {
		return knownName{}, errKindf(KindInternal, "a name is changed that was not read")
	}
	was := n.known[i]
	n.know(key, r)
	return was, n.tx.keys(n.bucket.ID, was.keys, n.known[i].keys)
}

// put makes r what a key names, which current was asked for. What it names until now keeps its body, which r has or
// another record has.
func (n *nameWriter) put(key string, r *record) error {
	if i := n.find(key); i >= 0 && n.known[i].object == r.Object {
		r.Links = n.known[i].links
	}
	n.note(Change{Key: key, Object: r.Object, Kind: Written})
	return n.write(key, r)
}

// write is put without a word to the watchers, and for a record that knows how many names it has.
func (n *nameWriter) write(key string, r *record) error {
	value := encode(r)
	if len(value) > maxRecordBytes {
		return errKindf(KindMetadataTooLarge, "record of %d bytes, at most %d", len(value), maxRecordBytes)
	}
	was, err := n.become(key, r)
	switch {
	case err != nil:
		return err
	case r.Links == 0:
		return n.putAt(tagName, key, value)
	}
	if err := n.tx.Put(sharedKey(n.bucket.ID, r.Object), value); err != nil {
		return err
	}
	if was.links > 0 && was.object == r.Object {
		return nil
	}
	return n.putLink(key, r.Object)
}

// replace makes r what a key names and queues the removal of what it named until now, which current returned; nil for
// nothing.
func (n *nameWriter) replace(key string, was, r *record) error {
	if was != nil {
		if err := n.release(key, was); err != nil {
			return err
		}
	}
	return n.put(key, r)
}

// remove takes a key away and queues the removal of what it named, which current returned. A directory loses its times
// with its marker.
func (n *nameWriter) remove(key string, was *record) error {
	n.note(Change{Key: key, Object: was.Object, Kind: Removed})
	if isDirectory(key) {
		if err := n.deleteTimes(key); err != nil {
			return err
		}
	}
	if err := n.release(key, was); err != nil {
		return err
	}
	return n.drop(key)
}

// release queues the removal of what a key names until now, unless the object has other names.
func (n *nameWriter) release(key string, was *record) error {
	if was.Links == 0 {
		return queueRecord(n.tx.Tx, was)
	}
	return n.releaseLink(key, was)
}

// drop takes a key away whose record goes on under another key, or is gone.
func (n *nameWriter) drop(key string) error {
	if _, err := n.become(key, nil); err != nil {
		return err
	}
	return n.deleteAt(tagName, key)
}

// putAt writes the value of a key, deleteAt removes it, wherever it lies.
func (n *nameWriter) putAt(tag byte, key string, value []byte) error {
	l := n.bucket.locate(tag, key)
	return l.put(n.tx.Tx, value)
}

func (n *nameWriter) deleteAt(tag byte, key string) error {
	l := n.bucket.locate(tag, key)
	return l.delete(n.tx.Tx)
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
func readName(get func([]byte) ([]byte, error), b *bucketRecord, key string) (*record, error) {
	r, _, err := findName(get, b, key)
	return r, err
}

// findName is readName that also tells the key that the record lies at, which is another one while a directory is being
// renamed.
func findName(get func([]byte) ([]byte, error), b *bucketRecord, key string) (r *record, at string, err error) {
	l := b.locate(tagName, key)
	value, isOld, err := l.get(get)
	if errors.Is(err, metastore.ErrNotFound) {
		return nil, l.atKey, nil
	}
	if err != nil {
		return nil, "", err
	}
	if at = l.atKey; isOld {
		at = l.oldKey
	}
	r, err = decodeName(get, b.ID, value)
	return r, at, err
}

// decodeName reads the value of a name: a record, or the name of a record that several names share.
func decodeName(get func([]byte) ([]byte, error), bucket cipher.BucketID, value []byte) (*record, error) {
	r, err := decodeRecord(value)
	if err != nil || r.Kind != kindLink {
		return r, err
	}
	return readShared(get, bucket, r.LinkTo)
}

func decodeRecord(value []byte) (*record, error) {
	var r record
	if err := decode(value, &r); err != nil {
		return nil, err
	}
	return &r, r.validate()
}
