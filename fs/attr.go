package fs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

const (
	permissions = 0o7777
	privileges  = syscall.S_ISUID | syscall.S_ISGID

	blockSize     = 512       // of st_blocks
	preferredSize = 128 << 10 // st_blksize: what programs had better read and write at a time
)

// kindOf is the type in a node's mode.
func kindOf(n *object.Node) uint32 {
	switch {
	case n.Directory:
		return syscall.S_IFDIR
	case n.Attr != nil && n.Attr.Mode&syscall.S_IFMT != 0:
		return n.Attr.Mode & syscall.S_IFMT
	default:
		return syscall.S_IFREG
	}
}

// defaults are the attributes of what no mount has touched.
func (f *filesystem) defaults(kind uint32) object.Attributes {
	mode := uint32(0o666)
	if kind == syscall.S_IFDIR {
		mode = 0o777
	}
	return object.Attributes{Mode: kind | mode&^f.set.Umask, UID: f.set.UID, GID: f.set.GID}
}

// attributes are what stat(2) says of a node.
func (f *filesystem) attributes(n *object.Node) fuse.Attr {
	kind := kindOf(n)
	a := f.defaults(kind)
	a.AccessTime, a.ChangeTime = n.Info.ModTime, n.Info.ModTime
	if n.Attr != nil {
		a = *n.Attr
	}
	out := fuse.Attr{
		Ino: n.Inode, Mode: kind | a.Mode&permissions, Nlink: n.Links, Owner: fuse.Owner{Uid: a.UID, Gid: a.GID},
		Rdev: uint32(a.Device), Blksize: preferredSize,
	}
	if kind == syscall.S_IFREG || kind == syscall.S_IFLNK {
		out.Size = uint64(n.Info.Size)
		out.Blocks = (out.Size + blockSize - 1) / blockSize
	}
	if n.Directory {
		out.Nlink = uncounted
	}
	out.SetTimes(&a.AccessTime, &n.Info.ModTime, &a.ChangeTime)
	return out
}

// rootAttributes are those of the directory of all buckets.
func (f *filesystem) rootAttributes() fuse.Attr {
	a := f.defaults(syscall.S_IFDIR)
	out := fuse.Attr{
		Ino: fuse.FUSE_ROOT_ID, Mode: a.Mode, Nlink: 1, Owner: fuse.Owner{Uid: a.UID, Gid: a.GID}, Blksize: preferredSize,
	}
	out.SetTimes(&f.started, &f.started, &f.started)
	return out
}

// isRoot reports whether a node is the directory of all buckets.
func (f *filesystem) isRoot(n *node) bool { return n == f.tree.root && f.tree.base.bucket == "" }

// GetAttr implements stat(2).
func (f *filesystem) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	switch {
	case n == nil:
		return fuse.Status(errStale)
	case f.isRoot(n):
		out.Attr = f.rootAttributes()
		out.SetTimeout(f.set.EntryTimeout)
		return fuse.OK
	}
	found, valid, err := f.stat(n, in.Fh())
	if err != nil {
		return f.status(err)
	}
	f.tellAttr(n, &found, valid, out)
	if n.isDir() {
		out.Nlink = f.directoryLinks(n)
	}
	return fuse.OK
}

const (
	// countedEntries is up to how many entries a directory's links are counted.
	countedEntries = 32
	// uncounted is the number of links of a directory that were not counted, by which programs know that.
	uncounted = 1
)

// directoryLinks is the number of links of a directory: its name, its “.”, and the “..” of each directory in it. The
// kernel asks after each change in a directory; one that is known to have too many entries is not read again.
func (f *filesystem) directoryLinks(n *node) uint32 {
	links := uint32(uncounted)
	err := f.at(n, func(p place) error {
		before := f.changes.count(p)
		if f.tree.crowded(n, before) {
			return nil
		}
		page, err := f.store.ReadDir(f.base, p.bucket, p.key, object.ListPosition{}, 2*countedEntries)
		if err != nil || len(page.Nodes) > countedEntries {
			f.tree.counted(n, before, len(page.Nodes))
			return err
		}
		links = 2
		for i := range page.Nodes {
			if page.Nodes[i].Directory {
				links++
			}
		}
		return nil
	})
	if err != nil {
		return uncounted
	}
	return links
}

// tellAttr answers with attributes.
func (f *filesystem) tellAttr(n *node, found *object.Node, valid time.Duration, out *fuse.AttrOut) {
	out.Attr = f.attributes(found)
	out.Ino = n.inode
	out.SetTimeout(valid)
	f.tree.told(n, out.Mode, out.Gid)
}

// stat describes a node, from a file of it that is open, if there is one, else by its place. valid is how long the
// kernel may keep it.
func (f *filesystem) stat(n *node, fh uint64) (found object.Node, valid time.Duration, err error) {
	if file := f.openOf(n, fh); file != nil {
		found = file.Node()
		if found.Links > 1 || found.Links > 0 && f.tree.isLinked(n) {
			found.Links = f.links(n, found.Links)
		}
		return found, f.set.EntryTimeout, nil
	}
	err = f.at(n, func(p place) error {
		dir := parentOf(p)
		before := f.changes.count(dir)
		if found, err = f.store.Stat(f.base, p.bucket, p.key); err != nil {
			return err
		}
		if found.Inode != n.inode {
			return errStale
		}
		valid = f.validity(dir, before)
		return nil
	})
	return found, valid, err
}

// links is the number of names of a file that is open, which may have come and gone since it was opened.
func (f *filesystem) links(n *node, otherwise uint32) (links uint32) {
	err := f.at(n, func(p place) error {
		now, err := f.store.Stat(f.base, p.bucket, p.key)
		if err == nil && now.Inode != n.inode {
			err = errStale
		}
		links = now.Links
		return err
	})
	if err != nil {
		return otherwise
	}
	return links
}

// validity is how long the kernel may keep what the engine said after the counter of a directory was read.
func (f *filesystem) validity(dir place, before uint64) time.Duration {
	if f.changes.count(dir) != before {
		return 0
	}
	return f.set.EntryTimeout
}

// SetAttr implements chmod, chown, truncate and utimensat.
func (f *filesystem) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	switch {
	case n == nil:
		return fuse.Status(errStale)
	case f.isRoot(n):
		return fuse.EPERM
	}
	fh, _ := in.GetFh()
	file := f.openOf(n, fh)
	if size, ok := in.GetSize(); ok {
		if err := f.truncate(f.calling(in.Caller), n, file, size); err != nil {
			return f.status(err)
		}
	}
	found, err := f.change(n, file, in)
	if err != nil {
		return f.status(err)
	}
	f.tellAttr(n, &found, f.set.EntryTimeout, out)
	return fuse.OK
}

// truncate sets the size of a file. What has no file open is committed at once: nobody will close it.
func (f *filesystem) truncate(ctx context.Context, n *node, file *openFile, size uint64) error {
	if size > object.MaxObjectSize {
		return syscall.EFBIG
	}
	if file != nil {
		return file.Truncate(ctx, int64(size))
	}
	return f.withFile(ctx, n, func(file *openFile) error {
		if err := file.Truncate(ctx, int64(size)); err != nil {
			return err
		}
		return file.Sync(ctx)
	})
}

// changeOf says what a request changes. The zero change is none.
func changeOf(in *fuse.SetAttrIn, now *object.Node, a *fuse.Attr) (c object.AttributeChange, any bool) {
	if mode, ok := in.GetMode(); ok {
		c.Mode = &mode
	}
	if uid, ok := in.GetUID(); ok {
		c.UID = &uid
	}
	if gid, ok := in.GetGID(); ok {
		c.GID = &gid
	}
	if t, ok := in.GetATime(); ok {
		c.AccessTime = &t
	}
	if t, ok := in.GetMTime(); ok {
		c.ModTime = &t
	}
	// A change of owner takes privileges away, also one that changes neither: then the request asks for nothing. So
	// does a truncation that the kernel says so of.
	const asks = fuse.FATTR_MODE | fuse.FATTR_UID | fuse.FATTR_GID | fuse.FATTR_SIZE | fuse.FATTR_ATIME | fuse.FATTR_MTIME
	owner := in.Valid&(fuse.FATTR_UID|fuse.FATTR_GID) != 0 || in.Valid&asks == 0
	killed := withoutPrivileges(a.Mode)
	if !now.Directory && c.Mode == nil && (owner || in.Valid&fuse.FATTR_KILL_SUIDGID != 0) && killed != a.Mode {
		c.Mode = &killed
	}
	return c, c.Mode != nil || c.UID != nil || c.GID != nil || c.AccessTime != nil || c.ModTime != nil || in.Valid&asks == 0
}

// withoutPrivileges is a mode as a write by another user leaves it: without set-user-id, and without set-group-id
// where that gives a right.
func withoutPrivileges(mode uint32) uint32 {
	mode &^= syscall.S_ISUID
	if mode&syscall.S_IXGRP != 0 {
		mode &^= syscall.S_ISGID
	}
	return mode
}

// change changes attributes, and describes the node as it is then.
func (f *filesystem) change(n *node, file *openFile, in *fuse.SetAttrIn) (object.Node, error) {
	now, _, err := f.stat(n, 0)
	if file != nil {
		now, err = file.Node(), nil
	}
	if err != nil {
		return now, err
	}
	a := f.attributes(&now)
	c, any := changeOf(in, &now, &a)
	if !any {
		return now, nil
	}
	return f.setAttributes(n, file, c)
}

// setAttributes makes a change through the open file, if there is one, else by place.
func (f *filesystem) setAttributes(n *node, file *openFile, c object.AttributeChange) (found object.Node, err error) {
	c.Base = f.defaults(n.kind)
	if file != nil {
		return file.SetAttributes(f.base, c)
	}
	err = f.at(n, func(p place) error {
		found, err = f.store.SetAttributes(f.base, p.bucket, p.key, c)
		return err
	})
	return found, err
}
