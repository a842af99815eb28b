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
	// grantStep is the room that a body which did not reserve its length asks for at a time.
	grantStep = 8 << 20
)

// metadataRoom is what a change of metadata alone is taken to need, in bytes: a record of the largest size, twice.
const metadataRoom = 32 << 10

// admission lets writes in while the disk can take them. The metastore writes through memory maps, where a full disk is
// a fatal signal and not an error, so writes must stop while there is room for everything admitted, for the
// metastore's own files and for the deletes that make room again.
//
// There are two watermarks. Below the first, writes are refused. Deletes, and what ends or gives up something begun, go
// on down to the second, where only the metastore's own reserve is left.
type admission struct {
	chunks  chunk.Store
	reserve func() uint64 // bytes the metastore may yet need
	now     func() time.Time

	mu       sync.Mutex
	measured time.Time
	free     uint64 // as measured, less what was written since
	keep     uint64 // the second watermark, as measured
	promised uint64 // admitted and not yet written
}

// grant is the room of one write. It shrinks as bytes are written.
type grant struct {
	from *admission
	left uint64
}

// admit promises room for size bytes, or fails with KindNoSpace.
func (a *admission) admit(ctx context.Context, size int64) (*grant, error) {
	return a.promise(ctx, uint64(size), spaceMargin)
}

// admitChange lets a change of metadata in, down to the first watermark.
func (a *admission) admitChange(ctx context.Context) error { return a.pass(ctx, spaceMargin) }

// admitRemoval lets a delete in, down to the second watermark.
func (a *admission) admitRemoval(ctx context.Context) error { return a.pass(ctx, 0) }

func (a *admission) pass(ctx context.Context, margin uint64) error {
	g, err := a.promise(ctx, metadataRoom, margin)
	if err != nil {
		return err
	}
	return g.spend(ctx, metadataRoom)
}

func (a *admission) promise(ctx context.Context, size, margin uint64) (*grant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.Sub(a.measured) > spaceFresh || now.Before(a.measured) {
		space, err := a.chunks.Space(ctx)
		if err != nil {
			return nil, err
		}
		a.free, a.keep, a.measured = space.Free, a.reserve(), now
	}
	need := size + a.promised + a.keep + margin
	if a.free < need {
		return nil, errKindf(KindNoSpace, "%d bytes free, %d needed", a.free, need)
	}
	a.promised += size
	return &grant{from: a, left: size}, nil
}

// Space tells how many bytes of the disk are free for sealed bytes, and how many it has.
func (s *Store) Space(ctx context.Context) (free, total uint64, err error) {
	space, err := s.opts.Chunks.Space(ctx)
	return space.Free, space.Total, s.wrap("measure the disk", "", "", err)
}

// spend tells that n bytes are about to be written. A body that did not reserve its length asks for more room as it goes.
func (g *grant) spend(ctx context.Context, n int64) error {
	if g.left < uint64(n) {
		more, err := g.from.admit(ctx, n+grantStep)
		if err != nil {
			return err
		}
		g.left += more.left
	}
	g.give(uint64(n), uint64(n))
	return nil
}

// release gives back what was not written.
func (g *grant) release() { g.give(g.left, 0) }

// give takes n bytes off the promise, and those that were written off what is free until it is measured again.
func (g *grant) give(n, written uint64) {
	g.from.mu.Lock()
	defer g.from.mu.Unlock()
	g.left -= n
	g.from.promised -= n
	g.from.free -= min(written, g.from.free)
}
