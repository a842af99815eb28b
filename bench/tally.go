package bench

import (
	"sync/atomic"
	"time"
)

// operation is what one request does.
type operation uint8

const (
	opPut operation = iota
	opGet
	opList
	operations
)

func (o operation) String() string {
	return [...]string{opPut: "put", opGet: "get", opList: "list"}[o]
}

// tally counts the requests of one kind that one worker, or all of them, sent.
type tally struct {
	samples []time.Duration // of successes
	bytes   int64           // of successes
	errors  int64
	first   error // the first failure
}

func (t *tally) add(d time.Duration, n int64, err error) {
	if err != nil {
		t.errors++
		if t.first == nil {
			t.first = err
		}
		return
	}
	t.samples = append(t.samples, d)
	t.bytes += n
}

func (t *tally) merge(other *tally) {
	t.samples = append(t.samples, other.samples...)
	t.bytes += other.bytes
	t.errors += other.errors
	if t.first == nil {
		t.first = other.first
	}
}

// tallies has one tally for each operation.
type tallies [operations]tally

func (t *tallies) merge(other *tallies) {
	for op := range t {
		t[op].merge(&other[op])
	}
}

// of gives the sum of some operations.
func (t *tallies) of(ops ...operation) *tally {
	var sum tally
	for _, op := range ops {
		sum.merge(&t[op])
	}
	return &sum
}

// round is what one turn of one endpoint gave.
type round struct {
	tallies tallies
	elapsed time.Duration
}

// budget bounds one round by time and by number; safe for concurrent use.
type budget struct {
	deadline time.Time // none if zero
	left     atomic.Int64
}

func newBudget(p Plan, start time.Time) *budget {
	b := &budget{}
	if p.Duration > 0 {
		b.deadline = start.Add(p.Duration / time.Duration(p.Rounds))
	}
	requests := int64(MaxRequests)
	if p.Count > 0 {
		requests = (p.Count + int64(p.Rounds) - 1) / int64(p.Rounds)
	}
	b.left.Store(requests)
	return b
}

// take reserves one request, and tells whether it may be sent. No two requests
// of a round have the same number.
func (b *budget) take() (number int64, ok bool) {
	if !b.deadline.IsZero() && !time.Now().Before(b.deadline) {
		return 0, false
	}
	number = b.left.Add(-1)
	return number, number >= 0
}
