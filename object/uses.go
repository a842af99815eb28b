package object

import (
	"sync"

	"coffer/cipher"
)

// uses knows the versions of MasterKeys that somebody at work needs beside what is recorded: streams and handles that
// were opened under a KEK of an object's own, and writes that hold one and are not committed yet.
//
// Who is about to come by a wrapped KEK, from a record or from a backend, enters first, holds what it found, and leaves.
// So who waits for those inside and then looks at what is held misses nobody. KEKs of buckets are never held: who uses one
// leaves when it is unwrapped or, if it is new, recorded.
type uses struct {
	epochs

	mu   sync.Mutex
	held map[masterVersion]int
}

// use is what one stream, handle or write holds. It belongs to one goroutine at a time. nil holds nothing.
type use struct {
	of    *uses
	epoch *epoch // nil once something is held
	held  []masterVersion
}

func newUses() *uses { return &uses{held: make(map[masterVersion]int)} }

// begin enters; hold or end leaves.
func (u *uses) begin() *use { return &use{of: u, epoch: u.enter()} }

// hold holds what wraps the KEKs of objects' own among SealedKeys, and leaves.
func (x *use) hold(bucket cipher.BucketID, keys ...[]byte) error {
	var under []masterVersion
	for _, sealed := range keys {
		d, err := dependencyOf(bucket, sealed)
		if err != nil {
			return err
		}
		if d.isOwn() {
			under = append(under, d.master)
		}
	}
	x.holdVersions(under...)
	return nil
}

func (x *use) holdVersions(under ...masterVersion) {
	x.of.mu.Lock()
	for _, m := range under {
		x.of.held[m]++
	}
	x.of.mu.Unlock()
	x.held = append(x.held, under...)
	x.leave()
}

func (x *use) leave() {
	if x.epoch != nil {
		x.of.leave(x.epoch)
		x.epoch = nil
	}
}

// end lets go of everything. Ending twice does nothing.
func (x *use) end() {
	if x == nil {
		return
	}
	x.leave()
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	for _, m := range x.held {
		if x.of.held[m]--; x.of.held[m] == 0 {
			delete(x.of.held, m)
		}
	}
	x.held = nil
}

// count tells how many hold a version that fits.
func (u *uses) count(fits func(masterVersion) bool) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for m, holders := range u.held {
		if fits(m) {
			n += holders
		}
	}
	return n
}
