package disktest

import (
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"coffer/internal/disk"
)

// DefaultCapacity is the room of a Crash that states none, in bytes.
const DefaultCapacity = 1 << 40

// Options of NewCrash.
type Options struct {
	Capacity int64 // bytes of visible files; a Write beyond is ENOSPC. DefaultCapacity if 0
}

// Crash is a file system in memory that tells what is visible from what is
// durable, by the letter of package disk: bytes are durable after File.Sync,
// entries of a directory after SyncDir of it, and neither brings the other.
type Crash struct {
	mu       sync.Mutex // guards everything below, and all files and directories
	root     *directory
	capacity int64
	used     int64
	handles  int
}

var _ disk.Volume = (*Crash)(nil)

// NewCrash makes an empty file system.
func NewCrash(o Options) *Crash {
	if o.Capacity == 0 {
		o.Capacity = DefaultCapacity
	}
	return &Crash{root: newDirectory(), capacity: o.Capacity}
}

// file is what a name of a file stands for. data only grows.
type file struct {
	data    []byte
	synced  int // bytes of data that are durable
	modTime time.Time
	gone    bool // no name leads to it any more
}

// directory keeps its entries as they are seen and as they would be found.
type directory struct {
	entries map[string]any // *file or *directory
	durable map[string]any
	pending []change // what makes entries of durable, in order
}

// change is one call that changed a directory. A rename inside one directory is
// one change.
type change struct {
	removed string // name, or empty
	added   string // name, or empty
	node    any    // what was added
}

func newDirectory() *directory {
	return &directory{entries: make(map[string]any), durable: make(map[string]any)}
}

func (c change) apply(entries map[string]any) {
	if c.removed != "" {
		delete(entries, c.removed)
	}
	if c.added != "" {
		entries[c.added] = c.node
	}
}

func (d *directory) do(c change) {
	c.apply(d.entries)
	d.pending = append(d.pending, c)
}

// OpenFiles tells how many files are open, to find those that were forgotten.
func (c *Crash) OpenFiles() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handles
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// lookup finds what a name stands for.
func (c *Crash) lookup(op, name string) (any, error) {
	clean := path.Clean(name)
	if !fs.ValidPath(clean) {
		return nil, pathError(op, name, fs.ErrInvalid)
	}
	var node any = c.root
	if clean == "." {
		return node, nil
	}
	for elem := range strings.SplitSeq(clean, "/") {
		d, ok := node.(*directory)
		if !ok {
			return nil, pathError(op, name, syscall.ENOTDIR)
		}
		if node, ok = d.entries[elem]; !ok {
			return nil, pathError(op, name, syscall.ENOENT)
		}
	}
	return node, nil
}

// directory finds the directory of a name.
func (c *Crash) directory(op, name string) (*directory, error) {
	node, err := c.lookup(op, name)
	if err != nil {
		return nil, err
	}
	d, ok := node.(*directory)
	if !ok {
		return nil, pathError(op, name, syscall.ENOTDIR)
	}
	return d, nil
}

// parent finds the directory that a name is or would be in, and its base name.
func (c *Crash) parent(op, name string) (*directory, string, error) {
	dir, base := path.Split(path.Clean(name))
	if base == "." || base == ".." || strings.HasPrefix(dir, "/") {
		return nil, "", pathError(op, name, fs.ErrInvalid)
	}
	d, err := c.directory(op, path.Clean(dir))
	return d, base, err
}

// Create implements disk.FS.
func (c *Crash) Create(name string) (disk.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, base, err := c.parent("create", name)
	if err != nil {
		return nil, err
	}
	if _, exists := d.entries[base]; exists {
		return nil, pathError("create", name, syscall.EEXIST)
	}
	f := &file{modTime: time.Now()}
	d.do(change{added: base, node: f})
	c.handles++
	return &handle{fs: c, file: f, name: name, writable: true}, nil
}

// Open implements disk.FS.
func (c *Crash) Open(name string) (disk.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	node, err := c.lookup("open", name)
	if err != nil {
		return nil, err
	}
	f, ok := node.(*file)
	if !ok {
		return nil, pathError("open", name, syscall.EISDIR)
	}
	c.handles++
	return &handle{fs: c, file: f, name: name}, nil
}

// Remove implements disk.FS.
func (c *Crash) Remove(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, base, err := c.parent("remove", name)
	if err != nil {
		return err
	}
	node, ok := d.entries[base]
	if !ok {
		return pathError("remove", name, syscall.ENOENT)
	}
	if sub, ok := node.(*directory); ok && len(sub.entries) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	c.forget(node)
	d.do(change{removed: base})
	return nil
}

// forget gives back the room of what lost its name.
func (c *Crash) forget(node any) {
	if f, ok := node.(*file); ok {
		f.gone = true
		c.used -= int64(len(f.data))
	}
}

// Rename implements disk.FS. Between two directories it is two changes, each
// durable with its own directory.
func (c *Crash) Rename(oldname, newname string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, oldbase, err := c.parent("rename", oldname)
	if err != nil {
		return err
	}
	to, newbase, err := c.parent("rename", newname)
	if err != nil {
		return err
	}
	node, ok := from.entries[oldbase]
	if !ok {
		return pathError("rename", oldname, syscall.ENOENT)
	}
	if _, isFile := node.(*file); !isFile {
		return pathError("rename", oldname, syscall.EISDIR)
	}
	replaced := to.entries[newbase]
	switch replaced.(type) {
	case *directory:
		return pathError("rename", newname, syscall.EISDIR)
	case *file:
		if replaced == node {
			return nil
		}
		c.forget(replaced)
	}
	if from == to {
		from.do(change{removed: oldbase, added: newbase, node: node})
		return nil
	}
	to.do(change{added: newbase, node: node})
	from.do(change{removed: oldbase})
	return nil
}

// ReadDir implements disk.FS. The order changes from call to call.
func (c *Crash) ReadDir(name string) iter.Seq2[disk.Entry, error] {
	return func(yield func(disk.Entry, error) bool) {
		entries, err := c.entries(name)
		if err != nil {
			yield(disk.Entry{}, err)
			return
		}
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (c *Crash) entries(name string) ([]disk.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := c.directory("readdir", name)
	if err != nil {
		return nil, err
	}
	list := make([]disk.Entry, 0, len(d.entries))
	for base, node := range d.entries {
		e := disk.Entry{Name: base, Dir: true}
		if f, ok := node.(*file); ok {
			e = disk.Entry{Name: base, Size: int64(len(f.data)), ModTime: f.modTime}
		}
		list = append(list, e)
	}
	return list, nil
}

// SyncDir implements disk.FS.
func (c *Crash) SyncDir(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := c.directory("syncdir", name)
	if err != nil {
		return err
	}
	d.durable = maps.Clone(d.entries)
	d.pending = nil
	return nil
}

// MkdirAll implements disk.Volume.
func (c *Crash) MkdirAll(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clean := path.Clean(name)
	if !fs.ValidPath(clean) {
		return pathError("mkdir", name, fs.ErrInvalid)
	}
	d := c.root
	for elem := range strings.SplitSeq(clean, "/") {
		if elem == "." {
			continue
		}
		node, ok := d.entries[elem]
		if !ok {
			node = newDirectory()
			d.do(change{added: elem, node: node})
		}
		sub, ok := node.(*directory)
		if !ok {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		d = sub
	}
	return nil
}

// Space implements disk.Volume.
func (c *Crash) Space() (disk.Space, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return disk.Space{Free: uint64(max(c.capacity-c.used, 0)), Total: uint64(c.capacity)}, nil
}

// names gives the entries of a directory in a fixed order.
func names(entries map[string]any) []string {
	return slices.Sorted(maps.Keys(entries))
}
