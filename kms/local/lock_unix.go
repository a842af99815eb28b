//go:build unix

package local

import (
	"errors"
	"os"
	"syscall"
)

// dirLock holds a directory against other keyrings.
type dirLock struct{ dir *os.File }

// lockDir locks a directory or fails at once with ErrInUse.
func lockDir(path string) (*dirLock, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &dirLock{dir}, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, dir.Close())
}

// unlock gives the directory free. It may be called more than once.
func (l *dirLock) unlock() error {
	if l.dir == nil {
		return nil
	}
	dir := l.dir
	l.dir = nil
	return dir.Close()
}
