package fs

import (
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// dirPage is how many nodes are asked for at a time.
const dirPage = object.MaxListKeys

// dirKeep is how many entries of a directory a handle keeps, for a reader that goes back by that much. One that goes
// back further has the directory read from the beginning.
const dirKeep = 4 * dirPage

// dirEntry is one name in a directory.
type dirEntry struct {
	name string
	found
}

// dirStream is a directory that somebody reads. An entry's offset is its number from the beginning, after “.” and “..”.
type dirStream struct {
	mu      sync.Mutex
	first   int        // number of the first entry kept
	entries []dirEntry // a window of the directory
	held    []dirEntry // files whose directory may still come
	after   object.ListPosition
	ended   bool
	count   uint64 // of the directory's counter, before what is kept was read
}

// rewind begins again.
func (s *dirStream) rewind() {
	s.first, s.entries, s.held, s.after, s.ended = 0, nil, nil, object.ListPosition{}, false
}

// entry returns the entry of a number, false behind the last.
func (s *dirStream) entry(number int, more func() error) (dirEntry, bool, error) {
	if number < s.first {
		s.rewind()
	}
	for number >= s.first+len(s.entries) {
		if s.ended {
			return dirEntry{}, false, nil
		}
		if drop := len(s.entries) - dirKeep; drop > 0 {
			s.entries = append(s.entries[:0:0], s.entries[drop:]...)
			s.first += drop
		}
		if err := more(); err != nil {
			return dirEntry{}, false, err
		}
	}
	return s.entries[number-s.first], true, nil
}

// add takes the next node of the directory, in the order of keys. A file is held back until it is known whether there
// is a directory of the same segment: between “a” and “a/” only keys come that begin with “a” and go on with a byte
// before the slash.
func (s *dirStream) add(dir place, n *object.Node) {
	segment := segmentIn(dir, n)
	s.releaseBefore(segment, n.Directory)
	one := dirEntry{found: found{*n, segment}}
	if n.Directory {
		one.name = nameOf(segment, false)
		s.entries = append(s.entries, one)
		return
	}
	s.held = append(s.held, one)
}

// releaseBefore gives their names to the files whose directory cannot come any more when segment is next.
func (s *dirStream) releaseBefore(segment string, isDir bool) {
	for len(s.held) > 0 {
		last := &s.held[len(s.held)-1]
		rest, below := strings.CutPrefix(segment, last.segment)
		beside := below && rest == "" && isDir
		if below && !beside && rest != "" && rest[0] < '/' {
			return
		}
		last.name = nameOf(last.segment, beside)
		s.entries = append(s.entries, *last)
		s.held = s.held[:len(s.held)-1]
	}
}

// end gives their names to the files that are held.
func (s *dirStream) end() {
	for i := len(s.held) - 1; i >= 0; i-- {
		s.held[i].name = nameOf(s.held[i].segment, false)
		s.entries = append(s.entries, s.held[i])
	}
	s.held, s.ended = nil, true
}

// fill reads the next page.
func (f *filesystem) fill(n *node, s *dirStream) error {
	return f.at(n, func(p place) error {
		if s.after == (object.ListPosition{}) {
			s.count = f.changes.count(p)
		}
		if p.bucket == "" {
			return f.fillBuckets(s)
		}
		page, err := f.store.ReadDir(f.base, p.bucket, p.key, s.after, dirPage)
		if err != nil {
			return err
		}
		for i := range page.Nodes {
			s.add(p, &page.Nodes[i])
		}
		s.after = page.Next
		if !page.More {
			s.end()
		}
		return nil
	})
}

func (f *filesystem) fillBuckets(s *dirStream) error {
	buckets, err := f.store.ListBuckets(f.base)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		node, err := f.store.Stat(f.base, b.Name, "")
		if missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		s.entries = append(s.entries, dirEntry{b.Name, found{node, b.Name}})
	}
	s.ended = true
	return nil
}

// OpenDir implements opendir(3).
func (f *filesystem) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(errStale)
	}
	out.Fh = f.handles.add(&handle{node: n, dir: new(dirStream)})
	return fuse.OK
}

// ReleaseDir implements closedir(3).
func (f *filesystem) ReleaseDir(in *fuse.ReleaseIn) { f.handles.remove(in.Fh) }

// FsyncDir implements fsync(2) of a directory, in which nothing waits.
func (f *filesystem) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status { return fuse.OK }

// ReadDir implements readdir(3).
func (f *filesystem) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.readDir(in, func(e fuse.DirEntry, _ *handle, _ *dirEntry) bool { return out.AddDirEntry(e) })
}

// ReadDirPlus implements readdir(3) that tells attributes along with the names, each of which is a lookup.
func (f *filesystem) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.readDir(in, func(e fuse.DirEntry, h *handle, what *dirEntry) bool {
		entry := out.AddDirLookupEntry(e)
		if entry == nil {
			return false
		}
		if what != nil {
			f.tell(h.node, what.name, what.found, f.validityOf(h), entry)
		}
		return true
	})
}

// validityOf is how long the kernel may keep what a stream has read.
func (f *filesystem) validityOf(h *handle) time.Duration {
	p, ok := f.tree.place(h.node)
	if !ok {
		return 0
	}
	return f.validity(p, h.dir.count)
}

// dots are the entries that every directory has.
const dots = 2

func (f *filesystem) readDir(in *fuse.ReadIn, add func(fuse.DirEntry, *handle, *dirEntry) bool) fuse.Status {
	h := f.handles.get(in.Fh)
	if h == nil || h.dir == nil {
		return fuse.EBADF
	}
	s := h.dir
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Offset == 0 {
		s.rewind()
	}
	for offset := in.Offset; ; offset++ {
		e := fuse.DirEntry{Mode: syscall.S_IFDIR, Ino: h.node.inode, Off: offset + 1}
		var what *dirEntry
		switch offset {
		case 0:
			e.Name = "."
		case 1:
			e.Name, e.Ino = "..", f.parentInode(h.node)
		default:
			one, ok, err := s.entry(int(offset-dots), func() error { return f.fill(h.node, s) })
			if err != nil && offset == in.Offset {
				return f.status(err)
			}
			if err != nil || !ok {
				return fuse.OK
			}
			what = &one
			e.Name, e.Mode, e.Ino = one.name, kindOf(&one.node), one.node.Inode
		}
		if !add(e, h, what) {
			return fuse.OK
		}
	}
}

// parentInode is what “..” says.
func (f *filesystem) parentInode(n *node) uint64 {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	if len(n.links) == 0 {
		return n.inode
	}
	return n.links[0].parent.inode
}
