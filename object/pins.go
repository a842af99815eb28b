package object

import (
	"context"
	"sync"

	"coffer/cipher"
)

// pins keeps bodies from being collected while somebody may read them.
//
// A reader enters before it reads a record, pins the record's body, and leaves: from then on the pin alone protects it.
// The collector takes bodies that no record refers to any more, waits until everybody who had entered by then has
// left, and spares those that are pinned. Its waiting is short, since entering spans one metastore read.
type pins struct {
	mu     sync.Mutex
	epoch  *epoch // of those who enter now
	bodies map[cipher.BodyID]int
}

// epoch counts the readers that entered during it. done is closed when it is over and they have left.
type epoch struct {
	readers int
	over    bool
	done    chan struct{}
}

func newPins() *pins {
	return &pins{epoch: newEpoch(), bodies: make(map[cipher.BodyID]int)}
}

func newEpoch() *epoch { return &epoch{done: make(chan struct{})} }

// enter registers a reader; it must leave.
func (p *pins) enter() *epoch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch.readers++
	return p.epoch
}

// leave ends what enter began.
func (p *pins) leave(e *epoch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.readers--
	if e.over && e.readers == 0 {
		close(e.done)
	}
}

// count tells how many bodies are pinned.
func (p *pins) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.bodies)
}

// pin protects a body until unpin. Only a registered reader may call it.
func (p *pins) pin(id cipher.BodyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies[id]++
}

func (p *pins) unpin(id cipher.BodyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bodies[id]--; p.bodies[id] == 0 {
		delete(p.bodies, id)
	}
}

// settle waits until every reader that has entered so far has left.
func (p *pins) settle(ctx context.Context) error {
	p.mu.Lock()
	e := p.epoch
	p.epoch = newEpoch()
	e.over = true
	if e.readers == 0 {
		close(e.done)
	}
	p.mu.Unlock()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pins) pinned(id cipher.BodyID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies[id] > 0
}
