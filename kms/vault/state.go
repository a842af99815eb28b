package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"coffer/kms"
)

// StateStore keeps what Transit has no place for: one small record for a key of
// one backend instance. It is safe for concurrent use.
type StateStore interface {
	// Place names the store, for administrators.
	Place() string
	// Load returns a record and its revision, which is never 0; nil and 0 when
	// there is none.
	Load(ctx context.Context, keyID string) (record []byte, revision uint64, err error)
	// Save replaces the record of that revision, durably; 0 stands for none. It
	// fails with ErrStateConflict when the revision is another one by now. A nil
	// record removes what is there.
	Save(ctx context.Context, keyID string, record []byte, revision uint64) error
}

// ErrStateConflict: another process has changed the record meanwhile.
var ErrStateConflict = fmt.Errorf("%w: the state of the key was changed by another process", kms.Unavailable)

const (
	// stateFresh is how long a state, and the choice of the store, are taken for
	// known. A change made here counts at once, one made by another process
	// after this time.
	stateFresh = 30 * time.Second
	// maxStates bounds the states remembered.
	maxStates = 1024
	// stateFormat is the version of records that this package writes.
	stateFormat = 1
)

// record is what is kept beside a Transit key, as JSON. The zero record stands
// for an enabled key of which nothing is known.
type record struct {
	Format      int               `json:"format"`
	KeyID       string            `json:"key_id"`
	State       string            `json:"state"` // of kms.State
	DeleteAfter *time.Time        `json:"delete_after,omitempty"`
	Origin      string            `json:"origin,omitempty"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	MaxAge      int64             `json:"max_age_seconds,omitempty"`
}

// parseRecord fails for what it does not understand: a key whose state is not
// known must not pass for an enabled one.
func parseRecord(raw []byte, keyID string) (record, error) {
	var r record
	switch err := json.Unmarshal(raw, &r); {
	case err != nil:
		return record{}, fmt.Errorf("%w: the record of the key's state is damaged", kms.BackendFailure)
	case r.Format != stateFormat:
		return record{}, fmt.Errorf("%w: the record of the key's state has format %d", kms.Unsupported, r.Format)
	case r.KeyID != keyID || r.state() == 0:
		return record{}, fmt.Errorf("%w: the record of the key's state is damaged", kms.BackendFailure)
	}
	return r, nil
}

// state returns 0 for a state that is none.
func (r record) state() kms.State {
	for s := kms.StateEnabled; s.Valid(); s++ {
		if r.State == s.String() || r.State == "" && s == kms.StateEnabled {
			return s
		}
	}
	return 0
}

// describe fills in what is kept beside Transit.
func (r record) describe(info kms.KeyInfo) kms.KeyInfo {
	info.State, info.Description, info.Tags = r.state(), r.Description, maps.Clone(r.Tags)
	info.MaxAge = time.Duration(r.MaxAge) * time.Second
	if r.Origin != "" {
		info.Origin = r.Origin
	}
	if r.DeleteAfter != nil {
		info.DeleteAfter = *r.DeleteAfter
	}
	return info
}

// states finds and changes the records of keys.
type states struct {
	kv       *kvStore
	fallback StateStore // may be nil

	mu     sync.Mutex
	known  map[string]knownState
	epoch  int       // counts changes, so that a state read before one is not remembered
	chosen time.Time // when useKV was decided; zero: never
	useKV  bool
}

type knownState struct {
	state kms.State
	since time.Time
}

func newStates(b *Backend) *states {
	return &states{kv: &kvStore{b}, fallback: b.options.State, known: map[string]knownState{}}
}

// choose decides whether the KV engine is used. While a decision is taken anew,
// the one before holds for others.
func (s *states) choose(ctx context.Context) (useKV bool, err error) {
	s.mu.Lock()
	known, useKV := !s.chosen.IsZero(), s.useKV
	if known && time.Since(s.chosen) < stateFresh {
		s.mu.Unlock()
		return useKV, nil
	}
	if known {
		s.chosen = time.Now()
	}
	s.mu.Unlock()
	found, err := s.kv.usable(ctx)
	switch {
	case err == nil:
		s.setChoice(found)
		return found, nil
	case known:
		return useKV, nil // as before, until Vault says otherwise
	default:
		return false, err
	}
}

func (s *states) setChoice(useKV bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.useKV, s.chosen = useKV, time.Now()
}

// held is a record as it was loaded.
type held struct {
	record
	present  bool
	store    StateStore // nil: there is none
	revision uint64
	moving   uint64 // not 0: the record is in the fallback, at this revision
}

// load reads the record of a key. One in the KV engine wins; one that is in the
// fallback, from a time when the token might not use the engine, moves there
// when it changes.
func (s *states) load(ctx context.Context, keyID string) (held, error) {
	useKV, err := s.choose(ctx)
	if err != nil {
		return held{}, err
	}
	var h held
	var raw []byte
	if useKV {
		h.store = s.kv
		raw, h.revision, err = s.kv.Load(ctx, keyID)
		if kindIn(err) == kms.Denied { // it may use the engine, but not there
			s.setChoice(false)
			h, err = held{}, nil
		}
	}
	if err == nil && raw == nil && s.fallback != nil {
		var revision uint64
		raw, revision, err = s.fallback.Load(ctx, keyID)
		if h.store == nil {
			h.store, h.revision = s.fallback, revision
		} else {
			h.moving = revision
		}
	}
	if err == nil && raw != nil {
		h.present = true
		h.record, err = parseRecord(raw, keyID)
	}
	return h, err
}

// save replaces a record that load has returned; nil removes it.
func (s *states) save(ctx context.Context, keyID string, h held, next *record) error {
	if h.store == nil {
		return fmt.Errorf("%w: Transit has no place for this, and neither the KV engine at %s nor another place is to be had",
			kms.Unsupported, s.kv.Place())
	}
	var raw []byte
	state := kms.StateEnabled
	if next != nil {
		next.Format, next.KeyID, state = stateFormat, keyID, next.state()
		next.State = state.String()
		var err error
		if raw, err = json.Marshal(next); err != nil {
			return err
		}
	}
	s.remember(keyID, 0, -1) // whatever happens: the old state is not known any more
	if raw != nil || h.revision != 0 {
		if err := h.store.Save(ctx, keyID, raw, h.revision); err != nil {
			return err
		}
	}
	s.remember(keyID, state, -1)
	if h.moving != 0 {
		return s.fallback.Save(ctx, keyID, nil, h.moving)
	}
	return nil
}

// remember keeps a state that was read in an epoch, or made (-1); 0 forgets it.
func (s *states) remember(keyID string, state kms.State, epoch int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch < 0 {
		s.epoch++
	} else if epoch != s.epoch {
		return
	}
	if len(s.known) >= maxStates {
		clear(s.known)
	}
	if state == 0 {
		delete(s.known, keyID)
		return
	}
	s.known[keyID] = knownState{state, time.Now()}
}

// checkEncrypt fails when the key may not encrypt. While a state is read anew, the
// one before holds for others.
func (s *states) checkEncrypt(ctx context.Context, keyID string) error {
	s.mu.Lock()
	known, epoch := s.known[keyID], s.epoch
	fresh := known.state != 0 && time.Since(known.since) < stateFresh
	if !fresh && known.state != 0 {
		s.known[keyID] = knownState{known.state, time.Now()}
	}
	s.mu.Unlock()
	if fresh {
		return known.state.CheckEncrypt()
	}
	h, err := s.load(ctx, keyID)
	if err != nil {
		s.remember(keyID, 0, epoch)
		return err
	}
	s.remember(keyID, h.state(), epoch)
	return h.state().CheckEncrypt()
}

// where names the place of records.
func (s *states) where() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.useKV:
		return s.kv.Place()
	case s.fallback != nil:
		return s.fallback.Place()
	default:
		return "none"
	}
}

// kept reports whether there is a place for records, as far as is known.
func (s *states) kept() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.useKV || s.fallback != nil || s.chosen.IsZero()
}

// change replaces a key's record by what fn makes of it.
func (s *states) change(ctx context.Context, keyID string, fn func(*record) error) (record, error) {
	const attempts = 8
	for attempt := 1; ; attempt++ {
		h, err := s.load(ctx, keyID)
		if err != nil {
			return record{}, err
		}
		next := h.record
		next.Tags = maps.Clone(next.Tags)
		if err := fn(&next); err != nil {
			return record{}, err
		}
		err = s.save(ctx, keyID, h, &next)
		if err == nil || !errors.Is(err, ErrStateConflict) || attempt == attempts {
			return next, err
		}
		if !sleep(ctx, jitter(backoffFirst)) {
			return record{}, err
		}
	}
}
