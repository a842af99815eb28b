package fs

import (
	"fmt"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"pgregory.net/rapid"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	all := newTree(place{}, 1)
	bucket := all.adopt(all.root, "b", "b", 10, fuse.S_IFDIR)
	dir := all.adopt(bucket, "d", "d", 11, fuse.S_IFDIR)
	file := all.adopt(dir, "@s3.file.f", "f", 12, fuse.S_IFREG)
	empty := all.adopt(dir, "@s3.empty", "", 13, fuse.S_IFDIR)
	one := newTree(place{"b", "x/y/"}, 20)
	below := one.adopt(one.root, "f", "f", 21, fuse.S_IFREG)
	for _, c := range []struct {
		name string
		tree *tree
		node *node
		want place
	}{
		{"all buckets", all, all.root, place{}},
		{"a bucket", all, bucket, place{"b", ""}},
		{"a directory", all, dir, place{"b", "d/"}},
		{"a file under an alias", all, file, place{"b", "d/f"}},
		{"an empty segment", all, empty, place{"b", "d//"}},
		{"the root of a prefix", one, one.root, place{"b", "x/y/"}},
		{"a file below a prefix", one, below, place{"b", "x/y/f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := c.tree.place(c.node); !ok || got != c.want {
				t.Errorf("place = %v, %v, want %v", got, ok, c.want)
			}
		})
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	tr := newTree(place{bucket: "b"}, 1)
	dir := tr.adopt(tr.root, "d", "d", 2, fuse.S_IFDIR)
	file := tr.adopt(dir, "f", "f", 3, fuse.S_IFREG)
	if again := tr.adopt(dir, "f", "f", 3, fuse.S_IFREG); again != file {
		t.Fatal("one inode has two nodes")
	}
	tr.forget(file.id, 1)
	if tr.get(file.id) != file {
		t.Fatal("forgotten with a lookup left")
	}
	tr.forget(file.id, 1)
	if tr.get(file.id) != nil || tr.child(dir, "f") != nil {
		t.Fatal("not forgotten")
	}
	if next := tr.adopt(dir, "f", "f", 3, fuse.S_IFREG); next.id == file.id {
		t.Fatal("the id was given again")
	}
	tr.forget(dir.id, 1)
	tr.forget(fuse.FUSE_ROOT_ID, 100)
	if tr.get(fuse.FUSE_ROOT_ID) == nil {
		t.Fatal("the root was forgotten")
	}
}

func TestMoved(t *testing.T) {
	t.Parallel()
	tr := newTree(place{bucket: "b"}, 1)
	a := tr.adopt(tr.root, "a", "a", 2, fuse.S_IFDIR)
	b := tr.adopt(tr.root, "b", "b", 3, fuse.S_IFDIR)
	f := tr.adopt(a, "f", "f", 4, fuse.S_IFREG)
	over := tr.adopt(b, "g", "g", 5, fuse.S_IFREG)
	tr.moved(a, "f", b, "g", "g", false)
	want(t, tr, f, "b/g")
	if _, ok := tr.place(over); ok {
		t.Error("what was replaced still has a name")
	}
	tr.moved(tr.root, "b", a, "c", "c", false)
	want(t, tr, f, "a/c/g")
	h := tr.adopt(a, "h", "h", 6, fuse.S_IFREG)
	tr.moved(a, "h", b, "g", "g", true)
	want(t, tr, f, "a/h")
	want(t, tr, h, "a/c/g")
	linked := tr.adopt(a, "f2", "f2", 4, fuse.S_IFREG)
	want(t, tr, linked, "a/f2")
	tr.removed(a, "f2")
	want(t, tr, f, "a/h")
	tr.removed(a, "h")
	if _, ok := tr.place(f); ok {
		t.Error("a file without names has a place")
	}
}

func want(t *testing.T, tr *tree, n *node, key string) {
	t.Helper()
	if got, ok := tr.place(n); !ok || got.key != key {
		t.Errorf("place = %v, %v, want %s", got, ok, key)
	}
}

// TestTreeAgainstPaths makes, moves and removes at random, and compares every place with a table of paths.
func TestTreeAgainstPaths(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tr := newTree(place{bucket: "b"}, 1)
		dirs := []*node{tr.root}
		paths := map[*node]string{tr.root: ""}
		names := func(label string) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, label) }
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			from := rapid.SampledFrom(dirs).Draw(t, "from")
			name := names("name")
			child := tr.child(from, name)
			switch {
			case child == nil:
				n := tr.adopt(from, name, name, uint64(i+2), fuse.S_IFDIR)
				dirs = append(dirs, n)
				paths[n] = paths[from] + name + "/"
			default:
				to := rapid.SampledFrom(dirs).Draw(t, "to")
				newName := names("new name")
				if below(paths[to], paths[child]) || tr.child(to, newName) != nil {
					continue
				}
				tr.moved(from, name, to, newName, newName, false)
				renamePaths(paths, paths[child], paths[to]+newName+"/")
			}
			for n, path := range paths {
				if got, ok := tr.place(n); !ok || got.key != path {
					t.Fatalf("place = %v, %v, want %s", got, ok, path)
				}
			}
		}
	})
}

func below(path, of string) bool { return len(path) >= len(of) && path[:len(of)] == of }

func renamePaths(paths map[*node]string, from, to string) {
	for n, path := range paths {
		if below(path, from) {
			paths[n] = to + path[len(from):]
		}
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	tr := newTree(place{bucket: "b"}, 1)
	dir := tr.adopt(tr.root, "d", "d", 2, fuse.S_IFDIR)
	for i := range 10 {
		name := fmt.Sprint(i)
		tr.adopt(dir, name, name, uint64(10+i), fuse.S_IFREG)
	}
	busy := tr.child(dir, "0")
	busy.open = []*openFile{{}}
	for _, n := range tr.idle(100) {
		if n == dir || n == busy || n == tr.root {
			t.Errorf("inode %d is in use", n.inode)
		}
	}
	recent := tr.adopt(dir, "1", "1", 11, fuse.S_IFREG)
	if got := tr.idle(8); len(got) != 8 || got[0] == recent {
		t.Errorf("%d idle nodes, want 8, the one looked up last not before others", len(got))
	}
}

func TestCrowded(t *testing.T) {
	t.Parallel()
	tr := newTree(place{bucket: "b"}, 9)
	dir := tr.adopt(tr.root, "d", "d", 10, fuse.S_IFDIR)
	if tr.crowded(dir, 0) {
		t.Error("a directory that was never read is crowded")
	}
	tr.counted(dir, 7, countedEntries+2)
	if !tr.crowded(dir, 7) {
		t.Error("a directory with more entries than are counted is not crowded")
	}
	if tr.crowded(dir, 8) {
		t.Error("it stays crowded after a change beside the mount")
	}
	tr.removed(dir, "x")
	if !tr.crowded(dir, 7) {
		t.Error("one entry too many, and not crowded")
	}
	tr.moved(dir, "y", tr.root, "y", "y", false)
	if tr.crowded(dir, 7) {
		t.Error("crowded, though as many may be left as are counted")
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	tr := newTree(place{bucket: "b"}, 1)
	before := tr.ended.Load()
	if tr.settle(before) {
		t.Error("nothing was renamed, and it was waited")
	}
	end := tr.beginRename()
	waited := make(chan bool)
	go func() { waited <- tr.settle(before) }()
	end()
	if !<-waited {
		t.Error("a rename that was under way was not waited for")
	}
	if !tr.settle(before) {
		t.Error("a rename that has ended meanwhile went unnoticed")
	}
	if tr.settle(tr.ended.Load()) {
		t.Error("renames of before count")
	}
}
