//go:build e2e

package mount

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestKilledServer leaves no hung mount: the next start detaches it and mounts again, and what was synced is there.
func TestKilledServer(t *testing.T) {
	w := newWorld(t)
	w.write("f", "synced")
	w.kill()
	if _, err := os.ReadFile(filepath.Join(w.work, "f")); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("a look at the mount of a dead server: %v, want ENOTCONN at once", err)
	}
	w.start()
	if text, err := os.ReadFile(filepath.Join(w.work, "f")); string(text) != "synced" {
		t.Errorf("f holds %q, %v", text, err)
	}
}

// TestStopInUse ends the server although the mount is somebody's working directory.
func TestStopInUse(t *testing.T) {
	w := newWorld(t)
	w.write("f", "x")
	user := exec.Command("sleep", "100")
	user.Dir = w.work
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		user.Process.Kill()
		user.Wait()
	}()
	w.stop()
	w.start()
	if _, err := os.Stat(filepath.Join(w.work, "f")); err != nil {
		t.Error(err)
	}
}

// coffer runs the command line with the world's configuration.
func (w *world) coffer(args ...string) (string, error) {
	program, err := filepath.Abs(*binary)
	if err != nil {
		w.tb.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "COFFER_CONFIG_DIR="+filepath.Join(w.dir, "config"), "COFFER_DATA="+filepath.Join(w.dir, "data"),
		"COFFER_ROOT_USER="+w.key, "COFFER_ROOT_PASSWORD="+w.secret, "COFFER_METRICS_LISTEN=off")
	if w.server != nil {
		cmd.Env = append(cmd.Env, "COFFER_ENDPOINT="+w.server.URL)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestMountCommand asks the running server, and serves the mount alone when none runs.
func TestMountCommand(t *testing.T) {
	w := newWorld(t)
	w.write("d/f", "x")
	second := filepath.Join(w.dir, "second")
	check := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(filepath.Join(second, "f")); string(text) != want {
			t.Errorf("f holds %q, %v", text, err)
		}
	}
	if out, err := w.coffer("mount", second+"="+bucket+"/d"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check("x")
	w.write("d/f", "seen through the other mount")
	check("seen through the other mount")
	if out, err := w.coffer("mount"); err != nil || !strings.Contains(out, second+"="+bucket+"/d\n") {
		t.Errorf("the list: %q, %v", out, err)
	}
	if out, err := w.coffer("mount", second); err == nil {
		t.Errorf("a second mount on one directory: %s", out)
	}
	started := time.Now()
	if out, err := w.coffer("umount", second); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("unmounted in %v", time.Since(started))
	if mounted(t, second) {
		t.Error("still mounted")
	}
	if out, err := w.coffer("umount", second); err == nil {
		t.Errorf("unmounting nothing: %s", out)
	}
	w.stop()
	out, err := w.coffer("mount", "--background", second+"="+bucket)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var pid int
	if _, err := fmt.Sscanf(out, "Mounted on "+second+"; process %d", &pid); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer awaitEnd(pid)
	if text, err := os.ReadFile(filepath.Join(second, "d/f")); string(text) != "seen through the other mount" {
		t.Errorf("without a server f holds %q, %v", text, err)
	}
	if out, err := w.coffer("umount", second); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// awaitEnd waits until a process is gone, which is no child of this one.
func awaitEnd(pid int) {
	for {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestReadOnly refuses every change.
func TestReadOnly(t *testing.T) {
	w := newWorld(t)
	w.write("f", "x")
	w.stop()
	w.args = append(w.args, "--mount-read-only")
	w.start()
	if _, err := os.Create(filepath.Join(w.work, "g")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("create: %v, want EROFS", err)
	}
	if text, err := os.ReadFile(filepath.Join(w.work, "f")); string(text) != "x" {
		t.Errorf("f holds %q, %v", text, err)
	}
}

// TestWalk walks more files than the mount may remember: the kernel is asked to forget those that were not used.
func TestWalk(t *testing.T) {
	const memory, nodes, total = "16MiB", 8 << 10, 20_000
	w := newWorld(t, "--mount-memory", memory, "--metrics-listen", "127.0.0.1:0", "--mount-entry-timeout", "1h")
	var group sync.WaitGroup
	for i := range threads {
		group.Go(func() {
			for j := i; j < total; j += threads {
				key := fmt.Sprintf("d%d/f%d", j%100, j)
				if _, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("x")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	found := 0
	err := filepath.WalkDir(w.work, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found++
			_, err = d.Info()
		}
		return err
	})
	if err != nil || found != total {
		t.Errorf("%d of %d files, %v", found, total, err)
	}
	for known := w.known(); known > nodes; known = w.known() {
		time.Sleep(20 * time.Millisecond)
	}
}

// known is how many files and directories the server says that the kernel knows.
func (w *world) known() int {
	w.tb.Helper()
	log, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil {
		w.tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(log), `"msg":"serving metrics","address":"`)
	address, _, _ := strings.Cut(rest, `"`)
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		w.tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.tb.Fatal(err)
	}
	_, rest, _ = strings.Cut(string(text), "\ncoffer_mount_nodes ")
	n := 0
	if _, err := fmt.Sscan(rest, &n); err != nil {
		w.tb.Fatalf("coffer_mount_nodes: %v", err)
	}
	return n
}

// TestOrdinaryUser mounts by fusermount3, without root.
func TestOrdinaryUser(t *testing.T) {
	need(t, "fusermount3")
	if os.Geteuid() != 0 {
		t.Skip("every test here runs as an ordinary user already")
	}
	needFUSE(t)
	dir, err := os.MkdirTemp("", "coffer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const nobody = 65534
	program, err := filepath.Abs(*binary)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "coffer"), text, 0o755),
		os.Mkdir(filepath.Join(dir, "home"), 0o755), os.Chown(filepath.Join(dir, "home"), nobody, nobody),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	script := `set -eu
export HOME=$PWD
mkdir m
../coffer mount --background m
mkdir m/bucket
echo hello >m/bucket/f
[ "$(cat m/bucket/f)" = hello ]
[ "$(stat -c %u m/bucket/f)" = 65534 ]
../coffer umount m
! grep " $PWD/m " /proc/self/mountinfo
`
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = filepath.Join(dir, "home")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
