package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"coffer/kms"
	"coffer/kms/manager"
	"coffer/kms/vault"
)

// Classes of operations, as RustFS names them.
const (
	classRead   = "read_idempotent"
	classChange = "mutating_non_idempotent"
	classAuth   = "auth"
)

// keyMetrics counts what key backends do. It is a manager.Watcher.
type keyMetrics struct {
	operations *prometheus.CounterVec
	failures   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	attempts   *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	rewraps    *prometheus.CounterVec
	sweeps     *prometheus.CounterVec
	rotations  *prometheus.CounterVec

	rounds      *prometheus.CounterVec
	probeFailed *prometheus.CounterVec
	probeTook   prometheus.Histogram
	lastSuccess prometheus.Gauge
	inARow      prometheus.Gauge
}

func newKeyMetrics() keyMetrics {
	const backend, probe = "kms_backend", "kms_probe"
	m := keyMetrics{
		operations: counters(backend, "operations_total", "Operations of key backends, by how they ended.", "backend", "operation", "op_class", "outcome"),
		failures:   counters(backend, "attempt_failures_total", "Failed attempts, also those that were repeated with success.", "backend", "operation", "error_class"),
		duration: histograms(backend, "operation_duration_seconds", "Time of operations, with attempts and pauses.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2.5, 5, 10, 30}, "backend", "operation", "outcome"),
		attempts: histograms(backend, "operation_attempts", "Attempts that operations took.", []float64{1, 2, 3, 5, 10}, "backend", "operation", "outcome"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: backend, Name: "in_flight", Help: "Operations under way.",
		}, []string{"backend"}),
		rewraps:   counters("kms", "rewrapped_keks_total", "KEKs that backends were asked to rewrap.", "backend", "outcome"),
		sweeps:    counters("kms", "deletion_sweep_keys_total", "Keys whose waiting time had passed, by what became of them.", "outcome"),
		rotations: counters("kms", "due_rotations_total", "Keys that were rotated because it was due.", "outcome"),

		rounds:      counters(probe, "rounds_total", "Probes of the serving backend.", "result"),
		probeFailed: counters(probe, "failures_total", "Probes that failed, by the step that did.", "failure_kind"),
		probeTook: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: probe, Name: "duration_seconds", Help: "Time of probes.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		lastSuccess: gauge(probe, "last_success_timestamp_seconds", "When a probe last succeeded, in seconds since 1970; 0 before that."),
		inARow:      gauge(probe, "consecutive_failures", "Probes that failed since the last one that did not."),
	}
	m.begin()
	return m
}

// begin lets counters with few labels begin at 0, so that a first increase shows.
func (m *keyMetrics) begin() {
	for _, outcome := range []string{"removed", "blocked", "failed"} {
		m.sweeps.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"success", "failure"} {
		m.rotations.WithLabelValues(outcome)
		m.rounds.WithLabelValues(outcome)
	}
	for _, stage := range []manager.ProbeStage{
		manager.StageReach, manager.StageKey, manager.StageGenerate, manager.StageDecrypt, manager.StageCompare,
	} {
		m.probeFailed.WithLabelValues(failureKind(stage))
	}
}

func (m *keyMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.operations, m.failures, m.duration, m.attempts, m.inFlight, m.rewraps, m.sweeps, m.rotations,
		m.rounds, m.probeFailed, m.probeTook, m.lastSuccess, m.inARow,
	}
}

var _ manager.Watcher = (*Metrics)(nil)

// CallBegan implements manager.Watcher.
func (m *Metrics) CallBegan(backend string) { m.keys.inFlight.WithLabelValues(backend).Inc() }

// CallEnded implements manager.Watcher.
func (m *Metrics) CallEnded(c manager.Call) {
	k := &m.keys
	k.inFlight.WithLabelValues(c.Backend).Dec()
	class := classRead
	if c.Changes {
		class = classChange
	}
	k.ended(c.Backend, c.Op, class, outcomeOf(c.Err, c.Attempts), c.Took)
	k.attempts.WithLabelValues(c.Backend, c.Op, outcomeOf(c.Err, c.Attempts)).Observe(float64(c.Attempts))
	if c.Op == "rewrap_kek" || c.Op == "rewrap_keks" {
		k.rewraps.WithLabelValues(c.Backend, "success").Add(float64(c.Items - c.Failures))
		k.rewraps.WithLabelValues(c.Backend, "failure").Add(float64(c.Failures))
	}
}

func (k *keyMetrics) ended(backend, op, class, outcome string, took time.Duration) {
	k.operations.WithLabelValues(backend, op, class, outcome).Inc()
	k.duration.WithLabelValues(backend, op, outcome).Observe(took.Seconds())
}

// AttemptFailed implements manager.Watcher.
func (m *Metrics) AttemptFailed(backend, op string, err error) {
	m.keys.failures.WithLabelValues(backend, op, errorClass(err)).Inc()
}

// Auth counts a login or a renewal; it is for vault.Options.OnAuth.
func (m *Metrics) Auth(op string, took time.Duration, err error) {
	m.keys.ended(manager.TypeVault, op, classAuth, outcomeOf(err, 1), took)
	if err != nil {
		m.keys.failures.WithLabelValues(manager.TypeVault, op, errorClass(err)).Inc()
	}
}

// Probed implements manager.Watcher.
func (m *Metrics) Probed(p manager.Probe) {
	k := &m.keys
	k.probeTook.Observe(p.Latency.Seconds())
	if p.Proven {
		k.rounds.WithLabelValues("success").Inc()
		k.lastSuccess.Set(float64(p.At.Add(p.Latency).UnixMilli()) / 1000)
		k.inARow.Set(0)
		return
	}
	k.rounds.WithLabelValues("failure").Inc()
	k.probeFailed.WithLabelValues(failureKind(p.Failed)).Inc()
	k.inARow.Inc()
}

// failureKind is a step of a probe in RustFS's words, where it has one.
func failureKind(s manager.ProbeStage) string {
	switch s {
	case manager.StageReach:
		return "unreachable"
	case manager.StageKey:
		return "key_provisioning"
	case manager.StageGenerate:
		return "generate"
	case manager.StageDecrypt:
		return "decrypt"
	default:
		return "mismatch"
	}
}

// Swept implements manager.Watcher.
func (m *Metrics) Swept(all []manager.Swept) {
	for _, s := range all {
		switch {
		case s.Destroyed:
			m.keys.sweeps.WithLabelValues("removed").Inc()
		case s.Rotated:
			m.keys.rotations.WithLabelValues("success").Inc()
		case s.Deletion && s.Err == nil:
			m.keys.sweeps.WithLabelValues("blocked").Inc()
		case s.Deletion:
			m.keys.sweeps.WithLabelValues("failed").Inc()
		default:
			m.keys.rotations.WithLabelValues("failure").Inc()
		}
	}
}

// outcomeOf is how an operation ended, in RustFS's words.
func outcomeOf(err error, attempts int) string {
	kind := kms.KindOf(err)
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, vault.ErrCircuitOpen):
		return "circuit_open"
	case errors.Is(err, vault.ErrBusy):
		return "backpressure_timeout"
	case isSlow(err):
		return "deadline_exceeded"
	case attempts > 1 && (kind == kms.Unavailable || kind == kms.Throttled):
		return "budget_exhausted"
	default:
		return "fatal"
	}
}

func isSlow(err error) bool {
	return errors.Is(err, vault.ErrSlow) || errors.Is(err, context.DeadlineExceeded)
}

// errorClass is why an attempt failed, in RustFS's words.
func errorClass(err error) string {
	call, kind := new(vault.CallError), kms.KindOf(err)
	if errors.As(err, &call) {
		kind = call.Kind
	}
	switch {
	case isSlow(err):
		return "attempt_timeout"
	case kind != kms.Unavailable && kind != kms.Throttled:
		return "fatal"
	case call.Status != 0:
		return "retryable_status"
	default:
		return "retryable_conn"
	}
}
