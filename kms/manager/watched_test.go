package manager_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
)

// watching notes what a Watcher is told.
type watching struct {
	mu     sync.Mutex
	under  map[string]int
	calls  []manager.Call
	failed []string
	probes []manager.Probe
	swept  int
}

func newWatching() *watching { return &watching{under: map[string]int{}} }

func (w *watching) CallBegan(backend string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under[backend]++
}

func (w *watching) CallEnded(c manager.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under[c.Backend]--
	w.calls = append(w.calls, c)
}

func (w *watching) AttemptFailed(backend, op string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = append(w.failed, fmt.Sprintf("%s %s: %v", backend, op, kms.KindOf(err)))
}

func (w *watching) Probed(p manager.Probe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probes = append(w.probes, p)
}

func (w *watching) Swept(all []manager.Swept) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.swept += len(all)
}

// take returns the calls so far, in short, and forgets them.
func (w *watching) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, c := range w.calls {
		line := c.Backend + " " + c.Op
		if c.Changes {
			line += " changes"
		}
		if c.Items != 1 || c.Failures != 0 {
			line += fmt.Sprintf(" %d of %d failed", c.Failures, c.Items)
		}
		if c.Attempts != 1 {
			line += fmt.Sprintf(" in %d attempts", c.Attempts)
		}
		if c.Err != nil {
			line += fmt.Sprintf(": %v", kms.KindOf(c.Err))
		}
		all = append(all, line)
	}
	w.calls = nil
	return all
}

// TestWatcher tells every kind of call, of the built-in keyring and of others.
func TestWatcher(t *testing.T) {
	t.Parallel()
	w, seen := newWorld(), newWatching()
	w.options.Watcher = seen
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	seen.take()

	kek := issue(t, m, cipher.ModeSSEKMS, "")
	must(t, kek.check(t.Context(), m)) // kept, so no call
	m.ClearCache(false)
	must(t, kek.check(t.Context(), m))
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "nobody", keyContext)
	wantKind(t, err, kms.NotFound)
	issue(t, m, cipher.ModeSSES3, "")
	broken := kms.RewrapItem{Wrapped: kek.w, Context: []byte("another")}
	m.Rewrap(t.Context(), []kms.RewrapItem{{Wrapped: kek.w, Context: keyContext}, broken})
	m.Rewrap(t.Context(), []kms.RewrapItem{broken, broken})
	w.sites["https://a"].set(nil, func(ctx context.Context, op kmstest.Op, _ string) error {
		kms.NoteAttempt(ctx, kms.Throttled)
		kms.NoteAttempt(ctx, nil)
		return nil
	})
	do(t, m, func(ctx context.Context, s manager.Service) error {
		_, err := kms.DisableKey(ctx, s, "app-default")
		return err
	})
	want := []string{
		"vault generate_kek",
		"vault unwrap_kek",
		"vault generate_kek 1 of 1 failed: key not found",
		"builtin generate_kek 1 of 1 failed: key not found", "builtin create_key changes", "builtin generate_kek",
		"vault rewrap_keks 1 of 2 failed",
		"vault rewrap_keks 2 of 2 failed: cryptographic failure",
		"vault disable_key changes in 2 attempts",
	}
	if diff := cmp.Diff(want, seen.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"vault disable_key: key service throttles"}, seen.failed); diff != "" {
		t.Errorf("failed attempts (-want +got):\n%s", diff)
	}
	for backend, n := range seen.under {
		if n != 0 {
			t.Errorf("%d calls of %s are still under way", n, backend)
		}
	}
}

// TestWatchedBackend runs the suite of backends against one that is watched.
func TestWatchedBackend(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(t *testing.T) kmstest.Backend {
		w := newWorld()
		w.options.Watcher = newWatching()
		var s manager.Service
		do(t, w.open(t), func(_ context.Context, service manager.Service) error {
			s = service
			return nil
		})
		return s.(kmstest.Backend)
	})
}

// TestProbeStages breaks each step of a probe.
func TestProbeStages(t *testing.T) {
	t.Parallel()
	on := func(op kmstest.Op, kind kms.Kind) kmstest.Rule {
		return func(_ context.Context, got kmstest.Op, _ string) error {
			if got == op {
				return kind
			}
			return nil
		}
	}
	for _, tc := range []struct {
		name string
		rule kmstest.Rule
		want manager.ProbeStage
	}{
		{"well", nil, ""},
		{"away", failing(kms.Unavailable), manager.StageReach},
		{"no key", on(kmstest.OpGenerateKEK, kms.NotFound), manager.StageKey},
		{"not made", on(kmstest.OpGenerateKEK, kms.Denied), manager.StageGenerate},
		{"not unwrapped", on(kmstest.OpUnwrap, kms.Denied), manager.StageDecrypt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, seen := newWorld(), newWatching()
			w.options.Watcher = seen
			m := w.open(t)
			must(t, m.Apply(t.Context(), vault("https://a")))
			w.sites["https://a"].set(nil, tc.rule)
			p := m.ProbeNow(t.Context())
			if p.Failed != tc.want || p.Proven != (tc.want == "") {
				t.Errorf("failed at %q (%v), want %q", p.Failed, p.Err, tc.want)
			}
			if len(seen.probes) == 0 || seen.probes[len(seen.probes)-1].Failed != tc.want {
				t.Errorf("the watcher was told %v", seen.probes)
			}
		})
	}
}

// TestKeySurvey looks at keys after the start and after changes, by itself.
func TestKeySurvey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.options.Watcher = newWatching()
		m := w.open(t)
		prepareSweep(t, m)
		time.Sleep(time.Minute)
		got := m.KeySurveys()
		if len(got) != 1 || got[0].Backend != manager.BackendBuiltin {
			t.Fatalf("surveys of %v, want one", got)
		}
		want := map[kms.State]int{kms.StateEnabled: 2, kms.StateDisabled: 1, kms.StatePendingDeletion: 4}
		if diff := cmp.Diff(want, got[0].States); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if len(got[0].Oldest) != 2 || got[0].Due != 0 {
			t.Errorf("%+v, want two keys that encrypt, and none due", got[0])
		}
		made := got[0].Oldest[0].Since
		time.Sleep(6 * day)
		must(t, m.Survey(t.Context()))
		if got := m.KeySurveys()[0]; got.Due != 1 || !got.Oldest[0].Since.Equal(made) {
			t.Errorf("%+v, want one key due", got)
		}
		do(t, m, func(ctx context.Context, s manager.Service) error {
			_, err := s.RotateKey(ctx, "old")
			return err
		})
		time.Sleep(time.Minute)
		if got := m.KeySurveys()[0]; got.Due != 0 || got.Oldest[0].KeyID != "untouched" || got.Oldest[1].KeyID != "old" {
			t.Errorf("%+v, want the rotated key last", got)
		}
	})
}
