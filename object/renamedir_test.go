package object_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/object"
	"coffer/object/objecttest"
)

var (
	observedRenames = flag.Int("rename.rounds", 16, "renames that TestObserversOfRenames makes")
	renamedObjects  = flag.Int("rename.objects", 2000, "objects that TestRenameManyObjects renames")
)

// keysOf lists all keys of the bucket.
func keysOf(s *object.Store, prefix string) ([]string, error) {
	var keys []string
	req := object.ListRequest{Bucket: "bucket", Prefix: prefix, Max: object.MaxListKeys}
	for {
		page, err := s.List(context.Background(), req)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		if !page.More {
			return keys, nil
		}
		req.After = page.Next
	}
}

// settled waits until the mover has nothing to do.
func settled(t testing.TB, s *object.Store) {
	t.Helper()
	for {
		n, err := s.RenamesUnderWay(context.Background(), "bucket")
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRenameDirectory lets the mover work in the background, in transactions of a few names.
func TestRenameDirectory(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 100} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s := objecttest.New().Open(t, func(o *object.Options) { smallLayout(o); object.SmallMoves(o, batch) })
			newBucket(t, s, "bucket")
			for i := range 25 {
				put(t, s, "bucket", fmt.Sprintf("a/%02d", i), data(30, byte(i)))
			}
			if _, err := s.MakeDir(ctx, "bucket", "a/sub/", object.Attributes{Mode: 0o040700}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Link(ctx, "bucket", "a/00", "a/sub/link"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.MakeDir(ctx, "bucket", "b/", object.Attributes{}); err != nil {
				t.Fatal(err)
			}
			was, sub := stat(t, s, "a/"), stat(t, s, "a/sub/")
			if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "a/", To: "b/"}); err != nil {
				t.Fatal(err)
			}
			if now := stat(t, s, "b/"); now.Object != was.Object {
				t.Errorf("the directory is %+v, was %+v", now, was)
			}
			put(t, s, "bucket", "b/05", nil)    // takes over what may still lie elsewhere
			put(t, s, "bucket", "a/again", nil) // waits
			settled(t, s)
			keys, err := keysOf(s, "")
			if err != nil || len(keys) != 1+1+25+2 || keys[0] != "a/again" || keys[1] != "b/" {
				t.Errorf("%q, %v", keys, err)
			}
			if now := stat(t, s, "b/sub/"); !now.Info.ModTime.Equal(sub.Info.ModTime) || now.Inode != sub.Inode {
				t.Errorf("the directory in it is %+v, was %+v", now, sub)
			}
			if n := stat(t, s, "b/05"); n.Info.Size != 0 {
				t.Errorf("a later put was lost: %+v", n)
			}
			if err := s.CheckLinks(ctx); err != nil {
				t.Error(err)
			}
			wantCensus(t, s)
		})
	}
}

// TestRenameKeepsNewerTimes changes a directory that has not moved yet.
func TestRenameKeepsNewerTimes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := objecttest.New().Open(t, func(o *object.Options) { object.HoldMover(o, 1) })
	newBucket(t, s, "bucket")
	for _, dir := range []string{"a/", "a/sub/", "a/sub/x/"} {
		if _, err := s.MakeDir(ctx, "bucket", dir, object.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "a/", To: "b/"}); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1_000_000_000, 7).UTC()
	if _, err := s.SetAttributes(ctx, "bucket", "b/sub/", object.AttributeChange{ModTime: &when}); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		var err error
		if more, err = s.StepMover(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := stat(t, s, "b/sub/"); !n.Info.ModTime.Equal(when) {
		t.Errorf("modified at %v, want %v", n.Info.ModTime, when)
	}
}

func TestRenameDirectoryRefuses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := tree(t, "a/x", "a/"+strings.Repeat("n", 1000), "b/y", "file")
	if _, err := s.MakeDir(ctx, "bucket", "empty/", object.Attributes{}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		req  object.RenameRequest
		want object.Kind
	}{
		"nothing there":    {object.RenameRequest{From: "none/", To: "c/"}, object.KindNoSuchKey},
		"not empty":        {object.RenameRequest{From: "a/", To: "b/"}, object.KindNotEmpty},
		"exists":           {object.RenameRequest{From: "b/", To: "empty/", NoReplace: true}, object.KindExists},
		"into itself":      {object.RenameRequest{From: "a/", To: "a/b/"}, object.KindInvalidArgument},
		"onto its parent":  {object.RenameRequest{From: "a/x/", To: "a/"}, object.KindNoSuchKey},
		"too long":         {object.RenameRequest{From: "a/", To: strings.Repeat("l", 30) + "/"}, object.KindKeyTooLong},
		"root":             {object.RenameRequest{From: "", To: "c/"}, object.KindInvalidArgument},
		"to a file":        {object.RenameRequest{From: "a/", To: "file"}, object.KindNotDirectory},
		"exchange beside":  {object.RenameRequest{From: "file", To: "file/", Exchange: true}, object.KindInvalidArgument},
		"exchange inside":  {object.RenameRequest{From: "a/x", To: "a/", Exchange: true}, object.KindInvalidArgument},
		"exchange no file": {object.RenameRequest{From: "none", To: "b/", Exchange: true}, object.KindNoSuchKey},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Bucket = "bucket"
			wantKind(t, s.Rename(ctx, c.req), c.want)
			if n, err := s.RenamesUnderWay(ctx, "bucket"); n != 0 || err != nil {
				t.Errorf("%d renames are left: %v", n, err)
			}
		})
	}
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "b/", To: "b/"}); err != nil {
		t.Error(err)
	}
	implicit := stat(t, s, "b/")
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "b/", To: "empty/"}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "bucket", "b/y", nil)
	if moved, again := stat(t, s, "empty/"), stat(t, s, "b/"); moved.Inode == again.Inode || again.Inode != implicit.Inode {
		t.Errorf("two directories have the numbers %d and %d", moved.Inode, again.Inode)
	}
}

// TestObserversOfRenames has 64 observers look at a directory that is renamed to and fro. Each look is one listing, which
// must show all of it under one of the names.
func TestObserversOfRenames(t *testing.T) {
	t.Parallel()
	const observers, files = 64, 20
	s := objecttest.New().Open(t, func(o *object.Options) { smallLayout(o); object.SmallMoves(o, 6) })
	newBucket(t, s, "bucket")
	for i := range files {
		put(t, s, "bucket", fmt.Sprintf("old/%02d/x", i), data(10, byte(i)))
	}
	var over atomic.Bool
	var looks, news atomic.Int64
	var all sync.WaitGroup
	for range observers {
		all.Go(func() {
			for !over.Load() {
				if err := observe(s, files, &news); err != nil {
					t.Error(err)
					return
				}
				looks.Add(1)
			}
		})
	}
	names := []string{"old/", "renamed/"}
	for round := range *observedRenames {
		err := s.Rename(context.Background(), object.RenameRequest{Bucket: "bucket", From: names[round%2], To: names[(round+1)%2]})
		if err != nil {
			t.Error(err)
			break
		}
	}
	over.Store(true)
	all.Wait()
	t.Logf("%d looks during %d renames, %d saw the new name", looks.Load(), *observedRenames, news.Load())
}

// observe looks once at everything.
func observe(s *object.Store, files int, news *atomic.Int64) error {
	page, err := s.List(context.Background(), object.ListRequest{Bucket: "bucket", Max: object.MaxListKeys})
	if err != nil {
		return err
	}
	var keys []string
	for _, o := range page.Objects {
		if !strings.HasSuffix(o.Key, "/") {
			keys = append(keys, o.Key)
		}
	}
	if len(keys) != files {
		return fmt.Errorf("%d files are listed, want %d", len(keys), files)
	}
	dir := keys[0][:strings.IndexByte(keys[0], '/')+1]
	if i := slices.IndexFunc(keys, func(key string) bool { return !strings.HasPrefix(key, dir) }); i >= 0 {
		return fmt.Errorf("%q is listed beside %q", keys[i], keys[0])
	}
	if dir == "renamed/" {
		news.Add(1)
	}
	return nil
}

// TestRenameManyObjects renames a directory on a disk, kills the engine in the middle of it, and lets the next one go
// on. It logs how long each part took.
func TestRenameManyObjects(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	d, s, err := openCrashStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	newBucket(t, s, "bucket")
	n := *renamedObjects
	var writers sync.WaitGroup
	for w := range 32 {
		writers.Go(func() {
			for i := w; i < n; i += 32 {
				put(t, s, "bucket", fmt.Sprintf("old/%03d/%06d", i%100, i), data(20, byte(i)))
			}
		})
	}
	writers.Wait()
	began := time.Now()
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "old/", To: "new/"}); err != nil {
		t.Fatal(err)
	}
	answered := time.Since(began)
	settled(t, s)
	t.Logf("%d objects: the rename was answered after %v, and carried out after %v", n, answered, time.Since(began))
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "new/", To: "newer/"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), d.Close()); err != nil { // in the middle of it
		t.Fatal(err)
	}
	if d, s, err = openCrashStore(dir); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	}()
	for _, settle := range []bool{false, true} {
		if settle {
			settled(t, s)
		}
		keys, err := keysOf(s, "")
		if err != nil || len(keys) != n+1 || keys[0] != "newer/" || !strings.HasPrefix(keys[n], "newer/") || !slices.IsSorted(keys) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
	}
	wantCensus(t, s)
}

// TestRenameDirectoryWithOpenFiles has a file open that S3 knows, and one that it does not know yet.
func TestRenameDirectoryWithOpenFiles(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 100} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s := objecttest.New().Open(t, func(o *object.Options) { smallLayout(o); object.SmallMoves(o, batch) })
			newBucket(t, s, "bucket")
			put(t, s, "bucket", "a/known", data(10, 1))
			known, err := s.OpenFile(ctx, "bucket", "a/known")
			if err != nil {
				t.Fatal(err)
			}
			unborn, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: "a/new", Attr: object.Attributes{Mode: 0o100644}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []*object.File{known, unborn} {
				if _, err := f.WriteAt(ctx, []byte("hello"), 0); err != nil {
					t.Fatal(err)
				}
			}
			wantKind(t, s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "b/", To: "a/"}), object.KindNoSuchKey)
			if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "a/", To: "b/"}); err != nil {
				t.Fatal(err)
			}
			for _, f := range []*object.File{known, unborn} {
				if err := errors.Join(f.Sync(ctx), f.Close()); err != nil {
					t.Fatal(err)
				}
			}
			settled(t, s)
			keys, err := keysOf(s, "")
			if want := []string{"b/", "b/known", "b/new"}; err != nil || !slices.Equal(keys, want) {
				t.Errorf("%q, want %q: %v", keys, want, err)
			}
			if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "b/new"}); string(got) != "hello" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func TestExchangeDirectories(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := objecttest.New().Open(t, func(o *object.Options) { smallLayout(o); object.SmallMoves(o, 3) })
	newBucket(t, s, "bucket")
	for i := range 20 {
		put(t, s, "bucket", fmt.Sprintf("a/%02d", i), data(10, 1))
		put(t, s, "bucket", fmt.Sprintf("d/b/%02d", i+10), data(20, 2))
	}
	if _, err := s.Link(ctx, "bucket", "a/15", "d/b/both"); err != nil {
		t.Fatal(err)
	}
	open, err := s.OpenFile(ctx, "bucket", "a/03")
	if err != nil {
		t.Fatal(err)
	}
	exchange := object.RenameRequest{Bucket: "bucket", From: "a/", To: "d/b/", Exchange: true}
	for range 2 {
		if err := s.Rename(ctx, exchange); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Rename(ctx, exchange); err != nil {
		t.Fatal(err)
	}
	if _, err := open.WriteAt(ctx, []byte("changed"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(open.Sync(ctx), open.Close()); err != nil {
		t.Fatal(err)
	}
	settled(t, s)
	for dir, first := range map[string]int{"a/": 10, "d/b/": 0} {
		for i := range 20 {
			if n := stat(t, s, fmt.Sprintf("%s%02d", dir, first+i)); n.Info.Size != int64(10+first) {
				t.Errorf("%+v", n)
			}
		}
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "d/b/03"}); string(got[:7]) != "changed" {
		t.Errorf("an open file was lost: %q", got)
	}
	if n, other := stat(t, s, "a/both"), stat(t, s, "d/b/15"); n.Object != other.Object || n.Links != 2 {
		t.Errorf("%+v, %+v", n, other)
	}
	exchange.To = "none/"
	wantKind(t, s.Rename(ctx, exchange), object.KindNoSuchKey)
	exchange.From, exchange.To = "d/b/", "d/"
	wantKind(t, s.Rename(ctx, exchange), object.KindInvalidArgument)
	if err := s.CheckLinks(ctx); err != nil {
		t.Error(err)
	}
	wantCensus(t, s)
}

// TestUploadKeepsItsKey completes an upload that was begun below the old name of a directory; a bucket can be deleted
// when nothing is left to move.
func TestUploadKeepsItsKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := objecttest.New().Open(t, func(o *object.Options) { smallLayout(o); object.HoldMover(o, 1) })
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "a/x", data(10, 1))
	put(t, s, "bucket", "a/y", data(10, 1))
	if _, err := s.StepMover(ctx); err != nil { // readies it for those who wait
		t.Fatal(err)
	}
	u, err := s.CreateUpload(ctx, object.UploadRequest{Bucket: "bucket", Key: "a/up"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "a/", To: "b/"}); err != nil {
		t.Fatal(err)
	}
	page, err := s.ListUploads(ctx, object.ListUploadsRequest{Bucket: "bucket", Max: 10})
	if err != nil || len(page.Uploads) != 1 || page.Uploads[0].Key != "a/up" {
		t.Fatalf("%+v, %v", page.Uploads, err)
	}
	body := data(20, 2)
	p, err := s.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: "a/up", UploadID: u.UploadID, Number: 1, Body: bytes.NewReader(body), Size: 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: "a/up", UploadID: u.UploadID, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}}); err != nil {
		t.Fatal(err)
	}
	keys, err := keysOf(s, "")
	if want := []string{"a/up", "b/", "b/x", "b/y"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("%q, want %q: %v", keys, want, err)
	}
	if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "b/", To: "c/"}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.DeleteBucket(ctx, "bucket"), object.KindBucketNotEmpty)
	for _, key := range []string{"a/up", "c/", "c/x", "c/y"} {
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	for more := true; more; { // what was under way is over
		if more, err = s.StepMover(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExchangeFileAndDirectory exchanges things of different kinds, to and fro.
func TestExchangeFileAndDirectory(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, batch := range []int{1, 36} {
		s := objecttest.New().Open(t, func(o *object.Options) { smallLayout(o); object.SmallMoves(o, batch) })
		newBucket(t, s, "bucket")
		for _, key := range []string{"f", "p/d/x", "p/d/y", "p/d/z/1"} {
			put(t, s, "bucket", key, data(10, 1))
		}
		file := stat(t, s, "f")
		if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "f", To: "p/d/", Exchange: true}); err != nil {
			t.Fatal(err)
		}
		keys, err := keysOf(s, "")
		if want := []string{"f/", "f/x", "f/y", "f/z/1", "p/", "p/d"}; err != nil || !slices.Equal(keys, want) {
			t.Errorf("%q, want %q: %v", keys, want, err)
		}
		if got := stat(t, s, "p/d"); got.Object != file.Object || got.Inode != file.Inode {
			t.Errorf("%+v, was %+v", got, file)
		}
		dir := stat(t, s, "f/")
		if err := s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: "f/", To: "p/d", Exchange: true}); err != nil {
			t.Fatal(err)
		}
		settled(t, s)
		keys, err = keysOf(s, "")
		if want := []string{"f", "p/", "p/d/", "p/d/x", "p/d/y", "p/d/z/1"}; err != nil || !slices.Equal(keys, want) {
			t.Errorf("%q, want %q: %v", keys, want, err)
		}
		if again := stat(t, s, "p/d/"); again.Inode != dir.Inode || again.Object != dir.Object {
			t.Errorf("%+v, was %+v", again, dir)
		}
	}
}
