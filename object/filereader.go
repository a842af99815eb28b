package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"coffer/chunk"
	"coffer/cipher"
)

const (
	cachedChunks = 16 // open chunks of a file
	cachedLeaves = 8  // pages of extents of a file
)

// chunkCache keeps the chunks that a file was read from lately open.
type chunkCache struct {
	mu   sync.Mutex
	list []*openChunk // the one used last comes last
}

// openChunk is a chunk that is open for reading.
type openChunk struct {
	id    cipher.ChunkID
	plain *cipher.ChunkReader
	file  chunk.Reader // nil for a chunk of the metastore
	users int          // guarded by the cache's lock
	gone  bool         // not in the cache any more: the last user closes it
}

// take returns the open chunk of an id, nil if there is none. The caller gives it back.
func (c *chunkCache) take(id cipher.ChunkID) *openChunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.list) - 1; i >= 0; i-- {
		if o := c.list[i]; o.id == id {
			o.users++
			copy(c.list[i:], c.list[i+1:])
			c.list[len(c.list)-1] = o
			return o
		}
	}
	return nil
}

// add puts a chunk that its user has opened into the cache, and takes the one used longest ago out where it is full.
func (c *chunkCache) add(o *openChunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.users = 1
	if len(c.list) == cachedChunks {
		c.list[0].drop()
		c.list = append(c.list[:0], c.list[1:]...)
	}
	c.list = append(c.list, o)
}

func (c *chunkCache) give(o *openChunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.users--; o.users == 0 && o.gone {
		o.close()
	}
}

func (c *chunkCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.list {
		o.drop()
	}
	c.list = nil
}

func (o *openChunk) drop() {
	if o.gone = true; o.users == 0 {
		o.close()
	}
}

func (o *openChunk) close() {
	if o.file != nil {
		_ = o.file.Close() // it was only read
	}
}

// readExtent fills p from an extent, at an offset of the file. The caller holds mu.
func (f *openFile) readExtent(ctx context.Context, e *extent, p []byte, off int64) error {
	if f.stream != nil && f.stream.isOpen(e.Chunk) {
		return errUnfinished
	}
	o := f.chunks.take(e.Chunk)
	if o == nil {
		var err error
		if o, err = f.store.openChunk(ctx, e, f.keys[e.Slot]); err != nil {
			return err
		}
		f.chunks.add(o)
	}
	defer f.chunks.give(o)
	start := time.Now()
	n, err := o.plain.ReadAt(p, e.At+off-e.Offset)
	work := worker{observe: f.store.opts.Observe, opened: true, mode: f.base.Encryption.mode()}
	switch {
	case n == len(p):
		work.did(ctx, int64(n), start, nil)
		return nil
	case err == nil || errors.Is(err, io.EOF):
		err = errKindf(KindCorrupt, "chunk %v ends before its extent", e.Chunk)
	}
	work.did(ctx, 0, start, err)
	return err
}

// openChunk opens the chunk of an extent.
func (s *Store) openChunk(ctx context.Context, e *extent, key *cipher.DataKey) (*openChunk, error) {
	o := &openChunk{id: e.Chunk}
	var sealed io.ReaderAt
	var size int64
	if e.Place.inMetastore() {
		value, err := s.inlineChunk(ctx, e.Chunk)
		if err != nil {
			return nil, err
		}
		sealed, size = bytes.NewReader(value), int64(len(value))
	} else {
		file, err := s.opts.Chunks.Open(ctx, e.Chunk)
		if err != nil {
			return nil, err
		}
		o.file, sealed, size = file, file, file.Size()
	}
	var err error
	if o.plain, err = cipher.NewChunkReader(sealed, size, key, e.Chunk); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// leafCache keeps pages of extents of a file's committed tree.
type leafCache struct {
	mu     sync.Mutex
	leaves []leaf // the one found last comes last
}

// leaf is a run of a body whose extents are known.
type leaf struct {
	from, until int64
	extents     []extent
}

// at finds the extent of the committed tree that covers off, nil in a hole, and how many bytes are alike.
func (c *leafCache) at(ctx context.Context, f *openFile, off, limit int64) (*extent, int64, error) {
	l, err := c.find(ctx, f, off)
	if err != nil {
		return nil, 0, err
	}
	e, n := at(l.extents, off, min(limit, l.until-off))
	return e, n, nil
}

func (c *leafCache) find(ctx context.Context, f *openFile, off int64) (leaf, error) {
	b := &f.base.Body
	if b.Depth == 0 {
		return leaf{until: f.base.Size, extents: b.Extents}, nil
	}
	c.mu.Lock()
	for _, l := range c.leaves {
		if l.from <= off && off < l.until {
			c.mu.Unlock()
			return l, nil
		}
	}
	c.mu.Unlock()
	extents, until, err := f.store.lookup(ctx, b, f.base.Size, off, len(f.base.Keys))
	if err != nil {
		return leaf{}, err
	}
	l := leaf{from: off, until: until, extents: extents}
	if len(extents) > 0 {
		l.from = min(off, extents[0].Offset)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.leaves) == cachedLeaves {
		c.leaves = append(c.leaves[:0], c.leaves[1:]...)
	}
	c.leaves = append(c.leaves, l)
	return l, nil
}

func (c *leafCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaves = nil
}
