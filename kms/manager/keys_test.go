package manager_test

import (
	"context"
	"errors"
	"fmt"
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

// TestRecord keeps a record of every use, and gives nobody a KEK of which there is none.
func TestRecord(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var uses []manager.Use
	var full error
	w.options.Record = func(_ context.Context, u manager.Use) error {
		uses = append(uses, u)
		return full
	}
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	first := issue(t, m, cipher.ModeSSEKMS, "app-default")
	second := issue(t, m, cipher.ModeSSEKMS, "app-default")
	must(t, first.check(t.Context(), m))
	must(t, m.Do(t.Context(), first.w.Instance, func(ctx context.Context, s manager.Service) error {
		_, err := s.RotateKey(ctx, "app-default")
		return err
	}))
	damaged := second.w
	damaged.Ciphertext = []byte("damaged")
	items := []kms.RewrapItem{{Wrapped: first.w, Context: keyContext}, {Wrapped: damaged, Context: keyContext}}
	results := m.Rewrap(t.Context(), items)
	must(t, results[0].Err)
	to := kms.KeyRef{Instance: w.builtin.Instance(), KeyID: builtinKey}
	_ = issue(t, m, cipher.ModeSSES3, "") // makes the key
	if _, err := m.Move(t.Context(), second.w, keyContext, to); err != nil {
		t.Fatal(err)
	}
	vaultID, builtinID := first.w.Instance, w.builtin.Instance()
	want := []manager.Use{
		{Op: manager.OpGenerate, Instance: vaultID, KeyID: "app-default", Version: 1},
		{Op: manager.OpGenerate, Instance: vaultID, KeyID: "app-default", Version: 1},
		{Op: manager.OpUnwrap, Instance: vaultID, KeyID: "app-default", Version: 1, Cached: true},
		{Op: manager.OpRewrap, Instance: vaultID, KeyID: "app-default", Version: 2},
		{Op: manager.OpRewrap, Instance: vaultID, KeyID: "app-default", Item: 1, Err: results[1].Err},
		{Op: manager.OpCreate, Instance: builtinID, KeyID: builtinKey},
		{Op: manager.OpGenerate, Instance: builtinID, KeyID: builtinKey, Version: 1},
		{Op: manager.OpUnwrap, Instance: vaultID, KeyID: "app-default", Version: 1},
		{Op: manager.OpWrap, Instance: builtinID, KeyID: builtinKey, Version: 1},
	}
	for n := range max(len(want), len(uses)) {
		if n >= len(want) || n >= len(uses) || uses[n] != want[n] {
			t.Fatalf("use %d of %d differs, want %d: %+v", n, len(uses), len(want), uses)
		}
	}

	full = fmt.Errorf("%w: the disk is full", kms.Unavailable)
	wantKind(t, first.check(t.Context(), m), kms.Unavailable)
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", keyContext)
	wantKind(t, err, kms.Unavailable)
	wantKind(t, m.Rewrap(t.Context(), items)[0].Err, kms.Unavailable)
	_, err = m.Move(t.Context(), second.w, keyContext, to)
	wantKind(t, err, kms.Unavailable)
	full = nil
	must(t, first.check(t.Context(), m))
}

// TestRecordBackground keeps a record of what nobody asked for.
func TestRecordBackground(t *testing.T) {
	t.Parallel()
	w := newWorld()
	uses := make(chan manager.Use, 100)
	w.options.Record = func(_ context.Context, u manager.Use) error {
		uses <- u
		return nil
	}
	w.options.ProbeInterval = time.Hour
	given := vault("https://a")
	w.options.Given = &given
	m := w.open(t)
	start, probe := <-uses, <-uses
	id := m.Status().Instance
	if want := (manager.Use{Op: manager.OpStart, Instance: id, KeyID: "app-default"}); start != want {
		t.Errorf("the start is %+v", start)
	}
	if want := (manager.Use{Op: manager.OpProbe, Instance: id, KeyID: "app-default"}); probe != want {
		t.Errorf("the probe is %+v", probe)
	}
}

// TestResolveKnowsRotations tells the version that a key was rotated to, without a call.
func TestResolveKnowsRotations(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	resolve := func(want uint32) {
		t.Helper()
		if ref, err := m.Resolve(t.Context(), cipher.ModeSSEKMS, ""); err != nil || ref.Version != want {
			t.Errorf("%+v, %v; want version %d", ref, err, want)
		}
	}
	a := issue(t, m, cipher.ModeSSEKMS, "")
	resolve(1)
	do(t, m, func(ctx context.Context, s manager.Service) error {
		_, err := s.RotateKey(ctx, a.w.KeyID)
		return err
	})
	resolve(2)
	must(t, m.DestroyKey(t.Context(), a.w.Instance, a.w.KeyID))
	resolve(0)
}
