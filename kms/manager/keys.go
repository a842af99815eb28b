package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// What a key is used for.
const (
	OpGenerate = "generate KEK" // a KEK is made and wrapped
	OpUnwrap   = "unwrap KEK"   // a KEK is unwrapped, or taken from the cache
	OpRewrap   = "rewrap KEK"   // a KEK is wrapped anew by the same key
	OpWrap     = "wrap KEK"     // a KEK is wrapped by another key
	OpCreate   = "create key"   // the default key is made on its first use
	OpProbe    = "probe key"    // the background has a KEK made, unwrapped and compared
	OpStart    = "start"        // the background has started the backend that the settings describe
	OpDestroy  = "destroy key"  // a sweep destroys a key whose waiting time has passed
	OpRotate   = "rotate key"   // a sweep rotates a key that is too old
)

// Use is one use of a key.
type Use struct {
	Op       string
	Instance cipher.InstanceID
	KeyID    string
	Version  uint32 // zero where it is not known
	Cached   bool   // no backend was asked
	Item     int    // OpRewrap: the place in the list of items
	Took     time.Duration
	Err      error
}

// observe tells Options.Observe.
func (m *Manager) observe(ctx context.Context, start time.Time, use Use) {
	if m.o.Observe != nil {
		use.Took = time.Since(start)
		m.o.Observe(ctx, use)
	}
}

// keepRecord tells Options.Record. The error is that of the use, else that of the record: then nobody may get what came of the
// use.
func (m *Manager) keepRecord(ctx context.Context, use Use) error {
	if m.o.Record == nil {
		return use.Err
	}
	if err := m.o.Record(ctx, use); use.Err == nil {
		return err
	}
	return use.Err
}

// writer returns the instance that makes the KEKs of a mode, and the key.
func (m *Manager) writer(mode cipher.Mode, keyID string) (in *instance, key string, fallback bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if mode == cipher.ModeSSES3 && !m.o.SSES3OnKMS {
		return m.builtin, m.o.BuiltinKeyID, true, nil
	}
	if mode == cipher.ModeSSES3 {
		keyID = "" // not for its caller to choose
	}
	if m.serving == nil {
		return nil, "", false, m.absence()
	}
	key = m.settings().defaultKey()
	if keyID != "" && keyID != key {
		return m.serving, keyID, false, nil
	}
	return m.serving, key, true, nil
}

// writerOf is writer for a caller that may have begun with a backend which does not serve any more.
func (m *Manager) writerOf(ctx context.Context, mode cipher.Mode, keyID string) (in *instance, key string, fallback bool, err error) {
	in, key, fallback, err = m.writer(mode, keyID)
	id, begun := kms.Begun(ctx)
	if err != nil || !begun || in.id == id {
		return in, key, fallback, err
	}
	m.mu.RLock()
	was := m.instances[id]
	m.mu.RUnlock()
	if was == nil {
		return in, key, fallback, nil
	}
	c, _ := was.snapshot()
	return was, keyID, keyID == c.defaultKey(), nil
}

// absence says why nobody serves. The caller holds mu.
func (m *Manager) absence() error {
	switch {
	case m.phase == phaseNone:
		return kms.NotConfigured
	case m.failure != nil:
		return fmt.Errorf("%w: the key service was not started: %w", kms.Unavailable, m.failure)
	case m.phase == phaseRunning:
		return fmt.Errorf("%w: the key service is not there yet", kms.Unavailable)
	default:
		return fmt.Errorf("%w: %w", kms.Unavailable, errStopped)
	}
}

// Resolve names the key that a new object of the mode uses, without a call to a
// backend: keyID, or the default where it is "". Its version is the newest that
// was seen, or 0.
func (m *Manager) Resolve(_ context.Context, mode cipher.Mode, keyID string) (kms.KeyRef, error) {
	in, key, _, err := m.writer(mode, keyID)
	if err != nil {
		return kms.KeyRef{}, kms.NewError("resolve key", keyID, err)
	}
	return kms.KeyRef{Instance: in.id, KeyID: key, Version: m.versions.of(owner{in.id, key})}, nil
}

// GenerateKEK makes a KEK for a new object of the mode and wraps it under the
// key that Resolve names. The default key is made on first use. The caller owns
// the KEK.
func (m *Manager) GenerateKEK(ctx context.Context, mode cipher.Mode, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	const op = OpGenerate
	start := time.Now()
	in, key, fallback, err := m.writerOf(ctx, mode, keyID)
	if err != nil {
		return nil, kms.Wrapped{}, kms.NewError(op, keyID, err)
	}
	epoch := m.leases.now()
	type issued struct {
		kek     *cipher.KEK
		w       kms.Wrapped
		created bool // the key
	}
	got, err := request(ctx, m, in, func(ctx context.Context, s Service) (issued, error) {
		kek, w, err := s.GenerateKEK(ctx, key, keyContext)
		if fallback && errors.Is(err, kms.NotFound) {
			_, made := s.CreateKey(ctx, key)
			if made == nil || errors.Is(made, kms.AlreadyExists) {
				kek, w, err = s.GenerateKEK(ctx, key, keyContext)
			}
			return issued{kek, w, made == nil}, err
		}
		return issued{kek: kek, w: w}, err
	}, func(i issued) { i.kek.Wipe() })
	use := Use{Op: op, Instance: in.id, KeyID: key, Version: got.w.Version, Err: err}
	m.observe(ctx, start, use)
	if err := m.recordIssue(ctx, use, got.created); err != nil {
		if got.kek != nil {
			got.kek.Wipe()
		}
		return nil, kms.Wrapped{}, kms.NewError(op, key, err)
	}
	if !in.builtin {
		m.leases.put(newLeaseKey(got.w, keyContext), owner{in.id, key}, got.kek, epoch)
	}
	return got.kek, got.w, nil
}

// recordIssue keeps the record of a KEK that was made, and of the key that was made for it.
func (m *Manager) recordIssue(ctx context.Context, use Use, created bool) error {
	if created {
		key := Use{Op: OpCreate, Instance: use.Instance, KeyID: use.KeyID}
		if err := m.keepRecord(ctx, key); err != nil {
			return err
		}
	}
	return m.keepRecord(ctx, use)
}

// Unwrap gives back a KEK, whichever backend wrapped it: from the cache, or by
// one call for all who ask at the same time. The caller owns the KEK.
func (m *Manager) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	const op = OpUnwrap
	start := time.Now()
	in, err := m.instance(w.Instance)
	if err == nil {
		err = errors.Join(w.Check(), kms.CheckContext(keyContext))
	}
	if err != nil {
		return nil, kms.NewError(op, w.KeyID, err)
	}
	ask := func(ctx context.Context, s Service) (*cipher.KEK, error) { return s.Unwrap(ctx, w, keyContext) }
	var kek *cipher.KEK
	var hit bool
	if in.builtin {
		kek, err = request(ctx, m, in, ask, (*cipher.KEK).Wipe)
	} else {
		bounded, cancel := context.WithTimeout(ctx, m.o.RequestTimeout)
		defer cancel()
		call := func() (*cipher.KEK, error) { return request(m.ctx, m, in, ask, (*cipher.KEK).Wipe) }
		kek, hit, err = m.leases.get(bounded, newLeaseKey(w, keyContext), owner{in.id, w.KeyID}, m.spawnOr, call)
	}
	use := Use{Op: op, Instance: in.id, KeyID: w.KeyID, Version: w.Version, Cached: hit, Err: err}
	m.observe(ctx, start, use)
	if err := m.keepRecord(ctx, use); err != nil {
		if kek != nil {
			kek.Wipe()
		}
		return nil, kms.NewError(op, w.KeyID, err)
	}
	return kek, nil
}

// CheckEncrypt fails where the state of a key forbids that more is sealed under a
// KEK that it has wrapped. A backend that cannot tell is passed over: the KEK is
// to be had only while a lease of it lasts, then.
func (m *Manager) CheckEncrypt(ctx context.Context, ref kms.KeyRef) error {
	in, err := m.instance(ref.Instance)
	if err == nil {
		_, err = request(ctx, m, in, func(ctx context.Context, s Service) (struct{}, error) {
			return struct{}{}, kms.CheckEncrypt(ctx, s, ref.KeyID)
		}, func(struct{}) {})
	}
	if kind := kms.KindOf(err); kind != kms.Disabled && kind != kms.InvalidState {
		return nil
	}
	return kms.NewError(OpUnwrap, ref.KeyID, m.keepRecord(ctx, Use{
		Op: OpUnwrap, Instance: in.id, KeyID: ref.KeyID, Version: ref.Version, Err: err,
	}))
}

// spawnOr is spawn; after Close it runs fn, which fails at once, in place.
func (m *Manager) spawnOr(fn func()) {
	if !m.spawn(fn) {
		go fn()
	}
}

// instance finds an instance; the zero id is the serving one.
func (m *Manager) instance(id cipher.InstanceID) (*instance, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if id.IsZero() {
		if m.serving == nil {
			return nil, m.absence()
		}
		return m.serving, nil
	}
	in := m.instances[id]
	if in == nil {
		return nil, fmt.Errorf("%w: the backend instance %v is not configured here", kms.Configuration, id)
	}
	return in, nil
}

// request calls a backend within RequestTimeout. A backend that does not heed
// the end of its context is left behind, and what it gives then is dropped.
func request[T any](ctx context.Context, m *Manager, in *instance, ask func(context.Context, Service) (T, error), drop func(T)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, m.o.RequestTimeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	var none T
	began := m.spawn(func() {
		h, err := m.pin(ctx, in)
		if err != nil {
			answers <- answer{none, err}
			return
		}
		defer h.release()
		value, err := ask(ctx, h.service)
		answers <- answer{value, err}
	})
	if !began {
		return none, errClosed
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	}
	m.spawnOr(func() {
		if a := <-answers; a.err == nil {
			drop(a.value)
		}
	})
	return none, fmt.Errorf("%w: no answer within %v: %w", kms.Unavailable, m.o.RequestTimeout, ctx.Err())
}

// NewestVersion tells the newest version of a key. Where the backend does not let
// keys be described, it has a KEK made that nobody uses, and sees what wraps it.
func (m *Manager) NewestVersion(ctx context.Context, id cipher.InstanceID, keyID string) (uint32, error) {
	var version uint32
	err := m.Do(ctx, id, func(ctx context.Context, s Service) error {
		info, err := s.DescribeKey(ctx, keyID)
		if !errors.Is(err, kms.Denied) && !errors.Is(err, kms.Unsupported) {
			if version = info.Newest().Number; err == nil {
				m.versions.learn(owner{s.Instance(), keyID}, version)
			}
			return err
		}
		kek, w, err := s.GenerateKEK(ctx, keyID, []byte(probeContext))
		if err == nil {
			kek.Wipe()
		}
		use := Use{Op: OpGenerate, Instance: s.Instance(), KeyID: keyID, Version: w.Version, Err: err}
		if err := m.keepRecord(ctx, use); err != nil {
			return err
		}
		version = w.Version
		return nil
	})
	return version, kms.NewError("describe key", keyID, err)
}

// Rewrap wraps KEKs by the newest versions of their keys, in as few calls as the
// backends allow. It gives one result for each item, in their order.
func (m *Manager) Rewrap(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	results := make([]kms.RewrapResult, len(items))
	groups := map[cipher.InstanceID][]int{}
	for i, item := range items {
		groups[item.Wrapped.Instance] = append(groups[item.Wrapped.Instance], i)
	}
	for id, places := range groups {
		group := make([]kms.RewrapItem, len(places))
		for i, place := range places {
			group[i] = items[place]
		}
		var done []kms.RewrapResult
		err := m.Do(ctx, id, func(ctx context.Context, s Service) error {
			if done = kms.RewrapBatch(ctx, s, group); len(done) != len(group) {
				return fmt.Errorf("%w: %d results of %d items", kms.BackendFailure, len(done), len(group))
			}
			return nil
		})
		for i, place := range places {
			result, keyID := &results[place], items[place].Wrapped.KeyID
			if err != nil {
				result.Err = kms.NewError(OpRewrap, keyID, err)
			} else {
				*result = done[i]
			}
			result.Err = kms.NewError(OpRewrap, keyID, m.keepRecord(ctx, Use{
				Op: OpRewrap, Instance: id, KeyID: keyID, Version: result.Wrapped.Version, Item: place, Err: result.Err,
			}))
		}
	}
	return results
}

// Move wraps the KEK inside w under a key of another backend, or of the same. The
// default key is made on first use. No KEK that passes by here is kept.
func (m *Manager) Move(ctx context.Context, w kms.Wrapped, keyContext []byte, to kms.KeyRef) (moved kms.Wrapped, err error) {
	if err := errors.Join(w.Check(), kms.CheckContext(keyContext)); err != nil {
		return kms.Wrapped{}, kms.NewError(OpUnwrap, w.KeyID, err)
	}
	var kek *cipher.KEK
	err = m.Do(ctx, w.Instance, func(ctx context.Context, s Service) (err error) {
		kek, err = s.Unwrap(ctx, w, keyContext)
		return m.keepRecord(ctx, Use{Op: OpUnwrap, Instance: s.Instance(), KeyID: w.KeyID, Version: w.Version, Err: err})
	})
	if kek != nil {
		defer kek.Wipe()
	}
	if err != nil {
		return kms.Wrapped{}, kms.NewError(OpUnwrap, w.KeyID, err)
	}
	fallback, err := m.Resolve(ctx, cipher.ModeSSEKMS, "")
	mayMake := err == nil && fallback.Instance == to.Instance && fallback.KeyID == to.KeyID
	err = m.Do(ctx, to.Instance, func(ctx context.Context, s Service) error {
		moved, err = kms.WrapKEK(ctx, s, to.KeyID, kek, keyContext)
		if mayMake && errors.Is(err, kms.NotFound) {
			if err = m.makeDefault(ctx, s, to.KeyID); err == nil {
				moved, err = kms.WrapKEK(ctx, s, to.KeyID, kek, keyContext)
			}
		}
		return m.keepRecord(ctx, Use{Op: OpWrap, Instance: to.Instance, KeyID: to.KeyID, Version: moved.Version, Err: err})
	})
	return moved, kms.NewError(OpWrap, to.KeyID, err)
}

// makeDefault makes the default key, unless somebody has meanwhile.
func (m *Manager) makeDefault(ctx context.Context, s Service, keyID string) error {
	_, err := s.CreateKey(ctx, keyID)
	if errors.Is(err, kms.AlreadyExists) {
		return nil
	}
	return m.keepRecord(ctx, Use{Op: OpCreate, Instance: s.Instance(), KeyID: keyID, Err: err})
}

// Do calls fn with the service of an instance, the serving one where id is zero,
// which is not closed meanwhile. It is for administration and background work:
// ctx alone bounds it.
func (m *Manager) Do(ctx context.Context, id cipher.InstanceID, fn func(ctx context.Context, s Service) error) error {
	in, err := m.instance(id)
	if err != nil {
		return kms.NewError("find backend", "", err)
	}
	h, err := m.pin(ctx, in)
	if err != nil {
		return kms.NewError("open backend", "", err)
	}
	defer h.release()
	return fn(ctx, h.service)
}

// DestroyKey destroys a key of an instance and ends the leases of its KEKs.
func (m *Manager) DestroyKey(ctx context.Context, id cipher.InstanceID, keyID string) error {
	in, err := m.instance(id)
	if err != nil {
		return kms.NewError("destroy key", keyID, err)
	}
	err = m.Do(ctx, in.id, func(ctx context.Context, s Service) error { return kms.DestroyKey(ctx, s, keyID) })
	m.leases.forget(func(o owner) bool { return o == owner{in.id, keyID} })
	return err
}

// ClearCache wipes all KEKs that are kept. With revoke, running streams and
// handles are ended too.
func (m *Manager) ClearCache(revoke bool) {
	m.leases.forget(func(owner) bool { return true })
	if revoke && m.o.OnRevoke != nil {
		m.o.OnRevoke()
	}
}
