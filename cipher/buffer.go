package cipher

import "sync"

const (
	// writeUnit is how much plaintext is sealed between two writes to what is below: large enough that a write
	// costs nothing beside the sealing.
	writeUnit = 1 << 20

	// readUnit is how much plaintext is opened after one read from below. It is smaller, because the sealed bytes
	// pass through the buffer only once, and should still be in the processor's second-level cache for it.
	readUnit = 256 << 10
)

// Working memory waits in these for its next use. They are the package's only variables that change, and carry no
// meaning from one use to the next (nor any plaintext: see release). They belong to the package and not to a writer
// or reader because only buffers that all streams share are as many as the streams that are busy at one time.
var (
	frameBuffers = newBufferPool(DefaultFrameSize + FrameOverhead)
	readBuffers  = newBufferPool(readUnit + readUnit/MinFrameSize*FrameOverhead)
	writeBuffers = newBufferPool(HeaderSize + writeUnit + writeUnit/MinFrameSize*FrameOverhead)
)

type bufferPool struct {
	size int
	pool sync.Pool
}

func newBufferPool(size int) *bufferPool {
	p := &bufferPool{size: size}
	p.pool.New = func() any { return &buffer{home: p, bytes: make([]byte, size)} }
	return p
}

// buffer is the working memory of one call or one writer.
type buffer struct {
	position
	home  *bufferPool
	bytes []byte
}

// takeBuffer returns a buffer of at least size bytes. No unit of any frame size needs more than the largest has.
func takeBuffer(size int) *buffer {
	p := writeBuffers
	switch {
	case size <= frameBuffers.size:
		p = frameBuffers
	case size <= readBuffers.size:
		p = readBuffers
	}
	return p.pool.Get().(*buffer)
}

// release puts the buffer back. Its owner has overwritten what plaintext was in it.
func (b *buffer) release() { b.home.pool.Put(b) }

// framesIn returns how many frames make a unit.
func framesIn(unit, frameSize int) int { return max(1, unit/frameSize) }
