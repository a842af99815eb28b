//go:build unix

package home

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// A configuration directory is locked for moments only, so it is worth waiting.
const (
	lockTries = 100
	lockPause = 50 * time.Millisecond
)

// dirLock holds a directory against other processes.
type dirLock struct{ dir *os.File }

// lockDir locks a directory or fails at once with an *InUseError.
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
		err = &InUseError{Dir: path}
	} else {
		err = &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return nil, errors.Join(err, dir.Close())
}

// waitLockDir locks a directory as soon as it is free, or fails with an
// *InUseError after a few seconds.
func waitLockDir(path string) (*dirLock, error) {
	for try := 1; ; try++ {
		l, err := lockDir(path)
		var inUse *InUseError
		if err == nil || !errors.As(err, &inUse) || try == lockTries {
			return l, err
		}
		time.Sleep(lockPause)
	}
}

// unlock gives the directory free. It may be called more than once.
func (l *dirLock) unlock() error {
	if l == nil || l.dir == nil {
		return nil
	}
	dir := l.dir
	l.dir = nil
	return dir.Close()
}
