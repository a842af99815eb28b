package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

// replaced makes a file system in which f holds "old", durable.
func replaced(t *testing.T) *disktest.Crash {
	t.Helper()
	c := disktest.NewCrash(disktest.Options{})
	if err := disk.WriteFileAtomic(c, ".", "f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	return c
}

func content(t *testing.T, v disk.FS) string {
	t.Helper()
	data, err := disk.ReadFile(v, "f", 100)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// TestWriteFileAtomicCut cuts the power before each call: the file is always
// whole, and the new one is there once WriteFileAtomic has returned.
func TestWriteFileAtomicCut(t *testing.T) {
	t.Parallel()
	c := replaced(t)
	calls := 0
	v := disktest.NewFaulty(c, func(call disktest.Call) *disktest.Fault {
		calls++
		if got := content(t, c.Crash()); got != "old" {
			t.Errorf("cut before %s of %s: %q, want old", call.Op, call.Name, got)
		}
		for seed := range uint64(50) {
			if got := content(t, c.CrashTorn(rand.New(rand.NewPCG(seed, 0)))); got != "old" && got != "new!" {
				t.Errorf("torn cut %d before %s of %s: %q, want old or new!", seed, call.Op, call.Name, got)
			}
		}
		return nil
	})
	if err := disk.WriteFileAtomic(v, ".", "f", []byte("new!")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, c.Crash()); got != "new!" || calls != 6 {
		t.Errorf("after %d calls: %q, want new! after 6", calls, got)
	}
}

// TestWriteFileAtomicNeedsEachSync leaves out one sync, and expects the loss.
func TestWriteFileAtomicNeedsEachSync(t *testing.T) {
	t.Parallel()
	for op, want := range map[disktest.Op]string{disktest.OpSync: "", disktest.OpSyncDir: "old"} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			c := replaced(t)
			v := disktest.NewFaulty(c, disktest.Always(op, disktest.Fault{Skip: true}))
			if err := disk.WriteFileAtomic(v, ".", "f", []byte("new!")); err != nil {
				t.Fatal(err)
			}
			if got := content(t, c.Crash()); got != want {
				t.Errorf("without %s the cut left %q, want %q", op, got, want)
			}
		})
	}
}

func TestWriteFileAtomicFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op    disktest.Op
		fault disktest.Fault
		err   error
		now   string // seen afterwards
	}{
		{disktest.OpCreate, disktest.Fault{Err: syscall.EIO}, syscall.EIO, "old"},
		{disktest.OpWrite, disktest.Fault{Err: syscall.ENOSPC, Bytes: 2}, syscall.ENOSPC, "old"},
		{disktest.OpWrite, disktest.Fault{Bytes: 2}, errors.New("short write"), "old"},
		{disktest.OpSync, disktest.Fault{Err: syscall.EIO}, syscall.EIO, "old"},
		{disktest.OpClose, disktest.Fault{Err: syscall.EIO}, syscall.EIO, "old"},
		{disktest.OpRename, disktest.Fault{Err: syscall.EIO}, syscall.EIO, "old"},
		{disktest.OpSyncDir, disktest.Fault{Err: syscall.EIO}, syscall.EIO, "new!"},
	} {
		t.Run(fmt.Sprintf("%s %v", c.op, c.fault), func(t *testing.T) {
			t.Parallel()
			inner := replaced(t)
			v := disktest.NewFaulty(inner, disktest.Nth(c.op, 1, c.fault))
			err := disk.WriteFileAtomic(v, ".", "f", []byte("new!"))
			if err == nil || (c.fault.Err != nil && !errors.Is(err, c.err)) {
				t.Errorf("WriteFileAtomic = %v, want %v", err, c.err)
			}
			if got := content(t, inner); got != c.now {
				t.Errorf("content is %q, want %q", got, c.now)
			}
			if got := content(t, inner.Crash()); got != "old" {
				t.Errorf("content after a cut is %q, want old", got)
			}
			if n := inner.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
			for e := range v.ReadDir(".") {
				if disk.IsTemp(e.Name) {
					t.Errorf("temporary file %s was left", e.Name)
				}
			}
		})
	}
}
