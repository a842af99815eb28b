package manager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// lock takes the right to change the configuration, as soon as nobody else has
// it. The caller calls unlock.
func (m *Manager) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-m.life:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: another change of the configuration is under way: %w", kms.Unavailable, ctx.Err())
	}
	if m.ctx.Err() != nil {
		m.life <- struct{}{}
		return nil, errClosed
	}
	return func() { m.life <- struct{}{} }, nil
}

// change runs fn with the right to change the configuration.
func (m *Manager) change(ctx context.Context, op string, fn func() error) error {
	unlock, err := m.lock(ctx)
	if err != nil {
		return kms.NewError(op, "", err)
	}
	defer unlock()
	return kms.NewError(op, "", fn())
}

// Configure keeps c as what is configured. While the configured backend runs,
// it is replaced as Apply does; otherwise nothing is called and Start starts it.
func (m *Manager) Configure(ctx context.Context, c Config) error {
	return m.change(ctx, "configure key service", func() error { return m.configure(ctx, c) })
}

func (m *Manager) configure(ctx context.Context, c Config) error {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return err
	}
	if m.currentPhase() == phaseRunning {
		return m.apply(ctx, c)
	}
	next := m.currentPhase()
	if next == phaseNone {
		next = phaseConfigured
	}
	r := m.record()
	r.Phase, r.Config = next, new(c.record())
	if err := m.save(ctx, r); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase, m.chosen, m.failure = next, &c, nil
	m.configureCache()
	return nil
}

// Apply builds and probes the backend of c, and only when it works keeps c and
// lets it serve from the next call on. Calls that are under way end with the
// backend that they began with, which stays for what it has wrapped. After an
// error everything is as before.
func (m *Manager) Apply(ctx context.Context, c Config) error {
	return m.change(ctx, "apply key service", func() error { return m.apply(ctx, c.WithDefaults()) })
}

// Reconfigure changes what is configured by fn, which is given a copy of it, and
// goes on as Configure. fn must not keep the copy, which holds secrets.
func (m *Manager) Reconfigure(ctx context.Context, fn func(c *Config) error) error {
	return m.change(ctx, "reconfigure key service", func() error {
		m.mu.RLock()
		c := m.settings()
		m.mu.RUnlock()
		if err := fn(&c); err != nil {
			return err
		}
		return m.configure(ctx, c)
	})
}

// Start starts what is configured. A running one is InvalidState, unless force
// is set: then it is built anew and replaces itself without a gap.
func (m *Manager) Start(ctx context.Context, force bool) error {
	return m.change(ctx, "start key service", func() error { return m.start(ctx, force) })
}

func (m *Manager) start(ctx context.Context, force bool) error {
	state := m.Status().State
	m.mu.RLock()
	chosen, standIn := m.chosen, m.chosen == nil && m.serving != nil
	m.mu.RUnlock()
	switch {
	case standIn && force:
		return nil
	case state == Running && !force:
		return fmt.Errorf("%w: the key service runs already", kms.InvalidState)
	case chosen == nil:
		return kms.NotConfigured
	}
	err := m.apply(ctx, *chosen)
	if err != nil && m.currentPhase() != phaseRunning {
		m.mu.Lock()
		m.failure = err
		m.mu.Unlock()
	}
	return err
}

// Stop takes the configured backend away and keeps its configuration. Calls
// that are under way end; what the backend wrapped cannot be read until it is
// started again. The built-in keyring and earlier backends go on.
func (m *Manager) Stop(ctx context.Context) error {
	return m.change(ctx, "stop key service", func() error {
		m.mu.RLock()
		none := m.chosen == nil
		m.mu.RUnlock()
		if none {
			return kms.NotConfigured
		}
		r := m.record()
		r.Phase = phaseStopped
		if err := m.save(ctx, r); err != nil {
			return err
		}
		m.mu.Lock()
		old := m.serving
		m.phase, m.serving, m.pending, m.failure, m.probe = phaseStopped, nil, nil, nil, Probe{}
		m.mu.Unlock()
		if old != nil && !old.builtin {
			old.halt(true)
			m.leases.forget(func(o owner) bool { return o.instance == old.id })
		}
		return nil
	})
}

// candidate is a backend that may come to serve.
type candidate struct {
	config  Config
	service Service
	known   *instance // which it is; nil: a new one
	reused  *handle   // of the running service, where it is the same; held
	proof   *proofRecord
	probe   Probe
}

// discard gives up what the candidate took.
func (c *candidate) discard() {
	if c.reused != nil {
		c.reused.release()
		return
	}
	(&handle{service: c.service, mine: true}).retire()
}

// apply does what Apply says. c has its defaults; the caller holds life.
func (m *Manager) apply(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, 2*c.Timeout)
	defer cancel()
	cand, err := m.prepare(bounded, c)
	if err != nil {
		return err
	}
	if err := m.prove(bounded, cand); err != nil {
		cand.discard()
		return c.safe("probe backend", err)
	}
	if err := m.adopt(ctx, cand); err != nil {
		cand.discard()
		return err
	}
	if cand.reused != nil {
		cand.reused.release()
	}
	m.wake()
	return nil
}

// adopt keeps the configuration and lets the candidate serve.
func (m *Manager) adopt(ctx context.Context, cand *candidate) error {
	in := cand.known
	if in == nil {
		in = &instance{id: cand.service.Instance(), created: time.Now().UTC().Truncate(time.Second), config: &cand.config, proof: cand.proof}
	}
	r := m.record()
	r.Phase, r.Serving, r.Config = phaseRunning, in.id.String(), new(cand.config.record())
	if !in.builtin {
		next := in.record()
		next.Config = cand.config.record()
		if cand.proof != nil {
			next.Proof = cand.proof
		}
		r.Instances = slices.DeleteFunc(r.Instances, func(i instanceRecord) bool { return i.ID == next.ID })
		r.Instances = append(r.Instances, next)
	}
	if err := m.save(ctx, r); err != nil {
		return err
	}
	c := cand.config
	m.mu.Lock()
	defer m.mu.Unlock()
	if !in.builtin {
		in.replace(&c, cand.service, cand.proof)
	}
	m.instances[in.id] = in
	if m.last != nil && m.last != in {
		m.last.resume() // it was stopped, and is needed for what it has wrapped
	}
	m.phase, m.chosen, m.pending, m.serving, m.last, m.failure, m.probe = phaseRunning, &c, nil, in, in, nil, cand.probe
	m.configureCache()
	return nil
}

// currentPhase returns the phase.
func (m *Manager) currentPhase() phase {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.phase
}

// record gives what is kept of the present configuration.
func (m *Manager) record() record {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r := record{Phase: m.phase, Instances: []instanceRecord{}}
	if m.last != nil {
		r.Serving = m.last.id.String()
	}
	if m.chosen != nil {
		r.Config = new(m.chosen.record())
	}
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		r.Targets = append(r.Targets, targetRecord{Name: name, Config: m.targets[name].record()})
	}
	for _, in := range m.instances {
		if !in.builtin {
			r.Instances = append(r.Instances, in.record())
		}
	}
	return r
}

// RemoveInstance forgets an earlier backend. One that serves is InvalidState;
// one that is still needed is an *InUseError with the counts.
func (m *Manager) RemoveInstance(ctx context.Context, id cipher.InstanceID) error {
	return m.change(ctx, "remove backend", func() error {
		m.mu.RLock()
		in, serves := m.instances[id], m.serving != nil && m.serving.id == id
		m.mu.RUnlock()
		switch {
		case in == nil:
			return fmt.Errorf("%w: there is no backend instance %v", kms.NotFound, id)
		case serves || in.builtin:
			return fmt.Errorf("%w: it serves", kms.InvalidState)
		case m.o.References == nil:
			return fmt.Errorf("%w: nothing counts what needs it", kms.Unsupported)
		}
		counts, err := m.o.References(ctx, id)
		if err != nil {
			return fmt.Errorf("count what needs it: %w", err)
		}
		if counts != (Counts{}) {
			return &InUseError{Counts: counts}
		}
		r := m.record()
		r.Instances = slices.DeleteFunc(r.Instances, func(i instanceRecord) bool { return i.ID == id.String() })
		if err := m.save(ctx, r); err != nil {
			return err
		}
		m.mu.Lock()
		delete(m.instances, id)
		m.mu.Unlock()
		in.halt(true)
		m.leases.forget(func(o owner) bool { return o.instance == id })
		return nil
	})
}

// Keep tests the backend of c and keeps c under a name, beside what is
// configured. Select lets it serve.
func (m *Manager) Keep(ctx context.Context, name string, c Config) error {
	return m.change(ctx, "keep target", func() error {
		c = c.WithDefaults()
		if err := errors.Join(kms.CheckKeyID(name), c.Validate()); err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, 2*c.Timeout)
		defer cancel()
		cand, err := m.prepare(bounded, c)
		if err != nil {
			return err
		}
		err = m.prove(bounded, cand)
		cand.discard()
		if err != nil {
			return c.safe("probe backend", err)
		}
		r := m.record()
		r.Targets = slices.DeleteFunc(r.Targets, func(t targetRecord) bool { return t.Name == name })
		r.Targets = append(r.Targets, targetRecord{Name: name, Config: c.record()})
		if err := m.save(ctx, r); err != nil {
			return err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.targets[name] = &c
		return nil
	})
}

// Select applies what was kept under a name.
func (m *Manager) Select(ctx context.Context, name string) error {
	return m.change(ctx, "select target", func() error {
		m.mu.RLock()
		c := m.targets[name]
		m.mu.RUnlock()
		if c == nil {
			return fmt.Errorf("%w: there is no target %q", kms.NotFound, name)
		}
		return m.apply(ctx, c.WithDefaults())
	})
}

// Targets returns what is kept beside what is configured, without secrets.
func (m *Manager) Targets() map[string]Summary {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make(map[string]Summary, len(m.targets))
	for name, c := range m.targets {
		all[name] = c.Summary()
	}
	return all
}

// Config returns what is configured, without secrets; false where nobody has
// configured anything.
func (m *Manager) Config() (Summary, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.settings().Summary(), m.chosen != nil
}
