package audit

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"coffer/internal/disk"
)

// maxUnsealed bounds the bytes of lines that the state file does not vouch for.
const maxUnsealed = 4 << 20

// writer is the log on the disk. It belongs to one goroutine.
//
// Every step that touches the disk may be taken again after it failed, with the
// same outcome.
type writer struct {
	fs     disk.FS
	dir    string
	keys   *keys
	limit  int64 // length at which a new file begins
	keep   int   // files; negative: all
	now    func() time.Time
	report func(error) // of what does not stop the log

	state state  // as last written
	index []span // files that are kept, ascending
	chain chain  // after the last of pending

	file    disk.File
	num     uint64
	sealed  int64  // bytes of the file that the state vouches for
	pending []byte // the lines behind them
	written int    // bytes of pending that the file has
	synced  int    // bytes of pending that are durable
	broken  bool   // the file may lack bytes behind sealed, and is made anew

	next *rotation // begun and not finished

	anchor   disk.FS // nil: none is kept
	moored   Head    // that the anchor has
	mooredAt time.Time
}

// span is a file that is kept.
type span struct {
	num  uint64
	base Head // what its first line follows
}

// rotation is a new file on its way. Its lines are fixed before anything is
// written, since the state file may have come to vouch for them in a step that
// reported an error.
type rotation struct {
	num   uint64
	lines []byte
	at    Head
	index []span
	gone  []span
	file  disk.File // nil until it is published
}

// size is the length of the file with all that is pending.
func (w *writer) size() int64 { return w.sealed + int64(len(w.pending)) }

// full reports whether the next line needs a step of the disk first.
func (w *writer) full() (rotate, seal bool) {
	return w.size() >= w.limit, len(w.pending) > maxUnsealed-maxLine
}

// append puts a line behind the others, given what follows its number in its body.
func (w *writer) append(rest []byte) {
	w.pending = appendLine(w.pending, &w.chain, rest)
}

// add puts one of the log's own lines behind the others.
func (w *writer) add(l line) { w.pending = addLine(w.pending, &w.chain, l) }

func addLine(dst []byte, c *chain, l line) []byte {
	return appendLine(dst, c, appendRest(nil, &l))
}

func appendLine(dst []byte, c *chain, rest []byte) []byte {
	from := len(dst)
	dst = appendSeq(dst, c.at.Seq+1)
	dst = append(dst, rest...)
	mac := c.sum(dst[from:])
	c.step(mac)
	return appendTail(dst, &mac)
}

// push hands pending lines to the file.
func (w *writer) push() error {
	if w.broken {
		return w.remake()
	}
	if w.written == len(w.pending) {
		return nil
	}
	n, err := w.file.Write(w.pending[w.written:])
	w.written += n
	if err == nil && w.written < len(w.pending) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return nil
	}
	if size, sizeErr := w.file.Size(); sizeErr != nil || size != w.sealed+int64(w.written) {
		w.broken = true // nobody knows what it holds
	}
	return fmt.Errorf("write the log: %w", err)
}

// remake makes the file anew from its sealed bytes and from pending.
func (w *writer) remake() error {
	f, err := publish(w.fs, w.dir, w.num, w.file, w.sealed, w.pending)
	if err != nil {
		return fmt.Errorf("write the log anew: %w", err)
	}
	w.closeFile()
	w.file, w.broken = f, false
	w.written, w.synced = len(w.pending), len(w.pending)
	return nil
}

// closeFile closes a file of which everything that counts is durable.
func (w *writer) closeFile() {
	if w.file == nil {
		return
	}
	if err := w.file.Close(); err != nil {
		w.report(fmt.Errorf("close a file of the log: %w", err))
	}
	w.file = nil
}

// sync makes pending lines durable.
func (w *writer) sync() error {
	if err := w.push(); err != nil {
		return err
	}
	if w.synced == len(w.pending) {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		w.broken = true
		return fmt.Errorf("sync the log: %w", err)
	}
	w.synced = len(w.pending)
	return nil
}

// seal makes pending lines durable and has the state file vouch for them.
func (w *writer) seal(clean bool) error {
	if err := w.sync(); err != nil {
		return err
	}
	if len(w.pending) == 0 && w.state.Clean == clean && w.state.Head == w.chain.at {
		return nil
	}
	s := w.state
	s.Clean, s.Time = clean, w.now()
	s.Last, s.Offset, s.Head = w.num, w.size(), w.chain.at
	if err := w.vouch(s); err != nil {
		return err
	}
	w.sealed, w.pending, w.written, w.synced = w.size(), w.pending[:0], 0, 0
	return nil
}

func (w *writer) vouch(s state) error {
	if err := w.keys.writeState(w.fs, w.dir, &s); err != nil {
		return fmt.Errorf("write the state of the log: %w", err)
	}
	w.state = s
	return nil
}

// rotate begins a new file and gives up the oldest ones beyond the bound. The
// file before is durable first, so that a torn line is at the end of the last file
// or nowhere.
func (w *writer) rotate() error {
	if err := w.sync(); err != nil {
		return err
	}
	if w.next == nil {
		w.next = w.plan()
	}
	r := w.next
	if r.file == nil {
		f, err := publish(w.fs, w.dir, r.num, nil, 0, r.lines)
		if err != nil {
			return fmt.Errorf("begin a file of the log: %w", err)
		}
		r.file = f
	}
	s := w.state
	s.Clean, s.Time = false, w.now()
	s.First, s.Base = r.index[0].num, r.index[0].base
	s.Last, s.Offset, s.Head = r.num, int64(len(r.lines)), r.at
	if err := w.vouch(s); err != nil {
		return err
	}
	w.closeFile()
	w.file, w.num, w.index, w.chain.at = r.file, r.num, r.index, r.at
	w.sealed, w.pending, w.written, w.synced = s.Offset, w.pending[:0], 0, 0
	w.next = nil
	w.discard(r.gone)
	return nil
}

// plan fixes the first lines of the next file.
func (w *writer) plan() *rotation {
	c, now := w.chain, w.now()
	r := &rotation{num: w.num + 1, index: append(slices.Clone(w.index), span{w.num + 1, w.chain.at})}
	if w.keep > 0 && len(r.index) > w.keep {
		n := len(r.index) - w.keep
		r.gone, r.index = r.index[:n], r.index[n:]
	}
	r.lines = addLine(nil, &c, line{Time: now, Kind: kindBegin, Format: formatVersion, Log: w.state.Log,
		File: r.num, Prev: c.at.MAC})
	for i, s := range r.gone {
		last := r.index[0].base.Seq
		if i+1 < len(r.gone) {
			last = r.gone[i+1].base.Seq
		}
		r.lines = addLine(r.lines, &c, line{Time: now, Kind: kindPrune, File: s.num, Last: last})
	}
	r.at = c.at
	return r
}

// discard removes files that the state file no longer counts. What stays is
// removed by the next Open.
func (w *writer) discard(gone []span) {
	var errs []error
	for _, s := range gone {
		if err := w.fs.Remove(path.Join(w.dir, fileName(s.num))); err != nil && !isNotExist(err) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		w.report(fmt.Errorf("remove a file of the log: %w", err))
	}
}

// close lets go of the files.
func (w *writer) close() {
	w.closeFile()
	if w.next != nil && w.next.file != nil {
		w.file = w.next.file
		w.closeFile()
	}
}
