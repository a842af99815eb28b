//go:build !unix

package home

// dirLock holds nothing here: the metastore's own lock keeps a second process
// out of the data.
type dirLock struct{}

func lockDir(string) (*dirLock, error) { return &dirLock{}, nil }

func waitLockDir(string) (*dirLock, error) { return &dirLock{}, nil }

func (l *dirLock) unlock() error { return nil }
