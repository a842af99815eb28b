package object

import (
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

// A body that a mount edits keeps its id. What its tree needs no longer cannot be told from the edit alone, since other
// extents may lie in the same chunk; so every chunk that an edit adds is noted under the body (ownedKey), the tree before
// the first edit is kept (bodyRecord.Origin), and tidying compares both with the tree as it is.
//
// A body that several records share, or that others borrow from, is never edited: the edit makes a body that borrows
// from it, and holds a reference on it like a record.

// bodyCount reads how many records and borrowers share a body, and whether it was ever lent.
func bodyCount(get func([]byte) ([]byte, error), id cipher.BodyID) (count uint32, lent bool, err error) {
	value, err := get(countKey(id))
	if errors.Is(err, metastore.ErrNotFound) {
		return 1, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var c countRecord
	if err := decode(value, &c); err != nil {
		return 0, false, err
	}
	if c.Count < 2 && !(c.Lent && c.Count == 1) {
		return 0, false, errKindf(KindCorrupt, "body %v has a count of %d", id, c.Count)
	}
	return c.Count, c.Lent, nil
}

// putBodyCount writes the count of a shared body. 1 is written as absence where the body was never lent.
func putBodyCount(tx *metastore.Tx, id cipher.BodyID, count uint32, lent bool) error {
	if count == 1 && !lent {
		return tx.Delete(countKey(id))
	}
	return tx.Put(countKey(id), encode(&countRecord{Format: recordFormat, Count: count, Lent: lent}))
}

// dropReference takes one reference off a shared body and its removal off the queue. Where the reference is the only one
// it does nothing and answers that the body is not shared.
func (s *Store) dropReference(ctx context.Context, key []byte, id cipher.BodyID) (shared, lent bool, err error) {
	err = s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		var count uint32
		var err error
		count, lent, err = bodyCount(tx.GetForUpdate, id)
		if shared = count > 1; err != nil || !shared {
			return err
		}
		if err := putBodyCount(tx, id, count-1, lent); err != nil {
			return err
		}
		return tx.Delete(key)
	})
	return shared, lent, err
}

// lend notes that others borrow from a body, more of them than until now by so many, and keeps its tree for when its
// own records are gone.
func lend(tx *metastore.Tx, b *body, more uint32) error {
	count, _, err := bodyCount(tx.GetForUpdate, b.ID)
	if err != nil {
		return err
	}
	if err := putBodyCount(tx, b.ID, count+more, true); err != nil {
		return err
	}
	kept, err := readBody(tx.Get, b.ID)
	if err != nil {
		return err
	}
	kept.Frozen = b
	return tx.Put(bodyKey(b.ID), encode(kept))
}

// readBody reads what is kept about a body, an empty record where nothing is.
func readBody(get func([]byte) ([]byte, error), id cipher.BodyID) (*bodyRecord, error) {
	r := &bodyRecord{Format: recordFormat}
	value, err := get(bodyKey(id))
	if errors.Is(err, metastore.ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, decode(value, r)
}

// possession is everything that a body owns.
type possession struct {
	chunks map[cipher.ChunkID]place
	noted  map[cipher.ChunkID]place // those of chunks that ownedKeys name
	pages  []cipher.PageID          // children before their parents
}

// own adds the chunks and pages of a tree of the body. Those that belong to bases are left out.
func (p *possession) own(v *metastore.View, b *body) error {
	foreign := len(b.Bases) > 0
	return b.visit(v, func(pg *page, id cipher.PageID) error {
		if pg.Owner != b.ID && foreign {
			return nil
		}
		p.pages = append(p.pages, id)
		p.extents(pg.Extents)
		return nil
	}, p.extents)
}

func (p *possession) extents(list []extent) {
	for _, e := range list {
		if !e.Place.isBorrowed() {
			p.chunks[e.Chunk] = e.Place
		}
	}
}

// note adds the chunks that ownedKeys name.
func (p *possession) note(v *metastore.View, id cipher.BodyID) error {
	from, to := metastore.PrefixRange(ownedPrefix(id))
	for kv, err := range v.Scan(from, to) {
		if err != nil {
			return err
		}
		if len(kv.Key) != len(ownedPrefix(id))+cipher.IDSize || len(kv.Value) != 1 {
			return errKindf(KindCorrupt, "owned chunk under a key of %d bytes", len(kv.Key))
		}
		chunk := cipher.ChunkID(kv.Key[len(kv.Key)-cipher.IDSize:])
		p.chunks[chunk], p.noted[chunk] = place(kv.Value[0]), place(kv.Value[0])
	}
	return nil
}

func newPossession() *possession {
	return &possession{chunks: make(map[cipher.ChunkID]place), noted: make(map[cipher.ChunkID]place)}
}

// removeOwned removes a body that was edited or lent: whatever it owns, then its entry together with its references on
// bases.
func (w *sweep) removeOwned(ctx context.Context, key []byte, r *removal) error {
	p := newPossession()
	root := r.Body
	err := w.store.opts.Meta.View(ctx, func(v *metastore.View) error {
		kept, err := readBody(v.Get, root.ID)
		if err != nil {
			return err
		}
		if r.Base {
			if kept.Frozen == nil {
				return errKindf(KindCorrupt, "body %v was lent, and its tree is missing", root.ID)
			}
			root = *kept.Frozen
		}
		for _, tree := range []*body{&root, kept.Origin} {
			if tree != nil {
				if err := p.own(v, tree); err != nil {
					return err
				}
			}
		}
		return p.note(v, root.ID)
	})
	if err != nil {
		return err
	}
	for _, ref := range r.Parts {
		p.pages = append(p.pages, ref.Page)
	}
	if err := w.removePossession(ctx, root.ID, p); err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if len(root.Bases) > 0 {
		defer w.store.collector.wake()
	}
	return w.store.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		for _, base := range root.Bases {
			if err := queueRemoval(tx, &removal{Body: body{ID: base}, Base: true}); err != nil {
				return err
			}
		}
		for _, k := range [][]byte{bodyKey(root.ID), countKey(root.ID), key} {
			if err := tx.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *sweep) removePossession(ctx context.Context, id cipher.BodyID, p *possession) error {
	for chunk, place := range p.chunks {
		if err := w.removeChunk(ctx, id, chunk, place); err != nil {
			return err
		}
	}
	for _, pg := range p.pages {
		if err := w.delete(ctx, pageKey(pg)); err != nil {
			return err
		}
	}
	return nil
}

// removeChunk adds a chunk with the key that names it as owned, which may not be there.
func (w *sweep) removeChunk(ctx context.Context, id cipher.BodyID, chunk cipher.ChunkID, in place) error {
	if in.inMetastore() {
		if err := w.delete(ctx, dataKey(chunk)); err != nil {
			return err
		}
	} else if w.chunks = append(w.chunks, chunk); len(w.chunks) >= chunksPerRemove {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	return w.delete(ctx, ownedKey(id, chunk))
}

// removeGarbage removes what an edit left behind.
func (w *sweep) removeGarbage(ctx context.Context, key []byte, r *removal) error {
	p := newPossession()
	p.pages = r.Garbage.Pages
	for _, id := range r.Garbage.Files {
		p.chunks[id] = inChunkStore
	}
	for _, id := range r.Garbage.Inline {
		p.chunks[id] = inMetastore
	}
	if err := w.removePossession(ctx, r.Body.ID, p); err != nil {
		return err
	}
	return w.delete(ctx, key)
}

// queueRemoval puts a removal into the queue under a place of its own.
func queueRemoval(tx *metastore.Tx, r *removal) error {
	r.Format = recordFormat
	return tx.Put(queueKey(queueBody, cipher.NewWriterID()), encode(r))
}

// garbagePerEntry keeps an entry of the queue well within the size of a value.
const garbagePerEntry = 2000

// queueGarbage queues what a body does not need any more.
func queueGarbage(tx *metastore.Tx, id cipher.BodyID, pages []cipher.PageID, chunks map[cipher.ChunkID]place) error {
	g := &garbage{}
	flush := func(limit int) error {
		if len(g.Pages)+len(g.Files)+len(g.Inline) < limit {
			return nil
		}
		full := g
		g = &garbage{}
		return queueRemoval(tx, &removal{Body: body{ID: id}, Garbage: full})
	}
	for _, p := range pages {
		g.Pages = append(g.Pages, p)
		if err := flush(garbagePerEntry); err != nil {
			return err
		}
	}
	for c, in := range chunks {
		if in.inMetastore() {
			g.Inline = append(g.Inline, c)
		} else {
			g.Files = append(g.Files, c)
		}
		if err := flush(garbagePerEntry); err != nil {
			return err
		}
	}
	return flush(1)
}

// heldUp reports whether a reader may still need what a removal is about. The caller has settled the pins since it read
// the entry, and holds the collector's lock.
func (c *collector) heldUp(key []byte, r *removal) bool {
	pins := c.store.pins
	if r.Garbage == nil {
		return !r.Body.IsZero() && pins.pinned(r.Body.ID)
	}
	mark, marked := c.marks[string(key)]
	if !marked {
		mark = pins.mark()
	}
	if pins.pinnedBefore(r.Body.ID, mark) {
		c.marks[string(key)] = mark
		return true
	}
	delete(c.marks, string(key))
	return false
}
