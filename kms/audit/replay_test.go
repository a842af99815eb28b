package audit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"coffer/internal/disk/disktest"
)

// TestOldState puts back a state file that was genuine once.
func TestOldState(t *testing.T) {
	t.Parallel()
	fsys := memory()
	written(t, fsys, 5)
	state, file := read(t, fsys, stateName), read(t, fsys, fileName(1))
	l := mustOpen(t, options(t, fsys))
	record(t, l, 6, 9)
	do(t, l.Flush(t.Context()))
	remembered := l.Stats().Head
	do(t, l.Close(t.Context()))
	mustVerify(t, fsys, remembered)

	put(t, fsys, stateName, state)
	_, err := verify(t, fsys)
	wantFault(t, err, fileName(1), len(slices.Collect(strings.Lines(file)))+1, ErrExtra)

	// With the lines removed as well, only who remembers a later one can tell.
	put(t, fsys, fileName(1), file)
	mustVerify(t, fsys)
	_, err = verify(t, fsys, remembered)
	wantFault(t, err, "", 0, ErrHead)
	written(t, fsys, 20) // and goes on, so that the number exists again
	mustVerify(t, fsys)
	_, err = verify(t, fsys, remembered)
	wantFault(t, err, fileName(1), int(remembered.Seq), ErrHead)
}

// TestFork puts the first file of a log into the place of that of its twin, which
// has the same id and number and follows other lines.
func TestFork(t *testing.T) {
	t.Parallel()
	base := memory()
	do(t, mustOpenSmall(t, base).Close(t.Context()))
	twins := []*disktest.Crash{base.Crash(), base.Crash()}
	first := make([]string, len(twins))
	for i, fsys := range twins {
		l := mustOpenSmall(t, fsys)
		record(t, l, 1000*i, 1000*i+99)
		do(t, l.Close(t.Context()))
		found, err := list(fsys, dir)
		do(t, err)
		if first[i] = fileName(found.files[0].num); first[i] == fileName(1) {
			t.Fatal("no file was given up")
		}
	}
	if first[0] != first[1] {
		t.Fatalf("the twins begin with %v", first)
	}
	put(t, twins[0], first[0], read(t, twins[1], first[1]))
	_, err := verify(t, twins[0])
	wantFault(t, err, first[0], 1, ErrChain)
	if _, err := Open(t.Context(), options(t, twins[0])); !errors.Is(err, ErrChain) {
		t.Errorf("Open = %v, want ErrChain", err)
	}
}

// TestStateOfATwin takes the state file of a twin whose lines have the same
// lengths: offset and number fit, the line does not.
func TestStateOfATwin(t *testing.T) {
	t.Parallel()
	base := memory()
	written(t, base, 1)
	twin := base.Crash()
	for i, fsys := range []*disktest.Crash{base, twin} {
		l := mustOpen(t, options(t, fsys))
		record(t, l, i, i)
		do(t, l.Close(t.Context()))
	}
	put(t, base, stateName, read(t, twin, stateName))
	_, err := verify(t, base)
	wantFault(t, err, fileName(1), len(lines(t, base, 1)), ErrChain)
	if _, err := Open(t.Context(), options(t, base)); !errors.Is(err, ErrChain) {
		t.Errorf("Open = %v, want ErrChain", err)
	}
}

// TestTornBeforeTheNextFile damages the unsealed end of a file that another one
// follows, which no cut does.
func TestTornBeforeTheNextFile(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpenSmall(t, fsys)
	do(t, l.Flush(t.Context()))
	state := read(t, fsys, stateName)
	for n := 1; newest(t, fsys) == 1; n++ {
		record(t, l, n, n)
		do(t, l.Flush(t.Context()))
	}
	put(t, fsys, stateName, state)
	mustVerify(t, fsys) // a cut between the new file and its seal
	put(t, fsys, fileName(1), read(t, fsys, fileName(1))+"{")
	_, err := verify(t, fsys)
	wantFault(t, err, fileName(1), len(lines(t, fsys, 1)), ErrTail)
	if _, err := Open(t.Context(), options(t, fsys)); !errors.Is(err, ErrTail) {
		t.Errorf("Open = %v, want ErrTail", err)
	}
}

// TestPlaces shows the checker lines that carry the right MAC and stand where the
// log would not put them.
func TestPlaces(t *testing.T) {
	t.Parallel()
	k, err := newKeys(testKey(t))
	do(t, err)
	begin := line{Kind: kindBegin, Format: 1, Log: logID{1}, File: 2}
	newer, other, elsewhere, after := begin, begin, begin, begin
	newer.Format, other.Log, elsewhere.File, after.Prev = 2, logID{2}, 3, sum{1}
	for _, c := range []struct {
		name string
		at   int // lines of the file before it
		line line
		want error
	}{
		{"begin", 0, begin, nil},
		{"event", 1, line{Kind: kindEvent}, nil},
		{"event first", 0, line{Kind: kindEvent}, ErrChain},
		{"begin later", 1, begin, ErrChain},
		{"newer format", 0, newer, ErrNewer},
		{"another log", 0, other, ErrChain},
		{"another file", 0, elsewhere, ErrChain},
		{"another line before", 0, after, ErrChain},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from := k.chainFrom(Head{})
			raw := addLine(nil, &from, c.line)
			check := checker{log: logID{1}, chain: k.chainFrom(Head{}), file: 2, line: c.at}
			if _, err := check.next(raw[:len(raw)-1]); !errors.Is(err, c.want) {
				t.Errorf("next = %v, want %v", err, c.want)
			}
		})
	}
}

// TestVerifyMeetsAChange has the log move on after Verify has read its state.
func TestVerifyMeetsAChange(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpenSmall(t, fsys)
	record(t, l, 1, 50)
	do(t, l.Flush(t.Context()))
	v := disktest.NewFaulty(fsys, func(c disktest.Call) *disktest.Fault {
		if c.Op == disktest.OpReadDir && c.N <= 2 {
			record(t, l, 50*c.N, 50*c.N+50)
			if err := l.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	mustVerify(t, v)
	if v.Calls(disktest.OpReadDir) != 3 {
		t.Errorf("Verify began %d times, want 3", v.Calls(disktest.OpReadDir))
	}
}

func TestRememberedButGivenUp(t *testing.T) {
	t.Parallel()
	fsys := memory()
	o := options(t, fsys)
	o.Files = 2
	l := mustOpen(t, o)
	do(t, l.Flush(t.Context()))
	early := l.Stats().Head
	record(t, l, 1, 1500)
	do(t, l.Close(t.Context()))
	if r := mustVerify(t, fsys, early, l.Stats().Head); r.Before != 1 || r.Given < early.Seq {
		t.Errorf("report %+v", r)
	}
}
