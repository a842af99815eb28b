package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const deleteBatch = 1000 // keys of one DeleteObjects

// series is one case at one endpoint, over all rounds.
type series struct {
	Case
	plan    Plan
	client  *client
	payload *payload
	digests *digests
	prefix  string
	stored  int64        // objects of fill
	created atomic.Int64 // objects of puts, tried or done
	rounds  []round
}

func (s *series) storedKey(n int64) string  { return fmt.Sprintf("%s/stored-%08d", s.prefix, n) }
func (s *series) createdKey(n int64) string { return fmt.Sprintf("%s/new-%08d", s.prefix, n) }

// fill puts the objects that the workload reads.
func (s *series) fill(ctx context.Context) error {
	s.client.host.CloseIdleConnections()
	s.stored = int64(s.plan.Objects)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(s.Concurrency, s.plan.Objects) {
		group.Go(func() error {
			caller := newCaller(s.client)
			for n := next.Add(1) - 1; n < s.stored; n = next.Add(1) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := s.put(caller, s.storedKey(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// round measures one turn. Connections kept from an earlier turn may have been
// closed by the server meanwhile, so it begins with new ones.
func (s *series) round(ctx context.Context, number int) {
	s.client.host.CloseIdleConnections()
	results := make([]tallies, s.Concurrency)
	start := time.Now()
	budget := newBudget(s.plan, start)
	var workers sync.WaitGroup
	for i := range results {
		workers.Go(func() {
			s.work(ctx, budget, number, &results[i])
		})
	}
	workers.Wait()
	done := round{elapsed: time.Since(start)}
	for i := range results {
		done.tallies.merge(&results[i])
	}
	s.rounds = append(s.rounds, done)
}

// work is one worker's round. What a request does follows from the seed, the
// round and the request's number, so every endpoint gets the same load.
func (s *series) work(ctx context.Context, budget *budget, round int, into *tallies) {
	caller := newCaller(s.client)
	var source rand.PCG
	rng := rand.New(&source)
	for ctx.Err() == nil {
		number, ok := budget.take()
		if !ok {
			return
		}
		source.Seed(s.plan.Seed+uint64(round), uint64(number))
		op := s.choose(rng)
		start := time.Now()
		n, err := s.do(caller, op, rng)
		into[op].add(time.Since(start), n, err)
		if err != nil {
			pause(ctx)
		}
	}
}

func (s *series) choose(rng *rand.Rand) operation {
	switch s.Workload {
	case Get:
		return opGet
	case List:
		return opList
	case Mixed:
		if rng.IntN(100) < s.plan.GetShare {
			return opGet
		}
		return opPut
	default:
		return opPut
	}
}

// do sends one request and gives the bytes of its body, sent or received.
func (s *series) do(c *caller, op operation, rng *rand.Rand) (int64, error) {
	switch op {
	case opGet:
		key, want := s.storedKey(rng.Int64N(s.stored)), ""
		if s.plan.Verify {
			want = s.digests.of(key)
		}
		return int64(s.Size), c.get(key, s.Size, want)
	case opList:
		want := -1
		if s.plan.Verify {
			want = min(s.plan.Objects, 1000)
		}
		return c.list(s.prefix+"/stored-", want)
	default:
		return s.put(c, s.createdKey(s.created.Add(1)-1))
	}
}

func (s *series) put(c *caller, key string) (int64, error) {
	digest := unsignedPayload
	if !s.plan.Unsigned {
		digest = s.digests.of(key)
	}
	return int64(s.Size), c.put(key, s.payload.body(key, s.Size), digest)
}

// clear removes every object that the series may have put.
func (s *series) clear() error {
	s.client.host.CloseIdleConnections()
	caller := newCaller(s.client)
	batch := make([]string, 0, deleteBatch)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := caller.deleteObjects(batch); err != nil {
			return fmt.Errorf("%s: remove objects: %w", s.client.endpoint.Label, err)
		}
		batch = batch[:0]
		return nil
	}
	for n := range s.stored + s.created.Load() {
		key := s.storedKey(n)
		if n >= s.stored {
			key = s.createdKey(n - s.stored)
		}
		if batch = append(batch, key); len(batch) == deleteBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
