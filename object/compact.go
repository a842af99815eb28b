package object

import (
	"context"
	"time"
)

const (
	// compactWindow is the stretch of a file that is looked at, and made one run, at a time.
	compactWindow = 4 << 20
	// compactAverage is the length below which extents, on the average of a window, make reading it slow.
	compactAverage = 32 << 10
	// compactExtents is how many extents a window may have whatever their length.
	compactExtents = 64
	// compactAfter is how many short extents commits add before the file is looked at.
	compactAfter = 256
)

// compact makes one run of every stretch of the file that lies in many short extents, so that it reads quickly again.
// The bytes, the entity tag and the times stay. The file has nothing to commit. The caller holds mu, and has the file
// open; between two stretches mu is let go for those who wait for it. Where one of them leaves something to commit, the
// rest is put off.
func (f *openFile) compact(ctx context.Context) error {
	window := min(compactWindow, chunksPerCommit/2*f.store.opts.ChunkSize)
	for off := int64(0); off < f.size && f.since.IsZero(); off += window {
		extents, err := f.committedExtents(ctx, off, min(window, f.size-off))
		if err != nil {
			f.short = 0
			return err
		}
		var covered int64
		for _, e := range extents {
			covered += e.Length
		}
		if n := int64(len(extents)); n <= compactExtents || covered/n >= compactAverage {
			continue
		}
		if err := f.rewrite(ctx, extents); err != nil {
			f.short = 0
			return err
		}
		f.mu.Unlock()
		f.mu.Lock()
	}
	if f.since.IsZero() {
		f.short = 0
	}
	return nil
}

// rewrite seals the bytes of committed extents anew, and commits that.
func (f *openFile) rewrite(ctx context.Context, extents []extent) error {
	if err := f.openKeysLocked(ctx); err != nil {
		return err
	}
	was := f.memory.bytes
	for _, e := range extents {
		p := make([]byte, e.Length)
		if err := f.readExtent(ctx, &e, p, e.Offset); err != nil {
			f.forgetMemory()
			return err
		}
		f.memory.write(p, e.Offset)
		clear(p)
	}
	f.store.files.memory.Add(f.memory.bytes - was)
	f.data, f.rewriting, f.since = true, true, f.store.opts.Now()
	err := f.commit(ctx)
	f.rewriting = false
	if err != nil && f.broken == nil {
		f.forgetMemory()
		f.changes, f.data, f.since = nil, false, time.Time{}
	}
	return err
}

// countShort counts the short extents that a commit adds.
func (f *openFile) countShort(changes []extent) {
	for _, e := range changes {
		if !e.isHole() && e.Length < compactAverage {
			f.short++
		}
	}
}
