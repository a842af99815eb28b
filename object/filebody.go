package object

import (
	"bytes"
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

// errShareChanged says that a body came to be shared, or not to be any more, while its tree was being edited.
var errShareChanged = errors.New("the references of a body changed")

// grow makes the tree of the file as it will be.
func (c *fileCommit) grow(ctx context.Context) error {
	f := c.f
	b := &f.base.Body
	c.fresh = f.kept == 0 || b.IsZero()
	if c.fresh {
		return c.growFresh()
	}
	return f.store.opts.Meta.View(ctx, func(v *metastore.View) error {
		count, _, err := bodyCount(v.Get, b.ID)
		if err != nil {
			return err
		}
		c.fork = count > 1 || f.lender != nil
		c.edit = treeEdit{view: pageReader(v), owner: b.ID, fork: c.fork, foreign: len(b.Bases) > 0, origin: b.Edited != editedTidy}
		if c.fork {
			c.edit.owner = cipher.NewBodyID()
		}
		if c.body, err = c.edit.apply(b, c.changes); err != nil {
			return err
		}
		c.pages = c.edit.staged
		c.body.Stale = b.Stale + c.edit.covered
		if c.fork {
			c.body.Edited, c.body.Bases, c.body.Stale = editedTidy, c.bases(b.ID), 0
			return nil
		}
		c.body.Edited, c.body.Bases = max(b.Edited, editedOnce), b.Bases
		return nil
	})
}

// growFresh makes a tree of the changes alone.
func (c *fileCommit) growFresh() error {
	extents, _ := overlay(nil, c.changes, false)
	c.body, c.pages = body{}, nil
	switch {
	case len(extents) == 0:
		return nil
	case c.f.lender == nil:
		c.body, c.pages = newBody(extents)
		return nil
	}
	c.edit = treeEdit{owner: cipher.NewBodyID()}
	var err error
	c.body, err = c.edit.apply(&body{}, extents)
	c.body.Edited, c.body.Bases, c.pages = editedTidy, c.bases(), c.edit.staged
	return err
}

// bases are the bodies that the file's body borrows from: those given, and the lender's.
func (c *fileCommit) bases(ids ...cipher.BodyID) []cipher.BodyID {
	if c.f.lender != nil {
		ids = append(ids, c.f.lender.base.Body.ID)
	}
	return ids
}

// sameBody reports whether two trees are the same one, at the same state.
func sameBody(a, b *body) bool { return bytes.Equal(encode(a), encode(b)) }

// writeBody writes what belongs to the tree, and queues what it leaves behind.
func (c *fileCommit) writeBody(tx *metastore.Tx, was *record) error {
	if c.inline != nil {
		if err := tx.Put(dataKey(c.chunk), c.inline); err != nil {
			return err
		}
	}
	if c.staged != nil {
		if err := c.staged.clear(tx); err != nil {
			return err
		}
	} else {
		for _, p := range c.pages {
			if err := tx.Put(pageKey(p.id), p.value); err != nil {
				return err
			}
		}
	}
	if c.f.stream != nil {
		if err := c.f.stream.intent.clear(tx); err != nil {
			return err
		}
	}
	if was != nil && !c.fresh && !c.f.rewriting && len(was.Parts.Pages) > 0 {
		if err := queueRemoval(tx, &removal{Parts: was.Parts.Pages}); err != nil {
			return err
		}
	}
	if c.fresh {
		return c.writeFresh(tx, was)
	}
	return c.writeEdited(tx, &was.Body)
}

// writeFresh leaves the former body behind, and the chunks that were sealed in vain.
func (c *fileCommit) writeFresh(tx *metastore.Tx, was *record) error {
	if was != nil && (!was.Body.IsZero() || len(was.Parts.Pages) > 0) {
		if err := queueRemoval(tx, &removal{Body: was.Body, Parts: was.Parts.Pages}); err != nil {
			return err
		}
	}
	vain := c.sealed()
	for _, e := range c.changes {
		delete(vain, e.Chunk)
	}
	return queueGarbage(tx, cipher.NewBodyID(), nil, vain)
}

// sealed are the chunks that the file got since its last commit.
func (c *fileCommit) sealed() map[cipher.ChunkID]place {
	all := make(map[cipher.ChunkID]place)
	if c.inline != nil {
		all[c.chunk] = inMetastore
	}
	if c.f.stream != nil {
		for _, e := range c.f.stream.extents {
			all[e.Chunk] = inChunkStore
		}
	}
	return all
}

// writeEdited notes what belongs to a body that lives on, or to the one that borrows from it.
func (c *fileCommit) writeEdited(tx *metastore.Tx, was *body) error {
	count, lent, err := bodyCount(tx.GetForUpdate, was.ID)
	switch {
	case err != nil:
		return err
	case c.fork != (count > 1 || c.f.lender != nil):
		return errShareChanged
	case c.fork:
		err = lend(tx, was, 0)
	case lent || was.Edited == unedited:
		err = keepOrigin(tx, was)
	}
	if err != nil {
		return err
	}
	for id, in := range c.sealed() {
		if err := tx.Put(ownedKey(c.body.ID, id), []byte{byte(in)}); err != nil {
			return err
		}
	}
	return queueGarbage(tx, was.ID, c.edit.dropped, nil)
}

// keepOrigin keeps the tree of a body that is edited for the first time. Nobody borrows from it any more.
func keepOrigin(tx *metastore.Tx, was *body) error {
	kept, err := readBody(tx.Get, was.ID)
	if err != nil {
		return err
	}
	kept.Frozen = nil
	if was.Edited == unedited {
		kept.Origin = was
	}
	return tx.Put(bodyKey(was.ID), encode(kept))
}
