package badgerdb

import (
	"sync"
	"sync/atomic"

	"coffer/metastore"
)

// The states of a request. A request that was withdrawn before the committer
// took it was not applied; one that was taken is waited for.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// request is one Apply on its way through the committer.
type request struct {
	batch metastore.Batch
	size  int64
	state atomic.Int32
	done  chan struct{} // gets one value when seq and err are set
	seq   uint64
	err   error
}

func newRequest() any { return &request{done: make(chan struct{}, 1)} }

func (r *request) set(b metastore.Batch) {
	r.batch = b
	r.size = 0
	for i := range b.Writes {
		r.size += int64(len(b.Writes[i].Key)+len(b.Writes[i].Value)) + entryOverhead
	}
	r.state.Store(waiting)
}

func (r *request) take() bool     { return r.state.CompareAndSwap(waiting, taken) }
func (r *request) withdraw() bool { return r.state.CompareAndSwap(waiting, withdrawn) }

// finish hands the result over; r is not the committer's any more.
func (r *request) finish(seq uint64, err error) {
	if err != nil {
		seq = 0
	}
	r.seq, r.err = seq, err
	r.done <- struct{}{}
}

// queue holds the requests that the committer has not looked at. Its length is
// bounded by the number of goroutines that wait in Apply.
type queue struct {
	wake chan struct{} // has a value when requests or the end may have come

	mu       sync.Mutex
	requests []*request
	closed   bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push appends r, or fails with ErrClosed.
func (q *queue) push(r *request) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return metastore.ErrClosed
	}
	q.requests = append(q.requests, r)
	q.mu.Unlock()
	q.signal()
	return nil
}

// takeAll appends all requests to into; ended says that none will follow.
func (q *queue) takeAll(into []*request) (all []*request, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = append(into, q.requests...)
	clear(q.requests)
	q.requests = q.requests[:0]
	return into, q.closed
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
