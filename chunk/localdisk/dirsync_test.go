package localdisk

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestDirSyncRounds has callers arrive at known times around a sync that takes
// 10 ms, and wants each served by a sync that began after it came.
func TestDirSyncRounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d dirSync
		var syncs atomic.Int32
		start := time.Now()
		slow := func() error {
			syncs.Add(1)
			time.Sleep(10 * time.Millisecond)
			return nil
		}
		var wg sync.WaitGroup
		for _, c := range []struct{ arrives, served time.Duration }{
			{0, 10}, {1, 20}, {2, 20}, {9, 20}, {11, 30}, {19, 30}, {50, 60},
		} {
			wg.Go(func() {
				time.Sleep(c.arrives * time.Millisecond)
				if err := d.do(t.Context(), slow); err != nil {
					t.Errorf("do: %v", err)
				}
				if got := time.Since(start); got != c.served*time.Millisecond {
					t.Errorf("who came at %d ms was served at %v, want %d ms", c.arrives, got, c.served)
				}
			})
		}
		wg.Wait()
		if n := syncs.Load(); n != 4 {
			t.Errorf("%d syncs, want 4", n)
		}
	})
}

// TestDirSyncError: everybody of a round is told of its error, nobody else.
func TestDirSyncError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d dirSync
		bad := errors.New("bad")
		n := 0 // guarded by the turns of d
		call := func() error {
			n++
			time.Sleep(10 * time.Millisecond)
			if n == 2 {
				return bad
			}
			return nil
		}
		var wg sync.WaitGroup
		for _, c := range []struct {
			arrives time.Duration
			want    error
		}{{0, nil}, {1, bad}, {2, bad}, {15, nil}} {
			wg.Go(func() {
				time.Sleep(c.arrives * time.Millisecond)
				if err := d.do(t.Context(), call); !errors.Is(err, c.want) {
					t.Errorf("who came at %d ms was told %v, want %v", c.arrives, err, c.want)
				}
			})
		}
		wg.Wait()
	})
}

// TestDirSyncCancelled: who waits for another's sync may leave.
func TestDirSyncCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d dirSync
		slow := func() error { time.Sleep(time.Hour); return nil }
		var wg sync.WaitGroup
		for i := range 2 { // one at work, one that leads the next round
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				if err := d.do(t.Context(), slow); err != nil {
					t.Errorf("do: %v", err)
				}
			})
		}
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.do(ctx, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("do = %v, want the deadline", err)
		}
		wg.Wait()
	})
}
