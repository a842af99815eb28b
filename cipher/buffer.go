package cipher

import "sync"

const (
	// unitSize is how much plaintext is sealed or opened between two calls of what is below: large enough that
	// the calls cost nothing, small enough that a stream stays in the processor's second-level cache.
	unitSize = 1 << 20

	unitBuffer  = HeaderSize + unitSize + unitSize/MinFrameSize*FrameOverhead
	frameBuffer = DefaultFrameSize + FrameOverhead
)

// Buffers of the two sizes wait here for their next use. These pools are the package's only variables that change: they
// carry no meaning from one use to the next (no plaintext either, see release), and only one pool for all streams of
// the process keeps memory proportional to the streams that are busy at one time.
var (
	unitPool  = sync.Pool{New: func() any { return &buffer{bytes: make([]byte, unitBuffer)} }}
	framePool = sync.Pool{New: func() any { return &buffer{bytes: make([]byte, frameBuffer)} }}
)

// buffer is working memory of one call or writer.
type buffer struct {
	position
	bytes []byte
}

// takeBuffer returns a buffer of size bytes or more, up to unitBuffer.
func takeBuffer(size int) *buffer {
	if size <= frameBuffer {
		return framePool.Get().(*buffer)
	}
	return unitPool.Get().(*buffer)
}

// release puts the buffer back. Its owner has overwritten what plaintext there was.
func (b *buffer) release() {
	if len(b.bytes) == frameBuffer {
		framePool.Put(b)
		return
	}
	unitPool.Put(b)
}

// unitFrames returns how many frames make a unit.
func unitFrames(frameSize int) int { return unitSize / frameSize }
