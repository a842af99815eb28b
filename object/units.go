package object

import "sync"

// unit is a buffer of plaintext on its way between two stages. Whoever holds it gives it back.
type unit struct {
	bytes []byte
	pool  *sync.Pool
}

// units pools the buffers of streams, in two sizes, so that small bodies do not hold large buffers.
type units struct {
	smallSize    int
	small, large sync.Pool
}

func newUnits(smallSize int) *units {
	return &units{smallSize: smallSize}
}

// take returns a buffer that holds a body of size bytes and one more, to see its end; a large one when size is not
// known (-1) or does not fit.
func (p *units) take(size int64) *unit {
	pool, length := &p.large, streamUnit
	if size >= 0 && size < int64(p.smallSize) {
		pool, length = &p.small, p.smallSize
	}
	if u, ok := pool.Get().(*unit); ok {
		u.bytes = u.bytes[:length]
		return u
	}
	return &unit{bytes: make([]byte, length), pool: pool}
}

// put gives a buffer back.
func (p *units) put(u *unit) { u.pool.Put(u) }
