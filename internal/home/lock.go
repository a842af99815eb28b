package home

import (
	"errors"
	"time"

	"coffer/internal/disk"
)

// A configuration directory is locked for moments only, so it is worth waiting.
const (
	lockTries = 100
	lockPause = 50 * time.Millisecond
)

// lockDir locks a directory or fails at once with an *InUseError.
func lockDir(path string) (*disk.DirLock, error) {
	l, err := disk.LockDir(path)
	if errors.Is(err, disk.ErrLocked) {
		err = &InUseError{Dir: path}
	}
	return l, err
}

// waitLockDir locks a directory as soon as it is free, or fails with an
// *InUseError after a few seconds.
func waitLockDir(path string) (*disk.DirLock, error) {
	for try := 1; ; try++ {
		l, err := lockDir(path)
		var inUse *InUseError
		if err == nil || !errors.As(err, &inUse) || try == lockTries {
			return l, err
		}
		time.Sleep(lockPause)
	}
}
