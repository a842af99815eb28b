package audit

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"coffer/internal/caller"
	"coffer/kms"
)

// DefaultPatience is how long an operation waits for room in the log, and for its line to become durable where it asks for
// that.
const DefaultPatience = time.Second

// GuardOptions say what a Guard does where a line cannot be written.
type GuardOptions struct {
	// Log is where lines go. Required.
	Log *Log
	// FailOpen lets operations go on that cannot be recorded: lines are lost then, and a line says how many. Else
	// such operations are refused.
	FailOpen bool
	// Patience bounds how long an operation waits; DefaultPatience when 0.
	Patience time.Duration
}

// Guard is a Log for those who do what is to be recorded: it decides whether they may go on when a line cannot be
// written. It is safe for concurrent use.
type Guard struct {
	log      *Log
	open     bool
	patience time.Duration

	lost atomic.Uint64 // lines in all
	owed atomic.Uint64 // of them, those that no line has told yet
}

// NewGuard makes a Guard.
func NewGuard(o GuardOptions) *Guard {
	setDefault(&o.Patience, DefaultPatience)
	return &Guard{log: o.Log, open: o.FailOpen, patience: o.Patience}
}

// GuardStatus is how a Guard and its Log are.
type GuardStatus struct {
	Stats
	Required bool   // what cannot be recorded is refused
	Err      error  // why lines cannot be written at the moment
	Lost     uint64 // lines, since the log was opened
}

// Status returns how the log is now.
func (g *Guard) Status() GuardStatus {
	return GuardStatus{Stats: g.log.Stats(), Required: !g.open, Err: g.log.Health(), Lost: g.lost.Load()}
}

// Ready returns nil when operations may go on, else a *kms.Error of kms.Unavailable.
func (g *Guard) Ready() error {
	if g.open {
		return nil
	}
	return refusal(g.log.Health())
}

func refusal(err error) error {
	if err == nil {
		return nil
	}
	return &kms.Error{Op: "audit", Kind: kms.Unavailable, Err: fmt.Errorf("%w: the audit log cannot be written: %w", kms.Unavailable, err)}
}

// Record records an operation that was done and whose result is not given to anybody yet. After an error, of
// kms.Unavailable, it must not be. While the log cannot be written nobody waits for it: a line that still has room in
// memory is kept and written later.
func (g *Guard) Record(ctx context.Context, e Event) error {
	broken := g.log.Health()
	patience := g.patience
	if broken != nil {
		patience = noPatience
	}
	err := g.log.record(ctx, e, patience)
	switch {
	case !g.open && broken != nil:
		return refusal(broken)
	case !g.open:
		return refusal(err)
	case err != nil:
		g.lost.Add(1)
		g.owed.Add(1)
	case g.owed.Load() > 0:
		g.confess(ctx)
	}
	return nil
}

// RecordNow is Record, and returns when the line is durable.
func (g *Guard) RecordNow(ctx context.Context, e Event) error {
	if err := g.Record(ctx, e); err != nil || g.log.Health() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.patience)
	defer cancel()
	if err := g.log.Flush(ctx); err != nil && !g.open {
		return refusal(err)
	}
	return nil
}

// confess records how many lines were lost.
func (g *Guard) confess(ctx context.Context) {
	n := g.owed.Swap(0)
	if n == 0 {
		return // another has told
	}
	e := Event{
		Caller: caller.Caller{
			Principal: caller.Internal, Pairs: []caller.Pair{{Name: "lines", Value: strconv.FormatUint(n, 10)}},
		},
		Operation: LinesLost, Outcome: IO,
	}
	if g.log.record(ctx, e, noPatience) != nil {
		g.owed.Add(n)
	}
}
