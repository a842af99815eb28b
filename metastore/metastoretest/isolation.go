package metastoretest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/metastore"
)

func testSnapshotStable(t *testing.T, s *store) {
	s.put(t, "a", "1", "b", "1", "c", "1")
	want := []string{"a", "1", "b", "1", "c", "1"}
	s.view(t, func(v *metastore.View) error {
		for i := range 200 {
			s.put(t, "b", fmt.Sprint(i))
			s.update(t, func(tx *metastore.Tx) error { // read for update: drivers may remember such keys
				_, err := tx.GetForUpdate([]byte("b"))
				return errors.Join(err, tx.Put(fmt.Appendf(nil, "new %d", i), nil), tx.Delete([]byte("a")))
			})
			s.want(t, "b", fmt.Sprint(i))
			if got := get(t, v, "b"); got != "1" {
				t.Fatalf("after %d writes the snapshot has b = %q, want 1", i+1, got)
			}
		}
		if diff := cmp.Diff(want, scan(t, v, nil, nil)); diff != "" {
			t.Errorf("scan of the snapshot (-want +got)\n%s", diff)
		}
		step := 0
		for kv, err := range v.Scan(nil, nil) { // writes while the scan runs
			if err != nil {
				return err
			}
			s.put(t, string(kv.Key)+"+", "x", "c", fmt.Sprint(step))
			step++
		}
		if step != 3 {
			t.Errorf("a scan during writes yields %d keys, want 3", step)
		}
		return nil
	})
	s.want(t, "a", absent)
	s.want(t, "b", "199")
}

func testSnapshotOutlivesDelete(t *testing.T, s *store) {
	s.put(t, "a", "1")
	old, err := s.driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s.delete(t, "a")
	mid, err := s.driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "a", "2")
	mid.Release()
	mid.Release()
	if _, version, err := old.Get([]byte("a")); err != nil || version == 0 {
		t.Errorf("the old snapshot has version %d, %v; want the value", version, err)
	}
	if _, version, err := old.Get([]byte("never was")); !errors.Is(err, metastore.ErrNotFound) || version != 0 {
		t.Errorf("an absent key has version %d, %v; want 0 and ErrNotFound", version, err)
	}
	old.Release()
	old.Release()
	s.want(t, "a", "2")
}

func testOwnWrites(t *testing.T, s *store) {
	s.put(t, "a", "1", "b", "1", "gone", "1")
	s.update(t, func(tx *metastore.Tx) error {
		err := errors.Join(tx.Put([]byte("a"), []byte("2")), tx.Put([]byte("a"), []byte("3")), tx.Put([]byte("new"), []byte("1")),
			tx.Delete([]byte("gone")), tx.Put([]byte("back"), nil), tx.Delete([]byte("back")), tx.Put([]byte("back"), []byte("again")))
		if err != nil {
			return err
		}
		got := []string{get(t, tx, "a"), get(t, tx, "b"), get(t, tx, "gone"), get(t, tx, "new"), get(t, tx, "back")}
		if diff := cmp.Diff([]string{"3", "1", absent, "1", "again"}, got); diff != "" {
			t.Errorf("Get (-want +got)\n%s", diff)
		}
		value, err := tx.GetForUpdate([]byte("a"))
		if string(value) != "3" || err != nil {
			t.Errorf("GetForUpdate of an own write is %q, %v; want 3", value, err)
		}
		if _, err := tx.GetForUpdate([]byte("gone")); !errors.Is(err, metastore.ErrNotFound) {
			t.Errorf("GetForUpdate of an own delete: %v, want ErrNotFound", err)
		}
		want := []string{"a", "1", "b", "1", "gone", "1"}
		if diff := cmp.Diff(want, scan(t, &tx.View, nil, nil)); diff != "" {
			t.Errorf("Scan (-want +got)\n%s", diff)
		}
		return nil
	})
	s.view(t, func(v *metastore.View) error {
		want := []string{"a", "3", "b", "1", "back", "again", "new", "1"}
		if diff := cmp.Diff(want, scan(t, v, nil, nil)); diff != "" {
			t.Errorf("after the commit (-want +got)\n%s", diff)
		}
		return nil
	})
}

func testFailedTransaction(t *testing.T, s *store) {
	s.put(t, "a", "1")
	boom := errors.New("boom")
	runs := 0
	err := s.db.Update(t.Context(), func(tx *metastore.Tx) error {
		runs++
		return errors.Join(tx.Put([]byte("a"), []byte("2")), tx.Put([]byte("b"), nil), boom)
	})
	if !errors.Is(err, boom) || runs != 1 {
		t.Errorf("Update returns %v after %d runs, want the function's error after one", err, runs)
	}
	s.want(t, "a", "1")
	s.want(t, "b", absent)
}

// race runs a transaction while another commits between its reads and its own
// commit, and returns how often it had to run.
func (s *store) race(t *testing.T, fn func(tx *metastore.Tx) error, rival func()) (runs int) {
	t.Helper()
	s.update(t, func(tx *metastore.Tx) error {
		runs++
		if err := fn(tx); err != nil {
			return err
		}
		if runs == 1 {
			rival()
		}
		return nil
	})
	return runs
}

func wantRuns(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("the transaction ran %d times, want %d", got, want)
	}
}

// testWriteSkew: two doctors are on call and each leaves because the other is
// there. One of the two must notice.
func testWriteSkew(t *testing.T, s *store) {
	leave := func(me, other string) func(tx *metastore.Tx) error {
		return func(tx *metastore.Tx) error {
			if _, err := tx.GetForUpdate([]byte(other)); errors.Is(err, metastore.ErrNotFound) {
				return nil // stays
			} else if err != nil {
				return err
			}
			return tx.Delete([]byte(me))
		}
	}
	s.put(t, "alice", "on call", "bob", "on call")
	runs := s.race(t, leave("alice", "bob"), func() { s.update(t, leave("bob", "alice")) })
	wantRuns(t, runs, 2)
	s.want(t, "alice", "on call")
	s.want(t, "bob", absent)

	// The same through the driver, both handed over at once.
	for range 50 {
		s.put(t, "alice", "on call", "bob", "on call")
		a, b := s.version(t, "alice"), s.version(t, "bob")
		errs := make(chan error, 2)
		for _, batch := range []metastore.Batch{
			{Reads: []metastore.Read{{Key: []byte("alice"), Version: a}}, Writes: []metastore.Write{{Key: []byte("bob")}}},
			{Reads: []metastore.Read{{Key: []byte("bob"), Version: b}}, Writes: []metastore.Write{{Key: []byte("alice")}}},
		} {
			go func() {
				_, err := s.driver.Apply(t.Context(), batch)
				errs <- err
			}()
		}
		failed := 0
		for range 2 {
			if err := <-errs; errors.Is(err, metastore.ErrConflict) {
				failed++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if failed != 1 {
			t.Fatalf("%d of two skewed batches fail, want 1", failed)
		}
	}
}

func testLostUpdate(t *testing.T, s *store) {
	s.put(t, "n", "1")
	runs := s.race(t, func(tx *metastore.Tx) error {
		value, err := tx.GetForUpdate([]byte("n"))
		return errors.Join(err, tx.Put([]byte("n"), append(value, '+')))
	}, func() { s.put(t, "n", "2") })
	wantRuns(t, runs, 2)
	s.want(t, "n", "2+")
}

// testAbsentConflict: a conditional put that may only create.
func testAbsentConflict(t *testing.T, s *store) {
	exists := errors.New("exists")
	create := func(tx *metastore.Tx) error {
		if _, err := tx.GetForUpdate([]byte("name")); !errors.Is(err, metastore.ErrNotFound) {
			return errors.Join(exists, err)
		}
		return tx.Put([]byte("name"), []byte("mine"))
	}
	runs := 0
	err := s.db.Update(t.Context(), func(tx *metastore.Tx) error {
		runs++
		if err := create(tx); err != nil {
			return err
		}
		s.put(t, "name", "theirs")
		return nil
	})
	if !errors.Is(err, exists) || runs != 2 {
		t.Errorf("create over a created name: %v after %d runs, want %v after 2", err, runs, exists)
	}
	s.want(t, "name", "theirs")
}

func testDeletedConflict(t *testing.T, s *store) {
	s.put(t, "a", "1")
	s.delete(t, "a")
	read := func(tx *metastore.Tx) error {
		_, err := tx.GetForUpdate([]byte("a"))
		if err != nil && !errors.Is(err, metastore.ErrNotFound) {
			return err
		}
		return tx.Put([]byte("b"), nil)
	}
	wantRuns(t, s.race(t, read, func() { s.put(t, "a", "2") }), 2)
	wantRuns(t, s.race(t, read, func() { s.delete(t, "a") }), 2)
	wantRuns(t, s.race(t, read, func() { s.put(t, "other", "2") }), 1)
}

func testPlainReadNoConflict(t *testing.T, s *store) {
	s.put(t, "a", "1")
	runs := s.race(t, func(tx *metastore.Tx) error {
		return tx.Put([]byte("copy"), []byte(get(t, tx, "a")))
	}, func() { s.put(t, "a", "2") })
	wantRuns(t, runs, 1)
	s.want(t, "copy", "1")
}

func testBlindWrites(t *testing.T, s *store) {
	runs := s.race(t, func(tx *metastore.Tx) error {
		return errors.Join(tx.Put([]byte("a"), []byte("mine")), tx.Delete([]byte("b")))
	}, func() { s.put(t, "a", "theirs", "b", "theirs") })
	wantRuns(t, runs, 1)
	s.want(t, "a", "mine")
	s.want(t, "b", absent)
}

// testPhantomScan holds the drivers to the documentation of the package: a
// transaction that must not rely on a scan should fail here, not in the field
// under the one driver that promises less.
func testPhantomScan(t *testing.T, s *store) {
	runs := s.race(t, func(tx *metastore.Tx) error {
		return tx.Put([]byte("count"), fmt.Append(nil, len(scan(t, &tx.View, []byte("m/"), []byte("m0")))/2))
	}, func() { s.put(t, "m/1", "x") })
	wantRuns(t, runs, 1)
	s.want(t, "count", "0")
}

func testPhantomGuard(t *testing.T, s *store) {
	add := func() { s.put(t, "m/1", "x", "m guard", "1") }
	runs := s.race(t, func(tx *metastore.Tx) error {
		if _, err := tx.GetForUpdate([]byte("m guard")); err != nil && !errors.Is(err, metastore.ErrNotFound) {
			return err
		}
		return tx.Put([]byte("count"), fmt.Append(nil, len(scan(t, &tx.View, []byte("m/"), []byte("m0")))/2))
	}, add)
	wantRuns(t, runs, 2)
	s.want(t, "count", "1")
}
