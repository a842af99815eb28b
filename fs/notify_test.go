package fs

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
	"coffer/object/objecttest"
)

// told is a kernel that takes down what it is told.
type told struct {
	mu      sync.Mutex
	entries []string
	inodes  []uint64
	pruned  []uint64
	prune   fuse.Status
}

func (k *told) EntryNotify(parent uint64, name string) fuse.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries = append(k.entries, fmt.Sprintf("%d:%s", parent, name))
	return fuse.OK
}

func (k *told) InodeNotify(node uint64, off, length int64) fuse.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inodes = append(k.inodes, node)
	return fuse.OK
}

func (k *told) PruneNotify(nodes []uint64) fuse.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pruned = append(k.pruned, nodes...)
	return k.prune
}

// testFilesystem is a file system that nobody mounts, over a store with one bucket.
func testFilesystem(t *testing.T, base place) *filesystem {
	t.Helper()
	store := objecttest.New().Open(t, nil)
	if _, err := store.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	o := Options{Store: store, Settings: DefaultSettings(), Logger: slog.New(slog.DiscardHandler)}
	return newFilesystem(t.Context(), o, base, object.Node{Inode: 1 << 63})
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  object.Change
		entries []string // “@” is the parent's id, by the segment of the directory
		inodes  []string
	}{
		{"a file that is known", object.Change{Kind: object.Written, Bucket: "bucket", Key: "d/f"},
			[]string{"d:f", "d:@s3.file.f"}, []string{"f"}},
		{"a file in a directory that is known", object.Change{Kind: object.Written, Bucket: "bucket", Key: "d/new"},
			[]string{"d:new", "d:@s3.file.new"}, nil},
		{"a file far below brings its directory", object.Change{Kind: object.Written, Bucket: "bucket", Key: "new/x/y"},
			[]string{"/:new", "/:@s3.file.new"}, nil},
		{"a directory appears beside a file", object.Change{Kind: object.Written, Bucket: "bucket", Key: "d/f/x"},
			[]string{"d:f", "d:@s3.file.f"}, []string{"f"}},
		{"a marker", object.Change{Kind: object.Written, Bucket: "bucket", Key: "d/"},
			[]string{"/:d", "/:@s3.file.d"}, []string{"d"}},
		{"the last file takes its directory along", object.Change{Kind: object.Removed, Bucket: "bucket", Key: "d/f"},
			[]string{"d:f", "d:@s3.file.f", "/:d"}, []string{"f"}},
		{"a rename is both", object.Change{Kind: object.Renamed, Bucket: "bucket", From: "d/f", Key: "g"},
			[]string{"d:f", "d:@s3.file.f", "/:d", "/:g", "/:@s3.file.g"}, []string{"f"}},
		{"another bucket", object.Change{Kind: object.Written, Bucket: "other", Key: "d/f"}, nil, nil},
		{"lost changes", object.Change{Kind: object.Overflow}, []string{"/:d", "d:f"}, []string{"/", "d", "f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := testFilesystem(t, place{bucket: "bucket"})
			dir := f.tree.adopt(f.tree.root, "d", "d", 2, fuse.S_IFDIR)
			file := f.tree.adopt(dir, "f", "f", 3, fuse.S_IFREG)
			ids := map[string]uint64{"/": fuse.FUSE_ROOT_ID, "d": dir.id, "f": file.id}
			k := &told{}
			before := f.changes.count(place{"bucket", "d/"})
			newNotifier(f, k, t.Context()).take(c.change)
			var entries []string
			for _, e := range c.entries {
				entries = append(entries, fmt.Sprintf("%d%s", ids[e[:1]], e[1:]))
			}
			var inodes []uint64
			for _, name := range c.inodes {
				inodes = append(inodes, ids[name])
			}
			if c.change.Kind == object.Overflow { // in no order
				for _, list := range [][]uint64{inodes, k.inodes} {
					slices.Sort(list)
				}
				slices.Sort(entries)
				slices.Sort(k.entries)
			}
			if diff := cmp.Diff(entries, k.entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(inodes, k.inodes); diff != "" {
				t.Errorf("inodes (-want +got):\n%s", diff)
			}
			inDir := c.change.Bucket != "other" && (len(c.change.Key) > 2 && c.change.Key[:2] == "d/" || c.change.From != "" ||
				c.change.Kind == object.Overflow || c.change.Key == "d/")
			if moved := f.changes.count(place{"bucket", "d/"}) != before; moved != inDir {
				t.Errorf("the counter of d moved: %v, want %v", moved, inDir)
			}
		})
	}
}

// TestNotificationsAreRepeated changes the store, and waits for what the kernel is told.
func TestNotificationsAreRepeated(t *testing.T) {
	t.Parallel()
	f := testFilesystem(t, place{bucket: "bucket"})
	k := &told{}
	n := newNotifier(f, k, t.Context())
	w := f.store.Watch(object.WatchOptions{})
	var tasks sync.WaitGroup
	tasks.Go(func() { n.watch(w) })
	tasks.Go(n.repeat)
	if _, err := f.store.Put(t.Context(), object.PutRequest{Bucket: "bucket", Key: "k", Size: -1, Body: nothing{}}); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	first := len(k.entries)
	k.mu.Unlock()
	if first != 2 {
		t.Fatalf("the write was answered after %d notifications, want 2", first)
	}
	for {
		k.mu.Lock()
		again := len(k.entries)
		k.mu.Unlock()
		if again == 4 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.Close()
}

// nothing is an empty body.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

func TestValidity(t *testing.T) {
	t.Parallel()
	f := testFilesystem(t, place{bucket: "bucket"})
	dir := place{"bucket", "d/"}
	before := f.changes.count(dir)
	if got := f.validity(dir, before); got != f.set.EntryTimeout {
		t.Errorf("validity = %v where nothing changed", got)
	}
	f.countPath("bucket", "d/e/f")
	if got := f.validity(dir, before); got != 0 {
		t.Errorf("validity = %v after a change below", got)
	}
	before = f.changes.count(dir)
	f.changes.movedAll()
	if got := f.validity(dir, before); got != 0 {
		t.Errorf("validity = %v after changes were lost", got)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		status  fuse.Status
		entries int
	}{
		{"by nodes", fuse.OK, 0},
		{"by entries, where the kernel is older", fuse.ENOSYS, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := testFilesystem(t, place{bucket: "bucket"})
			for i := range 3 {
				f.tree.adopt(f.tree.root, fmt.Sprint(i), fmt.Sprint(i), uint64(10+i), fuse.S_IFREG)
			}
			k := &told{prune: c.status}
			f.prune(k, f.tree.idle(10))
			if len(k.pruned) != 3 || len(k.entries) != c.entries {
				t.Errorf("pruned %v, entries %v", k.pruned, k.entries)
			}
		})
	}
}
