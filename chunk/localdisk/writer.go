package localdisk

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/internal/disk"
)

// writebackStep is how many bytes are written between two requests to begin
// writing them to the medium. On ext4, steps from 2 to 8 MiB are alike,
// and a fifth faster than none; reserving room beforehand adds nothing.
const writebackStep = 2 << 20

// writer implements chunk.Writer.
type writer struct {
	store *Store
	id    cipher.ChunkID
	file  disk.File

	written int64 // bytes handed to the file
	flushed int64 // of these, bytes for which writeback has begun
	err     error // the first error; final
	state   state
}

type state uint8

const (
	open state = iota
	committed
	aborted
)

// Write implements chunk.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.usable("write"); err != nil {
		return 0, err
	}
	if err := w.store.enter(context.Background()); err != nil {
		return 0, w.fail("write", err)
	}
	defer w.store.leave()
	n, err := w.file.Write(p)
	w.written += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = w.startWriteback()
	}
	if err != nil {
		return n, w.fail("write", err)
	}
	return n, nil
}

// startWriteback keeps the disk busy while the next bytes are sealed.
func (w *writer) startWriteback() error {
	n := w.written - w.flushed
	if n < writebackStep {
		return nil
	}
	err := disk.StartWriteback(w.file, w.flushed, n)
	w.flushed = w.written
	return err
}

// Commit implements chunk.Writer.
func (w *writer) Commit(ctx context.Context) error {
	if err := w.usable("commit"); err != nil {
		return err
	}
	if err := w.store.enter(ctx); err != nil {
		return w.fail("commit", err)
	}
	defer w.store.leave()
	if err := w.file.Sync(); err != nil {
		return w.fail("commit", err)
	}
	if err := w.file.Close(); err != nil {
		w.file = nil
		return w.fail("commit", err)
	}
	w.file = nil
	if err := w.store.syncDir(ctx, w.id[0]); err != nil {
		return w.fail("commit", err)
	}
	w.state = committed
	w.store.release(w.id)
	w.store.commits.Add(1)
	return nil
}

// syncDir makes the entries of a directory durable, together with whoever wants
// the same.
func (s *Store) syncDir(ctx context.Context, n byte) error {
	return s.syncs[n].do(ctx, func() error {
		s.dirSyncs.Add(1)
		return s.fs.SyncDir(s.subdir(n))
	})
}

// Abort implements chunk.Writer. It works on a closed store too.
func (w *writer) Abort() error {
	if w.state != open {
		return nil
	}
	w.state = aborted
	defer w.store.release(w.id)
	var closeErr error
	if w.file != nil {
		closeErr = w.file.Close()
	}
	err := w.store.fs.Remove(w.store.name(w.id))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(closeErr, err); err != nil {
		return fail("abort", w.id, err)
	}
	return nil
}

// usable returns the error that stands in the way of Write and Commit.
func (w *writer) usable(op string) error {
	if w.err != nil {
		return w.err
	}
	if w.state != open {
		return fail(op, w.id, chunk.ErrClosed)
	}
	return nil
}

// fail keeps the first error.
func (w *writer) fail(op string, err error) error {
	w.err = fail(op, w.id, err)
	return w.err
}
