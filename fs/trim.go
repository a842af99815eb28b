package fs

import (
	"context"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// nodeBytes is what a node costs with its entries in the tables, in bytes, measured over a walk.
const nodeBytes = 1 << 10

// trimPause is how long the trimmer lets the kernel work on what it was told.
const trimPause = 20 * time.Millisecond

// pruneBatch is how many nodes the kernel is told of at a time.
const pruneBatch = 512

// pruner lets the kernel give up nodes. Kernels before Linux 6.18 do not know of it; there entries are taken back
// instead.
type pruner interface {
	kernel
	PruneNotify(nodes []uint64) fuse.Status
}

// trimWhenCrowded keeps the number of nodes below what the memory allows. Only the kernel can forget a node, so it is
// asked to, for those that were not looked up lately.
func (f *filesystem) trimWhenCrowded(ctx context.Context, k pruner, memoryMiB int) {
	limit := memoryMiB << 20 / 2 / nodeBytes
	tick := time.NewTicker(trimPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if size := f.tree.size(); size > limit {
			f.prune(k, f.tree.idle(size-limit/4*3))
		}
	}
}

// prune lets the kernel give up nodes.
func (f *filesystem) prune(k pruner, idle []*node) {
	for len(idle) > 0 {
		batch := idle[:min(pruneBatch, len(idle))]
		idle = idle[len(batch):]
		ids := make([]uint64, len(batch))
		for i, n := range batch {
			ids[i] = n.id
		}
		if k.PruneNotify(ids) == fuse.ENOSYS {
			f.takeBack(k, batch)
		}
	}
}

// takeBack takes back the entries of nodes, after which the kernel forgets those that nobody uses.
func (f *filesystem) takeBack(k kernel, batch []*node) {
	var levels []level
	f.tree.mu.RLock()
	for _, n := range batch {
		for _, l := range n.links {
			levels = append(levels, level{parent: l.parent.id, name: l.name})
		}
	}
	f.tree.mu.RUnlock()
	for _, l := range levels {
		k.EntryNotify(l.parent, l.name)
	}
}

// idle returns up to want nodes that have nothing below them and nothing open, those that were not looked up since the
// last time first.
func (t *tree) idle(want int) []*node {
	t.mu.Lock()
	defer t.mu.Unlock()
	var old, fresh []*node
	for _, n := range t.byID {
		switch {
		case n == t.root || len(n.children) > 0 || len(n.open) > 0:
		case n.used < t.clock:
			old = append(old, n)
		case len(fresh) < want:
			fresh = append(fresh, n)
		}
		if len(old) == want {
			break
		}
	}
	t.clock++
	if len(old) < want {
		old = append(old, fresh[:min(len(fresh), want-len(old))]...)
	}
	return old
}
