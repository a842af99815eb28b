package manager_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	a := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, m.Reconfigure(t.Context(), func(c *manager.Config) error {
		c.Vault.Address, c.DefaultKeyID, c.CacheTTL, c.Dialect = "https://b", "second", time.Minute, "old"
		return nil
	}))
	b := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, m.Keep(t.Context(), "spare", vault("https://moved-a")))
	want := m.Status()
	must(t, m.Close())

	m = w.open(t)
	got := m.Status()
	if got.Instance != want.Instance || got.Config.DefaultKeyID != "second" || got.Config.Dialect != "old" || got.Config.CacheTTL != time.Minute || len(got.Instances) != 3 {
		t.Errorf("status %+v", got)
	}
	for _, i := range []issued{a, b} {
		must(t, i.check(t.Context(), m))
	}
	if c := issue(t, m, cipher.ModeSSEKMS, ""); c.w.Instance != b.w.Instance || c.w.KeyID != "second" {
		t.Errorf("wrapped by %+v", c.w)
	}
	if targets := m.Targets(); len(targets) != 1 || targets["spare"].Vault.Address != "https://moved-a" {
		t.Errorf("targets %+v", targets)
	}
	must(t, m.Select(t.Context(), "spare"))
	if s := m.Status(); s.Instance != a.w.Instance {
		t.Errorf("the target is instance %v, was %v", s.Instance, a.w.Instance)
	}
	wantKind(t, m.Select(t.Context(), "absent"), kms.NotFound)
}

// TestRestartWithoutBackend begins while the backend is away, and recovers.
func TestRestartWithoutBackend(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]string{"kept": "", "given, known": "https://a", "given, new": "https://b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				m := w.open(t)
				must(t, m.Apply(t.Context(), vault("https://a")))
				i := issue(t, m, cipher.ModeSSEKMS, "")
				must(t, m.Close())

				away := &kms.Error{Op: "log in", Kind: kms.Unavailable}
				for _, s := range w.sites {
					s.set(away, nil)
				}
				if given != "" {
					c := vault(given)
					w.options.Given = &c
				}
				m = w.open(t)
				synctest.Wait()
				wantState(t, m, manager.Error)
				start := time.Now()
				wantKind(t, i.check(t.Context(), m), kms.Unavailable)
				_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", nil)
				wantKind(t, err, kms.Unavailable)
				if took := time.Since(start); took > 2*manager.DefaultRequestTimeout {
					t.Errorf("the answers took %v", took)
				}
				must(t, issue(t, m, cipher.ModeSSES3, "").check(t.Context(), m))
				time.Sleep(time.Minute)
				for _, s := range w.sites {
					s.set(nil, nil)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				wantState(t, m, manager.Running)
				must(t, i.check(t.Context(), m))
				j := issue(t, m, cipher.ModeSSEKMS, "")
				if (j.w.Instance == i.w.Instance) != (given != "https://b") {
					t.Errorf("wrapped by %v, before by %v", j.w.Instance, i.w.Instance)
				}
				must(t, m.Close())
			})
		})
	}
}

func TestBackgroundProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.options.ProbeInterval = 10 * time.Second
		m := w.open(t)
		synctest.Wait()
		if s := m.Status(); !s.Healthy() { // the stand-in
			t.Errorf("status %+v", s)
		}
		must(t, m.Apply(t.Context(), vault("https://a")))
		synctest.Wait()
		w.sites["https://a"].set(nil, func(_ context.Context, op kmstest.Op, _ string) error {
			if op == kmstest.OpUnwrap {
				return kms.Denied
			}
			return nil
		})
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s := m.Status(); s.Healthy() || !s.Probe.Reachable || s.Probe.Proven || !errors.Is(s.Probe.Err, kms.Denied) {
			t.Errorf("degraded: %+v", s.Probe)
		}
		w.sites["https://a"].set(nil, failing(kms.Unavailable))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s := m.Status(); s.Probe.Reachable {
			t.Errorf("failed: %+v", s.Probe)
		}
		w.sites["https://a"].set(nil, nil)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if s := m.Status(); !s.Healthy() {
			t.Errorf("recovered: %+v", s.Probe)
		}
		must(t, m.Close())
	})
}
