package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
	"coffer/test/e2e/daemon"
)

// binDir holds the binary under test, once build was called.
var binDir string

// build builds it once, within a test: see daemon.Build.
var build = sync.OnceValue(func() error {
	_, err := daemon.Build(context.Background(), binDir)
	return err
})

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binDir, err = os.MkdirTemp("", "coffer-docs-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(binDir) }()
	return m.Run()
}

// programs are what pages may use of the machine.
var programs = []string{"bash", "curl", "jq", "openssl"}

// wantPrograms skips a test where a program is missing, but not in CI.
func wantPrograms(t *testing.T) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", program)
		}
		t.Skipf("%s is missing", program)
	}
}

// TestPages runs every page that has something to run.
func TestPages(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		p, err := readPage(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(p.steps) == 0 {
			if slices.Contains(withCommands(), name) {
				t.Errorf("%s has no commands", path)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantPrograms(t)
			runPage(t, path, p)
		})
	}
}

// withCommands are the pages that must have commands that run.
func withCommands() []string {
	return []string{
		"admin-api", "audit", "cli", "configuration", "dynamic-configuration", "metrics", "security", "troubleshooting", "vault",
	}
}

// runPage stops at the first step that is not as the page says: those behind it
// build on it.
func runPage(t *testing.T, path string, p page) {
	t.Helper()
	w := prepare(t, p)
	s, err := startShell(w.dir, t.TempDir(), w.environment)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, step := range p.steps {
		if err := w.take(s, step); err != nil {
			t.Fatalf("%s:%d: %v\n%s", path, step.line, err, w.serverLog())
		}
	}
}

// world is what a page stands on.
type world struct {
	dir         string
	environment []string
	addresses   *addresses
	log         *lockedBuffer // of the server; nil: there is none
}

// prepare starts what a page needs.
func prepare(t *testing.T, p page) *world {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, addresses: &addresses{}}
	w.environment = append(cleanEnvironment(), "HOME="+dir, "PATH="+binDir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, n := range p.needs {
		switch n.what {
		case "vault":
			w.startVault(t, len(n.args) > 0)
		case "kubernetes":
			cluster, jwtFile := vaulttest.Cluster(t)
			w.environment = append(w.environment, "CLUSTER="+cluster, "JWT_FILE="+jwtFile)
		case "server":
			w.startServer(t, n.args)
		}
	}
	return w
}

func (w *world) startVault(t *testing.T, tls bool) {
	t.Helper()
	v := vaulttest.Start(t, vaulttest.Options{TLS: tls})
	_, address, _ := strings.Cut(v.Address, "://")
	w.addresses.set("127.0.0.1:8200", address)
	w.environment = append(w.environment, "VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.RootToken, "VAULT_UNSEAL_KEY="+v.UnsealKey())
	if tls {
		w.environment = append(w.environment, "VAULT_CACERT="+v.CAFile)
	}
}

func (w *world) startServer(t *testing.T, args []string) {
	t.Helper()
	w.log = &lockedBuffer{}
	for i, arg := range args {
		args[i] = w.addresses.toReal(arg)
	}
	d, err := daemon.Start(t.Context(), daemon.Options{
		Binary: filepath.Join(binDir, "coffer"), Dir: t.TempDir(), Args: args, Log: w.log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.serverLog())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // that of the test has ended
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	w.addresses.set("127.0.0.1:9000", strings.TrimPrefix(d.URL, "http://"))
	w.environment = append(w.environment, "URL="+d.URL, "ACCESS_KEY="+d.AccessKey, "SECRET_KEY="+d.SecretKey,
		"COFFER_ENDPOINT="+d.URL, "COFFER_ROOT_USER="+d.AccessKey, "COFFER_ROOT_PASSWORD="+d.SecretKey)
}

// cleanEnvironment leaves out what would configure a server or a client.
func cleanEnvironment() (kept []string) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		for _, prefix := range []string{"COFFER_", "RUSTFS_", "MINIO_", "VAULT_", "AWS_", "HOME", "PATH", "URL", "ACCESS_KEY", "SECRET_KEY"} {
			if strings.HasPrefix(name, prefix) {
				name = ""
				break
			}
		}
		if name != "" {
			kept = append(kept, variable)
		}
	}
	return kept
}

// take runs one step.
func (w *world) take(s *shell, st step) error {
	if st.file != "" {
		return s.write(st.file, w.addresses.toReal(st.content))
	}
	out, status, err := s.run(w.addresses.toReal(st.command))
	out = w.addresses.toShown(out)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w\n%s", st.command, err, out)
	case (status != 0) != st.fails:
		return fmt.Errorf("%s: status %d\n%s", st.command, status, out)
	case st.shown:
		if err := compare(st.want, out); err != nil {
			return fmt.Errorf("%s: %w", st.command, err)
		}
	}
	return nil
}

func (w *world) serverLog() string {
	if w.log == nil {
		return ""
	}
	return "the server's log:\n" + w.log.String()
}

// shownAddress finds the addresses that pages use.
var shownAddress = regexp.MustCompile(`127\.0\.0\.1:(?:9\d{3}|8200)\b`)

// addresses knows what stands for what.
type addresses struct {
	shown, real []string
	err         error
}

func (a *addresses) set(shown, real string) {
	a.shown, a.real = append(a.shown, shown), append(a.real, real)
}

// toReal puts real addresses in, and takes a free one for what it does not know.
func (a *addresses) toReal(text string) string {
	return shownAddress.ReplaceAllStringFunc(text, func(shown string) string {
		for i, s := range a.shown {
			if s == shown {
				return a.real[i]
			}
		}
		free, err := freeAddress()
		a.err = errors.Join(a.err, err)
		a.set(shown, free)
		return free
	})
}

// toShown is the inverse of toReal.
func (a *addresses) toShown(text string) string {
	for i, real := range a.real {
		text = strings.ReplaceAll(text, real, a.shown[i])
	}
	return text
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// lockedBuffer is a buffer for a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
