package manager

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// State is the state of the configured key service.
type State string

// The states.
const (
	NotConfigured State = "NotConfigured" // nobody has configured one
	Configured    State = "Configured"    // it is not started, or stopped
	Running       State = "Running"
	Error         State = "Error" // it cannot be started
)

// Probe is what the last probe of the serving backend found: whether it can be
// reached, and whether a KEK came back that it had wrapped.
type Probe struct {
	At        time.Time
	Reachable bool
	Proven    bool
	Latency   time.Duration
	Failed    ProbeStage // that failed; "" when none has
	Err       error      // why it is not proven; tells no secret
}

// ProbeStage is a step of a probe.
type ProbeStage string

// The steps of a probe, in their order.
const (
	StageReach    ProbeStage = "reach"    // the backend answers
	StageKey      ProbeStage = "key"      // the key is there
	StageGenerate ProbeStage = "generate" // a KEK is made
	StageDecrypt  ProbeStage = "decrypt"  // it is unwrapped
	StageCompare  ProbeStage = "compare"  // and is the same
)

// Status is how the key service fares. It holds no secret.
type Status struct {
	State        State
	Failure      string            // of StateError: why
	StandIn      bool              // the built-in keyring serves, because nobody has started another
	Instance     cipher.InstanceID // that serves; zero: none does
	Type         string
	Config       Summary
	Probe        Probe // zero before the first one
	Report       kms.Report
	Capabilities kms.Capabilities
	Cache        CacheStats
	Instances    []InstanceStatus // the built-in keyring first, then by creation
}

// Healthy reports whether the key service runs and was proven to work.
func (s Status) Healthy() bool { return s.State == Running && s.Probe.Proven }

// Available reports whether the key service runs and nothing is known to be wrong with it: it is healthy, or has no key yet to
// prove that with.
func (s Status) Available() bool {
	return s.Healthy() || s.State == Running && s.Probe.Reachable && errors.Is(s.Probe.Err, kms.NotFound)
}

// InstanceStatus is how one backend fares.
type InstanceStatus struct {
	ID       cipher.InstanceID
	Created  time.Time
	Builtin  bool
	Serving  bool
	Open     bool   // it was built
	Failure  string // why not
	Config   Summary
	Report   kms.Report // zero where it is not open
	KeyState string     // kms.Report.KeyState
}

// Backend is what Call.Backend is for this instance.
func (s InstanceStatus) Backend() string {
	if s.Builtin {
		return BackendBuiltin
	}
	return s.Config.Type
}

// Status returns how the key service fares, without a call to a backend.
func (m *Manager) Status() Status {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := Status{Type: m.settings().Type, Config: m.settings().Summary(), Probe: m.probe, Cache: m.leases.read()}
	s.State, s.Failure = m.state()
	s.StandIn = m.serving == m.builtin && m.phase != phaseRunning
	for _, in := range m.instances {
		is := in.status()
		is.Serving = in == m.serving
		s.Instances = append(s.Instances, is)
	}
	slices.SortFunc(s.Instances, func(a, b InstanceStatus) int {
		switch {
		case a.Builtin:
			return -1
		case b.Builtin:
			return 1
		}
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	if m.serving == nil {
		return s
	}
	s.Instance = m.serving.id
	m.serving.mu.Lock()
	defer m.serving.mu.Unlock()
	if h := m.serving.handle; h != nil {
		s.Report, s.Capabilities = kms.ReportOf(h.service), kms.CapabilitiesOf(h.service)
	}
	return s
}

// state gives the state and why it is Error. The caller holds mu.
func (m *Manager) state() (State, string) {
	if m.failure != nil {
		return Error, m.failure.Error()
	}
	switch m.phase {
	case phaseNone:
		if m.serving != nil {
			return Running, ""
		}
		return NotConfigured, ""
	case phaseRunning:
		if m.serving == nil {
			return Error, "the backend is not there yet"
		}
		if is := m.serving.status(); !is.Open && is.Failure != "" {
			return Error, is.Failure
		}
		return Running, ""
	default:
		return Configured, ""
	}
}

func (in *instance) status() InstanceStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := InstanceStatus{ID: in.id, Created: in.created, Builtin: in.builtin, Open: in.handle != nil, Config: in.config.Summary()}
	if in.failure != nil {
		s.Failure = in.failure.Error()
	}
	if in.handle != nil {
		s.Report = kms.ReportOf(in.handle.service)
		s.KeyState = s.Report.KeyState
	}
	return s
}

// backend is what Call.Backend is for the instance.
func (in *instance) backend() string { return in.status().Backend() }

// wake lets the background work at once.
func (m *Manager) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// background starts what is to be started, and probes what serves, until Close.
func (m *Manager) background() {
	failures := 0
	for {
		pause := m.o.ProbeInterval
		if m.tend() {
			failures = 0
		} else {
			pause = min(minRetryPause<<min(failures, 10), maxRetryPause)
			failures++
		}
		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-timer:
		case <-m.kick:
		case <-m.ctx.Done():
			return
		}
	}
}

// tend does one round of the background; false: something is to be tried again
// soon.
func (m *Manager) tend() bool {
	m.mu.RLock()
	pending, serving := m.pending, m.serving
	m.mu.RUnlock()
	if pending != nil {
		return m.startPending()
	}
	if serving == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(m.ctx, m.timeout())
	defer cancel()
	if m.o.ProbeInterval < 0 { // build it all the same
		h, err := m.pin(ctx, serving)
		if err == nil {
			h.release()
		}
		return err == nil
	}
	p := m.ProbeNow(ctx)
	m.recordProbe(ctx, serving, p)
	return p.Reachable
}

// recordProbe keeps the record of a probe that has used a key. What it says is no secret: a record that cannot be kept
// takes nothing from anybody.
func (m *Manager) recordProbe(ctx context.Context, in *instance, p Probe) {
	if !p.Reachable {
		return
	}
	use := Use{Op: OpProbe, Instance: in.id, KeyID: m.probeKey(in), Err: p.Err}
	if err := m.keepRecord(ctx, use); err != nil && p.Err == nil {
		m.o.Logger.Warn("no record of a probe could be kept", "error", err)
	}
}

// probeKey is the key that a probe of an instance uses.
func (m *Manager) probeKey(in *instance) string {
	if in.builtin {
		return m.o.BuiltinKeyID
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.settings().defaultKey()
}

// startPending applies what was given at the start.
func (m *Manager) startPending() bool {
	unlock, err := m.lock(m.ctx)
	if err != nil {
		return false
	}
	defer unlock()
	m.mu.RLock()
	pending := m.pending
	m.mu.RUnlock()
	if pending == nil {
		return true // stopped or replaced meanwhile
	}
	err = m.apply(m.ctx, *pending)
	if err != nil {
		m.o.Logger.Warn("key service cannot be started", "error", err)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.failure = err
		return false
	}
	m.mu.RLock()
	serving := m.serving
	m.mu.RUnlock()
	use := Use{Op: OpStart, Instance: serving.id, KeyID: pending.DefaultKeyID}
	if err := m.keepRecord(m.ctx, use); err != nil {
		m.o.Logger.Warn("no record of the start could be kept", "error", err)
	}
	return true
}

// timeout bounds one administrative call.
func (m *Manager) timeout() time.Duration {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.settings().Timeout
}

// ProbeNow probes the serving backend: it has a KEK made under the default key, or
// under another one while there is no such key, unwrapped and compared. It makes
// no key, except that of SSE-S3 in the built-in keyring.
func (m *Manager) ProbeNow(ctx context.Context) Probe {
	m.mu.RLock()
	in := m.serving
	m.mu.RUnlock()
	if in == nil {
		return Probe{}
	}
	keyID := m.probeKey(in)
	c, _ := in.snapshot()
	p := Probe{At: time.Now(), Failed: StageReach}
	h, err := m.pin(ctx, in)
	if err == nil {
		defer h.release()
		err = h.service.Health(ctx)
		p.Reachable = err == nil
	}
	if err == nil {
		_, p.Failed, err = roundTrip(ctx, h.service, keyID, in.builtin)
		if p.Failed == StageKey {
			if other, found := anyKey(ctx, h.service); found {
				_, p.Failed, err = roundTrip(ctx, h.service, other, false)
			}
		}
		p.Proven = err == nil
	}
	p.Err, p.Latency = c.safe("probe backend", err), time.Since(p.At)
	m.probed(in, p)
	return p
}

// probed keeps what a probe of an instance found, if it serves still.
func (m *Manager) probed(in *instance, p Probe) {
	m.mu.Lock()
	serves := m.serving == in
	if serves {
		m.probe = p
		if p.Reachable {
			m.failure = nil
		}
	}
	m.mu.Unlock()
	if serves && m.o.Watcher != nil {
		m.o.Watcher.Probed(p)
	}
}
