package object_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/object"
)

func wantLinks(t *testing.T, s *object.Store, want map[string]uint32) {
	t.Helper()
	for key, links := range want {
		if got := stat(t, s, key).Links; got != links {
			t.Errorf("%q has %d names, want %d", key, got, links)
		}
	}
}

// wantCensus compares the census with the records.
func wantCensus(t *testing.T, s *object.Store) {
	t.Helper()
	check, err := s.CheckCensus(context.Background())
	if err != nil || check.Repaired != 0 {
		t.Errorf("the census was wrong in %d counts: %v", check.Repaired, err)
	}
}

func TestHardLinks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, env := tree(t, "a", "other", "d/x")
	first, body := stat(t, s, "a"), data(50, 0)
	link := func(from, to string) object.Node {
		t.Helper()
		n, err := s.Link(ctx, "bucket", from, to)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := link("a", "d/b"); n.Object != first.Object || n.Inode != first.Inode || !cmp.Equal(n, stat(t, s, "d/b")) {
		t.Errorf("the link is %+v, the file %+v", n, first)
	}
	link("d/b", "c")
	wantLinks(t, s, map[string]uint32{"a": 3, "d/b": 3, "c": 3, "other": 1})
	for want, pair := range map[object.Kind][2]string{
		object.KindNoSuchKey: {"none", "new"}, object.KindExists: {"a", "other"}, object.KindIsDirectory: {"d/", "new"},
	} {
		_, err := s.Link(ctx, "bucket", pair[0], pair[1])
		wantKind(t, err, want)
	}

	// What changes one name, changes all.
	mode := uint32(0o600)
	if _, err := s.SetAttributes(ctx, "bucket", "c", object.AttributeChange{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "a", Bucket: "bucket", Key: "a",
		Meta: &object.Metadata{ContentType: "text/x"}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "c", "d/b"} {
		n := stat(t, s, key)
		if n.Attr == nil || n.Attr.Mode != mode || n.Info.Meta.ContentType != "text/x" || n.Links != 3 {
			t.Errorf("%s: %+v", key, n)
		}
		if !bytes.Equal(read(t, s, object.GetRequest{Bucket: "bucket", Key: key}), body) {
			t.Errorf("%s has other bytes", key)
		}
	}
	page, err := s.List(ctx, object.ListRequest{Bucket: "bucket", Max: 10})
	if err != nil || len(page.Objects) != 6 || page.Objects[1].ETag != first.Info.ETag || page.Objects[1].Size != 50 {
		t.Errorf("listed %+v, %v", page.Objects, err)
	}
	wantCensus(t, s)

	// A copy is a file of its own; a put replaces one name.
	if _, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "c", Bucket: "bucket", Key: "copy"}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "bucket", "a", data(70, 9))
	wantLinks(t, s, map[string]uint32{"copy": 1, "a": 1, "c": 2, "d/b": 2})

	// Renames move a name, over another file or another name of the same one.
	changed := stat(t, s, "c").Attr.ChangeTime
	for _, req := range []object.RenameRequest{{From: "c", To: "d/b"}, {From: "c", To: "other"}, {From: "d/b", To: "a", Exchange: true}} {
		req.Bucket = "bucket"
		if err := s.Rename(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	wantLinks(t, s, map[string]uint32{"d/b": 1, "other": 2, "a": 2})
	if got := stat(t, s, "a"); got.Object != first.Object || !got.Attr.ChangeTime.After(changed) {
		t.Errorf("exchanged: %+v", got)
	}
	_, err = s.Stat(ctx, "bucket", "c")
	wantKind(t, err, object.KindNoSuchKey)
	wantCensus(t, s)

	// The last name takes the bytes with it.
	for _, key := range []string{"other", "copy", "d/b", "d/x"} {
		if err := s.Unlink(ctx, "bucket", key); err != nil {
			t.Fatal(err)
		}
	}
	wantLinks(t, s, map[string]uint32{"a": 1})
	link("a", "again")
	wantLinks(t, s, map[string]uint32{"a": 2})
	for _, key := range []string{"a", "again"} {
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	wantCensus(t, s)
	s.SettleFiles(ctx)
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	_, keys := leftovers(t, env)
	for _, tag := range []byte{'o', 'l', 'd', 'c', 'q'} {
		if keys[tag] != 0 {
			t.Errorf("%d keys %q are left", keys[tag], tag)
		}
	}
}
