package memdb_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"coffer/metastore"
	"coffer/metastore/memdb"
	"coffer/metastore/metastoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	metastoretest.Run(t, func(*testing.T) metastoretest.Open {
		db := memdb.New()
		return func(context.Context) (metastore.Driver, error) {
			db = db.Crash()
			return db, nil
		}
	})
}

// TestCrash: what was acknowledged before the crash is there after it, whole,
// and neither of the two stores sees what the other does then.
func TestCrash(t *testing.T) {
	t.Parallel()
	db := memdb.New()
	put := func(db *memdb.DB, keys ...string) {
		t.Helper()
		var writes []metastore.Write
		for _, key := range keys {
			writes = append(writes, metastore.Write{Key: []byte(key), Value: []byte("v")})
		}
		if _, err := db.Apply(t.Context(), metastore.Batch{Writes: writes}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(db *memdb.DB, key string) bool {
		t.Helper()
		snap, err := db.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		_, _, err = snap.Get([]byte(key))
		if err != nil && !errors.Is(err, metastore.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}

	var done sync.WaitGroup
	for i := range 50 {
		done.Go(func() { put(db, fmt.Sprintf("%d/a", i), fmt.Sprintf("%d/b", i)) })
	}
	var crashes []*memdb.DB
	for range 50 {
		crashes = append(crashes, db.Crash())
	}
	done.Wait()
	for _, crashed := range crashes {
		for i := range 50 {
			if a, b := has(crashed, fmt.Sprintf("%d/a", i)), has(crashed, fmt.Sprintf("%d/b", i)); a != b {
				t.Errorf("after a crash batch %d is there in part", i)
			}
		}
	}

	crashed := db.Crash()
	put(db, "before")
	put(crashed, "after")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := db.Crash()
	for _, c := range []struct {
		db   *memdb.DB
		key  string
		want bool
	}{
		{crashed, "0/a", true}, {crashed, "49/b", true}, {crashed, "before", false}, {crashed, "after", true},
		{again, "0/a", true}, {again, "before", true}, {again, "after", false},
	} {
		if got := has(c.db, c.key); got != c.want {
			t.Errorf("%s is there: %v, want %v", c.key, got, c.want)
		}
	}
}

func BenchmarkPut(b *testing.B) { metastoretest.Benchmark(b, memdb.New(), 64) }
