//go:build !unix

package disk

// DirLock holds nothing here.
type DirLock struct{}

// LockDir locks nothing here.
func LockDir(string) (*DirLock, error) { return &DirLock{}, nil }

// Unlock does nothing.
func (l *DirLock) Unlock() error { return nil }
