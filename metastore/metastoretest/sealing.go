package metastoretest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/metastore"
)

// stored returns the sealed value of key as the driver has it.
func (s *store) stored(t *testing.T, key string) []byte {
	t.Helper()
	snap, err := s.driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	value, _, err := snap.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(value)
}

// forge puts a value behind the back of DB.
func (s *store) forge(t *testing.T, key string, sealed []byte) {
	t.Helper()
	if _, err := s.apply(t, nil, metastore.Write{Key: []byte(key), Value: sealed}); err != nil {
		t.Fatal(err)
	}
}

// wantCorrupt checks that nothing returns the value of key.
func (s *store) wantCorrupt(t *testing.T, what, key string, cause error) {
	t.Helper()
	check := func(op string, err error) {
		t.Helper()
		if !errors.Is(err, metastore.ErrCorrupt) || !errors.Is(err, cause) || errors.Is(err, metastore.ErrNotFound) {
			t.Errorf("%s: %s: %v, want ErrCorrupt and %v", what, op, err, cause)
		}
	}
	s.view(t, func(v *metastore.View) error {
		check("Get", second(v.Get([]byte(key))))
		check("Scan", scanError(v))
		return nil
	})
	check("GetForUpdate in an Update", s.db.Update(t.Context(), func(tx *metastore.Tx) error {
		return second(tx.GetForUpdate([]byte(key)))
	}))
}

func testValueEdited(t *testing.T, s *store) {
	const secret = "what is kept"
	s.put(t, "a", secret)
	sealed := s.stored(t, "a")
	if bytes.Contains(sealed, []byte(secret)) || len(sealed) != len(secret)+cipher.BoxOverhead {
		t.Errorf("the driver was handed %d bytes %q", len(sealed), sealed)
	}
	for i := 1; i < len(sealed); i++ { // byte 0 is the version of the box
		edited := bytes.Clone(sealed)
		edited[i] ^= 1
		s.forge(t, "a", edited)
		s.wantCorrupt(t, "one bit changed", "a", cipher.ErrAuth)
	}
	edited := bytes.Clone(sealed)
	edited[0] ^= 0x80
	s.forge(t, "a", edited)
	s.wantCorrupt(t, "version changed", "a", cipher.ErrFormat)
	s.forge(t, "a", sealed)
	s.want(t, "a", secret)
}

func testValueTruncated(t *testing.T, s *store) {
	s.put(t, "a", "what is kept")
	sealed := s.stored(t, "a")
	for n := range sealed {
		cause := cipher.ErrAuth
		if n < cipher.BoxOverhead {
			cause = cipher.ErrFormat
		}
		s.forge(t, "a", sealed[:n:n])
		s.wantCorrupt(t, "cut", "a", cause)
	}
	s.forge(t, "a", append(sealed, 0))
	s.wantCorrupt(t, "extended", "a", cipher.ErrAuth)
}

func testValueMoved(t *testing.T, s *store) {
	s.put(t, "a", "of a", "ab", "of ab")
	a, ab := s.stored(t, "a"), s.stored(t, "ab")
	s.forge(t, "a", ab)
	s.wantCorrupt(t, "swapped", "a", cipher.ErrAuth)
	s.forge(t, "ab", a)
	s.wantCorrupt(t, "swapped", "ab", cipher.ErrAuth)
	s.forge(t, "a", a)
	s.forge(t, "ab", ab)
	s.want(t, "a", "of a")
	s.want(t, "ab", "of ab")
}

func testValueForeign(t *testing.T, s *store) {
	s.forge(t, "a", newBox().Seal(nil, []byte("v"), []byte("a")))
	s.wantCorrupt(t, "sealed under another key", "a", cipher.ErrAuth)
}

// testScanPastCorrupt: a scan names the key whose value does not open, and goes
// on behind it.
func testScanPastCorrupt(t *testing.T, s *store) {
	s.put(t, "a", "1", "c", "3")
	s.forge(t, "b", make([]byte, 100))
	s.view(t, func(v *metastore.View) error {
		var got []string
		for kv, err := range v.Scan(nil, nil) {
			if err != nil && !errors.Is(err, metastore.ErrCorrupt) {
				return err
			}
			got = append(got, fmt.Sprintf("%s=%s corrupt=%v", kv.Key, kv.Value, err != nil))
		}
		want := []string{"a=1 corrupt=false", "b= corrupt=true", "c=3 corrupt=false"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		return nil
	})
}
