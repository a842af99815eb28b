package object

import (
	"context"
	"sync"
	"time"

	"coffer/chunk"
)

const (
	// spaceFresh is how long a measurement of free space serves.
	spaceFresh = 100 * time.Millisecond
	// spaceMargin is kept free above what the metastore asks for, so that deletes and collection can go on.
	spaceMargin = 64 << 20
	// grantStep is the room a body of unknown length asks for at a time.
	grantStep = 8 << 20
)

// admission lets writes in while the disk can take them. The metastore writes through memory maps, where a full disk is
// a fatal signal and not an error, so writes must stop while there is room for everything admitted, for the
// metastore's own files and for the deletes that make room again.
type admission struct {
	chunks  chunk.Store
	reserve func() uint64 // bytes the metastore may yet need
	now     func() time.Time

	mu       sync.Mutex
	measured time.Time
	free     uint64 // as measured
	keep     uint64 // what must stay free, as measured
	promised uint64 // admitted and not yet written
}

// grant is the room of one write. It shrinks as bytes reach the disk, where the next measurement sees them.
type grant struct {
	from *admission
	left uint64
}

// admit promises room for size bytes, or fails with KindNoSpace.
func (a *admission) admit(ctx context.Context, size int64) (*grant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.Sub(a.measured) > spaceFresh || now.Before(a.measured) {
		space, err := a.chunks.Space(ctx)
		if err != nil {
			return nil, err
		}
		a.free, a.keep, a.measured = space.Free, a.reserve()+spaceMargin, now
	}
	need := uint64(size) + a.promised + a.keep
	if a.free < need {
		return nil, errKindf(KindNoSpace, "%d bytes free, %d needed", a.free, need)
	}
	a.promised += uint64(size)
	return &grant{from: a, left: uint64(size)}, nil
}

// spend tells that n bytes are about to be written. A body of unknown length asks for more room as it goes.
func (g *grant) spend(ctx context.Context, n int64) error {
	if g.left < uint64(n) {
		more, err := g.from.admit(ctx, n+grantStep)
		if err != nil {
			return err
		}
		g.left += more.left
	}
	g.give(uint64(n))
	return nil
}

// release gives back what was not written.
func (g *grant) release() { g.give(g.left) }

func (g *grant) give(n uint64) {
	g.from.mu.Lock()
	defer g.from.mu.Unlock()
	g.left -= n
	g.from.promised -= n
}
