package memchunk

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"coffer/chunk"
	"coffer/cipher"
)

// writer implements chunk.Writer. Its fields are guarded by the store's mu, so
// that a crash may look at them.
type writer struct {
	store *Store
	id    cipher.ChunkID
	data  []byte
	err   error // the first error; final
	done  bool  // committed or aborted
}

// Write implements chunk.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if err := w.check(context.Background(), "write"); err != nil {
		return 0, err
	}
	if w.store.used+int64(len(p)) > w.store.capacity {
		w.err = fail("write", w.id, chunk.ErrNoSpace)
		return 0, w.err
	}
	w.store.used += int64(len(p))
	w.data = append(w.data, p...)
	return len(p), nil
}

// Commit implements chunk.Writer.
func (w *writer) Commit(ctx context.Context) error {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if err := w.check(ctx, "commit"); err != nil {
		return err
	}
	w.done = true
	delete(w.store.writers, w.id)
	w.store.chunks[w.id] = &stored{data: w.data, modTime: time.Now()}
	return nil
}

// Abort implements chunk.Writer.
func (w *writer) Abort() error {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.done {
		return nil
	}
	w.done = true
	delete(w.store.writers, w.id)
	w.store.used -= int64(len(w.data))
	return nil
}

// check returns the error that stands in the way of Write and Commit, and keeps
// the first one.
func (w *writer) check(ctx context.Context, op string) error {
	switch err := w.store.check(ctx); {
	case w.err != nil:
	case w.done:
		w.err = fail(op, w.id, chunk.ErrClosed)
	case err != nil:
		w.err = fail(op, w.id, err)
	}
	return w.err
}

// reader implements chunk.Reader.
type reader struct {
	id     cipher.ChunkID
	bytes  *bytes.Reader
	closed atomic.Bool
}

func newReader(id cipher.ChunkID, data []byte) *reader {
	return &reader{id: id, bytes: bytes.NewReader(data)}
}

// ReadAt implements chunk.Reader.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if r.closed.Load() {
		return 0, fail("read", r.id, chunk.ErrClosed)
	}
	if len(p) == 0 && off >= 0 {
		return 0, nil
	}
	return r.bytes.ReadAt(p, off)
}

// Size implements chunk.Reader.
func (r *reader) Size() int64 { return r.bytes.Size() }

// Close implements chunk.Reader.
func (r *reader) Close() error {
	if r.closed.Swap(true) {
		return fail("close", r.id, chunk.ErrClosed)
	}
	return nil
}
