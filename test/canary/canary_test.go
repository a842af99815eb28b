package canary

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

var needles = []string{
	"canary-bucket-yellow", "canary-key-finch", "canary-folder-perch", "canary-meta-name-song", "canary-meta-value-seed",
	"canary-content-type-egg", "canary-small-body-wing", "canary-large-body-feather", "canary-part-body-beak",
	"canary-deleted-body-nest", "canary-copied-key-flock",
}

// fill returns a body of about n bytes that repeats a needle at every alignment.
func fill(needle string, n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%s%s", needle, strings.Repeat(".", i%7))
	}
	return b.Bytes()
}

// TestNothingLiesInTheClear is also run over broken builds by TestBrokenBuildsAreFound, which wants it to fail.
func TestNothingLiesInTheClear(t *testing.T) {
	dir := t.TempDir()
	d, err := objecttest.OpenDisk(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := object.Open(context.Background(), d.Options())
	if err != nil {
		t.Fatal(err)
	}
	if err := work(s); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	report(t, data, "while open")
	if _, err := s.Collect(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := d.Badger.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	report(t, data, "after compaction and close")
}

func report(t *testing.T, root, when string) {
	t.Helper()
	found, err := Scan(root, needles)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		rel, _ := filepath.Rel(root, f.File)
		t.Errorf("%s: found %q as %s in %s at %d", when, f.Needle, f.Encoding, rel, f.Offset)
	}
}

// work puts every needle in.
func work(s *object.Store) error {
	ctx := context.Background()
	const bucket, key = "canary-bucket-yellow", "canary-folder-perch/canary-key-finch"
	meta := object.Metadata{
		ContentType: "text/canary-content-type-egg",
		User:        map[string]string{"canary-meta-name-song": "canary-meta-value-seed"},
	}
	if _, err := s.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	put := func(key string, body []byte) error {
		_, err := s.Put(ctx, object.PutRequest{Bucket: bucket, Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Meta: meta})
		return err
	}
	upload, err := s.CreateUpload(ctx, object.UploadRequest{Bucket: bucket, Key: key + "/upload", Meta: meta})
	if err != nil {
		return err
	}
	part := fill("canary-part-body-beak", 5<<20)
	info, err := s.PutPart(ctx, object.PartRequest{Bucket: bucket, Key: key + "/upload", UploadID: upload.UploadID, Number: 1,
		Body: bytes.NewReader(part), Size: int64(len(part))})
	if err != nil {
		return err
	}
	_, err = s.CompleteUpload(ctx, object.CompleteRequest{Bucket: bucket, Key: key + "/upload", UploadID: upload.UploadID, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: info.ETag}}})
	copied := func(to string) error {
		_, err := s.Copy(ctx, object.CopyRequest{SourceBucket: bucket, SourceKey: key, Bucket: bucket, Key: to})
		return err
	}
	return errors.Join(err,
		put(key, fill("canary-small-body-wing", 4000)), put(key+"/large", fill("canary-large-body-feather", 3<<20)),
		put(key+"/deleted", fill("canary-deleted-body-nest", 1<<20)), put(key+"/small", fill("canary-deleted-body-nest", 1000)),
		copied("canary-copied-key-flock"),
		s.Delete(ctx, object.DeleteRequest{Bucket: bucket, Key: key + "/deleted"}),
		s.Delete(ctx, object.DeleteRequest{Bucket: bucket, Key: key + "/small"}))
}

// patch replaces a line of a source file, in a build of its own.
type patch struct{ file, from, to string }

var (
	framesInTheClear = []patch{
		{"cipher/frame.go", "return f.aead.Seal(dst, p.nonce[:], plaintext, p.additional[:])",
			"return append(append(dst, plaintext...), make([]byte, FrameOverhead)...)"},
		{"cipher/frame.go", "if _, err := f.aead.Open(dst[:0:len(dst)], p.nonce[:], sealed, p.additional[:]); err != nil {",
			"if err := error(nil); copy(dst, sealed) < 0 || err != nil {"},
	}
	namesInTheClear = []patch{
		{"metastore/badgerdb/options.go", "b.EncryptionKey = bytes.Clone(o.EncryptionKey.Expose())", "_ = bytes.Clone(o.EncryptionKey.Expose())"},
	}
	valuesInTheClear = append([]patch{
		{"cipher/box.go", "return b.aead(nonce).Seal(dst, nonce[xaesSaltSize:], plaintext, additional)",
			"return append(append(dst, plaintext...), make([]byte, gcmTagSize)...)"},
		{"cipher/box.go", "out, err := b.aead(nonce).Open(dst, nonce[xaesSaltSize:], sealed[boxText:], additional)",
			"_ = nonce\n\tout, err := append(dst, sealed[boxText:len(sealed)-gcmTagSize]...), error(nil)"},
	}, namesInTheClear...)
)

// TestBrokenBuildsAreFound builds the store with its ciphers skipped, one after the other, and wants the scan to see it.
func TestBrokenBuildsAreFound(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		patches []patch
		finds   string
	}{
		"frames": {framesInTheClear, "canary-large-body-feather"},
		"names":  {namesInTheClear, "canary-key-finch"},
		"values": {valuesInTheClear, "canary-meta-value-seed"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("go", "test", "-overlay", overlay(t, root, c.patches), "-count=1", "-run", "^TestNothingLiesInTheClear$", ".")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the scan found nothing in a broken build:\n%s", out)
			}
			if !bytes.Contains(out, []byte(fmt.Sprintf("found %q as plain", c.finds))) {
				t.Fatalf("the broken build failed otherwise:\n%s", out)
			}
		})
	}
}

// overlay writes the patched files and the file that tells the go command of them.
func overlay(t *testing.T, root string, patches []patch) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for i, p := range patches {
		file := filepath.Join(root, p.file)
		from := file
		if replace[file] != "" {
			from = replace[file]
		}
		source, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(source, []byte(p.from)) != 1 {
			t.Fatalf("%s does not have exactly one line %q: adapt the patch", p.file, p.from)
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[file], bytes.Replace(source, []byte(p.from), []byte(p.to), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestScanSeesEveryEncoding(t *testing.T) {
	const needle = "canary-key-finch"
	for name, form := range forms(needle) {
		if got := search("f", append([]byte("\x00junk"), form...), []string{needle}); len(got) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	for pad := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", pad) + needle + "yz"))
		if got := search("f", []byte(coded), []string{needle}); len(got) == 0 {
			t.Errorf("base64 after %d bytes is not found", pad)
		}
	}
	if got := search("f", []byte("canary-key-finc"), []string{needle}); len(got) != 0 {
		t.Errorf("found %v in what is not there", got)
	}
}
