package metastoretest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"coffer/metastore"
)

func testCancelled(t *testing.T, s *store) {
	s.put(t, "a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := func() error { t.Error("the function runs under a cancelled context"); return nil }
	if err := s.db.View(ctx, func(*metastore.View) error { return never() }); !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v, want context.Canceled", err)
	}
	if err := s.db.Update(ctx, func(*metastore.Tx) error { return never() }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want context.Canceled", err)
	}
	if _, err := s.driver.Apply(ctx, metastore.Batch{Writes: []metastore.Write{s.sealed("a", "2")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v, want context.Canceled", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	err := s.db.Update(ctx, func(tx *metastore.Tx) error {
		cancel()
		return tx.Put([]byte("a"), []byte("3"))
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update cancelled by its function: %v, want context.Canceled", err)
	}
	s.want(t, "a", "1")

	// Cancelled at any moment: the answer tells whether the batch was applied.
	var done sync.WaitGroup
	for i := range 100 {
		done.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			key := fmt.Sprintf("k%d", i)
			go cancel()
			_, err := s.driver.Apply(ctx, metastore.Batch{Writes: []metastore.Write{s.sealed(key, "1")}})
			want := "1"
			if errors.Is(err, context.Canceled) {
				want = absent
			} else if err != nil {
				t.Errorf("Apply: %v", err)
			}
			s.want(t, key, want)
		})
	}
	done.Wait()
}

func testAfterClose(t *testing.T, s *store) {
	s.put(t, "a", "1")
	d, db := s.driver, s.db
	var view *metastore.View
	var tx *metastore.Tx
	s.view(t, func(v *metastore.View) error { view = v; return nil })
	s.update(t, func(x *metastore.Tx) error { tx = x; return x.Put([]byte("b"), []byte("1")) })
	ended := map[string]error{
		"View.Get":       second(view.Get([]byte("a"))),
		"Tx.Get":         second(tx.Get([]byte("b"))),
		"Tx.Put":         tx.Put([]byte("a"), nil),
		"Tx.Delete":      tx.Delete([]byte("a")),
		"GetForUpdate":   second(tx.GetForUpdate([]byte("a"))),
		"View.Scan":      scanError(view),
		"Tx.Scan in end": scanError(&tx.View),
	}
	s.close(t)
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v, want no error", err)
	}
	_, snapErr := d.Snapshot()
	_, applyErr := d.Apply(t.Context(), metastore.Batch{Writes: []metastore.Write{s.sealed("a", "2")}})
	ended["Snapshot after Close"] = snapErr
	ended["Apply after Close"] = applyErr
	ended["DB.View after Close"] = db.View(t.Context(), func(*metastore.View) error { return nil })
	ended["DB.Update after Close"] = db.Update(t.Context(), func(tx *metastore.Tx) error { return tx.Put([]byte("a"), nil) })
	for name, err := range ended {
		if !errors.Is(err, metastore.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

func second(_ []byte, err error) error { return err }

// scanError returns the error of a scan of everything.
func scanError(v *metastore.View) error {
	for _, err := range v.Scan(nil, nil) {
		if err != nil {
			return err
		}
	}
	return nil
}

// testCloseWhileWriting: what was acknowledged before or during Close is there
// afterwards, and what was refused is not.
func testCloseWhileWriting(t *testing.T, s *store) {
	const goroutines = 16
	var done sync.WaitGroup
	var acknowledged [goroutines]int
	var started atomic.Int64
	for g := range goroutines {
		done.Go(func() {
			for i := 0; ; i++ {
				err := s.db.Update(t.Context(), func(tx *metastore.Tx) error {
					return tx.Put(fmt.Appendf(nil, "%d/%d", g, i), []byte("1"))
				})
				if err != nil {
					if !errors.Is(err, metastore.ErrClosed) {
						t.Errorf("Update during Close: %v, want ErrClosed", err)
					}
					acknowledged[g] = i
					return
				}
				started.Add(1)
			}
		})
	}
	for started.Load() < 5*goroutines {
		s.put(t, "x", "1")
	}
	if err := s.driver.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	done.Wait()
	s.reopen(t)
	for g, n := range acknowledged {
		if n > 0 {
			s.want(t, fmt.Sprintf("%d/%d", g, n-1), "1")
		}
		s.want(t, fmt.Sprintf("%d/%d", g, n), absent)
	}
}

func testReopen(t *testing.T, s *store) {
	for round := range 4 {
		for i := range 50 {
			s.put(t, fmt.Sprintf("k%02d", i), fmt.Sprintf("%d/%d", round, i), fmt.Sprintf("once %d/%d", round, i), strings.Repeat("v", i*100))
		}
		s.delete(t, fmt.Sprintf("k%02d", round), "never was")
		s.reopen(t)
		for i := range 50 {
			want := fmt.Sprintf("%d/%d", round, i)
			if i == round {
				want = absent
			}
			s.want(t, fmt.Sprintf("k%02d", i), want)
			s.want(t, fmt.Sprintf("once %d/%d", round, i), strings.Repeat("v", i*100))
		}
	}
}
