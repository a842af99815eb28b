//go:build unix

package disk

import (
	"errors"
	"os"
	"syscall"
)

// DirLock holds a directory of the operating system against other processes.
type DirLock struct{ dir *os.File }

// LockDir locks a directory, or fails at once with ErrLocked.
func LockDir(path string) (*DirLock, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &DirLock{dir}, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, dir.Close())
}

// Unlock gives the directory free. It may be called more than once, and on nil.
func (l *DirLock) Unlock() error {
	if l == nil || l.dir == nil {
		return nil
	}
	dir := l.dir
	l.dir = nil
	return dir.Close()
}
