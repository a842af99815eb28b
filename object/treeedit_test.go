package object

import (
	"math/rand/v2"
	"slices"
	"testing"

	"coffer/cipher"
)

// byteModel says for every unit of a body which chunk it lies in, and where.
type byteModel []extent // of length 1 each; holes have no chunk

func (m byteModel) lay(e extent) byteModel {
	for int64(len(m)) < e.end() {
		m = append(m, extent{})
	}
	for i := range e.Length {
		m[e.Offset+i] = extent{Chunk: e.Chunk, At: e.At + i}
	}
	return m
}

func (m byteModel) check(t *testing.T, extents []extent) {
	t.Helper()
	got := make(byteModel, len(m))
	var end int64
	for _, e := range extents {
		if e.Offset < end || e.Length <= 0 || e.isHole() {
			t.Fatalf("extent %+v behind %d", e, end)
		}
		end = e.end()
		got = got.lay(e)
	}
	for i := range m {
		if got[i].Chunk != m[i].Chunk || (m[i].Chunk != cipher.ChunkID{} && got[i].At != m[i].At) {
			t.Fatalf("byte %d is in chunk %v at %d, want %v at %d", i, got[i].Chunk, got[i].At, m[i].Chunk, m[i].At)
		}
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var base, changes []extent
		var model byteModel
		for off := int64(0); off < 60; off += random.Int64N(5) {
			e := extent{Offset: off, Length: 1 + random.Int64N(6), Chunk: cipher.NewChunkID(), At: random.Int64N(9)}
			base, model, off = append(base, e), model.lay(e), e.end()
		}
		for off := random.Int64N(20); off < 80; off += random.Int64N(25) {
			e := extent{Offset: off, Length: 1 + random.Int64N(9), Chunk: cipher.NewChunkID()}
			if random.IntN(3) == 0 {
				e.Chunk = cipher.ChunkID{}
			}
			changes, model, off = append(changes, e), model.lay(e), e.end()
		}
		before := slices.Clone(base)
		out, _ := overlay(base, changes, false)
		model.check(t, out)
		if !slices.Equal(before, base) {
			t.Fatal("the base was changed")
		}
	}
}

// pageMap is a metastore of pages.
type pageMap map[cipher.PageID][]byte

func (p pageMap) get(id cipher.PageID) (*page, error) {
	var pg page
	return &pg, decode(p[id], &pg)
}

func (p pageMap) flatten(t *testing.T, b *body) (extents []extent) {
	t.Helper()
	if b.Depth == 0 {
		return b.Extents
	}
	var walk func(refs []pageRef, depth uint8, from, to int64)
	walk = func(refs []pageRef, depth uint8, from, to int64) {
		for i, ref := range refs {
			end := to
			if i+1 < len(refs) {
				end = refs[i+1].First
			}
			if i > 0 && ref.First < from {
				t.Fatalf("reference at %d behind %d", ref.First, from)
			}
			from = end
			pg, err := p.get(ref.Page)
			if err != nil {
				t.Fatal(err)
			}
			if depth > 1 {
				walk(pg.Refs, depth-1, ref.First, end)
				continue
			}
			if n := len(pg.Extents); n == 0 || pg.Extents[n-1].end() > end {
				t.Fatalf("page of %d extents reaches behind %d", n, end)
			}
			extents = append(extents, pg.Extents...)
		}
	}
	walk(b.Pages, b.Depth, 0, MaxObjectSize)
	return extents
}

// TestTreeEdit changes a tree at random until it has two levels of pages, and back to nothing.
func TestTreeEdit(t *testing.T) {
	t.Parallel()
	const size = 40_000
	random := rand.New(rand.NewPCG(3, 4))
	pages := pageMap{}
	b := body{ID: cipher.NewBodyID(), Extents: []extent{{Length: size, Chunk: cipher.NewChunkID()}}}
	model := byteModel{}.lay(b.Extents[0])
	deepest := uint8(0)
	apply := func(changes []extent) {
		edit := treeEdit{view: pages.get, owner: b.ID}
		next, err := edit.apply(&b, changes)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range edit.dropped {
			if _, there := pages[id]; !there {
				t.Fatal("a page was dropped twice")
			}
			delete(pages, id)
		}
		for _, s := range edit.staged {
			if len(s.value) > maxPageBytes {
				t.Fatalf("page of %d bytes", len(s.value))
			}
			pages[s.id] = s.value
		}
		for _, c := range changes {
			model = model.lay(c)
		}
		if len(next.Pages) > maxInlineExtents || len(next.Extents) > maxInlineExtents {
			t.Fatalf("root of %d references and %d extents", len(next.Pages), len(next.Extents))
		}
		b, deepest = next, max(deepest, next.Depth)
	}
	for round := range 120 {
		var changes []extent
		for off := random.Int64N(50); off < size; off += 1 + random.Int64N(40) {
			c := extent{Offset: off, Length: 1 + random.Int64N(3), Chunk: cipher.NewChunkID(), At: random.Int64N(100)}
			if random.IntN(8) == 0 {
				c.Chunk = cipher.ChunkID{}
			}
			changes = append(changes, c)
			off = c.end()
		}
		apply(changes)
		if round%50 == 0 {
			model.check(t, pages.flatten(t, &b))
		}
	}
	model.check(t, pages.flatten(t, &b))
	if deepest < 2 {
		t.Errorf("the tree had a depth of %d at most", deepest)
	}
	for end := int64(size + 3); end > 0; {
		from := max(0, end-1-random.Int64N(9000))
		apply([]extent{hole(from, end-from)})
		end = from
		model.check(t, pages.flatten(t, &b))
	}
	if len(pages) != 0 || b.Depth != 0 || len(b.Extents) != 0 {
		t.Errorf("%d pages and a depth of %d are left of nothing", len(pages), b.Depth)
	}
}
