package object

import (
	"context"
	"crypto/md5"
	"strings"

	"coffer/cipher"
)

// directoryType is the Content-Type of markers made through a mount. They have no bytes, and no key for them.
const directoryType = "application/x-directory"

// MakeDir makes a directory. It fails with KindExists where there is one, or a file of that name.
func (s *Store) MakeDir(ctx context.Context, bucket, dir string, a Attributes) (Node, error) {
	node, err := s.makeDir(ctx, bucket, dir, &a)
	if err != nil {
		return Node{}, s.wrap("make directory", bucket, dir, err)
	}
	return *node, nil
}

func (s *Store) makeDir(ctx context.Context, bucket, dir string, a *Attributes) (*Node, error) {
	if err := validateDirectory(dir); err != nil {
		return nil, err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	inode, err := s.inodes.take(ctx)
	if err != nil {
		return nil, err
	}
	now := s.opts.Now().UnixNano()
	marker := newMarker(inode, now)
	marker.Attributes = a.stored(now)
	var node *Node
	err = s.changeNames(ctx, bucket, cipher.BucketID{}, func(n *nameWriter) error {
		if s.files.at(n.bucket.ID, strings.TrimSuffix(dir, "/")) != nil {
			return errKind(KindExists)
		}
		if err := n.mustBeFree(dir); err != nil {
			return err
		}
		if err := n.put(dir, marker); err != nil {
			return err
		}
		if err := n.putTimes(dir, now, now); err != nil {
			return err
		}
		node = directoryNode(bucket, n.bucket, dir, marker, newTimes(now, now))
		return n.touchDirectory(parentOf(dir), now)
	})
	return node, err
}

// validateDirectory refuses what is no directory below the root.
func validateDirectory(dir string) error {
	if !isDirectory(dir) {
		return errKind(KindNotDirectory)
	}
	return ValidateKey(dir)
}

// newMarker is the record of a directory that becomes an object.
func newMarker(inode uint64, now int64) *record {
	empty := md5.Sum(nil)
	return &record{
		Format: recordFormat, Kind: kindObject, Object: cipher.NewObjectID(), ModTime: now, ETag: etagOf(empty[:]), Inode: inode,
		Meta: metadata{ContentType: directoryType},
	}
}

// mustBeFree fails if there is a directory, or a file of its name.
func (n *nameWriter) mustBeFree(dir string) error {
	for _, key := range [...]string{dir, dir[:len(dir)-1]} {
		if key == "" || key == parentOf(dir) {
			continue // a directory without a name has no file beside it
		}
		if r, err := n.current(key); err != nil {
			return err
		} else if r != nil {
			return errKind(KindExists)
		}
	}
	any, err := n.reader().anyBelow(dir)
	if err == nil && any {
		err = errKind(KindExists)
	}
	return err
}

// touchDirectory notes that a mount changes which names lie directly in a directory: its times become now, and one
// without a marker gets it. So whoever removes the directory meanwhile conflicts.
func (n *nameWriter) touchDirectory(dir string, now int64) error {
	if dir != "" {
		marker, err := n.current(dir)
		if err == nil && marker == nil {
			err = n.put(dir, newMarker(directoryInode(n.bucket.ID, dir), now))
		}
		if err != nil {
			return err
		}
	}
	return n.putTimes(dir, now, now)
}

// putTimes writes the times of a directory, whatever they were.
func (n *nameWriter) putTimes(dir string, modified, changed int64) error {
	return n.putAt(tagTimes, dir, encode(newTimes(modified, changed)))
}

func (n *nameWriter) deleteTimes(dir string) error { return n.deleteAt(tagTimes, dir) }

func newTimes(modified, changed int64) *timesRecord {
	return &timesRecord{Format: recordFormat, ModTime: modified, ChangeTime: changed}
}

// RemoveDir removes an empty directory. The root of a bucket goes with the bucket alone.
func (s *Store) RemoveDir(ctx context.Context, bucket, dir string) error {
	return s.wrap("remove directory", bucket, dir, s.removeDir(ctx, bucket, dir))
}

func (s *Store) removeDir(ctx context.Context, bucket, dir string) error {
	if err := validateDirectory(dir); err != nil {
		return err
	}
	if err := s.space.admitRemoval(ctx); err != nil {
		return err
	}
	now := s.opts.Now().UnixNano()
	return s.changeNames(ctx, bucket, cipher.BucketID{}, func(n *nameWriter) error {
		if len(s.files.below(n.bucket.ID, dir)) > 0 {
			return errKind(KindNotEmpty)
		}
		if err := n.removeEmptyDir(dir); err != nil {
			return err
		}
		return n.touchDirectory(parentOf(dir), now)
	})
}

// removeEmptyDir takes away the marker of a directory and its times, which it reads for update: whoever puts something
// in through a mount writes one of them.
func (n *nameWriter) removeEmptyDir(dir string) error {
	marker, err := n.current(dir)
	if err != nil {
		return err
	}
	if _, err := n.times(dir); err != nil {
		return err
	}
	any, err := n.reader().anyBelow(dir)
	switch {
	case err != nil:
		return err
	case any:
		return errKind(KindNotEmpty)
	case marker == nil:
		return errKind(KindNoSuchKey)
	}
	return n.remove(dir, marker)
}

// Unlink removes a file's name. It fails with KindNoSuchKey where there is none.
func (s *Store) Unlink(ctx context.Context, bucket, key string) error {
	return s.wrap("unlink", bucket, key, s.unlink(ctx, bucket, key))
}

func (s *Store) unlink(ctx context.Context, bucket, key string) error {
	if err := validateFile(key); err != nil {
		return err
	}
	if err := s.space.admitRemoval(ctx); err != nil {
		return err
	}
	b, err := s.bucket(ctx, bucket)
	if err != nil || s.dropUnborn(b.ID, key) {
		return err
	}
	now := s.opts.Now().UnixNano()
	var gone *record
	var other string
	s.files.moves.RLock()
	defer s.files.moves.RUnlock()
	err = s.changeNames(ctx, bucket, b.ID, func(n *nameWriter) error {
		if gone, err = n.current(key); err != nil {
			return err
		}
		if gone == nil {
			return errKind(KindNoSuchKey)
		}
		if other, err = n.nameBeside(gone, key); err != nil {
			return err
		}
		if err := n.remove(key, gone); err != nil {
			return err
		}
		return n.touchDirectory(parentOf(key), now)
	})
	if err == nil {
		s.files.unnamed(gone.Object, key, other)
		s.collector.wake()
	}
	return err
}

// validateFile refuses what is no key of a file.
func validateFile(key string) error {
	if isDirectory(key) {
		return errKind(KindIsDirectory)
	}
	return ValidateKey(key)
}
