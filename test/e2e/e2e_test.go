//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/test/e2e/daemon"
)

// client is one S3 client, in its default configuration. Its methods fail the
// test of the session where the client fails.
type client interface {
	Version(s *session) string
	MakeBucket(s *session)
	// Upload puts the fixture's tree below tree/, the large file to large.bin, and
	// gives the keys of whatever else it put, each with the large file's bytes.
	Upload(s *session) (others []string)
	// List gives the keys of the bucket, in any order, or an error if it cannot be
	// listed.
	List(s *session) ([]string, error)
	// Download gets what is below tree/ into a directory, and an object into a file.
	Download(s *session, tree string, files map[string]string)
	// Remove removes the bucket with everything in it.
	Remove(s *session)
}

// syncer is a client that can tell that there is nothing to do.
type syncer interface {
	// Again uploads the tree again and gives what it moved.
	Again(s *session) string
}

// TestClients runs the clients one after the other: they share the machine with
// the server, and their times are worth reading.
func TestClients(t *testing.T) {
	dir := workDirectory(t)
	f := newFixture(t, dir)
	server, log := startServer(t, dir)
	var versions []string
	for _, known := range knownClients() {
		t.Run(known.name, func(t *testing.T) {
			if !options.wants(known.name) {
				t.Skip("not wanted")
			}
			c, err := known.find(dir)
			if err != nil && inCI() {
				t.Fatalf("%v; test/e2e/setup.sh installs it", err)
			}
			if err != nil {
				t.Skipf("%v; test/e2e/setup.sh installs it", err)
			}
			s := newSession(t, server, log, f, dir, known.name)
			version := strings.TrimSpace(c.Version(s))
			t.Log(version)
			versions = append(versions, fmt.Sprintf("%-11s %s", known.name, version))
			takeTurn(s, c)
		})
	}
	t.Logf("versions of the clients:\n%s", strings.Join(versions, "\n"))
}

// takeTurn is what every client does.
func takeTurn(s *session, c client) {
	s.step("make bucket", func() { c.MakeBucket(s) })
	objects := []string{"large.bin"}
	s.step("upload", func() { objects = append(objects, c.Upload(s)...) })
	s.step("list", func() {
		keys, err := c.List(s)
		if err != nil {
			s.Fatal(err)
		}
		slices.Sort(keys)
		if diff := cmp.Diff(s.fixture.keys(objects...), keys); diff != "" {
			s.Fatal("the listing differs: ", diff)
		}
	})
	if syncer, ok := c.(syncer); ok {
		s.step("upload again", func() {
			if moved := syncer.Again(s); strings.TrimSpace(moved) != "" {
				s.Errorf("a second upload moved something:\n%s", moved)
			}
		})
	}
	s.step("download", func() { compare(s, c, objects) })
	s.step("remove", func() { c.Remove(s) })
	if keys, err := c.List(s); err == nil {
		s.Errorf("the bucket is still there, with %d objects", len(keys))
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.Error(err)
	}
}

// compare downloads and compares.
func compare(s *session, c client, objects []string) {
	s.Helper()
	tree := s.path("back")
	if err := os.Mkdir(tree, 0o755); err != nil {
		s.Fatal(err)
	}
	files := make(map[string]string)
	for i, key := range objects {
		files[key] = s.path(fmt.Sprintf("back-%d", i))
	}
	c.Download(s, tree, files)
	if diff := cmp.Diff(s.fixture.files, hashTree(s.T, tree)); diff != "" {
		s.Errorf("the tree came back with differences: %s", diff)
	}
	for key, path := range files {
		if got := hashFile(s.T, path); got != s.fixture.largeSum {
			s.Errorf("%s came back with SHA-256 %s, want %s", key, got, s.fixture.largeSum)
		}
	}
}

// TestRestart reads with a second process what a first one has taken.
func TestRestart(t *testing.T) {
	dir := workDirectory(t)
	f := newFixture(t, dir)
	c, err := findSDKGo(dir)
	if err != nil {
		t.Fatal(err)
	}
	server, log := startServer(t, dir)
	s := newSession(t, server, log, f, dir, "restart")
	s.step("make bucket", func() { c.MakeBucket(s) })
	s.step("upload", func() { c.Upload(s) })
	s.step("stop", func() { stopServer(t, server) })
	server, log = startServer(t, dir)
	s = newSession(t, server, log, f, dir, "restart")
	s.step("download", func() { compare(s, c, []string{"large.bin"}) })
}

func workDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(*options.dir, "coffer-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// startServer starts the binary on the directory "server" below dir, and stops
// it at the end of the test, unless stopServer has.
func startServer(t *testing.T, dir string) (server *daemon.Daemon, log string) {
	t.Helper()
	binary, err := filepath.Abs(*options.binary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v; make build makes it", err)
	}
	log = filepath.Join(dir, "server.log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	server, err = daemon.Start(t.Context(), daemon.Options{Binary: binary, Dir: filepath.Join(dir, "server"), Log: file})
	if err != nil {
		data, _ := os.ReadFile(log)
		t.Fatalf("%v\n%s", err, data)
	}
	t.Cleanup(func() { stopServer(t, server) })
	return server, log
}

// stopServer may be called again.
func stopServer(t *testing.T, server *daemon.Daemon) {
	t.Helper()
	// The context of the test has ended when clean-up runs.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
}
