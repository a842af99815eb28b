package disktest

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/disk"
)

func TestCrashSuite(t *testing.T) {
	t.Parallel()
	Run(t, func(t *testing.T) disk.Volume {
		c := NewCrash(Options{})
		t.Cleanup(func() {
			if n := c.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
		return c
	})
}

// history is a step by step use of a file system.
type history func(t *testing.T, c *Crash)

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes a file with these bytes, synced or not.
func create(t *testing.T, c *Crash, name, content string, synced bool) {
	t.Helper()
	f, err := c.Create(name)
	do(t, err)
	_, err = f.Write([]byte(content))
	do(t, err)
	if synced {
		do(t, f.Sync())
	}
	do(t, f.Close())
}

// tree reads a whole file system; directories end in a slash.
func tree(t *testing.T, c *Crash) map[string]string {
	t.Helper()
	found := make(map[string]string)
	var walk func(dir string)
	walk = func(dir string) {
		for e, err := range c.ReadDir(dir) {
			do(t, err)
			name := dir + "/" + e.Name
			if e.Dir {
				found[name+"/"] = ""
				walk(name)
				continue
			}
			data, err := disk.ReadFile(c, name, 1<<20)
			do(t, err)
			found[name] = string(data)
		}
	}
	walk(".")
	return found
}

func TestCrashKeepsWhatIsDurable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  history
		want map[string]string
	}{
		{"file and directory synced", func(t *testing.T, c *Crash) {
			create(t, c, "a", "x", true)
			do(t, c.SyncDir("."))
		}, map[string]string{"./a": "x"}},
		{"file synced, directory not", func(t *testing.T, c *Crash) {
			create(t, c, "a", "x", true)
		}, map[string]string{}},
		{"directory synced, file not", func(t *testing.T, c *Crash) {
			create(t, c, "a", "x", false)
			do(t, c.SyncDir("."))
		}, map[string]string{"./a": ""}},
		{"bytes after the sync", func(t *testing.T, c *Crash) {
			f, err := c.Create("a")
			do(t, err)
			defer f.Close()
			_, _ = f.Write([]byte("early"))
			do(t, f.Sync())
			_, _ = f.Write([]byte("late"))
			do(t, c.SyncDir("."))
		}, map[string]string{"./a": "early"}},
		{"removal not synced", func(t *testing.T, c *Crash) {
			create(t, c, "a", "x", true)
			do(t, c.SyncDir("."))
			do(t, c.Remove("a"))
		}, map[string]string{"./a": "x"}},
		{"removal synced", func(t *testing.T, c *Crash) {
			create(t, c, "a", "x", true)
			do(t, c.SyncDir("."))
			do(t, c.Remove("a"))
			do(t, c.SyncDir("."))
		}, map[string]string{}},
		{"replacement not synced", func(t *testing.T, c *Crash) {
			create(t, c, "a", "old", true)
			do(t, c.SyncDir("."))
			create(t, c, "b", "new", true)
			do(t, c.Rename("b", "a"))
		}, map[string]string{"./a": "old"}},
		{"replacement synced", func(t *testing.T, c *Crash) {
			create(t, c, "a", "old", true)
			do(t, c.SyncDir("."))
			create(t, c, "b", "new", true)
			do(t, c.Rename("b", "a"))
			do(t, c.SyncDir("."))
		}, map[string]string{"./a": "new"}},
		{"directory made, parent not synced", func(t *testing.T, c *Crash) {
			do(t, c.MkdirAll("d"))
			create(t, c, "d/a", "x", true)
			do(t, c.SyncDir("d"))
		}, map[string]string{}},
		{"directory made, parent synced", func(t *testing.T, c *Crash) {
			do(t, c.MkdirAll("d"))
			create(t, c, "d/a", "x", true)
			do(t, c.SyncDir("d"))
			do(t, c.SyncDir("."))
		}, map[string]string{"./d/": "", "./d/a": "x"}},
		{"moved, only the new directory synced", func(t *testing.T, c *Crash) {
			do(t, c.MkdirAll("d"))
			create(t, c, "a", "x", true)
			do(t, c.SyncDir("."))
			do(t, c.Rename("a", "d/a"))
			do(t, c.SyncDir("d"))
		}, map[string]string{"./a": "x", "./d/": "", "./d/a": "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old := NewCrash(Options{})
			c.run(t, old)
			before := tree(t, old)
			after := old.Crash()
			if diff := cmp.Diff(c.want, tree(t, after)); diff != "" {
				t.Errorf("found after the crash (-want +got):\n%s", diff)
			}
			create(t, after, "later", "y", true)
			if diff := cmp.Diff(before, tree(t, old)); diff != "" {
				t.Errorf("the old file system changed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCrashTorn looks at many cuts of one history: what is durable is in each,
// every subset of the rest turns up, and nothing that was never written.
func TestCrashTorn(t *testing.T) {
	t.Parallel()
	body := pattern(3*tornPage + 100)
	c := NewCrash(Options{})
	create(t, c, "kept", "durable", true)
	do(t, c.SyncDir("."))
	f, err := c.Create("torn")
	do(t, err)
	_, _ = f.Write(body[:tornPage+7])
	do(t, f.Sync())
	_, _ = f.Write(body[tornPage+7:])
	do(t, f.Close())
	create(t, c, "other", "x", true)

	seen := make(map[string]int)
	for seed := range uint64(400) {
		after := c.CrashTorn(rand.New(rand.NewPCG(seed, 1)))
		found := tree(t, after)
		if found["./kept"] != "durable" {
			t.Fatalf("seed %d: a durable file is lost: %v", seed, found)
		}
		data, ok := found["./torn"]
		if _, other := found["./other"]; ok && other {
			seen["both entries"]++
		} else if other {
			seen["second entry alone"]++
		}
		if !ok {
			seen["no entry"]++
			continue
		}
		checkTorn(t, seed, []byte(data), body, seen)
	}
	for _, state := range []string{"both entries", "second entry alone", "no entry", "whole", "short", "zeros"} {
		if seen[state] == 0 {
			t.Errorf("in no cut: %s (%v)", state, seen)
		}
	}
}

// checkTorn checks a file of which tornPage+7 bytes are durable.
func checkTorn(t *testing.T, seed uint64, data, body []byte, seen map[string]int) {
	t.Helper()
	if len(data) < tornPage+7 || !bytes.Equal(data[:tornPage+7], body[:tornPage+7]) {
		t.Fatalf("seed %d: durable bytes are lost", seed)
	}
	if len(data) > len(body) {
		t.Fatalf("seed %d: %d bytes, only %d were written", seed, len(data), len(body))
	}
	switch {
	case bytes.Equal(data, body):
		seen["whole"]++
	case bytes.HasPrefix(body, data):
		seen["short"]++
	case bytes.Contains(data, make([]byte, 100)):
		seen["zeros"]++
	}
}

func TestCrashTornReplays(t *testing.T) {
	t.Parallel()
	c := NewCrash(Options{})
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		create(t, c, name, string(pattern(5000)), false)
	}
	first := tree(t, c.CrashTorn(rand.New(rand.NewPCG(7, 7))))
	for range 10 {
		if diff := cmp.Diff(first, tree(t, c.CrashTorn(rand.New(rand.NewPCG(7, 7))))); diff != "" {
			t.Fatalf("the same seed gave another result:\n%s", diff)
		}
	}
}

func TestCrashCapacity(t *testing.T) {
	t.Parallel()
	c := NewCrash(Options{Capacity: 10})
	create(t, c, "a", "123456", true)
	f, err := c.Create("b")
	do(t, err)
	defer f.Close()
	if n, err := f.Write([]byte("789012")); n != 4 || !disk.IsNoSpace(err) {
		t.Errorf("Write into a full file system = %d, %v; want 4, no space", n, err)
	}
	if sp, _ := c.Space(); sp != (disk.Space{Free: 0, Total: 10}) {
		t.Errorf("Space = %+v, want nothing free of 10", sp)
	}
	do(t, c.Remove("a"))
	if n, err := f.Write([]byte("123")); n != 3 || err != nil {
		t.Errorf("Write after a removal = %d, %v; want 3", n, err)
	}
}

func TestFaultySuite(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) disk.Volume { return NewFaulty(NewCrash(Options{})) })
}

// TestFaultyStrikes makes each call once, with the fault, and looks at what the
// caller was told and at what was done.
func TestFaultyStrikes(t *testing.T) {
	t.Parallel()
	volume := func(call func(v disk.Volume) error) func(v disk.Volume, f disk.File) error {
		return func(v disk.Volume, _ disk.File) error { return call(v) }
	}
	calls := map[Op]func(v disk.Volume, f disk.File) error{
		OpCreate:   volume(func(v disk.Volume) error { return closed(v.Create("new")) }),
		OpOpen:     volume(func(v disk.Volume) error { return closed(v.Open("a")) }),
		OpRemove:   volume(func(v disk.Volume) error { return v.Remove("a") }),
		OpRename:   volume(func(v disk.Volume) error { return v.Rename("a", "b") }),
		OpReadDir:  volume(func(v disk.Volume) error { _, err := list(v, "."); return err }),
		OpSyncDir:  volume(func(v disk.Volume) error { return v.SyncDir(".") }),
		OpMkdirAll: volume(func(v disk.Volume) error { return v.MkdirAll("d") }),
		OpSpace:    volume(func(v disk.Volume) error { _, err := v.Space(); return err }),
		OpWrite:    func(_ disk.Volume, f disk.File) error { _, err := f.Write([]byte("xyz")); return err },
		OpReadAt:   func(_ disk.Volume, f disk.File) error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		OpSync:     func(_ disk.Volume, f disk.File) error { return f.Sync() },
		OpSize:     func(_ disk.Volume, f disk.File) error { _, err := f.Size(); return err },
		OpClose:    func(_ disk.Volume, f disk.File) error { return f.Close() },
		OpWriteback: func(_ disk.Volume, f disk.File) error {
			return disk.StartWriteback(f, 0, 1)
		},
	}
	for op, call := range calls {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			v := NewFaulty(NewCrash(Options{}))
			f, err := v.Create("a")
			do(t, err)
			_, err = f.Write([]byte("content"))
			do(t, err)
			v.SetRules(Always(op, Fault{Err: syscall.EIO}))
			if err := call(v, f); !errors.Is(err, syscall.EIO) {
				t.Errorf("with a fault: %v, want EIO", err)
			}
			if n := v.Calls(op); n != 1 {
				t.Errorf("Calls = %d, want 1", n)
			}
		})
	}
}

func closed(f disk.File, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

func TestFaultyHalves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		rule  Rule
		n     int
		err   error
		found string // after the write, seen by all
	}{
		{"error at the second write", Nth(OpWrite, 2, Fault{Err: syscall.EIO}), 0, syscall.EIO, "one,"},
		{"error after some bytes", Nth(OpWrite, 2, Fault{Err: syscall.ENOSPC, Bytes: 2}), 2, syscall.ENOSPC, "one,tw"},
		{"error after all was done", Nth(OpWrite, 2, Fault{Err: syscall.EIO, After: true}), 3, syscall.EIO, "one,two"},
		{"short and silent", Nth(OpWrite, 2, Fault{Bytes: 1}), 1, nil, "one,t"},
		{"only pretended", Nth(OpWrite, 2, Fault{Skip: true}), 3, nil, "one,"},
		{"another call", Nth(OpWrite, 3, Fault{Err: syscall.EIO}), 3, nil, "one,two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := NewFaulty(NewCrash(Options{}), c.rule)
			f, err := v.Create("a")
			do(t, err)
			defer f.Close()
			_, err = f.Write([]byte("one,"))
			do(t, err)
			n, err := f.Write([]byte("two"))
			if n != c.n || !errors.Is(err, c.err) {
				t.Errorf("Write = %d, %v; want %d, %v", n, err, c.n, c.err)
			}
			want(t, v, "a", c.found)
		})
	}
}

// TestFaultySyncLosesPages shows the kernel's habit: a sync that failed is
// followed by one that succeeds over bytes that are lost.
func TestFaultySyncLosesPages(t *testing.T) {
	t.Parallel()
	c := NewCrash(Options{})
	v := NewFaulty(c, Nth(OpSync, 1, Fault{Err: syscall.EIO}))
	f, err := v.Create("a")
	do(t, err)
	defer f.Close()
	_, err = f.Write([]byte("lost"))
	do(t, err)
	wantErr(t, "first Sync", f.Sync(), syscall.EIO)
	do(t, f.Sync())
	do(t, v.SyncDir("."))
	want(t, c.Crash(), "a", "")
}

func TestFaultySkipsSyncs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op   Op
		want map[string]string
	}{
		{OpSync, map[string]string{"./a": ""}},
		{OpSyncDir, map[string]string{}},
		{OpMkdirAll, map[string]string{"./a": "x"}},
	} {
		t.Run(string(c.op), func(t *testing.T) {
			t.Parallel()
			inner := NewCrash(Options{})
			v := NewFaulty(inner, Always(c.op, Fault{Skip: true}))
			f, err := v.Create("a")
			do(t, err)
			_, err = f.Write([]byte("x"))
			do(t, errors.Join(err, f.Sync(), f.Close(), v.SyncDir(".")))
			if diff := cmp.Diff(c.want, tree(t, inner.Crash())); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFaultyCutsAnywhere cuts the power before every call of a history.
func TestFaultyCutsAnywhere(t *testing.T) {
	t.Parallel()
	inner := NewCrash(Options{})
	var sizes []int
	v := NewFaulty(inner, func(Call) *Fault {
		sizes = append(sizes, len(tree(t, inner.Crash())))
		return nil
	})
	do(t, v.MkdirAll("d"))
	do(t, v.SyncDir("."))
	do(t, disk.WriteFileAtomic(v, "d", "f", []byte("x")))
	if !slices.IsSorted(sizes) || sizes[0] != 0 || sizes[len(sizes)-1] != 1 {
		t.Errorf("files found before each call: %v; want from 0 to 1", sizes)
	}
	if _, err := inner.Crash().Open("d/f"); errors.Is(err, fs.ErrNotExist) {
		t.Error("the file is lost after the last call")
	}
}

// pattern makes n bytes that differ from page to page.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz!"), n/37+1)[:n]
}
