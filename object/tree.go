package object

import (
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

// maxTreeDepth is never reached: two levels of pages hold more extents than the largest object has.
const maxTreeDepth = 3

// stagedPage is a page that is not written yet.
type stagedPage struct {
	id    cipher.PageID
	value []byte
}

// newBody makes the tree of a body: its extents inline where they fit, else in pages, which the caller writes before or
// with the record.
func newBody(extents []extent) (body, []stagedPage) {
	b := body{ID: cipher.NewBodyID()}
	if len(extents) <= maxInlineExtents {
		b.Extents = extents
		return b, nil
	}
	var staged []stagedPage
	for run := range runs(extents) {
		b.Pages = append(b.Pages, stage(&staged, run[0].Offset, &page{Extents: run}))
	}
	for b.Depth = 1; len(b.Pages) > maxInlineExtents; b.Depth++ {
		lower := b.Pages
		b.Pages = nil
		for run := range runs(lower) {
			b.Pages = append(b.Pages, stage(&staged, run[0].First, &page{Refs: run}))
		}
	}
	return b, staged
}

// newPartTable is newBody for the parts of a multipart object. Its pages are one level at most: there are no more than
// MaxParts.
func newPartTable(parts []partEntry) (partTable, []stagedPage) {
	t := partTable{Count: len(parts)}
	if len(parts) <= maxInlineParts {
		t.Inline = parts
		return t, nil
	}
	var staged []stagedPage
	for run := range runs(parts) {
		t.Pages = append(t.Pages, stage(&staged, int64(run[0].Number), &page{Parts: run}))
	}
	return t, staged
}

// runs cuts a slice into pieces of a page each.
func runs[E any](all []E) func(yield func([]E) bool) {
	return func(yield func([]E) bool) {
		for len(all) > 0 {
			n := min(len(all), entriesPerPage)
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

func stage(to *[]stagedPage, first int64, p *page) pageRef {
	p.Format = recordFormat
	id := cipher.NewPageID()
	*to = append(*to, stagedPage{id: id, value: encode(p)})
	return pageRef{First: first, Page: id}
}

// getPage reads a page.
func getPage(v *metastore.View, id cipher.PageID) (*page, error) {
	value, err := v.Get(pageKey(id))
	if err != nil {
		return nil, missingIsCorrupt(err)
	}
	var p page
	return &p, decode(value, &p)
}

// lookup returns the extents of a body from the one that covers offset on: all of them when they are inline, else those
// of its leaf. The second result is where the next leaf begins, or the end of the body.
func (s *Store) lookup(ctx context.Context, b *body, size, offset int64, slots int) ([]extent, int64, error) {
	if b.Depth == 0 {
		return b.Extents, size, nil
	}
	var extents []extent
	next := size
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		refs := b.Pages
		for depth := b.Depth; ; depth-- {
			if depth > maxTreeDepth {
				return errKindf(KindCorrupt, "body tree of depth %d", depth)
			}
			i := covering(refs, offset)
			if i < 0 { // an edited body may begin with a hole
				if len(refs) > 0 {
					next = min(next, refs[0].First)
				}
				return nil
			}
			if i+1 < len(refs) {
				next = refs[i+1].First
			}
			p, err := getPage(v, refs[i].Page)
			if err != nil {
				return err
			}
			if depth <= 1 {
				extents = p.Extents
				return validateExtents(extents, slots)
			}
			refs = p.Refs
		}
	})
	return extents, next, err
}

// covering returns the last reference that begins at or before offset, -1 if there is none.
func covering(refs []pageRef, offset int64) int {
	found := -1
	for i, ref := range refs {
		if ref.First > offset {
			break
		}
		found = i
	}
	return found
}

// from calls fn for the entries of a part table from a part number on, in order, until it answers false.
func (t *partTable) from(v *metastore.View, number int, fn func(partEntry) bool) error {
	if t.Inline != nil {
		eachFrom(t.Inline, number, fn)
		return nil
	}
	for i := max(covering(t.Pages, int64(number)), 0); i < len(t.Pages); i++ {
		p, err := getPage(v, t.Pages[i].Page)
		if err != nil {
			return err
		}
		if !eachFrom(p.Parts, number, fn) {
			return nil
		}
	}
	return nil
}

func eachFrom(entries []partEntry, number int, fn func(partEntry) bool) bool {
	for _, e := range entries {
		if e.Number >= number && !fn(e) {
			return false
		}
	}
	return true
}

// visit calls page for a body's pages, children before their parents, and extents for those of the root.
func (b *body) visit(v *metastore.View, page func(*page, cipher.PageID) error, extents func([]extent)) error {
	if b.Depth == 0 {
		extents(b.Extents)
		return nil
	}
	return visitRefs(v, b.Pages, b.Depth, page)
}

// walk visits a body's pages and chunks, children before their parents, so that a removal which is cut off can be
// repeated from the root. A page that is gone already is passed over.
func (b *body) walk(v *metastore.View, visit func(extents []extent, pages []cipher.PageID) error) error {
	var err error
	walked := b.visit(v, func(p *page, id cipher.PageID) error {
		return visit(p.Extents, []cipher.PageID{id})
	}, func(extents []extent) { err = visit(extents, nil) })
	return errors.Join(walked, err)
}

func visitRefs(v *metastore.View, refs []pageRef, depth uint8, visit func(*page, cipher.PageID) error) error {
	if depth > maxTreeDepth {
		return errKindf(KindCorrupt, "body tree of depth %d", depth)
	}
	for _, ref := range refs {
		p, err := getPage(v, ref.Page)
		if errors.Is(err, metastore.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if depth > 1 {
			if err := visitRefs(v, p.Refs, depth-1, visit); err != nil {
				return err
			}
		}
		if err := visit(p, ref.Page); err != nil {
			return err
		}
	}
	return nil
}
