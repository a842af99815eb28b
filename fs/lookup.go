package fs

import (
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// parentOf is the directory that something lies in. A bucket lies in the directory of all buckets, which is its own.
func parentOf(p place) place {
	if p.key == "" {
		return place{}
	}
	return place{p.bucket, p.key[:strings.LastIndexByte(strings.TrimSuffix(p.key, "/"), '/')+1]}
}

// found is what a name stands for.
type found struct {
	node    object.Node
	segment string
}

// find looks a name up in a directory. It fails with ENOENT where the name stands for nothing.
func (f *filesystem) find(dir place, name string) (found, error) {
	if len(name) > maxName {
		return found{}, syscall.ENAMETOOLONG
	}
	if dir.bucket == "" {
		return f.findBucket(name)
	}
	a, ok := parseName(name)
	if !ok {
		return found{}, syscall.ENOENT
	}
	if a.long() {
		segment, err := f.findLong(dir, name, a)
		if err != nil {
			return found{}, err
		}
		a.segment = segment
	}
	file, directory, err := f.store.Lookup(f.base, dir.bucket, dir.key, a.segment)
	switch {
	case err != nil:
		return found{}, err
	case a.file && (file == nil || directory == nil):
		return found{}, syscall.ENOENT
	case !a.file && directory != nil:
		return found{*directory, a.segment}, nil
	case file == nil:
		return found{}, syscall.ENOENT
	default:
		return found{*file, a.segment}, nil
	}
}

func (f *filesystem) findBucket(name string) (found, error) {
	if object.ValidateBucketName(name) != nil {
		return found{}, syscall.ENOENT
	}
	node, err := f.store.Stat(f.base, name, "")
	return found{node, name}, err
}

// findLong looks for the segment that a long alias stands for, among those that begin alike.
func (f *filesystem) findLong(dir place, name string, a alias) (string, error) {
	after := object.ListPosition{Key: dir.key + a.prefix} // which is shorter than the segment
	for {
		page, err := f.store.ReadDir(f.base, dir.bucket, dir.key, after, object.MaxListKeys)
		if err != nil {
			return "", err
		}
		for i := range page.Nodes {
			segment := segmentIn(dir, &page.Nodes[i])
			switch {
			case !strings.HasPrefix(segment, a.prefix):
				return "", syscall.ENOENT
			case nameOf(segment, a.file) == name:
				return segment, nil
			}
		}
		if !page.More {
			return "", syscall.ENOENT
		}
		after = page.Next
	}
}

// segmentIn is the last segment of a node's key.
func segmentIn(dir place, n *object.Node) string {
	segment := n.Info.Key[len(dir.key):]
	if n.Directory {
		return strings.TrimSuffix(segment, "/")
	}
	return segment
}

// Lookup implements the walk of a path.
func (f *filesystem) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	var absent time.Duration // how long the kernel may believe that there is nothing
	err := f.in(in.NodeId, func(dir *node, p place) error {
		before := f.changes.count(p)
		what, err := f.find(p, name)
		if err != nil {
			absent = f.validity(p, before)
			return err
		}
		f.tell(dir, name, what, f.validity(p, before), out)
		return nil
	})
	status := f.status(err)
	// In the root, what the kernel believes to be absent could not be taken back when notifications were lost.
	if status == fuse.ENOENT && absent > 0 && in.NodeId != fuse.FUSE_ROOT_ID {
		out.NodeId = 0
		out.SetEntryTimeout(absent)
		return fuse.OK
	}
	return status
}

// Forget implements the end of the kernel's interest in a node.
func (f *filesystem) Forget(id, lookups uint64) {
	for _, file := range f.tree.forget(id, lookups) {
		if err := file.Close(); err != nil {
			f.log.Error("a file without a name was closed with an error", "error", err)
		}
	}
}

// tell answers with an entry of a directory, which is a lookup that the kernel will forget.
func (f *filesystem) tell(dir *node, name string, what found, valid time.Duration, out *fuse.EntryOut) *node {
	n := f.tree.adopt(dir, name, what.segment, what.node.Inode, kindOf(&what.node))
	out.NodeId = n.id
	out.Attr = f.attributes(&what.node)
	out.SetEntryTimeout(valid)
	out.SetAttrTimeout(valid)
	f.tree.told(n, out.Mode, out.Gid)
	f.tree.sawLinks(n, what.node.Links)
	return n
}
