package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/fs"
)

// TestMount gives mounts by each source: the strongest one counts alone, and a relative directory in the file lies
// beside it.
func TestMount(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "c.yaml", "mount: [m, /all=photos/2026]\nmount-umask: \"077\"\n")
	for _, c := range []struct {
		name    string
		flags   []string
		environ []string
		want    []fs.Target
		auto    bool
	}{
		{name: "none"},
		{name: "flags", flags: []string{"m=photos", "/a,b"}, environ: []string{"COFFER_MOUNT=/x"},
			want: []fs.Target{{Dir: filepath.Join(here, "m"), Bucket: "photos"}, {Dir: "/a,b"}}},
		{name: "variable", environ: []string{"COFFER_MOUNT=/x,/y=photos", "COFFER_CONFIG=" + file},
			want: []fs.Target{{Dir: "/x"}, {Dir: "/y", Bucket: "photos"}}},
		{name: "file", environ: []string{"COFFER_CONFIG=" + file},
			want: []fs.Target{{Dir: filepath.Join(filepath.Dir(file), "m")}, {Dir: "/all", Bucket: "photos", Prefix: "2026/"}}},
		{name: "where it is possible", flags: []string{AutoMount}, auto: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := sources(t, c.environ...)
			if c.flags != nil {
				src.Flags["mount"] = c.flags
			}
			cfg, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, cfg.Mount.Targets); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			auto := ""
			if c.auto {
				auto = filepath.Join(src.lookup("HOME"), autoMountDir)
			}
			if cfg.Mount.Auto != auto {
				t.Errorf("the default directory is %q, want %q", cfg.Mount.Auto, auto)
			}
		})
	}
}

func TestMountSettings(t *testing.T) {
	t.Parallel()
	cfg, err := Load(sources(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fs.DefaultSettings(), cfg.Mount.Settings); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	cfg, err = Load(sources(t, "COFFER_MOUNT_UID=1000", "COFFER_MOUNT_GID=100", "COFFER_MOUNT_UMASK=007", "COFFER_MOUNT_ALLOW_OTHER=true",
		"COFFER_MOUNT_DEFAULT_PERMISSIONS=false", "COFFER_MOUNT_READ_ONLY=true", "COFFER_MOUNT_ENTRY_TIMEOUT=1h", "COFFER_MOUNT_MEMORY=1GiB"))
	if err != nil {
		t.Fatal(err)
	}
	want := fs.Settings{UID: 1000, GID: 100, Umask: 0o007, AllowOther: true, ReadOnly: true, EntryTimeout: time.Hour, MemoryMiB: 1024}
	if diff := cmp.Diff(want, cfg.Mount.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestMountFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ variable, want string }{
		{"COFFER_MOUNT==photos", "names no directory"},
		{"COFFER_MOUNT=/m=P", "no name of a bucket"},
		{"COFFER_MOUNT=~/m", "not expanded"},
		{"COFFER_MOUNT_UID=root", "number of a user"},
		{"COFFER_MOUNT_GID=4294967295", "number of a user or group"},
		{"COFFER_MOUNT_UMASK=8", "octal"},
		{"COFFER_MOUNT_UMASK=1000", "octal"},
		{"COFFER_MOUNT_ENTRY_TIMEOUT=-1s", "time"},
		{"COFFER_MOUNT_MEMORY=1MiB", "at least 16 MiB"},
	} {
		t.Run(c.variable, func(t *testing.T) {
			t.Parallel()
			if _, err := Load(sources(t, c.variable)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want it to say %q", err, c.want)
			}
		})
	}
}
