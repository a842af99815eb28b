package fs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// testAppend lets several append at once: every line arrives whole.
func testAppend(t *testing.T, dir string) {
	file := filepath.Join(dir, "log")
	const writers, lines = 4, 50
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for range lines {
				f.WriteString(strings.Repeat(string(rune('a'+i)), 20) + "\n")
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(file)
	if err != nil || len(text) != writers*lines*21 {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	for line := range bytes.Lines(text) {
		if len(line) != 21 || strings.Trim(string(line[:20]), string(line[:1])) != "" {
			t.Errorf("torn line %q", line)
		}
	}
}

// testMmap writes through a shared map, which readers see at once, and others after it was written back; also in a file
// that is open for appending.
func testMmap(t *testing.T, dir string) {
	for _, c := range []struct {
		name string
		flag int
	}{{"plain", 0}, {"append", os.O_APPEND}} {
		file := filepath.Join(dir, c.name)
		create(t, file, strings.Repeat("x", 10_000))
		f, err := os.OpenFile(file, os.O_RDWR|c.flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		m, err := unix.Mmap(int(f.Fd()), 0, 10_000, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		copy(m[5000:], "mapped")
		f.Close() // the map lives on
		wantErr(t, "msync", unix.Msync(m, unix.MS_SYNC), 0)
		wantErr(t, "munmap", unix.Munmap(m), 0)
		text, err := os.ReadFile(file)
		if len(text) != 10_000 || string(text[4999:5007]) != "xmappedx" {
			t.Errorf("%s: %d bytes, %q, %v", c.name, len(text), text[4999:5007], err)
		}
	}
}

// testLocks takes locks in two processes: those of the kernel are right, for the files of one machine.
func testLocks(t *testing.T, dir string) {
	file := filepath.Join(dir, "f")
	create(t, file, "")
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other := func() error { return exec.Command("flock", "--nonblock", file, "true").Run() }
	wantErr(t, "flock", unix.Flock(int(f.Fd()), unix.LOCK_EX), 0)
	if other() == nil {
		t.Error("another process has the lock too")
	}
	wantErr(t, "unlock", unix.Flock(int(f.Fd()), unix.LOCK_UN), 0)
	if err := other(); err != nil {
		t.Errorf("the lock is still held: %v", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	wantErr(t, "an open file description's lock", unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock), 0)
	g, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	wantErr(t, "another's", unix.FcntlFlock(g.Fd(), unix.F_OFD_SETLK, &lock), syscall.EAGAIN)
}

func testHoles(t *testing.T, dir string) {
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const mib = 1 << 20
	f.WriteAt([]byte("end"), 4*mib)
	f.Sync()
	size := int64(4*mib + 3)
	data, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA)
	if err != nil || data < mib || data > 4*mib {
		t.Errorf("data at %d, %v", data, err)
	}
	if hole, err := unix.Seek(int(f.Fd()), 4*mib, unix.SEEK_HOLE); err != nil || hole != size {
		t.Errorf("hole at %d, %v", hole, err)
	}
	_, err = unix.Seek(int(f.Fd()), size, unix.SEEK_DATA)
	wantErr(t, "behind the end", err, syscall.ENXIO)
	wantErr(t, "punch", unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, size), 0)
	if text, err := os.ReadFile(f.Name()); int64(len(text)) != size || bytes.Trim(text, "\x00") != nil && len(bytes.Trim(text, "\x00")) > 0 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func testCopyRange(t *testing.T, dir string) {
	source := filepath.Join(dir, "a")
	text := strings.Repeat("0123456789abcdef", 20_000)
	create(t, source, text)
	from, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	to.WriteString("head")
	var in, out int64 = 100, 4
	for left := len(text) - 100; left > 0; {
		n, err := unix.CopyFileRange(int(from.Fd()), &in, int(to.Fd()), &out, left, 0)
		if err != nil || n == 0 {
			t.Fatalf("%d bytes left: %d, %v", left, n, err)
		}
		left -= n
	}
	if got, err := os.ReadFile(to.Name()); string(got) != "head"+text[100:] {
		t.Errorf("%d bytes, not as they should be, %v", len(got), err)
	}
}

func testStatfs(t *testing.T, dir string) {
	var st unix.Statfs_t
	wantErr(t, "statfs", unix.Statfs(dir, &st), 0)
	if st.Namelen != maxName || st.Bavail == 0 || st.Blocks < st.Bavail {
		t.Errorf("%+v", st)
	}
}

func testLongNames(t *testing.T, dir string) {
	create(t, filepath.Join(dir, strings.Repeat("n", 255)), "x")
	_, err := os.Create(filepath.Join(dir, strings.Repeat("n", 256)))
	wantErr(t, "256 bytes", err, syscall.ENAMETOOLONG)
	_, err = os.Lstat(filepath.Join(dir, strings.Repeat("n", 256)))
	wantErr(t, "lookup of 256 bytes", err, syscall.ENAMETOOLONG)
	_, err = os.Create(filepath.Join(dir, "@s3.dot", "x"))
	wantErr(t, "below an alias of nothing", err, syscall.ENOENT)
	_, err = os.Create(filepath.Join(dir, "@s3.file.x"))
	wantErr(t, "an alias of what is no collision", err, syscall.EINVAL)
	wantErr(t, "mkdir of an alias", unix.Mkdir(filepath.Join(dir, "@s3.dot"), 0o755), 0)
	create(t, filepath.Join(dir, "@s3.dot", "x"), "y")
	wantErr(t, "mkdir", unix.Mkdir(filepath.Join(dir, "both"), 0o755), 0)
	create(t, filepath.Join(dir, "@s3.file.both"), "beside")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "@s3.dot @s3.file.both both "+strings.Repeat("n", 255) {
		t.Errorf("names %s", got)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "@s3.file.both")); string(text) != "beside" {
		t.Errorf("%q, %v", text, err)
	}
	wantErr(t, "unlink", unix.Unlink(filepath.Join(dir, "@s3.file.both")), 0)
	if _, err := os.Stat(filepath.Join(dir, "both")); err != nil {
		t.Errorf("the directory went along: %v", err)
	}
}

// TestBuckets makes and removes buckets in the mount's root.
func TestBuckets(t *testing.T) {
	t.Parallel()
	mount := serve(t, "")
	path := func(name string) string { return filepath.Join(mount, name) }
	wantErr(t, "mkdir", os.Mkdir(path("photos"), 0o750), 0)
	if st := stat(t, path("photos")); st.Mode != unix.S_IFDIR|0o750 {
		t.Errorf("mode %o", st.Mode)
	}
	wantErr(t, "again", os.Mkdir(path("photos"), 0o750), syscall.EEXIST)
	wantErr(t, "an illegal name", os.Mkdir(path("No_Bucket"), 0o750), syscall.EINVAL)
	_, err := os.Create(path("file"))
	wantErr(t, "a file in the root", err, syscall.EPERM)
	create(t, path("photos/a"), "x")
	wantErr(t, "rename across buckets", os.Rename(path("photos/a"), path("bucket/a")), syscall.EXDEV)
	wantErr(t, "rename of a bucket", os.Rename(path("photos"), path("pictures")), syscall.EXDEV)
	wantErr(t, "link across buckets", os.Link(path("photos/a"), path("bucket/a")), syscall.EXDEV)
	wantErr(t, "rmdir", unix.Rmdir(path("photos")), syscall.ENOTEMPTY)
	wantErr(t, "unlink", unix.Unlink(path("photos/a")), 0)
	wantErr(t, "rmdir", unix.Rmdir(path("photos")), 0)
	entries, err := os.ReadDir(mount)
	if err != nil || len(entries) != 1 || entries[0].Name() != "bucket" {
		t.Errorf("entries %v, %v", entries, err)
	}
	wantErr(t, "chmod of the root", os.Chmod(mount, 0o700), syscall.EPERM)
	f, err := os.Open(mount)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Readdirnames(1); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestPrefix mounts a directory of a bucket.
func TestPrefix(t *testing.T) {
	t.Parallel()
	all := serve(t, "=bucket")
	wantErr(t, "mkdir", os.MkdirAll(filepath.Join(all, "x/y"), 0o755), 0)
	needFUSE(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestServe$")
	cmd.Env = append(os.Environ(), serveDir+"="+filepath.Join(t.TempDir(), "m")+"=bucket/none")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("a directory that is not there was mounted: %s", out)
	}
}
