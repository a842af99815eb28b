package object

import (
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	// tidyStale is how many bytes that edits have covered a body may keep, whatever its size; above it a quarter of its
	// size.
	tidyStale = 4 << 20
	// ownedPerCommit is how many chunks one transaction notes.
	ownedPerCommit = 64
)

// untidy reports whether a body keeps so much that its tree does not need that looking for it is worthwhile.
func (r *record) untidy() bool { return r.Body.Stale > max(tidyStale, r.Size/4) }

// isUntidy reports whether neatening the file is worthwhile.
func (f *openFile) isUntidy() bool { return f.base.untidy() || f.short > compactAfter }

// neaten compacts and tidies the file where that is worthwhile.
func (f *openFile) neaten(ctx context.Context) error {
	if !f.since.IsZero() {
		return nil
	}
	if f.short > compactAfter {
		if err := f.compact(ctx); err != nil {
			return err
		}
	}
	if f.base.untidy() {
		return f.tidy(ctx)
	}
	return nil
}

// tidy finds the chunks of a file's body that its tree does not need any more, and queues their removal. The file has
// nothing to commit; its bytes, entity tag and times stay. The caller holds mu.
func (f *openFile) tidy(ctx context.Context) error {
	if !f.since.IsZero() || f.base.Body.Edited == unedited {
		return nil
	}
	key, named := f.store.files.name(f)
	if !named {
		return nil
	}
	b := &f.base.Body
	live, all, err := f.takeStock(ctx)
	if err != nil || live == nil {
		return err
	}
	if err := f.noteLive(ctx, live, all); err != nil {
		return err
	}
	r := *f.base
	err = f.store.changeNames(ctx, f.bucket, f.bucketID, func(n *nameWriter) error {
		was, err := n.current(key)
		if err != nil {
			return err
		}
		if was == nil || was.Object != f.object || !sameBody(&was.Body, b) {
			return notNamed("")
		}
		count, _, err := bodyCount(n.tx.GetForUpdate, b.ID)
		if err != nil || count > 1 {
			return err
		}
		r = *was
		r.Body.Edited, r.Body.Stale = editedTidy, 0
		dead, pages := all.without(live)
		if err := queueGarbage(n.tx.Tx, b.ID, pages, dead); err != nil {
			return err
		}
		if err := n.tx.Delete(bodyKey(b.ID)); err != nil {
			return err
		}
		return n.put(key, &r)
	})
	if _, ok := errors.AsType[notNamed](err); ok {
		return nil // the next commit finds out why
	}
	if err == nil {
		r.Attributes, r.ModTime, r.Meta = f.base.Attributes, f.base.ModTime, f.base.Meta
		f.base = &r
		f.store.collector.wake()
	}
	return err
}

// takeStock finds what the tree needs and everything that the body owns; nothing where others share the body.
func (f *openFile) takeStock(ctx context.Context) (live, all *possession, err error) {
	b := &f.base.Body
	err = f.store.opts.Meta.View(ctx, func(v *metastore.View) error {
		count, lent, err := bodyCount(v.Get, b.ID)
		if err != nil || count > 1 || lent {
			return err
		}
		kept, err := readBody(v.Get, b.ID)
		if err != nil {
			return err
		}
		live, all = newPossession(), newPossession()
		if err := live.own(v, b); err != nil {
			return err
		}
		if kept.Origin != nil {
			if err := all.own(v, kept.Origin); err != nil {
				return err
			}
		}
		return all.note(v, b.ID)
	})
	return live, all, err
}

// noteLive notes the chunks of the tree before the first edit that are still needed, so that nothing but their notes is
// needed to find them. It may be done again.
func (f *openFile) noteLive(ctx context.Context, live, all *possession) error {
	var missing []cipher.ChunkID
	for id := range live.chunks {
		if _, noted := all.noted[id]; !noted {
			missing = append(missing, id)
		}
	}
	for len(missing) > 0 {
		n := min(len(missing), ownedPerCommit)
		err := f.store.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
			for _, id := range missing[:n] {
				if err := tx.Put(ownedKey(f.base.Body.ID, id), []byte{byte(live.chunks[id])}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		missing = missing[n:]
	}
	return nil
}

// without returns the chunks and pages of p that other does not have.
func (p *possession) without(other *possession) (map[cipher.ChunkID]place, []cipher.PageID) {
	chunks := make(map[cipher.ChunkID]place)
	for id, in := range p.chunks {
		if _, needed := other.chunks[id]; !needed {
			chunks[id] = in
		}
	}
	needed := make(map[cipher.PageID]bool, len(other.pages))
	for _, id := range other.pages {
		needed[id] = true
	}
	var pages []cipher.PageID
	for _, id := range p.pages {
		if !needed[id] {
			pages = append(pages, id)
		}
	}
	return chunks, pages
}
