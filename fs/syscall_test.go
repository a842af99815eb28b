package fs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is a user who owns nothing.
const nobody = 65534

// as runs fn with the file system rights of a user and group, on a thread of its own. Only root can.
func as(t *testing.T, uid, gid int, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if _, err := unix.SetfsgidRetGid(gid); err != nil {
			t.Error(err)
		}
		if _, err := unix.SetfsuidRetUid(uid); err != nil {
			t.Error(err)
		}
		fn()
	})
	wg.Wait()
}

// wantErr compares the number of an error; 0 is none.
func wantErr(t *testing.T, what string, err error, want syscall.Errno) {
	t.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Errorf("lstat %s: %v", path, err)
	}
	return st
}

func fstat(t *testing.T, f *os.File) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Errorf("fstat: %v", err)
	}
	return st
}

func create(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

// TestSystemCalls has cases for every group of pjdfstest, each in a directory that everybody may write to.
func TestSystemCalls(t *testing.T) {
	t.Parallel()
	mount := serve(t, "=bucket")
	if err := os.Chmod(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"chmod", testChmod}, {"chown", testChown}, {"link", testLink}, {"mkdir", testMkdir}, {"mkfifo", testMkfifo},
		{"mknod", testMknod}, {"open", testOpen}, {"posix_fallocate", testFallocate}, {"rename", testRename},
		{"renameat2", testRenameFlags}, {"rmdir", testRmdir}, {"symlink", testSymlink}, {"truncate", testTruncate},
		{"unlink", testUnlink}, {"utimensat", testTimes}, {"append", testAppend}, {"mmap", testMmap}, {"locks", testLocks},
		{"holes", testHoles}, {"copy_file_range", testCopyRange}, {"statfs", testStatfs}, {"long names", testLongNames},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(mount, strings.ReplaceAll(c.name, " ", "-"))
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			c.run(t, dir)
		})
	}
}

func testChmod(t *testing.T, dir string) {
	file := filepath.Join(dir, "f")
	create(t, file, "x")
	before := stat(t, file).Ctim
	time.Sleep(2 * time.Millisecond)
	wantErr(t, "chmod", unix.Chmod(file, 0o6711), 0)
	after := stat(t, file)
	if after.Mode&0o7777 != 0o6711 || after.Ctim == before {
		t.Errorf("mode %o, ctime %v, before %v", after.Mode, after.Ctim, before)
	}
	wantErr(t, "chmod of nothing", unix.Chmod(filepath.Join(dir, "none"), 0o600), syscall.ENOENT)
	wantErr(t, "chmod below a file", unix.Chmod(filepath.Join(file, "x"), 0o600), syscall.ENOTDIR)
	as(t, nobody, nobody, func() { wantErr(t, "chmod by another", unix.Chmod(file, 0o600), syscall.EPERM) })
	as(t, nobody, nobody, func() {
		own := filepath.Join(dir, "own")
		create(t, own, "")
		wantErr(t, "chmod by the owner", unix.Chmod(own, 0o2750), 0)
		wantErr(t, "sticky directory", unix.Mkdir(filepath.Join(dir, "sticky"), 0o777), 0)
	})
	sticky := filepath.Join(dir, "sticky")
	wantErr(t, "chmod +t", unix.Chmod(sticky, 0o1777), 0)
	create(t, filepath.Join(sticky, "of-root"), "")
	as(t, 1, 1, func() {
		wantErr(t, "unlink in a sticky directory", unix.Unlink(filepath.Join(sticky, "of-root")), syscall.EPERM)
	})
}

func testChown(t *testing.T, dir string) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	file := filepath.Join(dir, "f")
	create(t, file, "x")
	wantErr(t, "chown", unix.Chown(file, 1, 2), 0)
	if st := stat(t, file); st.Uid != 1 || st.Gid != 2 {
		t.Errorf("owner %d:%d", st.Uid, st.Gid)
	}
	wantErr(t, "chmod", unix.Chmod(file, 0o6755), 0)
	as(t, 1, 2, func() { wantErr(t, "chown that changes nothing", unix.Chown(file, -1, -1), 0) })
	if st := stat(t, file); st.Mode&0o7777 != 0o755 {
		t.Errorf("mode %o: chown leaves privileges", st.Mode)
	}
	wantErr(t, "chmod", unix.Chmod(file, 0o4755), 0)
	as(t, 1, 2, func() { wantErr(t, "chown to another", unix.Chown(file, 3, -1), syscall.EPERM) })
	wantErr(t, "symlink", unix.Symlink("f", filepath.Join(dir, "l")), 0)
	wantErr(t, "lchown", unix.Lchown(filepath.Join(dir, "l"), 7, 8), 0)
	if st := stat(t, filepath.Join(dir, "l")); st.Uid != 7 || st.Gid != 8 {
		t.Errorf("owner of the link %d:%d", st.Uid, st.Gid)
	}
	// A write by somebody else takes set-user-id away.
	wantErr(t, "chmod", unix.Chmod(file, 0o4777), 0)
	as(t, nobody, nobody, func() { create(t, file, "y") })
	if st := stat(t, file); st.Mode&unix.S_ISUID != 0 {
		t.Errorf("mode %o: a write by another leaves set-user-id", st.Mode)
	}
	// What is made in a set-group-id directory has its group.
	sg := filepath.Join(dir, "sg")
	wantErr(t, "mkdir", unix.Mkdir(sg, 0o777), 0)
	wantErr(t, "chown", unix.Chown(sg, 0, 42), 0)
	wantErr(t, "chmod", unix.Chmod(sg, 0o2777), 0)
	create(t, filepath.Join(sg, "f"), "")
	wantErr(t, "mkdir", unix.Mkdir(filepath.Join(sg, "d"), 0o755), 0)
	if f, d := stat(t, filepath.Join(sg, "f")), stat(t, filepath.Join(sg, "d")); f.Gid != 42 || d.Gid != 42 || d.Mode&unix.S_ISGID == 0 {
		t.Errorf("group of the file %d, of the directory %d, its mode %o", f.Gid, d.Gid, d.Mode)
	}
}

func testLink(t *testing.T, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	create(t, a, "x")
	wantErr(t, "link", unix.Link(a, b), 0)
	if sa, sb := stat(t, a), stat(t, b); sa.Ino != sb.Ino || sa.Nlink != 2 || sb.Nlink != 2 {
		t.Errorf("inodes %d and %d, links %d and %d", sa.Ino, sb.Ino, sa.Nlink, sb.Nlink)
	}
	create(t, b, "through the other name")
	if text, err := os.ReadFile(a); string(text) != "through the other name" {
		t.Errorf("a holds %q, %v", text, err)
	}
	open, err := os.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	third := filepath.Join(dir, "third")
	wantErr(t, "a third name", unix.Link(a, third), 0)
	if st := fstat(t, open); st.Nlink != 3 {
		t.Errorf("%d links of an open file, want 3", st.Nlink)
	}
	wantErr(t, "unlink of the third", unix.Unlink(third), 0)
	if st := fstat(t, open); st.Nlink != 2 {
		t.Errorf("%d links of an open file, want 2", st.Nlink)
	}
	wantErr(t, "link over", unix.Link(a, b), syscall.EEXIST)
	wantErr(t, "link of a directory", unix.Link(dir, filepath.Join(dir, "d")), syscall.EPERM)
	wantErr(t, "unlink", unix.Unlink(a), 0)
	if st := stat(t, b); st.Nlink != 1 {
		t.Errorf("links %d after unlink", st.Nlink)
	}
	f, err := os.Create(filepath.Join(dir, "uncommitted"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("y")
	wantErr(t, "link of an uncommitted file", unix.Link(f.Name(), filepath.Join(dir, "c")), 0)
	if text, err := os.ReadFile(filepath.Join(dir, "c")); string(text) != "y" {
		t.Errorf("c holds %q, %v", text, err)
	}
}

func testMkdir(t *testing.T, dir string) {
	sub := filepath.Join(dir, "d")
	before := stat(t, dir).Mtim
	time.Sleep(2 * time.Millisecond)
	wantErr(t, "mkdir", unix.Mkdir(sub, 0o751), 0)
	if st := stat(t, sub); st.Mode != unix.S_IFDIR|0o751 || st.Nlink != 2 {
		t.Errorf("mode %o, links %d", st.Mode, st.Nlink)
	}
	if stat(t, dir).Mtim == before {
		t.Error("the time of the parent did not move")
	}
	wantErr(t, "again", unix.Mkdir(sub, 0o755), syscall.EEXIST)
	create(t, filepath.Join(dir, "f"), "")
	wantErr(t, "over a file", unix.Mkdir(filepath.Join(dir, "f"), 0o755), syscall.EEXIST)
	wantErr(t, "below a file", unix.Mkdir(filepath.Join(dir, "f", "x"), 0o755), syscall.ENOTDIR)
	wantErr(t, "below nothing", unix.Mkdir(filepath.Join(dir, "none", "x"), 0o755), syscall.ENOENT)
	wantErr(t, "chmod", unix.Chmod(sub, 0o755), 0)
	as(t, nobody, nobody, func() {
		wantErr(t, "where one may not write", unix.Mkdir(filepath.Join(sub, "x"), 0o755), syscall.EACCES)
	})
}

func testMkfifo(t *testing.T, dir string) {
	fifo := filepath.Join(dir, "p")
	wantErr(t, "mkfifo", unix.Mkfifo(fifo, 0o640), 0)
	if st := stat(t, fifo); st.Mode != unix.S_IFIFO|0o640 {
		t.Errorf("mode %o", st.Mode)
	}
	wantErr(t, "again", unix.Mkfifo(fifo, 0o640), syscall.EEXIST)
	read := make(chan string)
	go func() {
		text, _ := os.ReadFile(fifo)
		read <- string(text)
	}()
	create(t, fifo, "through the pipe")
	if got := <-read; got != "through the pipe" {
		t.Errorf("read %q", got)
	}
	wantErr(t, "unlink", unix.Unlink(fifo), 0)
}

func testMknod(t *testing.T, dir string) {
	sock := filepath.Join(dir, "s")
	wantErr(t, "mknod of a socket", unix.Mknod(sock, unix.S_IFSOCK|0o600, 0), 0)
	wantErr(t, "open of a socket", func() error { _, err := os.Open(sock); return err }(), syscall.ENXIO)
	wantErr(t, "mknod of a file", unix.Mknod(filepath.Join(dir, "f"), unix.S_IFREG|0o600, 0), 0)
	if os.Geteuid() != 0 {
		return
	}
	dev := filepath.Join(dir, "c")
	wantErr(t, "mknod of a device", unix.Mknod(dev, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))), 0)
	if st := stat(t, dev); st.Mode != unix.S_IFCHR|0o600 || st.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("mode %o, device %x", st.Mode, st.Rdev)
	}
}

func testOpen(t *testing.T, dir string) {
	file := filepath.Join(dir, "f")
	fd, err := unix.Open(file, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o640)
	wantErr(t, "open", err, 0)
	defer unix.Close(fd)
	_, err = unix.Open(file, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o640)
	wantErr(t, "O_EXCL", err, syscall.EEXIST)
	_, err = unix.Open(dir, unix.O_WRONLY, 0)
	wantErr(t, "a directory for writing", err, syscall.EISDIR)
	_, err = unix.Open(filepath.Join(file, "x"), unix.O_RDONLY, 0)
	wantErr(t, "below a file", err, syscall.ENOTDIR)
	_, err = unix.Open(filepath.Join(dir, "none"), unix.O_RDONLY, 0)
	wantErr(t, "nothing", err, syscall.ENOENT)
	if _, err := unix.Write(fd, []byte("hello")); err != nil {
		t.Error(err)
	}
	create(t, file, "") // O_TRUNC
	if st := stat(t, file); st.Size != 0 {
		t.Errorf("size %d after O_TRUNC", st.Size)
	}
	as(t, nobody, nobody, func() {
		_, err := unix.Open(file, unix.O_RDONLY, 0)
		wantErr(t, "without the right", err, syscall.EACCES)
	})
}

func testFallocate(t *testing.T, dir string) {
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString(strings.Repeat("x", 8192))
	fd := int(f.Fd())
	wantErr(t, "grow", unix.Fallocate(fd, 0, 8192, 4096), 0)
	wantErr(t, "keep the size", unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20), 0)
	wantErr(t, "punch", unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 4096), 0)
	wantErr(t, "zero", unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 0, 10), 0)
	wantErr(t, "collapse", unix.Fallocate(fd, unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096), syscall.EOPNOTSUPP)
	wantErr(t, "no length", unix.Fallocate(fd, 0, 0, 0), syscall.EINVAL)
	want := strings.Repeat("\x00", 10) + strings.Repeat("x", 4086) + strings.Repeat("\x00", 8192)
	if text, err := os.ReadFile(f.Name()); string(text) != want {
		t.Errorf("%d bytes, not as they should be, %v", len(text), err)
	}
}

func testRename(t *testing.T, dir string) {
	path := func(name string) string { return filepath.Join(dir, name) }
	create(t, path("a"), "a")
	create(t, path("b"), "b")
	ino := stat(t, path("a")).Ino
	open, err := os.Open(path("b"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	wantErr(t, "over a file", unix.Rename(path("a"), path("b")), 0)
	if stat(t, path("b")).Ino != ino {
		t.Error("another inode after a rename")
	}
	if text, err := io.ReadAll(open); string(text) != "b" {
		t.Errorf("what was replaced reads %q, %v", text, err)
	}
	wantErr(t, "mkdir", unix.Mkdir(path("d"), 0o755), 0)
	wantErr(t, "mkdir", unix.Mkdir(path("e"), 0o755), 0)
	create(t, path("d/f"), "f")
	wantErr(t, "a file over a directory", unix.Rename(path("b"), path("d")), syscall.EISDIR)
	wantErr(t, "a directory over a file", unix.Rename(path("d"), path("b")), syscall.ENOTDIR)
	wantErr(t, "a directory into itself", unix.Rename(path("d"), path("d/x")), syscall.EINVAL)
	wantErr(t, "over a directory that is not empty", unix.Rename(path("e"), path("d")), syscall.ENOTEMPTY)
	held, err := os.Open(path("d/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	wantErr(t, "a directory over an empty one", unix.Rename(path("d"), path("e")), 0)
	if text, err := os.ReadFile(path("e/f")); string(text) != "f" {
		t.Errorf("e/f holds %q, %v", text, err)
	}
	if text, err := io.ReadAll(held); string(text) != "f" {
		t.Errorf("a file that was open while its directory moved reads %q, %v", text, err)
	}
	if _, err := os.Stat(path("d/f")); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("the old path: %v", err)
	}
	f, err := os.Create(path("uncommitted"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("new")
	wantErr(t, "of an uncommitted file", unix.Rename(path("uncommitted"), path("committed")), 0)
	if text, err := os.ReadFile(path("committed")); string(text) != "new" {
		t.Errorf("committed holds %q, %v", text, err)
	}
}

func testRenameFlags(t *testing.T, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	create(t, a, "a")
	create(t, b, "b")
	rename := func(flags uint) error { return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, flags) }
	wantErr(t, "RENAME_NOREPLACE", rename(unix.RENAME_NOREPLACE), syscall.EEXIST)
	wantErr(t, "RENAME_EXCHANGE", rename(unix.RENAME_EXCHANGE), 0)
	for name, want := range map[string]string{a: "b", b: "a"} {
		if text, err := os.ReadFile(name); string(text) != want {
			t.Errorf("%s holds %q, %v", name, text, err)
		}
	}
	wantErr(t, "RENAME_WHITEOUT", rename(unix.RENAME_WHITEOUT), syscall.EINVAL)
}

func testRmdir(t *testing.T, dir string) {
	sub := filepath.Join(dir, "d")
	wantErr(t, "mkdir", unix.Mkdir(sub, 0o755), 0)
	create(t, filepath.Join(sub, "f"), "")
	wantErr(t, "not empty", unix.Rmdir(sub), syscall.ENOTEMPTY)
	wantErr(t, "a file", unix.Rmdir(filepath.Join(sub, "f")), syscall.ENOTDIR)
	wantErr(t, "unlink of a directory", unix.Unlink(sub), syscall.EISDIR)
	wantErr(t, "unlink", unix.Unlink(filepath.Join(sub, "f")), 0)
	wantErr(t, "rmdir", unix.Rmdir(sub), 0)
	wantErr(t, "nothing", unix.Rmdir(sub), syscall.ENOENT)
}

func testSymlink(t *testing.T, dir string) {
	link := filepath.Join(dir, "l")
	wantErr(t, "symlink", unix.Symlink("target of a link", link), 0)
	if st := stat(t, link); st.Mode != unix.S_IFLNK|0o777 || st.Size != 16 {
		t.Errorf("mode %o, size %d", st.Mode, st.Size)
	}
	if target, err := os.Readlink(link); target != "target of a link" {
		t.Errorf("target %q, %v", target, err)
	}
	wantErr(t, "again", unix.Symlink("x", link), syscall.EEXIST)
	wantErr(t, "loop", unix.Symlink("loop", filepath.Join(dir, "loop")), 0)
	_, err := os.Stat(filepath.Join(dir, "loop"))
	wantErr(t, "through a loop", err, syscall.ELOOP)
}

func testTruncate(t *testing.T, dir string) {
	file := filepath.Join(dir, "f")
	create(t, file, "0123456789")
	before := stat(t, file).Mtim
	time.Sleep(2 * time.Millisecond)
	wantErr(t, "shorten", unix.Truncate(file, 4), 0)
	wantErr(t, "lengthen", unix.Truncate(file, 8), 0)
	if text, err := os.ReadFile(file); string(text) != "0123\x00\x00\x00\x00" {
		t.Errorf("%q, %v", text, err)
	}
	if stat(t, file).Mtim == before {
		t.Error("the time of the file did not move")
	}
	wantErr(t, "a directory", unix.Truncate(dir, 0), syscall.EISDIR)
	wantErr(t, "below zero", unix.Truncate(file, -1), syscall.EINVAL)
	wantErr(t, "too large", unix.Truncate(file, 1<<50), syscall.EFBIG)
	as(t, nobody, nobody, func() { wantErr(t, "by another", unix.Truncate(file, 0), syscall.EACCES) })
}

func testUnlink(t *testing.T, dir string) {
	file := filepath.Join(dir, "f")
	create(t, file, "alive")
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wantErr(t, "unlink", unix.Unlink(file), 0)
	wantErr(t, "again", unix.Unlink(file), syscall.ENOENT)
	var st unix.Stat_t
	wantErr(t, "fstat", unix.Fstat(int(f.Fd()), &st), 0)
	if st.Nlink != 0 || st.Size != 5 {
		t.Errorf("links %d, size %d", st.Nlink, st.Size)
	}
	f.WriteAt([]byte("!"), 5)
	if text, err := io.ReadAll(f); string(text) != "alive!" {
		t.Errorf("an unlinked file reads %q, %v", text, err)
	}
	again, err := os.Open("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if text, err := io.ReadAll(again); string(text) != "alive!" {
		t.Errorf("opened again it reads %q, %v", text, err)
	}
	wantErr(t, "fsync", f.Sync(), 0)
}

func testTimes(t *testing.T, dir string) {
	file := filepath.Join(dir, "f")
	create(t, file, "")
	want := []unix.Timespec{{Sec: 1, Nsec: 123456789}, {Sec: 1 << 31, Nsec: 987654321}}
	wantErr(t, "utimensat", unix.UtimesNanoAt(unix.AT_FDCWD, file, want, 0), 0)
	if st := stat(t, file); st.Atim != want[0] || st.Mtim != want[1] {
		t.Errorf("atime %v, mtime %v", st.Atim, st.Mtim)
	}
	omit := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_NOW}}
	wantErr(t, "omit and now", unix.UtimesNanoAt(unix.AT_FDCWD, file, omit, 0), 0)
	if st := stat(t, file); st.Atim != want[0] || st.Mtim.Sec < 1<<30 || st.Mtim == want[1] {
		t.Errorf("atime %v, mtime %v", st.Atim, st.Mtim)
	}
	wantErr(t, "of a directory", unix.UtimesNanoAt(unix.AT_FDCWD, dir, want, 0), 0)
	if st := stat(t, dir); st.Mtim != want[1] {
		t.Errorf("mtime of the directory %v", st.Mtim)
	}
	as(t, nobody, nobody, func() {
		wantErr(t, "by another", unix.UtimesNanoAt(unix.AT_FDCWD, file, want, 0), syscall.EPERM)
	})
}
