package disktest

import (
	"io"
	"io/fs"
	"syscall"
	"time"
)

// handle is an open file of a Crash.
type handle struct {
	fs       *Crash
	file     *file
	name     string
	writable bool
	closed   bool // guarded by fs.mu
}

// Write implements disk.File. At the end of the room it writes what fits.
func (h *handle) Write(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check("write"); err != nil {
		return 0, err
	}
	if !h.writable {
		return 0, pathError("write", h.name, syscall.EBADF)
	}
	n := len(p)
	if !h.file.gone {
		n = int(min(int64(n), max(h.fs.capacity-h.fs.used, 0)))
		h.fs.used += int64(n)
	}
	h.file.data = append(h.file.data, p[:n]...)
	h.file.modTime = time.Now()
	if n < len(p) {
		return n, pathError("write", h.name, syscall.ENOSPC)
	}
	return n, nil
}

// ReadAt implements disk.File.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check("read"); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", h.name, fs.ErrInvalid)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(h.file.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.file.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Sync implements disk.File.
func (h *handle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check("sync"); err != nil {
		return err
	}
	h.file.synced = len(h.file.data)
	return nil
}

// Size implements disk.File.
func (h *handle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check("stat"); err != nil {
		return 0, err
	}
	return int64(len(h.file.data)), nil
}

// Close implements disk.File. It makes nothing durable.
func (h *handle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check("close"); err != nil {
		return err
	}
	h.closed = true
	h.fs.handles--
	return nil
}

func (h *handle) check(op string) error {
	if h.closed {
		return pathError(op, h.name, fs.ErrClosed)
	}
	return nil
}
