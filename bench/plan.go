package bench

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Workload is what the workers of a case do.
type Workload string

// The workloads. Put writes new keys; Get reads, at random, objects put before
// the measurement; Mixed does either, by Plan.GetShare; List asks for the first
// page of those objects' keys.
const (
	Put   Workload = "put"
	Get   Workload = "get"
	Mixed Workload = "mixed"
	List  Workload = "list"
)

// Limits of a Plan.
const (
	MaxDuration    = time.Hour
	MaxRequests    = 10_000_000
	MaxConcurrency = 4096
	MaxRounds      = 1000
	MaxObjects     = 1_000_000
)

// Plan says what Run measures. The zero value of a field is its default.
type Plan struct {
	Endpoints   []Endpoint
	Workloads   []Workload    // put and get
	Sizes       []Size        // of objects; 4 KiB
	Concurrency []int         // workers; 16
	Rounds      int           // turns of every endpoint in every case; 3
	Duration    time.Duration // of all rounds of a case at one endpoint; 15 s unless Count is set
	Count       int64         // requests of all rounds of a case at one endpoint; unbounded
	Objects     int           // put beforehand for get, mixed and list; 64
	GetShare    int           // per cent of gets in mixed; 70; -1 means none
	Bucket      string        // made if absent, removed if it was; coffer-bench
	Timeout     time.Duration // of one request; 60 s
	Seed        uint64        // of the choice of keys
	Unsigned    bool          // send UNSIGNED-PAYLOAD in place of the body's digest
	Verify      bool          // compare what comes back: SHA-256 of bodies, number of keys
	Keep        bool          // leave objects and bucket
	AllowRemote bool          // also measure endpoints that are not on this machine
}

// ErrPlan means that a plan cannot be run.
var ErrPlan = errors.New("invalid plan")

// withDefaults gives a copy with every zero field set to its default.
func (p Plan) withDefaults() Plan {
	if len(p.Workloads) == 0 {
		p.Workloads = []Workload{Put, Get}
	}
	if len(p.Sizes) == 0 {
		p.Sizes = []Size{4 * KiB}
	}
	if len(p.Concurrency) == 0 {
		p.Concurrency = []int{16}
	}
	if p.Duration == 0 && p.Count == 0 {
		p.Duration = 15 * time.Second
	}
	setDefault(&p.Rounds, 3)
	setDefault(&p.Objects, 64)
	setDefault(&p.GetShare, 70)
	setDefault(&p.Bucket, "coffer-bench")
	setDefault(&p.Timeout, time.Minute)
	return p
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports all faults of the plan at once.
func (p Plan) Validate() error {
	p = p.withDefaults()
	faults := p.endpointFaults()
	for _, w := range p.Workloads {
		if !slices.Contains([]Workload{Put, Get, Mixed, List}, w) {
			faults = append(faults, fmt.Errorf("%w: unknown workload %q", ErrPlan, w))
		}
	}
	for _, size := range p.Sizes {
		faults = append(faults, between("object size", int64(size), 0, int64(MaxObject)))
	}
	for _, c := range p.Concurrency {
		faults = append(faults, between("concurrency", int64(c), 1, MaxConcurrency))
	}
	faults = append(faults,
		between("rounds", int64(p.Rounds), 1, MaxRounds),
		between("duration", int64(p.Duration), 0, int64(MaxDuration)),
		between("count", p.Count, 0, MaxRequests),
		between("objects", int64(p.Objects), 1, MaxObjects),
		between("share of gets", int64(p.GetShare), -1, 100),
		between("time-out", int64(p.Timeout), 1, int64(MaxDuration)),
	)
	return errors.Join(faults...)
}

func (p Plan) endpointFaults() []error {
	var faults []error
	if len(p.Endpoints) == 0 {
		faults = append(faults, fmt.Errorf("%w: no endpoint", ErrPlan))
	}
	labels := make(map[string]bool)
	for _, e := range p.Endpoints {
		if err := e.validate(); err != nil {
			faults = append(faults, fmt.Errorf("%w: endpoint %q: %w", ErrPlan, e.Label, err))
		}
		if labels[e.Label] {
			faults = append(faults, fmt.Errorf("%w: two endpoints are called %q", ErrPlan, e.Label))
		}
		labels[e.Label] = true
		if !p.AllowRemote && !e.loopback() {
			faults = append(faults, fmt.Errorf("%w: endpoint %q is not on this machine", ErrPlan, e.Label))
		}
		if e.Memory && slices.Contains(p.Workloads, List) {
			faults = append(faults, fmt.Errorf("%w: endpoint %q does not list", ErrPlan, e.Label))
		}
	}
	return faults
}

func between(what string, value, low, high int64) error {
	if value < low || value > high {
		return fmt.Errorf("%w: %s %d is not between %d and %d", ErrPlan, what, value, low, high)
	}
	return nil
}

// Case is one combination that is measured at every endpoint.
type Case struct {
	Workload    Workload
	Size        Size
	Concurrency int
}

func (c Case) String() string {
	return fmt.Sprintf("%s %s x %d", c.Workload, c.Size, c.Concurrency)
}

// Cases lists the combinations in the order in which they run. The size of an
// object means nothing to a listing, so list runs once, with the first size.
func (p Plan) Cases() []Case {
	p = p.withDefaults()
	var cases []Case
	for _, size := range p.Sizes {
		for _, workload := range p.Workloads {
			if workload == List && size != p.Sizes[0] {
				continue
			}
			for _, concurrency := range p.Concurrency {
				cases = append(cases, Case{Workload: workload, Size: size, Concurrency: concurrency})
			}
		}
	}
	return cases
}
