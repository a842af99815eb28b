//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fixture is what every client uploads.
type fixture struct {
	tree     string            // a directory
	files    map[string]string // the SHA-256 of each file below tree, by slash-separated name
	large    string            // a file
	largeSum string
}

// awkward names are legal in a file system and in S3, and tempting to get wrong
// in a URL, a signature, an XML document or a listing.
func awkward() []string {
	return []string{
		"space in name.txt", "plus+sign.txt", "and&equals=.txt", "per%20cent%.txt", "question?.txt", "hash#.txt",
		"semi;colon:at@dollar$comma,.txt", "quote's\"double.txt", "less<than>greater.txt", "paren(1)[2]{3}.txt",
		"tilde~caret^.txt", "star*pipe|bang!.txt", "ümläut-日本語-🙂.txt", "decomposed-u\u0308.txt", ".hidden",
		"directory with space/päth/file", "empty",
	}
}

func newFixture(t *testing.T, dir string) *fixture {
	t.Helper()
	f := &fixture{tree: filepath.Join(dir, "tree"), large: filepath.Join(dir, "large.bin")}
	source, err := options.source()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(f.tree, "real"), os.DirFS(source)); err != nil {
		t.Fatalf("copying the tree: %v", err)
	}
	for i, name := range awkward() {
		path := filepath.Join(f.tree, "awkward", filepath.FromSlash(name))
		content := fmt.Sprintf("file %d: %s\n", i, name)
		if name == "empty" {
			content = ""
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.files = hashTree(t, f.tree)
	f.largeSum = f.writeLarge(t)
	var bytes int64
	for name := range f.files {
		info, err := os.Stat(filepath.Join(f.tree, name))
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	t.Logf("tree: %d files, %d bytes; large file: %s", len(f.files), bytes, *options.large)
	return f
}

// writeLarge makes a file that does not compress and does not repeat.
func (f *fixture) writeLarge(t *testing.T) string {
	t.Helper()
	size, err := options.largeSize()
	if err != nil {
		t.Fatalf("-large: %v", err)
	}
	file, err := os.Create(f.large)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	_, err = io.CopyN(io.MultiWriter(file, hash), rand.NewChaCha8([32]byte{'l', 'a', 'r', 'g', 'e'}), size)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// keys lists what a bucket holds after uploads below tree/ and to others.
func (f *fixture) keys(others ...string) []string {
	keys := slices.Clone(others)
	for name := range f.files {
		keys = append(keys, "tree/"+name)
	}
	slices.Sort(keys)
	return keys
}

// names lists the files of the tree, sorted.
func (f *fixture) names() []string { return slices.Sorted(maps.Keys(f.files)) }

// hashTree gives the SHA-256 of every file below root, by slash-separated name.
func hashTree(t *testing.T, root string) map[string]string {
	t.Helper()
	sums := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		sums[filepath.ToSlash(name)] = hashFile(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func hashFile(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
