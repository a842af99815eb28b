package disktest

import (
	"sync/atomic"

	"coffer/internal/disk"
)

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	fs    *Faulty
	inner disk.File
	name  string
	lost  atomic.Bool // a Sync failed; what was not durable then never will be
}

// Write implements disk.File.
func (f *faultyFile) Write(p []byte) (int, error) {
	fault := f.fs.fault(OpWrite, f.name, len(p))
	if fault == nil || fault.After {
		n, err := f.inner.Write(p)
		if err == nil && fault != nil {
			err = pathError(string(OpWrite), f.name, fault.Err)
		}
		return n, err
	}
	if fault.Skip {
		return len(p), nil
	}
	n, err := f.inner.Write(p[:min(fault.Bytes, len(p))])
	if err == nil && fault.Err != nil {
		err = pathError(string(OpWrite), f.name, fault.Err)
	}
	return n, err
}

// ReadAt implements disk.File.
func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	fault := f.fs.fault(OpReadAt, f.name, len(p))
	switch {
	case fault == nil:
		return f.inner.ReadAt(p, off)
	case fault.Err != nil:
		return 0, pathError(string(OpReadAt), f.name, fault.Err)
	}
	return f.inner.ReadAt(p[:min(fault.Bytes, len(p))], off)
}

// Sync implements disk.File.
func (f *faultyFile) Sync() error {
	called := false
	err := f.fs.run(OpSync, f.name, 0, func() error {
		called = true
		if f.lost.Load() {
			return nil
		}
		return f.inner.Sync()
	})
	if err != nil && !called {
		f.lost.Store(true)
	}
	return err
}

// Size implements disk.File.
func (f *faultyFile) Size() (n int64, err error) {
	err = f.fs.run(OpSize, f.name, 0, func() error {
		n, err = f.inner.Size()
		return err
	})
	return n, err
}

// Close implements disk.File.
func (f *faultyFile) Close() error {
	err := f.inner.Close()
	if err != nil {
		return err
	}
	return f.fs.run(OpClose, f.name, 0, func() error { return nil })
}

// StartWriteback implements disk.Writeback.
func (f *faultyFile) StartWriteback(off, n int64) error {
	return f.fs.run(OpWriteback, f.name, int(n), func() error { return disk.StartWriteback(f.inner, off, n) })
}
