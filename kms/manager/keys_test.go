package manager_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
)

func TestRemoveInstance(t *testing.T) {
	t.Parallel()
	w := newWorld()
	counts := manager.Counts{KEKs: 3, Objects: 7}
	w.options.References = func(context.Context, cipher.InstanceID) (manager.Counts, error) { return counts, nil }
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	a := issue(t, m, cipher.ModeSSEKMS, "")
	wantKind(t, m.RemoveInstance(t.Context(), a.w.Instance), kms.InvalidState)
	must(t, m.Apply(t.Context(), vault("https://b")))

	moved, err := m.Move(t.Context(), a.w, keyContext, kms.KeyRef{Instance: m.Status().Instance, KeyID: "app-default"})
	must(t, err)
	must(t, issued{a.kek, moved}.check(t.Context(), m))
	err = m.RemoveInstance(t.Context(), a.w.Instance)
	var inUse *manager.InUseError
	if wantKind(t, err, kms.InUse); !errors.As(err, &inUse) || inUse.Counts != counts {
		t.Errorf("got %v", err)
	}
	must(t, a.check(t.Context(), m))
	counts = manager.Counts{}
	must(t, m.RemoveInstance(t.Context(), a.w.Instance))
	wantKind(t, a.check(t.Context(), m), kms.Configuration)
	wantKind(t, m.RemoveInstance(t.Context(), a.w.Instance), kms.NotFound)
	wantKind(t, m.RemoveInstance(t.Context(), w.builtin.Instance()), kms.InvalidState)
	must(t, m.Close())
	m = w.open(t)
	if n := len(m.Status().Instances); n != 2 {
		t.Errorf("%d instances after a restart", n)
	}
	must(t, issued{a.kek, moved}.check(t.Context(), m))
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	builtin := issue(t, m, cipher.ModeSSES3, "")
	must(t, m.Apply(t.Context(), vault("https://a")))
	a := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, m.Do(t.Context(), a.w.Instance, func(ctx context.Context, s manager.Service) error {
		_, err := s.RotateKey(ctx, a.w.KeyID)
		return err
	}))
	if v, err := m.NewestVersion(t.Context(), a.w.Instance, a.w.KeyID); v != 2 || err != nil {
		t.Errorf("newest version %d, %v", v, err)
	}
	lost := a.w
	lost.Instance = cipher.NewInstanceID()
	item := func(w kms.Wrapped) kms.RewrapItem { return kms.RewrapItem{Wrapped: w, Context: keyContext} }
	results := m.Rewrap(t.Context(), []kms.RewrapItem{item(a.w), item(builtin.w), item(lost), item(a.w)})
	wantKind(t, results[2].Err, kms.Configuration)
	for i, want := range map[int]issued{0: a, 1: builtin, 3: a} {
		must(t, results[i].Err)
		must(t, issued{want.kek, results[i].Wrapped}.check(t.Context(), m))
	}
	if results[0].Wrapped.Version != 2 || results[1].Wrapped.Version != 1 {
		t.Errorf("versions %d and %d", results[0].Wrapped.Version, results[1].Wrapped.Version)
	}
	if n := w.sites["https://a"].calls(kmstest.OpRewrapBatch); n != 1 {
		t.Errorf("%d batches", n)
	}
}

// TestNewestVersionOfAClosedBook asks a backend that lets nobody describe keys.
func TestNewestVersionOfAClosedBook(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	do(t, m, func(ctx context.Context, s manager.Service) error {
		_, err := s.RotateKey(ctx, i.w.KeyID)
		return err
	})
	for kind, want := range map[kms.Kind]uint32{kms.Denied: 2, kms.Unsupported: 2, kms.Unavailable: 0} {
		w.sites["https://a"].set(nil, func(_ context.Context, op kmstest.Op, _ string) error {
			if op == kmstest.OpDescribeKey {
				return kind
			}
			return nil
		})
		v, err := m.NewestVersion(t.Context(), i.w.Instance, i.w.KeyID)
		if v != want || (err == nil) != (want != 0) {
			t.Errorf("%v: version %d, %v", kind, v, err)
		}
	}
}

func TestSSES3OnKMS(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.options.SSES3OnKMS = true
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	if i := issue(t, m, cipher.ModeSSES3, "not for the caller"); i.w.KeyID != "app-default" || i.w.Instance == w.builtin.Instance() {
		t.Errorf("wrapped by %+v", i.w)
	}
}

func TestBuiltinAsConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	must(t, m.Apply(t.Context(), manager.Config{Type: manager.TypeLocal}))
	if s := m.Status(); s.StandIn || s.Instance != w.builtin.Instance() || !s.Config.Local.Builtin {
		t.Errorf("status %+v", s)
	}
	i := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, m.Stop(t.Context()))
	must(t, i.check(t.Context(), m)) // the keyring never stops
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", nil)
	wantKind(t, err, kms.Unavailable)
	must(t, m.Apply(t.Context(), vault("https://b")))
	must(t, m.Close())
	must(t, w.builtin.Health(t.Context()))
}

func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var uses []manager.Use
	w.options.Observe = func(_ context.Context, u manager.Use) {
		u.Took = 0
		uses = append(uses, u)
	}
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, i.check(t.Context(), m))
	m.ClearCache(false)
	must(t, i.check(t.Context(), m))
	want := []manager.Use{
		{Op: "generate KEK", Instance: i.w.Instance, KeyID: "app-default", Version: 1},
		{Op: "unwrap KEK", Instance: i.w.Instance, KeyID: "app-default", Version: 1, Cached: true},
		{Op: "unwrap KEK", Instance: i.w.Instance, KeyID: "app-default", Version: 1},
	}
	if len(uses) != len(want) {
		t.Fatalf("%d uses", len(uses))
	}
	for n := range want {
		if uses[n] != want[n] {
			t.Errorf("use %d is %+v, want %+v", n, uses[n], want[n])
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, errors.Join(m.Close(), m.Close()))
	if n := w.sites["https://a"].open.Load(); n != 0 {
		t.Errorf("%d backends are open", n)
	}
	wantKind(t, i.check(t.Context(), m), kms.Unavailable)
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSES3, "", nil)
	wantKind(t, err, kms.Unavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantKind(t, m.Apply(ctx, vault("https://a")), kms.Unavailable)
}
