package audit

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
)

// maxRepairs bounds the repairs that a Report names.
const maxRepairs = 100

// Report is what Verify found, up to the first fault if there is one.
type Report struct {
	Log      string // id
	Clean    bool   // the log was closed; else it is being written, or was killed
	Files    int
	Lines    uint64    // that continue the chain
	Events   uint64    // of them
	First    time.Time // time of the first line
	Last     time.Time // time of the last line
	Given    uint64    // lines before the first file that is kept: given up by rotation
	Head     Head      // last line that continues the chain; worth keeping elsewhere
	Unsealed uint64    // last lines that continue the chain with nothing to vouch that none follows
	Torn     int64     // bytes of a last line that is not whole: being written, or cut by a kill

	Starts  int      // times that a process opened the log
	Kills   int      // of them, those that found it not closed
	Repairs []Repair // of them, the first that cut something off
	Before  int      // remembered lines that were given up, and cannot be checked
}

// Repair is a damaged end of the log that a start cut off.
type Repair struct {
	File  string
	Line  int // that records it
	Time  time.Time
	Bytes uint64
	Lines uint64 // line feeds in these bytes; more than 0 is not what a kill of the process does
}

// Verify reads the whole log in a directory and checks every line. The error is a
// *Fault for the first fault, or what the disk or ctx said. Lines that were
// remembered elsewhere (Log.Stats, Report.Head) must be in the log: without one,
// nobody can tell a log that was put back to an earlier state together with its
// state file. It may run beside a Log that writes.
func Verify(ctx context.Context, fsys disk.FS, dir string, key *cipher.Subkey, remembered ...Head) (Report, error) {
	return examine(ctx, fsys, dir, key, remembered, nil)
}

// examine is Verify, and calls visit, which may be nil, for every line that continues the chain. An error of visit ends it.
func examine(ctx context.Context, fsys disk.FS, dir string, key *cipher.Subkey, remembered []Head, visit func(*verifier, *line) error) (Report, error) {
	const attempts = 5 // each one begins with a state file that has changed since
	keys, err := newKeys(key)
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	for n := 1; ; n++ {
		v := &verifier{fs: fsys, dir: dir, keys: keys, remembered: remembered, visit: visit}
		err := v.run(ctx)
		v.report.Head = v.k.chain.at
		var fault *Fault
		switch {
		case err == nil:
			return v.report, nil
		case !errors.As(err, &fault):
			return v.report, fmt.Errorf("verify the audit log: %w", err)
		}
		now, stateErr := keys.readState(fsys, dir)
		if n == attempts || stateErr != nil || now == v.state {
			return v.report, err
		}
	}
}

// verifier is one reading of the log.
type verifier struct {
	fs         disk.FS
	dir        string
	keys       *keys
	remembered []Head
	visit      func(*verifier, *line) error

	state    state
	k        checker
	report   Report
	met      bool  // the line that the state file vouches for was there
	unsealed int64 // bytes behind it
}

func (v *verifier) run(ctx context.Context) (err error) {
	v.state, err = v.keys.readState(v.fs, v.dir)
	if isNotExist(err) {
		err = fmt.Errorf("%w: it is missing", ErrState)
	}
	if errors.Is(err, ErrState) || errors.Is(err, ErrNewer) {
		return &Fault{File: stateName, Err: err}
	}
	if err != nil {
		return err
	}
	found, err := list(v.fs, v.dir)
	if err != nil {
		return err
	}
	v.report.Log, v.report.Clean, v.report.Given = v.state.Log.String(), v.state.Clean, v.state.Base.Seq
	v.k = checker{log: v.state.Log, chain: v.keys.chainFrom(v.state.Base)}
	v.met = v.state.empty()
	if err := v.recall(); err != nil {
		return &Fault{Err: err}
	}
	files := found.since(v.state.First)
	for i, f := range files {
		if num := v.state.First + uint64(i); f.num != num {
			return &Fault{File: fileName(num), Err: ErrMissing}
		}
		if err := v.file(ctx, f, i == len(files)-1); err != nil {
			return err
		}
	}
	return v.end(v.state.First + uint64(len(files)))
}

// file checks one file.
func (v *verifier) file(ctx context.Context, l listed, last bool) error {
	f, err := v.fs.Open(path.Join(v.dir, fileName(l.num)))
	if isNotExist(err) {
		return &Fault{File: fileName(l.num), Err: ErrMissing}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	v.k.enter(l.num)
	v.report.Files++
	from := int64(0)
	var refused error // of a line that continues the chain
	end, err := v.k.walk(ctx, f, 0, l.size, func(n *line, end int64) error {
		if v.visit != nil {
			if err := v.visit(v, n); err != nil {
				return err
			}
		}
		refused = v.line(n, from, end)
		from = end
		return refused
	})
	if refused != nil {
		return &Fault{File: fileName(l.num), Line: v.k.line, Err: refused}
	}
	if err == nil && v.k.line == 0 {
		err = errTorn // not even its first line
	}
	if err != nil {
		return v.judge(l, end, last, err)
	}
	if l.num == v.state.Last && !v.met {
		return &Fault{File: fileName(l.num), Line: v.k.line, Err: v.tooShort(end)}
	}
	return nil
}

func (v *verifier) tooShort(end int64) error {
	return fmt.Errorf("%w: %d bytes, %d were sealed", ErrTruncated, end, v.state.Offset)
}

// line takes note of a line that continues the chain.
func (v *verifier) line(n *line, from, end int64) error {
	r := &v.report
	r.Lines++
	if r.Lines == 1 {
		r.First = n.Time
	}
	r.Last = n.Time
	switch n.Kind {
	case kindEvent:
		r.Events++
	case kindStart:
		v.start(n)
	}
	if v.behind(from) {
		r.Unsealed++
		v.unsealed += end - from
		if v.state.Clean {
			return fmt.Errorf("%w: it was closed at line %d", ErrExtra, v.state.Head.Seq)
		}
		if v.unsealed > 2*maxUnsealed {
			return fmt.Errorf("%w: nothing vouches for its last %d bytes", ErrExtra, v.unsealed)
		}
	} else if v.k.file == v.state.Last && end >= v.state.Offset {
		if end > v.state.Offset || v.k.chain.at != v.state.Head {
			return fmt.Errorf("%w: the sealed line is not at its place", ErrChain)
		}
		v.met = true
	}
	return v.recall()
}

func (v *verifier) start(n *line) {
	r := &v.report
	r.Starts++
	if !n.Clean {
		r.Kills++
	}
	if n.CutBytes > 0 && len(r.Repairs) < maxRepairs {
		r.Repairs = append(r.Repairs, Repair{fileName(v.k.file), v.k.line, n.Time, n.CutBytes, n.CutLines})
	}
}

// behind reports whether an offset of the file is behind what is vouched for.
func (v *verifier) behind(off int64) bool {
	return v.k.file > v.state.Last || v.k.file == v.state.Last && off >= v.state.Offset
}

// judge makes a Fault of an error of walk, which ended at an offset of a file, if
// it is one.
func (v *verifier) judge(l listed, end int64, last bool, err error) error {
	at := func(err error) error { return &Fault{File: fileName(l.num), Line: v.k.line + 1, Err: err} }
	torn, behind := errors.Is(err, errTorn), v.behind(end)
	switch {
	case errors.Is(err, ErrNewer):
		return at(err)
	case !torn && !errors.Is(err, ErrChain):
		return err
	case behind && v.state.Clean:
		return at(fmt.Errorf("%w: it was closed at line %d", ErrExtra, v.state.Head.Seq))
	case behind && torn && last && v.k.line > 0:
		v.report.Torn = l.size - end
		return nil
	case behind:
		return at(fmt.Errorf("%w: %w", ErrTail, err))
	case torn && l.num == v.state.Last && l.size < v.state.Offset:
		return at(v.tooShort(l.size))
	case torn:
		return at(fmt.Errorf("%w: %w", ErrChain, err))
	default:
		return at(err)
	}
}

// end looks at the log as a whole, given the number that follows the last file.
func (v *verifier) end(next uint64) error {
	switch {
	case next <= v.state.Last && !v.met:
		return &Fault{File: fileName(next), Err: ErrMissing}
	case next > v.state.Last+2:
		return &Fault{File: fileName(v.state.Last + 2), Err: fmt.Errorf("%w: a state file of before", ErrExtra)}
	}
	for _, h := range v.remembered {
		if h.Seq > v.k.chain.at.Seq {
			return &Fault{Err: fmt.Errorf("%w: it ends at %d, before %d", ErrHead, v.k.chain.at.Seq, h.Seq)}
		}
	}
	return nil
}

// recall compares the line that was read with those that were remembered.
func (v *verifier) recall() error {
	if v.report.Lines == 0 {
		v.report.Before = len(slices.DeleteFunc(slices.Clone(v.remembered), func(h Head) bool {
			return h.Seq >= v.state.Base.Seq
		}))
	}
	for _, h := range v.remembered {
		if h.Seq == v.k.chain.at.Seq && h != v.k.chain.at {
			return fmt.Errorf("%w: line %d is another", ErrHead, h.Seq)
		}
	}
	return nil
}
