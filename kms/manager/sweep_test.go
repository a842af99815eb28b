package manager_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/manager"
)

const day = 24 * time.Hour

// do calls fn with the serving backend.
func do(t *testing.T, m *manager.Manager, fn func(ctx context.Context, s manager.Service) error) {
	t.Helper()
	must(t, m.Do(t.Context(), cipher.InstanceID{}, fn))
}

var errUncounted = errors.New("the census is away")

// countByName says what needs a key by what it is called.
func countByName(_ context.Context, key kms.KeyRef) (manager.Counts, error) {
	switch key.KeyID {
	case "needed":
		return manager.Counts{KEKs: 1, Objects: 2}, nil
	case "uncounted":
		return manager.Counts{}, errUncounted
	}
	return manager.Counts{}, nil
}

// prepareSweep makes keys that will be due, and KEKs of "free" and "needed".
func prepareSweep(t *testing.T, m *manager.Manager) (free, needed issued) {
	t.Helper()
	do(t, m, func(ctx context.Context, s manager.Service) error {
		for _, id := range []string{"free", "later", "needed", "uncounted", "old", "old and off", "untouched"} {
			if _, err := s.CreateKey(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
	free, needed = issue(t, m, cipher.ModeSSEKMS, "free"), issue(t, m, cipher.ModeSSEKMS, "needed")
	do(t, m, func(ctx context.Context, s manager.Service) error {
		var errs []error
		for id, window := range map[string]time.Duration{"free": 7 * day, "needed": 7 * day, "uncounted": 7 * day, "later": 30 * day} {
			_, err := kms.ScheduleDeletion(ctx, s, id, window)
			errs = append(errs, err)
		}
		for _, id := range []string{"old", "old and off"} {
			_, err := kms.SetMaxAge(ctx, s, id, 5*day)
			errs = append(errs, err)
		}
		_, err := kms.DisableKey(ctx, s, "old and off")
		return errors.Join(append(errs, err)...)
	})
	return free, needed
}

// TestSweep lets the waiting time of keys pass.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		sweeps := make(chan []manager.Swept, 100)
		w.options.OnSwept = func(_ context.Context, s []manager.Swept) { sweeps <- s }
		var mu sync.Mutex
		records := map[string]manager.Use{}
		w.options.Record = func(_ context.Context, u manager.Use) error {
			mu.Lock()
			defer mu.Unlock()
			records[u.Op] = u
			return nil
		}
		w.options.RotateDue = true
		w.options.SweepInterval = time.Hour
		w.options.KeyReferences = countByName
		m := w.open(t)
		c := vault("https://a")
		c.CacheTTL = 2 * time.Hour
		must(t, m.Apply(t.Context(), c))
		free, needed := prepareSweep(t, m)
		time.Sleep(5*day - time.Minute)
		synctest.Wait()
		if len(sweeps) != 0 {
			t.Errorf("swept too early: %+v", <-sweeps)
		}
		time.Sleep(2 * day)
		must(t, free.check(t.Context(), m)) // leased for longer than the key has
		time.Sleep(2*time.Minute + time.Hour)
		synctest.Wait()
		in := m.Status().Instance
		want := []manager.Swept{
			{Instance: in, KeyID: "old", Rotated: true},
			{Instance: in, KeyID: "free", Deletion: true, Destroyed: true},
			{Instance: in, KeyID: "needed", Deletion: true, Counts: manager.Counts{KEKs: 1, Objects: 2}},
			{Instance: in, KeyID: "uncounted", Deletion: true, Err: errUncounted},
		}
		if diff := cmp.Diff(want, append(<-sweeps, <-sweeps...), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("swept (-want +got):\n%s", diff)
		}
		for _, use := range []manager.Use{
			{Op: manager.OpRotate, Instance: in, KeyID: "old", Version: 2}, {Op: manager.OpDestroy, Instance: in, KeyID: "free", Version: 1},
		} {
			mu.Lock()
			got := records[use.Op]
			mu.Unlock()
			if got != use {
				t.Errorf("the record of %s is %+v", use.Op, got)
			}
		}
		wantKind(t, free.check(t.Context(), m), kms.NotFound)
		m.ClearCache(false)
		must(t, needed.check(t.Context(), m))
		do(t, m, func(ctx context.Context, s manager.Service) error {
			for id, versions := range map[string]int{"later": 1, "needed": 1, "uncounted": 1, "old": 2, "old and off": 1, "untouched": 1} {
				if info, err := s.DescribeKey(ctx, id); err != nil || len(info.Versions) != versions {
					return fmt.Errorf("%s has %d versions, %w", id, len(info.Versions), err)
				}
			}
			return nil
		})
		must(t, m.Close())
	})
}

// TestMaxAgeOfAllKeys rotates by the age that is set for all keys, but where a key has one of its own.
func TestMaxAgeOfAllKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.options.RotateDue, w.options.KeyMaxAge, w.options.SweepInterval = true, 2*day, 30*day
		m := w.open(t)
		must(t, m.Apply(t.Context(), vault("https://a")))
		do(t, m, func(ctx context.Context, s manager.Service) error {
			for _, id := range []string{"of-all", "of-its-own"} {
				if _, err := s.CreateKey(ctx, id); err != nil {
					return err
				}
			}
			_, err := kms.SetMaxAge(ctx, s, "of-its-own", 10*day)
			return err
		})
		time.Sleep(3 * day)
		swept, err := m.Sweep(t.Context())
		must(t, err)
		if !slices.ContainsFunc(swept, func(s manager.Swept) bool { return s.KeyID == "of-all" && s.Rotated }) ||
			slices.ContainsFunc(swept, func(s manager.Swept) bool { return s.KeyID == "of-its-own" }) {
			t.Errorf("swept %+v", swept)
		}
		must(t, m.Close())
	})
}

// TestNobodyCounts destroys nothing where nobody says what is needed.
func TestNobodyCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		m := w.open(t)
		must(t, m.Apply(t.Context(), vault("https://a")))
		i := issue(t, m, cipher.ModeSSEKMS, "")
		do(t, m, func(ctx context.Context, s manager.Service) error {
			_, err := kms.ScheduleDeletion(ctx, s, i.w.KeyID, kms.MinDeletionWindow)
			return err
		})
		time.Sleep(60 * day)
		if swept, err := m.Sweep(t.Context()); len(swept) != 0 || err != nil {
			t.Errorf("swept %+v, %v", swept, err)
		}
		must(t, i.check(t.Context(), m))
		must(t, m.Close())
	})
}
