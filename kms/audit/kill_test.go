//go:build unix

package audit

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/disk"
)

// childRoot names the directory in which TestKilledChild writes until it is killed.
const childRoot = "AUDIT_TEST_CHILD_ROOT"

// TestKilledChild is the process that TestKill kills. It prints the number of each
// event that a flush has followed.
func TestKilledChild(t *testing.T) {
	root := os.Getenv(childRoot)
	if root == "" {
		t.Skip("run by TestKill")
	}
	var first int
	if _, err := fmt.Sscan(os.Getenv(childRoot+"_FIRST"), &first); err != nil {
		t.Fatal(err)
	}
	o := options(t, disk.NewOS(root))
	o.Files = -1
	l, err := Open(context.Background(), o)
	do(t, err)
	for n := first; ; n++ {
		do(t, l.Record(context.Background(), event(n)))
		if n%20 == 0 {
			do(t, l.Flush(context.Background()))
			fmt.Println("flushed", n)
		}
	}
}

// TestKill kills a process that writes, again and again.
func TestKill(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fsys := disk.NewOS(root)
	last := 0
	for round := range 5 {
		flushed := killed(t, root, last+1, 30+20*round)
		if n := wholeEvents(t, fsys); n < uint64(flushed) {
			t.Fatalf("round %d: %d events, %d were flushed", round, n, flushed)
		}
		if _, err := verify(t, fsys); err != nil {
			t.Fatalf("round %d: Verify of a log that was killed: %v", round, err)
		}
		l := mustOpen(t, options(t, fsys))
		do(t, l.Close(t.Context()))
		last = len(requests(t, fsys))
		wantRequests(t, fsys, 1, last)
	}
	if r := mustVerify(t, fsys); r.Kills != 5 || r.Starts != 10 {
		t.Errorf("report %+v", r)
	}
}

// wholeEvents counts the events of a log whose last line may be torn.
func wholeEvents(t *testing.T, fsys disk.FS) uint64 {
	t.Helper()
	k, err := newKeys(testKey(t))
	do(t, err)
	v := &verifier{fs: fsys, dir: dir, keys: k}
	do(t, v.run(t.Context()))
	return v.report.Events
}

// killed runs a child from event first on, kills it some time after its first
// flush, and returns the last event that it flushed.
func killed(t *testing.T, root string, first, after int) (flushed int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), childRoot+"="+root, fmt.Sprintf("%s_FIRST=%d", childRoot, first))
	out, err := cmd.StdoutPipe()
	do(t, err)
	do(t, cmd.Start())
	var once sync.Once
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		if n, _ := fmt.Sscanf(scan.Text(), "flushed %d", &flushed); n == 1 {
			once.Do(func() {
				time.AfterFunc(time.Duration(after)*time.Millisecond, func() { _ = cmd.Process.Kill() })
			})
		}
	}
	if err := cmd.Wait(); err == nil || flushed == 0 {
		t.Fatalf("the child ended by itself: %v, flushed %d", err, flushed)
	}
	return flushed
}

// TestVerifyBesideAWriter reads a log while it is written, rotated and cut short
// at its beginning.
func TestVerifyBesideAWriter(t *testing.T) {
	t.Parallel()
	fsys := disk.NewOS(t.TempDir())
	o := options(t, fsys)
	o.Files, o.SyncInterval = 6, time.Millisecond
	l := mustOpen(t, o)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; !stop.Load(); n++ {
			if err := l.Record(context.Background(), event(n)); err != nil {
				t.Error(err)
				return
			}
			if n%30 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	})
	given := uint64(0)
	for range 15 {
		r, err := verify(t, fsys)
		if err != nil {
			t.Errorf("Verify: %v, %+v", err, r)
			break
		}
		given = r.Given
	}
	stop.Store(true)
	wg.Wait()
	do(t, l.Close(t.Context()))
	if r := mustVerify(t, fsys); given == 0 {
		t.Logf("no file was given up meanwhile: %+v", r)
	}
}
