package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"coffer/internal/disk"
)

// openWriter finds the log as a process left it, or makes one; removes what
// cannot be part of it; and goes on behind the last line that continues the chain.
func openWriter(ctx context.Context, o Options) (*writer, error) {
	keys, err := newKeys(o.Key)
	if err != nil {
		return nil, err
	}
	w := &writer{fs: o.FS, dir: o.Dir, keys: keys, limit: o.FileSize, keep: o.Files, now: o.Now, anchor: o.Anchor}
	w.report = func(err error) { o.Logger.Warn("the audit log had to leave something", "error", err) }
	var kept *anchor
	if o.Anchor != nil {
		if kept, err = readAnchor(o.Anchor); err != nil {
			return nil, err
		}
		o.MustExist = o.MustExist || kept != nil
	}
	found, err := w.find(o)
	if err != nil {
		return nil, err
	}
	if err := w.clear(found); err != nil {
		return nil, err
	}
	if err := w.resume(ctx, found.since(w.state.First), kept); err != nil {
		w.close()
		return nil, err
	}
	w.moor(true)
	return w, nil
}

// find reads the state file, or writes that of a new log into an empty directory.
func (w *writer) find(o Options) (listing, error) {
	if err := makeDir(o.FS, o.Dir); err != nil {
		return listing{}, err
	}
	found, err := list(o.FS, o.Dir)
	if err != nil {
		return listing{}, err
	}
	w.state, err = w.keys.readState(o.FS, o.Dir)
	switch {
	case err == nil:
		return found, nil
	case isNotExist(err) && !o.MustExist && len(found.files) == 0:
		return found, w.vouch(state{Log: o.newID(), First: 1, Last: 1, Time: o.Now()})
	case isNotExist(err):
		err = fmt.Errorf("%w: it is missing", ErrState)
	}
	if errors.Is(err, ErrState) || errors.Is(err, ErrNewer) {
		err = &Fault{File: stateName, Err: err}
	}
	return listing{}, err
}

// makeDir makes the directory and its entry in every parent durable.
func makeDir(fsys disk.Volume, dir string) error {
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("make the log's directory: %w", err)
	}
	for parent := path.Dir(dir); ; parent = path.Dir(parent) {
		if err := fsys.SyncDir(parent); err != nil {
			return fmt.Errorf("make the log's directory: %w", err)
		}
		if parent == "." {
			return nil
		}
	}
}

// clear removes what an interrupted replacement or rotation left.
func (w *writer) clear(found listing) error {
	names := found.temps
	for _, f := range found.files {
		if f.num < w.state.First {
			names = append(names, fileName(f.num))
		}
	}
	for _, name := range names {
		if err := w.fs.Remove(path.Join(w.dir, name)); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove what was left: %w", err)
		}
	}
	return nil
}

// tail is what Open found behind the line that the state file vouches for.
type tail struct {
	clean bool
	end   int64 // of the last file, behind its last good line
	lines uint64

	cutLines, cutBytes uint64
}

// resume goes to the end of the log, which must hold the head that was kept, and records that it did.
func (w *writer) resume(ctx context.Context, files []listed, kept *anchor) error {
	if err := w.span(files); err != nil {
		return err
	}
	t := tail{clean: w.state.Clean || len(files) == 0}
	w.chain = w.keys.chainFrom(w.state.Head)
	w.num = w.state.Last
	if len(files) > 0 {
		if err := w.follow(ctx, files, &t); err != nil {
			return err
		}
	}
	if err := kept.holds(w.state.Log, w.chain.at); err != nil {
		return err
	}
	begin := func() error { return w.reopen(&t) }
	if len(files) == 0 {
		w.num--
		begin = w.rotate
	}
	if err := begin(); err != nil {
		return err
	}
	w.add(line{Time: w.now(), Kind: kindStart, Clean: t.clean, Tail: t.lines, CutLines: t.cutLines, CutBytes: t.cutBytes})
	return w.seal(false)
}

// reopen makes the log one that goes on. A short file is gone on with, so that
// many starts do not use up the files that are kept; so is a file that has to be
// cut, and the line that records the cut becomes durable in the same step as it.
func (w *writer) reopen(t *tail) error {
	if w.state.Clean { // nothing may follow a log that was closed
		s := w.state
		s.Clean, s.Time = false, w.now()
		if err := w.vouch(s); err != nil {
			return err
		}
	}
	if w.broken = t.cutBytes > 0 || t.end < w.limit/4; w.broken {
		return nil
	}
	return w.leave()
}

// leave begins a new file behind one that is complete.
func (w *writer) leave() error {
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	if err := w.fs.SyncDir(w.dir); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	return w.rotate()
}

// span checks that the files are all there and notes what each follows.
func (w *writer) span(files []listed) error {
	if len(files) == 0 && w.state.empty() {
		return nil
	}
	for i, f := range files {
		if num := w.state.First + uint64(i); f.num != num {
			return &Fault{File: fileName(num), Err: ErrMissing}
		}
		base, err := w.base(f.num)
		if err == nil && i == 0 && base != w.state.Base {
			err = fmt.Errorf("%w: another line was before it", ErrChain)
		}
		if err != nil {
			return blame(f.num, 1, err)
		}
		w.index = append(w.index, span{f.num, base})
	}
	switch end := w.state.First + uint64(len(files)); {
	case end <= w.state.Last:
		return &Fault{File: fileName(end), Err: ErrMissing}
	case end > w.state.Last+2:
		return &Fault{File: fileName(w.state.Last + 2), Err: ErrExtra}
	}
	return nil
}

func (w *writer) base(num uint64) (Head, error) {
	f, err := w.fs.Open(path.Join(w.dir, fileName(num)))
	if err != nil {
		return Head{}, err
	}
	defer f.Close()
	return w.keys.readBegin(f, w.state.Log, num)
}

// blame makes a Fault of what is wrong with a line; other errors stay.
func blame(num uint64, line int, err error) error {
	if errors.Is(err, ErrChain) || errors.Is(err, ErrNewer) || errors.Is(err, ErrTruncated) {
		return &Fault{File: fileName(num), Line: line, Err: err}
	}
	return err
}

// follow walks the lines behind the head, in the file that holds it and in the
// one that may have been begun since.
func (w *writer) follow(ctx context.Context, files []listed, t *tail) error {
	k := &checker{log: w.state.Log, chain: w.chain}
	from := w.state.Offset
	for _, listed := range files {
		if listed.num < w.state.Last {
			continue
		}
		if t.cutBytes > 0 {
			return &Fault{File: fileName(w.num), Err: fmt.Errorf("%w before the next file", ErrTail)}
		}
		w.closeFile()
		f, err := w.fs.Open(path.Join(w.dir, fileName(listed.num)))
		if err != nil {
			return fmt.Errorf("open the log: %w", err)
		}
		w.file, w.num = f, listed.num
		k.enter(listed.num)
		if err := w.followFile(ctx, k, from, t); err != nil {
			return blame(listed.num, 0, err)
		}
		from = 0
	}
	w.chain, w.sealed = k.chain, t.end
	return nil
}

// followFile walks the lines of w.file from an offset.
func (w *writer) followFile(ctx context.Context, k *checker, from int64, t *tail) error {
	size, err := w.file.Size()
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	if err := w.meet(from, size); err != nil {
		return err
	}
	if from > 0 {
		k.line = 1 // the file's first line is before
	}
	t.end, err = k.walk(ctx, w.file, from, size, func(*line, int64) error { t.lines++; return nil })
	if errors.Is(err, ErrChain) || errors.Is(err, errTorn) {
		t.cutBytes = uint64(size - t.end)
		t.cutLines, err = countLines(w.file, t.end, size)
	}
	return err
}

// meet checks that the line which the state file vouches for ends at an offset.
func (w *writer) meet(off, size int64) error {
	if size < off {
		return fmt.Errorf("%w: %d bytes, %d were sealed", ErrTruncated, size, off)
	}
	if off == 0 {
		return nil
	}
	want := appendTail(nil, &w.state.Head.MAC)
	got := make([]byte, len(want))
	if off < int64(len(got)) {
		return fmt.Errorf("%w: no line ends there", ErrChain)
	}
	if n, err := w.file.ReadAt(got, off-int64(len(got))); n < len(got) {
		return fmt.Errorf("open the log: %w", err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: the sealed line is not at its place", ErrChain)
	}
	return nil
}

// countLines counts the line feeds between two offsets.
func countLines(f disk.File, from, to int64) (n uint64, err error) {
	r := io.NewSectionReader(f, from, to-from)
	buf := make([]byte, 64<<10)
	for {
		got, err := r.Read(buf)
		n += uint64(bytes.Count(buf[:got], []byte{'\n'}))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
