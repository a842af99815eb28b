package metastoretest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coffer/metastore"
)

// testModel runs random operations on the store and on a map. The store is not
// emptied between sequences: each has a prefix of its own, which also shows that
// neighbours do not disturb it.
func testModel(t *testing.T, s *store) {
	sequence := 0
	rapid.Check(t, func(rt *rapid.T) {
		sequence++
		m := &model{t: t, s: s, prefix: fmt.Sprintf("model %06d/", sequence), want: make(map[string]string)}
		defer m.release()
		rt.Repeat(map[string]func(*rapid.T){
			"update":   m.update,
			"scan":     m.scan,
			"snapshot": m.snapshot,
			"reopen":   m.reopen,
			"":         m.check,
		})
	})
}

// model is a map that should hold what the store holds under a prefix.
type model struct {
	t      *testing.T
	s      *store
	prefix string
	want   map[string]string

	old     metastore.Snapshot // a snapshot taken earlier
	oldWant map[string]string
}

func (m *model) key(rt *rapid.T) string {
	return m.prefix + rapid.StringMatching(`[ab\xff]{0,4}`).Draw(rt, "key")
}

func (m *model) update(rt *rapid.T) {
	next := maps.Clone(m.want)
	abort := rapid.IntRange(0, 4).Draw(rt, "abort") == 0
	boom := errors.New("boom")
	steps := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 8).Draw(rt, "steps")
	keys := make([]string, len(steps))
	values := make([]string, len(steps))
	for i := range steps {
		keys[i] = m.key(rt)
		values[i] = rapid.StringN(0, 20, 40).Draw(rt, "value")
	}
	err := m.s.db.Update(m.t.Context(), func(tx *metastore.Tx) error {
		for i, step := range steps {
			if err := m.step(rt, tx, step, keys[i], values[i], next); err != nil {
				return err
			}
		}
		if abort {
			return boom
		}
		return nil
	})
	switch {
	case abort && !errors.Is(err, boom):
		rt.Fatalf("aborted Update returns %v", err)
	case abort:
	case err != nil:
		rt.Fatalf("Update: %v", err)
	default:
		m.want = next
	}
}

func (m *model) step(rt *rapid.T, tx *metastore.Tx, step int, key, value string, next map[string]string) error {
	switch step {
	case 0:
		delete(next, key)
		return tx.Delete([]byte(key))
	case 1, 2:
		next[key] = value
		return tx.Put([]byte(key), []byte(value))
	}
	read := tx.Get
	if len(value)%2 == 0 {
		read = tx.GetForUpdate
	}
	got, err := read([]byte(key))
	want, ok := next[key]
	if ok != (err == nil) || ok && string(got) != want || !ok && !errors.Is(err, metastore.ErrNotFound) {
		rt.Fatalf("in a transaction %q is %q, %v; want %q, %v", key, got, err, want, ok)
	}
	return nil
}

func (m *model) scan(rt *rapid.T) {
	from, to := m.key(rt), m.key(rt)
	var want, got []string
	for _, key := range slices.Sorted(maps.Keys(m.want)) {
		if key >= from && key < to {
			want = append(want, key, m.want[key])
		}
	}
	err := m.s.db.View(m.t.Context(), func(v *metastore.View) error {
		for kv, err := range v.Scan([]byte(from), []byte(to)) {
			if err != nil {
				return err
			}
			got = append(got, string(kv.Key), string(kv.Value))
		}
		return nil
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		rt.Fatalf("Scan(%q, %q): %v (-want +got)\n%s", from, to, err, diff)
	}
}

// snapshot compares the snapshot taken last time, and takes another.
func (m *model) snapshot(rt *rapid.T) {
	m.compareOld(rt)
	m.release()
	snap, err := m.s.driver.Snapshot()
	if err != nil {
		rt.Fatal(err)
	}
	m.old, m.oldWant = snap, maps.Clone(m.want)
}

func (m *model) reopen(rt *rapid.T) {
	if rapid.IntRange(0, 19).Draw(rt, "reopen") > 0 {
		return // it takes long
	}
	m.compareOld(rt)
	m.release()
	m.s.reopen(m.t)
}

func (m *model) compareOld(rt *rapid.T) {
	if m.old == nil {
		return
	}
	got := make(map[string]string)
	from, to := metastore.PrefixRange([]byte(m.prefix))
	for item, err := range m.old.Scan(from, to) {
		if err != nil {
			rt.Fatal(err)
		}
		value, err := m.s.box.Open(nil, item.Value, item.Key)
		if err != nil {
			rt.Fatal(err)
		}
		got[string(item.Key)] = string(value)
	}
	if diff := cmp.Diff(m.oldWant, got); diff != "" {
		rt.Fatalf("old snapshot (-want +got)\n%s", diff)
	}
}

func (m *model) release() {
	if m.old != nil {
		m.old.Release()
		m.old = nil
	}
}

// check compares everything.
func (m *model) check(rt *rapid.T) {
	got := make(map[string]string)
	var last []byte
	err := m.s.db.View(m.t.Context(), func(v *metastore.View) error {
		for kv, err := range v.Scan(metastore.PrefixRange([]byte(m.prefix))) {
			if err != nil {
				return err
			}
			if bytes.Compare(last, kv.Key) >= 0 {
				return fmt.Errorf("key %q follows %q", kv.Key, last)
			}
			last = bytes.Clone(kv.Key)
			got[string(kv.Key)] = string(kv.Value)
		}
		return nil
	})
	if diff := cmp.Diff(m.want, got); diff != "" || err != nil {
		rt.Fatalf("%v (-want +got)\n%s", err, diff)
	}
}
