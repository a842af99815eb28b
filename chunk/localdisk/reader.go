package localdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/internal/disk"
)

// reader implements chunk.Reader. A chunk never changes, so its size is read
// once.
type reader struct {
	id   cipher.ChunkID
	file disk.File
	size int64
}

var _ chunk.Reader = (*reader)(nil)

// ReadAt implements chunk.Reader.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fail("read", r.id, fmt.Errorf("%w: negative offset", fs.ErrInvalid))
	}
	n, err := r.file.ReadAt(p, off)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, fail("read", r.id, err)
}

// Size implements chunk.Reader.
func (r *reader) Size() int64 { return r.size }

// Close implements chunk.Reader.
func (r *reader) Close() error {
	if err := r.file.Close(); err != nil {
		return fail("close", r.id, err)
	}
	return nil
}
