package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// prepare builds the candidate, and finds out which instance it is:
//
//   - The built-in keyring is itself.
//   - What is at the place of an instance is that instance, with whatever
//     credentials.
//   - A backend that tells its own id is the one of that id.
//   - A backend at another place that opens what an instance has wrapped is that
//     instance, moved.
//   - Everything else is new.
func (m *Manager) prepare(ctx context.Context, c Config) (*candidate, error) {
	if c.isBuiltin() {
		m.builtin.handle.acquire() // never retired
		return &candidate{config: c, service: m.o.Builtin, known: m.builtin, reused: m.builtin.handle}, nil
	}
	m.mu.RLock()
	there := m.atPlace(c.place())
	var elsewhere []*instance
	for _, in := range m.instances {
		if in != there && !in.builtin {
			elsewhere = append(elsewhere, in)
		}
	}
	m.mu.RUnlock()
	if there != nil {
		return m.prepareThere(ctx, c, there)
	}
	for _, in := range elsewhere {
		old, proof := in.snapshot()
		if old.Type != c.Type || proof == nil || c.place() == "" {
			continue
		}
		service, err := m.make(ctx, c, in.id)
		if err != nil {
			return nil, err // the same would come of another id
		}
		if service.Instance() == in.id && proof.opens(ctx, service) {
			return &candidate{config: c, service: service, known: in}, nil
		}
		(&handle{service: service, mine: true}).retire()
	}
	service, err := m.make(ctx, c, cipher.NewInstanceID())
	if err != nil {
		return nil, err
	}
	return m.identify(&candidate{config: c, service: service})
}

// prepareThere builds the candidate for an instance at the same place.
func (m *Manager) prepareThere(ctx context.Context, c Config, there *instance) (*candidate, error) {
	old, _ := there.snapshot()
	if c.Type == TypeLocal {
		if !c.sameBackend(old) {
			return nil, fmt.Errorf("%w: the master key of a key directory cannot be changed", kms.Configuration)
		}
		there.mu.Lock()
		running := there.handle
		there.mu.Unlock()
		if running != nil && running.acquire() { // its directory opens once at a time
			return &candidate{config: c, service: running.service, known: there, reused: running}, nil
		}
	}
	service, err := m.make(ctx, c, there.id)
	if err != nil {
		return nil, err
	}
	return m.identify(&candidate{config: c, service: service})
}

// identify finds the instance by the id that the service tells.
func (m *Manager) identify(cand *candidate) (*candidate, error) {
	m.mu.RLock()
	cand.known = m.instances[cand.service.Instance()]
	m.mu.RUnlock()
	if cand.known == m.builtin && cand.known != nil || cand.service.Instance().IsZero() {
		cand.discard()
		return nil, fmt.Errorf("%w: it is the built-in keyring, or tells no instance id", kms.Configuration)
	}
	return cand, nil
}

// probeContext is the context of KEKs that nobody uses.
const probeContext = `{"coffer":"probe"}`

// opens reports whether a backend opens what an instance wrapped.
func (p *proofRecord) opens(ctx context.Context, b kms.Backend) bool {
	keyID, ciphertext, err := kms.ParseBlob(p.Blob)
	if err != nil {
		return false
	}
	kek, err := b.Unwrap(ctx, kms.Wrapped{KeyID: keyID, Ciphertext: ciphertext}, []byte(probeContext))
	if err != nil {
		return false
	}
	defer kek.Wipe()
	return kek.Fingerprint().String() == p.Fingerprint
}

// prove finds out whether the candidate works, and gets a proof of which backend
// it is. A backend that can be reached and has no key to prove with is good
// enough: that is how every backend begins.
func (m *Manager) prove(ctx context.Context, cand *candidate) error {
	start := time.Now()
	err := cand.service.Health(ctx)
	cand.probe = Probe{At: start, Reachable: err == nil, Latency: time.Since(start)}
	if err != nil {
		return err
	}
	explicit := cand.config.DefaultKeyID != ""
	proof, stage, err := roundTrip(ctx, cand.service, cand.config.defaultKey(), explicit)
	cand.probe.Latency = time.Since(start)
	if err == nil {
		cand.proof, cand.probe.Proven = proof, true
		return nil
	}
	cand.probe.Err, cand.probe.Failed = cand.config.safe("probe backend", err), stage
	switch kind := kms.KindOf(err); {
	case kind == kms.NotFound, kind == kms.Disabled, kind == kms.InvalidState:
		return nil
	case kind == kms.Denied && !explicit:
		return nil // the rights may be for other keys
	default:
		return err
	}
}

// errAnotherKEK says that a backend does not give back what it was given.
var errAnotherKEK = fmt.Errorf("%w: another KEK came out than went in", kms.Crypto)

// roundTrip has a KEK made, unwrapped and compared. Where it is allowed, a key
// that is missing is made. After an error stage says what failed.
func roundTrip(ctx context.Context, s Service, keyID string, create bool) (proof *proofRecord, stage ProbeStage, err error) {
	kek, w, err := s.GenerateKEK(ctx, keyID, []byte(probeContext))
	if errors.Is(err, kms.NotFound) && create {
		if _, made := s.CreateKey(ctx, keyID); made != nil && !errors.Is(made, kms.AlreadyExists) {
			return nil, StageKey, err
		}
		kek, w, err = s.GenerateKEK(ctx, keyID, []byte(probeContext))
	}
	switch {
	case errors.Is(err, kms.NotFound):
		return nil, StageKey, err
	case err != nil:
		return nil, StageGenerate, err
	}
	defer kek.Wipe()
	again, err := s.Unwrap(ctx, w, []byte(probeContext))
	if err != nil {
		return nil, StageDecrypt, err
	}
	defer again.Wipe()
	if !again.Equal(kek) {
		return nil, StageCompare, errAnotherKEK
	}
	return &proofRecord{Blob: w.Blob(), Fingerprint: kek.Fingerprint().String()}, "", nil
}

// anyKey finds a key that may encrypt among the first of a backend.
func anyKey(ctx context.Context, s Service) (keyID string, found bool) {
	page, err := s.ListKeys(ctx, "", 10)
	if err != nil {
		return "", false // it may not be allowed
	}
	for _, k := range page.Keys {
		if k.Fault == nil && k.State.CheckEncrypt() == nil {
			return k.ID, true
		}
	}
	return "", false
}
