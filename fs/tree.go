package fs

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// maxDepth bounds the way from a node to the root: a key of 1,024 bytes has no more segments.
const maxDepth = 1200

// place is where something lies in the store. The directory of all buckets has no bucket.
type place struct {
	bucket string
	key    string // a directory's is "" or ends in "/"
}

// file and directory are the places of a segment below the directory p.
func (p place) file(segment string) place      { return place{p.bucket, p.key + segment} }
func (p place) directory(segment string) place { return place{p.bucket, p.key + segment + "/"} }

// node is something that the kernel knows. It does not hold its key, which a rename of any directory above it would
// change: the key is put together from the links upward.
type node struct {
	id    uint64 // by which the kernel knows it; never given twice
	inode uint64
	kind  uint32 // S_IFMT of its mode

	// The rest is guarded by tree.mu.
	lookups  uint64
	links    []link           // where it was last seen, the newest first; a directory has one
	children map[string]*node // by name
	open     []*openFile
	seen     stamp  // of the bytes that the kernel may have in its page cache
	mode     uint32 // of a directory, as the kernel was told; what is made in it inherits
	gid      uint32
	entries  int    // of a directory: how many it has at least, as of
	counted  uint64 // this state of its counter
	linked   bool   // it had several names
	used     uint64 // turn of the clock of the trimmer at which it was last looked up
}

// link is one name of a node.
type link struct {
	parent  *node
	name    string // as the kernel has it
	segment string // as the key has it
}

// isDir reports whether the node is a directory.
func (n *node) isDir() bool { return n.kind == fuse.S_IFDIR }

type identity struct {
	inode uint64
	kind  uint32
}

// tree is the table of nodes: those that the kernel holds, and how they hang together. Its lock is held for a few
// steps in memory, never across a call of the engine or of the kernel.
type tree struct {
	mu      sync.RWMutex
	root    *node
	base    place // of the root
	byID    map[uint64]*node
	byInode map[identity]*node
	nextID  uint64
	clock   uint64

	// renaming is held shared from before a rename reaches the engine until the tree says the same.
	renaming sync.RWMutex
	begun    atomic.Uint64 // renames
	ended    atomic.Uint64
}

// beginRename begins a rename; end ends it.
func (t *tree) beginRename() (end func()) {
	t.begun.Add(1)
	t.renaming.RLock()
	return func() {
		t.renaming.RUnlock()
		t.ended.Add(1)
	}
}

func newTree(base place, inode uint64) *tree {
	root := &node{id: fuse.FUSE_ROOT_ID, inode: inode, kind: fuse.S_IFDIR, lookups: 1}
	return &tree{
		root: root, base: base, nextID: fuse.FUSE_ROOT_ID + 1,
		byID:    map[uint64]*node{root.id: root},
		byInode: map[identity]*node{{inode, root.kind}: root},
	}
}

// get finds the node of an id, nil when it was forgotten.
func (t *tree) get(id uint64) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

// place puts together where a node lies. It reports false for one that has no name any more.
func (t *tree) place(n *node) (place, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.placeLocked(n)
}

func (t *tree) placeLocked(n *node) (place, bool) {
	var segments []string
	at := n
	for at != t.root {
		if len(at.links) == 0 || len(segments) > maxDepth {
			return place{}, false
		}
		segments = append(segments, at.links[0].segment)
		at = at.links[0].parent
	}
	p := t.base
	if p.bucket == "" && len(segments) > 0 {
		p.bucket = segments[len(segments)-1]
		segments = segments[:len(segments)-1]
	}
	if len(segments) == 0 {
		return p, true
	}
	slices.Reverse(segments)
	p.key += strings.Join(segments, "/")
	if n.isDir() {
		p.key += "/"
	}
	return p, true
}

// adopt returns the node of an inode under a name, which the kernel is about to be told of. Each call is one lookup
// that the kernel will forget. It returns nil where the directory was forgotten meanwhile.
func (t *tree) adopt(parent *node, name, segment string, inode uint64, kind uint32) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := identity{inode, kind}
	n := t.byInode[id]
	if n == nil {
		n = &node{id: t.nextID, inode: inode, kind: kind}
		t.nextID++
		t.byID[n.id] = n
		t.byInode[id] = n
	}
	n.lookups++
	n.used = t.clock
	if n != t.root {
		t.link(parent, name, segment, n)
	}
	return n
}

// link makes name the newest name of n, and n what the name stands for.
func (t *tree) link(parent *node, name, segment string, n *node) {
	if old := parent.children[name]; old != nil && old != n {
		old.unlink(parent, name)
	}
	if len(n.links) > 0 && n.links[0].parent == parent && n.links[0].name == name {
		return
	}
	if n.isDir() {
		for _, l := range n.links {
			if l.parent.children[l.name] == n {
				delete(l.parent.children, l.name)
			}
		}
		n.links = n.links[:0]
	}
	n.unlink(parent, name)
	n.links = slices.Insert(n.links, 0, link{parent, name, segment})
	if parent.children == nil {
		parent.children = make(map[string]*node)
	}
	parent.children[name] = n
}

// unlink takes a name from n.
func (n *node) unlink(parent *node, name string) {
	n.links = slices.DeleteFunc(n.links, func(l link) bool { return l.parent == parent && l.name == name })
	if parent.children[name] == n {
		delete(parent.children, name)
	}
}

// keep keeps a file open until its node is forgotten. It answers false when that has happened already.
func (t *tree) keep(n *node, file *openFile) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[n.id] != n {
		return false
	}
	n.open = append(n.open, file)
	return true
}

// forget takes back lookups. A node without any is gone; the files that were kept open for it are returned.
func (t *tree) forget(id, lookups uint64) (kept []*openFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil || n == t.root {
		return nil
	}
	n.lookups -= min(lookups, n.lookups)
	if n.lookups > 0 {
		return nil
	}
	delete(t.byID, n.id)
	if key := (identity{n.inode, n.kind}); t.byInode[key] == n {
		delete(t.byInode, key)
	}
	for len(n.links) > 0 {
		n.unlink(n.links[0].parent, n.links[0].name)
	}
	for name, child := range n.children {
		child.unlink(n, name)
	}
	n.open = slices.DeleteFunc(n.open, func(o *openFile) bool {
		if !o.held {
			return false
		}
		if o.refs--; o.refs == 0 {
			kept = append(kept, o)
		}
		return true
	})
	return kept
}

// child returns what the kernel knows under a name, nil for nothing.
func (t *tree) child(parent *node, name string) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return parent.children[name]
}

// segmentOf returns the segment of a name that the tree knows.
func (t *tree) segmentOf(parent *node, name string) (string, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := parent.children[name]
	if n == nil {
		return "", false
	}
	for _, l := range n.links {
		if l.parent == parent && l.name == name {
			return l.segment, true
		}
	}
	return "", false
}

// removed takes note that a name is gone.
func (t *tree) removed(parent *node, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	parent.entries--
	if n := parent.children[name]; n != nil {
		n.unlink(parent, name)
	}
}

// moved takes note of a rename, with exchange of both names.
func (t *tree) moved(from *node, name string, to *node, newName, newSegment string, exchange bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from.entries--
	n, other := from.children[name], to.children[newName]
	if n == nil || n == other {
		return
	}
	var oldSegment string
	for _, l := range n.links {
		if l.parent == from && l.name == name {
			oldSegment = l.segment
		}
	}
	n.unlink(from, name)
	if other != nil {
		other.unlink(to, newName)
	}
	t.link(to, newName, newSegment, n)
	if exchange && other != nil {
		t.link(from, name, oldSegment, other)
	}
}

// settle waits for the renames that are under way. It answers false when there was none since ended was what it is
// told, so that nothing can have moved.
func (t *tree) settle(ended uint64) bool {
	if t.begun.Load() == ended {
		return false
	}
	t.renaming.Lock()
	defer t.renaming.Unlock()
	return true
}

// inherit returns what a directory passes on to what is made in it.
func (t *tree) inherit(n *node) (mode, gid uint32) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return n.mode, n.gid
}

// told takes note of what the kernel was told of a directory.
func (t *tree) told(n *node, mode, gid uint32) {
	if !n.isDir() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n.mode, n.gid = mode, gid
}

// counted takes note of how many entries a directory has at least, at a state of its counter. What is removed through the
// mount is taken off, what is added only makes them more.
func (t *tree) counted(n *node, state uint64, entries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.entries, n.counted = entries, state
}

// crowded reports whether a directory is known to have more entries than are looked at for its number of links.
func (t *tree) crowded(n *node, state uint64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return n.entries > countedEntries && n.counted == state
}

// sawLinks takes note of the number of a file's names.
func (t *tree) sawLinks(n *node, links uint32) {
	if links < 2 || n.isDir() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n.linked = true
}

// isLinked reports whether a file had several names.
func (t *tree) isLinked(n *node) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return n.linked
}

// size is the number of nodes.
func (t *tree) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byID)
}
