package object

import (
	"context"

	"coffer/metastore"
)

// maxCountedRemovals is how many queued removals Stats counts, so that it stays quick.
const maxCountedRemovals = 10_000

// Stats is how the store fares.
type Stats struct {
	Removals  int    // that are queued; 10,000 stands for that or more
	Collected uint64 // removals carried out since the store was opened
	Failures  uint64 // of the collector since then
	Pinned    int    // bodies that are being read
	Promised  uint64 // bytes of bodies that were admitted and are not written yet
	Free      uint64 // bytes of the disk
	Total     uint64
}

// Stats tells how the store fares. It reads the queue of removals.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	out := Stats{Collected: s.collector.collected.Load(), Failures: s.collector.failures.Load(), Pinned: s.pins.count()}
	s.space.mu.Lock()
	out.Promised = s.space.promised
	s.space.mu.Unlock()
	space, err := s.opts.Chunks.Space(ctx)
	if err != nil {
		return out, s.wrap("stats", "", "", err)
	}
	out.Free, out.Total = space.Free, space.Total
	from, to := metastore.PrefixRange([]byte{tagQueue})
	err = s.scanDamaged(ctx, from, to, func(metastore.KV, error) error {
		out.Removals++
		return stopAfter(out.Removals, maxCountedRemovals)
	})
	return out, s.wrap("stats", "", "", err)
}
