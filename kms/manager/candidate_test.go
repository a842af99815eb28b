package manager_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
)

// TestBadCandidates lets nothing that does not work take the place of what does.
func TestBadCandidates(t *testing.T) {
	t.Parallel()
	only := func(op kmstest.Op, kind kms.Kind) kmstest.Rule {
		return func(_ context.Context, o kmstest.Op, _ string) error {
			if o == op {
				return kind
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		down error
		rule kmstest.Rule
		want kms.Kind
	}{
		"cannot be reached": {kms.Unavailable, nil, kms.Unavailable},
		"not healthy":       {nil, only(kmstest.OpHealth, kms.Unavailable), kms.Unavailable},
		"may not encrypt":   {nil, only(kmstest.OpGenerateKEK, kms.Denied), kms.Denied},
		"may not decrypt":   {nil, only(kmstest.OpUnwrap, kms.Denied), kms.Denied},
		"gives nonsense":    {nil, only(kmstest.OpUnwrap, kms.Crypto), kms.Crypto},
		"throttles":         {nil, only(kmstest.OpUnwrap, kms.Throttled), kms.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			m := w.open(t)
			must(t, m.Apply(t.Context(), vault("https://a")))
			i := issue(t, m, cipher.ModeSSEKMS, "")
			kept, before := string(w.store.data), m.Status()
			w.sites["https://b"].set(tt.down, tt.rule)
			wantKind(t, m.Configure(t.Context(), vault("https://b")), tt.want)
			wantState(t, m, manager.Running)
			if s := m.Status(); s.Instance != before.Instance || s.Config.Vault.Address != "https://a" || len(s.Instances) != 2 {
				t.Errorf("status %+v", s)
			}
			if string(w.store.data) != kept {
				t.Error("the bad configuration was kept")
			}
			if n := w.sites["https://b"].open.Load(); n != 0 {
				t.Errorf("%d bad backends are open", n)
			}
			m.ClearCache(false)
			must(t, i.check(t.Context(), m))
		})
	}
}

// TestNotKeptNotServed cannot save what would work.
func TestNotKeptNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	w.store.err = errors.New("disk full")
	for name, err := range map[string]error{
		"configure": m.Configure(t.Context(), vault("https://b")),
		"stop":      m.Stop(t.Context()),
		"keep":      m.Keep(t.Context(), "other", vault("https://b")),
	} {
		if !errors.Is(err, kms.Unavailable) || !errors.Is(err, w.store.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := m.Status(); s.State != manager.Running || s.Config.Vault.Address != "https://a" {
		t.Errorf("status %+v", s)
	}
	if n := w.sites["https://b"].open.Load(); n != 0 {
		t.Errorf("%d backends are open", n)
	}
}

// TestNoKeyToProveWith accepts a backend that may not make the key.
func TestNoKeyToProveWith(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	w.sites["https://a"].set(nil, func(_ context.Context, op kmstest.Op, keyID string) error {
		if op == kmstest.OpCreateKey {
			return kms.Denied
		}
		return nil
	})
	must(t, m.Apply(t.Context(), vault("https://a")))
	if s := m.Status(); s.State != manager.Running || s.Healthy() || !s.Probe.Reachable || !errors.Is(s.Probe.Err, kms.NotFound) {
		t.Errorf("status %+v", s)
	}
	w.sites["https://a"].set(nil, nil)
	if p := m.ProbeNow(t.Context()); p.Proven {
		t.Error("the probe made a key")
	}
	if !m.Status().Available() {
		t.Error("a backend without keys is not available")
	}
	must(t, m.Do(t.Context(), kms.InstanceID{}, func(ctx context.Context, s manager.Service) error {
		_, err := s.CreateKey(ctx, "another")
		return err
	}))
	if p := m.ProbeNow(t.Context()); !p.Proven {
		t.Errorf("proven by no other key: %+v", p)
	}
	issue(t, m, cipher.ModeSSEKMS, "")
	if p := m.ProbeNow(t.Context()); !p.Proven || !m.Status().Healthy() {
		t.Errorf("probe %+v", p)
	}
}

// TestIdentity shows which changes make another instance.
func TestIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	a := i.w.Instance
	token := vault("https://a")
	token.Vault.Auth.Token = secret.New([]byte("hvs.another"))
	slash := vault("https://a")
	slash.Vault.Mount = "/transit/"
	w.sites["https://a/"] = w.sites["https://a"]
	for _, step := range []struct {
		name string
		c    manager.Config
		same bool
	}{
		{"another token", token, true},
		{"another form of the mount", slash, true},
		{"another address of the same", vault("https://moved-a"), true},
		{"another backend", vault("https://b"), false},
		{"back", vault("https://moved-a"), true},
	} {
		must(t, m.Apply(t.Context(), step.c))
		if got := m.Status().Instance; (got == a) != step.same {
			t.Errorf("%s: instance %v, was %v", step.name, got, a)
		}
		m.ClearCache(false)
		must(t, i.check(t.Context(), m))
	}
	if s := m.Status(); len(s.Instances) != 3 || !s.Instances[0].Builtin {
		t.Errorf("instances %+v", s.Instances)
	}
	if n := w.sites["https://a"].open.Load(); n != 1 {
		t.Errorf("%d backends are open at a", n)
	}
}

// TestReconfigureUnderLoad changes the backend 200 times under 64 clients, none
// of which may notice.
func TestReconfigureUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for _, s := range w.sites {
		s.set(nil, slow(200*time.Microsecond, kmstest.OpUnwrap, kmstest.OpGenerateKEK))
	}
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	var requests, swaps atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for client := range 64 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), 0))
			var mine []issued
			for {
				kek, wrapped, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", keyContext)
				if err != nil {
					t.Errorf("generate: %v", err)
					return
				}
				mine = append(mine, issued{kek, wrapped})
				if err := mine[random.IntN(len(mine))].check(t.Context(), m); err != nil {
					t.Errorf("unwrap: %v", err)
					return
				}
				requests.Add(2)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for n := range 200 {
		c := vault([]string{"https://a", "https://b", "https://moved-a"}[n%3])
		c.NoCache = n%5 != 0
		c.Vault.Auth.Token = secret.New(fmt.Appendf(nil, "hvs.%d", n))
		if err := m.Configure(t.Context(), c); err != nil {
			t.Errorf("reconfigure %d: %v", n, err)
		}
		swaps.Add(1)
	}
	close(stop)
	wg.Wait()
	if open := w.sites["https://a"].open.Load() + w.sites["https://b"].open.Load(); open != 2 {
		t.Errorf("%d backends are open", open)
	}
	t.Logf("%d requests, %d swaps, none failed", requests.Load(), swaps.Load())
}
