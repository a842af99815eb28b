package metastoretest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"coffer/metastore"
)

func testBatchAtomic(t *testing.T, s *store) {
	s.put(t, "a", "1", "b", "1")
	stale := []metastore.Read{{Key: []byte("b"), Version: s.version(t, "b")}, {Key: []byte("a"), Version: s.version(t, "a") + 1<<40}}
	if _, err := s.apply(t, stale, s.sealed("a", "2"), s.sealed("c", "2"), metastore.Write{Key: []byte("b")}); !errors.Is(err, metastore.ErrConflict) {
		t.Errorf("Apply with one condition of two that fails: %v, want ErrConflict", err)
	}
	s.want(t, "a", "1")
	s.want(t, "b", "1")
	s.want(t, "c", absent)

	// Readers never see a part of a batch.
	const keys, rounds = 20, 100
	var done sync.WaitGroup
	done.Go(func() {
		for i := range rounds {
			writes := make([]metastore.Write, keys)
			for k := range writes {
				writes[k] = s.sealed(fmt.Sprintf("set/%02d", k), strconv.Itoa(i))
			}
			if _, err := s.apply(t, nil, writes...); err != nil {
				t.Error(err)
			}
		}
	})
	for last := ""; last != strconv.Itoa(rounds-1) && !t.Failed(); {
		s.view(t, func(v *metastore.View) error {
			last = get(t, v, "set/00")
			for k := range keys {
				if got := get(t, v, fmt.Sprintf("set/%02d", k)); got != last {
					t.Errorf("a snapshot has set/00 = %s and set/%02d = %s", last, k, got)
				}
			}
			return nil
		})
	}
	done.Wait()
}

func testVersions(t *testing.T, s *store) {
	if got := s.version(t, "a"); got != 0 {
		t.Errorf("an absent key has version %d, want 0", got)
	}
	seen := map[uint64]bool{0: true}
	for i := range 20 {
		s.put(t, "a", "same")
		version := s.version(t, "a")
		if seen[version] {
			t.Errorf("write %d gives version %d again", i, version)
		}
		seen[version] = true
		s.put(t, "b", "other")
		if got := s.version(t, "a"); got != version {
			t.Errorf("a write of another key changes the version from %d to %d", version, got)
		}
	}
	snap, err := s.driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for item, err := range snap.Scan(nil, nil) {
		if want := s.version(t, string(item.Key)); item.Version != want || err != nil {
			t.Errorf("Scan has version %d of %s, %v; want %d", item.Version, item.Key, err, want)
		}
	}
	s.delete(t, "a")
	if got := s.version(t, "a"); got != 0 {
		t.Errorf("a deleted key has version %d, want 0", got)
	}
}

func testSequence(t *testing.T, s *store) {
	var last uint64
	next := func(seq uint64, err error) {
		t.Helper()
		if err != nil || seq <= last {
			t.Fatalf("Apply returns %d, %v after %d", seq, err, last)
		}
		last = seq
	}
	for range 5 {
		next(s.apply(t, nil, s.sealed("a", "1")))
	}
	if seq, err := s.apply(t, []metastore.Read{{Key: []byte("a")}}, s.sealed("a", "2")); seq != 0 || err == nil {
		t.Errorf("a refused batch has number %d, %v; want 0 and an error", seq, err)
	}
	next(s.apply(t, nil, metastore.Write{Key: []byte("a")}))
	s.reopen(t)
	next(s.apply(t, nil, s.sealed("b", "1")))

	var mu sync.Mutex
	seen := make(map[uint64]bool)
	var done sync.WaitGroup
	for i := range 64 {
		done.Go(func() {
			seq, err := s.driver.Apply(t.Context(), metastore.Batch{Writes: []metastore.Write{s.sealed(fmt.Sprint("k", i), "1")}})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seq <= last || seen[seq] {
				t.Errorf("a concurrent Apply returns %d, %v; seen before: %v", seq, err, seen[seq])
			}
			seen[seq] = true
		})
	}
	done.Wait()
}

func testBatchNotKept(t *testing.T, s *store) {
	key, value := []byte("a"), []byte("1")
	s.update(t, func(tx *metastore.Tx) error {
		if err := tx.Put(key, value); err != nil {
			return err
		}
		key[0], value[0] = 'x', 'x'
		return nil
	})
	s.want(t, "a", "1")
	batch := metastore.Batch{
		Reads:  []metastore.Read{{Key: []byte("b")}},
		Writes: []metastore.Write{s.sealed("b", "2"), {Key: []byte("a")}},
	}
	if _, err := s.driver.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i := range batch.Writes {
		clear(batch.Writes[i].Key)
		clear(batch.Writes[i].Value)
	}
	clear(batch.Reads[0].Key)
	s.want(t, "b", "2")
	s.want(t, "a", absent)
	s.view(t, func(v *metastore.View) error { // what a caller does to a value is its own affair
		value, err := v.Get([]byte("b"))
		clear(value)
		return err
	})
	s.want(t, "b", "2")
}

// testCounters increments few counters from many goroutines.
func testCounters(t *testing.T, s *store) {
	const goroutines, increments, counters = 16, 20, 3
	var done sync.WaitGroup
	for g := range goroutines {
		done.Go(func() {
			for i := range increments {
				key := fmt.Appendf(nil, "counter %d", (g+i)%counters)
				err := s.db.Update(t.Context(), func(tx *metastore.Tx) error {
					value, err := tx.GetForUpdate(key)
					if err != nil && !errors.Is(err, metastore.ErrNotFound) {
						return err
					}
					n, _ := strconv.Atoi(string(value))
					return tx.Put(key, strconv.AppendInt(nil, int64(n+1), 10))
				})
				if err != nil {
					t.Errorf("increment: %v", err)
				}
			}
		})
	}
	done.Wait()
	sum := 0
	s.view(t, func(v *metastore.View) error {
		for i := range counters {
			n, _ := strconv.Atoi(get(t, v, fmt.Sprintf("counter %d", i)))
			sum += n
		}
		return nil
	})
	if sum != goroutines*increments {
		t.Errorf("the counters add up to %d, want %d", sum, goroutines*increments)
	}
}

// testTransfers moves amounts between accounts while readers add them up.
func testTransfers(t *testing.T, s *store) {
	const accounts, each, goroutines, transfers = 8, 100, 8, 25
	name := func(i int) []byte { return fmt.Appendf(nil, "account %d", i) }
	s.update(t, func(tx *metastore.Tx) error {
		var err error
		for i := range accounts {
			err = errors.Join(err, tx.Put(name(i), strconv.AppendInt(nil, each, 10)))
		}
		return err
	})
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for range goroutines {
		writers.Go(func() {
			for range transfers {
				from := rand.IntN(accounts)
				to := (from + 1 + rand.IntN(accounts-1)) % accounts
				if err := s.db.Update(t.Context(), transfer(name(from), name(to), rand.IntN(50))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sum := func() (total int) {
		s.view(t, func(v *metastore.View) error {
			for kv, err := range v.Scan([]byte("account "), nil) {
				n, _ := strconv.Atoi(string(kv.Value))
				total += n
				if err != nil || n < 0 {
					t.Errorf("%s holds %d, %v", kv.Key, n, err)
				}
			}
			return nil
		})
		return total
	}
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := sum(); got != accounts*each {
				t.Errorf("the accounts hold %d while transfers run, want %d", got, accounts*each)
				return
			}
		}
	})
	writers.Wait()
	close(stop)
	readers.Wait()
	if got := sum(); got != accounts*each {
		t.Errorf("the accounts hold %d in the end, want %d", got, accounts*each)
	}
}

// transfer moves up to amount, and nothing that is not there.
func transfer(from, to []byte, amount int) func(tx *metastore.Tx) error {
	return func(tx *metastore.Tx) error {
		a, errA := tx.GetForUpdate(from)
		b, errB := tx.GetForUpdate(to)
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		x, errX := strconv.Atoi(string(a))
		y, errY := strconv.Atoi(string(b))
		n := min(amount, x)
		return errors.Join(errX, errY, tx.Put(from, strconv.AppendInt(nil, int64(x-n), 10)), tx.Put(to, strconv.AppendInt(nil, int64(y+n), 10)))
	}
}
