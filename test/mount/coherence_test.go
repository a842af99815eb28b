//go:build e2e

package mount

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"
)

// threads compare what S3 and the mount say at the same time.
const threads = 8

// TestCoherence lets the kernel believe for an hour what it was told, so that only notifications can be right: what one
// side has acknowledged, the other shows at once.
func TestCoherence(t *testing.T) {
	w := newWorld(t, "--mount-entry-timeout", "1h")
	var left atomic.Int64
	left.Store(int64(*checks))
	var group sync.WaitGroup
	for i := range threads {
		group.Go(func() {
			c := &comparer{world: w, t: t, thread: i}
			for left.Add(-1) >= 0 && !t.Failed() {
				c.step()
			}
		})
	}
	group.Wait()
}

// comparer is one thread. All work in the same directories, each on keys of its own.
type comparer struct {
	*world
	t      *testing.T
	thread int
	count  int
}

func (c *comparer) step() {
	c.count++
	dir := fmt.Sprintf("shared/%d", c.count%5)
	key := fmt.Sprintf("%s/thread-%d-%d", dir, c.thread, c.count%3)
	text := fmt.Sprintf("%d of thread %d", c.count, c.thread)
	switch c.count % 6 {
	case 0:
		c.put(key, text)
		c.stat(key, int64(len(text)))
	case 1:
		c.put(key, text)
		c.read(key, text)
	case 2:
		c.writeFile(key, text)
		c.get(key, text)
	case 3:
		c.remove(key)
		c.absent(key)
		c.put(key, text)
		c.read(key, text)
	case 4:
		c.writeFile(key, text)
		c.put(key, text+" again")
		c.read(key, text+" again")
	case 5:
		// A directory that comes and goes with what is in it.
		key = fmt.Sprintf("gone-%d/x/y", c.thread)
		c.absent(key)
		c.put(key, text)
		c.read(key, text)
		c.remove(key)
		c.absent(filepath.Dir(key))
	}
}

func (c *comparer) put(key, text string) {
	_, err := c.s3.PutObject(c.t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader([]byte(text))})
	if err != nil {
		c.t.Errorf("put %s: %v", key, err)
	}
}

func (c *comparer) remove(key string) {
	if _, err := c.s3.DeleteObject(c.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
		c.t.Errorf("delete %s: %v", key, err)
	}
}

func (c *comparer) get(key, want string) {
	out, err := c.s3.GetObject(c.t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		c.t.Errorf("get %s: %v", key, err)
		return
	}
	defer out.Body.Close()
	if text, err := io.ReadAll(out.Body); string(text) != want {
		c.t.Errorf("S3 gives %q for %s, not %q: %v", text, key, want, err)
	}
}

func (c *comparer) stat(key string, size int64) {
	if info, err := os.Stat(filepath.Join(c.work, key)); err != nil || info.Size() != size {
		c.t.Errorf("stat %s: %v, %v, want %d bytes", key, info, err, size)
	}
}

func (c *comparer) read(key, want string) {
	if text, err := os.ReadFile(filepath.Join(c.work, key)); string(text) != want {
		c.t.Errorf("the mount gives %q for %s, not %q: %v", text, key, want, err)
	}
}

func (c *comparer) absent(key string) {
	if _, err := os.Lstat(filepath.Join(c.work, key)); !errors.Is(err, os.ErrNotExist) {
		c.t.Errorf("%s is still there: %v", key, err)
	}
}

func (c *comparer) writeFile(key, text string) {
	path := filepath.Join(c.work, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Error(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Errorf("write %s: %v", key, err)
	}
}

// TestReplaced keeps a file open while S3 replaces it: the reader goes on with the version that it opened, a writer is
// told that what it wrote is lost.
func TestReplaced(t *testing.T) {
	w := newWorld(t, "--mount-entry-timeout", "1h")
	c := &comparer{world: w, t: t}
	c.writeFile("f", "old")
	path := filepath.Join(w.work, "f")
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	c.put("f", "new")
	c.read("f", "new")
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) {
		t.Error("what S3 put has the inode of what it replaced")
	}
	if text, err := io.ReadAll(reader); string(text) != "old" {
		t.Errorf("who had the file open reads %q, %v", text, err)
	}
	if _, err := writer.WriteAt([]byte("dirty"), 0); err != nil {
		t.Error(err)
	}
	if err := writer.Sync(); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("fsync of what was replaced: %v, want ESTALE", err)
	}
	c.get("f", "new")
}

// TestS3Side shows S3 in extended attributes, and those in S3.
func TestS3Side(t *testing.T) {
	w := newWorld(t)
	c := &comparer{world: w, t: t}
	c.writeFile("page.html", "<p>")
	path := filepath.Join(w.work, "page.html")
	if err := unix.Setxattr(path, "user.s3.meta.color", []byte("red"), 0); err != nil {
		t.Fatal(err)
	}
	head := func() *s3.HeadObjectOutput {
		out, err := w.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("page.html")})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := head()
	if out.Metadata["color"] != "red" || aws.ToString(out.ContentType) != "text/html; charset=utf-8" {
		t.Errorf("metadata %v, type %s", out.Metadata, aws.ToString(out.ContentType))
	}
	value := make([]byte, 100)
	n, err := unix.Getxattr(path, "user.s3.etag", value)
	if err != nil || `"`+string(value[:max(n, 0)])+`"` != aws.ToString(out.ETag) {
		t.Errorf("etag %q, %v, S3 says %s", value[:max(n, 0)], err, aws.ToString(out.ETag))
	}
	if err := unix.Setxattr(path, "user.s3.etag", []byte("x"), 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("setting what can only be read: %v", err)
	}
	c.writeFile("page.html", "<p>longer")
	if out := head(); out.Metadata["color"] != "red" || aws.ToString(out.ContentType) != "text/html; charset=utf-8" {
		t.Errorf("after a rewrite: metadata %v, type %s", out.Metadata, aws.ToString(out.ContentType))
	}
}

// TestKeysThatAreNoPaths reads keys that a path cannot name, under their aliases, and removes them.
func TestKeysThatAreNoPaths(t *testing.T) {
	w := newWorld(t)
	c := &comparer{world: w, t: t}
	long := string(bytes.Repeat([]byte("l"), 600))
	keys := map[string]string{
		"a": "@s3.file.a", "a/b": "a/b", "x//y": "x/@s3.empty/y", "./z": "@s3.dot/z", "../z": "@s3.dotdot/z",
		"@s3.dot": "@s3.name.@s3.dot", long: "",
	}
	for key := range keys {
		c.put(key, "the text of "+key)
	}
	seen := map[string]bool{}
	err := filepath.WalkDir(w.work, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(w.work, path)
		key := string(bytes.TrimPrefix(text, []byte("the text of ")))
		if alias, ok := keys[key]; !ok || alias != "" && alias != rel {
			t.Errorf("%s holds %q", rel, text)
		}
		seen[key] = true
		return err
	})
	if err != nil || len(seen) != len(keys) {
		t.Errorf("%d of %d keys are seen, %v", len(seen), len(keys), err)
	}
	if err := os.RemoveAll(filepath.Join(w.work, "x")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(w.work)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(w.work, e.Name())); err != nil {
			t.Error(err)
		}
	}
	list, err := w.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil || len(list.Contents) != 0 {
		t.Errorf("%d keys are left, %v", len(list.Contents), err)
	}
}
