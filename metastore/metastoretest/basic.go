package metastoretest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/metastore"
)

func testGetPutDelete(t *testing.T, s *store) {
	s.want(t, "a", absent)
	s.put(t, "a", "1", "b", "2")
	s.want(t, "a", "1")
	s.want(t, "b", "2")
	s.put(t, "a", "3")
	s.want(t, "a", "3")
	s.delete(t, "a", "never was")
	s.want(t, "a", absent)
	s.want(t, "b", "2")
	s.put(t, "a", "")
	s.want(t, "a", "")
	s.view(t, func(v *metastore.View) error {
		value, err := v.Get([]byte("a"))
		if value == nil || err != nil {
			t.Errorf("Get of an empty value is %v, %v; want an empty slice that is not nil", value, err)
		}
		return nil
	})
}

// testAnyKey uses what a driver might want for itself.
func testAnyKey(t *testing.T, s *store) {
	keys := []string{
		"\x00", "\x00\x00", "\xff", "\xff\xff\xff", "!", "!badger", "!badger!", "!badger!txn", "!badger\x00", "!badger\x01sequence",
		"!badger\xff", "!badgex", "!badge", "LOCK", "a", "a/b", "a//b", "..", "/", "\n",
		strings.Repeat("k", metastore.MaxKeySize), strings.Repeat("\xff", metastore.MaxKeySize),
	}
	values := []string{"", "v", strings.Repeat("\x00", 100), strings.Repeat("v", metastore.MaxValueSize)}
	for i, key := range keys {
		s.put(t, key, fmt.Sprintf("%d%s", i, values[i%len(values)][:min(len(values[i%len(values)]), metastore.MaxValueSize-2)]))
	}
	s.put(t, "full", values[len(values)-1])
	s.want(t, "full", values[len(values)-1])
	for i, key := range keys {
		value := values[i%len(values)]
		s.want(t, key, fmt.Sprintf("%d%s", i, value[:min(len(value), metastore.MaxValueSize-2)]))
	}
	s.view(t, func(v *metastore.View) error {
		if got := len(scan(t, v, nil, nil)) / 2; got != len(keys)+1 {
			t.Errorf("a scan of everything yields %d keys, want %d", got, len(keys)+1)
		}
		if got := len(scan(t, v, []byte("!badger"), []byte("!badges"))) / 2; got != 6 {
			t.Errorf("a scan of !badger yields %d keys, want 6", got)
		}
		return nil
	})
	s.delete(t, keys...)
	for _, key := range keys {
		s.want(t, key, absent)
	}
}

func testLimits(t *testing.T, s *store) {
	big := make([]byte, metastore.MaxValueSize)
	cases := []struct {
		name string
		what metastore.Quantity // "" if it is within the limits
		fn   func(tx *metastore.Tx) error
	}{
		{"empty key", metastore.KeySize, func(tx *metastore.Tx) error { return tx.Put(nil, big[:1]) }},
		{"long key", metastore.KeySize, func(tx *metastore.Tx) error { return tx.Put(make([]byte, metastore.MaxKeySize+1), big[:1]) }},
		{"long key deleted", metastore.KeySize, func(tx *metastore.Tx) error { return tx.Delete(make([]byte, metastore.MaxKeySize+1)) }},
		{"long key read", metastore.KeySize, func(tx *metastore.Tx) error {
			_, err := tx.Get(make([]byte, metastore.MaxKeySize+1))
			return err
		}},
		{"long value", metastore.ValueSize, func(tx *metastore.Tx) error { return tx.Put([]byte("k"), make([]byte, metastore.MaxValueSize+1)) }},
		{"most writes", "", func(tx *metastore.Tx) error { return putMany(tx, metastore.MaxTransactionWrites, nil) }},
		{"one write more", metastore.TransactionWrites, func(tx *metastore.Tx) error { return putMany(tx, metastore.MaxTransactionWrites+1, nil) }},
		{"most writes, overwritten and deleted", "", func(tx *metastore.Tx) error {
			return errors.Join(putMany(tx, metastore.MaxTransactionWrites, nil), putMany(tx, metastore.MaxTransactionWrites, big[:1]), tx.Delete(numbered(3)))
		}},
		{"most reads", "", func(tx *metastore.Tx) error { return readMany(tx, metastore.MaxTransactionReads) }},
		{"one read more", metastore.TransactionReads, func(tx *metastore.Tx) error { return readMany(tx, metastore.MaxTransactionReads+1) }},
		{"most bytes", "", func(tx *metastore.Tx) error {
			return errors.Join(putMany(tx, 15, big), tx.Put([]byte("rest"), big[:metastore.MaxTransactionSize-15*(len(big)+len(numbered(0)))-4]))
		}},
		{"one byte more", metastore.TransactionSize, func(tx *metastore.Tx) error {
			return errors.Join(putMany(tx, 15, big), tx.Put([]byte("rest"), big[:metastore.MaxTransactionSize-15*(len(big)+len(numbered(0)))-3]))
		}},
		{"bytes overwritten do not count", "", func(tx *metastore.Tx) error {
			return errors.Join(putMany(tx, 15, big), putMany(tx, 15, big[:10]), putMany(tx, 15, big))
		}},
	}
	for _, c := range cases {
		s.put(t, string(numbered(0)), c.name)
		err := s.db.Update(t.Context(), func(tx *metastore.Tx) error {
			return errors.Join(tx.Delete(numbered(0)), c.fn(tx))
		})
		checkLimit(t, c.name, err, c.what)
		// Who overlooks the error must not get a part of the transaction applied.
		s.put(t, string(numbered(0)), c.name)
		err = s.db.Update(t.Context(), func(tx *metastore.Tx) error {
			_ = tx.Delete(numbered(0))
			_ = c.fn(tx)
			return nil
		})
		if c.what != "" && c.name != "long key read" {
			checkLimit(t, c.name+", overlooked", err, c.what)
			s.want(t, string(numbered(0)), c.name)
		}
	}
}

func checkLimit(t *testing.T, name string, err error, what metastore.Quantity) {
	t.Helper()
	if what == "" {
		if err != nil {
			t.Errorf("%s: %v, want no error", name, err)
		}
		return
	}
	var limit *metastore.LimitError
	if !errors.As(err, &limit) || limit.Quantity != what || !errors.Is(err, metastore.ErrLimit) {
		t.Errorf("%s: error is %v, want a limit of %s", name, err, what)
	}
}

func numbered(i int) []byte { return fmt.Appendf(nil, "key %06d", i) }

func putMany(tx *metastore.Tx, n int, value []byte) error {
	for i := range n {
		if err := tx.Put(numbered(i), value); err != nil {
			return err
		}
	}
	return nil
}

func readMany(tx *metastore.Tx, n int) error {
	for i := range n {
		for range 2 { // the second read of a key counts for nothing
			if _, err := tx.GetForUpdate(numbered(i)); err != nil && !errors.Is(err, metastore.ErrNotFound) {
				return err
			}
		}
	}
	return tx.Put([]byte("k"), nil)
}

func testScanBounds(t *testing.T, s *store) {
	keys := []string{"", "\x00", "a", "a\x00", "a/", "a/b", "a0", "aa", "b", "b\xff", "b\xff\xff", "c", "\xfe", "\xff", "\xff\xff"}[1:]
	for i := range keys {
		s.put(t, keys[len(keys)-1-i], "v")
	}
	bounds := append([]string{""}, keys...)
	bounds = append(bounds, "b\xfe", "zzz", "\xff\xff\xff")
	s.view(t, func(v *metastore.View) error {
		for _, from := range bounds {
			for _, to := range append([]string{absent}, bounds...) {
				var want []string
				for _, key := range keys {
					if key >= from && (to == absent || key < to) {
						want = append(want, key, "v")
					}
				}
				end := []byte(to)
				if to == absent {
					end = nil
				}
				if diff := cmp.Diff(want, scan(t, v, []byte(from), end)); diff != "" {
					t.Errorf("Scan(%q, %q): (-want +got)\n%s", from, to, diff)
				}
			}
		}
		if diff := cmp.Diff(len(keys), len(scan(t, v, nil, nil))/2); diff != "" {
			t.Errorf("Scan(nil, nil): number of keys (-want +got)\n%s", diff)
		}
		return nil
	})
}

func testScanPrefix(t *testing.T, s *store) {
	for _, key := range []string{"p", "p/1", "p/2", "p0", "o/9", "q", "p\xff", "p\xff\xff\x01", "\xff\xff", "\xff\xff1"} {
		s.put(t, key, "v")
	}
	cases := []struct {
		prefix string
		want   []string
	}{
		{"p/", []string{"p/1", "v", "p/2", "v"}},
		{"p", []string{"p", "v", "p/1", "v", "p/2", "v", "p0", "v", "p\xff", "v", "p\xff\xff\x01", "v"}},
		{"p\xff", []string{"p\xff", "v", "p\xff\xff\x01", "v"}},
		{"p\xff\xff", []string{"p\xff\xff\x01", "v"}},
		{"\xff\xff", []string{"\xff\xff", "v", "\xff\xff1", "v"}},
		{"nothing", nil},
	}
	s.view(t, func(v *metastore.View) error {
		for _, c := range cases {
			from, to := metastore.PrefixRange([]byte(c.prefix))
			if diff := cmp.Diff(c.want, scan(t, v, from, to)); diff != "" {
				t.Errorf("prefix %q (-want +got)\n%s", c.prefix, diff)
			}
		}
		return nil
	})
}

func testScanStops(t *testing.T, s *store) {
	s.put(t, "a", "1", "b", "2", "c", "3")
	s.view(t, func(v *metastore.View) error {
		for range 3 { // an iterator that is not closed breaks a later step
			var got []string
			for kv, err := range v.Scan(nil, nil) {
				if err != nil {
					return err
				}
				got = append(got, string(kv.Key))
				for inner, err := range v.Scan([]byte("b"), nil) { // nested
					if err != nil {
						return err
					}
					got = append(got, string(inner.Key)+get(t, v, "c"))
					break
				}
				if len(got) == 4 {
					break
				}
			}
			if diff := cmp.Diff([]string{"a", "b3", "b", "b3"}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		}
		return nil
	})
}

func testScanAgreesWithGet(t *testing.T, s *store) {
	for i := range 500 {
		s.put(t, fmt.Sprintf("k%03d", i*7%500), strings.Repeat("x", i%900))
		if i%5 == 0 {
			s.delete(t, fmt.Sprintf("k%03d", i))
		}
	}
	s.view(t, func(v *metastore.View) error {
		var last []byte
		n := 0
		for kv, err := range v.Scan(nil, nil) {
			if err != nil {
				return err
			}
			if bytes.Compare(last, kv.Key) >= 0 {
				t.Errorf("key %q follows %q", kv.Key, last)
			}
			last = bytes.Clone(kv.Key)
			if got := get(t, v, string(kv.Key)); got != string(kv.Value) {
				t.Errorf("scan has %q = %q, get has %q", kv.Key, kv.Value, got)
			}
			n++
		}
		found := 0
		for i := range 500 {
			if get(t, v, fmt.Sprintf("k%03d", i)) != absent {
				found++
			}
		}
		if n != found || n == 0 {
			t.Errorf("scan yields %d keys, get finds %d", n, found)
		}
		return nil
	})
}
