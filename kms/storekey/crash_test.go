package storekey

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

// operations are the changes of a file with slot 1 "first" and slot 2 "second".
// old and new are the passphrases that open before and after, and no others.
var operations = []struct {
	name     string
	do       func(f *File, key *cipher.StoreKey, s NewSlot) error
	old, new []string
}{
	{"add", func(f *File, key *cipher.StoreKey, s NewSlot) error { _, err := f.Add(key, s); return err },
		[]string{"first", "second"}, []string{"first", "second", "third"}},
	{"change", func(f *File, key *cipher.StoreKey, s NewSlot) error { _, err := f.Change(key, 1, s); return err },
		[]string{"first", "second"}, []string{"second", "third"}},
	{"remove", func(f *File, key *cipher.StoreKey, _ NewSlot) error { return f.Remove(key, 1) },
		[]string{"first", "second"}, []string{"second"}},
}

func third(t testing.TB) NewSlot {
	return NewSlot{Secret: secret(t, Passphrase, "third"), Cost: cheap()}
}

// twoSlots prepares a file for an operation.
func twoSlots(t *testing.T) (*disktest.Crash, *cipher.StoreKey) {
	t.Helper()
	fsys := disktest.NewCrash(disktest.Options{})
	f, key := mustCreate(t, fsys)
	if _, err := f.Add(key, NewSlot{Secret: secret(t, Passphrase, "second"), Cost: cheap()}); err != nil {
		t.Fatal(err)
	}
	return fsys, key
}

// opens tells which passphrases give the key.
func opens(t testing.TB, f *File, key *cipher.StoreKey) (string, error) {
	t.Helper()
	var all []string
	for _, words := range []string{"first", "second", "third"} {
		got, err := f.Unlock(secret(t, Passphrase, words))
		switch {
		case errors.Is(err, ErrWrongSecret):
		case err != nil:
			return "", err
		case !got.Equal(key):
			return "", fmt.Errorf("%q gives another key", words)
		default:
			all = append(all, words)
		}
	}
	return strings.Join(all, " "), nil
}

// found loads what is on a disk and tells which passphrases open it.
func found(t testing.TB, fsys disk.FS, key *cipher.StoreKey) (string, error) {
	t.Helper()
	f, err := Load(options(fsys))
	if err != nil {
		return "", err
	}
	return opens(t, f, key)
}

func TestPowerCutAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range cutEverywhere(t, o.do) {
				got, err := found(t, c.fs, c.key)
				if err != nil || got != strings.Join(o.new, " ") && (c.done || got != strings.Join(o.old, " ")) {
					t.Errorf("power cut %s: opened by %q, %v", c.at, got, err)
				}
			}
		})
	}
}

// TestEverySyncIsNeeded leaves one sync out at a time: each must be missed.
func TestEverySyncIsNeeded(t *testing.T) {
	t.Parallel()
	for _, o := range operations {
		for _, op := range []disktest.Op{disktest.OpSync, disktest.OpSyncDir} {
			t.Run(fmt.Sprintf("%s without %s", o.name, op), func(t *testing.T) {
				t.Parallel()
				missed := false
				for _, c := range cutEverywhere(t, o.do, disktest.Nth(op, 1, disktest.Fault{Skip: true})) {
					got, err := found(t, c.fs, c.key)
					missed = missed || err != nil || c.done && got != strings.Join(o.new, " ")
				}
				if !missed {
					t.Error("nobody missed it")
				}
			})
		}
	}
}

type cutPoint struct {
	at   string
	fs   *disktest.Crash
	key  *cipher.StoreKey
	done bool
}

// cutEverywhere cuts the power before each call to the disk of an operation,
// and after it.
func cutEverywhere(t *testing.T, do func(*File, *cipher.StoreKey, NewSlot) error, rules ...disktest.Rule) []cutPoint {
	t.Helper()
	fsys, key := twoSlots(t)
	faulty := disktest.NewFaulty(fsys)
	f := mustLoad(t, faulty)
	random := rand.New(rand.NewPCG(1, 2))
	var cuts []cutPoint
	cut := func(at string, done bool) {
		cuts = append(cuts, cutPoint{at, fsys.Crash(), key, done})
		for range 4 {
			cuts = append(cuts, cutPoint{at + ", torn", fsys.CrashTorn(random), key, done})
		}
	}
	watch := func(c disktest.Call) *disktest.Fault {
		cut(fmt.Sprintf("before %s %d of %s", c.Op, c.N, c.Name), false)
		return nil
	}
	faulty.SetRules(append([]disktest.Rule{watch}, rules...)...)
	if err := do(f, key, third(t)); err != nil {
		t.Fatal(err)
	}
	cut("at the end", true)
	return cuts
}

func TestPowerCutInCreate(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	var all []*disktest.Crash
	faulty := disktest.NewFaulty(fsys, func(disktest.Call) *disktest.Fault {
		all = append(all, fsys.Crash(), fsys.CrashTorn(random), fsys.CrashTorn(random))
		return nil
	})
	_, key := mustCreate(t, faulty)
	if got, err := found(t, fsys.Crash(), key); got != "first" {
		t.Errorf("acknowledged, then opened by %q, %v", got, err)
	}
	for i, f := range all {
		if got, err := found(t, f, key); got != "first" && !errors.Is(err, ErrMissing) {
			t.Errorf("cut %d: opened by %q, %v", i, got, err)
		}
	}
}

// TestFaultAtEveryCall makes each call to the disk fail in turn: the file holds
// the old slots or the new ones, the File in memory shows the old ones after an
// error, and the operation can be made again.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	ops := []disktest.Op{
		disktest.OpOpen, disktest.OpSize, disktest.OpReadAt, disktest.OpCreate, disktest.OpWrite,
		disktest.OpSync, disktest.OpClose, disktest.OpRename, disktest.OpSyncDir,
	}
	faults := []disktest.Fault{
		{Err: syscall.EIO}, {Err: syscall.EIO, After: true}, {Err: syscall.ENOSPC, Bytes: 10}, {Bytes: 10},
	}
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			for _, op := range ops {
				for _, fault := range faults {
					for n, met := 1, true; met; n++ {
						fsys, key := twoSlots(t)
						faulty := disktest.NewFaulty(fsys)
						f := mustLoad(t, faulty)
						faulty.SetRules(disktest.Nth(op, n, fault))
						doErr := o.do(f, key, third(t))
						met = faulty.Calls(op) >= n
						faulty.SetRules()
						at := fmt.Sprintf("%s %d %+v (%v)", op, n, fault, doErr)
						checkAfterFault(t, at, fsys, f, key, o.old, o.new, doErr)
						if doErr != nil {
							f = mustLoad(t, fsys)
							if err := o.do(f, key, third(t)); err != nil && !errors.Is(err, ErrNoSlot) {
								t.Errorf("%s: again: %v", at, err)
							}
						}
						if got, err := found(t, fsys.Crash(), key); err != nil || got != strings.Join(o.new, " ") {
							t.Errorf("%s: in the end opened by %q, %v", at, got, err)
						}
					}
				}
			}
		})
	}
}

func checkAfterFault(t *testing.T, at string, fsys *disktest.Crash, f *File, key *cipher.StoreKey, old, new []string, doErr error) {
	t.Helper()
	for _, fsys := range []*disktest.Crash{fsys, fsys.Crash()} {
		got, err := found(t, fsys, key)
		if err != nil || got != strings.Join(new, " ") && (doErr == nil || got != strings.Join(old, " ")) {
			t.Errorf("%s: opened by %q, %v", at, got, err)
		}
	}
	want := old
	if doErr == nil {
		want = new
	}
	if got, err := opens(t, f, key); err != nil || got != strings.Join(want, " ") {
		t.Errorf("%s: in memory opened by %q, %v", at, got, err)
	}
	if fsys.OpenFiles() != 0 {
		t.Errorf("%s: %d files are open", at, fsys.OpenFiles())
	}
}
