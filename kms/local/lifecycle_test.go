package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/kms"
)

func TestLifecycleSurvivesReopening(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	now := time.Unix(1_000_000, 0)
	k, err := Open(t.Context(), Options{FS: fsys, Key: key, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	spec := kms.KeySpec{KeyID: "one", Origin: "EXTERNAL", Description: "d", Tags: map[string]string{"a": "b"}}
	if _, err := k.CreateKeyWith(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	_, ageErr := k.SetMaxAge(t.Context(), "one", time.Hour)
	want, err := k.ScheduleDeletion(t.Context(), "one", 7*24*time.Hour)
	if err := errors.Join(ageErr, err); err != nil {
		t.Fatal(err)
	}
	if !want.DeleteAfter.Equal(now.Add(7 * 24 * time.Hour)) {
		t.Errorf("goes at %v", want.DeleteAfter)
	}
	got, err := mustOpen(t, fsys.Crash(), key).DescribeKey(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after a power cut (-before +after):\n%s", diff)
	}
}

// destroyed makes a keyring with two keys on a disk and calls DestroyKey of one.
func destroyed(t *testing.T, rules func(fsys *disktest.Crash) []disktest.Rule) (h *history, fsys *disktest.Crash, victim kms.Wrapped, err error) {
	t.Helper()
	h, fsys = newHistory(t)
	k, err := h.open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	_, victim = mustCreate(t, k, "victim")
	_ = k.Close()
	faulty := disktest.NewFaulty(fsys)
	k, err = h.open(faulty)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	faulty.SetRules(rules(fsys)...)
	return h, fsys, victim, k.DestroyKey(t.Context(), "victim")
}

// verifyDestroyed opens what was found: the other key is whole; the victim is
// whole or gone, gone if it must be; and it can be destroyed and made anew.
func verifyDestroyed(h *history, found *disktest.Crash, victim kms.Wrapped, mustBeGone bool) error {
	if err := h.check(found, nil); err != nil {
		return err
	}
	k, err := h.open(found)
	if err != nil {
		return err
	}
	defer k.Close()
	ctx := context.Background()
	_, err = k.Unwrap(ctx, victim, []byte("context"))
	if err != nil && !errors.Is(err, kms.NotFound) || err == nil && mustBeGone {
		return fmt.Errorf("the victim: %w", err)
	}
	if err := k.DestroyKey(ctx, "victim"); err != nil && !errors.Is(err, kms.NotFound) {
		return fmt.Errorf("destroy again: %w", err)
	}
	if _, err := k.Unwrap(ctx, victim, []byte("context")); !errors.Is(err, kms.NotFound) {
		return fmt.Errorf("destroyed again, but %w", err)
	}
	if _, err := k.CreateKey(ctx, "victim"); err != nil {
		return fmt.Errorf("make anew: %w", err)
	}
	return h.check(found.Crash(), issue(k, "victim"))
}

func TestDestroyPowerCuts(t *testing.T) {
	t.Parallel()
	type cut struct {
		at    string
		found *disktest.Crash
	}
	var cuts []cut
	random := rand.New(rand.NewPCG(1, 2))
	h, fsys, victim, err := destroyed(t, func(fsys *disktest.Crash) []disktest.Rule {
		return []disktest.Rule{func(c disktest.Call) *disktest.Fault {
			at := fmt.Sprintf("before %s %d of %s", c.Op, c.N, c.Name)
			cuts = append(cuts, cut{at, fsys.Crash()})
			for range 8 {
				cuts = append(cuts, cut{at + ", torn", fsys.CrashTorn(random)})
			}
			return nil
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cuts) < 9*13 {
		t.Errorf("only %d cuts", len(cuts))
	}
	for _, c := range cuts {
		if err := verifyDestroyed(h, c.found, victim, false); err != nil {
			t.Errorf("power cut %s: %v", c.at, err)
		}
	}
	for range 8 {
		if err := verifyDestroyed(h, fsys.CrashTorn(random), victim, true); err != nil {
			t.Errorf("power cut at the end: %v", err)
		}
	}
	if files := dump(t, fsys); len(files) != 2 {
		t.Errorf("%d files are left", len(files))
	}
}

func TestDestroyFaults(t *testing.T) {
	t.Parallel()
	for _, op := range []disktest.Op{
		disktest.OpCreate, disktest.OpWrite, disktest.OpSync, disktest.OpRename, disktest.OpSyncDir, disktest.OpRemove,
	} {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprint(op, n), func(t *testing.T) {
				t.Parallel()
				h, fsys, victim, err := destroyed(t, func(*disktest.Crash) []disktest.Rule {
					return []disktest.Rule{disktest.Nth(op, n, disktest.Fault{Err: syscall.EIO})}
				})
				if op == disktest.OpRemove && n == 2 {
					if err != nil {
						t.Error(err)
					}
				} else if !errors.Is(err, syscall.EIO) || !errors.Is(err, kms.Unavailable) {
					t.Errorf("got %v", err)
				}
				if err := verifyDestroyed(h, fsys, victim, false); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestDestroyAgainAfterFault repeats in the same process what failed midway.
func TestDestroyAgainAfterFault(t *testing.T) {
	t.Parallel()
	h, fsys := newHistory(t)
	faulty := disktest.NewFaulty(fsys)
	k, err := h.open(faulty)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	master := k.entries["old"].record.newest().master
	faulty.SetRules(disktest.Nth(disktest.OpCreate, 2, disktest.Fault{Err: syscall.EIO})) // the list
	if err := k.DestroyKey(t.Context(), "old"); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if master.Expose() != nil {
		t.Error("the MasterKey was not wiped")
	}
	_, err = k.Unwrap(t.Context(), h.w, []byte("context"))
	_, rotateErr := k.RotateKey(t.Context(), "old")
	page, listErr := k.ListKeys(t.Context(), "", 0)
	if !errors.Is(err, kms.NotFound) || !errors.Is(rotateErr, kms.NotFound) || listErr != nil || len(page.Keys) != 0 {
		t.Errorf("half destroyed: %v, %v, %d keys, %v", err, rotateErr, len(page.Keys), listErr)
	}
	if err := k.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if err := k.DestroyKey(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	if err := k.DestroyKey(t.Context(), "old"); !errors.Is(err, kms.NotFound) {
		t.Errorf("once more: %v", err)
	}
	if files := dump(t, fsys); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
}

// TestDestroyDamaged destroys keys whose files cannot be used.
func TestDestroyDamaged(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, fsys disk.FS, file string){
		"missing": func(t *testing.T, fsys disk.FS, file string) { remove(t, fsys, file) },
		"damaged": func(t *testing.T, fsys disk.FS, file string) { put(t, fsys, file, []byte("CFKR\x01\x02")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, fsys := newHistory(t)
			k := mustOpen(t, fsys, h.key)
			spoil(t, fsys, "keyring/"+k.files.keyName("old"))
			k = mustOpen(t, fsys, h.key)
			if err := k.DestroyKey(t.Context(), "old"); err != nil {
				t.Fatal(err)
			}
			if err := mustOpen(t, fsys, h.key).Health(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForeignTombstone puts the tombstone of one key in the place of another.
func TestForeignTombstone(t *testing.T) {
	t.Parallel()
	h, fsys := newHistory(t)
	k := mustOpen(t, fsys, h.key)
	old := "keyring/" + k.files.keyName("old")
	if err := k.writeTombstone(k.files.keyName("gone"), "gone"); err != nil {
		t.Fatal(err)
	}
	put(t, fsys, old, get(t, fsys, "keyring/"+k.files.keyName("gone")))
	k = mustOpen(t, fsys, h.key)
	_, err := k.Unwrap(t.Context(), h.w, []byte("context"))
	wantFault(t, err, old, ErrDamaged, kms.Crypto, "restore")
	for name := range dump(t, fsys) {
		if name == k.files.keyName("gone") {
			t.Error("a tombstone without a key was kept")
		}
	}
}
