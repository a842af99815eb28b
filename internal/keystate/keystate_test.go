package keystate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/keystate"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
	"coffer/metastore"
	"coffer/metastore/memdb"
)

const testKey = "app-default"

// base is a metastore that can be opened again.
type base struct {
	driver *memdb.DB
	box    *cipher.Box
}

func newBase() base {
	return base{memdb.New(), cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelValues))}
}

func (b base) db() *metastore.DB { return metastore.New(b.driver, b.box) }

func (b base) crash() base { return base{b.driver.Crash(), b.box} }

// TestCompareAndSwap walks a record through its life.
func TestCompareAndSwap(t *testing.T) {
	t.Parallel()
	b, instance := newBase(), cipher.NewInstanceID()
	s, ctx := keystate.New(b.db(), instance), t.Context()
	load := func(want string, present bool) uint64 {
		t.Helper()
		record, revision, err := s.Load(ctx, testKey)
		if err != nil || string(record) != want || (record != nil) != present || (revision != 0) != present {
			t.Fatalf("loaded %q at %d, %v; want %q", record, revision, err, want)
		}
		return revision
	}
	save := func(record []byte, revision uint64, want error) {
		t.Helper()
		if err := s.Save(ctx, testKey, record, revision); !errors.Is(err, want) || want == nil && err != nil {
			t.Fatalf("saved with %v, want %v", err, want)
		}
	}
	load("", false)
	save(nil, 0, nil)
	save([]byte("a"), 1, vault.ErrStateConflict)
	save([]byte("a"), 0, nil)
	first := load("a", true)
	save([]byte("b"), 0, vault.ErrStateConflict)
	save([]byte("b"), first, nil)
	second := load("b", true)
	save([]byte("c"), first, vault.ErrStateConflict)
	save(nil, first, vault.ErrStateConflict)
	b = b.crash()
	s = keystate.New(b.db(), instance)
	if load("b", true) != second {
		t.Error("a restart changed the revision")
	}
	save(nil, second, nil)
	load("", false)
	save([]byte("b"), 0, nil)
	if load("b", true) == second {
		t.Error("a record made anew passes for the old one")
	}
}

// TestApart shows that neither another instance nor another key sees a record,
// however their names join.
func TestApart(t *testing.T) {
	t.Parallel()
	db, ctx := newBase().db(), t.Context()
	one, other := keystate.New(db, cipher.NewInstanceID()), keystate.New(db, cipher.NewInstanceID())
	for i, s := range []*keystate.Store{one, other} {
		for _, id := range []string{"a", "aa", "", "ä"} {
			if err := s.Save(ctx, id, fmt.Append(nil, i, id), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, s := range []*keystate.Store{one, other} {
		for _, id := range []string{"a", "aa", "", "ä"} {
			if got, _, err := s.Load(ctx, id); err != nil || string(got) != fmt.Sprint(i, id) {
				t.Errorf("%d %q: %q, %v", i, id, got, err)
			}
		}
	}
}

// TestConcurrent has many change one record by reading it first. None of their
// changes gets lost.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	db, instance := newBase().db(), cipher.NewInstanceID()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := keystate.New(db, instance)
			for done := 0; done < 20; {
				record, revision, err := s.Load(t.Context(), testKey)
				if err == nil {
					err = s.Save(t.Context(), testKey, append(record, 'x'), revision)
				}
				if err == nil {
					done++
				} else if !errors.Is(err, vault.ErrStateConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	record, _, err := keystate.New(db, instance).Load(t.Context(), testKey)
	if err != nil || len(record) != 8*20 {
		t.Errorf("%d changes arrived, %v", len(record), err)
	}
}

// TestFormat freezes key and value, and shows what is said of others.
func TestFormat(t *testing.T) {
	t.Parallel()
	db, instance := newBase().db(), cipher.InstanceID(bytes.Repeat([]byte{7}, cipher.IDSize))
	s, ctx := keystate.New(db, instance), t.Context()
	key := []byte("k" + string(instance[:]) + "tenant/ä")
	put := func(value []byte) {
		t.Helper()
		if err := db.Update(ctx, func(tx *metastore.Tx) error { return tx.Put(key, value) }); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte("\x01\x01\x02\x03\x04\x05\x06\x07\x08{}"))
	if record, revision, err := s.Load(ctx, "tenant/ä"); err != nil || string(record) != "{}" || revision != 0x0102030405060708 {
		t.Errorf("%q at %x, %v", record, revision, err)
	}
	if err := s.Save(ctx, "tenant/ä", []byte("[]"), 0x0102030405060708); err != nil {
		t.Fatal(err)
	}
	err := db.View(ctx, func(v *metastore.View) error {
		value, err := v.Get(key)
		if err == nil && (len(value) != 11 || value[0] != 1 || string(value[9:]) != "[]") {
			t.Errorf("the value is %x", value)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for value, want := range map[string]kms.Kind{
		"": kms.Unsupported, "\x02\x01\x02\x03\x04\x05\x06\x07\x08{}": kms.Unsupported,
		"\x01\x01\x02": kms.BackendFailure, "\x01\x00\x00\x00\x00\x00\x00\x00\x00{}": kms.BackendFailure,
	} {
		put([]byte(value))
		_, _, loadErr := s.Load(ctx, "tenant/ä")
		saveErr := s.Save(ctx, "tenant/ä", []byte("{}"), 0)
		if !errors.Is(loadErr, want) || !errors.Is(saveErr, want) {
			t.Errorf("%x: %v, %v; want %v", value, loadErr, saveErr, want)
		}
	}
}

// TestErrors shows the kinds of what goes wrong below.
func TestErrors(t *testing.T) {
	t.Parallel()
	b, instance := newBase(), cipher.NewInstanceID()
	s := keystate.New(b.db(), instance)
	if err := s.Save(t.Context(), testKey, make([]byte, metastore.MaxValueSize), 0); !errors.Is(err, kms.Invalid) {
		t.Errorf("too large: %v", err)
	}
	if err := s.Save(t.Context(), testKey, []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	stranger := keystate.New(base{b.driver, newBase().box}.db(), instance)
	if _, _, err := stranger.Load(t.Context(), testKey); !errors.Is(err, kms.BackendFailure) {
		t.Errorf("under another key: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Load(ended, testKey); kms.KindOf(err) != kms.Unavailable {
		t.Errorf("cancelled: %v", err)
	}
	if err := b.driver.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(t.Context(), testKey); !errors.Is(err, kms.Unavailable) {
		t.Errorf("closed: %v", err)
	}
}

// server is the Vault of this package's tests.
var server *vaulttest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if server, err = vaulttest.Launch(context.Background(), vaulttest.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }() // its process ends with this one in any case
	return m.Run()
}

// open opens a backend whose token may use a Transit mount and nothing else.
func open(t *testing.T, b base, instance cipher.InstanceID, mount string) *vault.Backend {
	t.Helper()
	token := server.Token(t, vaulttest.Token{Policies: []string{server.Policy(t, vaulttest.MountPolicy(mount))}, OnlyPolicies: true})
	backend, err := vault.Open(vault.Options{
		Instance: instance, Address: server.Address, Mount: mount, CallTimeout: 20 * time.Second,
		State: keystate.New(b.db(), instance), Auth: vault.Token{Token: secret.New([]byte(token))},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := backend.Close(); err != nil {
			t.Error(err)
		}
	})
	return backend
}

// TestConformance runs the suite of all backends over Vault without its KV
// engine.
func TestConformance(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(t *testing.T) kmstest.Backend {
		return open(t, newBase(), cipher.NewInstanceID(), server.Transit(t))
	})
}

// TestRestart finds the state of a key again, and says where it is kept.
func TestRestart(t *testing.T) {
	t.Parallel()
	b, instance, mount := newBase(), cipher.NewInstanceID(), server.Transit(t)
	before := open(t, b, instance, mount)
	if _, err := before.CreateKeyWith(t.Context(), kms.KeySpec{KeyID: testKey, Description: "of the app"}); err != nil {
		t.Fatal(err)
	}
	if _, err := before.DisableKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	after := open(t, b.crash(), instance, mount)
	_, _, err := after.GenerateKEK(t.Context(), testKey, nil)
	if !errors.Is(err, kms.Disabled) {
		t.Errorf("a disabled key encrypts after a restart: %v", err)
	}
	info, err := after.DescribeKey(t.Context(), testKey)
	if err != nil || info.Description != "of the app" || after.Report().KeyState != "metastore" {
		t.Errorf("%+v, %v, kept in %q", info, err, after.Report().KeyState)
	}
}
