package cipher

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// ChunkReader reads the plaintext of a chunk at any offset. Not a byte leaves it whose frame has not authenticated.
// It is safe for concurrent use if what is below it is.
type ChunkReader struct {
	src    io.ReaderAt
	frames frames
	sealed int64
	plain  int64
	last   int64       // index of the last frame
	ended  atomic.Bool // the last frame has authenticated, and with it the size
}

// NewChunkReader reads the header of the chunk id, whose sealed form is sealedSize bytes of r. The key is read now
// and not kept. The header proves nothing yet: a wrong key shows at the first ReadAt, or at CheckSize. The errors are
// ErrFormat, ErrVersion and ErrTruncated, ErrAuth where the header is another chunk's, ErrSize, ErrKey, ErrID, and
// those of r.
func NewChunkReader(r io.ReaderAt, sealedSize int64, key *DataKey, id ChunkID) (*ChunkReader, error) {
	c, err := newChunkReader(r, sealedSize, key, id)
	if err != nil {
		return nil, fmt.Errorf("open chunk %s: %w", id, err)
	}
	return c, nil
}

func newChunkReader(r io.ReaderAt, sealedSize int64, key *DataKey, id ChunkID) (*ChunkReader, error) {
	if sealedSize < HeaderSize+FrameOverhead {
		return nil, fmt.Errorf("%w: %d bytes", ErrTruncated, sealedSize)
	}
	var h [HeaderSize]byte
	if err := readFull(r, h[:], 0); err != nil {
		return nil, err
	}
	frameSize, err := parseHeader(h[:], id)
	if err != nil {
		return nil, err
	}
	plain, err := PlainSize(sealedSize, frameSize)
	if err != nil {
		return nil, err
	}
	frames, _, err := newFrames(key, id, frameSize)
	if err != nil {
		return nil, err
	}
	return &ChunkReader{
		src: r, frames: frames, sealed: sealedSize, plain: plain,
		last: frameCount(plain, frameSize) - 1,
	}, nil
}

// Size returns the plaintext length that sealedSize stands for. It is proved when the last frame has been read:
// reading up to the end does that, and so does CheckSize.
func (c *ChunkReader) Size() int64 { return c.plain }

// FrameSize returns the plaintext length of a frame: reads that begin and end at multiples of it copy nothing.
func (c *ChunkReader) FrameSize() int { return c.frames.frameSize }

// CheckSize opens the last frame, unless that has been done, and so proves that the chunk was neither cut nor
// extended.
func (c *ChunkReader) CheckSize() error {
	if c.ended.Load() {
		return nil
	}
	buf := takeBuffer(c.frames.sealed())
	defer buf.release()
	from := frameOffset(c.last, c.frames.frameSize)
	frame := buf.bytes[:c.sealed-from]
	if err := readFull(c.src, frame, from); err != nil {
		return err
	}
	text := frame[:len(frame)-FrameOverhead]
	defer clear(text)
	return c.open(text, frame, buf, c.last)
}

// ReadAt is io.ReaderAt over the plaintext: fewer than len(p) bytes come with an error, io.EOF at the end of the
// chunk. Bytes that it counts have authenticated, and io.EOF is returned only when the last frame has. Errors other
// than that are ErrAuth, ErrTruncated, ErrSize for a negative offset, and those of the reader below.
func (c *ChunkReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: offset %d", ErrSize, off)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= c.plain {
		if err := c.CheckSize(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), c.plain-off)]
	n, err := c.read(want, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// read fills p from off; all of it lies within the chunk.
func (c *ChunkReader) read(p []byte, off int64) (int, error) {
	size := int64(c.frames.frameSize)
	touched := (off+int64(len(p))-1)/size - off/size + 1
	unit := min(touched, int64(framesIn(readUnit, c.frames.frameSize)))
	buf := takeBuffer(int(unit) * c.frames.sealed())
	defer buf.release()
	for n := 0; ; {
		k, err := c.readUnit(buf, p[n:], off+int64(n), unit)
		n += k
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// readUnit fills p from off as far as unit frames reach.
func (c *ChunkReader) readUnit(buf *buffer, p []byte, off, unit int64) (int, error) {
	size := int64(c.frames.frameSize)
	index := off / size
	count := min(unit, (off+int64(len(p))-1)/size-index+1)
	from := frameOffset(index, c.frames.frameSize)
	sealed := buf.bytes[:min(frameOffset(index+count, c.frames.frameSize), c.sealed)-from]
	if err := readFull(c.src, sealed, from); err != nil {
		return 0, err
	}
	n := 0
	for skip := int(off % size); len(sealed) > 0; skip = 0 {
		frame := sealed[:min(len(sealed), c.frames.sealed())]
		k, err := c.openInto(p[n:], frame, skip, buf, index)
		if err != nil {
			return n, err
		}
		n += k
		index++
		sealed = sealed[len(frame):]
	}
	return n, nil
}

// openInto opens a frame and puts its plaintext from skip on into p: directly where p takes all of it, else by way of
// the memory that the frame was read into.
func (c *ChunkReader) openInto(p, frame []byte, skip int, buf *buffer, index int64) (int, error) {
	plain := len(frame) - FrameOverhead
	if skip == 0 && len(p) >= plain {
		return plain, c.open(p[:plain], frame, buf, index)
	}
	text := frame[:plain]
	defer clear(text)
	if err := c.open(text, frame, buf, index); err != nil {
		return 0, err
	}
	return copy(p, text[skip:]), nil
}

func (c *ChunkReader) open(dst, frame []byte, buf *buffer, index int64) error {
	final := index == c.last
	if err := c.frames.open(dst, frame, &buf.position, index, final); err != nil {
		return err
	}
	if final {
		c.ended.Store(true)
	}
	return nil
}

// readFull fills p from off; an end of the source within p is ErrTruncated.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return fmt.Errorf("%w: source ends at %d", ErrTruncated, off+int64(n))
	}
	return fmt.Errorf("read sealed chunk: %w", err)
}
