package metastore_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/metastore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an empty store whose answers the test gives.
type fake struct {
	apply    func(metastore.Batch) error
	snapshot error
	applied  atomic.Int64
	open     atomic.Int64 // snapshots not released
}

func (f *fake) Snapshot() (metastore.Snapshot, error) {
	if f.snapshot != nil {
		return nil, f.snapshot
	}
	f.open.Add(1)
	return &fakeSnapshot{f: f}, nil
}

func (f *fake) Apply(_ context.Context, b metastore.Batch) (uint64, error) {
	f.applied.Add(1)
	return 1, f.apply(b)
}

func (f *fake) Close() error { return nil }

type fakeSnapshot struct{ f *fake }

func (s *fakeSnapshot) Get([]byte) ([]byte, uint64, error) { return nil, 0, metastore.ErrNotFound }
func (s *fakeSnapshot) Release()                           { s.f.open.Add(-1) }
func (s *fakeSnapshot) Scan(_, _ []byte) iter.Seq2[metastore.Item, error] {
	return func(yield func(metastore.Item, error) bool) { yield(metastore.Item{}, errBroken) }
}

var errBroken = errors.New("broken disk")

func newDB(f *fake) *metastore.DB {
	return metastore.New(f, cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelValues)))
}

func putOne(tx *metastore.Tx) error { return tx.Put([]byte("k"), []byte("v")) }

func TestUpdateRunsAgain(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		conflicts int // before Apply succeeds; -1 is always
		then      error
		wantErr   error
		wantRuns  int
	}{
		{"no conflict", 0, nil, nil, 1},
		{"one conflict", 1, nil, nil, 2},
		{"some conflicts", 10, nil, nil, 11},
		{"conflicts without end", -1, nil, metastore.ErrConflict, 64},
		{"a failed flush is not tried again", 0, metastore.ErrFailed, metastore.ErrFailed, 1},
		{"nor one after a conflict", 1, metastore.ErrFailed, metastore.ErrFailed, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			left := c.conflicts
			f := &fake{apply: func(metastore.Batch) error {
				if left != 0 {
					left--
					return metastore.ErrConflict
				}
				return c.then
			}}
			runs := 0
			err := newDB(f).Update(t.Context(), func(tx *metastore.Tx) error { runs++; return putOne(tx) })
			if !errors.Is(err, c.wantErr) || runs != c.wantRuns || f.open.Load() != 0 {
				t.Errorf("%v after %d runs, %d snapshots left open; want %v after %d, 0", err, runs, f.open.Load(), c.wantErr, c.wantRuns)
			}
		})
	}
}

// TestContended: of many transactions that keep meeting conflicts one at a time
// runs, so that they do not go on disturbing each other.
func TestContended(t *testing.T) {
	t.Parallel()
	var inside, most atomic.Int64
	f := &fake{apply: func(metastore.Batch) error { return metastore.ErrConflict }}
	db := newDB(f)
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			runs := 0
			err := db.Update(t.Context(), func(tx *metastore.Tx) error {
				if runs++; runs > 3 {
					most.Store(max(most.Load(), inside.Add(1)))
					time.Sleep(10 * time.Microsecond)
					defer inside.Add(-1)
				}
				return putOne(tx)
			})
			if !errors.Is(err, metastore.ErrConflict) {
				t.Errorf("Update: %v, want ErrConflict", err)
			}
		})
	}
	done.Wait()
	if most.Load() != 1 {
		t.Errorf("%d contended transactions run at once", most.Load())
	}
}

func TestUpdateCancelled(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 2, 5} { // the wait before a run, and the wait for the others
		ctx, cancel := context.WithCancel(t.Context())
		runs := 0
		f := &fake{apply: func(metastore.Batch) error {
			if runs == after {
				cancel()
			}
			return metastore.ErrConflict
		}}
		err := newDB(f).Update(ctx, func(tx *metastore.Tx) error { runs++; return putOne(tx) })
		if !errors.Is(err, context.Canceled) || runs != after {
			t.Errorf("%v after %d runs, want context.Canceled after %d", err, runs, after)
		}
		cancel()
	}
}

func TestErrorsPass(t *testing.T) {
	t.Parallel()
	f := &fake{snapshot: errBroken}
	db := newDB(f)
	never := errors.New("the function ran")
	if err := db.View(t.Context(), func(*metastore.View) error { return never }); !errors.Is(err, errBroken) {
		t.Errorf("View: %v, want %v", err, errBroken)
	}
	if err := db.Update(t.Context(), func(*metastore.Tx) error { return never }); !errors.Is(err, errBroken) {
		t.Errorf("Update: %v, want %v", err, errBroken)
	}
	f.snapshot = nil
	err := db.View(t.Context(), func(v *metastore.View) error {
		for _, err := range v.Scan(nil, nil) {
			return err
		}
		return nil
	})
	if !errors.Is(err, errBroken) {
		t.Errorf("Scan: %v, want %v", err, errBroken)
	}
}

// TestReadOnlyUpdate: what writes nothing is not handed to the driver.
func TestReadOnlyUpdate(t *testing.T) {
	t.Parallel()
	f := &fake{apply: func(metastore.Batch) error { return errBroken }}
	err := newDB(f).Update(t.Context(), func(tx *metastore.Tx) error {
		if _, err := tx.GetForUpdate([]byte("k")); !errors.Is(err, metastore.ErrNotFound) {
			return err
		}
		return nil
	})
	if err != nil || f.applied.Load() != 0 {
		t.Errorf("Update: %v, and %d batches applied", err, f.applied.Load())
	}
}

// TestBatch: the driver gets each key once, as the transaction left it, sealed
// under its key, and intact though the memory of transactions is used again.
func TestBatch(t *testing.T) {
	t.Parallel()
	box := cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelValues))
	long := strings.Repeat("long", 10_000)
	var reads []string
	got := make(map[string]string)
	f := &fake{apply: func(b metastore.Batch) error {
		for _, r := range b.Reads {
			reads = append(reads, string(r.Key))
		}
		for _, w := range b.Writes {
			if _, twice := got[string(w.Key)]; twice {
				t.Errorf("%q is written twice", w.Key)
			}
			if w.Value == nil {
				got[string(w.Key)] = "(deleted)"
				continue
			}
			value, err := box.Open(nil, w.Value, w.Key)
			if err != nil {
				return err
			}
			got[string(w.Key)] = string(value)
		}
		return nil
	}}
	db := metastore.New(f, box)
	for range 3 {
		clear(got)
		reads = nil
		err := db.Update(t.Context(), func(tx *metastore.Tx) error {
			for _, key := range []string{"r1", "r2", "r1"} {
				if _, err := tx.GetForUpdate([]byte(key)); !errors.Is(err, metastore.ErrNotFound) {
					return err
				}
			}
			return errors.Join(
				tx.Put([]byte("a"), []byte("1")), tx.Put([]byte("long"), []byte(long)), tx.Put([]byte("a"), []byte("2")),
				tx.Delete([]byte("d")), tx.Put([]byte("e"), nil), tx.Put([]byte("x"), []byte("1")), tx.Delete([]byte("x")))
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"a": "2", "long": long, "d": "(deleted)", "e": "", "x": "(deleted)"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("writes (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"r1", "r2"}, reads); diff != "" {
			t.Errorf("reads (-want +got)\n%s", diff)
		}
	}
}

// TestUnusableKey: a key that is gone is not called damage of the store.
func TestUnusableKey(t *testing.T) {
	t.Parallel()
	f := &fake{}
	stored := stored{fake: f, value: make([]byte, 100)}
	err := metastore.New(stored, cipher.NewBox(new(cipher.Subkey))).View(t.Context(), func(v *metastore.View) error {
		_, err := v.Get([]byte("k"))
		return err
	})
	if !errors.Is(err, cipher.ErrKey) || errors.Is(err, metastore.ErrCorrupt) {
		t.Errorf("Get without a key: %v, want cipher.ErrKey", err)
	}
}

// stored is a store with one value under every key.
type stored struct {
	*fake
	value []byte
}

func (s stored) Snapshot() (metastore.Snapshot, error) { return &storedSnapshot{value: s.value}, nil }

type storedSnapshot struct {
	fakeSnapshot
	value []byte
}

func (s *storedSnapshot) Get([]byte) ([]byte, uint64, error) { return s.value, 1, nil }
func (s *storedSnapshot) Release()                           {}

func TestPrefixRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prefix, to string
		open       bool
	}{
		{"", "", true}, {"a", "b", false}, {"a/", "a0", false}, {"a\xff", "b", false}, {"a\xff\xff", "b", false},
		{"\x00", "\x01", false}, {"\xff", "", true}, {"\xff\xff", "", true}, {"\xfe\xff", "\xff", false},
	} {
		prefix := []byte(c.prefix)
		from, to := metastore.PrefixRange(prefix)
		if string(from) != c.prefix || string(prefix) != c.prefix || string(to) != c.to || (to == nil) != c.open {
			t.Errorf("PrefixRange(%q) = %q, %q", c.prefix, from, to)
		}
	}
}

func TestLimitError(t *testing.T) {
	t.Parallel()
	err := error(&metastore.LimitError{Quantity: metastore.KeySize, Got: 5000, Max: 4096})
	if !errors.Is(err, metastore.ErrLimit) || errors.Is(err, metastore.ErrConflict) {
		t.Errorf("%v is not an ErrLimit, or more than that", err)
	}
	for _, want := range []string{"key size", "5000", "4096"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
