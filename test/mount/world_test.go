//go:build e2e

package mount

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"

	"coffer/test/e2e/daemon"
)

// flags of the test binary, which the testing package parses before the first test.
var (
	binary  = flag.String("coffer", "../../bin/coffer", "binary of the server")
	checks  = flag.Int("checks", 2000, "checks of TestCoherence")
	renames = flag.Int("renames", 100, "renames of TestRenameIsAtomic")
	files   = flag.Int("files", 2000, "files of the repository that git works on")
)

const bucket = "bucket"

// world is a server with a mount.
type world struct {
	tb     testing.TB
	dir    string // of the store
	mount  string // all buckets
	work   string // the bucket, as a directory
	args   []string
	key    string
	secret string
	server *daemon.Daemon
	s3     *s3.Client
}

// newWorld starts a server that mounts all buckets, and makes one.
func newWorld(tb testing.TB, args ...string) *world {
	tb.Helper()
	needFUSE(tb)
	dir := tb.TempDir()
	w := &world{tb: tb, dir: dir, mount: filepath.Join(dir, "mount"), key: "the-access-key", secret: "the-secret-key"}
	w.work = filepath.Join(w.mount, bucket)
	w.args = append([]string{"--mount", w.mount, "--metrics-listen", "off", "--log-format", "json"}, args...)
	w.start()
	tb.Cleanup(w.stop)
	if err := os.Mkdir(w.work, 0o755); err != nil {
		tb.Fatal(err)
	}
	return w
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

// need skips a test where a program is missing, unless all tests must run.
func need(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				tb.Fatalf("%v; test/mount/setup.sh installs it", err)
			}
			tb.Skipf("%v; test/mount/setup.sh installs it", err)
		}
	}
}

func (w *world) start() {
	w.tb.Helper()
	program, err := filepath.Abs(*binary)
	if err != nil {
		w.tb.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(w.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer log.Close()
	w.server, err = daemon.Start(w.tb.Context(), daemon.Options{
		Binary: program, Dir: w.dir, AccessKey: w.key, SecretKey: w.secret, Args: w.args, Log: log,
	})
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		w.tb.Fatalf("%v\n%s", err, text)
	}
	w.s3 = s3.New(s3.Options{
		BaseEndpoint: aws.String(w.server.URL), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(w.key, w.secret, ""),
	})
}

// stop ends the server, after which nothing is mounted.
func (w *world) stop() {
	if w.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.server.Stop(ctx); err != nil {
		text, _ := os.ReadFile(filepath.Join(w.dir, "log"))
		w.tb.Errorf("%v\n%s", err, text)
	}
	w.server = nil
	if mounted(w.tb, w.mount) {
		w.tb.Error("the mount is left behind")
		unix.Unmount(w.mount, unix.MNT_DETACH)
	}
}

// kill kills the server in the middle of what it does.
func (w *world) kill() {
	w.tb.Helper()
	pid := w.server.PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.tb.Fatal(err)
	}
	for syscall.Kill(pid, 0) == nil {
		time.Sleep(time.Millisecond)
	}
	w.server = nil
}

// mounted reports whether something is mounted on a directory.
func mounted(tb testing.TB, dir string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Contains(table, []byte(" "+dir+" "))
}

// run runs a program in a directory of the mount.
func (w *world) run(dir, name string, args ...string) string {
	w.tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join(w.work, dir)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.tb.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (w *world) write(name, text string) {
	w.tb.Helper()
	path := filepath.Join(w.work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.tb.Fatal(err)
	}
}
