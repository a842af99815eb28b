package disktest

import (
	"iter"
	"sync"

	"coffer/internal/disk"
)

// Op names a call of disk.Volume or disk.File.
type Op string

// The calls that a Rule sees.
const (
	OpCreate    Op = "create"
	OpOpen      Op = "open"
	OpRemove    Op = "remove"
	OpRename    Op = "rename"
	OpReadDir   Op = "readdir"
	OpSyncDir   Op = "syncdir"
	OpMkdirAll  Op = "mkdirall"
	OpSpace     Op = "space"
	OpWrite     Op = "write"
	OpReadAt    Op = "readat"
	OpSync      Op = "sync"
	OpSize      Op = "size"
	OpClose     Op = "close"
	OpWriteback Op = "writeback"
)

// Call is a call about to be made.
type Call struct {
	Op   Op
	Name string // of the file or directory; of a rename the old name; of OpSpace empty
	N    int    // which call of this Op it is, from 1
	Len  int    // bytes to write or read, or to begin writing back
}

// Fault says what happens in place of a call.
//
//	Err set                   the call is not made and returns Err; a Write
//	                          writes Bytes bytes first
//	Err set, After            the call is made and returns Err all the same
//	Skip                      the call is not made and returns success
//	Bytes, no Err, no Skip    a Write or ReadAt stops after Bytes bytes and
//	                          returns no error, which no writer should do
//
// After a Sync that returned Err without After, every later Sync of that open
// file succeeds and does nothing, as with a kernel that dropped the pages.
// A Close that fails still closes.
type Fault struct {
	Err   error
	After bool
	Skip  bool
	Bytes int
}

// Rule returns the fault for a call, or nil. It may be called from many
// goroutines.
type Rule func(Call) *Fault

// Nth strikes the n-th call of op, counted from 1.
func Nth(op Op, n int, f Fault) Rule {
	return Match(func(c Call) bool { return c.Op == op && c.N == n }, f)
}

// Always strikes every call of op.
func Always(op Op, f Fault) Rule {
	return Match(func(c Call) bool { return c.Op == op }, f)
}

// Match strikes the calls that a predicate picks.
func Match(pick func(Call) bool, f Fault) Rule {
	return func(c Call) *Fault {
		if pick(c) {
			return &f
		}
		return nil
	}
}

// Faulty is a file system that fails by rules and otherwise hands on to another.
type Faulty struct {
	inner disk.Volume

	mu    sync.Mutex
	rules []Rule
	calls map[Op]int
}

var _ disk.Volume = (*Faulty)(nil)

// NewFaulty puts rules before a file system. Of several rules the first that
// returns a fault decides.
func NewFaulty(inner disk.Volume, rules ...Rule) *Faulty {
	return &Faulty{inner: inner, rules: rules, calls: make(map[Op]int)}
}

// SetRules replaces the rules and counts from 1 again.
func (f *Faulty) SetRules(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
	clear(f.calls)
}

// Calls tells how many calls of op were made since the rules were set.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// fault counts a call and asks the rules.
func (f *Faulty) fault(op Op, name string, n int) *Fault {
	f.mu.Lock()
	f.calls[op]++
	c := Call{Op: op, Name: name, N: f.calls[op], Len: n}
	rules := f.rules
	f.mu.Unlock()
	for _, rule := range rules {
		if fault := rule(c); fault != nil {
			return fault
		}
	}
	return nil
}

// run makes a call that returns an error alone.
func (f *Faulty) run(op Op, name string, n int, call func() error) error {
	fault := f.fault(op, name, n)
	switch {
	case fault == nil:
		return call()
	case fault.Err == nil && fault.Skip:
		return nil
	case fault.Err == nil:
		return call()
	case fault.After:
		if err := call(); err != nil {
			return err
		}
	}
	return pathError(string(op), name, fault.Err)
}

// Create implements disk.FS.
func (f *Faulty) Create(name string) (disk.File, error) {
	return f.file(OpCreate, name, f.inner.Create)
}

// Open implements disk.FS.
func (f *Faulty) Open(name string) (disk.File, error) {
	return f.file(OpOpen, name, f.inner.Open)
}

// file makes a call that opens a file, which is closed again where the caller
// is told of an error. Skip makes no sense here and is left out.
func (f *Faulty) file(op Op, name string, call func(string) (disk.File, error)) (disk.File, error) {
	fault := f.fault(op, name, 0)
	if fault != nil && fault.Err != nil && !fault.After {
		return nil, pathError(string(op), name, fault.Err)
	}
	inner, err := call(name)
	if err != nil {
		return nil, err
	}
	if fault != nil && fault.Err != nil {
		_ = inner.Close()
		return nil, pathError(string(op), name, fault.Err)
	}
	return &faultyFile{fs: f, inner: inner, name: name}, nil
}

// Remove implements disk.FS.
func (f *Faulty) Remove(name string) error {
	return f.run(OpRemove, name, 0, func() error { return f.inner.Remove(name) })
}

// Rename implements disk.FS.
func (f *Faulty) Rename(oldname, newname string) error {
	return f.run(OpRename, oldname, 0, func() error { return f.inner.Rename(oldname, newname) })
}

// ReadDir implements disk.FS. A fault strikes after the last entry.
func (f *Faulty) ReadDir(name string) iter.Seq2[disk.Entry, error] {
	return func(yield func(disk.Entry, error) bool) {
		fault := f.fault(OpReadDir, name, 0)
		for e, err := range f.inner.ReadDir(name) {
			if !yield(e, err) {
				return
			}
		}
		if fault != nil && fault.Err != nil {
			yield(disk.Entry{}, pathError(string(OpReadDir), name, fault.Err))
		}
	}
}

// SyncDir implements disk.FS.
func (f *Faulty) SyncDir(name string) error {
	return f.run(OpSyncDir, name, 0, func() error { return f.inner.SyncDir(name) })
}

// MkdirAll implements disk.Volume.
func (f *Faulty) MkdirAll(name string) error {
	return f.run(OpMkdirAll, name, 0, func() error { return f.inner.MkdirAll(name) })
}

// Space implements disk.Volume.
func (f *Faulty) Space() (sp disk.Space, err error) {
	err = f.run(OpSpace, "", 0, func() error {
		sp, err = f.inner.Space()
		return err
	})
	return sp, err
}
