package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// Service is a backend instance. What else it implements of package kms is used
// too; where it is an io.Closer it is closed when its last call has ended.
type Service interface {
	kms.Backend
	kms.Admin
}

// Factory builds the backend of a configuration that is valid and has its
// defaults. instance is the id that a backend without one of its own takes;
// what Service.Instance says then counts. It does not keep ctx, which bounds
// the building alone.
type Factory func(ctx context.Context, c Config, instance cipher.InstanceID) (Service, error)

// handle counts the users of a service, and closes it after the last one.
type handle struct {
	service Service
	mine    bool // closed here; not the built-in keyring

	mu      sync.Mutex
	users   int
	retired bool
}

// acquire takes part in the service, if it is not retired. Every true is
// followed by one release.
func (h *handle) acquire() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retired {
		return false
	}
	h.users++
	return true
}

func (h *handle) release() {
	h.mu.Lock()
	h.users--
	last := h.retired && h.users == 0
	h.mu.Unlock()
	if last {
		h.close()
	}
}

// retire lets nobody in any more.
func (h *handle) retire() {
	h.mu.Lock()
	last := !h.retired && h.users == 0
	h.retired = true
	h.mu.Unlock()
	if last {
		h.close()
	}
}

func (h *handle) close() {
	if c, ok := h.service.(io.Closer); ok && h.mine {
		_ = c.Close() // nobody is left who could be told
	}
}

// instance is a backend that is, or was, configured. It stays for what it has
// wrapped.
type instance struct {
	id      cipher.InstanceID
	created time.Time
	builtin bool

	mu       sync.Mutex
	config   *Config
	proof    *proofRecord
	handle   *handle // nil: not built
	halted   bool    // stopped by an administrator
	building chan struct{}
	failure  error // of the last building
	failures int
	retryAt  time.Time
}

// Pauses between attempts to build a backend.
const (
	minRetryPause = 500 * time.Millisecond
	maxRetryPause = 30 * time.Second
)

var errStopped = errors.New("the key service is stopped")

// pin gives the service of the instance, which the caller releases. Where it is
// not built yet, the building is begun, if it is time, and waited for.
func (m *Manager) pin(ctx context.Context, in *instance) (*handle, error) {
	for {
		in.mu.Lock()
		if in.halted {
			in.mu.Unlock()
			return nil, fmt.Errorf("%w: %w", kms.Unavailable, errStopped)
		}
		if in.handle != nil && in.handle.acquire() {
			defer in.mu.Unlock()
			return in.handle, nil
		}
		done, err := m.beginBuilding(in)
		in.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the backend is not there yet: %w", kms.Unavailable, ctx.Err())
		}
	}
}

// beginBuilding begins to build the service unless somebody has, or it has
// failed a moment ago. The caller holds in.mu.
func (m *Manager) beginBuilding(in *instance) (<-chan struct{}, error) {
	if in.building != nil {
		return in.building, nil
	}
	if in.failure != nil && time.Now().Before(in.retryAt) {
		return nil, fmt.Errorf("%w: the backend is not there: %w", kms.Unavailable, in.failure)
	}
	done := make(chan struct{})
	in.building = done
	c := *in.config
	if !m.spawn(func() { m.build(in, c, done) }) {
		in.building = nil
		return nil, errClosed
	}
	return done, nil
}

// build builds the service of an instance whose id is known.
func (m *Manager) build(in *instance, c Config, done chan struct{}) {
	ctx, cancel := context.WithTimeout(m.ctx, c.Timeout)
	defer cancel()
	service, err := m.make(ctx, c, in.id)
	if err == nil && service.Instance() != in.id {
		err = &kms.Error{Op: "open backend", Kind: kms.Configuration,
			Err: fmt.Errorf("found instance %v in the place of %v", service.Instance(), in.id)}
		(&handle{service: service, mine: true}).close()
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.building = nil
	close(done)
	switch {
	case err != nil:
		in.fail(err)
		m.o.Logger.Warn("key backend cannot be opened", "instance", in.id.String(), "error", err)
	case in.handle != nil || in.halted || m.ctx.Err() != nil: // meanwhile replaced, stopped or closed
		(&handle{service: service, mine: true}).close()
	default:
		in.handle = &handle{service: service, mine: true}
		in.failure, in.failures = nil, 0
		m.o.Logger.Info("key backend opened", "instance", in.id.String())
	}
}

// fail notes a failed building. The caller holds in.mu.
func (in *instance) fail(err error) {
	pause := min(minRetryPause<<min(in.failures, 10), maxRetryPause)
	in.failure, in.retryAt = err, time.Now().Add(pause)
	in.failures++
}

// replace puts a service that was built elsewhere into the instance. The former
// one goes when its last call has ended.
func (in *instance) replace(c *Config, service Service, proof *proofRecord) {
	in.mu.Lock()
	old := in.handle
	in.config, in.halted = c, false
	in.failure, in.failures = nil, 0
	if proof != nil {
		in.proof = proof
	}
	if old == nil || old.service != service {
		in.handle = &handle{service: service, mine: !in.builtin}
	} else {
		old = nil // the same, configured in another way
	}
	in.mu.Unlock()
	if old != nil {
		old.retire()
	}
}

// halt takes the service away. With stopped, it stays away until replace.
func (in *instance) halt(stopped bool) {
	in.mu.Lock()
	old := in.handle
	in.handle, in.halted = nil, stopped
	in.mu.Unlock()
	if old != nil {
		old.retire()
	}
}

// resume lets a halted instance be built again.
func (in *instance) resume() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.halted = false
}

// record gives what is kept of the instance.
func (in *instance) record() instanceRecord {
	in.mu.Lock()
	defer in.mu.Unlock()
	return instanceRecord{ID: in.id.String(), Created: in.created, Config: in.config.record(), Proof: in.proof}
}

// snapshot returns the configuration and the proof.
func (in *instance) snapshot() (Config, *proofRecord) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return *in.config, in.proof
}
