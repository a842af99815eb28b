//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/test/e2e/daemon"
)

// session is one client's turn. Methods that take no error path fail the test.
type session struct {
	*testing.T
	server  *daemon.Daemon
	log     string // the server's log
	fixture *fixture
	bucket  string
	dir     string // of this client, empty at first
	environ []string
}

// newSession gives a client an environment in which it finds credentials and
// region, and nothing else of this machine's configuration.
func newSession(t *testing.T, server *daemon.Daemon, log string, f *fixture, dir, name string) *session {
	t.Helper()
	s := &session{
		T: t, server: server, log: log, fixture: f, bucket: "e2e-" + name, dir: filepath.Join(dir, name),
	}
	home := filepath.Join(s.dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	s.environ = []string{
		"HOME=" + home, "TMPDIR=" + s.dir, "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"),
		"AWS_ACCESS_KEY_ID=" + server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + server.SecretKey,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ENDPOINT_URL=" + server.URL, "E2E_ENDPOINT=" + server.URL,
	}
	// A Python that pyenv manages is found by the real home directory.
	root := os.Getenv("PYENV_ROOT")
	if user, err := os.UserHomeDir(); root == "" && err == nil {
		root = filepath.Join(user, ".pyenv")
	}
	if root != "" {
		s.environ = append(s.environ, "PYENV_ROOT="+root)
	}
	return s
}

// authority is the server's host and port.
func (s *session) authority() string {
	u, err := url.Parse(s.server.URL)
	if err != nil {
		s.Fatal(err)
	}
	return u.Host
}

// path names a file in the client's directory.
func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

// run runs a command and gives its standard output.
func (s *session) run(argv ...string) string {
	s.Helper()
	out, stderr, err := s.try(nil, argv...)
	if err != nil {
		s.Fatalf("%s: %v\n%s%s\nthe server's log:\n%s", s.hide(argv), err, tail(out, 20), tail(stderr, 40), s.refusals())
	}
	return out
}

// try runs a command, which may fail. It reads stdin, if any.
func (s *session) try(stdin *os.File, argv ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(s.Context(), *options.step)
	defer cancel()
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = s.environ
	command.Dir = s.dir
	if stdin != nil {
		command.Stdin = stdin
	}
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err = command.Run()
	if ctx.Err() != nil && s.Context().Err() == nil {
		err = fmt.Errorf("not done after %s: %w", *options.step, err)
	}
	return out.String(), errors.String(), err
}

// hide makes a command line fit to print.
func (s *session) hide(argv []string) string {
	return strings.ReplaceAll(strings.Join(argv, " "), s.server.SecretKey, "SECRET")
}

// step runs part of a client's turn and says how long it took.
func (s *session) step(name string, do func()) {
	s.Helper()
	start := time.Now()
	do()
	s.Logf("%-14s %8.2fs", name, time.Since(start).Seconds())
}

// refusals gives the last lines of the server's log that speak of failed
// requests or worse.
func (s *session) refusals() string {
	data, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		for _, mark := range []string{`"status":4`, `"status":5`, `"level":"WARN"`, `"level":"ERROR"`, "panic:", "fatal error:"} {
			if strings.Contains(line, mark) {
				lines = append(lines, line)
				break
			}
		}
	}
	return tail(strings.Join(lines, ""), 12)
}

func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
