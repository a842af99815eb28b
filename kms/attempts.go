package kms

import (
	"context"
	"sync/atomic"
)

// Attempts is told how often an operation asks its backend, by a backend that
// repeats calls. One that makes no call, or one alone, need not tell.
type Attempts struct {
	// Failed is told of every attempt that failed, also where the next one
	// succeeds; may be nil.
	Failed func(err error)

	made atomic.Int64
}

// Made is how many attempts there were, at least 1: a backend that does not tell
// has asked once.
func (a *Attempts) Made() int { return max(1, int(a.made.Load())) }

type attemptsKey struct{}

// WithAttempts gives a context whose operations tell a.
func WithAttempts(ctx context.Context, a *Attempts) context.Context {
	return context.WithValue(ctx, attemptsKey{}, a)
}

// NoteAttempt is called by a backend after each attempt of the operation that ctx
// belongs to.
func NoteAttempt(ctx context.Context, err error) {
	a, ok := ctx.Value(attemptsKey{}).(*Attempts)
	if !ok {
		return
	}
	a.made.Add(1)
	if err != nil && a.Failed != nil {
		a.Failed(err)
	}
}
