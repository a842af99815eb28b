package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/kms"
)

// history is a keyring with one key under which a KEK is wrapped, about to do
// something.
type history struct {
	key *cipher.Subkey
	kek *cipher.KEK
	w   kms.Wrapped
}

// newHistory prepares a keyring on a new file system.
func newHistory(t *testing.T) (*history, *disktest.Crash) {
	t.Helper()
	h, fsys := &history{key: keyringKey()}, disktest.NewCrash(disktest.Options{})
	h.kek, h.w = mustCreate(t, mustOpen(t, fsys, h.key), "old")
	return h, fsys
}

// open opens what is found on a disk, which must work whatever happened.
func (h *history) open(fsys disk.Volume) (*Keyring, error) {
	return Open(context.Background(), Options{FS: fsys, Key: h.key, MustExist: true})
}

// check opens what is found and compares: the old key must be whole, every
// KEK that was handed out must come back.
func (h *history) check(fsys disk.Volume, issued []issuedKEK) error {
	k, err := h.open(fsys)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer k.Close()
	if err := k.Health(context.Background()); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	for _, i := range append(issued, issuedKEK{h.kek, h.w}) {
		got, err := k.Unwrap(context.Background(), i.w, []byte("context"))
		if err != nil {
			return fmt.Errorf("a KEK of version %d of %q is lost: %w", i.w.Version, i.w.KeyID, err)
		}
		if !got.Equal(i.kek) {
			return fmt.Errorf("another KEK came out")
		}
	}
	return nil
}

// checkNextProcess opens what a process left behind without a power cut, wraps
// KEKs under what is visible, and cuts the power then.
func (h *history) checkNextProcess(fsys *disktest.Crash, issued []issuedKEK) error {
	if err := h.check(fsys, issued); err != nil {
		return err
	}
	k, err := h.open(fsys)
	if err != nil {
		return err
	}
	defer k.Close()
	return h.check(fsys.Crash(), append(issued, issue(k, "old", "new")...))
}

type issuedKEK struct {
	kek *cipher.KEK
	w   kms.Wrapped
}

// issue wraps KEKs under all keys that show themselves.
func issue(k *Keyring, keyIDs ...string) []issuedKEK {
	var all []issuedKEK
	for _, id := range keyIDs {
		if kek, w, err := k.GenerateKEK(context.Background(), id, []byte("context")); err == nil {
			all = append(all, issuedKEK{kek, w})
		}
	}
	return all
}

// steps are the changes that are cut off at every call to the disk.
var steps = []struct {
	name string
	do   func(k *Keyring) error
	done func(k *Keyring) error // whether the change is there
}{
	{
		"create",
		func(k *Keyring) error { _, err := k.CreateKey(context.Background(), "new"); return err },
		func(k *Keyring) error { _, err := k.DescribeKey(context.Background(), "new"); return err },
	},
	{
		"rotate",
		func(k *Keyring) error { _, err := k.RotateKey(context.Background(), "old"); return err },
		func(k *Keyring) error {
			info, err := k.DescribeKey(context.Background(), "old")
			if err == nil && len(info.Versions) < 2 {
				err = errors.New("no second version")
			}
			return err
		},
	},
}

// cutEverywhere performs a change and returns what would be found if the power
// were cut before each of its calls to the disk or after the last one, with the
// KEKs that were handed out until then.
func cutEverywhere(t *testing.T, h *history, fsys *disktest.Crash, do func(*Keyring) error, rules ...disktest.Rule) []cutPoint {
	t.Helper()
	faulty := disktest.NewFaulty(fsys)
	k, err := h.open(faulty)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	var cuts []cutPoint
	random := rand.New(rand.NewPCG(1, 2))
	cut := func(at string, done bool) {
		issued := issue(k, "old", "new")
		cuts = append(cuts, cutPoint{at, fsys.Crash(), issued, done})
		for range 8 {
			cuts = append(cuts, cutPoint{at + ", torn", fsys.CrashTorn(random), issued, done})
		}
	}
	watch := func(c disktest.Call) *disktest.Fault {
		cut(fmt.Sprintf("before %s %d of %s", c.Op, c.N, c.Name), false)
		return nil
	}
	faulty.SetRules(append([]disktest.Rule{watch}, rules...)...)
	if err := do(k); err != nil {
		t.Fatal(err)
	}
	cut("at the end", true)
	return cuts
}

type cutPoint struct {
	at     string
	found  *disktest.Crash
	issued []issuedKEK
	done   bool // the change was acknowledged
}

// verify checks one cut: nothing lost, and the change can be made or made again.
func (c cutPoint) verify(h *history, do, done func(*Keyring) error) error {
	if err := h.check(c.found, c.issued); err != nil {
		return err
	}
	k, err := h.open(c.found)
	if err != nil {
		return err
	}
	defer k.Close()
	if err := done(k); c.done && err != nil {
		return fmt.Errorf("acknowledged and lost: %w", err)
	}
	if err := do(k); err != nil && !errors.Is(err, kms.AlreadyExists) {
		return fmt.Errorf("do it again: %w", err)
	}
	if err := done(k); err != nil {
		return fmt.Errorf("done again, but: %w", err)
	}
	return h.check(c.found.Crash(), append(c.issued, issue(k, "old", "new")...))
}

func TestPowerCutAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			h, fsys := newHistory(t)
			cuts := cutEverywhere(t, h, fsys, s.do)
			if len(cuts) < 9*6 {
				t.Errorf("only %d cuts", len(cuts))
			}
			for _, c := range cuts {
				if err := c.verify(h, s.do, s.done); err != nil {
					t.Errorf("power cut %s: %v", c.at, err)
				}
			}
		})
	}
}

// TestEverySyncIsNeeded leaves one sync out at a time: each must be missed.
func TestEverySyncIsNeeded(t *testing.T) {
	t.Parallel()
	for _, s := range steps {
		for _, op := range []disktest.Op{disktest.OpSync, disktest.OpSyncDir} {
			t.Run(fmt.Sprintf("%s without %s", s.name, op), func(t *testing.T) {
				t.Parallel()
				h, fsys := newHistory(t)
				skip := disktest.Nth(op, 1, disktest.Fault{Skip: true})
				missed := false
				for _, c := range cutEverywhere(t, h, fsys, s.do, skip) {
					missed = missed || c.verify(h, s.do, s.done) != nil
				}
				if !missed {
					t.Error("nobody missed it")
				}
			})
		}
	}
}

// TestPowerCutAtFirstOpening cuts the making of the keyring itself.
func TestPowerCutAtFirstOpening(t *testing.T) {
	t.Parallel()
	key, fsys := keyringKey(), disktest.NewCrash(disktest.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	var found []*disktest.Crash
	faulty := disktest.NewFaulty(fsys, func(disktest.Call) *disktest.Fault {
		found = append(found, fsys.Crash(), fsys.CrashTorn(random), fsys.CrashTorn(random), fsys.CrashTorn(random))
		return nil
	})
	instance := mustOpen(t, faulty, key).Instance()
	if k := mustOpen(t, fsys.Crash(), key); k.Instance() != instance {
		t.Error("the keyring that was opened is lost")
	}
	for i, f := range found {
		k, err := Open(t.Context(), Options{FS: f, Key: key})
		if err != nil {
			t.Fatalf("cut %d: %v", i, err)
		}
		kek, w := mustCreate(t, k, "one")
		mustUnwrap(t, mustOpen(t, f.Crash(), key), w, kek)
		for name := range dump(t, f) {
			if disk.IsTemp(name) {
				t.Errorf("cut %d: %s was left", i, name)
			}
		}
		_ = k.Close()
	}
}

// TestFaultAtEveryCall makes each call to the disk fail in turn. The change may
// or may not have happened; nothing that was handed out may be lost, now or
// after a power cut, and the change can be made once the disk works again.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	ops := []disktest.Op{
		disktest.OpOpen, disktest.OpSize, disktest.OpReadAt, disktest.OpCreate, disktest.OpWrite,
		disktest.OpSync, disktest.OpClose, disktest.OpRename, disktest.OpSyncDir,
	}
	faults := map[string]disktest.Fault{
		"fails":         {Err: syscall.EIO},
		"is full":       {Err: syscall.ENOSPC},
		"done and told": {Err: syscall.EIO, After: true},
		"half done":     {Err: syscall.ENOSPC, Bytes: 10},
		"short":         {Bytes: 10},
	}
	for _, s := range steps {
		for _, op := range ops {
			for name, fault := range faults {
				t.Run(fmt.Sprintf("%s %s %s", s.name, op, name), func(t *testing.T) {
					t.Parallel()
					for n := 1; ; n++ {
						if !faultAt(t, s.do, s.done, disktest.Nth(op, n, fault), op, n) {
							break
						}
					}
				})
			}
		}
	}
}

// faultAt makes a change with one fault and reports whether the fault came up.
func faultAt(t *testing.T, do, done func(*Keyring) error, rule disktest.Rule, op disktest.Op, n int) bool {
	t.Helper()
	h, fsys := newHistory(t)
	faulty := disktest.NewFaulty(fsys)
	k, err := h.open(faulty)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	faulty.SetRules(rule)
	doErr := do(k)
	met := faulty.Calls(op) >= n
	faulty.SetRules()
	c := cutPoint{fmt.Sprintf("%s %d", op, n), fsys.Crash(), issue(k, "old", "new"), doErr == nil}
	if err := c.verify(h, do, done); err != nil {
		t.Errorf("power cut after %s: %v", c.at, err)
	}
	if err := h.checkNextProcess(fsys, c.issued); err != nil {
		t.Errorf("process ended after %s: %v", c.at, err)
	}
	if doErr != nil && kms.KindOf(doErr) == kms.Other {
		t.Errorf("%s: an error without a kind: %v", c.at, doErr)
	}
	if err := do(k); err != nil && !errors.Is(err, kms.AlreadyExists) {
		t.Errorf("again after %s: %v", c.at, err)
	}
	if err := errors.Join(done(k), h.check(fsys.Crash(), append(c.issued, issue(k, "old", "new")...))); err != nil {
		t.Errorf("again after %s: %v", c.at, err)
	}
	if fsys.OpenFiles() != 0 {
		t.Errorf("after %s %d files are open", c.at, fsys.OpenFiles())
	}
	return met
}

// TestSlowDiskStopsNobody uses keys while the disk is busy rotating one.
func TestSlowDiskStopsNobody(t *testing.T) {
	t.Parallel()
	h, fsys := newHistory(t)
	faulty := disktest.NewFaulty(fsys)
	k, err := h.open(faulty)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	reached, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	faulty.SetRules(func(c disktest.Call) *disktest.Fault {
		if c.Op == disktest.OpSync {
			once.Do(func() { close(reached); <-resume })
		}
		return nil
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer once.Do(func() { close(reached) })
		if _, err := k.RotateKey(context.Background(), "old"); err != nil {
			t.Error(err)
		}
	})
	<-reached
	mustUnwrap(t, k, h.w, h.kek)
	if _, w := mustGenerate(t, k, "old"); w.Version != 1 {
		t.Errorf("version %d wraps before it is durable", w.Version)
	}
	if page, err := k.ListKeys(t.Context(), "", 0); err != nil || len(page.Keys) != 1 {
		t.Errorf("listed %+v, %v", page, err)
	}
	close(resume)
	wg.Wait()
	if _, w := mustGenerate(t, k, "old"); w.Version != 2 {
		t.Errorf("version %d wraps after the rotation", w.Version)
	}
}
