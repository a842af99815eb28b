package object

import (
	"context"
	"errors"

	"coffer/metastore"
)

// ReadDirResult is one page of a directory, in the order of keys: a directory's own is its prefix.
type ReadDirResult struct {
	Nodes []Node
	More  bool
	Next  ListPosition // where to go on, if More
}

// Lookup tells what a name in a directory is: a file, whose key is dir and name, a directory, whose prefix has a "/"
// behind that, or both, which S3 allows. nil stands for what is not there. It fails with KindNoSuchKey if neither is.
func (s *Store) Lookup(ctx context.Context, bucket, dir, name string) (file, directory *Node, err error) {
	err = s.readNames(ctx, bucket, func(n *names) error {
		if name != "" {
			if file, err = n.file(bucket, dir+name); err != nil {
				return err
			}
			if file = s.withChanges(file); file == nil {
				file = s.unbornNode(n.bucket.ID, dir+name)
			}
		}
		directory, err = n.directory(bucket, dir+name+"/")
		return err
	})
	if err == nil && file == nil && directory == nil {
		err = errKind(KindNoSuchKey)
	}
	if err != nil {
		return nil, nil, s.wrap("look up", bucket, dir+name, err)
	}
	return file, directory, nil
}

// Stat describes the file of a key, a directory by its prefix, or the root of the bucket by "".
func (s *Store) Stat(ctx context.Context, bucket, key string) (Node, error) {
	var node *Node
	err := s.readNames(ctx, bucket, func(n *names) (err error) {
		if isDirectory(key) {
			node, err = n.directory(bucket, key)
		} else {
			if node, err = n.file(bucket, key); err == nil && node == nil {
				node = s.unbornNode(n.bucket.ID, key)
			}
			node = s.withChanges(node)
		}
		return err
	})
	if err == nil && node == nil {
		err = errKind(KindNoSuchKey)
	}
	if err != nil {
		return Node{}, s.wrap("stat", bucket, key, err)
	}
	return *node, nil
}

// ReadDir returns one page of what lies directly in a directory: max entries, and those that S3 does not know yet.
func (s *Store) ReadDir(ctx context.Context, bucket, dir string, after ListPosition, max int) (ReadDirResult, error) {
	var out ReadDirResult
	err := s.readDir(ctx, bucket, dir, after, max, &out)
	return out, s.wrap("read directory", bucket, dir, err)
}

func (s *Store) readDir(ctx context.Context, bucket, dir string, after ListPosition, max int, out *ReadDirResult) error {
	if !isDirectory(dir) {
		return errKind(KindNotDirectory)
	}
	if max < 1 || max > MaxListKeys {
		return errKindf(KindInvalidArgument, "1 to %d entries a page", MaxListKeys)
	}
	start := after
	if start.Key == "" {
		start.Key = dir // its marker is not in it
	}
	return s.readNames(ctx, bucket, func(n *names) error {
		f := folder{prefix: dir, delimiter: "/", max: max}
		f.folded = func(prefix, key string, kv metastore.KV) error {
			var marker *record
			if key == prefix {
				var err error
				if marker, err = n.decode(kv.Value); err != nil {
					return err
				}
			}
			node, err := n.directoryNode(bucket, prefix, marker)
			if err == nil {
				out.Nodes = append(out.Nodes, *node)
			}
			return err
		}
		space := n.space()
		err := f.scan(space, space.after(start), func(key string, kv metastore.KV) error {
			r, err := n.decode(kv.Value)
			if err == nil {
				out.Nodes = append(out.Nodes, *fileNode(bucket, key, r))
			}
			return err
		})
		out.More, out.Next = f.more, f.last
		s.mergeOpen(n.bucket.ID, dir, after, out)
		if err != nil || len(out.Nodes) > 0 || after.Key != "" {
			return err
		}
		return n.mustExist(bucket, dir)
	})
}

// names reads the names of one bucket in one snapshot.
type names struct {
	view   *metastore.View
	bucket *bucketRecord
}

// readNames calls fn with the names of a bucket as they are now.
func (s *Store) readNames(ctx context.Context, bucket string, fn func(*names) error) error {
	return s.opts.Meta.View(ctx, func(v *metastore.View) error {
		b, err := readBucket(v.Get, bucket)
		if err != nil {
			return err
		}
		return fn(&names{view: v, bucket: b})
	})
}

// current reads what a key names, nil when there is nothing. No object has a key that is too long.
func (n *names) current(key string) (*record, error) {
	if ValidateKey(key) != nil {
		return nil, nil
	}
	return readName(n.view.Get, n.bucket, key)
}

// decode reads the value of a name.
func (n *names) decode(value []byte) (*record, error) {
	return decodeName(n.view.Get, n.bucket.ID, value)
}

// space is the names for a scan.
func (n *names) space() namespace { return namesOf(n.view, n.bucket) }

// file is the node of a key that does not end in "/", nil where there is none.
func (n *names) file(bucket, key string) (*Node, error) {
	r, err := n.current(key)
	if err != nil || r == nil {
		return nil, err
	}
	return fileNode(bucket, key, r), nil
}

// directory is the node of a directory, nil where there is none.
func (n *names) directory(bucket, dir string) (*Node, error) {
	if dir == "" {
		return n.directoryNode(bucket, dir, nil)
	}
	marker, err := n.current(dir)
	if err != nil {
		return nil, err
	}
	if marker == nil {
		if any, err := n.anyBelow(dir); err != nil || !any {
			return nil, err
		}
	}
	return n.directoryNode(bucket, dir, marker)
}

// directoryNode is the node of a directory that exists.
func (n *names) directoryNode(bucket, dir string, marker *record) (*Node, error) {
	times, err := n.times(dir)
	if err != nil {
		return nil, err
	}
	return directoryNode(bucket, n.bucket, dir, marker, times), nil
}

// mustExist fails if there is no such directory.
func (n *names) mustExist(bucket, dir string) error {
	node, err := n.directory(bucket, dir)
	if err == nil && node == nil {
		err = errKind(KindNoSuchKey)
	}
	return err
}

// anyBelow reports whether a key lies below a directory. The directory's marker does not.
func (n *names) anyBelow(dir string) (bool, error) {
	if len(dir) >= MaxKeyBytes {
		return false, nil
	}
	space := n.space()
	for _, err := range space.scan(space.after(ListPosition{Key: dir}), space.behind(dir)) {
		return err == nil, err
	}
	return false, nil
}

// times reads the times of a directory; their format is 0 where there are none.
func (n *names) times(dir string) (*timesRecord, error) {
	return readTimes(n.view.Get, n.bucket, dir)
}

func readTimes(get func([]byte) ([]byte, error), b *bucketRecord, dir string) (*timesRecord, error) {
	var t timesRecord
	l := b.locate(tagTimes, dir)
	value, _, err := l.get(get)
	if errors.Is(err, metastore.ErrNotFound) {
		return &t, nil
	}
	if err != nil {
		return nil, err
	}
	return &t, decode(value, &t)
}
