package kmstest

import (
	"context"
	"maps"
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

	OpEnableKey        Op = "enable key"
	OpDisableKey       Op = "disable key"
	OpScheduleDeletion Op = "schedule deletion of"
	OpCancelDeletion   Op = "cancel deletion of"
	OpDestroyKey       Op = "destroy key"
	OpSetDescription   Op = "describe key as"
	OpSetTags          Op = "tag key"
	OpRemoveTags       Op = "untag key"
	OpSetMaxAge        Op = "set maximum age of"
	OpEncrypt          Op = "encrypt"
	OpDecrypt          Op = "decrypt"
	OpWrapKEK          Op = "wrap KEK"
	OpRewrapBatch      Op = "rewrap KEKs"
)

// Rule decides what a call does before the backend sees it: a non-nil error is
// the call's result, with the kind that it wraps. It may be called from many
// goroutines, and may block until ctx ends.
type Rule func(ctx context.Context, op Op, keyID string) error

// Fake is a key backend in memory.
type Fake struct {
	instance cipher.InstanceID

	mu     sync.Mutex
	keys   map[string]*fakeKey
	rule   Rule
	calls  map[Op]int
	report kms.Report
}

type fakeKey struct {
	state       kms.State
	created     time.Time
	deleteAfter time.Time
	maxAge      time.Duration
	spec        kms.KeySpec
	versions    []fakeVersion // number is the index plus one
	least       uint32        // versions below it do not decrypt any more
}

type fakeVersion struct {
	master  *cipher.MasterKey
	created time.Time
}

var (
	_ Backend      = (*Fake)(nil)
	_ kms.Reporter = (*Fake)(nil)
)

// fakeOrigin is the origin of keys that a Fake made.
const fakeOrigin = "COFFER_FAKE"

// NewFake returns a backend with the keys named, each with one version.
func NewFake(keyIDs ...string) *Fake { return NewFakeInstance(cipher.NewInstanceID(), keyIDs...) }

// NewFakeInstance is NewFake with an instance id that is given.
func NewFakeInstance(instance cipher.InstanceID, keyIDs ...string) *Fake {
	f := &Fake{instance: instance, keys: map[string]*fakeKey{}, calls: map[Op]int{}}
	for _, id := range keyIDs {
		f.keys[id] = newFakeKey(kms.KeySpec{KeyID: id, Algorithm: kms.AlgorithmAES256, Usage: kms.UsageEncryptDecrypt, Origin: fakeOrigin})
	}
	return f
}

// WithInstance returns a Fake under another instance id that shares the keys
// that f has now: the same service, taken for another.
func (f *Fake) WithInstance(instance cipher.InstanceID) *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Fake{instance: instance, keys: maps.Clone(f.keys), calls: map[Op]int{}}
}

func newFakeKey(spec kms.KeySpec) *fakeKey {
	now := time.Now()
	return &fakeKey{state: kms.StateEnabled, created: now, spec: spec, versions: []fakeVersion{{cipher.NewMasterKey(), now}}}
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

// SetLeastVersion keeps the versions of a key below one from decrypting, as Vault's
// min_decryption_version does.
func (f *Fake) SetLeastVersion(keyID string, version uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[keyID].least = version
}

// Destroy removes a key with all of its versions.
func (f *Fake) Destroy(keyID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, keyID)
}

// SetReport sets what Report returns.
func (f *Fake) SetReport(r kms.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report = r
}

// Report implements kms.Reporter.
func (f *Fake) Report() kms.Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.report
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
		err = f.onKey(keyID, fn)
	}
	return kms.NewError(string(op), keyID, err)
}

// onKey calls fn with mu held.
func (f *Fake) onKey(keyID string, fn func(*fakeKey) error) error {
	if err := kms.CheckKeyID(keyID); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.keys[keyID]
	if k == nil {
		return kms.NotFound
	}
	return fn(k)
}
