package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/disk/disktest"
)

func TestConcurrent(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 300
	fsys := memory()
	o := options(t, fsys)
	o.Queue, o.Files = 16, -1
	l := mustOpen(t, o)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				e := event(n)
				e.Caller.RequestID = fmt.Sprintf("%d-%d", w, n)
				if err := l.Record(t.Context(), e); err != nil {
					t.Error(err)
				}
				if n%50 == 49 {
					if err := l.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if s := l.Stats(); s.Waits == 0 || s.Files == 0 || s.Seals == 0 {
		t.Errorf("stats %+v", s)
	}
	do(t, l.Close(t.Context()))
	next := make([]int, workers)
	for _, id := range requests(t, fsys) {
		var w, n int
		if _, err := fmt.Sscanf(id, "%d-%d", &w, &n); err != nil || n != next[w] {
			t.Fatalf("line %s where %d of worker %d was to follow", id, next[w], w)
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("worker %d has %d lines, want %d", w, n, each)
		}
	}
	if r := mustVerify(t, fsys); r.Events != workers*each {
		t.Errorf("report %+v", r)
	}
}

// TestBackpressure stops the disk: callers wait, and no line that was taken is lost.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fsys := memory()
		v := disktest.NewFaulty(fsys)
		o := options(t, v)
		o.Queue = 4
		l := mustOpen(t, o)
		var stuck atomic.Bool
		stuck.Store(true)
		v.SetRules(disktest.Match(func(c disktest.Call) bool { return c.Op == disktest.OpWrite && stuck.Load() },
			disktest.Fault{Err: syscall.ENOSPC}))
		taken := 0
		for n := 1; ; n++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			e := event(n)
			err := l.Record(ctx, e)
			cancel()
			synctest.Wait()
			if err != nil {
				if !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Record = %v, want ErrBusy", err)
				}
				break
			}
			taken = n
		}
		if taken < o.Queue || taken > o.Queue+2 {
			t.Errorf("%d lines were taken by a queue of %d", taken, o.Queue)
		}
		if err := l.Health(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Health = %v, want ENOSPC", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Flush(ctx); !errors.Is(err, ErrBusy) {
			t.Errorf("Flush = %v, want ErrBusy", err)
		}
		stuck.Store(false)
		do(t, l.Flush(t.Context()))
		do(t, l.Health())
		do(t, l.Close(t.Context()))
		wantRequests(t, fsys, 1, taken)
		mustVerify(t, fsys)
	})
}

// TestRecordAfterTheCallerLeft shows that the end of a request does not keep its
// line out of the log.
func TestRecordAfterTheCallerLeft(t *testing.T) {
	t.Parallel()
	fsys := memory()
	o := options(t, fsys)
	o.Queue = 1000
	l := mustOpen(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for n := 1; n <= 200; n++ {
		do(t, l.Record(ctx, event(n)))
	}
	do(t, l.Close(t.Context()))
	wantRequests(t, fsys, 1, 200)
}

func TestClose(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpen(t, options(t, fsys))
	record(t, l, 1, 3)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	do(t, l.Close(ended)) // the disk works, so an ended context changes nothing
	do(t, l.Close(t.Context()))
	if err := l.Record(t.Context(), event(4)); !errors.Is(err, ErrClosed) {
		t.Errorf("Record = %v, want ErrClosed", err)
	}
	if err := l.Flush(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush = %v, want ErrClosed", err)
	}
	if n := fsys.OpenFiles(); n != 0 {
		t.Errorf("%d files are still open", n)
	}
	wantRequests(t, fsys, 1, 3)
}

func TestCloseOnADeadDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fsys := memory()
		v := disktest.NewFaulty(fsys)
		o := options(t, v)
		o.Queue = 2
		l := mustOpen(t, o)
		v.SetRules(disktest.Always(disktest.OpWrite, disktest.Fault{Err: syscall.EIO}))
		record(t, l, 1, 1)
		synctest.Wait() // the first line is with the writer
		record(t, l, 2, 3)
		waiting := make(chan error, 2)
		go func() { waiting <- l.Flush(context.Background()) }()
		go func() { waiting <- l.Record(context.Background(), event(4)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := l.Close(ctx)
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "3 lines") {
			t.Errorf("Close = %v, want EIO and 3 lines", err)
		}
		for range 2 {
			if err := <-waiting; !errors.Is(err, ErrClosed) {
				t.Errorf("who waited was told %v, want ErrClosed", err)
			}
		}
		if again := l.Close(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("second Close = %v", again)
		}
		if n := fsys.OpenFiles(); n != 0 {
			t.Errorf("%d files are still open", n)
		}
		mustVerify(t, fsys)
	})
}

// TestUnsealedIsBounded shows that lines are sealed before too many of them wait
// for the interval.
func TestUnsealedIsBounded(t *testing.T) {
	t.Parallel()
	fsys := memory()
	o := options(t, fsys)
	o.FileSize = MaxFileSize
	l := mustOpen(t, o)
	const events = 2 * maxUnsealed / 300 // of more than 300 bytes each
	record(t, l, 1, events)
	durable := len(requests(t, fsys.Crash()))
	do(t, l.Close(t.Context()))
	if durable < events/3 {
		t.Errorf("%d of %d lines are durable without a flush", durable, events)
	}
}

// TestFlushOfALostLine closes the log while somebody waits for a line that the
// disk does not take.
func TestFlushOfALostLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := disktest.NewFaulty(memory())
		l := mustOpen(t, options(t, v))
		v.SetRules(disktest.Always(disktest.OpSync, disktest.Fault{Err: syscall.EIO}))
		record(t, l, 1, 1)
		told := make(chan error, 1)
		go func() { told <- l.Flush(context.Background()) }()
		synctest.Wait()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Close(ended); !errors.Is(err, syscall.EIO) {
			t.Errorf("Close = %v, want EIO", err)
		}
		if err := <-told; !errors.Is(err, syscall.EIO) {
			t.Errorf("Flush = %v, want EIO", err)
		}
	})
}
