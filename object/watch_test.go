package object_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"coffer/object"
)

// next takes a change that must be there.
func next(t *testing.T, w *object.Watcher) object.Change {
	t.Helper()
	c, err := w.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWatcherIsToldOfEveryChange runs all that changes names, one after the other, and looks what was told.
func TestWatcherIsToldOfEveryChange(t *testing.T) {
	t.Parallel()
	s, _ := tree(t, "a")
	w := s.Watch(object.WatchOptions{})
	defer w.Close()
	ctx := object.WithOrigin(context.Background(), nil) // so that nothing waits for this goroutine
	for _, c := range []struct {
		name string
		run  func() error
		want []object.Change
	}{
		{"put", func() error {
			_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: "b", Body: bytes.NewReader(nil)})
			return err
		}, []object.Change{{Key: "b", Kind: object.Written}}},
		{"copy", func() error {
			_, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "b", Bucket: "bucket", Key: "c"})
			return err
		}, []object.Change{{Key: "c", Kind: object.Written}}},
		{"copy onto itself", func() error {
			_, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "c", Bucket: "bucket", Key: "c", Meta: &object.Metadata{}})
			return err
		}, []object.Change{{Key: "c", Kind: object.Written}}},
		{"complete", func() error { return uploadOnePart(ctx, s, "u", data(10, 1)) }, []object.Change{{Key: "u", Kind: object.Written}}},
		{"delete", func() error { return s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "c"}) },
			[]object.Change{{Key: "c", Kind: object.Removed}}},
		{"delete nothing", func() error { return s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "c"}) }, nil},
		{"make directory", func() error { _, err := s.MakeDir(ctx, "bucket", "d/", object.Attributes{}); return err },
			[]object.Change{{Key: "d/", Kind: object.Written}}},
		{"rename", func() error { return s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "b", To: "d/b"}) },
			[]object.Change{{Key: "d/b", From: "b", Kind: object.Renamed}}},
		{"exchange", func() error {
			return s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "a", To: "d/b", Exchange: true})
		}, []object.Change{{Key: "d/b", From: "a", Kind: object.Exchanged}}},
		{"attributes", func() error { _, err := s.SetAttributes(ctx, "bucket", "a", object.AttributeChange{}); return err },
			[]object.Change{{Key: "a", Kind: object.Written}}},
		{"attributes of the root", func() error { _, err := s.SetAttributes(ctx, "bucket", "", object.AttributeChange{}); return err },
			[]object.Change{{Kind: object.Written}}},
		{"unlink", func() error { return s.Unlink(ctx, "bucket", "d/b") }, []object.Change{{Key: "d/b", Kind: object.Removed}}},
		{"remove directory", func() error { return s.RemoveDir(ctx, "bucket", "d/") }, []object.Change{{Key: "d/", Kind: object.Removed}}},
		{"failure", func() error { _ = s.Unlink(ctx, "bucket", "none"); return nil }, nil},
	} {
		if err := c.run(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := s.SetAttributes(ctx, "bucket", "a", object.AttributeChange{}); err != nil { // ends what was told
			t.Fatal(err)
		}
		var got []object.Change
		for c := next(t, w); c.Key != "a" || c.Kind != object.Written; c = next(t, w) {
			got = append(got, c)
		}
		for i := range c.want {
			c.want[i].Bucket = "bucket"
		}
		if c.name == "attributes" {
			c.want = nil // the first of two that look alike ended it
			next(t, w)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(object.Change{}, "Object")); diff != "" {
			t.Errorf("%s (-want +told): %s", c.name, diff)
		}
	}
	newBucket(t, s, "other")
	if err := s.DeleteBucket(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	want := []object.Change{{Bucket: "other", Kind: object.BucketCreated}, {Bucket: "other", Kind: object.BucketRemoved}}
	if got := []object.Change{next(t, w), next(t, w)}; !cmp.Equal(got, want) {
		t.Errorf("told %+v, want %+v", got, want)
	}
}

// TestWritesOfS3WaitForWatchers lets a put return only after the watcher was done, or not at all where the watcher never
// looks.
func TestWritesOfS3WaitForWatchers(t *testing.T) {
	t.Parallel()
	s, _ := tree(t)
	idle := s.Watch(object.WatchOptions{})
	put(t, s, "bucket", "a", nil) // returns although idle does nothing
	idle.Close()
	if _, err := idle.Next(context.Background()); !errors.Is(err, object.ErrWatcherClosed) {
		t.Errorf("next of a closed watcher: %v", err)
	}
	s.SetPatience(time.Hour)
	w := s.Watch(object.WatchOptions{})
	defer w.Close()
	var seen object.Change // written before Done, read behind the put: it must have waited
	go func() {
		if c, err := w.Next(context.Background()); err == nil {
			seen = c
		}
		w.Done()
	}()
	put(t, s, "bucket", "b", nil)
	if seen.Key != "b" || seen.Object != stat(t, s, "b").Object {
		t.Errorf("told %+v", seen)
	}
	own := object.WithOrigin(context.Background(), w)
	if err := s.Unlink(own, "bucket", "b"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if c, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a watcher was told of its own change: %+v, %v", c, err)
	}
}

func TestWatcherOverflows(t *testing.T) {
	t.Parallel()
	s, _ := tree(t)
	w := s.Watch(object.WatchOptions{Queue: 2})
	defer w.Close()
	ctx := object.WithOrigin(context.Background(), nil)
	for _, key := range []string{"a", "b", "c", "d"} {
		if _, err := s.MakeDir(ctx, "bucket", key+"/", object.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	if c := next(t, w); c.Kind != object.Overflow {
		t.Errorf("told %+v, want an overflow", c)
	}
	if c := next(t, w); c.Key != "d/" {
		t.Errorf("told %+v after the overflow", c)
	}
}
