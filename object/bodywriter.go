package object

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"coffer/chunk"
	"coffer/cipher"
)

// bodyWriter seals one body into chunk files of the chunk store. It belongs to one goroutine.
//
// While a full chunk is made durable the next one is being written. Whatever happens, its intent names every chunk
// that may exist.
type bodyWriter struct {
	store  *Store
	key    *cipher.DataKey
	grant  *grant
	intent *intent
	worker worker
	frame  int // bytes of plaintext in a frame

	sealer  *cipher.ChunkWriter // nil between chunks
	file    chunk.Writer
	extents []extent // of finished chunks, and of the current one as its last
	size    int64
	commits errgroup.Group // at most one
	durable int            // of extents, how many lie in chunks that are durable
}

// isOpen reports whether a chunk is still being written.
func (w *bodyWriter) isOpen(id cipher.ChunkID) bool {
	for _, e := range w.extents[w.durable:] {
		if e.Chunk == id {
			return true
		}
	}
	return false
}

func (s *Store) newBodyWriter(ctx context.Context, key *cipher.DataKey, mode cipher.Mode, g *grant) (*bodyWriter, error) {
	in, err := s.intents.take(ctx)
	if err != nil {
		return nil, err
	}
	w := &bodyWriter{store: s, key: key, grant: g, intent: in, worker: s.sealer(mode), frame: s.opts.FrameSize}
	w.commits.SetLimit(1)
	return w, nil
}

// write seals p at the end of the body.
func (w *bodyWriter) write(ctx context.Context, p []byte) error {
	start := time.Now()
	err := w.worker.check()
	if err == nil {
		err = w.append(ctx, p)
	}
	w.worker.did(ctx, int64(len(p)), start, err)
	return err
}

func (w *bodyWriter) append(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if w.sealer == nil {
			if err := w.begin(ctx); err != nil {
				return err
			}
		}
		current := &w.extents[len(w.extents)-1]
		n := int(min(int64(len(p)), w.store.opts.ChunkSize-current.Length))
		if err := w.grant.spend(ctx, int64(n)); err != nil {
			return err
		}
		if _, err := w.sealer.Write(p[:n]); err != nil {
			return err
		}
		w.size += int64(n)
		current.Length += int64(n)
		p = p[n:]
		if current.Length == w.store.opts.ChunkSize {
			if err := w.end(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin opens the next chunk.
func (w *bodyWriter) begin(ctx context.Context) error {
	id, err := w.intent.nextChunk(ctx)
	if err != nil {
		return err
	}
	if w.file, err = w.store.opts.Chunks.Create(ctx, id); err != nil {
		return err
	}
	if w.sealer, err = cipher.NewChunkWriter(w.file, w.key, id, w.frame); err != nil {
		return err
	}
	w.extents = append(w.extents, extent{Offset: w.size, Chunk: id, Place: inChunkStore})
	return nil
}

// end seals the current chunk's last frame and lets it become durable in the background.
func (w *bodyWriter) end(ctx context.Context) error {
	if err := w.sealer.Close(); err != nil {
		return err
	}
	file := w.file
	w.sealer, w.file = nil, nil
	w.commits.Go(func() error {
		if err := file.Commit(ctx); err != nil {
			_ = file.Abort() // the error that counts is Commit's
			return err
		}
		return nil
	})
	return nil
}

// finish makes everything durable.
func (w *bodyWriter) finish(ctx context.Context) error {
	if w.sealer != nil {
		if err := w.end(ctx); err != nil {
			return err
		}
	}
	if err := w.commits.Wait(); err != nil {
		return err
	}
	w.durable = len(w.extents)
	return nil
}

// abort removes everything that was written. What cannot be removed now is removed at the next start.
func (w *bodyWriter) abort(ctx context.Context) {
	if w.sealer != nil {
		w.sealer.Abort()
	}
	if w.file != nil {
		_ = w.file.Abort() // see above
	}
	_ = w.commits.Wait()
	w.store.discard(ctx, w.intent)
}
