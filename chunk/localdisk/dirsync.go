package localdisk

import (
	"context"
	"sync"
)

// dirSync lets many callers share the syncs of one directory. A caller is
// served by a sync that begins after it arrived, never by one under way, which
// may have read the directory before the caller's entry was in it. The zero
// value is ready.
type dirSync struct {
	mu      sync.Mutex
	current *round // whose sync runs, or ran last
	next    *round // gathers those that wait for the next sync
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
	r, before, leads := d.join()
	if !leads {
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if before != nil {
		<-before.done
	}
	d.begin(r)
	r.err = sync()
	close(r.done)
	return r.err
}

// join enters the next round, and tells the round before it and whether the
// caller is its first.
func (d *dirSync) join() (r, before *round, leads bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next != nil {
		return d.next, nil, false
	}
	d.next = &round{done: make(chan struct{})}
	return d.next, d.current, true
}

// begin closes a round to newcomers.
func (d *dirSync) begin(r *round) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current, d.next = r, nil
}
