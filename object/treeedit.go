package object

import (
	"coffer/cipher"
	"coffer/metastore"
)

// editedPerPage is how many extents an edit puts into a page: fewer than a body that is written once, since every later
// edit nearby writes the page again.
const editedPerPage = 128

// treeEdit lays changes over a body's tree. It writes the pages that the changes touch anew, and those above them, and
// keeps all others.
type treeEdit struct {
	view  func(cipher.PageID) (*page, error)
	owner cipher.BodyID
	// fork makes a body of its own out of a shared one: everything that is there already is borrowed.
	fork bool
	// foreign: pages that do not name owner as theirs belong to a base. In a body without bases all pages are its own.
	foreign bool
	// origin: pages without an owner still tell which chunks the body had before its first edit.
	origin bool

	staged  []stagedPage
	dropped []cipher.PageID // pages of owner's that are no longer part of the tree
	covered int64           // bytes of extents that the changes covered
}

// apply returns the root of the changed tree. Bases and the like are the caller's to set.
func (t *treeEdit) apply(b *body, changes []extent) (body, error) {
	if b.Depth == 0 {
		extents, covered := overlay(t.own(b.Extents, t.fork), changes, false)
		t.covered += covered
		if len(extents) <= maxInlineExtents {
			return body{ID: t.owner, Extents: extents}, nil
		}
		return t.root(t.leaves(extents), 1), nil
	}
	refs, err := t.refs(b.Pages, b.Depth, changes)
	if err != nil {
		return body{}, err
	}
	return t.collapse(t.root(refs, b.Depth))
}

// root makes the root over references at a depth, with as many levels as it takes.
func (t *treeEdit) root(refs []pageRef, depth uint8) body {
	for ; len(refs) > maxInlineExtents; depth++ {
		refs = t.nodes(refs)
	}
	return body{ID: t.owner, Depth: depth, Pages: refs}
}

// collapse takes the extents of a single small leaf into the root.
func (t *treeEdit) collapse(b body) (body, error) {
	for b.Depth > 0 && len(b.Pages) <= 1 {
		if len(b.Pages) == 0 {
			return body{ID: t.owner}, nil
		}
		p, err := t.page(b.Pages[0].Page)
		if err != nil {
			return b, err
		}
		if len(p.Refs) > maxInlineExtents || len(p.Extents) > maxInlineExtents {
			return b, nil
		}
		t.drop(b.Pages[0].Page, p)
		if b.Depth > 1 {
			b.Depth, b.Pages = b.Depth-1, p.Refs
			continue
		}
		return body{ID: t.owner, Extents: t.own(p.Extents, t.isForeign(p))}, nil
	}
	return b, nil
}

// refs edits the pages that a list of references names, level by level.
func (t *treeEdit) refs(list []pageRef, depth uint8, changes []extent) ([]pageRef, error) {
	if depth > maxTreeDepth {
		return nil, errKindf(KindCorrupt, "body tree of depth %d", depth)
	}
	out := make([]pageRef, 0, len(list)+1)
	var extents []extent // of neighbouring leaves that are written anew
	from := int64(0)
	for i, ref := range list {
		to := int64(MaxObjectSize)
		if i+1 < len(list) {
			to = list[i+1].First
		}
		here := within(changes, from, to)
		from = to
		if len(here) == 0 {
			out = append(append(out, t.leaves(extents)...), ref)
			extents = nil
			continue
		}
		p, err := t.page(ref.Page)
		if err != nil {
			return nil, err
		}
		t.drop(ref.Page, p)
		if depth == 1 {
			changed, covered := overlay(t.own(p.Extents, t.isForeign(p)), here, false)
			t.covered += covered
			for _, e := range changed {
				extents = push(extents, e)
			}
			continue
		}
		below, err := t.refs(p.Refs, depth-1, here)
		if err != nil {
			return nil, err
		}
		out = append(out, t.nodes(below)...)
	}
	return append(out, t.leaves(extents)...), nil
}

// leaves puts extents into pages of like size.
func (t *treeEdit) leaves(extents []extent) []pageRef {
	var refs []pageRef
	for run := range evenRuns(extents, editedPerPage) {
		refs = append(refs, t.stage(run[0].Offset, &page{Extents: run}))
	}
	return refs
}

// nodes puts references into pages.
func (t *treeEdit) nodes(below []pageRef) []pageRef {
	var refs []pageRef
	for run := range evenRuns(below, entriesPerPage) {
		refs = append(refs, t.stage(run[0].First, &page{Refs: run}))
	}
	return refs
}

func (t *treeEdit) stage(first int64, p *page) pageRef {
	p.Owner = t.owner
	return stage(&t.staged, first, p)
}

// page reads a page, of those that this edit made too.
func (t *treeEdit) page(id cipher.PageID) (*page, error) {
	for _, s := range t.staged {
		if s.id == id {
			var p page
			return &p, decode(s.value, &p)
		}
	}
	return t.view(id)
}

// drop notes that a page is no longer part of the tree.
func (t *treeEdit) drop(id cipher.PageID, p *page) {
	for i, s := range t.staged {
		if s.id == id {
			t.staged = append(t.staged[:i:i], t.staged[i+1:]...)
			return
		}
	}
	if !t.fork && !t.isForeign(p) && !(t.origin && p.Owner.IsZero()) {
		t.dropped = append(t.dropped, id)
	}
}

// isForeign reports whether a page belongs to a body that this one borrows from.
func (t *treeEdit) isForeign(p *page) bool {
	return p.Owner != t.owner && (t.fork || t.foreign)
}

// own returns extents as they stand in a page of the owner's: those of a foreign page are borrowed.
func (t *treeEdit) own(extents []extent, foreign bool) []extent {
	if !foreign {
		return extents
	}
	out := make([]extent, len(extents))
	for i, e := range extents {
		e.Place |= borrowed
		out[i] = e
	}
	return out
}

// evenRuns cuts a slice into as few pieces of at most limit elements as there can be, of like length.
func evenRuns[E any](all []E, limit int) func(yield func([]E) bool) {
	return func(yield func([]E) bool) {
		for pieces := (len(all) + limit - 1) / limit; pieces > 0; pieces-- {
			n := (len(all) + pieces - 1) / pieces
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// pageReader reads pages of a view.
func pageReader(v *metastore.View) func(cipher.PageID) (*page, error) {
	return func(id cipher.PageID) (*page, error) { return getPage(v, id) }
}
