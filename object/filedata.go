package object

import (
	"context"
	"errors"
	"io"
	"time"
)

// ReadAt reads what the file has at off, committed or not. As io.ReaderAt it returns io.EOF where p reaches behind the
// end.
func (f *File) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	n, err := f.of.readAt(ctx, p, off)
	if err == io.EOF {
		return n, err
	}
	return n, f.of.wrap("read", err)
}

// WriteAt writes p at off. The file grows where it must.
func (f *File) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	if err := f.of.writeAt(ctx, p, off); err != nil {
		return 0, f.of.wrap("write", err)
	}
	return len(p), nil
}

// Append writes p at the end, which it returns, whoever else appends.
func (f *File) Append(ctx context.Context, p []byte) (off int64, n int, err error) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	off = f.of.size
	if err := f.of.writeAt(ctx, p, off); err != nil {
		return off, 0, f.of.wrap("append", err)
	}
	return off, len(p), nil
}

// Truncate sets the size. What a file grows by reads as zeros.
func (f *File) Truncate(ctx context.Context, size int64) error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return f.of.wrap("truncate", f.of.truncate(ctx, size))
}

// Punch makes zeros of a range and leaves the size as it is.
func (f *File) Punch(ctx context.Context, off, length int64) error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return f.of.wrap("punch", f.of.punch(ctx, off, length))
}

// Reserve makes sure that a range could be written now. The file grows to its end unless keepSize is set. Room is not
// set aside: chunks are immutable, and what is written later needs it anew.
func (f *File) Reserve(ctx context.Context, off, length int64, keepSize bool) error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return f.of.wrap("reserve", f.of.reserve(ctx, off, length, keepSize))
}

// SeekData returns the first offset from off on that is no hole, KindInvalidRange where there is none.
func (f *File) SeekData(ctx context.Context, off int64) (int64, error) {
	return f.seek(ctx, off, false)
}

// SeekHole returns the first offset from off on that is a hole; the end of the file is one. KindInvalidRange behind it.
func (f *File) SeekHole(ctx context.Context, off int64) (int64, error) { return f.seek(ctx, off, true) }

func (f *File) seek(ctx context.Context, off int64, hole bool) (int64, error) {
	f.of.mu.RLock()
	defer f.of.mu.RUnlock()
	for off >= 0 && off < f.of.size {
		run, err := f.of.runAt(ctx, off, f.of.size-off)
		if err != nil {
			return 0, f.of.wrap("seek", err)
		}
		if run.isHole() == hole {
			return off, nil
		}
		off += run.length
	}
	if hole && off == f.of.size {
		return off, nil
	}
	return 0, f.of.wrap("seek", errKindf(KindInvalidRange, "behind the end"))
}

// run is how the bytes from an offset on are kept, as far as they are alike.
type run struct {
	length int64
	memory bool
	extent *extent // nil: zeros, unless they are in memory
}

func (r *run) isHole() bool { return !r.memory && r.extent == nil }

// runAt finds the bytes at off, which is not behind the end of the file. The caller holds mu.
func (f *openFile) runAt(ctx context.Context, off, limit int64) (run, error) {
	limit = min(limit, f.size-off)
	if i := f.memory.find(off); i < len(f.memory.list) {
		g := &f.memory.list[i]
		if g.off <= off {
			return run{length: min(limit, g.end()-off), memory: true}, nil
		}
		limit = min(limit, g.off-off)
	}
	e, limit := at(f.changes, off, limit)
	switch {
	case e != nil && e.isHole():
		return run{length: limit}, nil
	case e != nil:
		return run{length: limit, extent: e}, nil
	case off >= f.kept:
		return run{length: limit}, nil
	}
	e, limit, err := f.leaf.at(ctx, f, off, min(limit, f.kept-off))
	return run{length: limit, extent: e}, err
}

func (f *openFile) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errKindf(KindInvalidArgument, "offset %d", off)
	}
	for {
		if err := f.openKeys(ctx); err != nil {
			return 0, err
		}
		n, err := f.readLocked(ctx, p, off)
		if errors.Is(err, errNoKeys) && f.isSound() {
			continue
		}
		if !errors.Is(err, errUnfinished) {
			return n, err
		}
		f.mu.Lock()
		if f.stream != nil {
			if err := f.stream.finish(ctx); err != nil {
				err = f.lose(err)
				f.mu.Unlock()
				return n, err
			}
		}
		f.mu.Unlock()
	}
}

// errUnfinished says that bytes lie in a chunk that is still being written.
var errUnfinished = errors.New("the chunk is not finished")

func (f *openFile) readLocked(ctx context.Context, p []byte, off int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.broken != nil {
		return 0, f.broken
	}
	if f.keys == nil && len(f.base.Keys) > 0 {
		return 0, errNoKeys
	}
	n := 0
	for n < len(p) {
		if off >= f.size {
			return n, io.EOF
		}
		r, err := f.runAt(ctx, off, int64(len(p)-n))
		if err != nil {
			return n, err
		}
		part := p[n : n+int(r.length)]
		switch {
		case r.memory:
			f.memory.read(part, off)
		case r.extent == nil:
			clear(part)
		default:
			err = f.readExtent(ctx, r.extent, part, off)
		}
		if err != nil {
			return n, err
		}
		n, off = n+len(part), off+r.length
	}
	return n, nil
}

// isSound reports whether nothing of the file is lost.
func (f *openFile) isSound() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.broken == nil
}

// openKeys opens the DataKeys, once.
func (f *openFile) openKeys(ctx context.Context) error {
	f.mu.RLock()
	open := f.keys != nil || len(f.base.Keys) == 0
	f.mu.RUnlock()
	if open {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.openKeysLocked(ctx)
}

func (f *openFile) openKeysLocked(ctx context.Context) error {
	if f.keys != nil || len(f.base.Keys) == 0 {
		return nil
	}
	key, _ := f.store.files.name(f)
	keys, err := f.store.openKeys(withSubjects(ctx, Subject{Bucket: f.bucket, Key: key}), f.bucketID, f.base, nil)
	f.keys = keys
	return err
}

// write is writeAt for what cannot fail: it stays in memory.
func (f *openFile) write(p []byte, off int64, now time.Time) {
	if len(p) == 0 {
		return
	}
	if off < f.summed {
		f.sum = nil
	}
	was := f.memory.bytes
	f.memory.write(p, off)
	f.store.files.memory.Add(f.memory.bytes - was)
	f.size = max(f.size, off+int64(len(p)))
	f.touch(now)
}

// touch notes that bytes or the size changed.
func (f *openFile) touch(now time.Time) {
	f.data = true
	f.base.ModTime = max(now.UnixNano(), f.base.ModTime+1)
	if f.base.Attributes != nil {
		f.base.Attributes = f.base.Attributes.changedAt(now.UnixNano())
	}
	f.changed(now)
}

func (f *openFile) writeAt(ctx context.Context, p []byte, off int64) error {
	if off < 0 || off > MaxObjectSize-int64(len(p)) {
		return errKindf(KindEntityTooLarge, "at most %d bytes", int64(MaxObjectSize))
	}
	if err := f.ready(ctx); err != nil {
		return err
	}
	f.write(p, off, f.store.opts.Now())
	if f.memory.bytes >= f.store.opts.SealAfter || f.store.files.memory.Load() >= f.store.opts.WriteMemory {
		return f.seal(ctx)
	}
	return nil
}

// ready makes sure that what is written now can be sealed later.
func (f *openFile) ready(ctx context.Context) error {
	if f.broken != nil {
		return f.broken
	}
	f.origin, _ = originOf(ctx)
	if err := f.store.space.admitChange(ctx); err != nil {
		return err
	}
	if err := f.openKeysLocked(ctx); err != nil {
		return err
	}
	if len(f.keys) == 0 { // a marker or the like that has no key of its own
		return errKindf(KindInvalidRequest, "the object has no key")
	}
	return nil
}

func (f *openFile) truncate(ctx context.Context, size int64) error {
	if size < 0 || size > MaxObjectSize {
		return errKindf(KindEntityTooLarge, "at most %d bytes", int64(MaxObjectSize))
	}
	if err := f.ready(ctx); err != nil {
		return err
	}
	if size < f.size {
		f.cut(size, f.size)
		f.changes = within(f.changes, 0, size)
		f.kept = min(f.kept, size)
	}
	f.size = size
	if size == 0 {
		f.sum, f.summed = newMD5(f.base), 0
	} else if f.summed > size {
		f.sum = nil
	}
	f.touch(f.store.opts.Now())
	return nil
}

func (f *openFile) punch(ctx context.Context, off, length int64) error {
	if off < 0 || length <= 0 {
		return errKindf(KindInvalidArgument, "range")
	}
	if err := f.ready(ctx); err != nil {
		return err
	}
	end := f.size
	if length < f.size-off {
		end = off + length
	}
	if off < end {
		f.cut(off, end)
		f.changes, _ = overlay(f.changes, []extent{hole(off, end-off)}, true)
		if off < f.summed {
			f.sum = nil
		}
		f.touch(f.store.opts.Now())
	}
	return nil
}

// cut drops what is in memory of a range.
func (f *openFile) cut(from, to int64) {
	was := f.memory.bytes
	f.memory.cut(from, to)
	f.store.files.memory.Add(f.memory.bytes - was)
}

func (f *openFile) reserve(ctx context.Context, off, length int64, keepSize bool) error {
	if off < 0 || length <= 0 {
		return errKindf(KindInvalidArgument, "range")
	}
	if off > MaxObjectSize-length {
		return errKindf(KindEntityTooLarge, "at most %d bytes", int64(MaxObjectSize))
	}
	g, err := f.store.space.admit(ctx, length)
	if err != nil {
		return err
	}
	g.release()
	if !keepSize && off+length > f.size {
		return f.truncate(ctx, off+length)
	}
	return nil
}
