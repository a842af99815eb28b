//go:build e2e

package mount

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// observers look at a directory from both sides while it is renamed.
const (
	observers = 64
	inside    = 20 // files
)

// TestRenameIsAtomic renames a directory over and over: every listing of it, by S3 or the mount, shows all that is in it or
// nothing.
func TestRenameIsAtomic(t *testing.T) {
	w := newWorld(t, "--mount-entry-timeout", "1h")
	for i := range inside {
		w.write(fmt.Sprintf("a/d%d/f%d", i%3, i), "x")
	}
	var done atomic.Bool
	var seen atomic.Int64
	var group sync.WaitGroup
	for i := range observers {
		group.Go(func() {
			for name := range strings.SplitSeq(strings.Repeat("a b ", *renames), " ") {
				if done.Load() || t.Failed() || name == "" {
					return
				}
				n, err := w.countFiles(name, i%2 == 0)
				if err != nil || n != 0 && n != inside {
					t.Errorf("%d files below %s, not all and not none, %v", n, name, err)
				}
				if n == inside {
					seen.Add(1)
				}
			}
		})
	}
	for i := range *renames {
		from, to := "a", "b"
		if i%2 == 1 {
			from, to = to, from
		}
		if err := os.Rename(filepath.Join(w.work, from), filepath.Join(w.work, to)); err != nil {
			t.Fatal(err)
		}
	}
	done.Store(true)
	group.Wait()
	if seen.Load() == 0 {
		t.Error("nobody ever saw the files")
	}
}

// countFiles counts the files below a directory, by one listing of S3, or by reading one directory of the mount, where
// whoever has it open goes on with it.
func (w *world) countFiles(name string, byS3 bool) (int, error) {
	if byS3 {
		list, err := w.s3.ListObjectsV2(w.tb.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String(name + "/")})
		if err != nil {
			return 0, err
		}
		n := 0
		for _, o := range list.Contents {
			if !strings.HasSuffix(*o.Key, "/") {
				n++
			}
		}
		return n, nil
	}
	entries, err := os.ReadDir(filepath.Join(w.work, name))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case len(entries) != 3:
		return len(entries), nil
	}
	return inside, nil
}
