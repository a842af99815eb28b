package object

import (
	"slices"

	"coffer/cipher"
)

// Places of chunks that belong to another body: this one borrows them and holds a reference on their owner.
const (
	borrowed            place = 2 // bit of a place
	borrowedChunkStore        = inChunkStore | borrowed
	borrowedInMetastore       = inMetastore | borrowed
)

func (p place) inMetastore() bool { return p&^borrowed == inMetastore }
func (p place) isBorrowed() bool  { return p&borrowed != 0 }

func (e *extent) end() int64 { return e.Offset + e.Length }

// isHole reports whether an extent stands for zeros: in a list of changes, never in a body.
func (e *extent) isHole() bool { return e.Chunk == cipher.ChunkID{} }

func hole(off, length int64) extent { return extent{Offset: off, Length: length} }

// cut is the part of an extent within [from, to), which it overlaps.
func (e extent) cut(from, to int64) extent {
	if from > e.Offset {
		if !e.isHole() {
			e.At += from - e.Offset
		}
		e.Length -= from - e.Offset
		e.Offset = from
	}
	e.Length = min(e.Length, to-e.Offset)
	return e
}

// continues reports whether next goes on where e ends, in the body and in the chunk.
func (e *extent) continues(next *extent) bool {
	return e.end() == next.Offset && e.Chunk == next.Chunk && e.Slot == next.Slot && e.Place == next.Place &&
		(e.isHole() || e.At+e.Length == next.At)
}

// push appends an extent to a list that it stands behind, and joins the two where they are one run.
func push(list []extent, e extent) []extent {
	if e.Length == 0 {
		return list
	}
	if n := len(list); n > 0 && list[n-1].continues(&e) {
		list[n-1].Length += e.Length
		return list
	}
	return append(list, e)
}

// overlay lays changes over extents. Both ascend and do not overlap within themselves. Holes among the changes are
// kept where keepHoles asks for it, else they only cut. The second result is how many bytes of base were covered.
func overlay(base, changes []extent, keepHoles bool) ([]extent, int64) {
	out := make([]extent, 0, len(base)+2*len(changes))
	var covered int64
	var head extent // of what is left of base, if it has a length
	next := func() bool {
		if head.Length == 0 && len(base) > 0 {
			head, base = base[0], base[1:]
		}
		return head.Length > 0
	}
	// take moves head up to an offset on to the result, or drops it.
	take := func(to int64, keep bool) {
		part := head.cut(head.Offset, to)
		if keep {
			out = push(out, part)
		} else {
			covered += part.Length
		}
		if head.end() <= to {
			head = extent{}
		} else {
			head = head.cut(to, head.end())
		}
	}
	for _, c := range changes {
		for next() && head.Offset < c.Offset {
			take(c.Offset, true)
		}
		for next() && head.Offset < c.end() {
			take(c.end(), false)
		}
		if keepHoles || !c.isHole() {
			out = push(out, c)
		}
	}
	for next() {
		take(head.end(), true)
	}
	return out, covered
}

// within cuts a list to [from, to).
func within(list []extent, from, to int64) []extent {
	i, _ := slices.BinarySearchFunc(list, from, func(e extent, off int64) int {
		if e.end() <= off {
			return -1
		}
		return 1
	})
	var out []extent
	for ; i < len(list) && list[i].Offset < to; i++ {
		out = append(out, list[i].cut(from, to))
	}
	return out
}

// at returns the extent of a list that covers off, nil if none does, and how many bytes from off on are alike, at most
// limit.
func at(list []extent, off, limit int64) (*extent, int64) {
	i, _ := slices.BinarySearchFunc(list, off, func(e extent, off int64) int {
		if e.end() <= off {
			return -1
		}
		return 1
	})
	if i == len(list) {
		return nil, limit
	}
	e := &list[i]
	if e.Offset > off {
		return nil, min(limit, e.Offset-off)
	}
	return e, min(limit, e.end()-off)
}
