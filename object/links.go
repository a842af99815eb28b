package object

import (
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

// maxLinks is how many names an object may have.
const maxLinks = 65_000

// A file with several names has its record in a place of its own, the shared record, which counts them. Each name is a
// record of kindLink, and a key beside the shared record says that it is one of its names. A shared record stays one
// when but one name is left.

// readShared reads the record that several names share.
func readShared(get func([]byte) ([]byte, error), bucket cipher.BucketID, object cipher.ObjectID) (*record, error) {
	value, err := get(sharedKey(bucket, object))
	if err != nil {
		return nil, missingIsCorrupt(err)
	}
	r, err := decodeRecord(value)
	if err == nil && (r.Kind != kindObject || r.Object != object || r.Links == 0) {
		err = errKindf(KindCorrupt, "shared record of kind %d with %d names", r.Kind, r.Links)
	}
	return r, err
}

// putLink makes a key a name of a shared record.
func (n *nameWriter) putLink(key string, object cipher.ObjectID) error {
	link := &record{Format: recordFormat, Kind: kindLink, Object: object, LinkTo: object}
	l := n.bucket.locate(tagName, key)
	if err := l.put(n.tx.Tx, encode(link)); err != nil {
		return err
	}
	return n.tx.Put(linkKey(n.bucket.ID, object, l.atKey), encode(&linkRecord{Format: recordFormat}))
}

// releaseLink takes a name off a shared record, and queues the record's removal with the last one.
func (n *nameWriter) releaseLink(key string, was *record) error {
	if err := n.forgetLink(key, was.Object); err != nil {
		return err
	}
	if was.Links == 1 {
		if err := queueRecord(n.tx.Tx, was); err != nil {
			return err
		}
		return n.tx.Delete(sharedKey(n.bucket.ID, was.Object))
	}
	n.know(key, nil) // the SealedKeys stay
	r := *was
	r.Links--
	r.Attributes = r.Attributes.changedAt(n.now)
	return n.tx.Put(sharedKey(n.bucket.ID, r.Object), encode(&r))
}

// forgetLink takes away that a key, which was read, is a name of a shared record.
func (n *nameWriter) forgetLink(key string, object cipher.ObjectID) error {
	if i := n.find(key); i >= 0 {
		key = n.known[i].at
	}
	return n.tx.Delete(linkKey(n.bucket.ID, object, key))
}

// otherName returns a name of an object but the given one, "" if there is none.
func (n *nameWriter) otherName(object cipher.ObjectID, key string) (string, error) {
	prefix := linkKey(n.bucket.ID, object, "")
	from, to := metastore.PrefixRange(prefix)
	for kv, err := range n.tx.Scan(from, to) {
		if err != nil {
			return "", err
		}
		if name := n.bucket.nameOf(string(kv.Key[len(prefix):])); name != key {
			return name, nil
		}
	}
	return "", nil
}

// nameBeside returns a name that a file keeps when the given one is taken away, "" if it has no other.
func (n *nameWriter) nameBeside(r *record, key string) (string, error) {
	if r.Links < 2 {
		return "", nil
	}
	return n.otherName(r.Object, key)
}

// Link gives a file another name, which must not exist. All its names are the same file from then on: whoever changes
// one, changes all; one that is replaced or removed leaves the others.
func (s *Store) Link(ctx context.Context, bucket, from, to string) (Node, error) {
	node, err := s.link(ctx, bucket, from, to)
	if err != nil {
		return Node{}, s.wrap("link", bucket, from, err)
	}
	return *node, nil
}

func (s *Store) link(ctx context.Context, bucket, from, to string) (node *Node, err error) {
	if err := errors.Join(validateFile(from), validateFile(to)); err != nil {
		return nil, err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	err = s.moving(ctx, bucket, []string{from, to}, func() error {
		node, err = s.linkCommitted(ctx, bucket, from, to)
		return err
	})
	return node, err
}

func (s *Store) linkCommitted(ctx context.Context, bucket, from, to string) (node *Node, err error) {
	err = s.changeNames(ctx, bucket, cipher.BucketID{}, func(n *nameWriter) error {
		r, err := n.current(from)
		if err != nil {
			return err
		}
		there, err := n.current(to)
		switch {
		case err != nil:
			return err
		case r == nil:
			return errKind(KindNoSuchKey)
		case there != nil:
			return errKind(KindExists)
		case r.Links >= maxLinks:
			return errKindf(KindTooManyLinks, "at most %d", maxLinks)
		}
		if err := n.link(from, to, r); err != nil {
			return err
		}
		node = fileNode(bucket, to, r)
		return n.touchDirectory(parentOf(to), n.now)
	})
	return node, err
}

// link makes to a name of what from names. The SealedKeys only get another place.
func (n *nameWriter) link(from, to string, r *record) error {
	if r.Links == 0 {
		r.Links = 1
		if err := n.putLink(from, r.Object); err != nil {
			return err
		}
	}
	r.Links++
	r.Attributes = r.Attributes.changedAt(n.now)
	value := encode(r)
	if len(value) > maxRecordBytes {
		return errKindf(KindMetadataTooLarge, "record of %d bytes, at most %d", len(value), maxRecordBytes)
	}
	if err := n.tx.Put(sharedKey(n.bucket.ID, r.Object), value); err != nil {
		return err
	}
	n.note(Change{Key: from, Object: r.Object, Kind: Written})
	n.note(Change{Key: to, Object: r.Object, Kind: Written})
	return n.putLink(to, r.Object)
}
