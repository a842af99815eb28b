package localdisk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"coffer/chunk"
	"coffer/chunk/chunktest"
	"coffer/chunk/localdisk"
	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, v disk.Volume) *localdisk.Store {
	t.Helper()
	s, err := localdisk.Open(t.Context(), localdisk.Options{FS: v})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSuiteOS(t *testing.T) {
	t.Parallel()
	chunktest.Run(t, func(t *testing.T) chunk.Store { return open(t, disk.NewOS(t.TempDir())) })
}

func TestSuiteMemory(t *testing.T) {
	t.Parallel()
	chunktest.Run(t, func(t *testing.T) chunk.Store {
		v := disktest.NewCrash(disktest.Options{})
		t.Cleanup(func() {
			if n := v.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
		return open(t, v)
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	if _, err := localdisk.Open(t.Context(), localdisk.Options{}); err == nil {
		t.Error("Open without a file system succeeded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := disktest.NewCrash(disktest.Options{})
	if _, err := localdisk.Open(ctx, localdisk.Options{FS: v}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open, cancelled = %v", err)
	}
	s, err := localdisk.Open(t.Context(), localdisk.Options{FS: v, Dir: "deep/down"})
	must(t, err)
	id := cipher.NewChunkID()
	must(t, commit(t.Context(), s, id, []byte("x")))
	if _, err := v.Open("deep/down/" + id.String()[:2] + "/" + id.String()); err != nil {
		t.Errorf("the chunk's file: %v", err)
	}
}

// commit makes a chunk.
func commit(ctx context.Context, s chunk.Store, id cipher.ChunkID, data []byte) error {
	w, err := s.Create(ctx, id)
	if err != nil {
		return err
	}
	if _, err = w.Write(data); err == nil {
		err = w.Commit(ctx)
	}
	return errors.Join(err, w.Abort())
}

// TestLayout holds what is on the medium: names, modes and bytes.
func TestLayout(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "data")
	s := open(t, disk.NewOS(root))
	defer s.Close()
	id, err := cipher.ParseChunkID("3fa0112233445566778899aabbccddee")
	must(t, err)
	must(t, commit(t.Context(), s, id, []byte("sealed")))

	got, err := os.ReadFile(filepath.Join(root, "chunks", "3f", "3fa0112233445566778899aabbccddee"))
	if err != nil || string(got) != "sealed" {
		t.Errorf("the chunk's file = %q, %v; want its bytes", got, err)
	}
	dirs, files := 0, 0
	must(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if info.IsDir() {
			dirs++
			want = os.ModeDir | 0o700
		} else {
			files++
		}
		if info.Mode() != want {
			t.Errorf("mode of %s = %v, want %v", path, info.Mode(), want)
		}
		return err
	}))
	if dirs != 258 || files != 1 {
		t.Errorf("%d directories and %d files, want 258 and 1", dirs, files)
	}
}

// TestReopen finds the chunks of an earlier process.
func TestReopen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := cipher.NewChunkID()
	first := open(t, disk.NewOS(root))
	must(t, commit(t.Context(), first, id, []byte("sealed")))
	must(t, first.Close())
	second := open(t, disk.NewOS(root))
	defer second.Close()
	r, err := second.Open(t.Context(), id)
	must(t, err)
	defer r.Close()
	p := make([]byte, 6)
	if _, err := r.ReadAt(p, 0); err != nil || string(p) != "sealed" {
		t.Errorf("ReadAt = %q, %v", p, err)
	}
	if _, err := second.Create(t.Context(), id); !errors.Is(err, chunk.ErrExists) {
		t.Errorf("Create = %v, want ErrExists", err)
	}
}

func TestStrays(t *testing.T) {
	t.Parallel()
	v := disktest.NewCrash(disktest.Options{})
	s := open(t, v)
	defer s.Close()
	good, err := cipher.ParseChunkID("ab000000000000000000000000000001")
	must(t, err)
	must(t, commit(t.Context(), s, good, []byte("x")))

	strays := []string{
		"chunks/README",
		"chunks/00x",
		"chunks/ab/ab00000000000000000000000000000",    // a digit short
		"chunks/ab/ab0000000000000000000000000000011",  // a digit long
		"chunks/ab/AB000000000000000000000000000001",   // upper case
		"chunks/ab/ab00000000000000000000000000000g",   // no digit
		"chunks/ab/cd000000000000000000000000000001",   // of another directory
		"chunks/ab/ab000000000000000000000000000001.t", // an ending
	}
	for _, name := range strays {
		f, err := v.Create(name)
		must(t, err)
		must(t, f.Close())
	}
	for _, name := range []string{"chunks/zz", "chunks/ab/ab000000000000000000000000000002"} { // directories
		must(t, v.MkdirAll(name))
		strays = append(strays, name)
	}

	for info, err := range s.List(t.Context()) {
		if err != nil || info.ID != good {
			t.Errorf("List shows %v, %v", info, err)
		}
	}
	if n := s.Stats().Strays; n != int64(len(strays)) {
		t.Errorf("Stats().Strays = %d, want %d", n, len(strays))
	}
	var got []string
	for name, err := range s.Strays(t.Context()) {
		must(t, err)
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(strays)
	if diff := cmp.Diff(strays, got); diff != "" {
		t.Errorf("Strays (-want +got):\n%s", diff)
	}
	for range s.Strays(t.Context()) {
		break
	}
	for _, name := range strays {
		if err := v.Rename(name, name); errors.Is(err, os.ErrNotExist) {
			t.Errorf("stray %s was removed", name)
		}
	}
}

// TestNoSpace fills a file system; the failed chunk gives its room back.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	v := disktest.NewCrash(disktest.Options{Capacity: 1000})
	s := open(t, v)
	defer s.Close()
	a, b := cipher.NewChunkID(), cipher.NewChunkID()
	must(t, commit(t.Context(), s, a, make([]byte, 600)))
	if err := commit(t.Context(), s, b, make([]byte, 600)); !errors.Is(err, chunk.ErrNoSpace) || !disk.IsNoSpace(err) {
		t.Errorf("commit into a full file system = %v, want ErrNoSpace", err)
	}
	sp, err := s.Space(t.Context())
	if err != nil || sp != (disk.Space{Free: 400, Total: 1000}) {
		t.Errorf("Space = %+v, %v; want 400 of 1000", sp, err)
	}
	must(t, commit(t.Context(), s, b, make([]byte, 400)))
	must(t, s.Remove(t.Context(), a))
	if sp, _ := s.Space(t.Context()); sp.Free != 600 {
		t.Errorf("free after removal = %d, want 600", sp.Free)
	}
}

// TestErrorsNameTheChunk: an operator who reads the log finds the file.
func TestErrorsNameTheChunk(t *testing.T) {
	t.Parallel()
	s := open(t, disktest.NewCrash(disktest.Options{}))
	defer s.Close()
	id := cipher.NewChunkID()
	_, err := s.Open(t.Context(), id)
	if err == nil || !strings.Contains(err.Error(), "open "+id.String()) {
		t.Errorf("Open = %v; want the operation and the id", err)
	}
}

// TestWriteback: writing to the medium begins in steps, each byte once.
func TestWriteback(t *testing.T) {
	t.Parallel()
	var steps []int
	v := disktest.NewFaulty(disktest.NewCrash(disktest.Options{}), func(c disktest.Call) *disktest.Fault {
		if c.Op == disktest.OpWriteback {
			steps = append(steps, c.Len)
		}
		return nil
	})
	s := open(t, v)
	defer s.Close()
	w, err := s.Create(t.Context(), cipher.NewChunkID())
	must(t, err)
	unit := make([]byte, 3<<19)
	for range 5 {
		_, err := w.Write(unit)
		must(t, err)
	}
	must(t, w.Commit(t.Context()))
	if want := []int{3 << 20, 3 << 20}; !slices.Equal(steps, want) {
		t.Errorf("steps of writeback: %d, want %d", steps, want)
	}
}
