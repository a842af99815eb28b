package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"coffer/bench/files"
	"coffer/test/e2e/daemon"
)

// TestFilesOfAMount runs the workloads, very small, over a real mount of the built binary beside a plain directory.
func TestFilesOfAMount(t *testing.T) {
	t.Parallel()
	missing := func(err error) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		missing(err)
	}
	fuse.Close()
	for _, name := range []string{"git", "tar"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(err)
		}
	}
	binary, err := daemon.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	m := newRecorder(flags{Coffer: binary}, dir, execute).cofferMount(log)
	if _, err := m.mount(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.unmount(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	archive := filepath.Join(dir, "tree.tar")
	if err := files.Pack(archive, "."); err != nil {
		t.Fatal(err)
	}
	mounted := mountedSide(sideCoffer, filepath.Join(m.at, cofferBucket), dir, m)
	mounted.Chill = func(ctx context.Context) error { // without the kernel's caches, which root alone can empty
		if err := m.unmount(ctx); err != nil {
			return err
		}
		_, err := m.mount(ctx)
		return err
	}
	bare := mountedSide(sideDisk, t.TempDir(), dir, plain{})
	bare.Chill = func(context.Context) error { return nil }
	plan := files.Plan{
		Sides: []files.Side{bare, mounted}, Rounds: 1, Tar: archive,
		Sizes: files.Sizes{
			FileBytes: 2 << 20, RandomReads: 20, RandomWrites: 20, SyncedWrites: 3, Small: 12, SmallBytes: 700, PerDirectory: 5,
		},
	}
	report, err := files.Run(t.Context(), &plan)
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Rows {
		if ratio := report.Ratio(&report.Rows[i], sideCoffer); ratio <= 0 {
			t.Errorf("%s: no ratio", report.Rows[i].Name)
		}
	}
}
