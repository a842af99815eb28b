package disk

import (
	"errors"
	"io"
	"iter"
	"syscall"
	"time"
)

// Permissions of everything that is made through the seam, whatever the umask
// would allow.
const (
	FileMode = 0o600
	DirMode  = 0o700
)

// FS is a file system. Names are slash-separated and relative to the root that
// the implementation was made with; "." is that root. Errors satisfy errors.Is
// for fs.ErrExist, fs.ErrNotExist and fs.ErrInvalid (a name that leaves the
// root), and carry the system's error number where there is one.
type FS interface {
	// Create makes a file that must not exist and opens it for writing and
	// reading. Its mode is FileMode.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Rename moves a file and replaces what has the new name, in one step.
	Rename(oldname, newname string) error
	// ReadDir yields the entries of a directory in no particular order and
	// without holding all of them in memory. Entries that come or go meanwhile
	// may be seen or not. It ends after the first error.
	ReadDir(name string) iter.Seq2[Entry, error]
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
}

// Volume is an FS that can also make directories and tell its room. The file
// systems of this package and of disktest are Volumes.
type Volume interface {
	FS
	// MkdirAll makes a directory and its missing parents with DirMode; one
	// that exists is no error. Below the root the new entries become durable
	// as all entries do, by SyncDir; a root that was missing is durable on
	// return.
	MkdirAll(name string) error
	// Space tells how much room is left.
	Space() (Space, error)
}

// File is an open file. Write appends; nothing that was written changes
// afterwards.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	// Sync makes the bytes written so far durable, not the file's entry.
	Sync() error
	// Size gives the length in bytes.
	Size() (int64, error)
}

// Entry is what ReadDir tells of a file or directory.
type Entry struct {
	Name    string // base name
	Dir     bool
	Size    int64 // bytes; of a directory unspecified
	ModTime time.Time
}

// Space is the room on the medium in bytes.
type Space struct {
	Free  uint64 // available to this process, reserves of the administrator excluded
	Total uint64
}

// Writeback is implemented by Files that can begin to write bytes to the
// medium without waiting for it. It promises nothing about durability; it
// leaves less to do for Sync.
type Writeback interface {
	StartWriteback(off, n int64) error
}

// StartWriteback begins to write n bytes from off to the medium where f can do
// so, and does nothing where it cannot.
func StartWriteback(f File, off, n int64) error {
	if w, ok := f.(Writeback); ok {
		return w.StartWriteback(off, n)
	}
	return nil
}

// IsNoSpace reports whether err says that the medium, or this user's quota on
// it, is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
