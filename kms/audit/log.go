package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"coffer/internal/caller"
)

var (
	// ErrBusy says that a line could not be queued before the caller's context
	// ended: lines come faster than the disk takes them, or the disk fails.
	ErrBusy = errors.New("the audit log is busy")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("the audit log is closed")
)

// Log is an audit log that a process writes. Open makes it.
type Log struct {
	now     func() time.Time
	hashes  *hasher
	buffers sync.Pool // *[]byte
	queue   chan item
	closing chan struct{} // closed first by Close: nobody waits for room any more
	abort   chan struct{} // closed when Close may no longer wait for the disk
	done    chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // held for reading while something is queued
	closed bool

	shutOnce  sync.Once
	abortOnce sync.Once

	waits  atomic.Uint64
	status status
}

// item is something for the writer to do, in order.
type item struct {
	line  *[]byte      // what follows a line's number; nil for a flush
	flush chan<- error // told once all lines before are sealed; has room for one
}

// status is what the writer tells everybody.
type status struct {
	mu    sync.Mutex
	stats Stats
	err   error // why lines cannot be written now, or were not
}

// Stats counts what a Log did since it was opened.
type Stats struct {
	Lines  uint64 // written, the log's own included; perhaps not durable yet
	Seals  uint64 // times that lines were made durable
	Files  uint64 // begun
	Waits  uint64 // calls of Record and Flush that found the queue full
	Queued int    // lines waiting now
	Head   Head   // last line that is durable and vouched for
}

// Open opens the log for writing, or makes it in an empty directory, and records
// that. It checks the beginning of every file and all lines that nothing vouches
// for, not the whole log; see Verify. A *Fault says what is not as it was
// written. Nothing is repaired then but a torn end: move the directory
// away, keep it, and a new log can be made.
func Open(ctx context.Context, o Options) (*Log, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return open(ctx, o.withDefaults())
}

// open opens a log under complete options.
func open(ctx context.Context, o Options) (*Log, error) {
	w, err := openWriter(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	l := &Log{
		now: o.Now, hashes: newHasher(w.keys), queue: make(chan item, o.Queue),
		closing: make(chan struct{}), abort: make(chan struct{}), done: make(chan struct{}),
	}
	l.buffers.New = func() any { return new([]byte) }
	l.status.stats.Head = w.state.Head
	s := &scribe{
		writer: w, queue: l.queue, abort: l.abort, interval: o.SyncInterval, logger: o.Logger,
		status: &l.status, free: func(b *[]byte) { l.buffers.Put(b) },
	}
	go func() {
		defer close(l.done)
		s.run()
	}()
	return l, nil
}

// Record puts a line into the queue, and waits for room as long as ctx allows. The
// line is written soon, and durable after Options.SyncInterval or Flush. The end of
// ctx does not keep a line out of a queue that has room. The error is ErrBusy or
// ErrClosed; the line is not in the log then.
func (l *Log) Record(ctx context.Context, e Event) error { return l.record(ctx, e, anyPatience) }

// How long somebody waits for room in the queue, besides a number of nanoseconds.
const (
	anyPatience = time.Duration(0) // as long as the context allows
	noPatience  = time.Duration(-1)
)

// record is Record with a bound for the wait of its own.
func (l *Log) record(ctx context.Context, e Event, patience time.Duration) error {
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	if e.Caller.IsZero() {
		c, ok := caller.From(ctx)
		if !ok || c.IsZero() {
			c.Principal = caller.Internal
		}
		e.Caller = c
	}
	n := line{Time: e.Time, Kind: kindEvent, Event: newEntry(e)}
	n.Event.Object = l.hashes.object(e.Bucket, e.Object)
	buf := l.buffers.Get().(*[]byte)
	*buf = appendRest((*buf)[:0], &n)
	if err := l.put(ctx, item{line: buf}, patience); err != nil {
		l.buffers.Put(buf)
		return fmt.Errorf("record %s: %w", n.Event.Operation, err)
	}
	return nil
}

// Flush returns when every line recorded before is durable and vouched for. It
// waits as long as ctx allows; after an error lines may have become durable or may
// yet do so.
func (l *Log) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	if err := l.put(ctx, item{flush: done}, anyPatience); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("flush: %w: %w", ErrBusy, context.Cause(ctx))
	}
}

// put queues an item.
func (l *Log) put(ctx context.Context, it item, patience time.Duration) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	select {
	case l.queue <- it:
		return nil
	default:
		l.waits.Add(1)
	}
	var end <-chan time.Time
	switch {
	case patience == noPatience:
		return ErrBusy
	case patience != anyPatience:
		timer := time.NewTimer(patience)
		defer timer.Stop()
		end = timer.C
	}
	select {
	case l.queue <- it:
		return nil
	case <-l.closing:
		return ErrClosed
	case <-end:
		return fmt.Errorf("%w: no room within %v", ErrBusy, patience)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
}

// Health returns nil, or why lines cannot be written at the moment.
func (l *Log) Health() error {
	l.status.mu.Lock()
	defer l.status.mu.Unlock()
	return l.status.err
}

// Stats returns the counts of now.
func (l *Log) Stats() Stats {
	l.status.mu.Lock()
	defer l.status.mu.Unlock()
	s := l.status.stats
	s.Waits, s.Queued = l.waits.Load(), len(l.queue)
	return s
}

// Close writes what is queued and seals the log. When the disk fails it tries
// again until ctx ends, and then returns what was wrong and how many lines are
// lost. Every later call returns the same.
func (l *Log) Close(ctx context.Context) error {
	l.shutOnce.Do(l.shut)
	select {
	case <-l.done:
	case <-ctx.Done():
		l.abortOnce.Do(func() { close(l.abort) })
		<-l.done
	}
	return l.Health()
}

// shut stops taking items, and wakes those who wait for room.
func (l *Log) shut() {
	close(l.closing)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	close(l.queue)
}

// note changes the counts.
func (s *status) note(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// fault notes what is wrong, nil when nothing is any more.
func (s *status) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}
