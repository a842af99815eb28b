//go:build e2e

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
	"coffer/test/e2e/daemon"
)

// lineTime bounds one line.
const lineTime = time.Minute

// world is a server, the Vault beside it if there is one, and the shell in which lines run. It belongs to one test.
type world struct {
	*testing.T
	dir     string // the shell's
	vault   *vaulttest.Server
	server  *daemon.Daemon
	log     *os.File
	starts  int
	environ map[string]string // of lines
}

// newWorld prepares a world without a server.
func newWorld(t *testing.T, name string) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), environ: map[string]string{}}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tools := []string{filepath.Join(root, "test/e2e/.tools/bin"), filepath.Join(root, "test/e2e/.tools/venv/bin"), os.Getenv("PATH")}
	binary := filepath.Join(root, "bin/coffer")
	if named := os.Getenv("E2E_COFFER"); named != "" {
		binary = named
	}
	vaultd, err := vaulttest.Binary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(w.environ, map[string]string{
		"VAULTD": vaultd,
		"HOME":   w.dir, "TMPDIR": w.dir, "LANG": "C.UTF-8", "PATH": strings.Join(tools, string(os.PathListSeparator)),
		"CURL_HOME": w.dir, "MC_CONFIG_DIR": filepath.Join(w.dir, "mc"), "WORK": w.dir, "COFFER": binary, "REPOSITORY": root,
		"AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	})
	if python := pyenvRoot(); python != "" {
		w.environ["PYENV_ROOT"] = python
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} { // which are in the real home directory
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		w.environ[name] = strings.TrimSpace(string(value))
	}
	// What a line prints is the answer; status and fields go elsewhere.
	w.write(".curlrc", "silent\nshow-error\ndump-header = \""+w.path("headers")+"\"\n")
	if w.log, err = os.Create(w.path("server.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.log.Close() })
	w.joinVault(name == worldVault)
	t.Cleanup(w.stop)
	return w
}

// pyenvRoot lets a Python that pyenv manages be found without the real home directory.
func pyenvRoot() string {
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		return root
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	root := filepath.Join(home, ".pyenv")
	if _, err := os.Stat(root); err != nil {
		return ""
	}
	return root
}

// joinVault tells lines of a Vault with the mounts that the documents name, or of one that is not there.
func (w *world) joinVault(real bool) {
	w.Helper()
	if !real {
		maps.Copy(w.environ, map[string]string{
			"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_TOKEN": "s.nobody", "ROLE_ID": "role-id", "SECRET_ID": "secret-id", "K8S_ROLE": "role", "K8S_MOUNT": "kubernetes", "K8S_JWT": w.path("jwt"),
			"VAULT_ROOT": "", "VAULT_CA": "",
		})
		return
	}
	v := vaulttest.Start(w, vaulttest.Options{TLS: true})
	v.TransitAt(w, "transit")
	v.KVAt(w, "secret")
	policy := v.Policy(w, vaulttest.AdminPolicy("transit", "secret", "rustfs/kms/keys"))
	role := v.AppRoleAt(w, "approle", vaulttest.AppRole{Policies: []string{policy}, TTL: time.Hour, MaxTTL: 2 * time.Hour})
	k8s := v.Kubernetes(w, time.Hour, policy)
	w.vault = v
	maps.Copy(w.environ, map[string]string{
		"VAULT_ADDR": v.Address, "VAULT_TOKEN": v.Token(w, vaulttest.Token{Policies: []string{policy}}),
		"ROLE_ID": role.ID, "SECRET_ID": role.SecretID, "K8S_ROLE": k8s.Role, "K8S_MOUNT": k8s.Mount, "K8S_JWT": k8s.JWTFile,
		"VAULT_ROOT": v.RootToken, "VAULT_CA": v.CAFile,
	})
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(name string) string {
	text, err := os.ReadFile(w.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.Fatal(err)
	}
	return string(text)
}

// serve starts a server over new directories, in place of the one that runs.
func (w *world) serve(environ []string) {
	w.Helper()
	w.stop()
	w.starts++
	dir := w.path(fmt.Sprintf("server-%d", w.starts))
	if w.vault != nil {
		environ = append(environ, "SSL_CERT_FILE="+w.vault.CAFile) // the authority of this Vault is the machine's
	}
	server, err := daemon.Start(w.Context(), daemon.Options{
		Binary: w.environ["COFFER"], Dir: dir, Environ: environ, Log: w.log,
	})
	if err != nil {
		w.Fatalf("%v\n%s", err, w.read("server.log"))
	}
	w.server = server
	maps.Copy(w.environ, map[string]string{
		"URL": server.URL, "AUDIT": filepath.Join(dir, "config", "audit"), "ACCESS_KEY": server.AccessKey, "SECRET_KEY": server.SecretKey,
		"AWS_ACCESS_KEY_ID": server.AccessKey, "AWS_SECRET_ACCESS_KEY": server.SecretKey,
		"SIGN": "--aws-sigv4 aws:amz:us-east-1:s3 --user " + server.AccessKey + ":" + server.SecretKey,
	})
}

func (w *world) stop() {
	if w.server == nil {
		return
	}
	// The context of the test has ended when clean-up runs.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.server.Stop(ctx); err != nil {
		w.Error(err)
	}
	w.server = nil
}

// outcome is what a command did.
type outcome struct {
	exit           int
	stdout, stderr string
	status         int               // of the last answer to curl; 0: there was none
	headers        map[string]string // of that answer, names in lower case
}

// run runs a command line in the shell.
func (w *world) run(line string) outcome {
	w.Helper()
	if err := os.Remove(w.path("headers")); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.Context(), lineTime)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-u", "-c", line)
	command.Dir = w.dir
	for _, name := range slices.Sorted(maps.Keys(w.environ)) {
		command.Env = append(command.Env, name+"="+w.environ[name])
	}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		w.Fatalf("%s: %v", line, errors.Join(err, ctx.Err()))
	}
	status, headers := parseHead(w.read("headers"))
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String(), status, headers}
}

// parseHead gives status and fields of the last answer in what curl has dumped.
func parseHead(dump string) (status int, headers map[string]string) {
	headers = map[string]string{}
	for line := range strings.Lines(dump) {
		if rest, first := strings.CutPrefix(line, "HTTP/1.1 "); first {
			clear(headers)
			status, _ = strconv.Atoi(rest[:min(3, len(rest))])
		} else if name, value, ok := strings.Cut(line, ":"); ok {
			headers[strings.ToLower(name)] = strings.TrimSpace(value)
		}
	}
	return status, headers
}
