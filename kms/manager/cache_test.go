package manager_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
)

// cold opens a manager at site a, whose cache does not hold what was issued.
func cold(t *testing.T, change func(c *manager.Config), n int) (*world, *manager.Manager, []issued) {
	t.Helper()
	w := newWorld()
	m := w.open(t)
	c := vault("https://a")
	if change != nil {
		change(&c)
	}
	must(t, m.Apply(t.Context(), c))
	all := make([]issued, n)
	for i := range all {
		all[i] = issue(t, m, cipher.ModeSSEKMS, "")
	}
	m.ClearCache(false)
	return w, m, all
}

// TestColdUnwrapsShareOneCall lets 1,000 callers ask for one KEK, the first of
// which gives up.
func TestColdUnwrapsShareOneCall(t *testing.T) {
	t.Parallel()
	for _, noCache := range []bool{false, true} {
		t.Run(fmt.Sprintf("no cache %v", noCache), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, m, all := cold(t, func(c *manager.Config) { c.NoCache = noCache }, 1)
				site := w.sites["https://a"]
				site.set(nil, slow(time.Second, kmstest.OpUnwrap))
				before := site.calls(kmstest.OpUnwrap)

				first, giveUp := context.WithCancel(t.Context())
				gone := make(chan error)
				go func() { gone <- all[0].check(first, m) }()
				synctest.Wait()
				var wg sync.WaitGroup
				for range 999 {
					wg.Go(func() {
						if err := all[0].check(t.Context(), m); err != nil {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				giveUp()
				if err := <-gone; !errors.Is(err, context.Canceled) || !errors.Is(err, kms.Unavailable) {
					t.Errorf("who gave up got %v", err)
				}
				wg.Wait()
				if n := site.calls(kmstest.OpUnwrap) - before; n != 1 {
					t.Errorf("%d calls", n)
				}
				must(t, all[0].check(t.Context(), m))
				want := map[bool]int{false: 1, true: 2}[noCache]
				if n := site.calls(kmstest.OpUnwrap) - before; n != want {
					t.Errorf("%d calls after one more, want %d", n, want)
				}
				must(t, m.Close())
			})
		})
	}
}

// TestAllGiveUp shows that the call goes on for those who come later.
func TestAllGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, m, all := cold(t, nil, 1)
		site := w.sites["https://a"]
		site.set(nil, slow(time.Second, kmstest.OpUnwrap))
		before := site.calls(kmstest.OpUnwrap)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		wantKind(t, all[0].check(ctx, m), kms.Unavailable)
		time.Sleep(2 * time.Second)
		must(t, all[0].check(t.Context(), m))
		if n := site.calls(kmstest.OpUnwrap) - before; n != 1 {
			t.Errorf("%d calls", n)
		}
		must(t, m.Close())
	})
}

func TestLeasesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, m, all := cold(t, func(c *manager.Config) { c.CacheTTL = time.Minute }, 2)
		site := w.sites["https://a"]
		must(t, all[0].check(t.Context(), m))
		time.Sleep(30 * time.Second)
		must(t, all[1].check(t.Context(), m))
		if s := m.Status().Cache; s.Entries != 2 || !s.Enabled || s.TTL != time.Minute {
			t.Errorf("cache %+v", s)
		}
		site.set(nil, failing(kms.Unavailable)) // the backend goes away
		time.Sleep(30*time.Second - 1)
		must(t, all[0].check(t.Context(), m)) // using it makes no lease longer
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		wantKind(t, all[0].check(t.Context(), m), kms.Unavailable)
		must(t, all[1].check(t.Context(), m))
		if s := m.Status().Cache; s.Entries != 1 {
			t.Errorf("cache %+v", s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := m.Status().Cache; s.Entries != 0 {
			t.Errorf("cache %+v", s)
		}
		must(t, m.Close())
	})
}

func TestCacheBound(t *testing.T) {
	t.Parallel()
	w, m, all := cold(t, func(c *manager.Config) { c.MaxCachedKeys = 3 }, 4)
	for _, i := range []int{0, 1, 2, 0, 3} { // 1 was used longest ago
		must(t, all[i].check(t.Context(), m))
	}
	if s := m.Status().Cache; s.Entries != 3 || s.Evictions != 1+1 { // one more while they were issued
		t.Errorf("cache %+v", s)
	}
	w.sites["https://a"].set(nil, failing(kms.Unavailable))
	for i, want := range []bool{true, false, true, true} {
		if err := all[i].check(t.Context(), m); (err == nil) != want {
			t.Errorf("KEK %d: %v", i, err)
		}
	}
}

// TestIssuedIsCached shows that reading what was just written makes no call.
func TestIssuedIsCached(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	before := w.sites["https://a"].calls(kmstest.OpUnwrap)
	must(t, i.check(t.Context(), m))
	if n := w.sites["https://a"].calls(kmstest.OpUnwrap) - before; n != 0 {
		t.Errorf("%d calls", n)
	}
	got, err := m.Unwrap(t.Context(), i.w, keyContext)
	must(t, err)
	got.Wipe() // the caller's own
	must(t, i.check(t.Context(), m))
	if _, err := m.Unwrap(t.Context(), i.w, []byte("other")); !errors.Is(err, kms.Crypto) {
		t.Errorf("another context got past the cache: %v", err)
	}
	changed := i.w
	changed.Version++
	if _, err := m.Unwrap(t.Context(), changed, keyContext); !errors.Is(err, kms.Crypto) {
		t.Errorf("another version got past the cache: %v", err)
	}
}

func TestClearCache(t *testing.T) {
	t.Parallel()
	w := newWorld()
	revoked := 0
	w.options.OnRevoke = func() { revoked++ }
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	w.sites["https://a"].set(nil, failing(kms.Denied))
	must(t, i.check(t.Context(), m))
	m.ClearCache(false)
	wantKind(t, i.check(t.Context(), m), kms.Denied)
	if s := m.Status().Cache; s.Entries != 0 || revoked != 0 {
		t.Errorf("cache %+v, %d times revoked", s, revoked)
	}
	m.ClearCache(true)
	if revoked != 1 {
		t.Error("not revoked")
	}
}

// TestClearCacheDuringCall shows that a call which began before is not kept, and
// not joined by those who come after.
func TestClearCacheDuringCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, m, all := cold(t, nil, 1)
		site := w.sites["https://a"]
		site.set(nil, slow(time.Second, kmstest.OpUnwrap))
		early := make(chan error)
		go func() { early <- all[0].check(t.Context(), m) }()
		synctest.Wait()
		m.ClearCache(false)
		site.set(nil, failing(kms.Denied))
		wantKind(t, all[0].check(t.Context(), m), kms.Denied)
		must(t, <-early)
		wantKind(t, all[0].check(t.Context(), m), kms.Denied)
		must(t, m.Close())
	})
}

// TestClearCacheDuringGenerate shows the same of a KEK that is being made.
func TestClearCacheDuringGenerate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, m, _ := cold(t, nil, 1)
		w.sites["https://a"].set(nil, slow(time.Second, kmstest.OpGenerateKEK))
		made := make(chan error)
		go func() {
			kek, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", []byte("{}"))
			if err == nil {
				kek.Wipe()
			}
			made <- err
		}()
		synctest.Wait()
		m.ClearCache(false)
		must(t, <-made)
		if s := m.Status().Cache; s.Entries != 0 {
			t.Errorf("cache %+v", s)
		}
		must(t, m.Close())
	})
}

func TestDestroyKeyEndsLeases(t *testing.T) {
	t.Parallel()
	w := newWorld()
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	must(t, m.Do(t.Context(), cipher.InstanceID{}, func(ctx context.Context, s manager.Service) error {
		_, err := s.CreateKey(ctx, "other")
		return err
	}))
	i, other := issue(t, m, cipher.ModeSSEKMS, ""), issue(t, m, cipher.ModeSSEKMS, "other")
	must(t, m.DestroyKey(t.Context(), i.w.Instance, i.w.KeyID))
	wantKind(t, i.check(t.Context(), m), kms.NotFound)
	must(t, other.check(t.Context(), m))
	if s := m.Status().Cache; s.Entries != 1 {
		t.Errorf("cache %+v", s)
	}
}

// TestCheckEncrypt tells of a disabled key whose KEK is leased, leaves it to the lease where the backend cannot tell, and
// keeps a record of what was refused.
func TestCheckEncrypt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var refused []manager.Use
	w.options.Record = func(_ context.Context, use manager.Use) error {
		if use.Err != nil {
			refused = append(refused, use)
		}
		return nil
	}
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	i := issue(t, m, cipher.ModeSSEKMS, "")
	ref, err := m.Resolve(t.Context(), cipher.ModeSSEKMS, "")
	must(t, err)
	must(t, m.CheckEncrypt(t.Context(), ref))
	must(t, m.Do(t.Context(), cipher.InstanceID{}, func(ctx context.Context, s manager.Service) error {
		_, err := kms.DisableKey(ctx, s, ref.KeyID)
		return err
	}))
	wantKind(t, m.CheckEncrypt(t.Context(), ref), kms.Disabled)
	must(t, i.check(t.Context(), m))
	if len(refused) != 1 || refused[0].KeyID != ref.KeyID || !errors.Is(refused[0].Err, kms.Disabled) {
		t.Errorf("refused %+v", refused)
	}
	for _, kind := range []kms.Kind{kms.Unavailable, kms.Denied, kms.NotFound} {
		w.sites["https://a"].set(nil, failing(kind))
		must(t, m.CheckEncrypt(t.Context(), ref))
	}
}

// TestRequestsAreBounded asks backends that hang, one of which does not heed its
// context.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	deaf := func(by time.Duration) kmstest.Rule {
		return func(context.Context, kmstest.Op, string) error {
			time.Sleep(by)
			return nil
		}
	}
	all := []kmstest.Op{kmstest.OpUnwrap, kmstest.OpGenerateKEK}
	for name, rule := range map[string]kmstest.Rule{"slow": slow(time.Hour, all...), "deaf": deaf(time.Minute)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, m, issued := cold(t, nil, 1)
				w.sites["https://a"].set(nil, rule)
				for call, fn := range map[string]func() error{
					"unwrap": func() error { return issued[0].check(t.Context(), m) },
					"generate": func() error {
						_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "", nil)
						return err
					},
				} {
					start := time.Now()
					err := fn()
					wantKind(t, err, kms.Unavailable)
					if took := time.Since(start); took != manager.DefaultRequestTimeout {
						t.Errorf("%s took %v", call, took)
					}
				}
				time.Sleep(2 * time.Minute)
				w.sites["https://a"].set(nil, nil)
				must(t, issued[0].check(t.Context(), m))
				must(t, m.Close())
			})
		})
	}
}
