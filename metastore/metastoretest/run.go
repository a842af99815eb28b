package metastoretest

import (
	"context"
	"errors"
	"testing"

	"coffer/cipher"
	"coffer/metastore"
)

// Open opens a store that is not open. The first call finds it empty, a later
// one as the last Close left it.
type Open func(ctx context.Context) (metastore.Driver, error)

// Run holds a driver to its promises. fresh makes a place for one empty store
// and returns how to open it; it is called once for each case, and the cases
// run in parallel.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	cases := []struct {
		name string
		test func(t *testing.T, s *store)
	}{
		{"get, put and delete", testGetPutDelete},
		{"any key and value within the limits", testAnyKey},
		{"limits", testLimits},
		{"scan order and bounds", testScanBounds},
		{"scan of prefixes", testScanPrefix},
		{"scan stops when told", testScanStops},
		{"scan agrees with get", testScanAgreesWithGet},
		{"snapshot is stable under writes", testSnapshotStable},
		{"snapshot outlives deletes", testSnapshotOutlivesDelete},
		{"transaction sees its own writes", testOwnWrites},
		{"failed transaction leaves nothing", testFailedTransaction},
		{"write skew", testWriteSkew},
		{"lost update", testLostUpdate},
		{"read of an absent key conflicts", testAbsentConflict},
		{"read of a deleted key conflicts", testDeletedConflict},
		{"plain read does not conflict", testPlainReadNoConflict},
		{"blind writes do not conflict", testBlindWrites},
		{"phantom of a scan is not detected", testPhantomScan},
		{"phantom is detected by a guard key", testPhantomGuard},
		{"batch is all or nothing", testBatchAtomic},
		{"versions", testVersions},
		{"sequence numbers grow", testSequence},
		{"batch slices are not kept", testBatchNotKept},
		{"concurrent counters lose nothing", testCounters},
		{"concurrent transfers keep the sum", testTransfers},
		{"cancelled contexts", testCancelled},
		{"use after close", testAfterClose},
		{"close while writing", testCloseWhileWriting},
		{"reopen", testReopen},
		{"value edited", testValueEdited},
		{"value truncated", testValueTruncated},
		{"value moved to another key", testValueMoved},
		{"value of another store", testValueForeign},
		{"scan goes on behind a corrupt value", testScanPastCorrupt},
		{"model", testModel},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &store{open: fresh(t), box: newBox()}
			s.reopen(t)
			t.Cleanup(func() { s.close(t) })
			c.test(t, s)
		})
	}
}

// store is the store under test.
type store struct {
	open   Open
	box    *cipher.Box
	driver metastore.Driver
	db     *metastore.DB
}

// newBox returns a box under a key of its own.
func newBox() *cipher.Box { return cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelValues)) }

// reopen opens the store, after closing it if it is open.
func (s *store) reopen(t *testing.T) {
	t.Helper()
	s.close(t)
	d, err := s.open(t.Context())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	s.driver, s.db = d, metastore.New(d, s.box)
}

func (s *store) close(t *testing.T) {
	t.Helper()
	if s.driver == nil {
		return
	}
	if err := s.driver.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s.driver = nil
}

// put sets pairs of key and value in one transaction.
func (s *store) put(t *testing.T, pairs ...string) {
	t.Helper()
	s.update(t, func(tx *metastore.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) delete(t *testing.T, keys ...string) {
	t.Helper()
	s.update(t, func(tx *metastore.Tx) error {
		for _, key := range keys {
			if err := tx.Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) update(t *testing.T, fn func(*metastore.Tx) error) {
	t.Helper()
	if err := s.db.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func (s *store) view(t *testing.T, fn func(*metastore.View) error) {
	t.Helper()
	if err := s.db.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// absent stands for a key that is not there, where a test compares values.
const absent = "(absent)"

// reader is what View and Tx have in common.
type reader interface {
	Get(key []byte) ([]byte, error)
}

// get returns the value of key, or absent.
func get(t *testing.T, r reader, key string) string {
	t.Helper()
	value, err := r.Get([]byte(key))
	switch {
	case errors.Is(err, metastore.ErrNotFound):
		return absent
	case err != nil:
		t.Errorf("Get(%q): %v", key, err)
		return err.Error()
	default:
		return string(value)
	}
}

// want checks the value of key in a new snapshot.
func (s *store) want(t *testing.T, key, value string) {
	t.Helper()
	s.view(t, func(v *metastore.View) error {
		if got := get(t, v, key); got != value {
			t.Errorf("value of %q is %q, want %q", key, got, value)
		}
		return nil
	})
}

// scan returns keys and values of [from, to) in turn.
func scan(t *testing.T, v *metastore.View, from, to []byte) []string {
	t.Helper()
	var got []string
	for kv, err := range v.Scan(from, to) {
		if err != nil {
			t.Errorf("Scan(%q, %q): %v", from, to, err)
			return got
		}
		got = append(got, string(kv.Key), string(kv.Value))
	}
	return got
}

// apply applies writes through the driver, with the conditions given.
func (s *store) apply(t *testing.T, reads []metastore.Read, writes ...metastore.Write) (uint64, error) {
	t.Helper()
	return s.driver.Apply(t.Context(), metastore.Batch{Reads: reads, Writes: writes})
}

// sealed returns the write of a value sealed under the store's box.
func (s *store) sealed(key, value string) metastore.Write {
	return metastore.Write{Key: []byte(key), Value: s.box.Seal(nil, []byte(value), []byte(key))}
}

// version returns the version that a new snapshot has of key.
func (s *store) version(t *testing.T, key string) uint64 {
	t.Helper()
	snap, err := s.driver.Snapshot()
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	defer snap.Release()
	_, version, err := snap.Get([]byte(key))
	if err != nil && !errors.Is(err, metastore.ErrNotFound) {
		t.Fatalf("Get(%q): %v", key, err)
	}
	return version
}
