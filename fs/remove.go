package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"coffer/object"
)

// segmentAt is the segment of a name that exists, as far as the kernel knows.
func (f *filesystem) segmentAt(dir *node, p place, name string) (string, error) {
	if segment, ok := f.tree.segmentOf(dir, name); ok {
		return segment, nil
	}
	what, err := f.find(p, name)
	return what.segment, err
}

// Unlink implements unlink(2).
func (f *filesystem) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		if p.bucket == "" {
			return syscall.EPERM
		}
		segment, err := f.segmentAt(dir, p, name)
		if err != nil {
			return err
		}
		done := f.hold(dir, name, p.file(segment))
		if err := f.store.Unlink(f.base, p.bucket, p.file(segment).key); err != nil {
			return done(err)
		}
		f.tree.removed(dir, name)
		return done(nil)
	}))
}

// hold opens the file that a name stands for, before the name is taken from it: the kernel may know the file still, and
// open it a moment later. It stays open until the kernel forgets it. done is called after the change.
func (f *filesystem) hold(dir *node, name string, p place) (done func(error) error) {
	nothing := func(err error) error { return err }
	n := f.tree.child(dir, name)
	if n == nil || n.kind != syscall.S_IFREG && n.kind != syscall.S_IFLNK || f.openOf(n, 0) != nil {
		return nothing
	}
	file, err := f.store.OpenFile(f.base, p.bucket, p.key)
	if err != nil {
		return nothing
	}
	if file.Node().Inode != n.inode {
		return func(err error) error { return joinClose(err, file) }
	}
	return func(err error) error {
		if err != nil || file.Node().Links > 0 || !f.tree.keep(n, &openFile{File: file, refs: 1, held: true}) {
			return joinClose(err, file)
		}
		return nil
	}
}

// Rmdir implements rmdir(2). In the directory of all buckets it removes a bucket.
func (f *filesystem) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		segment, err := f.segmentAt(dir, p, name)
		if err != nil {
			return err
		}
		if p.bucket == "" {
			err = f.store.DeleteBucket(f.base, name)
		} else {
			err = f.store.RemoveDir(f.base, p.bucket, p.directory(segment).key)
		}
		if err == nil {
			f.tree.removed(dir, name)
		}
		return err
	}))
}

// Rename implements renameat2(2).
func (f *filesystem) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	if in.Flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return fuse.EINVAL
	}
	r := rename{name: name, newName: newName, flags: in.Flags, from: f.tree.get(in.NodeId), to: f.tree.get(in.Newdir)}
	if r.from == nil || r.to == nil {
		return fuse.Status(errStale)
	}
	for {
		before, _ := f.tree.place(r.from)
		beforeTo, _ := f.tree.place(r.to)
		err := f.rename(&r)
		if !missing(err) {
			return f.status(err)
		}
		f.tree.settle(0)
		after, ok := f.tree.place(r.from)
		afterTo, okTo := f.tree.place(r.to)
		if !ok || !okTo || after == before && afterTo == beforeTo {
			return f.status(err)
		}
	}
}

// rename is a request under way.
type rename struct {
	from, to      *node
	name, newName string
	flags         uint32
}

func (f *filesystem) rename(r *rename) error {
	defer f.tree.beginRename()()
	from, ok := f.tree.place(r.from)
	to, okTo := f.tree.place(r.to)
	switch {
	case !ok || !okTo:
		return errStale
	case from.bucket == "" || to.bucket == "" || from.bucket != to.bucket:
		return syscall.EXDEV
	}
	source, err := f.nameAt(r.from, from, r.name)
	if err != nil {
		return err
	}
	target, err := f.targetOf(r, to, source.dir)
	if err != nil {
		return err
	}
	done := func(err error) error { return err }
	exchange := r.flags&unix.RENAME_EXCHANGE != 0
	if !exchange && !target.dir {
		done = f.hold(r.to, r.newName, target.in(to))
	}
	err = f.store.Rename(f.base, object.RenameRequest{
		Bucket: from.bucket, From: source.in(from).key, To: target.in(to).key,
		NoReplace: r.flags&unix.RENAME_NOREPLACE != 0, Exchange: exchange,
	})
	if err != nil {
		return done(err)
	}
	f.tree.moved(r.from, r.name, r.to, r.newName, target.segment, exchange)
	return done(nil)
}

// named is a name of a directory, as the key has it.
type named struct {
	segment string
	dir     bool
}

func (n named) in(p place) place {
	if n.dir {
		return p.directory(n.segment)
	}
	return p.file(n.segment)
}

// nameAt is what a name that exists stands for.
func (f *filesystem) nameAt(dir *node, p place, name string) (named, error) {
	if segment, ok := f.tree.segmentOf(dir, name); ok {
		if n := f.tree.child(dir, name); n != nil {
			return named{segment, n.isDir()}, nil
		}
	}
	what, err := f.find(p, name)
	return named{what.segment, what.node.Directory}, err
}

// targetOf is what a rename moves to. An exchange names what is there, any other rename what will be.
func (f *filesystem) targetOf(r *rename, to place, dir bool) (named, error) {
	if r.flags&unix.RENAME_EXCHANGE != 0 {
		return f.nameAt(r.to, to, r.newName)
	}
	if segment, ok := f.tree.segmentOf(r.to, r.newName); ok {
		return named{segment, dir}, nil
	}
	segment, err := f.newSegment(to, r.newName, dir)
	return named{segment, dir}, err
}
