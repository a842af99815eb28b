package home

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/secret"
	"coffer/kms/storekey"
)

// change opens the keys for one change.
func change(t *testing.T, o Options, fn func(k *Keys) error) error {
	t.Helper()
	k, err := OpenKeys(o)
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(fn(k), k.Close())
}

func kinds(t *testing.T, o Options) []string {
	t.Helper()
	_, _, slots, err := Slots(o.Places)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, s := range slots {
		list = append(list, s.Kind.String()+" "+s.Label)
	}
	return list
}

// TestSlotCycle adds, changes and removes, and starts by what is left.
func TestSlotCycle(t *testing.T) {
	t.Parallel()
	o := options(t)
	first := serve(t, o)
	fresh := filepath.Join(t.TempDir(), "safe", "new.key")
	steps := []struct {
		name string
		do   func(k *Keys) error
	}{
		{"add a passphrase", func(k *Keys) error {
			_, err := k.Add(Unlock{Passphrase: secret.New([]byte("words"))}, "paper")
			return err
		}},
		{"add a key file", func(k *Keys) error { _, err := k.Add(Unlock{KeyFile: fresh}, "safe"); return err }},
		{"change the first", func(k *Keys) error {
			_, err := k.Change(1, Unlock{Key: secret.New([]byte("variable"))}, "")
			return err
		}},
	}
	for _, s := range steps {
		if err := change(t, o, s.do); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	if diff := cmp.Diff([]string{"environment first", "passphrase paper", "key file safe"}, kinds(t, o)); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new key file: %v %v", info, err)
	}
	if _, err := Open(o); !errors.Is(err, storekey.ErrWrongSecret) {
		t.Errorf("the former key file still opens: %v", err)
	}
	for name, u := range map[string]Unlock{
		"passphrase":  {Passphrase: secret.New([]byte("words"))},
		"environment": {Key: secret.New([]byte("variable"))},
		"key file":    {KeyFile: fresh},
	} {
		o.Unlock = u
		if h := start(t, o); h.Fingerprint != first.Fingerprint {
			t.Errorf("%s opens another key", name)
		}
	}
	o.Unlock = Unlock{KeyFile: fresh}
	if err := change(t, o, func(k *Keys) error { return errors.Join(k.Remove(1), k.Remove(2)) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"key file safe"}, kinds(t, o)); diff != "" {
		t.Errorf("slots at the end (-want +got):\n%s", diff)
	}
}

func TestSlotErrors(t *testing.T) {
	t.Parallel()
	answers := func(list ...string) func(string) ([]byte, error) {
		return func(string) ([]byte, error) {
			a := list[0]
			list = list[1:]
			return []byte(a), nil
		}
	}
	cases := []struct {
		name string
		ask  func(string) ([]byte, error)
		do   func(o Options, k *Keys) error
		want error
	}{
		{"the last slot", nil, func(_ Options, k *Keys) error { return k.Remove(1) }, storekey.ErrLastSlot},
		{"no such slot", nil, func(_ Options, k *Keys) error { return k.Remove(7) }, storekey.ErrNoSlot},
		{"nothing to add", nil, func(_ Options, k *Keys) error { _, err := k.Add(Unlock{}, ""); return err }, ErrNoSecret},
		{"the same key file", nil, func(o Options, k *Keys) error {
			_, err := k.Change(1, Unlock{KeyFile: o.Places.Config + "/../etc/" + UnlockKeyFile}, "")
			return err
		}, ErrSameKeyFile},
		{"two answers", answers("one", "two"), func(_ Options, k *Keys) error { _, err := k.Add(Unlock{}, ""); return err }, ErrDiffer},
		{"twice the same answer", answers("one", "one"), func(_ Options, k *Keys) error { _, err := k.Add(Unlock{}, ""); return err }, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			serve(t, o)
			o.Ask = tc.ask
			before := tree(t, o)
			err := change(t, o, func(k *Keys) error { return tc.do(o, k) })
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if diff := cmp.Diff(before, tree(t, o)); tc.want != nil && diff != "" {
				t.Errorf("a refused change changes files (-before +after):\n%s", diff)
			}
		})
	}
}

func TestKeysWithoutStore(t *testing.T) {
	t.Parallel()
	o := options(t)
	if _, err := OpenKeys(o); !errors.Is(err, storekey.ErrMissing) {
		t.Errorf("OpenKeys without a store: %v", err)
	}
	if _, _, _, err := Slots(o.Places); !errors.Is(err, storekey.ErrMissing) {
		t.Errorf("Slots without a store: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(o.Places.Config)); err != nil || len(entries) > 0 {
		t.Errorf("something was made: %v %v", entries, err)
	}
}

// TestKeysAreExclusive: while one process changes slots, another waits.
func TestKeysAreExclusive(t *testing.T) {
	t.Parallel()
	o := options(t)
	serve(t, o)
	k, err := OpenKeys(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		other, err := OpenKeys(o)
		if err == nil {
			_, err = other.Add(Unlock{Passphrase: secret.New([]byte("b"))}, "")
			err = errors.Join(err, other.Close())
		}
		done <- err
	}()
	if _, err := k.Add(Unlock{Passphrase: secret.New([]byte("a"))}, ""); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(kinds(t, o), ","); got != "key file first,passphrase ,passphrase " {
		t.Errorf("slots %s: one change got lost", got)
	}
}
