package memdb

import (
	"bytes"
	"math/rand/v2"

	"coffer/metastore"
)

// node is a treap: ordered by key, and by priority as a heap, which keeps it
// balanced. Nodes are immutable; nil is the empty treap.
type node struct {
	item        metastore.Item
	priority    uint64
	left, right *node
}

func (n *node) find(key []byte) *node {
	for n != nil {
		switch c := bytes.Compare(key, n.item.Key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n
		}
	}
	return nil
}

// version returns the version of key, 0 if it is absent.
func (n *node) version(key []byte) uint64 {
	if n = n.find(key); n == nil {
		return 0
	}
	return n.item.Version
}

// with returns the treap with item in it, in place of any item of its key.
func (n *node) with(item metastore.Item) *node {
	left, right := n.split(item.Key)
	return merge(merge(left, &node{item: item, priority: rand.Uint64()}), right)
}

// without returns the treap without key.
func (n *node) without(key []byte) *node {
	left, right := n.split(key)
	return merge(left, right)
}

// split returns the keys below key and those above it; key itself is dropped.
func (n *node) split(key []byte) (below, above *node) {
	if n == nil {
		return nil, nil
	}
	c := bytes.Compare(key, n.item.Key)
	if c == 0 {
		return n.left, n.right
	}
	clone := *n
	if c < 0 {
		below, clone.left = n.left.split(key)
		return below, &clone
	}
	clone.right, above = n.right.split(key)
	return &clone, above
}

// merge joins two treaps; all keys of a are below those of b.
func merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		clone := *a
		clone.right = merge(a.right, b)
		return &clone
	default:
		clone := *b
		clone.left = merge(a, b.left)
		return &clone
	}
}

// scan yields the items of [from, to) in order until yield returns false; it
// reports whether it went to the end.
func (n *node) scan(from, to []byte, yield func(metastore.Item) bool) bool {
	if n == nil {
		return true
	}
	atLeast := bytes.Compare(n.item.Key, from) >= 0
	if atLeast && !n.left.scan(from, to, yield) {
		return false
	}
	if to != nil && bytes.Compare(n.item.Key, to) >= 0 {
		return true
	}
	if atLeast && !yield(n.item) {
		return false
	}
	return n.right.scan(from, to, yield)
}
