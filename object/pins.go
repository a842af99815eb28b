package object

import (
	"math"
	"sync"

	"coffer/cipher"
)

// pins keeps bodies from being collected while somebody may read them.
//
// A reader enters before it reads a record, pins the record's body, and leaves: from then on the pin alone protects it.
// The collector takes bodies that no record refers to any more, waits until everybody who had entered by then has
// left, and spares those that are pinned. Its waiting is short, since entering spans one metastore read.
//
// A body that is edited lives on while parts of it go. What an edit leaves behind is needed only by readers of the body
// as it was before; so pins have dates, and the collector waits for those that are older than its mark.
type pins struct {
	epochs

	mu     sync.Mutex
	clock  uint64                           // counts marks; it dates pins
	bodies map[cipher.BodyID]map[uint64]int // how many pins of which date
}

// pin is a body that cannot be collected until it is released, once.
type pin struct {
	of   *pins
	body cipher.BodyID
	date uint64
}

func newPins() *pins { return &pins{bodies: make(map[cipher.BodyID]map[uint64]int)} }

// count tells how many bodies are pinned.
func (p *pins) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.bodies)
}

// pin protects a body until it is released. Only a registered reader may call it, or one who holds a pin of the body.
func (p *pins) pin(id cipher.BodyID) pin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(id, p.clock)
}

// hold is a pin by one who follows every edit of the body: it keeps the body, and nothing that edits leave behind.
func (p *pins) hold(id cipher.BodyID) pin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(id, math.MaxUint64)
}

// add counts a pin. The lock is held.
func (p *pins) add(id cipher.BodyID, date uint64) pin {
	if p.bodies[id] == nil {
		p.bodies[id] = make(map[uint64]int, 1)
	}
	p.bodies[id][date]++
	return pin{of: p, body: id, date: date}
}

func (h pin) release() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	counts := h.of.bodies[h.body]
	if counts[h.date]--; counts[h.date] == 0 {
		delete(counts, h.date)
	}
	if len(counts) == 0 {
		delete(h.of.bodies, h.body)
	}
}

func (p *pins) pinned(id cipher.BodyID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies[id] != nil
}

// mark divides the pins that exist from those to come.
func (p *pins) mark() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock++
	return p.clock
}

// pinnedBefore reports whether a pin of a body is left that is older than a mark.
func (p *pins) pinnedBefore(id cipher.BodyID, mark uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for date := range p.bodies[id] {
		if date < mark {
			return true
		}
	}
	return false
}
