package storekey

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

// cheap is a cost for tests.
func cheap() Cost { return Cost{MemoryKiB: 16, Passes: 1, Lanes: 2} }

// secret makes a Secret of a kind from a few words.
func secret(t testing.TB, kind Kind, words string) Secret {
	t.Helper()
	var s Secret
	var err error
	switch kind {
	case KeyFile:
		s, err = KeyFileSecret([]byte(words + strings.Repeat(".", MinKeyFileSize)))
	case Passphrase:
		s, err = PassphraseSecret([]byte(words))
	case Environment:
		s, err = EnvironmentSecret(words)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func options(fsys disk.FS) Options {
	return Options{FS: fsys, Now: func() time.Time { return time.Unix(1_760_000_000, 0) }}
}

// mustCreate makes a file with one slot, a passphrase "first".
func mustCreate(t testing.TB, fsys disk.FS) (*File, *cipher.StoreKey) {
	t.Helper()
	f, key, err := Create(options(fsys), NewSlot{Secret: secret(t, Passphrase, "first"), Label: "one", Cost: cheap()})
	if err != nil {
		t.Fatal(err)
	}
	return f, key
}

func mustLoad(t testing.TB, fsys disk.FS) *File {
	t.Helper()
	f, err := Load(options(fsys))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wantOpens checks that a secret gives the key, and what is on the disk is what
// is in memory.
func wantOpens(t testing.TB, f *File, s Secret, want *cipher.StoreKey) {
	t.Helper()
	got, err := f.Unlock(s)
	if err != nil {
		t.Error(err)
		return
	}
	if !got.Equal(want) {
		t.Error("another StoreKey came out")
	}
}

func wantWrong(t testing.TB, f *File, s Secret) *WrongSecretError {
	t.Helper()
	key, err := f.Unlock(s)
	var e *WrongSecretError
	if key != nil || !errors.As(err, &e) || !errors.Is(err, ErrWrongSecret) {
		t.Fatalf("got %v, %v", key, err)
	}
	return e
}

func contents(t testing.TB, fsys disk.FS) []byte {
	t.Helper()
	data, err := disk.ReadFile(fsys, FileName, maxFileSize)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t testing.TB, fsys disk.FS, data []byte) {
	t.Helper()
	if err := disk.WriteFileAtomic(fsys, ".", FileName, data); err != nil {
		t.Fatal(err)
	}
}

func TestEveryKindOfSlot(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{KeyFile, Passphrase, Environment} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			fsys := disk.NewOS(t.TempDir())
			f, key, err := Create(options(fsys), NewSlot{Secret: secret(t, kind, "right"), Label: "l", Cost: cheap()})
			if err != nil {
				t.Fatal(err)
			}
			if key.Fingerprint() != f.Fingerprint() || f.StoreID().IsZero() {
				t.Errorf("store %v, fingerprint %v", f.StoreID(), f.Fingerprint())
			}
			loaded := mustLoad(t, fsys)
			if loaded.StoreID() != f.StoreID() || loaded.Fingerprint() != f.Fingerprint() {
				t.Errorf("loaded store %v with fingerprint %v", loaded.StoreID(), loaded.Fingerprint())
			}
			cost := cheap()
			if kind == KeyFile {
				cost = Cost{}
			}
			want := []Slot{{ID: 1, Kind: kind, Label: "l", Changed: time.Unix(1_760_000_000, 0), Cost: cost}}
			if diff := cmp.Diff(want, loaded.Slots()); diff != "" {
				t.Errorf("slots (-want +got):\n%s", diff)
			}
			wantOpens(t, loaded, secret(t, kind, "right"), key)
			for _, other := range []Kind{KeyFile, Passphrase, Environment} {
				if other != kind {
					e := wantWrong(t, loaded, secret(t, other, "right"))
					if e.Tried != 0 {
						t.Errorf("a %v was tried on %d slots of kind %v", other, e.Tried, kind)
					}
				}
			}
			for _, words := range []string{"wrong", "Right", "right ", "righ"} {
				wantWrong(t, loaded, secret(t, kind, words))
			}
		})
	}
}

func TestWrongSecretSays(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, _ := mustCreate(t, fsys)
	before := contents(t, fsys)
	for kind, words := range map[Kind]string{
		Passphrase: "the passphrase given opens none of 1 slot(s)", KeyFile: "no slot is opened by key file",
	} {
		text := wantWrong(t, f, secret(t, kind, "hush-hush")).Error()
		for _, word := range []string{words, f.StoreID().String(), f.Fingerprint().String(), `1 (passphrase "one")`, "nothing was changed"} {
			if !strings.Contains(text, word) {
				t.Errorf("%q does not say %q", text, word)
			}
		}
		if strings.Contains(text, "hush-hush") {
			t.Errorf("%q tells the secret", text)
		}
	}
	if !bytes.Equal(before, contents(t, fsys)) {
		t.Error("a wrong secret changed the file")
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, key := mustCreate(t, fsys)
	second, err := f.Add(key, NewSlot{Secret: secret(t, KeyFile, "second"), Label: "two"})
	if err != nil {
		t.Fatal(err)
	}
	third, err := f.Add(key, NewSlot{Secret: secret(t, Environment, "third"), Cost: cheap()})
	if err != nil {
		t.Fatal(err)
	}
	if second.ID != 2 || third.ID != 3 {
		t.Errorf("ids %d and %d", second.ID, third.ID)
	}
	for _, f := range []*File{f, mustLoad(t, fsys)} {
		wantOpens(t, f, secret(t, Passphrase, "first"), key)
		wantOpens(t, f, secret(t, KeyFile, "second"), key)
		wantOpens(t, f, secret(t, Environment, "third"), key)
	}

	// A change may change the kind; it keeps id and label.
	changed, err := f.Change(key, 2, NewSlot{Secret: secret(t, Passphrase, "changed"), Cost: cheap()})
	if err != nil {
		t.Fatal(err)
	}
	want := Slot{ID: 2, Kind: Passphrase, Label: "two", Changed: time.Unix(1_760_000_000, 0), Cost: cheap()}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	relabelled, err := f.Change(key, 3, NewSlot{Secret: secret(t, Environment, "third"), Label: "three", Cost: cheap()})
	if err != nil || relabelled.Label != "three" {
		t.Errorf("relabelled %+v, %v", relabelled, err)
	}
	for _, f := range []*File{f, mustLoad(t, fsys)} {
		wantWrong(t, f, secret(t, KeyFile, "second"))
		wantOpens(t, f, secret(t, Passphrase, "changed"), key)
		wantOpens(t, f, secret(t, Passphrase, "first"), key)
	}

	if err := f.Remove(key, 3); err != nil {
		t.Fatal(err)
	}
	wantWrong(t, mustLoad(t, fsys), secret(t, Environment, "third"))
	fourth, err := f.Add(key, NewSlot{Secret: secret(t, Passphrase, "fourth"), Cost: cheap()})
	if err != nil || fourth.ID != 4 {
		t.Errorf("id %d after 3 was removed, %v", fourth.ID, err)
	}
	var ids []SlotID
	for _, s := range mustLoad(t, fsys).Slots() {
		ids = append(ids, s.ID)
	}
	if diff := cmp.Diff([]SlotID{1, 2, 4}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestDefaultCost(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, _, err := Create(options(fsys), NewSlot{Secret: secret(t, Passphrase, "p")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Slots()[0].Cost, (Cost{MemoryKiB: 65536, Passes: 3, Lanes: 4}); got != want {
		t.Errorf("cost %+v, want %+v", got, want)
	}
}

func TestSlotOperationsRefused(t *testing.T) {
	t.Parallel()
	wiped := secret(t, Passphrase, "p")
	wiped.Wipe()
	sound := func() NewSlot { return newSlot(t, func(*NewSlot) {}) }
	with := func(change func(*NewSlot)) NewSlot { return newSlot(t, change) }
	tests := []struct {
		name string
		do   func(f *File, key *cipher.StoreKey) error
		want error
	}{
		{"last slot", func(f *File, key *cipher.StoreKey) error { return f.Remove(key, 1) }, ErrLastSlot},
		{"remove no slot", func(f *File, key *cipher.StoreKey) error { return f.Remove(key, 2) }, ErrNoSlot},
		{"change no slot", func(f *File, key *cipher.StoreKey) error { _, err := f.Change(key, 0, sound()); return err }, ErrNoSlot},
		{"add without key", func(f *File, _ *cipher.StoreKey) error { _, err := f.Add(nil, sound()); return err }, ErrWrongKey},
		{"add with another key", func(f *File, _ *cipher.StoreKey) error { _, err := f.Add(cipher.NewStoreKey(), sound()); return err }, ErrWrongKey},
		{"change with another key", func(f *File, _ *cipher.StoreKey) error {
			_, err := f.Change(cipher.NewStoreKey(), 1, sound())
			return err
		}, ErrWrongKey},
		{"remove with another key", func(f *File, _ *cipher.StoreKey) error { return f.Remove(cipher.NewStoreKey(), 1) }, ErrWrongKey},
		{"add with a wiped key", func(f *File, key *cipher.StoreKey) error { key.Wipe(); _, err := f.Add(key, sound()); return err }, ErrWrongKey},
		{"no secret", func(f *File, key *cipher.StoreKey) error { _, err := f.Add(key, NewSlot{}); return err }, ErrSecret},
		{"wiped secret", func(f *File, key *cipher.StoreKey) error {
			_, err := f.Change(key, 1, NewSlot{Secret: wiped})
			return err
		}, ErrSecret},
		{"unlock with a wiped secret", func(f *File, _ *cipher.StoreKey) error { _, err := f.Unlock(wiped); return err }, ErrSecret},
		{"unlock with no secret", func(f *File, _ *cipher.StoreKey) error { _, err := f.Unlock(Secret{}); return err }, ErrSecret},
		{"label too long", func(f *File, key *cipher.StoreKey) error {
			_, err := f.Add(key, with(func(s *NewSlot) { s.Label = strings.Repeat("l", 65) }))
			return err
		}, ErrLabel},
		{"label with a control character", func(f *File, key *cipher.StoreKey) error {
			_, err := f.Add(key, with(func(s *NewSlot) { s.Label = "a\x1bb" }))
			return err
		}, ErrLabel},
		{"label not UTF-8", func(f *File, key *cipher.StoreKey) error {
			_, err := f.Add(key, with(func(s *NewSlot) { s.Label = "\xff" }))
			return err
		}, ErrLabel},
		{"cost too high", func(f *File, key *cipher.StoreKey) error {
			_, err := f.Add(key, with(func(s *NewSlot) { s.Cost.MemoryKiB = MaxMemoryKiB + 1 }))
			return err
		}, ErrCost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fsys := disktest.NewCrash(disktest.Options{})
			f, key := mustCreate(t, fsys)
			wantNothingChanged(t, fsys, f, func() {
				if err := tt.do(f, key); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func newSlot(t testing.TB, change func(*NewSlot)) NewSlot {
	s := NewSlot{Secret: secret(t, Passphrase, "new"), Cost: cheap()}
	change(&s)
	return s
}

// wantNothingChanged compares the file and what is in memory.
func wantNothingChanged(t testing.TB, fsys disk.FS, f *File, do func()) {
	t.Helper()
	before, slots := contents(t, fsys), f.Slots()
	do()
	if !bytes.Equal(before, contents(t, fsys)) || !cmp.Equal(slots, f.Slots()) {
		t.Error("a refused operation changed something")
	}
	if _, err := f.Unlock(secret(t, Passphrase, "first")); err != nil {
		t.Error(err)
	}
}

func TestSlotLimit(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, key := mustCreate(t, fsys)
	for i := 2; i <= maxSlots; i++ {
		if _, err := f.Add(key, NewSlot{Secret: secret(t, KeyFile, fmt.Sprint(i)), Label: strings.Repeat("ä", 32)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Add(key, NewSlot{Secret: secret(t, KeyFile, "more")}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	wantOpens(t, mustLoad(t, fsys), secret(t, KeyFile, fmt.Sprint(maxSlots)), key)
}

func TestCreateRefusesExisting(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"empty": nil, "nonsense": []byte("x"), "huge": make([]byte, maxFileSize+1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := disktest.NewCrash(disktest.Options{})
			put(t, fsys, data)
			_, _, err := Create(options(fsys), NewSlot{Secret: secret(t, Passphrase, "p"), Cost: cheap()})
			if err == nil || name != "huge" && !errors.Is(err, ErrExists) {
				t.Errorf("got %v", err)
			}
			found, err := disk.ReadFile(fsys, FileName, maxFileSize+1)
			if err != nil || !bytes.Equal(found, data) {
				t.Errorf("the file was replaced (%v)", err)
			}
		})
	}
	if _, _, err := Create(Options{}, NewSlot{Secret: secret(t, Passphrase, "p")}); err == nil {
		t.Error("no FS, no error")
	}
}

func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	a, key := mustCreate(t, fsys)
	b := mustLoad(t, fsys)
	if _, err := a.Add(key, NewSlot{Secret: secret(t, KeyFile, "second")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(key, 1); !errors.Is(err, ErrLastSlot) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Change(key, 1, NewSlot{Secret: secret(t, Passphrase, "x"), Cost: cheap()}); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
	wantOpens(t, mustLoad(t, fsys), secret(t, KeyFile, "second"), key)
	if err := fsys.Remove(FileName); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(key, NewSlot{Secret: secret(t, KeyFile, "third")}); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
	if _, err := fsys.Open(FileName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made anew: %v", err)
	}
}

func TestSecretsAreWiped(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, key := mustCreate(t, fsys)
	calls := map[string]func(s Secret){
		"create":       func(s Secret) { _, _, _ = Create(options(fsys), NewSlot{Secret: s}) },
		"unlock wrong": func(s Secret) { _, _ = f.Unlock(s) },
		"add":          func(s Secret) { _, _ = f.Add(key, NewSlot{Secret: s, Cost: cheap()}) },
		"add refused":  func(s Secret) { _, _ = f.Add(nil, NewSlot{Secret: s, Cost: cheap()}) },
		"change":       func(s Secret) { _, _ = f.Change(key, 1, NewSlot{Secret: s, Cost: cheap()}) },
		"wipe":         func(s Secret) { s.Wipe(); s.Wipe() },
	}
	for name, call := range calls {
		s := secret(t, Passphrase, name)
		raw := *s.m.bytes
		call(s)
		if !bytes.Equal(raw, make([]byte, len(raw))) || s.usable() == nil {
			t.Errorf("%s left the secret", name)
		}
	}
}
