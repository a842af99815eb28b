package object

import (
	"context"

	"coffer/cipher"
)

// SetAttributes changes the attributes of a file, of a directory, which gets a marker if it has none, or of the root of
// a bucket. The bytes, the entity tag and, unless it is changed, the time of modification stay.
func (s *Store) SetAttributes(ctx context.Context, bucket, key string, c AttributeChange) (Node, error) {
	if err := s.space.admitChange(ctx); err != nil {
		return Node{}, s.wrap("set attributes", bucket, key, err)
	}
	var node *Node
	var err error
	switch {
	case key == "":
		node, err = s.setRootAttributes(ctx, bucket, &c)
	case isDirectory(key):
		node, err = s.setDirectoryAttributes(ctx, bucket, key, &c)
	default:
		node, err = s.setFileAttributes(ctx, bucket, key, &c)
	}
	if err != nil {
		return Node{}, s.wrap("set attributes", bucket, key, err)
	}
	return *node, nil
}

// setClosedAttributes changes the attributes of a file that is never open: nobody here has its key.
func (s *Store) setClosedAttributes(ctx context.Context, bucket, key string, c *AttributeChange) (node *Node, err error) {
	now := s.opts.Now().UnixNano()
	err = s.changeNames(ctx, bucket, cipher.BucketID{}, func(n *nameWriter) error {
		r, err := n.current(key)
		if err != nil {
			return err
		}
		if r == nil {
			return errKind(KindNoSuchKey)
		}
		if err := c.apply(r, now); err != nil {
			return err
		}
		node = fileNode(bucket, key, r)
		return n.put(key, r)
	})
	return node, err
}

func (s *Store) setDirectoryAttributes(ctx context.Context, bucket, dir string, c *AttributeChange) (node *Node, err error) {
	if err := ValidateKey(dir); err != nil {
		return nil, err
	}
	now := s.opts.Now().UnixNano()
	err = s.changeNames(ctx, bucket, cipher.BucketID{}, func(n *nameWriter) error {
		marker, err := n.current(dir)
		if err != nil {
			return err
		}
		times, err := n.times(dir)
		if err != nil {
			return err
		}
		if marker == nil {
			if err := n.reader().mustExist(bucket, dir); err != nil {
				return err
			}
			marker = newMarker(directoryInode(n.bucket.ID, dir), n.bucket.Created)
		}
		modified := orDefault(times.ModTime, marker.ModTime)
		r := *marker
		r.ModTime = modified
		if err := c.apply(&r, now); err != nil {
			return err
		}
		modified, r.ModTime = r.ModTime, marker.ModTime
		if err := n.put(dir, &r); err != nil {
			return err
		}
		node = directoryNode(bucket, n.bucket, dir, &r, newTimes(modified, now))
		return n.putTimes(dir, modified, now)
	})
	return node, err
}

// setRootAttributes keeps the attributes of a bucket's root in the bucket's record, which holds up the bucket's writers
// for a moment.
func (s *Store) setRootAttributes(ctx context.Context, bucket string, c *AttributeChange) (node *Node, err error) {
	now := s.opts.Now().UnixNano()
	err = s.changeNames(ctx, bucket, cipher.BucketID{}, func(n *nameWriter) error {
		times, err := n.times("")
		if err != nil {
			return err
		}
		r := record{Attributes: n.bucket.Root, ModTime: orDefault(times.ModTime, n.bucket.Created)}
		if err := c.apply(&r, now); err != nil {
			return err
		}
		n.bucket.Root = r.Attributes
		n.note(Change{Kind: Written})
		if err := n.putBucket(bucket); err != nil {
			return err
		}
		node = directoryNode(bucket, n.bucket, "", nil, newTimes(r.ModTime, now))
		return n.putTimes("", r.ModTime, now)
	})
	return node, err
}

// times reads the times of a directory for update.
func (n *nameWriter) times(dir string) (*timesRecord, error) {
	return readTimes(n.tx.GetForUpdate, n.bucket, dir)
}

// reader reads the names as they were when the transaction began.
func (n *nameWriter) reader() *names { return &names{view: &n.tx.View, bucket: n.bucket} }
