package cipher

import (
	"fmt"
	"io"
)

// ChunkWriter seals what is written to it as one chunk. It hands sealed bytes on in units of about 1 MiB and holds
// one unit of memory, from the first Write to Close or Abort. It is for one goroutine.
type ChunkWriter struct {
	w      io.Writer
	key    *DataKey
	frames frames
	header [HeaderSize]byte

	buf   *buffer // nil until the first byte and after the last
	n     int     // sealed bytes in buf that wait to be handed on
	held  int     // plaintext bytes behind them: the frame that is being gathered
	index int64   // of the frame that is being gathered
	plain int64   // plaintext bytes taken so far
	err   error   // why nothing more is taken
}

// NewChunkWriter begins the chunk id under key, in frames of frameSize bytes. An id must never be used for two
// chunks, not for a second attempt at the same one either: frames of both would share key and nonce. The key is read
// now, and again by Reset.
func NewChunkWriter(w io.Writer, key *DataKey, id ChunkID, frameSize int) (*ChunkWriter, error) {
	frames, header, err := newFrames(key, id, frameSize)
	if err != nil {
		return nil, fmt.Errorf("new chunk: %w", err)
	}
	return &ChunkWriter{w: w, key: key, frames: frames, header: header}, nil
}

// Reset drops whatever was not handed on, and begins the chunk id under the same key and frame size. It is the cheap
// way from one chunk of an object to the next.
func (c *ChunkWriter) Reset(w io.Writer, id ChunkID) error {
	frames, header, err := newFrames(c.key, id, c.frames.frameSize)
	if err != nil {
		return fmt.Errorf("new chunk: %w", err)
	}
	c.Abort()
	*c = ChunkWriter{w: w, key: c.key, frames: frames, header: header}
	return nil
}

// Size returns how many plaintext bytes the chunk holds so far.
func (c *ChunkWriter) Size() int64 { return c.plain }

// Write takes p into the chunk. Whole frames are sealed straight out of p; the last frame's worth is kept back,
// because only what comes next tells whether it is the chunk's last. The first error stays: of the writer below, or
// ErrSize when the chunk would exceed MaxChunkSize.
func (c *ChunkWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(p)) > MaxChunkSize-c.plain {
		c.fail(fmt.Errorf("%w: chunk above %d bytes", ErrSize, int64(MaxChunkSize)))
		return 0, c.err
	}
	c.begin()
	size, total := c.frames.frameSize, len(p)
	for len(p) > 0 {
		if c.held == size {
			c.sealHeld(false)
		}
		if err := c.makeRoom(); err != nil {
			return total - len(p), err
		}
		if c.held == 0 && len(p) > size {
			c.sealFrom(p[:size])
			c.plain += int64(size)
			p = p[size:]
			continue
		}
		k := copy(c.buf.bytes[c.n+c.held:c.n+size], p)
		c.held += k
		c.plain += int64(k)
		p = p[k:]
	}
	return total, nil
}

// Close seals the last frame, hands on what is left, and gives the memory back. It does not close the writer below.
func (c *ChunkWriter) Close() error {
	if c.err != nil {
		return c.err
	}
	c.begin()
	if err := c.makeRoom(); err != nil {
		return err
	}
	c.sealHeld(true)
	if err := c.flush(); err != nil {
		return err
	}
	c.fail(ErrClosed)
	return nil
}

// Abort gives the memory back and leaves the chunk unfinished: what was handed on opens nowhere. After Close it does
// nothing.
func (c *ChunkWriter) Abort() {
	if c.err == nil {
		c.fail(ErrClosed)
	}
}

// begin takes the memory and puts the header into it.
func (c *ChunkWriter) begin() {
	if c.buf == nil {
		c.buf = takeBuffer(c.frames.unit())
		c.n = copy(c.buf.bytes, c.header[:])
	}
}

// makeRoom hands the unit on when it is full, so that a frame fits behind it. Nothing is held then.
func (c *ChunkWriter) makeRoom() error {
	if c.n+c.frames.sealed() <= c.frames.unit() {
		return nil
	}
	return c.flush()
}

// sealHeld seals the gathered frame where it lies.
func (c *ChunkWriter) sealHeld(final bool) {
	b := c.buf.bytes[:c.n]
	c.n = len(c.frames.seal(b, c.buf.bytes[c.n:c.n+c.held], &c.buf.position, c.index, final))
	c.held = 0
	c.index++
}

// sealFrom seals a full frame, which is not the last, out of the caller's memory.
func (c *ChunkWriter) sealFrom(p []byte) {
	c.n = len(c.frames.seal(c.buf.bytes[:c.n], p, &c.buf.position, c.index, false))
	c.index++
}

func (c *ChunkWriter) flush() error {
	n, err := c.w.Write(c.buf.bytes[:c.n])
	if err == nil && n != c.n {
		err = io.ErrShortWrite
	}
	if err != nil {
		c.fail(fmt.Errorf("write sealed chunk: %w", err))
		return c.err
	}
	c.n = 0
	return nil
}

// fail ends the writer with err.
func (c *ChunkWriter) fail(err error) {
	c.err = err
	if c.buf != nil {
		clear(c.buf.bytes[c.n : c.n+c.held])
		c.buf.release()
		c.buf = nil
	}
}
