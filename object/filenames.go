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
		f.amend(n)
	}
	return n
}

// amend brings what is not committed into the node of the file as it is committed.
func (f *openFile) amend(n *Node) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	n.Info.Size, n.Open, n.Attr = f.size, !f.since.IsZero(), f.store.files.attributes(f).public()
	if n.Open {
		n.Info.ModTime = timeOf(f.base.ModTime)
	}
	if f.meta {
		n.Info.Meta = f.base.Meta.public()
	}
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

// setFileAttributes changes the attributes of a file as those who have it open see it. They are committed with its next
// Sync, or within 5 seconds; at once where S3 clients see them.
func (s *Store) setFileAttributes(ctx context.Context, bucket, key string, c *AttributeChange) (*Node, error) {
	f, err := s.openFile(ctx, bucket, key)
	if kindOfCause(err) == KindCustomerKeyMissing {
		return s.setClosedAttributes(ctx, bucket, key, c)
	}
	if err != nil {
		return nil, err
	}
	defer s.files.leave(f)
	if err := f.setAttributes(ctx, c); err != nil {
		return nil, err
	}
	if c.ContentType != nil || c.UserMeta != nil || s.files.isCrowded() {
		f.mu.Lock()
		err := f.commit(ctx)
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	// Other mounts see the change before it is committed.
	s.watchers.publish(f.quiet(ctx), bucket, []Change{{Key: key, Object: f.object, Kind: Written}})
	n := f.node()
	n.Info.Key = key
	return &n, nil
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
	now := t.store.opts.Now().UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.open {
		switch {
		case f.bucketID != bucket:
		case f.key == a:
			f.key, f.renamed = b, now
		case f.key == b:
			f.key, f.renamed = a, now
		}
	}
}
