package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOSSuite(t *testing.T) {
	t.Parallel()
	disktest.Run(t, func(t *testing.T) disk.Volume { return disk.NewOS(t.TempDir()) })
}

func TestOSModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes of Unix")
	}
	root := filepath.Join(t.TempDir(), "deep", "root")
	v := disk.NewOS(root)
	if err := v.MkdirAll("d/e"); err != nil {
		t.Fatal(err)
	}
	f, err := v.Create("d/e/file")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{
		"..": fs.ModeDir | 0o700, ".": fs.ModeDir | 0o700, "d": fs.ModeDir | 0o700, "d/e": fs.ModeDir | 0o700,
		"d/e/file": 0o600,
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("mode of %s = %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestOSRootIsAFile(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, filepath.Join(root, "below")} {
		if err := disk.NewOS(dir).MkdirAll("."); err == nil {
			t.Errorf("MkdirAll of root %s succeeded where a file is", dir)
		}
	}
}

func TestReadFileLimit(t *testing.T) {
	t.Parallel()
	v := disktest.NewCrash(disktest.Options{})
	if err := disk.WriteFileAtomic(v, ".", "f", make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if data, err := disk.ReadFile(v, "f", 100); len(data) != 100 || err != nil {
		t.Errorf("ReadFile at its limit = %d bytes, %v; want 100", len(data), err)
	}
	if _, err := disk.ReadFile(v, "f", 99); !errors.Is(err, disk.ErrTooLarge) {
		t.Errorf("ReadFile beyond its limit = %v, want ErrTooLarge", err)
	}
	if n := v.OpenFiles(); n != 0 {
		t.Errorf("%d files are still open", n)
	}
}
