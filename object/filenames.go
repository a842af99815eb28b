package object

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"coffer/cipher"
)

// withChanges returns the node of a file as mounts have it: with what is not committed, where it is open.
func (s *Store) withChanges(n *Node) *Node {
	if n == nil || n.Directory {
		return n
	}
	if f := s.files.of(n.Object); f != nil {
		key := n.Info.Key // of several names the one that was asked for
		open := f.node()
		open.Info.Key, open.Links = key, n.Links
		return &open
	}
	return n
}

// unbornNode is the node of a file that S3 does not know yet, nil where there is none.
func (s *Store) unbornNode(bucket cipher.BucketID, key string) *Node {
	if f := s.files.at(bucket, key); f != nil {
		n := f.node()
		return &n
	}
	return nil
}

// mergeOpen brings what is not committed into a page of a directory: files that are open as they are, and those that S3
// does not know yet.
func (s *Store) mergeOpen(bucket cipher.BucketID, dir string, after ListPosition, out *ReadDirResult) {
	there := make(map[string]bool, len(out.Nodes))
	for i := range out.Nodes {
		out.Nodes[i] = *s.withChanges(&out.Nodes[i])
		there[out.Nodes[i].Info.Key] = true
	}
	merged := false
	for _, f := range s.files.below(bucket, dir) {
		n := f.node()
		key := n.Info.Key
		if key <= after.Key || (out.More && key > out.Next.Key) || strings.Contains(key[len(dir):], "/") || there[key] {
			continue
		}
		out.Nodes, merged = append(out.Nodes, n), true
	}
	if merged {
		slices.SortFunc(out.Nodes, func(a, b Node) int { return cmp.Compare(a.Info.Key, b.Info.Key) })
	}
}

// setOpenAttributes changes the attributes of a file that is open. It answers false where none is.
func (s *Store) setOpenAttributes(ctx context.Context, bucket, key string, c *AttributeChange) (*Node, bool, error) {
	f, err := s.fileOf(ctx, bucket, key)
	if f == nil || err != nil {
		return nil, false, err
	}
	if err := f.setAttributes(ctx, c); err != nil {
		return nil, true, err
	}
	n := f.node()
	n.Info.Key = key
	return &n, true, nil
}

// fileOf returns the open file of a key, nil if there is none.
func (s *Store) fileOf(ctx context.Context, bucket, key string) (*openFile, error) {
	var f *openFile
	err := s.readNames(ctx, bucket, func(n *names) error {
		if f = s.files.at(n.bucket.ID, key); f != nil {
			return nil
		}
		r, err := n.current(key)
		if err == nil && r != nil {
			f = s.files.of(r.Object)
		}
		return err
	})
	return f, err
}

// moving runs a change of names that open files must follow. Files at the given keys that S3 does not know yet are
// committed before.
func (s *Store) moving(ctx context.Context, bucket string, keys []string, fn func() error) error {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.commitUnborn(ctx, b.ID, key); err != nil {
			return err
		}
	}
	s.files.moves.RLock()
	defer s.files.moves.RUnlock()
	return fn()
}

// exchanged tells that two keys have changed what they name since a commit, as renamed does.
func (t *files) exchanged(bucket cipher.BucketID, a, b string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.open {
		switch {
		case f.bucketID != bucket:
		case f.key == a:
			f.key = b
		case f.key == b:
			f.key = a
		}
	}
}
