package fs

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"coffer/internal/caller"
	"coffer/object"
)

// openFile is one opening of a file. Handles share it when a file without a name is opened again.
type openFile struct {
	*object.File
	refs int  // guarded by tree.mu
	held bool // by no handle, but for as long as the kernel knows the node

	away atomic.Int64 // until when the key is taken to be out of reach, in nanoseconds of Unix time
}

// keyAway is how long a reader is spared the wait for a key that was just not to be had: the kernel asks up to four times
// for the bytes of one read(2), and each would wait in full.
const keyAway = time.Second

// read reads as File.ReadAt does, and fails at once while the key is out of reach.
func (o *openFile) read(ctx context.Context, p []byte, off int64) (int, error) {
	if time.Now().UnixNano() < o.away.Load() {
		return 0, syscall.EIO
	}
	n, err := o.ReadAt(ctx, p, off)
	if err != nil && object.KindOf(err) == object.KindUnavailable {
		o.away.Store(time.Now().Add(keyAway).UnixNano())
	}
	return n, err
}

// handle is what the kernel has open.
type handle struct {
	node *node
	file *openFile  // of a file
	dir  *dirStream // of a directory
}

// handles is the table of handles. Numbers are not given twice.
type handles struct {
	mu   sync.Mutex
	open map[uint64]*handle
	last uint64
}

func (h *handles) add(one *handle) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.open[h.last] = one
	return h.last
}

func (h *handles) get(fh uint64) *handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[fh]
}

func (h *handles) remove(fh uint64) *handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.open[fh]
	delete(h.open, fh)
	return one
}

func (h *handles) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

// file is the open file of a handle, nil if it has none.
func (h *handles) file(fh uint64) *openFile {
	if one := h.get(fh); one != nil {
		return one.file
	}
	return nil
}

// stamp tells versions of a file's bytes apart.
type stamp struct {
	modified time.Time
	size     int64
}

func stampOf(n *object.Node) stamp { return stamp{n.Info.ModTime, n.Info.Size} }

// opened registers an opening and returns its handle.
func (f *filesystem) opened(n *node, file *object.File) uint64 {
	one := &openFile{File: file, refs: 1}
	f.tree.mu.Lock()
	n.open = append(n.open, one)
	f.tree.mu.Unlock()
	return f.handles.add(&handle{node: n, file: one})
}

// openOf is the open file of a handle of n, or else any that n has open; nil for none.
func (f *filesystem) openOf(n *node, fh uint64) *openFile {
	if fh != 0 {
		if file := f.handles.file(fh); file != nil {
			return file
		}
	}
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	if len(n.open) == 0 {
		return nil
	}
	return n.open[0]
}

// share takes another reference to a file that n has open, nil if it has none.
func (f *filesystem) share(n *node) *openFile {
	f.tree.mu.Lock()
	defer f.tree.mu.Unlock()
	if len(n.open) == 0 {
		return nil
	}
	n.open[0].refs++
	return n.open[0]
}

// release gives up a reference. The last one closes.
func (f *filesystem) release(n *node, file *openFile) error {
	last := stampOf(new(file.Node()))
	f.tree.mu.Lock()
	file.refs--
	rest := file.refs
	if rest == 0 {
		n.open = slices.DeleteFunc(n.open, func(o *openFile) bool { return o == file })
	}
	n.seen = last
	f.tree.mu.Unlock()
	if rest > 0 {
		return nil
	}
	return file.Close()
}

// openFile opens the file of a node: by its place, or, if it has no name any more, by another opening of it.
func (f *filesystem) openFile(ctx context.Context, n *node) (*object.File, error) {
	var file *object.File
	err := f.at(n, func(p place) (err error) {
		file, err = f.store.OpenFile(ctx, p.bucket, p.key)
		if err == nil && file.Node().Inode != n.inode {
			return joinClose(errStale, file) // S3 replaced it: the kernel looks it up anew
		}
		return err
	})
	return file, err
}

// joinClose closes a file and adds what that fails with to an error.
func joinClose(err error, file *object.File) error {
	if closed := file.Close(); closed != nil {
		return errors.Join(err, closed)
	}
	return err
}

// withFile calls fn with a file of a node, which is open for so long.
func (f *filesystem) withFile(ctx context.Context, n *node, fn func(*openFile) error) error {
	file, err := f.openFile(ctx, n)
	if err != nil && missing(err) {
		if shared := f.share(n); shared != nil { // it has no name any more
			return errors.Join(fn(shared), f.release(n, shared))
		}
	}
	if err != nil {
		return err
	}
	err = fn(&openFile{File: file})
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// Open implements open(2).
func (f *filesystem) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(errStale)
	}
	file, err := f.openFile(f.calling(in.Caller), n)
	if err != nil && missing(err) {
		if shared := f.share(n); shared != nil {
			out.Fh = f.handles.add(&handle{node: n, file: shared})
			out.OpenFlags = fuse.FOPEN_KEEP_CACHE
			return fuse.OK
		}
	}
	if err != nil {
		return f.status(err)
	}
	if f.unchanged(n, file) {
		out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	}
	out.Fh = f.opened(n, file)
	return fuse.OK
}

// unchanged reports whether the bytes of a file are those that the kernel may have kept.
func (f *filesystem) unchanged(n *node, file *object.File) bool {
	now := file.Node()
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return len(n.open) > 0 || n.seen == stampOf(&now)
}

// Read implements read(2).
func (f *filesystem) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	file := f.handles.file(in.Fh)
	if file == nil {
		return nil, fuse.EBADF
	}
	n, err := file.read(f.calling(in.Caller), buf, int64(in.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, f.status(err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// readFull reads len(p) bytes from the beginning of a file.
func readFull(ctx context.Context, file *openFile, p []byte) error {
	n, err := file.ReadAt(ctx, p, 0)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Write implements write(2) and what the kernel writes back from memory maps, which has its place even in a file that
// is open for appending.
func (f *filesystem) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h := f.handles.get(in.Fh)
	if h == nil || h.file == nil {
		return 0, fuse.EBADF
	}
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		if err := f.dropPrivileges(h); err != nil {
			return 0, f.status(err)
		}
	}
	ctx := f.calling(in.Caller)
	var n int
	var err error
	if in.Flags&syscall.O_APPEND != 0 && in.WriteFlags&fuse.WRITE_CACHE == 0 {
		_, n, err = h.file.Append(ctx, data)
	} else {
		n, err = h.file.WriteAt(ctx, data, int64(in.Offset))
	}
	if n > 0 && object.KindOf(err) == object.KindNoSpace {
		err = nil // a short write; the next one fails
	}
	return uint32(n), f.status(err)
}

// dropPrivileges takes the privileges from a file that somebody writes to who may not keep them.
func (f *filesystem) dropPrivileges(h *handle) error {
	now := h.file.Node()
	mode := f.attributes(&now).Mode
	if killed := withoutPrivileges(mode); killed != mode {
		_, err := f.setAttributes(h.node, h.file, object.AttributeChange{Mode: &killed})
		return err
	}
	return nil
}

// Flush implements close(2): what it returns without an error is durable, and S3 has it.
func (f *filesystem) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return f.sync(in.Fh, in.Caller)
}

// Fsync implements fsync(2) and fdatasync(2).
func (f *filesystem) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.sync(in.Fh, in.Caller)
}

func (f *filesystem) sync(fh uint64, who fuse.Caller) fuse.Status {
	file := f.handles.file(fh)
	if file == nil {
		return fuse.EBADF
	}
	return f.status(file.Sync(f.calling(who)))
}

// Release implements the end of a handle. Nobody hears of its errors; Flush has told them.
func (f *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	h := f.handles.remove(in.Fh)
	if h == nil || h.file == nil {
		return
	}
	if err := f.release(h.node, h.file); err != nil {
		f.log.Error("a file was closed with an error", "error", err)
	}
}

// Lseek implements SEEK_DATA and SEEK_HOLE.
func (f *filesystem) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	file := f.handles.file(in.Fh)
	if file == nil {
		return fuse.EBADF
	}
	var off int64
	var err error
	switch in.Whence {
	case unix.SEEK_DATA:
		off, err = file.SeekData(f.base, int64(in.Offset))
	case unix.SEEK_HOLE:
		off, err = file.SeekHole(f.base, int64(in.Offset))
	default:
		return fuse.EINVAL
	}
	out.Offset = uint64(off)
	return f.status(err)
}

// Fallocate implements fallocate(2).
func (f *filesystem) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	file := f.handles.file(in.Fh)
	if file == nil {
		return fuse.EBADF
	}
	off, length := int64(in.Offset), int64(in.Length)
	if off < 0 || length <= 0 || off > object.MaxObjectSize-length {
		return fuse.Status(syscall.EFBIG)
	}
	keepSize := in.Mode&unix.FALLOC_FL_KEEP_SIZE != 0
	switch in.Mode &^ unix.FALLOC_FL_KEEP_SIZE {
	case 0:
		return f.status(file.Reserve(f.base, off, length, keepSize))
	case unix.FALLOC_FL_PUNCH_HOLE:
		return f.status(file.Punch(f.base, off, length))
	case unix.FALLOC_FL_ZERO_RANGE:
		if err := file.Reserve(f.base, off, length, keepSize); err != nil {
			return f.status(err)
		}
		return f.status(file.Punch(f.base, off, length))
	default:
		return fuse.Status(syscall.EOPNOTSUPP)
	}
}

// maxCopy bounds what one call of copy_file_range moves, so that it can be interrupted between calls.
const maxCopy = 1 << 30

// CopyFileRange implements copy_file_range(2).
func (f *filesystem) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	from, to := f.handles.file(in.FhIn), f.handles.file(in.FhOut)
	if from == nil || to == nil {
		return 0, fuse.EBADF
	}
	if in.Flags != 0 {
		return 0, fuse.EINVAL
	}
	n, err := to.CloneRange(f.calling(in.Caller), int64(in.OffOut), from.File, int64(in.OffIn), int64(min(in.Len, maxCopy)))
	return uint32(n), f.status(err)
}

// releaseAll closes what is still open when the kernel is gone.
func (f *filesystem) releaseAll() error {
	f.handles.mu.Lock()
	left := f.handles.open
	f.handles.open = make(map[uint64]*handle)
	f.handles.mu.Unlock()
	var errs []error
	for _, h := range left {
		if h.file == nil {
			continue
		}
		errs = append(errs, h.file.Sync(f.base), f.release(h.node, h.file))
	}
	return errors.Join(errs...)
}

// calling is the context of a request that may use a key: the audit log tells on whose behalf.
func (f *filesystem) calling(who fuse.Caller) context.Context {
	uid := who.Uid
	return caller.With(f.base, caller.Caller{Principal: mountPrincipal, Source: f.target.Dir, UID: &uid})
}

// mountPrincipal is who the audit log says has used a key through a mount; the user stands beside it.
const mountPrincipal = "coffer:mount"
