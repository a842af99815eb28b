package object_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/object"
	"coffer/object/objecttest"
)

// tree is a store with a bucket and a clock that moves by a second at every look.
func tree(t *testing.T, keys ...string) (*object.Store, *objecttest.Env) {
	t.Helper()
	env := objecttest.New()
	clock := time.Unix(1_800_000_000, 0)
	s := env.Open(t, func(o *object.Options) {
		smallLayout(o)
		o.Now = func() time.Time { clock = clock.Add(time.Second); return clock }
	})
	newBucket(t, s, "bucket")
	for i, key := range keys {
		put(t, s, "bucket", key, data(50, byte(i)))
	}
	return s, env
}

func stat(t *testing.T, s *object.Store, key string) object.Node {
	t.Helper()
	n, err := s.Stat(context.Background(), "bucket", key)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// names pages through a directory, two entries at a time.
func names(t *testing.T, s *object.Store, dir string) []string {
	t.Helper()
	var all []string
	var after object.ListPosition
	for {
		page, err := s.ReadDir(context.Background(), "bucket", dir, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range page.Nodes {
			all = append(all, n.Info.Key)
			if again := stat(t, s, n.Info.Key); !cmp.Equal(n, again) {
				t.Errorf("%q: read directory and stat differ: %s", n.Info.Key, cmp.Diff(n, again))
			}
		}
		if !page.More {
			return all
		}
		after = page.Next
	}
}

func TestDirectoriesOfPrefixes(t *testing.T) {
	t.Parallel()
	s, _ := tree(t, "a", "a/b", "a/c/d", "a/c/e", "a//x", "b/", "b/y", "..", "z")
	for dir, want := range map[string][]string{
		"": {"..", "a", "a/", "b/", "z"}, "a/": {"a//", "a/b", "a/c/"}, "a/c/": {"a/c/d", "a/c/e"}, "a//": {"a//x"}, "b/": {"b/y"},
	} {
		if got := names(t, s, dir); !cmp.Equal(got, want) {
			t.Errorf("%q has %q, want %q", dir, got, want)
		}
	}
	ctx := context.Background()
	file, dir, err := s.Lookup(ctx, "bucket", "", "a")
	if err != nil || file == nil || dir == nil || file.Directory || !dir.Directory || !dir.Implicit {
		t.Errorf("a: %+v, %+v, %v", file, dir, err)
	}
	if file, dir, err = s.Lookup(ctx, "bucket", "a/", "b"); err != nil || file == nil || dir != nil {
		t.Errorf("a/b: %+v, %+v, %v", file, dir, err)
	}
	if file, dir, err = s.Lookup(ctx, "bucket", "", "b"); err != nil || file != nil || dir == nil || dir.Implicit {
		t.Errorf("b: %+v, %+v, %v", file, dir, err)
	}
	_, _, err = s.Lookup(ctx, "bucket", "a/", "none")
	wantKind(t, err, object.KindNoSuchKey)
	_, _, err = s.Lookup(ctx, "none", "", "a")
	wantKind(t, err, object.KindNoSuchBucket)
	_, err = s.ReadDir(ctx, "bucket", "none/", object.ListPosition{}, 10)
	wantKind(t, err, object.KindNoSuchKey)
	_, err = s.ReadDir(ctx, "bucket", "a", object.ListPosition{}, 10)
	wantKind(t, err, object.KindNotDirectory)
	if root := stat(t, s, ""); !root.Directory || root.Implicit || root.Inode == 0 {
		t.Errorf("root %+v", root)
	}
}

func TestMakeAndRemoveDirectories(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, env := tree(t, "file", "implicit/x")
	mode := object.Attributes{Mode: 0o040750, UID: 1, GID: 2}
	made, err := s.MakeDir(ctx, "bucket", "d/", mode)
	if err != nil || made.Attr.Mode != mode.Mode || made.Implicit || !cmp.Equal(made, stat(t, s, "d/")) {
		t.Fatalf("%+v, %v", made, err)
	}
	for _, taken := range []string{"d/", "file/", "implicit/"} {
		_, err := s.MakeDir(ctx, "bucket", taken, mode)
		wantKind(t, err, object.KindExists)
	}
	if _, err := s.MakeDir(ctx, "bucket", "d/e/", mode); err != nil {
		t.Fatal(err)
	}
	if before, after := made.Info.ModTime, stat(t, s, "d/").Info.ModTime; !after.After(before) {
		t.Errorf("a new entry left the time of its directory at %v, was %v", after, before)
	}
	wantKind(t, s.RemoveDir(ctx, "bucket", "d/"), object.KindNotEmpty)
	wantKind(t, s.RemoveDir(ctx, "bucket", "implicit/"), object.KindNotEmpty)
	wantKind(t, s.RemoveDir(ctx, "bucket", "none/"), object.KindNoSuchKey)
	wantKind(t, s.RemoveDir(ctx, "bucket", ""), object.KindInvalidArgument)
	for _, dir := range []string{"d/e/", "d/"} {
		if err := s.RemoveDir(ctx, "bucket", dir); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, s.Unlink(ctx, "bucket", "d"), object.KindNoSuchKey)
	wantKind(t, s.Unlink(ctx, "bucket", "implicit/"), object.KindIsDirectory)
	implicit := stat(t, s, "implicit/")
	if err := s.Unlink(ctx, "bucket", "implicit/x"); err != nil {
		t.Fatal(err)
	}
	if kept := stat(t, s, "implicit/"); kept.Implicit || kept.Inode != implicit.Inode {
		t.Errorf("removing its last file made %+v of %+v", kept, implicit)
	}
	for _, key := range []string{"implicit/", "file"} { // through S3
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	if _, keys := leftovers(t, env); keys['t'] != 0 || keys['n'] != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

func TestMarkersOfS3(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := tree(t, "d/x")
	implicit := stat(t, s, "d/")
	if put(t, s, "bucket", "d/", nil); stat(t, s, "d/").Inode != implicit.Inode {
		t.Error("a marker made through S3 changed the inode number")
	}
	mode, when := uint32(0o700), time.Unix(1_000_000_000, 5).UTC()
	change := object.AttributeChange{Mode: &mode, ModTime: &when, Base: object.Attributes{Mode: 0o040755, UID: 7}}
	set, err := s.SetAttributes(ctx, "bucket", "d/", change)
	if err != nil || set.Attr.Mode != 0o040700 || set.Attr.UID != 7 || !set.Info.ModTime.Equal(when) || !cmp.Equal(set, stat(t, s, "d/")) {
		t.Fatalf("%+v, %v", set, err)
	}
	if put(t, s, "bucket", "d/", nil); stat(t, s, "d/").Attr == nil {
		t.Error("a marker put again through S3 lost the attributes of the directory")
	}
	if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "d/"}); err != nil {
		t.Fatal(err)
	}
	if got := stat(t, s, "d/"); !cmp.Equal(got, implicit) {
		t.Errorf("implicit again: %+v, was %+v", got, implicit)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "d/x"}); len(got) != 50 {
		t.Errorf("read %d bytes", len(got))
	}
}

func TestSetAttributes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := tree(t, "f", "d/x")
	ptr := func(v string) *string { return &v }
	before := stat(t, s, "f")
	when := time.Unix(-5, 17).UTC()
	for name, c := range map[string]struct {
		key    string
		change object.AttributeChange
		want   object.Kind // 0: success
		check  func(object.Node) error
	}{
		"file": {"f", object.AttributeChange{AccessTime: &when, Extended: map[string][]byte{"user.a": []byte("1"), "user.empty": {}}, MustCreate: true},
			0, func(n object.Node) error {
				if string(n.Attr.Extended["user.a"]) != "1" || n.Attr.Extended["user.empty"] == nil || !n.Attr.AccessTime.Equal(when) ||
					n.Info.ETag != before.Info.ETag || !n.Info.ModTime.Equal(before.Info.ModTime) || n.Inode != before.Inode {
					return fmt.Errorf("%+v", n)
				}
				return nil
			}},
		"metadata": {"f", object.AttributeChange{ContentType: ptr("text/html"), UserMeta: map[string]*string{"a": ptr("b")}}, 0,
			func(n object.Node) error {
				if n.Info.Meta.ContentType != "text/html" || n.Info.Meta.User["a"] != "b" {
					return fmt.Errorf("%+v", n.Info.Meta)
				}
				return nil
			}},
		"root": {"", object.AttributeChange{ModTime: &when, UID: new(uint32), Base: object.Attributes{Mode: 0o040711, UID: 9}}, 0,
			func(n object.Node) error {
				if n.Attr.Mode != 0o040711 || n.Attr.UID != 0 || !n.Info.ModTime.Equal(when) {
					return fmt.Errorf("%+v", n)
				}
				return nil
			}},
		"implicit directory": {"d/", object.AttributeChange{GID: new(uint32)}, 0, func(n object.Node) error {
			if n.Implicit || n.Inode == 0 || n.Object.IsZero() {
				return fmt.Errorf("%+v", n)
			}
			return nil
		}},
		"no such file":       {"g", object.AttributeChange{}, object.KindNoSuchKey, nil},
		"no such directory":  {"g/", object.AttributeChange{}, object.KindNoSuchKey, nil},
		"removes nothing":    {"f", object.AttributeChange{Extended: map[string][]byte{"user.none": nil}}, object.KindNoAttribute, nil},
		"replaces nothing":   {"f", object.AttributeChange{Extended: map[string][]byte{"user.none": {1}}, MustReplace: true}, object.KindNoAttribute, nil},
		"removes no meta":    {"f", object.AttributeChange{UserMeta: map[string]*string{"none": nil}}, object.KindNoAttribute, nil},
		"too much meta":      {"f", object.AttributeChange{UserMeta: map[string]*string{"x": ptr(string(data(2048, 1)))}}, object.KindMetadataTooLarge, nil},
		"too many, extended": {"f", object.AttributeChange{Extended: map[string][]byte{"user.big": data(40_000, 1)}}, object.KindMetadataTooLarge, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.SetAttributes(ctx, "bucket", c.key, c.change)
			if c.want != 0 {
				wantKind(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := c.check(got); err != nil {
				t.Error(err)
			}
			if again := stat(t, s, c.key); !cmp.Equal(got, again) {
				t.Errorf("stat differs: %s", cmp.Diff(got, again))
			}
		})
	}
	_, err := s.SetAttributes(ctx, "bucket", "f", object.AttributeChange{Extended: map[string][]byte{"user.a": {2}}, MustCreate: true})
	wantKind(t, err, object.KindAttributeExists)
}

func TestRenameFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, env := tree(t, "a", "b", "d/x")
	rename := func(req object.RenameRequest) error {
		req.Bucket = "bucket"
		return s.Rename(ctx, req)
	}
	a, b, dir := stat(t, s, "a"), stat(t, s, "b"), stat(t, s, "d/")
	if err := rename(object.RenameRequest{From: "a", To: "b", Exchange: true}); err != nil {
		t.Fatal(err)
	}
	if stat(t, s, "a").Object != b.Object || stat(t, s, "b").Object != a.Object {
		t.Error("not exchanged")
	}
	for want, req := range map[object.Kind]object.RenameRequest{
		object.KindNoSuchKey:       {From: "none", To: "b"},
		object.KindExists:          {From: "a", To: "b", NoReplace: true},
		object.KindNotDirectory:    {From: "d/", To: "b"},
		object.KindIsDirectory:     {From: "a", To: "d/"},
		object.KindInvalidArgument: {From: "a", To: "b", NoReplace: true, Exchange: true},
	} {
		wantKind(t, rename(req), want)
	}
	wantKind(t, rename(object.RenameRequest{From: "a", To: "none", Exchange: true}), object.KindNoSuchKey)
	if err := rename(object.RenameRequest{From: "a", To: "a"}); err != nil {
		t.Error(err)
	}
	if err := rename(object.RenameRequest{From: "b", To: "d/y", NoReplace: true}); err != nil {
		t.Fatal(err)
	}
	moved := stat(t, s, "d/y")
	if moved.Object != a.Object || moved.Inode != a.Inode || !moved.Info.ModTime.Equal(a.Info.ModTime) {
		t.Errorf("moved %+v, was %+v", moved, a)
	}
	if now := stat(t, s, "d/"); now.Implicit || now.Inode != dir.Inode || !now.Info.ModTime.After(dir.Info.ModTime) {
		t.Errorf("the directory is %+v, was %+v", now, dir)
	}
	if err := rename(object.RenameRequest{From: "d/y", To: "d/x"}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "d/x"}); !cmp.Equal(got, data(50, 0)) {
		t.Error("the bytes did not move along")
	}
	if _, err := s.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if _, keys := leftovers(t, env); keys['d'] != 2 {
		t.Errorf("%d bodies, want those of two files", keys['d'])
	}
}
