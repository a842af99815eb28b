package home

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"coffer/internal/disk/disktest"
)

// power is two disks of one machine, whose supply can be cut.
type power struct {
	config, data *disktest.Crash
}

func newPower() power {
	return power{disktest.NewCrash(disktest.Options{}), disktest.NewCrash(disktest.Options{})}
}

// cut gives the disks as they are found after a power cut.
func (p power) cut() power { return power{p.config.Crash(), p.data.Crash()} }

// open starts a store on the disks; rule sees every call to either.
func (p power) open(rule disktest.Rule) (*Home, error) {
	o := Options{Places: Places{Config: "/c", Data: "/d"}, Unlock: Unlock{KeyFile: "/c/" + UnlockKeyFile}}
	config := disktest.NewFaulty(p.config, rule)
	return open(o, volumes{config: config, data: disktest.NewFaulty(p.data, rule), key: config})
}

func noRule(disktest.Call) *disktest.Fault { return nil }

// TestPowerCut cuts the power before every call of a first start. What is found
// then must start, and start again as the same store; after the first start has
// said that it is done, it must be that store.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	cuts := 0
	for n := 1; ; n++ {
		p, calls := newPower(), 0
		var found []power
		first, err := p.open(func(disktest.Call) *disktest.Fault {
			if calls++; calls == n {
				found = p.cuts()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if found == nil {
			for _, after := range p.cuts() {
				checkSame(t, "after the first start", first, after)
			}
			break
		}
		cuts++
		for i, after := range found {
			second, err := after.open(noRule)
			if err != nil {
				t.Fatalf("cut %d before call %d: %v", i, n, err)
			}
			checkSame(t, fmt.Sprintf("cut %d before call %d", i, n), second, after.cut())
		}
	}
	if cuts < 20 {
		t.Errorf("only %d cuts", cuts)
	}
}

// same reports whether two starts found one store.
func same(a, b *Home) bool {
	return a.StoreID == b.StoreID && a.Fingerprint == b.Fingerprint &&
		string(a.Root.Password.Expose()) == string(b.Root.Password.Expose())
}

// checkSame starts once more and compares.
func checkSame(t *testing.T, when string, want *Home, p power) {
	t.Helper()
	got, err := p.open(noRule)
	if err != nil {
		t.Errorf("%s: the next start: %v", when, err)
		return
	}
	if !same(want, got) || got.New {
		t.Errorf("%s: the next start finds another store", when)
	}
}

// syncCount counts the syncs of a first start.
const syncCount = 10

// TestEverySyncMatters leaves out one sync of a first start at a time, and cuts
// the power before each call and at the end, in ways that keep nothing or some of
// what was not synced. Some cut must then leave what does not start, or starts
// as another store; else the sync, or these tests, would be for nothing.
func TestEverySyncMatters(t *testing.T) {
	t.Parallel()
	for n := 1; n <= syncCount; n++ {
		matters := false
		for cut := 1; !matters; cut++ {
			lost, done := losesStore(t, n, cut)
			matters = lost
			if done {
				break
			}
		}
		// The directory's sync after the last writing of the marker is made up
		// for by the sync of the directory that the metastore's makes.
		if want := n != 8; matters != want {
			t.Errorf("sync %d of %d left out: noticed %v, want %v", n, syncCount, matters, want)
		}
	}
}

// losesStore leaves out the n-th sync and cuts the power before a call, or at
// the end when there is no such call (done).
func losesStore(t *testing.T, n, cut int) (lost, done bool) {
	t.Helper()
	p, syncs, calls := newPower(), 0, 0
	var found []power
	first, err := p.open(func(c disktest.Call) *disktest.Fault {
		if calls++; calls == cut {
			found = p.cuts()
		}
		if c.Op != disktest.OpSync && c.Op != disktest.OpSyncDir {
			return nil
		}
		if syncs++; syncs == n {
			return &disktest.Fault{Skip: true}
		}
		return nil
	})
	if err != nil || syncs != syncCount {
		t.Fatalf("%d syncs, want %d: %v", syncs, syncCount, err)
	}
	if done = found == nil; done {
		found = p.cuts()
	}
	for _, after := range found {
		again, err := after.open(noRule)
		if err != nil || done && !same(first, again) {
			return true, done
		}
	}
	return false, done
}

// cuts gives the disks after several power cuts: one that keeps nothing that was
// not synced, and some that keep part of it.
func (p power) cuts() []power {
	list := []power{p.cut()}
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 1))
		list = append(list, power{p.config.CrashTorn(r), p.data.CrashTorn(r)})
	}
	return list
}

// TestDiskErrors fails each call of a first start in turn: the start fails, and
// the next one succeeds.
func TestDiskErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	for n := 1; ; n++ {
		p, calls := newPower(), 0
		_, err := p.open(disktest.Match(func(disktest.Call) bool { calls++; return calls == n }, disktest.Fault{Err: broken}))
		if calls < n {
			break
		}
		if err != nil && !errors.Is(err, broken) {
			t.Errorf("call %d: the cause is lost: %v", n, err)
		}
		if _, err := p.open(noRule); err != nil {
			t.Errorf("after a failure of call %d: %v", n, err)
		}
	}
}
