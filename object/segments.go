package object

import "slices"

// maxSegment bounds the memory of a segment, so that appending to one copies little.
const maxSegment = 1 << 20

// segment is a run of bytes that was written and is not sealed yet.
type segment struct {
	off  int64
	data []byte
}

func (s *segment) end() int64 { return s.off + int64(len(s.data)) }

// segments are what a file has in memory, ascending and without overlap.
type segments struct {
	list  []segment
	bytes int64
}

// find returns the index of the first segment that ends behind off.
func (s *segments) find(off int64) int {
	i, _ := slices.BinarySearchFunc(s.list, off, func(g segment, off int64) int {
		if g.end() <= off {
			return -1
		}
		return 1
	})
	return i
}

// write puts p at off, over what is there.
func (s *segments) write(p []byte, off int64) {
	i := s.find(off)
	if i < len(s.list) && s.list[i].off <= off && s.list[i].end() >= off+int64(len(p)) {
		copy(s.list[i].data[off-s.list[i].off:], p)
		return
	}
	s.cut(off, off+int64(len(p)))
	i = s.find(off)
	for len(p) > 0 {
		if i > 0 && s.list[i-1].end() == off && len(s.list[i-1].data) < maxSegment {
			g := &s.list[i-1]
			n := min(len(p), maxSegment-len(g.data))
			g.data = append(g.data, p[:n]...)
			s.bytes += int64(n)
			p, off = p[n:], off+int64(n)
			continue
		}
		s.list = slices.Insert(s.list, i, segment{off: off})
		i++
	}
}

// cut drops what lies in [from, to).
func (s *segments) cut(from, to int64) {
	i := s.find(from)
	for i < len(s.list) && s.list[i].off < to {
		g := s.list[i]
		var left []segment
		if g.off < from {
			left = append(left, segment{off: g.off, data: g.data[: from-g.off : from-g.off]})
		}
		if g.end() > to {
			left = append(left, segment{off: to, data: slices.Clone(g.data[to-g.off:])})
		}
		dropped := min(g.end(), to) - max(g.off, from)
		clear(g.data[max(g.off, from)-g.off:][:dropped])
		s.bytes -= dropped
		s.list = slices.Replace(s.list, i, i+1, left...)
		i += len(left)
	}
}

// read copies what lies at off into p and returns how many bytes from off on are alike: in memory, or not.
func (s *segments) read(p []byte, off int64) (n int, here bool) {
	i := s.find(off)
	switch {
	case i == len(s.list):
		return len(p), false
	case s.list[i].off > off:
		return int(min(int64(len(p)), s.list[i].off-off)), false
	}
	return copy(p, s.list[i].data[off-s.list[i].off:]), true
}

// isWhole reports whether the segments are the bytes [0, size) without a gap.
func (s *segments) isWhole(size int64) bool {
	if s.bytes != size {
		return false
	}
	return size == 0 || (s.list[0].off == 0 && s.list[len(s.list)-1].end() == size)
}

// wipe forgets everything.
func (s *segments) wipe() {
	for _, g := range s.list {
		clear(g.data)
	}
	*s = segments{}
}
