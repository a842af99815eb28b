package manager

import (
	"context"
	"io"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// BackendBuiltin is Call.Backend of the built-in keyring; of the others it is the
// type of their Config.
const BackendBuiltin = "builtin"

// Watcher is told what backends do. Its methods are called from many goroutines,
// return soon, and keep nothing.
type Watcher interface {
	// CallBegan is followed by one CallEnded.
	CallBegan(backend string)
	CallEnded(c Call)
	// AttemptFailed tells of one attempt of a call, also where the next one
	// succeeds.
	AttemptFailed(backend, op string, err error)
	// Probed tells of every probe of the serving backend.
	Probed(p Probe)
	// Swept tells of keys that were due.
	Swept(all []Swept)
}

// Call is one operation of a backend that has ended.
type Call struct {
	Backend  string
	Op       string // such as "generate_kek"
	Changes  bool   // it changes something, so that it is never repeated
	Attempts int
	Items    int // KEKs of a rewrap, else 1
	Failures int // of Items
	Took     time.Duration
	Err      error
}

// watched is a backend whose calls a Watcher is told of. It has every operation:
// package kms answers for those that the backend does not have.
type watched struct {
	Service
	backend string
	watcher Watcher
	changed func() // told of changes of keys
	learn   func(keyID string, version uint32)
}

var (
	_ kms.Creator        = (*watched)(nil)
	_ kms.Gate           = (*watched)(nil)
	_ kms.Lifecycle      = (*watched)(nil)
	_ kms.Describer      = (*watched)(nil)
	_ kms.Crypter        = (*watched)(nil)
	_ kms.Wrapper        = (*watched)(nil)
	_ kms.BatchRewrapper = (*watched)(nil)
	_ kms.Reporter       = (*watched)(nil)
	_ kms.Capable        = (*watched)(nil)
	_ io.Closer          = (*watched)(nil)
)

// watch has a service's calls told to Options.Watcher, if there is one, and the
// newest versions of keys learned from what they give.
func (m *Manager) watch(s Service, backend string) Service {
	w := &watched{Service: s, backend: backend, watcher: m.o.Watcher, changed: m.keysChanged}
	if w.watcher == nil {
		w.watcher = nobody{}
	}
	id := s.Instance()
	w.learn = func(keyID string, version uint32) { m.versions.learn(owner{id, keyID}, version) }
	return w
}

// nobody is a Watcher that does not look.
type nobody struct{}

func (nobody) CallBegan(string)                    {}
func (nobody) CallEnded(Call)                      {}
func (nobody) AttemptFailed(string, string, error) {}
func (nobody) Probed(Probe)                        {}
func (nobody) Swept([]Swept)                       {}

// run makes a call of count items; fn returns how many of them failed.
func (w *watched) run(ctx context.Context, op string, changes bool, count int, fn func(context.Context) (failures int, err error)) {
	w.watcher.CallBegan(w.backend)
	attempts := &kms.Attempts{Failed: func(err error) { w.watcher.AttemptFailed(w.backend, op, err) }}
	start := time.Now()
	failures, err := fn(kms.WithAttempts(ctx, attempts))
	if err == nil && changes {
		w.changed()
	}
	w.watcher.CallEnded(Call{
		Backend: w.backend, Op: op, Changes: changes, Attempts: attempts.Made(), Items: count, Failures: failures, Took: time.Since(start), Err: err,
	})
}

// told makes a call that gives one value.
func told[T any](ctx context.Context, w *watched, op string, changes bool, fn func(context.Context) (T, error)) (value T, err error) {
	w.run(ctx, op, changes, 1, func(ctx context.Context) (int, error) {
		if value, err = fn(ctx); err != nil {
			return 1, err
		}
		return 0, nil
	})
	return value, err
}

// GenerateKEK implements kms.Backend.
func (w *watched) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (kek *cipher.KEK, wrapped kms.Wrapped, err error) {
	kek, err = told(ctx, w, "generate_kek", false, func(ctx context.Context) (*cipher.KEK, error) {
		if kek, wrapped, err = w.Service.GenerateKEK(ctx, keyID, keyContext); err == nil {
			w.learn(keyID, wrapped.Version)
		}
		return kek, err
	})
	return kek, wrapped, err
}

// Unwrap implements kms.Backend.
func (w *watched) Unwrap(ctx context.Context, wrapped kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	return told(ctx, w, "unwrap_kek", false, func(ctx context.Context) (*cipher.KEK, error) {
		return w.Service.Unwrap(ctx, wrapped, keyContext)
	})
}

// CheckEncrypt implements kms.Gate. It is no operation of its own, and mostly no call.
func (w *watched) CheckEncrypt(ctx context.Context, keyID string) error {
	return kms.CheckEncrypt(ctx, w.Service, keyID)
}

// Rewrap implements kms.Backend.
func (w *watched) Rewrap(ctx context.Context, wrapped kms.Wrapped, keyContext []byte) (kms.Wrapped, error) {
	return told(ctx, w, "rewrap_kek", false, func(ctx context.Context) (kms.Wrapped, error) {
		return w.Service.Rewrap(ctx, wrapped, keyContext)
	})
}

// RewrapBatch implements kms.BatchRewrapper. The call has failed when all of it
// has.
func (w *watched) RewrapBatch(ctx context.Context, items []kms.RewrapItem) (results []kms.RewrapResult) {
	w.run(ctx, "rewrap_keks", false, len(items), func(ctx context.Context) (failures int, err error) {
		if many, ok := w.Service.(kms.BatchRewrapper); ok {
			results = many.RewrapBatch(ctx, items)
		} else {
			results = kms.RewrapBatch(ctx, w.Service, items)
		}
		for _, r := range results {
			if r.Err != nil {
				failures, err = failures+1, r.Err
			}
		}
		if failures < len(results) {
			err = nil
		}
		return failures, err
	})
	return results
}

// Health implements kms.Backend.
func (w *watched) Health(ctx context.Context) error {
	_, err := told(ctx, w, "health", false, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.Service.Health(ctx)
	})
	return err
}

// key makes a call that gives what is known of a key.
func (w *watched) key(ctx context.Context, op string, changes bool, fn func(context.Context) (kms.KeyInfo, error)) (kms.KeyInfo, error) {
	return told(ctx, w, op, changes, fn)
}

// CreateKey implements kms.Admin.
func (w *watched) CreateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return w.key(ctx, "create_key", true, func(ctx context.Context) (kms.KeyInfo, error) { return w.Service.CreateKey(ctx, keyID) })
}

// CreateKeyWith implements kms.Creator.
func (w *watched) CreateKeyWith(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	return w.key(ctx, "create_key", true, func(ctx context.Context) (kms.KeyInfo, error) { return kms.CreateKeyWith(ctx, w.Service, spec) })
}

// DescribeKey implements kms.Admin.
func (w *watched) DescribeKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return w.key(ctx, "describe_key", false, func(ctx context.Context) (kms.KeyInfo, error) { return w.Service.DescribeKey(ctx, keyID) })
}

// ListKeys implements kms.Admin.
func (w *watched) ListKeys(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	return told(ctx, w, "list_keys", false, func(ctx context.Context) (kms.KeyPage, error) { return w.Service.ListKeys(ctx, after, limit) })
}

// RotateKey implements kms.Admin.
func (w *watched) RotateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return w.key(ctx, "rotate_key", true, func(ctx context.Context) (kms.KeyInfo, error) {
		info, err := w.Service.RotateKey(ctx, keyID)
		if err == nil {
			w.learn(keyID, info.Newest().Number)
		}
		return info, err
	})
}

// EnableKey implements kms.Lifecycle.
func (w *watched) EnableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return w.key(ctx, "enable_key", true, func(ctx context.Context) (kms.KeyInfo, error) { return kms.EnableKey(ctx, w.Service, keyID) })
}

// DisableKey implements kms.Lifecycle.
func (w *watched) DisableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return w.key(ctx, "disable_key", true, func(ctx context.Context) (kms.KeyInfo, error) { return kms.DisableKey(ctx, w.Service, keyID) })
}

// ScheduleDeletion implements kms.Lifecycle.
func (w *watched) ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (kms.KeyInfo, error) {
	return w.key(ctx, "schedule_deletion", true, func(ctx context.Context) (kms.KeyInfo, error) {
		return kms.ScheduleDeletion(ctx, w.Service, keyID, window)
	})
}

// CancelDeletion implements kms.Lifecycle.
func (w *watched) CancelDeletion(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return w.key(ctx, "cancel_deletion", true, func(ctx context.Context) (kms.KeyInfo, error) { return kms.CancelDeletion(ctx, w.Service, keyID) })
}

// DestroyKey implements kms.Lifecycle.
func (w *watched) DestroyKey(ctx context.Context, keyID string) error {
	_, err := told(ctx, w, "destroy_key", true, func(ctx context.Context) (struct{}, error) {
		w.learn(keyID, 0)
		return struct{}{}, kms.DestroyKey(ctx, w.Service, keyID)
	})
	return err
}

// SetDescription implements kms.Describer.
func (w *watched) SetDescription(ctx context.Context, keyID, text string) (kms.KeyInfo, error) {
	return w.key(ctx, "set_description", true, func(ctx context.Context) (kms.KeyInfo, error) {
		return kms.SetDescription(ctx, w.Service, keyID, text)
	})
}

// SetTags implements kms.Describer.
func (w *watched) SetTags(ctx context.Context, keyID string, tags map[string]string) (kms.KeyInfo, error) {
	return w.key(ctx, "set_tags", true, func(ctx context.Context) (kms.KeyInfo, error) { return kms.SetTags(ctx, w.Service, keyID, tags) })
}

// RemoveTags implements kms.Describer.
func (w *watched) RemoveTags(ctx context.Context, keyID string, names ...string) (kms.KeyInfo, error) {
	return w.key(ctx, "remove_tags", true, func(ctx context.Context) (kms.KeyInfo, error) {
		return kms.RemoveTags(ctx, w.Service, keyID, names...)
	})
}

// SetMaxAge implements kms.Describer.
func (w *watched) SetMaxAge(ctx context.Context, keyID string, age time.Duration) (kms.KeyInfo, error) {
	return w.key(ctx, "set_max_age", true, func(ctx context.Context) (kms.KeyInfo, error) { return kms.SetMaxAge(ctx, w.Service, keyID, age) })
}

// Encrypt implements kms.Crypter.
func (w *watched) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return told(ctx, w, "encrypt", false, func(ctx context.Context) (kms.Wrapped, error) {
		return kms.Encrypt(ctx, w.Service, keyID, plaintext, keyContext)
	})
}

// Decrypt implements kms.Crypter.
func (w *watched) Decrypt(ctx context.Context, wrapped kms.Wrapped, keyContext []byte) ([]byte, error) {
	return told(ctx, w, "decrypt", false, func(ctx context.Context) ([]byte, error) {
		return kms.Decrypt(ctx, w.Service, wrapped, keyContext)
	})
}

// WrapKEK implements kms.Wrapper.
func (w *watched) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return told(ctx, w, "wrap_kek", false, func(ctx context.Context) (kms.Wrapped, error) {
		return kms.WrapKEK(ctx, w.Service, keyID, kek, keyContext)
	})
}

// Report implements kms.Reporter.
func (w *watched) Report() kms.Report { return kms.ReportOf(w.Service) }

// Capabilities implements kms.Capable.
func (w *watched) Capabilities() kms.Capabilities { return kms.CapabilitiesOf(w.Service) }

// Close implements io.Closer.
func (w *watched) Close() error {
	if c, ok := w.Service.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
