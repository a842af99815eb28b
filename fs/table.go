package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"coffer/object"
)

// Table is the mounts of one store. Its methods are safe for concurrent use.
type Table struct {
	store *object.Store
	log   *slog.Logger

	mu     sync.Mutex
	mounts map[string]*Mount // by directory
	closed bool
	ended  sync.WaitGroup
}

// NewTable makes a table without mounts. The caller closes it before the store.
func NewTable(store *object.Store, log *slog.Logger) *Table {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Table{store: store, log: log, mounts: make(map[string]*Mount)}
}

// errClosed says that nothing is mounted any more.
var errClosed = errors.New("the server is stopping")

// ErrNotMounted says that the table has no mount on a directory.
var ErrNotMounted = errors.New("nothing of this store is mounted there")

// Add mounts.
func (t *Table) Add(ctx context.Context, target Target, set Settings) (*Mount, error) {
	dir, err := filepath.Abs(target.Dir)
	if err != nil {
		return nil, err
	}
	target.Dir = dir
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosed
	}
	if t.mounts[dir] != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, ErrMounted)
	}
	m, err := New(ctx, Options{Store: t.store, Target: target, Settings: set, Logger: t.log})
	if err != nil {
		return nil, err
	}
	t.mounts[dir] = m
	t.log.Info("mounted", "dir", dir, "bucket", target.Bucket, "prefix", target.Prefix, "read_only", set.ReadOnly)
	t.ended.Go(func() { t.wait(dir, m) })
	return m, nil
}

// wait forgets a mount when it is gone.
func (t *Table) wait(dir string, m *Mount) {
	err := m.Wait()
	t.mu.Lock()
	if t.mounts[dir] == m {
		delete(t.mounts, dir)
	}
	t.mu.Unlock()
	if err != nil {
		t.log.Error("a mount ended with an error", "dir", dir, "error", err)
		return
	}
	t.log.Info("unmounted", "dir", dir)
}

// Remove unmounts. A mount in use is refused with ErrBusy, unless it is detached.
func (t *Table) Remove(ctx context.Context, dir string, detach bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	t.mu.Lock()
	m := t.mounts[dir]
	t.mu.Unlock()
	if m == nil {
		return fmt.Errorf("unmount %s: %w", dir, ErrNotMounted)
	}
	return m.Unmount(ctx, detach)
}

// List returns what is mounted, by directory.
func (t *Table) List() []Target {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Target, 0, len(t.mounts))
	for _, m := range t.mounts {
		list = append(list, m.Target())
	}
	slices.SortFunc(list, func(a, b Target) int { return strings.Compare(a.Dir, b.Dir) })
	return list
}

// Load tells how many mounts there are, how many files and directories the kernel knows of them, and how many are open.
func (t *Table) Load() (mounts, nodes, handles int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.mounts {
		nodes += m.fs.tree.size()
		handles += m.fs.handles.size()
	}
	return len(t.mounts), nodes, handles
}

// closeTimeout is how long Close waits for those who use a mount that was cut off.
const closeTimeout = 2 * time.Second

// Close unmounts everything; those who use a mount are cut off. Closing again does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	t.closed = true
	var mounts []*Mount
	for _, m := range t.mounts {
		mounts = append(mounts, m)
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, m := range mounts {
		errs = append(errs, m.Unmount(ctx, true))
	}
	if ctx.Err() == nil {
		t.ended.Wait()
	}
	return errors.Join(errs...)
}
