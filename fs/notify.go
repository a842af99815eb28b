package fs

import (
	"context"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// kernel takes notifications. They may wait for requests under way, so no handler sends one, and no lock is held.
type kernel interface {
	EntryNotify(parent uint64, name string) fuse.Status
	InodeNotify(node uint64, off, length int64) fuse.Status
}

const (
	// repeatAfter is when a notification is sent again: an answer that was on its way may have overtaken it.
	repeatAfter = 50 * time.Millisecond
	maxRepeats  = 4096
)

// notifier tells the kernel what changed beside the mount.
type notifier struct {
	fs      *filesystem
	kernel  kernel
	ctx     context.Context
	repeats chan repeated
}

type repeated struct {
	at     time.Time
	change object.Change
}

func newNotifier(f *filesystem, k kernel, ctx context.Context) *notifier {
	return &notifier{fs: f, kernel: k, ctx: ctx, repeats: make(chan repeated, maxRepeats)}
}

// watch takes changes until its context ends.
func (n *notifier) watch(w *object.Watcher) {
	defer w.Close()
	for {
		change, err := w.Next(n.ctx)
		if err != nil {
			return
		}
		n.take(change)
		w.Done()
		select {
		case n.repeats <- repeated{time.Now().Add(repeatAfter), change}:
		case <-n.ctx.Done():
			return
		}
	}
}

// repeat sends what was sent before a second time.
func (n *notifier) repeat() {
	for {
		select {
		case again := <-n.repeats:
			if !n.sleepUntil(again.at) {
				return
			}
			n.take(again.change)
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *notifier) sleepUntil(t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-n.ctx.Done():
		return false
	}
}

// take tells the kernel of one change.
func (n *notifier) take(c object.Change) {
	switch c.Kind {
	case object.Written:
		n.name(c.Bucket, c.Key, false)
	case object.Removed:
		n.name(c.Bucket, c.Key, true)
	case object.Renamed, object.Exchanged:
		n.name(c.Bucket, c.From, true)
		n.name(c.Bucket, c.Key, true)
	case object.BucketCreated, object.BucketRemoved:
		n.bucket(c.Bucket)
	case object.Overflow:
		n.all()
	}
}

// bucket tells that a bucket came or went.
func (n *notifier) bucket(name string) {
	f := n.fs
	if f.tree.base.bucket != "" {
		return
	}
	f.changes.moved(place{})
	child := f.tree.child(f.tree.root, name)
	n.kernel.EntryNotify(f.tree.root.id, name)
	if child != nil {
		n.kernel.InodeNotify(child.id, 0, 0)
	}
}

// level is a directory on the way to a key.
type level struct {
	parent uint64
	name   string
	place  place
}

// affected is what the kernel may know of a key.
type affected struct {
	above  []level // directories that the key lies in
	parent uint64
	names  []string
	inodes []uint64
}

// name tells that a key, or the marker of a directory, changed.
func (n *notifier) name(bucket, key string, removed bool) {
	rel, ok := n.fs.inMount(bucket, key)
	if !ok {
		return
	}
	n.fs.countPath(bucket, key)
	a := n.fs.affectedBy(bucket, strings.Split(strings.TrimSuffix(rel, "/"), "/"))
	for _, name := range a.names {
		n.kernel.EntryNotify(a.parent, name)
	}
	for _, id := range a.inodes {
		n.kernel.InodeNotify(id, 0, 0)
	}
	if removed {
		n.vanished(a.above)
	}
}

// vanished takes back those directories that are no more, because nothing is below them now.
func (n *notifier) vanished(above []level) {
	for i := len(above) - 1; i >= 0; i-- {
		l := above[i]
		if _, err := n.fs.store.Stat(n.fs.base, l.place.bucket, l.place.key); !missing(err) {
			return
		}
		n.kernel.EntryNotify(l.parent, l.name)
	}
}

// inMount is what is left of a key below the root of the mount.
func (f *filesystem) inMount(bucket, key string) (string, bool) {
	base := f.tree.base
	if base.bucket == "" {
		return key, true
	}
	rel, below := strings.CutPrefix(key, base.key)
	return rel, below && rel != "" && bucket == base.bucket
}

// countPath counts a change of a key in all directories that it lies in: it may have brought them, or taken them.
func (f *filesystem) countPath(bucket, key string) {
	for p := (place{bucket, key}); p.key != ""; {
		p = parentOf(p)
		f.changes.moved(p)
	}
	if strings.HasSuffix(key, "/") {
		f.changes.moved(place{bucket, key})
	}
}

// affectedBy walks toward a key as far as the kernel knows the way.
func (f *filesystem) affectedBy(bucket string, segments []string) affected {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	var a affected
	at, p := f.tree.root, f.tree.base
	if p.bucket == "" {
		if at = at.children[bucket]; at == nil {
			return a
		}
		p = place{bucket: bucket}
	}
	for i, segment := range segments {
		name := nameOf(segment, false)
		child := at.children[name]
		if i < len(segments)-1 && child != nil && child.isDir() {
			p = p.directory(segment)
			a.above = append(a.above, level{at.id, name, p})
			at = child
			continue
		}
		a.parent = at.id
		for _, name := range []string{name, nameOf(segment, true)} {
			a.names = append(a.names, name)
			if child := at.children[name]; child != nil {
				a.inodes = append(a.inodes, child.id)
			}
		}
		return a
	}
	return a
}

// all drops everything that the kernel keeps of the mount.
func (n *notifier) all() {
	f := n.fs
	f.changes.movedAll()
	var levels []level
	var inodes []uint64
	f.tree.mu.RLock()
	for _, one := range f.tree.byID {
		inodes = append(inodes, one.id)
		for name := range one.children {
			levels = append(levels, level{parent: one.id, name: name})
		}
	}
	f.tree.mu.RUnlock()
	for _, l := range levels {
		n.kernel.EntryNotify(l.parent, l.name)
	}
	for _, id := range inodes {
		n.kernel.InodeNotify(id, 0, 0)
	}
}
