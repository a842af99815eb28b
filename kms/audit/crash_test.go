package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

// small are options under which a file is full after a dozen lines.
func small(t testing.TB, fsys disk.Volume) Options {
	o := options(t, fsys)
	o.FileSize = 6 << 10
	o.Files = 4
	return o.withDefaults()
}

func mustOpenSmall(t testing.TB, fsys disk.Volume) *Log {
	t.Helper()
	l, err := open(t.Context(), small(t, fsys))
	do(t, err)
	closeLater(t, l)
	return l
}

// tale records events and flushes now and then. promised is the last event that a
// flush has followed.
func tale(t *testing.T, l *Log, first, last int, promised *atomic.Int64) {
	for n := first; n <= last; n++ {
		do(t, l.Record(t.Context(), event(n)))
		if n%7 == 0 {
			do(t, l.Flush(t.Context()))
			promised.Store(int64(n))
		}
	}
}

// survives opens what a cut has left: the log is sound, ends with the promised
// event or a later one, and goes on.
func survives(t *testing.T, after *disktest.Crash, promised int, what string) {
	t.Helper()
	l, err := open(t.Context(), small(t, after))
	if err != nil {
		t.Fatalf("%s: Open: %v", what, err)
	}
	do(t, l.Record(t.Context(), event(100_000)))
	do(t, l.Close(t.Context()))
	r, err := verify(t, after)
	if err != nil || !r.Clean {
		t.Fatalf("%s: Verify: %v, %+v", what, err, r)
	}
	ids := requests(t, after)
	if len(ids) == 0 || ids[len(ids)-1] != "r100000" {
		t.Fatalf("%s: the log did not go on: %v", what, ids)
	}
	before := 0
	for _, id := range ids[:len(ids)-1] {
		var n int
		if _, err := fmt.Sscanf(id, "r%d", &n); err != nil || before > 0 && n != before+1 {
			t.Fatalf("%s: event %s follows %d", what, id, before)
		}
		before = n
	}
	if before < promised {
		t.Fatalf("%s: the last event is %d, %d was promised", what, before, promised)
	}
	found, err := list(after, dir)
	do(t, err)
	if len(found.temps) > 0 || len(found.files) != r.Files {
		t.Fatalf("%s: left %+v, the log has %d files", what, found, r.Files)
	}
}

// picture is what a power cut would leave.
type picture struct {
	after    *disktest.Crash
	promised int
	what     string
}

// TestPowerCutAnywhere cuts the power before every call to the disk, from the
// making of the log to its end, with all rests of what was not durable.
func TestPowerCutAnywhere(t *testing.T) {
	t.Parallel()
	fsys := memory()
	var promised atomic.Int64
	var mu sync.Mutex // the log's goroutine takes pictures, too
	var plain, all []picture
	cuts := 0
	v := disktest.NewFaulty(fsys, func(c disktest.Call) *disktest.Fault {
		switch c.Op {
		case disktest.OpReadAt, disktest.OpReadDir, disktest.OpOpen, disktest.OpSize, disktest.OpClose:
			return nil // changes nothing
		}
		mu.Lock()
		defer mu.Unlock()
		cuts++
		kept := int(promised.Load()) // before the picture is taken
		what := fmt.Sprintf("cut %d before %s of %s", cuts, c.Op, c.Name)
		plain = append(plain, picture{fsys.Crash(), kept, what})
		for seed := range uint64(2) {
			torn := fsys.CrashTorn(rand.New(rand.NewPCG(seed, uint64(cuts))))
			all = append(all, picture{torn, kept, fmt.Sprintf("%s, torn %d", what, seed)})
		}
		return nil
	})
	l := mustOpenSmall(t, v)
	tale(t, l, 1, 50, &promised)
	do(t, l.Close(t.Context()))
	l = mustOpenSmall(t, v)
	tale(t, l, 51, 70, &promised)
	do(t, l.Close(t.Context()))
	if r := mustVerify(t, fsys); r.Given == 0 || cuts < 120 {
		t.Errorf("after %d cuts: %+v", cuts, r)
	}
	for _, p := range plain {
		if p.promised > 0 {
			if _, err := verify(t, p.after); err != nil {
				t.Errorf("%s: Verify before Open: %v", p.what, err)
			}
		}
	}
	for _, p := range append(all, append(plain, picture{fsys.Crash(), 70, "at the end"})...) {
		survives(t, p.after, p.promised, p.what)
	}
}

// TestPowerCutDuringRepair cuts the power again while Open repairs the log.
func TestPowerCutDuringRepair(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpenSmall(t, fsys)
	record(t, l, 1, 7)
	do(t, l.Flush(t.Context()))
	state := read(t, fsys, stateName)
	record(t, l, 8, 9)
	do(t, l.Close(t.Context()))
	whole := strings.SplitAfter(read(t, fsys, fileName(1)), "\n")
	cut := strings.Join(whole[:len(whole)-2], "")
	put(t, fsys, fileName(1), cut[:len(cut)-40]) // within the line of event 9
	put(t, fsys, stateName, state)

	var mu sync.Mutex
	var all []picture
	v := disktest.NewFaulty(fsys, func(c disktest.Call) *disktest.Fault {
		mu.Lock()
		defer mu.Unlock()
		for seed := range uint64(8) {
			what := fmt.Sprintf("cut %d before %s of %s", len(all), c.Op, c.Name)
			all = append(all, picture{fsys.CrashTorn(rand.New(rand.NewPCG(seed, uint64(len(all))))), 8, what})
		}
		return nil
	})
	do(t, mustOpenSmall(t, v).Close(t.Context()))
	for _, p := range all {
		survives(t, p.after, p.promised, p.what)
		if r := mustVerify(t, p.after); len(r.Repairs) == 0 { // two when the stop is torn too
			t.Errorf("%s: no repair is recorded", p.what)
		}
	}
	if r := mustVerify(t, fsys); len(r.Repairs) != 1 || r.Repairs[0].Lines != 0 || r.Kills != 1 {
		t.Errorf("report %+v", r)
	}
}

// TestFaults strikes each call once: no line is lost, and none is there twice.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, op := range []disktest.Op{
		disktest.OpCreate, disktest.OpWrite, disktest.OpSync, disktest.OpRename, disktest.OpSyncDir, disktest.OpRemove,
		disktest.OpClose,
	} {
		for _, fault := range []struct {
			name string
			disktest.Fault
		}{
			{"before", disktest.Fault{Err: syscall.EIO}},
			{"after", disktest.Fault{Err: syscall.EIO, After: true}},
			{"short", disktest.Fault{Err: syscall.ENOSPC, Bytes: 10}},
			{"silent", disktest.Fault{Bytes: 10}},
		} {
			if op != disktest.OpWrite && (fault.name == "short" || fault.name == "silent") {
				continue
			}
			t.Run(string(op)+" "+fault.name, func(t *testing.T) {
				t.Parallel()
				for n := 1; n <= 30; n++ {
					strike(t, op, n, fault.Fault)
				}
			})
		}
	}
}

func strike(t *testing.T, op disktest.Op, n int, fault disktest.Fault) {
	t.Helper()
	fsys := memory()
	v := disktest.NewFaulty(fsys)
	l := mustOpenSmall(t, v)
	v.SetRules(disktest.Nth(op, n, fault))
	var promised atomic.Int64
	tale(t, l, 1, 50, &promised)
	wantPromise(t, fsys, int(promised.Load()))
	do(t, l.Close(t.Context()))
	mustVerify(t, fsys)
	ids := requests(t, fsys)
	if len(ids) == 0 || ids[len(ids)-1] != "r50" {
		t.Fatalf("%s %d: the last of %d events is missing", op, n, len(ids))
	}
	survives(t, fsys.Crash(), 50, fmt.Sprintf("%s %d", op, n))
	if open := fsys.OpenFiles(); open != 0 {
		t.Errorf("%s %d: %d files are still open", op, n, open)
	}
}

func wantPromise(t *testing.T, fsys *disktest.Crash, promised int) {
	t.Helper()
	survives(t, fsys.Crash(), promised, "after the last flush")
}

// TestFailedSyncIsNotTrusted shows that a file is written anew after a failed
// sync: the kernel may have dropped what it held.
func TestFailedSyncIsNotTrusted(t *testing.T) {
	t.Parallel()
	fsys := memory()
	v := disktest.NewFaulty(fsys)
	l := mustOpen(t, options(t, v))
	record(t, l, 1, 3)
	v.SetRules(disktest.Nth(disktest.OpSync, 1, disktest.Fault{Err: syscall.EIO}))
	do(t, l.Flush(t.Context()))
	wantRequests(t, fsys.Crash(), 1, 3)
	record(t, l, 4, 6)
	do(t, l.Flush(t.Context()))
	wantRequests(t, fsys.Crash(), 1, 6)
	mustVerify(t, fsys.Crash())
}

// lying is a file system whose next write to a file of the log does half of its
// work and tells of none.
type lying struct {
	disk.Volume
	armed atomic.Bool
}

type lyingFile struct {
	disk.File
	fs *lying
}

func (l *lying) Create(name string) (disk.File, error) {
	f, err := l.Volume.Create(name)
	return &lyingFile{f, l}, err
}

func (f *lyingFile) Write(p []byte) (int, error) {
	if !f.fs.armed.CompareAndSwap(true, false) {
		return f.File.Write(p)
	}
	_, err := f.File.Write(p[:len(p)/2])
	return 0, errors.Join(err, syscall.EIO)
}

// TestFailedWriteIsNotTrusted shows that a file is written anew when it does not
// hold what a failed write told.
func TestFailedWriteIsNotTrusted(t *testing.T) {
	t.Parallel()
	v := &lying{Volume: memory()}
	l := mustOpen(t, options(t, v))
	v.armed.Store(true)
	record(t, l, 1, 5)
	do(t, l.Close(t.Context()))
	if v.armed.Load() {
		t.Fatal("nothing was written")
	}
	mustVerify(t, v)
	wantRequests(t, v, 1, 5)
}

// TestOpenOnAFailingDisk leaves nothing open, and the next Open succeeds.
func TestOpenOnAFailingDisk(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{false, true} {
		for n := 1; ; n++ {
			fsys := memory()
			if made {
				l := mustOpenSmall(t, fsys)
				record(t, l, 1, 30)
				do(t, l.Close(t.Context()))
			}
			calls := 0
			v := disktest.NewFaulty(fsys, func(c disktest.Call) *disktest.Fault {
				if calls++; calls == n {
					return &disktest.Fault{Err: syscall.EIO}
				}
				return nil
			})
			o := small(t, v)
			o.Logger = slog.New(slog.DiscardHandler)
			l, err := open(t.Context(), o)
			var f *Fault
			if errors.As(err, &f) {
				t.Fatalf("call %d: an error of the disk is blamed on the log: %v", n, err)
			}
			if err == nil {
				do(t, l.Close(t.Context()))
			}
			if open := fsys.OpenFiles(); open != 0 {
				t.Fatalf("call %d: %d files are still open", n, open)
			}
			survives(t, fsys.Crash(), 0, fmt.Sprintf("call %d", n))
			if calls < n {
				break
			}
		}
	}
}
