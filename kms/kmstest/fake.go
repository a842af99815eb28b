package kmstest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// Op names a method of a backend.
type Op string

// The methods that Fake counts and can fail.
const (
	OpGenerateKEK Op = "generate KEK"
	OpUnwrap      Op = "unwrap KEK"
	OpRewrap      Op = "rewrap KEK"
	OpHealth      Op = "health"
	OpCreateKey   Op = "create key"
	OpDescribeKey Op = "describe key"
	OpListKeys    Op = "list keys"
	OpRotateKey   Op = "rotate key"
)

// Rule decides what a call does before the backend sees it: a non-nil error is
// the call's result, with the kind that it wraps. It may be called from many
// goroutines, and may block until ctx ends.
type Rule func(ctx context.Context, op Op, keyID string) error

// Fake is a key backend in memory.
type Fake struct {
	instance cipher.InstanceID

	mu    sync.Mutex
	keys  map[string]*fakeKey
	rule  Rule
	calls map[Op]int
}

type fakeKey struct {
	state    kms.State
	created  time.Time
	versions []fakeVersion // number is the index plus one
}

type fakeVersion struct {
	master  *cipher.MasterKey
	created time.Time
}

var (
	_ kms.Backend = (*Fake)(nil)
	_ kms.Admin   = (*Fake)(nil)
)

// NewFake returns a backend with the keys named, each with one version.
func NewFake(keyIDs ...string) *Fake {
	f := &Fake{instance: cipher.NewInstanceID(), keys: map[string]*fakeKey{}, calls: map[Op]int{}}
	for _, id := range keyIDs {
		f.keys[id] = newFakeKey()
	}
	return f
}

func newFakeKey() *fakeKey {
	now := time.Now()
	return &fakeKey{state: kms.StateEnabled, created: now, versions: []fakeVersion{{cipher.NewMasterKey(), now}}}
}

// SetRule puts rule before every call from now on; nil removes it.
func (f *Fake) SetRule(rule Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = rule
}

// Calls tells how often a method was called, failed calls included.
func (f *Fake) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// SetState puts a key into a state. It panics when there is no such key.
func (f *Fake) SetState(keyID string, state kms.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[keyID].state = state
}

// Destroy removes a key with all of its versions.
func (f *Fake) Destroy(keyID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, keyID)
}

// Instance implements kms.Backend.
func (f *Fake) Instance() cipher.InstanceID { return f.instance }

// enter counts a call and asks the rule.
func (f *Fake) enter(ctx context.Context, op Op, keyID string) error {
	f.mu.Lock()
	f.calls[op]++
	rule := f.rule
	f.mu.Unlock()
	if rule != nil {
		if err := rule(ctx, op, keyID); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// do runs a call on one key with mu held.
func (f *Fake) do(ctx context.Context, op Op, keyID string, fn func(*fakeKey) error) error {
	err := f.enter(ctx, op, keyID)
	if err == nil {
		err = kms.CheckKeyID(keyID)
	}
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		k := f.keys[keyID]
		if k == nil {
			err = kms.NotFound
		} else {
			err = fn(k)
		}
	}
	return kms.NewError(string(op), keyID, err)
}

// GenerateKEK implements kms.Backend.
func (f *Fake) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	kek := cipher.NewKEK()
	var w kms.Wrapped
	err := f.do(ctx, OpGenerateKEK, keyID, func(k *fakeKey) (err error) {
		w, err = f.wrap(k, keyID, kek, keyContext)
		return err
	})
	if err != nil {
		return nil, kms.Wrapped{}, err
	}
	return kek, w, nil
}

// Unwrap implements kms.Backend.
func (f *Fake) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kek *cipher.KEK, err error) {
	err = f.do(ctx, OpUnwrap, w.KeyID, func(k *fakeKey) (err error) {
		kek, _, err = f.unwrap(k, w, keyContext)
		return err
	})
	return kek, err
}

// Rewrap implements kms.Backend.
func (f *Fake) Rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (next kms.Wrapped, err error) {
	err = f.do(ctx, OpRewrap, w.KeyID, func(k *fakeKey) error {
		kek, number, err := f.unwrap(k, w, keyContext)
		if err != nil {
			return err
		}
		defer kek.Wipe()
		next, err = f.wrap(k, w.KeyID, kek, keyContext)
		if err == nil && int(number) == len(k.versions) {
			next.Ciphertext = w.Ciphertext
		}
		return err
	})
	return next, err
}

// Health implements kms.Backend.
func (f *Fake) Health(ctx context.Context) error {
	return kms.NewError(string(OpHealth), "", f.enter(ctx, OpHealth, ""))
}

// CreateKey implements kms.Admin.
func (f *Fake) CreateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	err := errors.Join(f.enter(ctx, OpCreateKey, keyID), kms.CheckKeyID(keyID))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.keys[keyID] != nil {
		err = kms.AlreadyExists
	}
	if err != nil {
		return kms.KeyInfo{}, kms.NewError(string(OpCreateKey), keyID, err)
	}
	k := newFakeKey()
	f.keys[keyID] = k
	return k.info(keyID), nil
}

// DescribeKey implements kms.Admin.
func (f *Fake) DescribeKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = f.do(ctx, OpDescribeKey, keyID, func(k *fakeKey) error {
		info = k.info(keyID)
		return nil
	})
	return info, err
}

// ListKeys implements kms.Admin.
func (f *Fake) ListKeys(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	if err := f.enter(ctx, OpListKeys, ""); err != nil {
		return kms.KeyPage{}, kms.NewError(string(OpListKeys), "", err)
	}
	if limit < 1 || limit > kms.MaxListedKeys {
		limit = kms.MaxListedKeys
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var page kms.KeyPage
	for _, id := range slices.Sorted(maps.Keys(f.keys)) {
		if id <= after {
			continue
		}
		if page.More = len(page.Keys) == limit; page.More {
			break
		}
		page.Keys = append(page.Keys, f.keys[id].info(id))
	}
	return page, nil
}

// RotateKey implements kms.Admin.
func (f *Fake) RotateKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = f.do(ctx, OpRotateKey, keyID, func(k *fakeKey) error {
		if err := k.state.CheckEncrypt(); err != nil {
			return err
		}
		k.versions = append(k.versions, fakeVersion{cipher.NewMasterKey(), time.Now()})
		info = k.info(keyID)
		return nil
	})
	return info, err
}

func (k *fakeKey) info(keyID string) kms.KeyInfo {
	info := kms.KeyInfo{ID: keyID, State: k.state, Created: k.created, Origin: "COFFER_FAKE"}
	for i, v := range k.versions {
		info.Versions = append(info.Versions, kms.KeyVersion{
			Number: uint32(i + 1), Fingerprint: v.master.Fingerprint(), Created: v.created,
		})
	}
	return info
}

// additional binds a wrapped KEK to everything but the key, which opens it.
func (f *Fake) additional(keyID string, keyContext []byte) []byte {
	ad := append(f.instance[:], byte(len(keyID)), byte(len(keyID)>>8))
	return append(append(ad, keyID...), keyContext...)
}

// wrap gives u32 version || box.
func (f *Fake) wrap(k *fakeKey, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	if err := errors.Join(kms.CheckContext(keyContext), k.state.CheckEncrypt()); err != nil {
		return kms.Wrapped{}, err
	}
	number := uint32(len(k.versions))
	master := k.versions[number-1].master
	ciphertext := binary.BigEndian.AppendUint32(nil, number)
	ciphertext = cipher.NewBox(master).Seal(ciphertext, kek.Expose(), f.additional(keyID, keyContext))
	return kms.Wrapped{
		Instance: f.instance, KeyID: keyID, Fingerprint: master.Fingerprint(), Version: number, Ciphertext: ciphertext,
	}, nil
}

func (f *Fake) unwrap(k *fakeKey, w kms.Wrapped, keyContext []byte) (*cipher.KEK, uint32, error) {
	if err := errors.Join(w.Check(), kms.CheckContext(keyContext)); err != nil {
		return nil, 0, err
	}
	if !w.Instance.IsZero() && w.Instance != f.instance {
		return nil, 0, fmt.Errorf("%w: wrapped by backend %v, this is %v", kms.Crypto, w.Instance, f.instance)
	}
	if len(w.Ciphertext) < 4 {
		return nil, 0, fmt.Errorf("%w: a wrapped KEK of %d bytes", kms.Crypto, len(w.Ciphertext))
	}
	number := binary.BigEndian.Uint32(w.Ciphertext)
	if number < 1 || uint64(number) > uint64(len(k.versions)) || w.Version != 0 && w.Version != number {
		return nil, 0, fmt.Errorf("%w: version %d in the wrapped KEK", kms.Crypto, number)
	}
	master := k.versions[number-1].master
	if found := master.Fingerprint(); !w.Fingerprint.IsZero() && w.Fingerprint != found {
		return nil, 0, fmt.Errorf("%w: fingerprint %v, wrapped under %v", kms.Crypto, found, w.Fingerprint)
	}
	raw, err := cipher.NewBox(master).Open(nil, w.Ciphertext[4:], f.additional(w.KeyID, keyContext))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", kms.Crypto, err)
	}
	defer clear(raw)
	kek, err := cipher.KEKFromBytes(raw)
	return kek, number, err
}
