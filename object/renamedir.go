package object

import (
	"context"
	"errors"
	"slices"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	// moveBatch is what one transaction moves, in weights: each is written and deleted, beside the directory itself.
	moveBatch     = 36
	maxMovedBytes = metastore.MaxTransactionSize / 2
)

// renameDir renames a directory. It first marks the rename in the bucket's record, so that nobody changes what is below
// either name; then looks, in a later snapshot, what there is; then renames. A few names move in that transaction. For
// more, it lets the bucket's record say that everything has moved, and the mover follows. A file, if there is one, is
// renamed in the same transaction.
func (s *Store) renameDir(ctx context.Context, req, file *RenameRequest) error {
	if err := s.mayRename(ctx, req, nil); err != nil || req.From == req.To {
		return err
	}
	d := &dirRename{req: req, file: file, entry: renameEntry{
		ID: cipher.NewWriterID(), From: req.From, To: req.To, State: renamePreparing,
	}}
	for i := range d.inodes {
		var err error
		if d.inodes[i], err = s.inodes.take(ctx); err != nil {
			return err
		}
	}
	s.mover.begin(d.entry.ID)
	err := s.changeNames(ctx, req.Bucket, cipher.BucketID{}, d.prepare)
	if err != nil {
		if !leavesOutcomeOpen(err) {
			s.mover.end(d.entry.ID)
		}
		return err
	}
	d.found = &survey{few: true}
	if err = s.mayRename(ctx, req, d.found); err == nil {
		err = s.changeNames(ctx, req.Bucket, d.bucket, d.commit)
	}
	if err != nil {
		return s.cancelRename(context.WithoutCancel(ctx), d, err)
	}
	d.tell(s.files) // before anybody goes on who has waited
	if len(d.moves) == 0 {
		s.mover.end(d.entry.ID)
		return nil
	}
	s.mover.add(&moving{bucket: req.Bucket, id: d.bucket, rename: d.entry.ID, entries: d.moves})
	return nil
}

// dirRename is a rename of a directory under way.
type dirRename struct {
	req    *RenameRequest
	file   *RenameRequest // that is renamed too, or nil
	entry  renameEntry    // that marks it
	inodes [2]uint64      // for directories that have no number of their own
	bucket cipher.BucketID
	found  *survey
	moves  []renameEntry // what is left to the mover
}

// tell lets open files follow.
func (d *dirRename) tell(t *files) {
	if d.file != nil {
		t.renamed(d.bucket, d.file.From, d.file.To)
	}
	if !d.req.Exchange {
		t.renamed(d.bucket, d.req.From, d.req.To)
		return
	}
	via := viaPrefix(d.entry.ID, 0) + "/"
	t.renamed(d.bucket, d.req.From, via)
	t.renamed(d.bucket, d.req.To, d.req.From)
	t.renamed(d.bucket, via, d.req.To)
}

// survey is what lies below a directory that is to be renamed: metastore keys without tag and bucket.
type survey struct {
	names, times []string
	few          bool // these are all, and one transaction can move them
}

// mayRename fails if a directory cannot be renamed, and looks what is in it where found is not nil.
func (s *Store) mayRename(ctx context.Context, req *RenameRequest, found *survey) error {
	return s.readNames(ctx, req.Bucket, func(n *names) error {
		from, err := n.directory(req.Bucket, req.From)
		if err != nil {
			return err
		}
		to, err := n.directory(req.Bucket, req.To)
		switch {
		case err != nil:
			return err
		case from == nil || to == nil && req.Exchange:
			return errKind(KindNoSuchKey)
		case req.From == req.To:
			return nil
		case to != nil && req.NoReplace:
			return errKind(KindExists)
		case req.Exchange:
			back := RenameRequest{From: req.To, To: req.From}
			return errors.Join(found.look(n, req, 0), found.look(n, &back, 0))
		}
		if any, err := n.anyBelow(req.To); err != nil {
			return err
		} else if any || len(s.files.below(n.bucket.ID, req.To)) > 0 {
			return errKind(KindNotEmpty)
		}
		return found.look(n, req, s.opts.moveBatch)
	})
}

// look gathers what lies below From, until it is too much for one transaction and no name can become too long.
func (o *survey) look(n *names, req *RenameRequest, limit int) error {
	if o == nil {
		return nil
	}
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
	d.moves = nil
	if err := d.renameFile(n); err != nil {
		return err
	}
	rename := d.rename
	if d.req.Exchange {
		rename = d.exchange
	}
	if err := rename(n); err != nil {
		return err
	}
	if err := n.putBucket(d.req.Bucket); err != nil {
		return err
	}
	return n.touchBoth(d.req)
}

// renameFile gives the file its new name, which must be free.
func (d *dirRename) renameFile(n *nameWriter) error {
	if d.file == nil {
		return nil
	}
	from, err := n.current(d.file.From)
	if err != nil {
		return err
	}
	to, err := n.current(d.file.To)
	switch {
	case err != nil:
		return err
	case from == nil:
		return errKind(KindNoSuchKey)
	case to != nil:
		return errKind(KindExists)
	}
	return n.move(d.file, from, nil)
}

// rename gives the directory the name To, and what is in it with it or later.
func (d *dirRename) rename(n *nameWriter) error {
	from, to := d.req.From, d.req.To
	replaced, err := n.current(to)
	if err != nil {
		return err
	}
	self, err := d.lift(n, from, d.inodes[0])
	if err != nil {
		return err
	}
	if replaced != nil {
		if err := n.release(to, replaced); err != nil {
			return err
		}
	}
	if self.exists {
		if err := n.drop(from); err != nil {
			return err
		}
	}
	if err := n.deleteTimes(from); err != nil {
		return err
	}
	if err := self.put(n, to); err != nil {
		return err
	}
	n.note(Change{Key: to, From: from, Object: self.marker.Object, Kind: Renamed})
	if d.found.few {
		return d.moveFew(n)
	}
	d.moves = []renameEntry{{ID: d.entry.ID, From: from, To: to, State: renameMoving}}
	n.bucket.Renames = append(n.bucket.Renames, d.moves...)
	return nil
}

// exchange lets two directories change their names. What is in them moves out of the way first.
func (d *dirRename) exchange(n *nameWriter) error {
	from, err := d.lift(n, d.req.From, d.inodes[0])
	if err != nil {
		return err
	}
	to, err := d.lift(n, d.req.To, d.inodes[1])
	if err != nil {
		return err
	}
	d.moves = []renameEntry{
		{ID: d.entry.ID, From: d.req.From, To: d.req.To, State: renameStaging, Via: viaPrefix(d.entry.ID, 0)},
		{ID: d.entry.ID, From: d.req.To, To: d.req.From, State: renameStaging, Via: viaPrefix(d.entry.ID, 1)},
	}
	n.bucket.Renames = append(n.bucket.Renames, d.moves...)
	if err := from.put(n, d.req.To); err != nil {
		return err
	}
	n.note(Change{Key: d.req.To, From: d.req.From, Object: from.marker.Object, Kind: Exchanged})
	return to.put(n, d.req.From)
}

// directorySelf is a directory without what is in it.
type directorySelf struct {
	marker   *record
	exists   bool // the marker was there
	modified int64
}

// lift reads a directory itself, which gets a marker if it has none. One whose number follows from its name gets the
// given one, which stays: another directory may come to have that name.
func (d *dirRename) lift(n *nameWriter, dir string, inode uint64) (*directorySelf, error) {
	marker, err := n.current(dir)
	if err != nil {
		return nil, err
	}
	times, err := n.times(dir)
	if err != nil {
		return nil, err
	}
	self := &directorySelf{marker: marker, exists: marker != nil}
	if marker == nil {
		self.marker = newMarker(inode, n.bucket.Created)
	} else if marker.Inode&implicitInodes != 0 {
		marker.Inode = inode
	}
	self.marker.Attributes = self.marker.Attributes.changedAt(n.now)
	self.modified = orDefault(times.ModTime, self.marker.ModTime)
	return self, nil
}

// put makes it what a name stands for.
func (s *directorySelf) put(n *nameWriter, dir string) error {
	if err := n.write(dir, s.marker); err != nil {
		return err
	}
	return n.putTimes(dir, s.modified, n.now)
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
