package object

import (
	"context"
	"strings"

	"coffer/cipher"
)

// RenameRequest gives a file or a directory of a bucket another name. Keys that end in "/" are directories.
type RenameRequest struct {
	Bucket, From, To string
	NoReplace        bool // KindExists where To exists
	Exchange         bool // both exist, and change their names
}

// Rename renames within a bucket. A file takes the place of a file, a directory that of an empty directory; else it
// fails with KindNotEmpty, or with KindNotDirectory or KindIsDirectory where one is a file and the other is not. What is
// exchanged may be of either kind. Object and inode number stay, but for a directory that nobody made: it gets a number
// of its own. S3 sees the old names or the new ones, never something between.
func (s *Store) Rename(ctx context.Context, req RenameRequest) error {
	return s.wrap("rename", req.Bucket, req.From, s.rename(ctx, &req))
}

func (s *Store) rename(ctx context.Context, req *RenameRequest) error {
	if err := req.validate(); err != nil {
		return err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return err
	}
	switch {
	case isDirectory(req.From) != isDirectory(req.To):
		dir, file := req.split()
		return s.moving(ctx, req.Bucket, []string{file.From}, func() error { return s.renameDir(ctx, dir, file) })
	case isDirectory(req.From):
		return s.moving(ctx, req.Bucket, nil, func() error { return s.renameDir(ctx, req, nil) })
	}
	return s.moving(ctx, req.Bucket, []string{req.From, req.To}, func() error { return s.renameFile(ctx, req) })
}

func (r *RenameRequest) validate() error {
	switch {
	case r.NoReplace && r.Exchange:
		return errKindf(KindInvalidArgument, "either NoReplace or Exchange")
	case !r.Exchange && isDirectory(r.From) && !isDirectory(r.To):
		return errKind(KindNotDirectory)
	case !r.Exchange && !isDirectory(r.From) && isDirectory(r.To):
		return errKind(KindIsDirectory)
	case isDirectory(r.From) && r.From != r.To && strings.HasPrefix(r.To, r.From),
		isDirectory(r.To) && r.From != r.To && r.Exchange && strings.HasPrefix(r.From, r.To):
		return errKindf(KindInvalidArgument, "a directory cannot move into itself")
	case isDirectory(r.From) != isDirectory(r.To) && strings.TrimSuffix(r.From, "/") == strings.TrimSuffix(r.To, "/"):
		return errKindf(KindInvalidArgument, "a file and a directory beside it have one name")
	}
	if err := ValidateKey(r.From); err != nil {
		return err
	}
	return ValidateKey(r.To)
}

// split makes the exchange of a directory and a file two renames, to names that must be free.
func (r *RenameRequest) split() (dir, file *RenameRequest) {
	d, f := r.From, r.To
	if !isDirectory(d) {
		d, f = f, d
	}
	return &RenameRequest{Bucket: r.Bucket, From: d, To: f + "/", NoReplace: true},
		&RenameRequest{Bucket: r.Bucket, From: f, To: strings.TrimSuffix(d, "/")}
}

func (s *Store) renameFile(ctx context.Context, req *RenameRequest) error {
	var bucket cipher.BucketID
	var replaced *record
	var other string // name of what was replaced
	moved := false
	err := s.changeNames(ctx, req.Bucket, cipher.BucketID{}, func(n *nameWriter) error {
		bucket, replaced, moved = n.bucket.ID, nil, false
		from, err := n.current(req.From)
		if err != nil {
			return err
		}
		to, err := n.current(req.To)
		if err != nil {
			return err
		}
		switch {
		case from == nil || to == nil && req.Exchange:
			return errKind(KindNoSuchKey)
		case to != nil && req.NoReplace:
			return errKind(KindExists)
		case to != nil && to.Object == from.Object:
			return nil // two names of one file, or one: rename(2) does nothing
		}
		moved = true
		if req.Exchange {
			return n.exchange(req, from, to)
		}
		if replaced = to; to != nil {
			if other, err = n.nameBeside(to, req.To); err != nil {
				return err
			}
		}
		return n.move(req, from, to)
	})
	switch {
	case err != nil || !moved:
		return err
	case req.Exchange:
		s.files.exchanged(bucket, req.From, req.To)
		return nil
	case replaced != nil:
		s.files.unnamed(replaced.Object, req.To, other)
		s.collector.wake()
	}
	s.files.renamed(bucket, req.From, req.To)
	return nil
}

// move gives a file the name To. to is what it names until now, or nil.
func (n *nameWriter) move(req *RenameRequest, from, to *record) error {
	if to != nil {
		if err := n.release(req.To, to); err != nil {
			return err
		}
	}
	if err := n.leave(req.From, from); err != nil {
		return err
	}
	if err := n.write(req.To, from); err != nil {
		return err
	}
	if err := n.drop(req.From); err != nil {
		return err
	}
	n.note(Change{Key: req.To, From: req.From, Object: from.Object, Kind: Renamed})
	return n.touchBoth(req)
}

// exchange lets two files change their names.
func (n *nameWriter) exchange(req *RenameRequest, from, to *record) error {
	if err := n.leave(req.From, from); err != nil {
		return err
	}
	if err := n.leave(req.To, to); err != nil {
		return err
	}
	if err := n.write(req.To, from); err != nil {
		return err
	}
	if err := n.write(req.From, to); err != nil {
		return err
	}
	n.note(Change{Key: req.To, From: req.From, Object: from.Object, Kind: Exchanged})
	return n.touchBoth(req)
}

// leave readies a record for another name than the given one, which was read.
func (n *nameWriter) leave(key string, r *record) error {
	r.Attributes = r.Attributes.changedAt(n.now)
	if r.Links == 0 {
		return nil
	}
	return n.forgetLink(key, r.Object)
}

// touchBoth notes a rename in both directories.
func (n *nameWriter) touchBoth(req *RenameRequest) error {
	if err := n.touchDirectory(parentOf(req.From), n.now); err != nil {
		return err
	}
	return n.touchDirectory(parentOf(req.To), n.now)
}
