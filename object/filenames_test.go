package object_test

import (
	"bytes"
	"context"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

// fileWorld is a bucket with some ways to use it as a mount does.
type fileWorld struct {
	*testing.T
	store *object.Store
	ctx   context.Context
}

func newFileWorld(t *testing.T) *fileWorld {
	t.Parallel()
	s := objecttest.New().Open(t, editLayout)
	newBucket(t, s, "bucket")
	return &fileWorld{T: t, store: s, ctx: context.Background()}
}

func (w *fileWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// create makes a file with some bytes, which are not committed.
func (w *fileWorld) create(key, text string) *object.File {
	w.Helper()
	f, err := w.store.CreateFile(w.ctx, object.CreateRequest{Bucket: "bucket", Key: key, Attr: object.Attributes{Mode: 0o100600}})
	w.must(err)
	w.write(f, text)
	return f
}

func (w *fileWorld) write(f *object.File, text string) {
	w.Helper()
	_, err := f.WriteAt(w.ctx, []byte(text), 0)
	w.must(err)
}

// sees fails unless S3 reads text under a key; "" stands for nothing there.
func (w *fileWorld) sees(key, text string) {
	w.Helper()
	if text == "" {
		_, err := w.store.Head(w.ctx, object.GetRequest{Bucket: "bucket", Key: key})
		wantKind(w, err, object.KindNoSuchKey)
		return
	}
	if got := read(w, w.store, object.GetRequest{Bucket: "bucket", Key: key}); string(got) != text {
		w.Fatalf("S3 reads %q under %s, want %q", got, key, text)
	}
}

// holds fails unless an open file reads text.
func (w *fileWorld) holds(f *object.File, text string) {
	w.Helper()
	p := make([]byte, len(text))
	if n, err := f.ReadAt(w.ctx, p, 0); err != nil || string(p[:n]) != text {
		w.Fatalf("the file holds %q (%v), want %q", p[:n], err, text)
	}
}

func TestUnbornFileIsKnownToMountsAlone(t *testing.T) {
	w := newFileWorld(t)
	put(t, w.store, "bucket", "dir/a", []byte("a"))
	put(t, w.store, "bucket", "dir/c", []byte("c"))
	f := w.create("dir/b", "text")
	defer f.Close()
	w.sees("dir/b", "")
	node, err := w.store.Stat(w.ctx, "bucket", "dir/b")
	w.must(err)
	if node.Info.Size != 4 || !node.Open || node.Inode == 0 {
		t.Fatalf("node %+v", node)
	}
	file, _, err := w.store.Lookup(w.ctx, "bucket", "dir/", "b")
	w.must(err)
	if file == nil || file.Object != node.Object {
		t.Fatalf("lookup found %+v", file)
	}
	list, err := w.store.ReadDir(w.ctx, "bucket", "dir/", object.ListPosition{}, 100)
	w.must(err)
	if len(list.Nodes) != 3 || list.Nodes[1].Info.Key != "dir/b" {
		t.Fatalf("directory %+v", list.Nodes)
	}
	_, err = w.store.MakeDir(w.ctx, "bucket", "dir/b/", object.Attributes{})
	wantKind(t, err, object.KindExists)
	w.must(f.Sync(w.ctx))
	w.sees("dir/b", "text")
	again, err := w.store.Stat(w.ctx, "bucket", "dir/b")
	w.must(err)
	if again.Inode != node.Inode || again.Object != node.Object || again.Open {
		t.Fatalf("committed as %+v", again)
	}
}

func TestDirectoryWithUnbornFileIsNotEmpty(t *testing.T) {
	w := newFileWorld(t)
	_, err := w.store.MakeDir(w.ctx, "bucket", "dir/", object.Attributes{})
	w.must(err)
	f := w.create("dir/f", "x")
	wantKind(t, w.store.RemoveDir(w.ctx, "bucket", "dir/"), object.KindNotEmpty)
	w.must(w.store.Unlink(w.ctx, "bucket", "dir/f"))
	w.must(f.Close())
	w.must(w.store.RemoveDir(w.ctx, "bucket", "dir/"))
}

func TestUnlinkedFileLivesOn(t *testing.T) {
	for name, commit := range map[string]bool{"committed": true, "unborn": false} {
		t.Run(name, func(t *testing.T) {
			w := newFileWorld(t)
			f := w.create("key", "before")
			if commit {
				w.must(f.Sync(w.ctx))
			}
			w.must(w.store.Unlink(w.ctx, "bucket", "key"))
			wantKind(t, w.store.Unlink(w.ctx, "bucket", "key"), object.KindNoSuchKey)
			_, err := w.store.Collect(w.ctx)
			w.must(err)
			w.holds(f, "before")
			body := data(20_000, 1)
			_, err = f.WriteAt(w.ctx, body, 0)
			w.must(err)
			w.must(f.Sync(w.ctx))
			w.sees("key", "")
			got := make([]byte, len(body))
			if _, err := f.ReadAt(w.ctx, got, 0); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("other bytes, %v", err)
			}
			if n := f.Node(); n.Links != 0 {
				t.Errorf("%d links", n.Links)
			}
			w.must(f.Close())
			collectAll(t, w.store)
		})
	}
}

func TestRenameOfOpenFiles(t *testing.T) {
	w := newFileWorld(t)
	f, over := w.create("from", "from"), w.create("to", "to")
	w.must(over.Sync(w.ctx))
	w.write(over, "TO")
	w.must(w.store.Rename(w.ctx, object.RenameRequest{Bucket: "bucket", From: "from", To: "to"}))
	w.sees("to", "from")
	w.sees("from", "")
	w.write(f, "more")
	w.must(f.Sync(w.ctx))
	w.sees("to", "more")
	w.holds(over, "TO")
	w.must(over.Sync(w.ctx))
	w.sees("to", "more")
	other := w.create("other", "other")
	w.must(w.store.Rename(w.ctx, object.RenameRequest{Bucket: "bucket", From: "to", To: "other", Exchange: true}))
	w.write(f, "MORE")
	w.must(f.Sync(w.ctx))
	w.sees("other", "MORE")
	w.sees("to", "other")
	for _, open := range []*object.File{f, over, other} {
		w.must(open.Close())
	}
}

func TestLinksOfOpenFiles(t *testing.T) {
	w := newFileWorld(t)
	f := w.create("one", "text")
	node, err := w.store.Link(w.ctx, "bucket", "one", "two")
	w.must(err)
	if node.Links != 2 {
		t.Fatalf("%d links", node.Links)
	}
	w.sees("two", "text")
	w.write(f, "TEXT")
	w.must(f.Sync(w.ctx))
	w.sees("one", "TEXT")
	w.sees("two", "TEXT")
	w.must(w.store.Unlink(w.ctx, "bucket", "one"))
	w.write(f, "Text")
	w.must(f.Sync(w.ctx))
	w.sees("two", "Text")
	_, err = w.store.Link(w.ctx, "bucket", "two", "three")
	w.must(err)
	put(t, w.store, "bucket", "two", []byte("other")) // the name that the file is committed under
	w.write(f, "teXT")
	w.must(f.Sync(w.ctx))
	w.sees("three", "teXT")
	w.sees("two", "other")
	w.must(f.Close())
}

func TestAttributesOfOpenFiles(t *testing.T) {
	w := newFileWorld(t)
	f := w.create("key", "text")
	mode := uint32(0o640)
	_, err := w.store.SetAttributes(w.ctx, "bucket", "key", object.AttributeChange{Mode: &mode})
	w.must(err)
	w.sees("key", "")
	for range 2 {
		node, err := w.store.Stat(w.ctx, "bucket", "key")
		w.must(err)
		if node.Attr == nil || node.Attr.Mode != 0o100640 {
			t.Fatalf("attributes %+v", node.Attr)
		}
		w.must(f.Sync(w.ctx))
	}
	w.must(f.Close())
	node, err := w.store.Stat(w.ctx, "bucket", "key")
	w.must(err)
	if node.Open || node.Attr.Mode != 0o100640 {
		t.Fatalf("closed as %+v", node)
	}
}

func TestReplacedFileIsStaleOnce(t *testing.T) {
	w := newFileWorld(t)
	f := w.create("key", "mine")
	second, err := w.store.OpenFile(w.ctx, "bucket", "key")
	w.must(err)
	put(t, w.store, "bucket", "key", []byte("theirs"))
	wantKind(t, f.Sync(w.ctx), object.KindStale)
	wantKind(t, second.Sync(w.ctx), object.KindStale)
	w.must(f.Sync(w.ctx))
	w.holds(f, "mine")
	w.sees("key", "theirs")
	third, err := w.store.OpenFile(w.ctx, "bucket", "key")
	w.must(err)
	w.holds(third, "theirs")
	for _, open := range []*object.File{f, second, third} {
		w.must(open.Close())
	}
}
