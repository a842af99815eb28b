package local

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/kms"
)

func TestReopen(t *testing.T) {
	t.Parallel()
	fsys, key := disk.NewOS(t.TempDir()), keyringKey()
	k := mustOpen(t, fsys, key)
	kek1, w1 := mustCreate(t, k, "one")
	if _, err := k.RotateKey(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	kek2, w2 := mustGenerate(t, k, "one")
	want, err := k.DescribeKey(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	instance := k.Instance()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k, err = Open(t.Context(), Options{FS: fsys, Key: key, MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	got, err := k.DescribeKey(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || k.Instance() != instance {
		t.Errorf("instance %v, was %v; key (-before +after):\n%s", k.Instance(), instance, diff)
	}
	mustUnwrap(t, k, w1, kek1)
	mustUnwrap(t, k, w2, kek2)
}

func TestFirstOpening(t *testing.T) {
	t.Parallel()
	write := func(name string) func(t *testing.T, fsys disk.Volume) {
		return func(t *testing.T, fsys disk.Volume) {
			if err := fsys.MkdirAll("keyring"); err != nil {
				t.Fatal(err)
			}
			f, err := fsys.Create("keyring/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	keyName := strings.Repeat("0", 32) + ".key"
	tests := []struct {
		name      string
		prepare   func(t *testing.T, fsys disk.Volume)
		mustExist bool
		want      error
	}{
		{"no directory", func(*testing.T, disk.Volume) {}, false, nil},
		{"empty directory", func(t *testing.T, fsys disk.Volume) { _ = fsys.MkdirAll("keyring") }, false, nil},
		{"temporary file alone", write("instance.0011.tmp"), false, nil},
		{"key file alone", write(keyName), false, ErrMissing},
		{"foreign file", write("notes.txt"), false, ErrMissing},
		{"no directory, must exist", func(*testing.T, disk.Volume) {}, true, ErrMissing},
		{"empty directory, must exist", func(t *testing.T, fsys disk.Volume) { _ = fsys.MkdirAll("keyring") }, true, ErrMissing},
		{"temporary file, must exist", write("instance.0011.tmp"), true, ErrMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fsys := disktest.NewCrash(disktest.Options{})
			tt.prepare(t, fsys)
			k, err := Open(t.Context(), Options{FS: fsys, Key: keyringKey(), MustExist: tt.mustExist})
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				defer k.Close()
				if files := dump(t, fsys); len(files) != 1 || files[instanceName] == nil {
					t.Errorf("%d files were left", len(files))
				}
				return
			}
			wantFault(t, err, "keyring/instance", tt.want, kms.Crypto, "restore")
			for e := range fsys.ReadDir("keyring") {
				if e.Name == instanceName {
					t.Error("a keyring was made all the same")
				}
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	wiped := keyringKey()
	wiped.Wipe()
	fsys := disktest.NewCrash(disktest.Options{})
	tests := []struct {
		name string
		o    Options
		want []string // words of the error; none for a sound one
	}{
		{"zero", Options{}, []string{"FS", "Key"}},
		{"wiped key", Options{FS: fsys, Key: wiped}, []string{"Key"}},
		{"directory itself", Options{FS: fsys, Key: keyringKey(), Dir: "."}, []string{"Dir"}},
		{"directory above", Options{FS: fsys, Key: keyringKey(), Dir: "../x"}, []string{"Dir"}},
		{"absolute directory", Options{FS: fsys, Key: keyringKey(), Dir: "/x"}, []string{"Dir"}},
		{"nested directory", Options{FS: fsys, Key: keyringKey(), Dir: "a/b"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := Open(t.Context(), tt.o)
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				_ = k.Close()
				return
			}
			if !errors.Is(err, kms.Configuration) {
				t.Errorf("got %v, want %v", err, kms.Configuration)
			}
			for _, word := range tt.want {
				if !strings.Contains(fmt.Sprint(err), word) {
					t.Errorf("%v does not name %s", err, word)
				}
			}
		})
	}
}

func TestTwoKeyringsInOneConfiguration(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	a := mustOpen(t, fsys, key)
	b, err := Open(t.Context(), Options{FS: fsys, Dir: "kms/second", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	mustCreate(t, a, "one")
	if _, err := b.DescribeKey(t.Context(), "one"); !errors.Is(err, kms.NotFound) {
		t.Errorf("got %v", err)
	}
}

// TestKeyMadeAnew loses a key with everything that names it and makes it again.
func TestKeyMadeAnew(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	k := mustOpen(t, fsys, key)
	before := get(t, fsys, "keyring/instance")
	_, w := mustCreate(t, k, "one")
	remove(t, fsys, "keyring/"+k.files.keyName("one"))
	put(t, fsys, "keyring/instance", before)

	k = mustOpen(t, fsys, key)
	_, anew := mustCreate(t, k, "one")
	_, err := k.Unwrap(t.Context(), w, []byte("context"))
	if !errors.Is(err, kms.Crypto) {
		t.Fatalf("got %v", err)
	}
	for _, word := range []string{w.Fingerprint.String(), anew.Fingerprint.String(), "made anew"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not tell %q", err, word)
		}
	}
	w.Fingerprint = cipher.Fingerprint{} // the ciphertext alone is refused too
	if _, err := k.Unwrap(t.Context(), w, []byte("context")); !errors.Is(err, kms.Crypto) {
		t.Errorf("got %v", err)
	}
}

// TestOlderCopyPutBack restores a key file that lacks the newest version.
func TestOlderCopyPutBack(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	k := mustOpen(t, fsys, key)
	kek1, w1 := mustCreate(t, k, "one")
	file := "keyring/" + k.files.keyName("one")
	older := get(t, fsys, file)
	if _, err := k.RotateKey(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	kek2, w2 := mustGenerate(t, k, "one")
	newer := get(t, fsys, file)
	put(t, fsys, file, older)

	// The running keyring must not build on a file that lacks what it has used.
	_, err := k.RotateKey(t.Context(), "one")
	wantFault(t, err, file, ErrDamaged, kms.Crypto, "restore")
	mustUnwrap(t, k, w2, kek2)

	k = mustOpen(t, fsys, key)
	mustUnwrap(t, k, w1, kek1)
	_, err = k.Unwrap(t.Context(), w2, []byte("context"))
	if !errors.Is(err, kms.Crypto) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "version 2") ||
		!strings.Contains(err.Error(), w2.Fingerprint.String()) {
		t.Errorf("got %v", err)
	}
	put(t, fsys, file, newer)
	mustUnwrap(t, mustOpen(t, fsys, key), w2, kek2)
}

func TestStates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		state kms.State
		want  error
	}{
		{kms.StateEnabled, nil},
		{kms.StateDisabled, kms.Disabled},
		{kms.StatePendingDeletion, kms.InvalidState},
	}
	for _, tt := range tests {
		t.Run(tt.state.String(), func(t *testing.T) {
			t.Parallel()
			fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
			k := mustOpen(t, fsys, key)
			kek, w := mustCreate(t, k, "one")
			if _, err := k.change("one", func(r *keyRecord) error {
				r.state, r.description = tt.state, "d"
				if tt.state == kms.StatePendingDeletion {
					r.deleteAfter = time.Unix(7, 0)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, k := range []*Keyring{k, mustOpen(t, fsys, key)} {
				_, _, generateErr := k.GenerateKEK(t.Context(), "one", nil)
				_, rewrapErr := k.Rewrap(t.Context(), w, []byte("context"))
				for _, err := range []error{generateErr, rewrapErr} {
					if !errors.Is(err, tt.want) {
						t.Errorf("%v, want %v", err, tt.want)
					}
				}
				mustUnwrap(t, k, w, kek)
				info, err := k.DescribeKey(t.Context(), "one")
				if err != nil || info.State != tt.state || info.Description != "d" {
					t.Errorf("described %+v, %v", info, err)
				}
			}
			if _, err := k.RotateKey(t.Context(), "one"); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestVersionLimit(t *testing.T) {
	t.Parallel()
	k := mustOpen(t, disktest.NewCrash(disktest.Options{}), keyringKey())
	mustCreate(t, k, "one")
	if _, err := k.change("one", func(r *keyRecord) error {
		for n := uint32(2); n <= maxVersions; n++ {
			r.versions = append(r.versions, masterVersion{n, time.Unix(0, 0), cipher.NewMasterKey()})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.RotateKey(t.Context(), "one"); !errors.Is(err, kms.InvalidState) {
		t.Errorf("got %v", err)
	}
}

func TestKeyLimit(t *testing.T) {
	t.Parallel()
	k := mustOpen(t, disktest.NewCrash(disktest.Options{}), keyringKey())
	for i := range maxKeys {
		k.record.keyIDs = append(k.record.keyIDs, fmt.Sprintf("%06d", i))
	}
	if _, err := k.CreateKey(t.Context(), "one more"); !errors.Is(err, kms.Unsupported) {
		t.Errorf("got %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	k := mustOpen(t, disktest.NewCrash(disktest.Options{}), keyringKey())
	_, w := mustCreate(t, k, "one")
	master := k.entries["one"].record.newest().master
	if err := errors.Join(k.Close(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if master.Expose() != nil {
		t.Error("a MasterKey was not wiped")
	}
	ops := map[string]error{"health": k.Health(t.Context())}
	_, ops["create"] = k.CreateKey(t.Context(), "two")
	_, ops["describe"] = k.DescribeKey(t.Context(), "one")
	_, ops["list"] = k.ListKeys(t.Context(), "", 0)
	_, ops["rotate"] = k.RotateKey(t.Context(), "one")
	_, _, ops["generate"] = k.GenerateKEK(t.Context(), "one", nil)
	_, ops["unwrap"] = k.Unwrap(t.Context(), w, []byte("context"))
	_, ops["rewrap"] = k.Rewrap(t.Context(), w, []byte("context"))
	for name, err := range ops {
		if !errors.Is(err, kms.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRotateWipesWhatItReplaces also holds the keyring to keeping no file open.
func TestRotateWipesWhatItReplaces(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	k := mustOpen(t, fsys, keyringKey())
	mustCreate(t, k, "one")
	old := k.entries["one"].record.newest().master
	if _, err := k.RotateKey(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if old.Expose() != nil {
		t.Error("the copy that was replaced is still there")
	}
	if n := fsys.OpenFiles(); n != 0 {
		t.Errorf("%d files are open", n)
	}
}

// TestConcurrentLoss uses a key whose file comes and goes, from many sides,
// while others are created and the keyring is closed in the end.
func TestConcurrentLoss(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	k := mustOpen(t, fsys, key)
	kek, w := mustCreate(t, k, "one")
	file := "keyring/" + k.files.keyName("one")
	sound := get(t, fsys, file)
	remove(t, fsys, file)
	k = mustOpen(t, fsys, key)

	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	for i := range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := k.Unwrap(t.Context(), w, []byte("context"))
				if err == nil && !got.Equal(kek) || err != nil && !errors.Is(err, ErrMissing) && !errors.Is(err, errClosed) {
					t.Errorf("got %v", err)
				}
				_ = k.Health(t.Context())
				_, _ = k.CreateKey(t.Context(), fmt.Sprintf("other %d", i))
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	put(t, fsys, file, sound)
	mustUnwrap(t, k, w, kek)
	_ = k.Close()
}
