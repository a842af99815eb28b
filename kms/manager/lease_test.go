package manager

import (
	"testing"
	"testing/synctest"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// TestWiped looks at the KEKs that the cache keeps, at each of their ends.
func TestWiped(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(l *leases){
		"forgotten":         func(l *leases) { l.forget(func(o owner) bool { return o.keyID == "k" }) },
		"its time":          func(*leases) { time.Sleep(time.Minute); synctest.Wait() },
		"pushed out":        func(l *leases) { l.put(leaseKey{2}, owner{keyID: "other"}, cipher.NewKEK(), l.now()) },
		"replaced":          func(l *leases) { l.put(leaseKey{1}, owner{keyID: "k"}, cipher.NewKEK(), l.now()) },
		"other settings":    func(l *leases) { l.configure(true, 1, time.Hour) },
		"switched off":      func(l *leases) { l.configure(false, 0, 0) },
		"not its own owner": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLeases()
				l.configure(true, 1, time.Minute)
				mine := cipher.NewKEK()
				l.put(leaseKey{1}, owner{keyID: "k"}, mine, l.now())
				l.mu.Lock()
				kept := l.byKey[leaseKey{1}].kek
				l.mu.Unlock()
				if end == nil {
					l.forget(func(o owner) bool { return o.keyID == "other" })
					if !kept.Equal(mine) {
						t.Error("the lease of another key ended")
					}
				} else if end(l); kept.Expose() != nil {
					t.Error("it was not wiped")
				}
				if mine.Expose() == nil {
					t.Error("the caller's copy was wiped")
				}
				l.configure(false, 0, 0)
			})
		})
	}
}

// TestFlightWiped shows that what a call gave is gone when the last waiter has
// its copy, or at once where nobody waits any more.
func TestFlightWiped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		given := cipher.NewKEK()
		want := given.Fingerprint()
		kek, hit, err := l.get(t.Context(), leaseKey{1}, owner{}, func(fn func()) { go fn() },
			func() (*cipher.KEK, error) { return given, nil })
		if err != nil || hit || kek.Fingerprint() != want {
			t.Fatalf("hit %v, %v", hit, err)
		}
		if given.Expose() != nil {
			t.Error("what the call gave was not wiped")
		}
		late := cipher.NewKEK()
		f := &flight{done: make(chan struct{})}
		l.land(leaseKey{2}, f, func() (*cipher.KEK, error) { return late, nil })
		if late.Expose() != nil {
			t.Error("what nobody waited for was not wiped")
		}
	})
}

// TestLeaseKeys keeps apart what a backend keeps apart.
func TestLeaseKeys(t *testing.T) {
	t.Parallel()
	base := kms.Wrapped{Instance: cipher.InstanceID{1}, KeyID: "ab", Fingerprint: cipher.Fingerprint{1}, Version: 1, Ciphertext: []byte("cd")}
	with := func(fn func(w *kms.Wrapped)) kms.Wrapped {
		w := base
		fn(&w)
		return w
	}
	seen := map[leaseKey]string{newLeaseKey(base, []byte("ef")): "base"}
	for name, k := range map[string]leaseKey{
		"context":     newLeaseKey(base, []byte("eg")),
		"instance":    newLeaseKey(with(func(w *kms.Wrapped) { w.Instance[0]++ }), []byte("ef")),
		"fingerprint": newLeaseKey(with(func(w *kms.Wrapped) { w.Fingerprint[0]++ }), []byte("ef")),
		"version":     newLeaseKey(with(func(w *kms.Wrapped) { w.Version++ }), []byte("ef")),
		"shifted":     newLeaseKey(with(func(w *kms.Wrapped) { w.KeyID, w.Ciphertext = "abc", []byte("d") }), []byte("ef")),
		"shifted 2":   newLeaseKey(with(func(w *kms.Wrapped) { w.Ciphertext = []byte("cde") }), []byte("f")),
	} {
		if other, twice := seen[k]; twice {
			t.Errorf("%s and %s are one", name, other)
		}
		seen[k] = name
	}
}

func TestHandleRetires(t *testing.T) {
	t.Parallel()
	closed := 0
	h := &handle{service: closer{closed: &closed}, mine: true}
	for range 2 {
		if !h.acquire() {
			t.Fatal("not let in")
		}
	}
	h.retire()
	if h.acquire() {
		t.Error("let in after it was retired")
	}
	h.release()
	if closed != 0 {
		t.Error("closed while it was used")
	}
	h.release()
	h.retire()
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}

type closer struct {
	Service
	closed *int
}

func (c closer) Close() error {
	*c.closed++
	return nil
}
