package object

import (
	"context"
	"slices"
	"strings"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	// moveBatch is what one transaction moves, in weights: each is written and deleted, beside the directory itself.
	moveBatch     = 40
	maxMovedBytes = metastore.MaxTransactionSize / 2
)

// renameDir renames a directory. It first marks the rename in the bucket's record, so that nobody changes what is below
// either name; then looks, in a later snapshot, what there is; then renames. A few names move in that transaction. For
// more, it lets the bucket's record say that everything has moved, and the mover follows.
func (s *Store) renameDir(ctx context.Context, req *RenameRequest) error {
	if _, err := s.survey(ctx, req); err != nil || req.From == req.To {
		return err
	}
	inode, err := s.inodes.take(ctx)
	if err != nil {
		return err
	}
	d := &dirRename{req: req, inode: inode, entry: renameEntry{
		ID: cipher.NewWriterID(), From: req.From, To: req.To, State: renamePreparing,
	}}
	s.mover.begin(d.entry.ID)
	err = s.changeNames(ctx, req.Bucket, cipher.BucketID{}, d.prepare)
	if err != nil {
		if !leavesOutcomeOpen(err) {
			s.mover.end(d.entry.ID)
		}
		return err
	}
	if d.found, err = s.survey(ctx, req); err == nil {
		err = s.changeNames(ctx, req.Bucket, d.bucket, d.commit)
	}
	if err != nil {
		return s.cancelRename(context.WithoutCancel(ctx), d, err)
	}
	s.files.renamed(d.bucket, req.From, req.To) // before anybody goes on who has waited
	if d.found.few {
		s.mover.end(d.entry.ID)
		return nil
	}
	s.mover.add(&moving{bucket: req.Bucket, id: d.bucket, entry: d.entry})
	return nil
}

// dirRename is a rename of a directory under way.
type dirRename struct {
	req    *RenameRequest
	entry  renameEntry
	inode  uint64 // for a directory that has no number of its own
	bucket cipher.BucketID
	found  *survey
}

// survey is what lies below a directory that is to be renamed: metastore keys without tag and bucket.
type survey struct {
	names, times []string
	few          bool // these are all, and one transaction can move them
}

// survey looks whether a directory can be renamed, and what is in it.
func (s *Store) survey(ctx context.Context, req *RenameRequest) (*survey, error) {
	out := &survey{few: true}
	err := s.readNames(ctx, req.Bucket, func(n *names) error {
		from, err := n.directory(req.Bucket, req.From)
		if err != nil {
			return err
		}
		to, err := n.directory(req.Bucket, req.To)
		switch {
		case err != nil:
			return err
		case from == nil:
			return errKind(KindNoSuchKey)
		case req.From == req.To:
			return nil
		case to != nil && req.NoReplace:
			return errKind(KindExists)
		}
		if any, err := n.anyBelow(req.To); err != nil {
			return err
		} else if any || len(s.files.below(n.bucket.ID, req.To)) > 0 {
			return errKind(KindNotEmpty)
		}
		return out.look(n, req, s.opts.moveBatch)
	})
	return out, err
}

// look gathers what lies below From, until it is too much for one transaction and no name can become too long.
func (o *survey) look(n *names, req *RenameRequest, limit int) error {
	grows, weight, size := len(req.To)-len(req.From), 0, 0
	for _, kind := range []struct {
		tag byte
		to  *[]string
	}{{tagName, &o.names}, {tagTimes, &o.times}} {
		from := append(keyIn(kind.tag, n.bucket.ID, req.From), 0)
		_, end := metastore.PrefixRange(from[:len(from)-1])
		for kv, err := range n.view.Scan(from, end) {
			if err != nil {
				return err
			}
			key := nameOf(kv.Key)
			if len(key)+grows > MaxKeyBytes {
				return errKindf(KindKeyTooLong, "%d bytes below the new name, at most %d", len(key)+grows, MaxKeyBytes)
			}
			weight, size = weight+weightOf(kv.Value), size+len(kv.Value)
			if o.few = weight <= limit && size < maxMovedBytes; o.few {
				*kind.to = append(*kind.to, key)
			} else if grows <= 0 {
				return nil
			}
		}
	}
	return nil
}

// prepare marks the rename.
func (d *dirRename) prepare(n *nameWriter) error {
	d.bucket = n.bucket.ID
	for _, r := range n.bucket.Renames {
		if r.touches(d.entry.From) || r.touches(d.entry.To) || len(n.bucket.Renames) >= maxRenames {
			return &busyError{r.ID}
		}
	}
	n.bucket.Renames = append(n.bucket.Renames, d.entry)
	return n.putBucket(d.req.Bucket)
}

// commit renames: from here on everybody sees the new name and nobody the old one.
func (d *dirRename) commit(n *nameWriter) error {
	if !n.bucket.dropRename(d.entry.ID) {
		return errKindf(KindOperationAborted, "the rename was given up")
	}
	if err := d.moveMarker(n); err != nil {
		return err
	}
	if d.found.few {
		if err := d.moveFew(n); err != nil {
			return err
		}
	} else {
		d.entry.State = renameMoving
		n.bucket.Renames = append(n.bucket.Renames, d.entry)
	}
	if err := n.putBucket(d.req.Bucket); err != nil {
		return err
	}
	return n.touchBoth(d.req)
}

// moveMarker moves the directory itself: its marker, which it gets if it has none, and its times. A directory whose
// number follows from its name gets one that stays, since another directory may come to have that name.
func (d *dirRename) moveMarker(n *nameWriter) error {
	from, to := d.req.From, d.req.To
	marker, err := n.current(from)
	if err != nil {
		return err
	}
	replaced, err := n.current(to)
	if err != nil {
		return err
	}
	times, err := n.times(from)
	if err != nil {
		return err
	}
	if replaced != nil {
		if err := n.release(to, replaced); err != nil {
			return err
		}
	}
	if marker == nil {
		marker = newMarker(d.inode, n.bucket.Created)
	} else if err := n.drop(from); err != nil {
		return err
	}
	if marker.Inode&implicitInodes != 0 {
		marker.Inode = d.inode
	}
	marker.Attributes = marker.Attributes.changedAt(n.now)
	if err := n.write(to, marker); err != nil {
		return err
	}
	n.note(Change{Key: to, From: from, Object: marker.Object, Kind: Renamed})
	if err := n.deleteTimes(from); err != nil {
		return err
	}
	return n.putTimes(to, orDefault(times.ModTime, marker.ModTime), n.now)
}

// moveFew moves everything else at once.
func (d *dirRename) moveFew(n *nameWriter) error {
	for _, key := range d.found.names {
		if err := moveValue(n.tx.Tx, tagName, n.bucket.ID, key, d.entry.moved(key)); err != nil {
			return err
		}
	}
	for _, key := range d.found.times {
		if err := moveValue(n.tx.Tx, tagTimes, n.bucket.ID, key, d.entry.moved(key)); err != nil {
			return err
		}
	}
	return nil
}

// moved is the new name of a key below From.
func (r *renameEntry) moved(key string) string { return r.To + strings.TrimPrefix(key, r.From) }

// cancelRename takes the mark of a rename away that failed with cause. If it cannot, the next start does, and until then
// nobody changes what is below the two names.
func (s *Store) cancelRename(ctx context.Context, d *dirRename, cause error) error {
	if leavesOutcomeOpen(cause) {
		return cause
	}
	err := s.changeNames(ctx, d.req.Bucket, d.bucket, func(n *nameWriter) error {
		if !n.bucket.dropRename(d.entry.ID) {
			return nil
		}
		return n.putBucket(d.req.Bucket)
	})
	if err != nil && kindOfCause(err) != KindNoSuchBucket {
		s.log.ErrorContext(ctx, "a failed rename holds up writers until the next start", "error", err)
		return cause
	}
	s.mover.end(d.entry.ID)
	return cause
}

// dropRename takes an entry off the record; false if there is none.
func (b *bucketRecord) dropRename(id cipher.WriterID) bool {
	n := len(b.Renames)
	b.Renames = slices.DeleteFunc(b.Renames, func(r renameEntry) bool { return r.ID == id })
	return len(b.Renames) < n
}

// putBucket writes the bucket's record, which every other change of its names conflicts with.
func (n *nameWriter) putBucket(name string) error { return n.tx.Put(bucketKey(name), encode(n.bucket)) }
