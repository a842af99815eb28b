package disktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/disk"
)

// Run checks that a disk.Volume does what package disk says of what is visible.
// What is durable only a Crash can show. Each call of open gives an empty one.
func Run(t *testing.T, open func(t *testing.T) disk.Volume) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, v disk.Volume)
	}{
		{"create is exclusive", testExclusive},
		{"write appends and read at sees it", testReadWrite},
		{"open is for reading", testReadOnly},
		{"missing names", testMissing},
		{"names outside the root", testNames},
		{"rename replaces", testRename},
		{"remove", testRemove},
		{"a removed file stays readable", testUnlinkedOpen},
		{"read dir", testReadDir},
		{"make directories", testMkdirAll},
		{"a closed file", testClosed},
		{"space", testSpace},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// put makes a file with this content.
func put(t *testing.T, v disk.FS, name, content string) {
	t.Helper()
	f, err := v.Create(name)
	if err != nil {
		t.Fatalf("Create(%q): %v", name, err)
	}
	_, err = io.WriteString(f, content)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatalf("write %q: %v", name, err)
	}
}

// want checks the content of a file.
func want(t *testing.T, v disk.FS, name, content string) {
	t.Helper()
	got, err := disk.ReadFile(v, name, 1<<20)
	if err != nil || string(got) != content {
		t.Errorf("content of %q = %q, %v; want %q", name, got, err, content)
	}
}

func wantErr(t *testing.T, call string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s = %v, want %v", call, err, target)
	}
}

func testExclusive(t *testing.T, v disk.Volume) {
	put(t, v, "a", "first")
	_, err := v.Create("a")
	wantErr(t, "second Create", err, fs.ErrExist)
	want(t, v, "a", "first")
}

func testReadWrite(t *testing.T, v disk.Volume) {
	f, err := v.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range []string{"hello, ", "", "world"} {
		if n, err := io.WriteString(f, s); n != len(s) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", s, n, err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
	if size, err := f.Size(); size != 12 || err != nil {
		t.Errorf("Size = %d, %v; want 12", size, err)
	}
	if err := disk.StartWriteback(f, 0, 12); err != nil {
		t.Errorf("StartWriteback: %v", err)
	}
	for _, c := range []struct {
		off  int64
		len  int
		want string
		err  error
	}{
		{0, 5, "hello", nil},
		{7, 5, "world", nil},
		{7, 9, "world", io.EOF},
		{12, 1, "", io.EOF},
		{99, 1, "", io.EOF},
		{3, 0, "", nil},
	} {
		p := make([]byte, c.len)
		n, err := f.ReadAt(p, c.off)
		if string(p[:n]) != c.want || !errors.Is(err, c.err) {
			t.Errorf("ReadAt(%d bytes, %d) = %q, %v; want %q, %v", c.len, c.off, p[:n], err, c.want, c.err)
		}
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt before the start = %v, want an error", err)
	}
}

func testReadOnly(t *testing.T, v disk.Volume) {
	put(t, v, "a", "x")
	f, err := v.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("y")); err == nil {
		t.Error("Write to a file from Open succeeded")
	}
	want(t, v, "a", "x")
}

func testMissing(t *testing.T, v disk.Volume) {
	_, err := v.Open("a")
	wantErr(t, "Open", err, fs.ErrNotExist)
	_, err = v.Create("d/a")
	wantErr(t, "Create in a missing directory", err, fs.ErrNotExist)
	wantErr(t, "Remove", v.Remove("a"), fs.ErrNotExist)
	wantErr(t, "Rename", v.Rename("a", "b"), fs.ErrNotExist)
	wantErr(t, "SyncDir", v.SyncDir("d"), fs.ErrNotExist)
	_, err = list(v, "d")
	wantErr(t, "ReadDir", err, fs.ErrNotExist)
}

func testNames(t *testing.T, v disk.Volume) {
	put(t, v, "a", "x")
	for _, name := range []string{"..", "../a", "d/../../a", "/a"} {
		_, err := v.Create(name)
		wantErr(t, fmt.Sprintf("Create(%q)", name), err, fs.ErrInvalid)
		_, err = v.Open(name)
		wantErr(t, fmt.Sprintf("Open(%q)", name), err, fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("Remove(%q)", name), v.Remove(name), fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("Rename(%q, b)", name), v.Rename(name, "b"), fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("Rename(a, %q)", name), v.Rename("a", name), fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("MkdirAll(%q)", name), v.MkdirAll(name), fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("SyncDir(%q)", name), v.SyncDir(name), fs.ErrInvalid)
		_, err = list(v, name)
		wantErr(t, fmt.Sprintf("ReadDir(%q)", name), err, fs.ErrInvalid)
	}
	want(t, v, "./a", "x")
	want(t, v, "b/../a", "x")
}

func testRename(t *testing.T, v disk.Volume) {
	mkdir(t, v, "d")
	put(t, v, "a", "new")
	put(t, v, "b", "old")
	for _, r := range [][2]string{{"a", "b"}, {"b", "d/c"}, {"d/c", "d/c"}} {
		if err := v.Rename(r[0], r[1]); err != nil {
			t.Fatalf("Rename(%q, %q): %v", r[0], r[1], err)
		}
		want(t, v, r[1], "new")
	}
	for dir, names := range map[string][]string{".": {"d"}, "d": {"c"}} {
		if got, err := list(v, dir); err != nil || !slices.Equal(got, names) {
			t.Errorf("ReadDir(%q) = %q, %v; want %q", dir, got, err, names)
		}
	}
}

func testRemove(t *testing.T, v disk.Volume) {
	mkdir(t, v, "d")
	put(t, v, "d/a", "x")
	if err := v.Remove("d"); err == nil {
		t.Error("Remove of a directory that is not empty succeeded")
	}
	for _, name := range []string{"d/a", "d"} {
		if err := v.Remove(name); err != nil {
			t.Errorf("Remove(%q): %v", name, err)
		}
	}
	if got, err := list(v, "."); err != nil || len(got) > 0 {
		t.Errorf("ReadDir after Remove = %q, %v; want none", got, err)
	}
}

func testUnlinkedOpen(t *testing.T, v disk.Volume) {
	put(t, v, "a", "kept")
	f, err := v.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := v.Remove("a"); err != nil {
		t.Fatal(err)
	}
	put(t, v, "a", "other")
	p := make([]byte, 4)
	if _, err := f.ReadAt(p, 0); err != nil || string(p) != "kept" {
		t.Errorf("ReadAt of a removed file = %q, %v; want kept", p, err)
	}
}

func testReadDir(t *testing.T, v disk.Volume) {
	mkdir(t, v, "d")
	const files = 600 // more than one batch
	var names []string
	for i := range files {
		name := fmt.Sprintf("f%03d", i)
		put(t, v, "d/"+name, name)
		names = append(names, name)
	}
	mkdir(t, v, "d/sub")
	names = append(names, "sub")
	got, err := list(v, "d")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for e, err := range v.ReadDir("d") {
		if err != nil {
			t.Fatal(err)
		}
		isDir := e.Name == "sub"
		if e.Dir != isDir || !isDir && (e.Size != 4 || e.ModTime.IsZero()) {
			t.Errorf("entry %+v: want a directory: %v, or 4 bytes and a time", e, isDir)
		}
	}
	for range v.ReadDir("d") {
		break // must not go on yielding
	}
}

func testMkdirAll(t *testing.T, v disk.Volume) {
	for _, name := range []string{".", "a/b/c", "a/b/c", "a/d"} {
		if err := v.MkdirAll(name); err != nil {
			t.Errorf("MkdirAll(%q): %v", name, err)
		}
		if err := v.SyncDir(name); err != nil {
			t.Errorf("SyncDir(%q): %v", name, err)
		}
	}
	put(t, v, "a/file", "x")
	if err := v.MkdirAll("a/file/e"); err == nil {
		t.Error("MkdirAll below a file succeeded")
	}
}

func testClosed(t *testing.T, v disk.Volume) {
	f, err := v.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("x"))
	wantErr(t, "Write", err, fs.ErrClosed)
	_, err = f.ReadAt(make([]byte, 1), 0)
	wantErr(t, "ReadAt", err, fs.ErrClosed)
	_, err = f.Size()
	wantErr(t, "Size", err, fs.ErrClosed)
	wantErr(t, "Sync", f.Sync(), fs.ErrClosed)
	wantErr(t, "Close", f.Close(), fs.ErrClosed)
}

func testSpace(t *testing.T, v disk.Volume) {
	sp, err := v.Space()
	if err != nil || sp.Free == 0 || sp.Free > sp.Total {
		t.Errorf("Space = %+v, %v; want 0 < Free <= Total", sp, err)
	}
}

func mkdir(t *testing.T, v disk.Volume, name string) {
	t.Helper()
	if err := v.MkdirAll(name); err != nil {
		t.Fatalf("MkdirAll(%q): %v", name, err)
	}
}

// list gives the names in a directory, sorted.
func list(v disk.FS, dir string) ([]string, error) {
	var names []string
	for e, err := range v.ReadDir(dir) {
		if err != nil {
			return nil, err
		}
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return names, nil
}
