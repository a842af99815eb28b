package object

import (
	"context"
	"crypto/md5"
	"errors"
	"hash"
	"time"

	"coffer/cipher"
)

const (
	// pagesPerCommit is how many pages a commit writes in its own transaction; more are written before.
	pagesPerCommit = 24
	// chunksPerCommit is how many chunks of a file that has bytes already are sealed before they are committed, so that a
	// commit has room to note each.
	chunksPerCommit = 40
)

// newMD5 is the hash of a file that is written from its beginning on, nil where its entity tag is not the MD5.
func newMD5(r *record) hash.Hash {
	if r.Encryption.wantsMD5() {
		return md5.New()
	}
	return nil
}

// seal moves what is in memory into chunks, which are not durable yet.
func (f *openFile) seal(ctx context.Context) error {
	if len(f.memory.list) == 0 {
		return nil
	}
	if err := f.openKeysLocked(ctx); err != nil {
		return err
	}
	if f.stream == nil {
		g, err := f.store.space.admit(ctx, 0)
		if err != nil {
			return err
		}
		if f.stream, err = f.store.newBodyWriter(ctx, f.keys[0], f.base.Encryption.public().Mode, g); err != nil {
			g.release()
			return err
		}
		f.grant, f.stream.frame = g, f.store.opts.FileFrame
	}
	hashed := f.hashMemory()
	var sealed []extent
	var err error
	for _, g := range f.memory.list {
		start := f.stream.size
		if err = f.stream.write(ctx, g.data); err != nil {
			break
		}
		for _, e := range within(f.stream.extents, start, f.stream.size) {
			e.Offset += g.off - start
			sealed = append(sealed, e)
		}
	}
	<-hashed
	if err != nil {
		return f.lose(err)
	}
	f.changes, _ = overlay(f.changes, sealed, true)
	f.forgetMemory()
	if len(f.stream.extents) >= chunksPerCommit && f.kept > 0 && !f.unborn {
		return f.commit(ctx)
	}
	return nil
}

// lose gives up what was sealed and not committed, since a part of it cannot be had any more.
func (f *openFile) lose(err error) error {
	f.broken = err
	f.stream.abort(context.Background())
	f.grant.release()
	f.stream, f.grant = nil, nil
	return err
}

// hashMemory goes on with the MD5, beside what the caller does meanwhile, if what is in memory goes on where it is. The
// channel is closed when it is done.
func (f *openFile) hashMemory() <-chan struct{} {
	done := make(chan struct{})
	list := f.memory.list
	if f.sum == nil || list[0].off != f.summed || list[len(list)-1].end()-f.summed != f.memory.bytes {
		f.sum = nil
		close(done)
		return done
	}
	f.summed = list[len(list)-1].end()
	go func() {
		defer close(done)
		for _, g := range list {
			f.sum.Write(g.data)
		}
	}()
	return done
}

func (f *openFile) forgetMemory() {
	f.store.files.memory.Add(-f.memory.bytes)
	f.memory.wipe()
}

// fileCommit is what one commit writes.
type fileCommit struct {
	f       *openFile
	key     string
	changes []extent // with the cut-off end of base
	inline  []byte   // the sealed chunk that what was in memory makes, for the metastore
	chunk   cipher.ChunkID
	tag     string

	fresh  bool // nothing of the committed body is left
	fork   bool // the committed body is shared: the file gets one that borrows from it
	body   body
	edit   treeEdit
	pages  []stagedPage
	staged *intent // of pages that were written before
	result *record
}

// notNamed says that the name of a file does not name it any more; it is another name that the file still has, or "".
type notNamed string

func (notNamed) Error() string { return "the name stands for something else" }

// commit makes everything that was changed durable and visible to S3. The caller holds mu.
func (f *openFile) commit(ctx context.Context) error {
	if f.broken != nil {
		return f.broken
	}
	for !f.since.IsZero() {
		key, named := f.store.files.name(f)
		if !named {
			return nil // it lives on for those who have it open
		}
		err := f.commitAs(ctx, key)
		other, ok := errors.AsType[notNamed](err)
		if !ok {
			return err
		}
		// A rename may be about to tell the new name.
		f.store.files.moves.Lock()
		f.store.files.moves.Unlock() //nolint:staticcheck // SA2001: it waits for renames under way
		if again, named := f.store.files.name(f); !named || again != key {
			continue
		}
		if other == "" {
			return f.stale()
		}
		f.store.files.unnamed(f.object, key, string(other))
	}
	return nil
}

// stale drops what was changed: S3 has replaced the object, or removed it.
func (f *openFile) stale() error {
	key, _ := f.store.files.name(f)
	f.store.files.born(f)
	f.store.files.unnamed(f.object, key, "")
	f.unborn = false
	f.losses++
	return errKind(KindStale)
}

func (f *openFile) commitAs(ctx context.Context, key string) error {
	c := &fileCommit{f: f, key: key, changes: f.changes}
	if f.data {
		if err := c.seal(ctx); err != nil {
			return err
		}
		for {
			err := c.grow(ctx)
			if err == nil {
				err = c.publish(ctx)
			}
			if !errors.Is(err, errShareChanged) {
				return err
			}
		}
	}
	return c.publish(ctx)
}

// seal makes what is in memory durable, or ready to be written with the record.
func (c *fileCommit) seal(ctx context.Context) error {
	f := c.f
	if err := f.openKeysLocked(ctx); err != nil {
		return err
	}
	if n := f.memory.bytes; f.stream == nil && n > 0 && n <= f.inlineLimit() {
		if err := c.sealInline(ctx); err != nil {
			return err
		}
	} else if err := f.sealDurably(ctx); err != nil {
		return err
	} else {
		c.changes = f.changes
	}
	if f.kept < f.base.Size {
		c.changes, _ = overlay([]extent{hole(f.kept, f.base.Size-f.kept)}, c.changes, true)
	}
	if c.tag != "" {
		return nil
	}
	switch {
	case !f.base.Encryption.wantsMD5():
		c.tag = etagOf(randomMD5())
	case f.sum != nil && f.summed == f.size && f.memory.bytes == 0:
		c.tag = etagOf(f.sum.Sum(nil))
	default:
		c.tag = multipartETag(randomMD5(), 1)
	}
	return nil
}

// inlineLimit is up to how many bytes a commit puts into the metastore. It is higher than for an object that is put: a
// file of their own would cost an edit more, and what is edited is likely to be edited again.
func (f *openFile) inlineLimit() int64 { return min(maxInlineLimit, 3*int64(f.store.opts.InlineLimit)) }

func (f *openFile) sealDurably(ctx context.Context) error {
	if err := f.seal(ctx); err != nil || f.stream == nil {
		return err
	}
	if err := f.stream.finish(ctx); err != nil {
		return f.lose(err)
	}
	return nil
}

// sealInline makes one chunk of what is in memory. The memory stays until the commit has succeeded.
func (c *fileCommit) sealInline(ctx context.Context) error {
	f := c.f
	g, err := f.store.space.admit(ctx, f.memory.bytes)
	if err != nil {
		return err
	}
	defer g.release()
	if err := g.spend(ctx, f.memory.bytes); err != nil {
		return err
	}
	plaintext := make([]byte, 0, f.memory.bytes)
	defer func() { clear(plaintext) }()
	c.chunk = cipher.NewChunkID()
	var sealed []extent
	for _, g := range f.memory.list {
		sealed = append(sealed, extent{
			Offset: g.off, Length: int64(len(g.data)), Chunk: c.chunk, At: int64(len(plaintext)), Place: inMetastore,
		})
		plaintext = append(plaintext, g.data...)
	}
	if f.memory.isWhole(f.size) && f.base.Encryption.wantsMD5() {
		sum := md5.Sum(plaintext)
		c.tag = etagOf(sum[:])
	}
	start := time.Now()
	c.inline, err = cipher.SealChunk(nil, f.keys[0], c.chunk, f.store.opts.FileFrame, plaintext)
	f.store.sealer(f.base.Encryption.mode()).did(ctx, int64(len(plaintext)), start, err)
	if err != nil {
		return err
	}
	c.changes, _ = overlay(f.changes, sealed, true)
	return nil
}

// publish writes the record.
func (c *fileCommit) publish(ctx context.Context) error {
	f, s := c.f, c.f.store
	many := len(c.pages) > pagesPerCommit
	if many {
		var err error
		if c.staged, err = s.stagePages(ctx, c.pages); err != nil {
			return err
		}
	}
	// Until the file has a pin of its own on the body, nothing may collect it.
	guard := s.pins.hold(c.body.ID)
	defer guard.release()
	var sealed [][]byte // new SealedKeys
	if f.unborn {
		sealed = f.base.Keys
	}
	err := s.aboveFloors(ctx, sealed, func() error { return s.changeNames(f.quiet(ctx), f.bucket, f.bucketID, c.write) })
	if err != nil {
		if c.staged != nil && !leavesOutcomeOpen(err) {
			s.discard(ctx, c.staged)
		}
		c.staged = nil
		if kind := kindOfCause(err); kind == KindNoSuchBucket || kind == KindStale {
			return f.stale()
		}
		return err
	}
	f.committed(c)
	return nil
}

// quiet gives a context under which a change waits for no watcher, and is not told to the mount that made it.
func (f *openFile) quiet(ctx context.Context) context.Context {
	if _, own := originOf(ctx); own {
		return ctx
	}
	return WithOrigin(ctx, f.origin)
}

// write is the transaction of a commit.
func (c *fileCommit) write(n *nameWriter) error {
	f := c.f
	was, err := n.current(c.key)
	if err != nil {
		return err
	}
	var r record
	switch {
	case f.unborn && f.store.files.at(f.bucketID, c.key) != f:
		return notNamed("") // its directory was renamed while the commit waited
	case f.unborn && was != nil:
		return errKind(KindStale)
	case f.unborn:
		r = *f.base
	case was == nil || was.Object != f.object:
		other, err := n.otherName(f.object, c.key)
		if err != nil {
			return err
		}
		return notNamed(other)
	case f.data && !sameBody(&was.Body, &f.base.Body):
		return errKind(KindStale)
	default:
		r = *was
	}
	r.Attributes, r.ModTime = f.store.files.attributes(f), f.base.ModTime
	if f.meta {
		r.Meta = f.base.Meta
	}
	if f.data {
		r.Size, r.Body = f.size, c.body
		if !f.rewriting {
			r.ETag, r.Checksum, r.Parts, r.Upload = c.tag, storedChecksum{}, partTable{}, cipher.UploadID{}
		}
		r.Keys = append(r.Keys[:len(r.Keys):len(r.Keys)], f.added...)
		if err := c.writeBody(n.tx.Tx, was); err != nil {
			return err
		}
		if f.lender != nil {
			if err := c.borrow(n); err != nil {
				return err
			}
		}
	}
	c.result = &r
	if f.rewriting {
		return n.write(c.key, &r)
	}
	if err := n.put(c.key, &r); err != nil || !f.unborn {
		return err
	}
	return n.touchDirectory(parentOf(c.key), f.base.ModTime)
}

// committed takes over what a commit has written.
func (f *openFile) committed(c *fileCommit) {
	f.base, f.since, f.meta = c.result, time.Time{}, false
	if f.unborn {
		f.unborn = false
		f.store.files.born(f)
	}
	if !f.data {
		return
	}
	if !f.rewriting {
		f.countShort(c.changes)
	}
	f.data, f.kept, f.changes = false, f.base.Size, nil
	f.forgetMemory()
	if f.stream != nil {
		f.grant.release()
		f.stream, f.grant = nil, nil
	}
	f.sum, f.summed = nil, 0
	if f.size == 0 {
		f.sum = newMD5(f.base)
	}
	was := f.pin
	f.pin = f.store.pins.hold(f.base.Body.ID)
	if was.of != nil {
		was.release()
	}
	f.leaf.clear()
	f.store.collector.wake()
}
