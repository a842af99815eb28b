package object

import (
	"context"
	"sync"
)

// epochs lets somebody wait until everybody who has entered by now has left, while others go on entering. The zero value
// is ready.
type epochs struct {
	lock sync.Mutex
	now  *epoch // of those who enter now
}

// epoch counts those who entered during it. done is closed when it is over and they have left.
type epoch struct {
	inside int
	over   bool
	done   chan struct{}
}

// present is the epoch of those who enter now. The caller holds the lock.
func (e *epochs) present() *epoch {
	if e.now == nil {
		e.now = &epoch{done: make(chan struct{})}
	}
	return e.now
}

// enter registers somebody, who must leave.
func (e *epochs) enter() *epoch {
	e.lock.Lock()
	defer e.lock.Unlock()
	in := e.present()
	in.inside++
	return in
}

// leave ends what enter began.
func (e *epochs) leave(in *epoch) {
	e.lock.Lock()
	defer e.lock.Unlock()
	in.inside--
	if in.over && in.inside == 0 {
		close(in.done)
	}
}

// settle waits until everybody who has entered so far has left.
func (e *epochs) settle(ctx context.Context) error {
	e.lock.Lock()
	in := e.present()
	e.now, in.over = nil, true
	if in.inside == 0 {
		close(in.done)
	}
	e.lock.Unlock()
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
