package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/local"
)

// cheap keeps Argon2id short.
func cheap() local.Cost { return local.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1} }

const masterKey = "canary-master-key"

func options(path string) local.DirectoryOptions {
	return local.DirectoryOptions{Path: path, MasterKey: []byte(masterKey), Cost: cheap()}
}

func openDirectory(t *testing.T, o local.DirectoryOptions) *local.Directory {
	t.Helper()
	d, err := local.OpenDirectory(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDirectoryConformance(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(t *testing.T) kmstest.Backend { return openDirectory(t, options(t.TempDir())) })
}

func TestDirectoryReopen(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "a", "b"))
	d := openDirectory(t, o)
	if _, err := d.CreateKey(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	kek, w, err := d.GenerateKEK(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.OpenDirectory(t.Context(), o); !errors.Is(err, local.ErrInUse) || !errors.Is(err, kms.Configuration) {
		t.Errorf("opened twice: %v", err)
	}
	instance := d.Instance()
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}

	wrong := o
	wrong.MasterKey = []byte("another-canary")
	_, err = local.OpenDirectory(t.Context(), wrong)
	if !errors.Is(err, local.ErrMasterKey) || !errors.Is(err, kms.Configuration) || strings.Contains(err.Error(), "canary") {
		t.Errorf("wrong master key: %v", err)
	}
	moved := o
	moved.Path = filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(o.Path, moved.Path); err != nil {
		t.Fatal(err)
	}
	moved.Cost = local.Cost{MemoryKiB: 128, Passes: 2, Lanes: 2} // that of the file counts
	d = openDirectory(t, moved)
	got, err := d.Unwrap(t.Context(), w, nil)
	if err != nil || !got.Equal(kek) || d.Instance() != instance {
		t.Errorf("moved: instance %v, was %v, %v", d.Instance(), instance, err)
	}
}

func TestDirectoryRefuses(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	change := func(fn func(o *local.DirectoryOptions)) local.DirectoryOptions {
		o := options(filepath.Join(t.TempDir(), "keys"))
		o.Outside = []string{data}
		fn(&o)
		return o
	}
	for name, tt := range map[string]struct {
		o    local.DirectoryOptions
		want error
	}{
		"relative":            {change(func(o *local.DirectoryOptions) { o.Path = "keys" }), nil},
		"no master key":       {change(func(o *local.DirectoryOptions) { o.MasterKey = nil }), nil},
		"long master key":     {change(func(o *local.DirectoryOptions) { o.MasterKey = make([]byte, 2000) }), nil},
		"cost":                {change(func(o *local.DirectoryOptions) { o.Cost.Lanes = 65 }), nil},
		"the data directory":  {change(func(o *local.DirectoryOptions) { o.Path = data }), local.ErrInside},
		"below data":          {change(func(o *local.DirectoryOptions) { o.Path = filepath.Join(data, "x", "y") }), local.ErrInside},
		"below data, by link": {change(func(o *local.DirectoryOptions) { o.Path = filepath.Join(link, "x") }), local.ErrInside},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := local.OpenDirectory(t.Context(), tt.o)
			if !errors.Is(err, kms.Configuration) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) != 0 {
		t.Errorf("%d entries in the data directory, %v", len(entries), err)
	}
}

// TestDirectoryNeverMadeAnew loses one file at a time.
func TestDirectoryNeverMadeAnew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(path string) error
		want  error
	}{
		"no master file":   {func(p string) error { return os.Remove(filepath.Join(p, "master")) }, local.ErrMissing},
		"cut master file":  {func(p string) error { return os.Truncate(filepath.Join(p, "master"), 9) }, local.ErrDamaged},
		"no instance file": {func(p string) error { return os.Remove(filepath.Join(p, "keyring", "instance")) }, local.ErrMissing},
		"no keyring":       {func(p string) error { return os.RemoveAll(filepath.Join(p, "keyring")) }, local.ErrMissing},
		"newer master file": {func(p string) error {
			return os.WriteFile(filepath.Join(p, "master"), []byte("CFLM\x02"), 0o600)
		}, local.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t.TempDir())
			d := openDirectory(t, o)
			if _, err := d.CreateKey(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			_ = d.Close()
			if err := tt.spoil(o.Path); err != nil {
				t.Fatal(err)
			}
			if _, err := local.OpenDirectory(t.Context(), o); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestDirectoryFinishesCreation begins after a power cut between the two files.
func TestDirectoryFinishesCreation(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	if err := os.Mkdir(filepath.Join(o.Path, "keyring"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := local.OpenDirectory(t.Context(), o); !errors.Is(err, local.ErrMissing) {
		t.Fatalf("a directory that is not empty: %v", err)
	}
	if err := os.Remove(filepath.Join(o.Path, "keyring")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Path, "master.00.tmp"), nil, 0o600); err != nil {
		t.Fatal(err) // left by a power cut
	}
	openDirectory(t, o)
}
