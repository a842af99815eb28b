package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// readDirBatch bounds the directory entries that ReadDir holds in memory.
const readDirBatch = 256

// OS is the Volume of the operating system, below a directory.
type OS struct{ root string }

var _ Volume = (*OS)(nil)

// NewOS returns the file system below root. Nothing is made or checked until
// it is used; MkdirAll(".") makes the root itself.
func NewOS(root string) *OS { return &OS{root: root} }

// Root returns the directory given to NewOS.
func (o *OS) Root() string { return o.root }

// path turns a name into a path below the root.
func (o *OS) path(op, name string) (string, error) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return filepath.Join(o.root, local), nil
}

// Create implements FS.
func (o *OS) Create(name string) (File, error) {
	return o.open("create", name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements FS.
func (o *OS) Open(name string) (File, error) {
	return o.open("open", name, os.O_RDONLY)
}

func (o *OS) open(op, name string, flag int) (File, error) {
	path, err := o.path(op, name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, FileMode)
	if err != nil {
		return nil, err
	}
	return &osFile{f}, nil
}

// Remove implements FS.
func (o *OS) Remove(name string) error {
	path, err := o.path("remove", name)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// Rename implements FS.
func (o *OS) Rename(oldname, newname string) error {
	from, err := o.path("rename", oldname)
	if err != nil {
		return err
	}
	to, err := o.path("rename", newname)
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}

// SyncDir implements FS.
func (o *OS) SyncDir(name string) error {
	path, err := o.path("syncdir", name)
	if err != nil {
		return err
	}
	return syncDir(path)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadDir implements FS.
func (o *OS) ReadDir(name string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		path, err := o.path("readdir", name)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		d, err := os.Open(path)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer d.Close()
		for {
			batch, err := d.ReadDir(readDirBatch)
			if !yieldEntries(batch, yield) || errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
		}
	}
}

// yieldEntries hands a batch on and reports whether the reader wants more. An
// entry that has gone since it was read is left out.
func yieldEntries(batch []fs.DirEntry, yield func(Entry, error) bool) bool {
	for _, de := range batch {
		info, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			yield(Entry{}, err)
			return false
		}
		e := Entry{Name: de.Name(), Dir: de.IsDir(), Size: info.Size(), ModTime: info.ModTime()}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// MkdirAll implements Volume.
func (o *OS) MkdirAll(name string) error {
	path, err := o.path("mkdir", name)
	if err != nil {
		return err
	}
	if err := makeRoot(o.root); err != nil {
		return err
	}
	return os.MkdirAll(path, DirMode)
}

// makeRoot makes a missing root and its missing parents, each one durable in
// its own parent, because no name below the root can reach them.
func makeRoot(root string) error {
	abs, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("make root %s: %w", root, err)
	}
	switch info, err := os.Stat(abs); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make root %s: %w: not a directory", abs, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(abs)
	if err := makeRoot(parent); err != nil {
		return err
	}
	if err := os.Mkdir(abs, DirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// Space implements Volume.
func (o *OS) Space() (Space, error) { return space(o.root) }

// osFile adds the seam's own words to an operating system's file.
type osFile struct{ *os.File }

// Size implements File.
func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
