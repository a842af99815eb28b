package fs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"coffer/object"
	"coffer/object/objecttest"
)

// serveDir says to the test binary that it is to serve a mount there. A process that both serves a mount and uses it
// can deadlock.
const serveDir = "COFFER_FS_TEST_SERVE"

// TestServe is not a test, but the process that serves the mounts of the tests. It ends with its standard input.
func TestServe(t *testing.T) {
	dir := os.Getenv(serveDir)
	if dir == "" {
		t.Skip("runs as the server of other tests")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store := objecttest.New().Open(t, func(o *object.Options) { o.Logger = log })
	if _, err := store.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	target, err := ParseTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	set := DefaultSettings()
	set.AllowOther = os.Geteuid() == 0
	set.EntryTimeout = time.Hour
	m, err := New(t.Context(), Options{Store: store, Target: target, Settings: set, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := m.Unmount(ctx, true); err != nil {
		t.Error(err)
	}
}

// needFUSE skips a test where nothing can be mounted, unless all tests must run.
func needFUSE(tb testing.TB) {
	tb.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		f.Close()
		return
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("nothing can be mounted here: %v", err)
	}
	tb.Skipf("nothing can be mounted here: %v", err)
}

// serve mounts a new store in another process, and returns the directory. what is "", or "=bucket" and a prefix.
func serve(tb testing.TB, what string) string {
	tb.Helper()
	needFUSE(tb)
	dir := filepath.Join(tb.TempDir(), "mount")
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil { // other users must get there
		tb.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServe$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), serveDir+"="+dir+what)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the server of the mount: %v", err)
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			tb.Errorf("unmount: %v", err)
		}
	})
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil || line != "ready\n" {
		tb.Fatalf("the server of the mount said %q, %v", line, err)
	}
	go io.Copy(io.Discard, lines)
	return dir
}
