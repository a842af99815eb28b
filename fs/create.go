package fs

import (
	"context"
	"mime"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// newSegment is the segment that something made under a name will have. An alias is a name only for what it is the
// alias of.
func (f *filesystem) newSegment(dir place, name string, isDir bool) (string, error) {
	if len(name) > maxName {
		return "", syscall.ENAMETOOLONG
	}
	a, ok := parseName(name)
	switch {
	case !ok, a.long(), a.file && isDir, a.segment == "" && !isDir:
		return "", syscall.EINVAL
	case !a.file:
		return a.segment, nil
	}
	if _, directory, err := f.store.Lookup(f.base, dir.bucket, dir.key, a.segment); err == nil && directory == nil || missing(err) {
		return "", syscall.EINVAL
	} else if err != nil {
		return "", err
	}
	return a.segment, nil
}

// owned are the attributes of something new that a caller makes in a directory, which may pass on its group.
func (f *filesystem) owned(dir *node, who fuse.Caller, kind, mode uint32) object.Attributes {
	a := object.Attributes{Mode: kind | mode&permissions, UID: who.Uid, GID: who.Gid}
	if dirMode, gid := f.tree.inherit(dir); dirMode&syscall.S_ISGID != 0 {
		a.GID = gid
		if kind == syscall.S_IFDIR {
			a.Mode |= syscall.S_ISGID
		}
	}
	return a
}

// Create implements open(2) of what does not exist yet.
func (f *filesystem) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		file, what, err := f.create(dir, p, name, in.Caller, in.Mode, in.Flags)
		if err != nil {
			return err
		}
		n := f.tell(dir, name, what, f.set.EntryTimeout, &out.EntryOut)
		out.Fh = f.opened(n, file)
		out.OpenFlags = fuse.FOPEN_KEEP_CACHE
		return nil
	}))
}

// create makes a file or special file, which comes open.
func (f *filesystem) create(dir *node, p place, name string, who fuse.Caller, mode, flags uint32) (*object.File, found, error) {
	if p.bucket == "" {
		return nil, found{}, syscall.EPERM
	}
	segment, err := f.newSegment(p, name, false)
	if err != nil {
		return nil, found{}, err
	}
	kind := mode & syscall.S_IFMT
	if kind == 0 {
		kind = syscall.S_IFREG
	}
	req := object.CreateRequest{
		Bucket: p.bucket, Key: p.file(segment).key, Attr: f.owned(dir, who, kind, mode),
		Meta: object.Metadata{ContentType: contentType(segment, kind)},
	}
	return f.createFile(f.calling(who), req, segment, flags)
}

func (f *filesystem) createFile(ctx context.Context, req object.CreateRequest, segment string, flags uint32) (*object.File, found, error) {
	file, err := f.store.CreateFile(ctx, req)
	if object.KindOf(err) == object.KindExists && flags&syscall.O_EXCL == 0 && flags&syscall.O_CREAT != 0 {
		file, err = f.store.OpenFile(ctx, req.Bucket, req.Key) // S3 was quicker
	}
	if err != nil {
		return nil, found{}, err
	}
	return file, found{file.Node(), segment}, nil
}

// defaultType is the Content-Type of files whose extension tells nothing.
const defaultType = "application/octet-stream"

// contentType is the Content-Type of a new file, by the extension of its name.
func contentType(name string, kind uint32) string {
	if kind != syscall.S_IFREG {
		return defaultType
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return defaultType
}

// Mknod implements mknod(2): fifos, sockets and devices live in the kernel, which only wants to find them again.
func (f *filesystem) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		if p.bucket == "" {
			return syscall.EPERM
		}
		segment, err := f.newSegment(p, name, false)
		if err != nil {
			return err
		}
		kind := in.Mode & syscall.S_IFMT
		a := f.owned(dir, in.Caller, kind, in.Mode)
		a.Device = uint64(in.Rdev)
		return f.make(in.Caller, dir, name, segment, object.CreateRequest{
			Bucket: p.bucket, Key: p.file(segment).key, Attr: a,
			Meta: object.Metadata{ContentType: contentType(segment, kind)},
		}, out)
	}))
}

// make makes what does not come open.
func (f *filesystem) make(who fuse.Caller, dir *node, name, segment string, req object.CreateRequest, out *fuse.EntryOut) error {
	ctx := f.calling(who)
	file, what, err := f.createFile(ctx, req, segment, syscall.O_EXCL)
	if err != nil {
		return err
	}
	if err := file.Sync(ctx); err != nil { // nobody will close it
		return joinClose(err, file)
	}
	f.tell(dir, name, found{file.Node(), what.segment}, f.set.EntryTimeout, out)
	return file.Close()
}

// Symlink implements symlink(2).
func (f *filesystem) Symlink(_ <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		if p.bucket == "" {
			return syscall.EPERM
		}
		segment, err := f.newSegment(p, name, false)
		if err != nil {
			return err
		}
		return f.make(in.Caller, dir, name, segment, object.CreateRequest{
			Bucket: p.bucket, Key: p.file(segment).key, Attr: f.owned(dir, in.Caller, syscall.S_IFLNK, 0o777), Target: target,
			Meta: object.Metadata{ContentType: contentType(segment, syscall.S_IFLNK)},
		}, out)
	}))
}

// Mkdir implements mkdir(2). In the directory of all buckets it makes a bucket.
func (f *filesystem) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		what, err := f.mkdir(dir, p, in, name)
		if err == nil {
			f.tell(dir, name, what, f.set.EntryTimeout, out)
			out.Nlink = 2 // nothing is in it
		}
		return err
	}))
}

func (f *filesystem) mkdir(dir *node, p place, in *fuse.MkdirIn, name string) (found, error) {
	a := f.owned(dir, in.Caller, syscall.S_IFDIR, in.Mode)
	if p.bucket == "" {
		return f.makeBucket(name, a)
	}
	segment, err := f.newSegment(p, name, true)
	if err != nil {
		return found{}, err
	}
	node, err := f.store.MakeDir(f.base, p.bucket, p.directory(segment).key, a)
	return found{node, segment}, err
}

func (f *filesystem) makeBucket(name string, a object.Attributes) (found, error) {
	if len(name) > maxName {
		return found{}, syscall.ENAMETOOLONG
	}
	if _, err := f.store.CreateBucket(f.base, name); err != nil {
		return found{}, err
	}
	mode := a.Mode
	node, err := f.store.SetAttributes(f.base, name, "", object.AttributeChange{
		Base: f.defaults(syscall.S_IFDIR), Mode: &mode, UID: &a.UID, GID: &a.GID,
	})
	return found{node, name}, err
}

// Link implements link(2).
func (f *filesystem) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	target := f.tree.get(in.Oldnodeid)
	if target == nil {
		return fuse.Status(errStale)
	}
	return f.status(f.in(in.NodeId, func(dir *node, p place) error {
		if p.bucket == "" {
			return syscall.EPERM
		}
		segment, err := f.newSegment(p, name, false)
		if err != nil {
			return err
		}
		var linked object.Node
		err = f.at(target, func(from place) error {
			if from.bucket != p.bucket {
				return syscall.EXDEV
			}
			linked, err = f.store.Link(f.base, p.bucket, from.key, p.file(segment).key)
			return err
		})
		if err == nil {
			f.tell(dir, name, found{linked, segment}, f.set.EntryTimeout, out)
		}
		return err
	}))
}

// Readlink implements readlink(2).
func (f *filesystem) Readlink(_ <-chan struct{}, in *fuse.InHeader) (target []byte, status fuse.Status) {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return nil, fuse.Status(errStale)
	}
	ctx := f.calling(in.Caller)
	err := f.withFile(ctx, n, func(file *openFile) error {
		target = make([]byte, file.Node().Info.Size)
		return readFull(ctx, file, target)
	})
	return target, f.status(err)
}
