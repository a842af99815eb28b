package fs

import (
	"context"
	"log/slog"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// filesystem answers the kernel. Its handlers run concurrently; each is one request.
type filesystem struct {
	fuse.RawFileSystem // answers ENOSYS to what is not done here

	store   *object.Store
	set     Settings
	log     *slog.Logger
	started time.Time
	target  Target

	tree    *tree
	handles handles
	changes *counters

	// base is the context of every request: FUSE has none of its own, and an interrupted caller does not undo what was
	// begun. The engine bounds how long a call takes.
	base context.Context
}

var _ fuse.RawFileSystem = (*filesystem)(nil)

func newFilesystem(ctx context.Context, o Options, base place, root object.Node) *filesystem {
	inode := root.Inode
	if base.bucket == "" {
		inode = fuse.FUSE_ROOT_ID
	}
	return &filesystem{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		store:         o.Store, set: o.Settings, log: o.Logger, started: time.Now(), target: o.Target,
		tree:    newTree(base, inode),
		handles: handles{open: make(map[uint64]*handle)},
		changes: newCounters(),
		base:    ctx,
	}
}

// String names the file system in the tables of the kernel.
func (f *filesystem) String() string { return "coffer" }

// errStale says that what the kernel means is no more.
const errStale = syscall.ESTALE

// at calls fn with the place of a node. If nothing is there, and a rename through this mount was on its way, fn is
// called again with the new place.
func (f *filesystem) at(n *node, fn func(place) error) error {
	for {
		ended := f.tree.ended.Load()
		p, ok := f.tree.place(n)
		if !ok {
			return errStale
		}
		err := fn(p)
		if err == nil || !missing(err) || !f.tree.settle(ended) {
			return err
		}
		if again, ok := f.tree.place(n); !ok || again == p {
			return err
		}
	}
}

// in is at for the directory that a request names by its id.
func (f *filesystem) in(id uint64, fn func(dir *node, p place) error) error {
	dir := f.tree.get(id)
	if dir == nil {
		return errStale
	}
	return f.at(dir, func(p place) error { return fn(dir, p) })
}
