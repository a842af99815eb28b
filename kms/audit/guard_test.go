package audit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/caller"
	"coffer/internal/disk/disktest"
	"coffer/kms"
)

// brittle is a log on a disk that can be stopped.
func brittle(t *testing.T, queue int) (*Log, *atomic.Bool, *disktest.Crash) {
	t.Helper()
	fsys := memory()
	v := disktest.NewFaulty(fsys)
	o := options(t, v)
	o.Queue = queue
	l := mustOpen(t, o)
	stuck := new(atomic.Bool)
	v.SetRules(disktest.Match(func(c disktest.Call) bool { return c.Op == disktest.OpWrite && stuck.Load() },
		disktest.Fault{Err: syscall.ENOSPC}))
	return l, stuck, fsys
}

func wantRefused(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, kms.Unavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want a refusal that names the full disk", err)
	}
}

// TestGuardClosed fills the disk: operations are refused at once, and go on when there is room again.
func TestGuardClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stuck, fsys := brittle(t, 4)
		g := NewGuard(GuardOptions{Log: l})
		do(t, g.Ready())
		do(t, g.RecordNow(t.Context(), event(1)))
		stuck.Store(true)
		do(t, g.Record(t.Context(), event(2))) // nobody knows yet
		synctest.Wait()
		began := time.Now()
		wantRefused(t, g.Ready())
		for n := 3; n <= 50; n++ {
			wantRefused(t, g.Record(t.Context(), event(n)))
			wantRefused(t, g.RecordNow(t.Context(), event(n)))
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("refusals took %v", waited)
		}
		if s := g.Status(); !s.Required || !errors.Is(s.Err, syscall.ENOSPC) || s.Lost != 0 {
			t.Errorf("status %+v", s)
		}
		stuck.Store(false)
		time.Sleep(lastPause)
		synctest.Wait()
		do(t, g.Ready())
		do(t, g.RecordNow(t.Context(), event(99)))
		do(t, l.Close(t.Context()))
		ids := requests(t, fsys)
		if ids[0] != "r1" || ids[1] != "r2" || ids[len(ids)-1] != "r99" {
			t.Errorf("lines %v", ids)
		}
		mustVerify(t, fsys)
	})
}

// TestGuardOpen fills the disk: operations go on, and a line tells how many others are missing.
func TestGuardOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stuck, fsys := brittle(t, 4)
		g := NewGuard(GuardOptions{Log: l, FailOpen: true})
		stuck.Store(true)
		began := time.Now()
		const sent = 50
		for n := 1; n <= sent; n++ {
			do(t, g.Ready())
			do(t, g.RecordNow(t.Context(), event(n)))
			synctest.Wait()
		}
		if waited := time.Since(began); waited > DefaultPatience {
			t.Errorf("operations waited %v", waited)
		}
		lost := g.Status().Lost
		if lost == 0 || lost >= sent {
			t.Errorf("%d lines are lost", lost)
		}
		stuck.Store(false)
		time.Sleep(lastPause)
		synctest.Wait()
		do(t, g.Record(t.Context(), event(99)))
		do(t, g.Record(t.Context(), event(100)))
		do(t, l.Close(t.Context()))
		told := 0
		for _, l := range allLines(t, fsys) {
			if l.Event.Operation != string(LinesLost) {
				continue
			}
			told++
			want := []caller.Pair{{Name: "lines", Value: fmt.Sprint(lost)}}
			if len(l.Event.Pairs) != 1 || l.Event.Pairs[0] != want[0] || l.Event.Principal != caller.Internal || l.Event.Outcome != string(IO) {
				t.Errorf("the line tells %+v", l.Event)
			}
		}
		if told != 1 {
			t.Errorf("%d lines tell of lost ones", told)
		}
		mustVerify(t, fsys)
	})
}

// TestGuardPatience shows that a queue that is full for a moment is waited for, and not for longer than allowed.
func TestGuardPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fsys := memory()
		v := disktest.NewFaulty(fsys)
		o := options(t, v)
		o.Queue = 1
		l := mustOpen(t, o)
		hold := make(chan struct{})
		v.SetRules(disktest.Match(func(c disktest.Call) bool {
			if c.Op == disktest.OpWrite {
				<-hold
			}
			return false
		}, disktest.Fault{}))
		for _, open := range []bool{false, true} {
			g := NewGuard(GuardOptions{Log: l, FailOpen: open, Patience: 3 * time.Second})
			var err error
			began := time.Now()
			for n := 0; n < 5 && err == nil && g.Status().Lost == 0; n++ {
				err = g.Record(t.Context(), event(n))
				synctest.Wait()
			}
			if errors.Is(err, ErrBusy) == open || time.Since(began) != 3*time.Second {
				t.Errorf("open %v: %v after %v", open, err, time.Since(began))
			}
		}
		close(hold)
		do(t, l.Close(t.Context()))
	})
}

// TestGuardCanceled records for a client that has gone.
func TestGuardCanceled(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpen(t, options(t, fsys))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	do(t, NewGuard(GuardOptions{Log: l}).RecordNow(ctx, event(1)))
	if got := requests(t, fsys); len(got) != 1 {
		t.Errorf("lines %v", got)
	}
}
