package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
)

// Run measures every case of the plan at every endpoint and removes what it
// put, also when ctx ends early. Failed requests are counted in the report;
// an error means that a case could not be prepared, or that the plan is invalid.
// Progress goes to log.
func Run(ctx context.Context, plan Plan, log *slog.Logger) (*Report, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	plan = plan.withDefaults()
	r := &runner{plan: plan, log: log, id: rand.Text()[:8]}
	var largest Size
	for _, size := range plan.Sizes {
		largest = max(largest, size)
	}
	r.payload = newPayload(largest)
	if err := r.connect(); err != nil {
		return nil, err
	}
	report := newReport(plan)
	err := r.openBuckets()
	for i, c := range plan.Cases() {
		if err != nil {
			break
		}
		var results []Result
		results, err = r.measure(ctx, i, c)
		report.Results = append(report.Results, results...)
	}
	err = errors.Join(err, r.closeBuckets())
	return report, err
}

// runner is one Run.
type runner struct {
	plan    Plan
	log     *slog.Logger
	id      string // first part of every key
	payload *payload
	clients []*client
	made    []*client // those whose bucket this run made
}

func (r *runner) connect() error {
	connections := 1
	for _, c := range r.plan.Concurrency {
		connections = max(connections, c)
	}
	for _, e := range r.plan.Endpoints {
		c, err := newClient(e, r.plan.Bucket, connections, r.plan.Timeout)
		if err != nil {
			return err
		}
		r.clients = append(r.clients, c)
	}
	return nil
}

func (r *runner) openBuckets() error {
	for _, c := range r.clients {
		if c.endpoint.Memory {
			continue
		}
		created, err := newCaller(c).createBucket()
		if err != nil {
			return fmt.Errorf("%s: make bucket %s: %w", c.endpoint.Label, r.plan.Bucket, err)
		}
		if created {
			r.made = append(r.made, c)
		}
	}
	return nil
}

func (r *runner) closeBuckets() error {
	if r.plan.Keep {
		return nil
	}
	var faults []error
	for _, c := range r.made {
		c.host.CloseIdleConnections()
		if err := newCaller(c).deleteBucket(); err != nil {
			faults = append(faults, fmt.Errorf("%s: remove bucket %s: %w", c.endpoint.Label, r.plan.Bucket, err))
		}
	}
	return errors.Join(faults...)
}

// measure runs one case: objects are put, rounds take turns, objects are removed.
func (r *runner) measure(ctx context.Context, number int, c Case) ([]Result, error) {
	digests := r.payload.digests(c.Size)
	all := make([]*series, 0, len(r.clients))
	for i, client := range r.clients {
		all = append(all, &series{
			Case: c, plan: r.plan, client: client, payload: r.payload, digests: digests,
			prefix: fmt.Sprintf("%s/%d-%d", r.id, number, i),
		})
	}
	err := r.prepare(ctx, all)
	for n := 0; n < r.plan.Rounds && err == nil; n++ {
		for i := range all {
			// Every endpoint comes first in its turn.
			s := all[(i+n)%len(all)]
			s.round(ctx, n)
			r.log.Info("round", "case", c.String(), "round", n+1, "endpoint", s.client.endpoint.Label,
				"ops_per_second", int64(perSecond(float64(s.rounds[n].count()), s.rounds[n].elapsed)))
		}
		err = ctx.Err()
	}
	err = errors.Join(err, r.clear(all))
	return caseResults(all), err
}

func (r *runner) prepare(ctx context.Context, all []*series) error {
	for _, s := range all {
		if s.Workload == Put {
			continue
		}
		if err := s.fill(ctx); err != nil {
			return fmt.Errorf("%s: put objects for %s: %w", s.client.endpoint.Label, s.Case, err)
		}
	}
	return nil
}

// clear removes what the series put. It does so also after an interrupt.
func (r *runner) clear(all []*series) error {
	var group errgroup.Group
	for _, s := range all {
		if r.plan.Keep || s.client.endpoint.Memory {
			continue
		}
		group.Go(s.clear)
	}
	return group.Wait()
}

func (r *round) count() int {
	n := 0
	for op := range r.tallies {
		n += len(r.tallies[op].samples)
	}
	return n
}

// pause keeps a worker from spinning when every request fails at once.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}
