package object

import (
	"bytes"
	"context"
	"io"
	"sort"
	"time"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/metastore"
)

// bodyReader reads the plaintext of a body in any order; it is quickest forward. It belongs to one goroutine.
type bodyReader struct {
	store *Store
	body  *body
	size  int64
	keys  []*cipher.DataKey // by slot
	work  worker

	extents   []extent // those found last, of [from, until)
	from      int64
	until     int64
	chunk     cipher.ChunkID // that plain reads
	plain     *cipher.ChunkReader
	chunkFile chunk.Reader // nil for a chunk of the metastore
}

// close releases the open chunk and wipes the keys.
func (r *bodyReader) close() error {
	for _, k := range r.keys {
		k.Wipe()
	}
	return r.closeChunk()
}

func (r *bodyReader) closeChunk() error {
	r.plain = nil
	if r.chunkFile == nil {
		return nil
	}
	file := r.chunkFile
	r.chunkFile = nil
	return file.Close()
}

// readAt fills p with the plaintext at off, which must lie within the body.
func (r *bodyReader) readAt(ctx context.Context, p []byte, off int64) error {
	start := time.Now()
	err := r.work.check()
	if err == nil {
		err = r.readAll(ctx, p, off)
	}
	r.work.did(ctx, int64(len(p)), start, err)
	return err
}

func (r *bodyReader) readAll(ctx context.Context, p []byte, off int64) error {
	for len(p) > 0 {
		e, run, err := r.find(ctx, off)
		if err != nil {
			return err
		}
		n := int(min(int64(len(p)), run))
		if e == nil {
			clear(p[:n])
		} else if err := r.readExtent(ctx, e, p[:n], off-e.Offset); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// find returns the extent that covers off, nil in a hole, and how many bytes from off on are alike.
func (r *bodyReader) find(ctx context.Context, off int64) (*extent, int64, error) {
	if off < r.from || off >= r.until {
		extents, until, err := r.store.lookup(ctx, r.body, r.size, off, len(r.keys))
		if err != nil {
			return nil, 0, err
		}
		r.extents, r.from, r.until = extents, off, until
		if r.body.Depth == 0 {
			r.from = 0
		}
	}
	i := sort.Search(len(r.extents), func(i int) bool { return r.extents[i].Offset+r.extents[i].Length > off })
	if i == len(r.extents) {
		return nil, r.until - off, nil
	}
	e := &r.extents[i]
	if e.Offset > off {
		return nil, e.Offset - off, nil
	}
	return e, e.Offset + e.Length - off, nil
}

// readExtent fills p with the plaintext at an offset of the extent.
func (r *bodyReader) readExtent(ctx context.Context, e *extent, p []byte, off int64) error {
	if r.plain == nil || r.chunk != e.Chunk {
		if err := r.openChunk(ctx, e); err != nil {
			return err
		}
	}
	n, err := r.plain.ReadAt(p, e.At+off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return errKindf(KindCorrupt, "chunk %v ends before its extent", e.Chunk)
	}
	return err
}

func (r *bodyReader) openChunk(ctx context.Context, e *extent) error {
	if err := r.closeChunk(); err != nil {
		return err
	}
	var sealed io.ReaderAt
	var size int64
	if e.Place.inMetastore() {
		value, err := r.store.inlineChunk(ctx, e.Chunk)
		if err != nil {
			return err
		}
		sealed, size = bytes.NewReader(value), int64(len(value))
	} else {
		file, err := r.store.opts.Chunks.Open(ctx, e.Chunk)
		if err != nil {
			return err
		}
		r.chunkFile = file
		sealed, size = file, file.Size()
	}
	plain, err := cipher.NewChunkReader(sealed, size, r.keys[e.Slot], e.Chunk)
	if err != nil {
		return err
	}
	r.plain, r.chunk = plain, e.Chunk
	return nil
}

// inlineChunk reads a sealed chunk that lies in the metastore.
func (s *Store) inlineChunk(ctx context.Context, id cipher.ChunkID) ([]byte, error) {
	var value []byte
	err := s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		value, err = v.Get(dataKey(id))
		return missingIsCorrupt(err)
	})
	return value, err
}
