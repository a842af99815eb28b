package fs

import (
	"hash/maphash"
	"sync/atomic"
)

// counterSlots is how many counters there are. Directories that share one make each other's answers invalid at once
// now and then, which costs a question of the kernel.
const counterSlots = 1024

// counters count the changes that the notifier has heard of, by directory. A handler reads the count before and after
// it asks the engine: where it moved, what the engine said may be old, and the kernel must not keep it.
type counters struct {
	seed  maphash.Seed
	all   atomic.Uint64 // changes that may concern every directory
	slots [counterSlots]atomic.Uint64
}

func newCounters() *counters { return &counters{seed: maphash.MakeSeed()} }

func (c *counters) slot(p place) *atomic.Uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	h.WriteString(p.bucket)
	h.WriteByte('/')
	h.WriteString(p.key)
	return &c.slots[h.Sum64()%counterSlots]
}

// count is the state of a directory's counter.
func (c *counters) count(dir place) uint64 { return c.all.Load() + c.slot(dir).Load() }

// moved counts a change in a directory.
func (c *counters) moved(dir place) { c.slot(dir).Add(1) }

// movedAll counts a change anywhere.
func (c *counters) movedAll() { c.all.Add(1) }
