package object

import (
	"sync"

	"coffer/cipher"
)

// pins keeps bodies from being collected while somebody may read them.
//
// A reader enters before it reads a record, pins the record's body, and leaves: from then on the pin alone protects it.
// The collector takes bodies that no record refers to any more, waits until everybody who had entered by then has
// left, and spares those that are pinned. Its waiting is short, since entering spans one metastore read.
type pins struct {
	epochs

	mu     sync.Mutex
	bodies map[cipher.BodyID]int
}

func newPins() *pins { return &pins{bodies: make(map[cipher.BodyID]int)} }

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

func (p *pins) pinned(id cipher.BodyID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies[id] > 0
}
