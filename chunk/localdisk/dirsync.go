package localdisk

import (
	"context"
	"sync"
)

// dirSync lets many callers share the syncs of one directory. A caller is
// served by a sync that begins after it arrived, never by one under way, which
// may have read the directory before the caller's entry was in it.
//
// Lock order: turn before mu.
type dirSync struct {
	turn sync.Mutex // held while a sync runs
	mu   sync.Mutex
	next *round // gathers those that wait for the next sync; guarded by mu
}

// round is one sync and those that it serves.
type round struct {
	done chan struct{} // closed when the sync has ended
	err  error         // valid once done is closed
}

// do returns when a sync that began after the call has ended, with its error.
// The first caller of a round runs the sync for all of them and cannot leave;
// the others leave when their ctx ends.
func (d *dirSync) do(ctx context.Context, sync func() error) error {
	d.mu.Lock()
	r := d.next
	if r != nil {
		d.mu.Unlock()
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r = &round{done: make(chan struct{})}
	d.next = r
	d.mu.Unlock()

	d.turn.Lock()
	defer d.turn.Unlock()
	d.mu.Lock()
	d.next = nil // who comes from here on waits for the next round
	d.mu.Unlock()
	r.err = sync()
	close(r.done)
	return r.err
}
