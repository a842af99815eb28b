package manager_test

import (
	"testing"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/manager"
)

func TestStandIn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	wantState(t, m, manager.Running)
	if s := m.Status(); !s.StandIn || s.Instance != w.builtin.Instance() || len(s.Instances) != 1 {
		t.Errorf("status %+v", s)
	}
	for mode, key := range map[cipher.Mode]string{cipher.ModeSSES3: builtinKey, cipher.ModeSSEKMS: manager.FallbackKeyID} {
		i := issue(t, m, mode, "") // the key is made on first use
		if i.w.Instance != w.builtin.Instance() || i.w.KeyID != key {
			t.Errorf("%v wrapped by %+v", mode, i.w)
		}
		must(t, i.check(t.Context(), m))
		ref, err := m.Resolve(t.Context(), mode, "")
		if err != nil || ref.Instance != i.w.Instance || ref.KeyID != key {
			t.Errorf("resolved to %+v, %v", ref, err)
		}
	}
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "named and absent", nil)
	wantKind(t, err, kms.NotFound)
	wantKind(t, m.Start(t.Context(), false), kms.InvalidState)
	wantKind(t, m.Stop(t.Context()), kms.NotConfigured)
}

func TestNotConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.options.NoStandIn = true
	m := w.open(t)
	wantState(t, m, manager.NotConfigured)
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "k", nil)
	wantKind(t, err, kms.NotConfigured)
	_, err = m.Resolve(t.Context(), cipher.ModeSSEKMS, "k")
	wantKind(t, err, kms.NotConfigured)
	wantKind(t, m.Start(t.Context(), false), kms.NotConfigured)
	must(t, issue(t, m, cipher.ModeSSES3, "").check(t.Context(), m))
	if _, ok := m.Config(); ok {
		t.Error("it says that it is configured")
	}
}

func TestConfigureStartStop(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.options.NoStandIn = true
	m := w.open(t)
	must(t, m.Configure(t.Context(), vault("https://a")))
	wantState(t, m, manager.Configured)
	if n := w.sites["https://a"].built; n != 0 {
		t.Errorf("configuring built %d backends", n)
	}
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", nil)
	wantKind(t, err, kms.Unavailable)

	must(t, m.Start(t.Context(), false))
	wantState(t, m, manager.Running)
	if s := m.Status(); !s.Healthy() || s.StandIn || !s.Capabilities.Lifecycle {
		t.Errorf("status %+v", s)
	}
	i := issue(t, m, cipher.ModeSSEKMS, "")
	if i.w.KeyID != "app-default" {
		t.Errorf("wrapped by %+v", i.w)
	}
	wantKind(t, m.Start(t.Context(), false), kms.InvalidState)
	must(t, m.Start(t.Context(), true))
	must(t, i.check(t.Context(), m))

	must(t, m.Stop(t.Context()))
	wantState(t, m, manager.Configured)
	wantKind(t, i.check(t.Context(), m), kms.Unavailable)
	_, _, err = m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", nil)
	wantKind(t, err, kms.Unavailable)
	must(t, issue(t, m, cipher.ModeSSES3, "").check(t.Context(), m))
	if n := w.sites["https://a"].open.Load(); n != 0 {
		t.Errorf("%d backends are open", n)
	}
	must(t, m.Close())

	m = w.open(t) // stopped stays stopped
	wantState(t, m, manager.Configured)
	wantKind(t, i.check(t.Context(), m), kms.Unavailable)
	must(t, m.Start(t.Context(), false))
	must(t, i.check(t.Context(), m))
	if s := m.Status(); s.Instance != i.w.Instance {
		t.Errorf("started as %v, was %v", s.Instance, i.w.Instance)
	}
}

// TestStoppedAndReplaced brings what a stopped backend has wrapped back, once
// another one serves.
func TestStoppedAndReplaced(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		w := newWorld()
		m := w.open(t)
		must(t, m.Apply(t.Context(), vault("https://a")))
		i := issue(t, m, cipher.ModeSSEKMS, "")
		must(t, m.Stop(t.Context()))
		if restart {
			must(t, m.Close())
			m = w.open(t)
		}
		must(t, m.Configure(t.Context(), vault("https://b")))
		wantKind(t, i.check(t.Context(), m), kms.Unavailable)
		must(t, m.Start(t.Context(), false))
		must(t, i.check(t.Context(), m))
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	w.sites["https://a"].set(&kms.Error{Op: "log in", Kind: kms.Denied}, nil)
	must(t, m.Configure(t.Context(), vault("https://a")))
	must(t, issue(t, m, cipher.ModeSSEKMS, "").check(t.Context(), m)) // the stand-in goes on
	wantKind(t, m.Start(t.Context(), false), kms.Denied)
	wantState(t, m, manager.Error)
	w.sites["https://a"].set(nil, nil)
	must(t, m.Start(t.Context(), false))
	wantState(t, m, manager.Running)
}
