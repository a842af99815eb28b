package object

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"coffer/cipher"
)

const (
	defaultWatchQueue = 1024
	// watchPatience is how long a write that came through S3 waits for those who watch.
	watchPatience = 100 * time.Millisecond
)

// ChangeKind says what happened to a name.
type ChangeKind uint8

// The kinds of changes.
const (
	Written       ChangeKind = iota + 1 // the key names something new, or what it names has changed
	Removed                             // the key names nothing any more
	Renamed                             // From is called Key now; both are directories, or neither is
	Exchanged                           // From and Key have changed their names
	BucketCreated                       // the bucket was made
	BucketRemoved                       // the bucket is gone
	Overflow                            // changes were lost: anything may have changed
)

// Change tells that something must be looked at anew. It says what was written and not what is there now: changes of one
// key that happened at about the same time may come in another order than they were committed in. A file with several
// names is told of by the name that it was changed through; Object is the same for all of them.
type Change struct {
	Bucket, Key string
	From        string // of Renamed and Exchanged
	Object      cipher.ObjectID
	Kind        ChangeKind
}

// WatchOptions configures a Watcher.
type WatchOptions struct {
	Queue int // changes that may wait for Next; more become one Overflow. Default 1024
}

// Watcher is told of every change of names and of what they name, after it was committed. Its methods are safe for
// concurrent use, but one goroutine should call Next.
type Watcher struct {
	of    *watchers
	limit int
	wake  chan struct{} // holds a token when the queue has grown, and after Close

	mu       sync.Mutex
	queue    []Change
	pushed   uint64        // changes that came, all told
	taken    uint64        // of those, changes that Next has handed out or that were lost
	done     uint64        // of those, changes that have been dealt with
	progress chan struct{} // closed, and made anew, when done grows
	closed   bool
}

// ErrWatcherClosed is what Next returns once its Watcher is closed.
var ErrWatcherClosed = errors.New("object: watcher is closed")

// Watch begins to watch. The caller closes the Watcher. A change that is committed after Watch has returned is told.
func (s *Store) Watch(o WatchOptions) *Watcher {
	w := &Watcher{of: &s.watchers, limit: orDefault(o.Queue, defaultWatchQueue), wake: make(chan struct{}, 1), progress: make(chan struct{})}
	s.watchers.mu.Lock()
	defer s.watchers.mu.Unlock()
	s.watchers.all = append(s.watchers.all, w)
	s.watchers.count.Store(int32(len(s.watchers.all)))
	return w
}

// Next waits for a change and returns it. Whoever made the change through S3 waits, for a short while, until Done or
// Next is called the next time.
func (w *Watcher) Next(ctx context.Context) (Change, error) {
	w.Done()
	for {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return Change{}, ErrWatcherClosed
		}
		if len(w.queue) > 0 {
			c := w.queue[0]
			w.queue = w.queue[1:]
			w.taken = w.pushed - uint64(len(w.queue))
			w.mu.Unlock()
			return c, nil
		}
		w.mu.Unlock()
		select {
		case <-w.wake:
		case <-ctx.Done():
			return Change{}, ctx.Err()
		}
	}
}

// Done says that the changes that Next has returned so far have been dealt with.
func (w *Watcher) Done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.taken)
}

// settle lets those go on who wait for changes up to a number. The lock is held.
func (w *Watcher) settle(done uint64) {
	if w.done < done {
		w.done = done
		close(w.progress)
		w.progress = make(chan struct{})
	}
}

// Close ends the Watcher; nobody waits for it any more. Closing it again does nothing.
func (w *Watcher) Close() {
	w.of.mu.Lock()
	w.of.all = slices.DeleteFunc(w.of.all, func(o *Watcher) bool { return o == w })
	w.of.count.Store(int32(len(w.of.all)))
	w.of.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed, w.queue = true, nil
	w.settle(w.pushed)
	w.signal()
}

func (w *Watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// push takes changes in.
func (w *Watcher) push(bucket string, changes []Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.pushed += uint64(len(changes))
	if len(w.queue)+len(changes) > w.limit {
		w.queue = []Change{{Kind: Overflow}}
	} else {
		for _, c := range changes {
			c.Bucket = bucket
			w.queue = append(w.queue, c)
		}
	}
	w.signal()
}

// await waits until what was pushed so far has been dealt with, or until expired.
func (w *Watcher) await(ctx context.Context, expired <-chan time.Time) bool {
	w.mu.Lock()
	number := w.pushed
	w.mu.Unlock()
	for {
		w.mu.Lock()
		done, progress := w.done >= number, w.progress
		w.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-progress:
		case <-expired:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// watchers is everybody who watches. No lock and no transaction is held while somebody is waited for.
type watchers struct {
	count    atomic.Int32 // of all, so that a store that nobody watches pays nothing
	patience time.Duration

	mu  sync.Mutex
	all []*Watcher
}

type originKey struct{}

// WithOrigin says that what is changed under the context is a mount's own doing: w is not told of it, and the change
// waits for nobody. Without a Watcher everybody is told, and the change waits for nobody.
func WithOrigin(ctx context.Context, w *Watcher) context.Context {
	return context.WithValue(ctx, originKey{}, w)
}

// originOf returns whose doing a change under the context is; false where it is nobody's who watches.
func originOf(ctx context.Context) (*Watcher, bool) {
	w, own := ctx.Value(originKey{}).(*Watcher)
	return w, own
}

// publish tells everybody but the origin of the changes, and waits until they have dealt with them where there is none.
func (s *watchers) publish(ctx context.Context, bucket string, changes []Change) {
	if s.count.Load() == 0 || len(changes) == 0 {
		return
	}
	origin, own := originOf(ctx)
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	for _, w := range all {
		if w != origin {
			w.push(bucket, changes)
		}
	}
	if !own {
		s.settle(ctx)
	}
}

// settle waits until everybody has dealt with what was told so far, or patience has run out.
func (s *watchers) settle(ctx context.Context) {
	if s.count.Load() == 0 {
		return
	}
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	for _, w := range all {
		if !w.await(ctx, patience.C) {
			return
		}
	}
}
