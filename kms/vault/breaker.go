package vault

import (
	"sync"
	"time"

	"coffer/kms"
)

// outcome is what an attempt tells of Vault's health.
type outcome int

const (
	outcomeNone outcome = iota // nothing: it never got there, or its caller left
	outcomeWell
	outcomeSick
)

// breaker stops calls to a Vault that fails. After failures in a row it is open
// for pause; then one call is let through, and its outcome closes it or opens it
// again.
type breaker struct {
	failures int
	pause    time.Duration
	now      func() time.Time

	mu      sync.Mutex
	inARow  int
	until   time.Time // when not zero: open, and from then on half-open
	probing bool      // the one call is under way
	epoch   int       // counts openings and closings, to ignore calls from before
}

// enter asks whether a call may be made. If so, the caller tells by leave how it
// went; otherwise wait says how long the circuit stays open at least.
func (b *breaker) enter() (leave func(outcome), wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	probe := !b.until.IsZero()
	if probe {
		wait = b.until.Sub(b.now())
		if wait > 0 {
			return nil, wait, false
		}
		if b.probing {
			return nil, 0, false
		}
		b.probing = true
	}
	epoch := b.epoch
	return func(o outcome) { b.leave(o, epoch, probe) }, 0, true
}

func (b *breaker) leave(o outcome, epoch int, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if epoch != b.epoch {
		return
	}
	if probe {
		b.probing = false
	}
	switch o {
	case outcomeWell:
		b.inARow = 0
		if probe {
			b.until = time.Time{}
			b.epoch++
		}
	case outcomeSick:
		b.inARow++
		if probe || b.inARow >= b.failures {
			b.until = b.now().Add(b.pause)
			b.inARow = 0
			b.epoch++
		}
	case outcomeNone:
	}
}

// hint lets the one call through at once: Vault was seen well by other means.
func (b *breaker) hint() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.until.IsZero() {
		b.until = b.now()
	}
}

// state is what the next call would find.
func (b *breaker) state() kms.Circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return kms.CircuitClosed
	case b.now().Before(b.until):
		return kms.CircuitOpen
	default:
		return kms.CircuitHalfOpen
	}
}
