//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// program is a client of our own around an SDK: sdkgo, sdkjs or boto3client.py.
// They share one command line.
type program struct{ argv []string }

func (p program) run(s *session, args ...string) string {
	s.Helper()
	return s.run(p.with(args...)...)
}

func (p program) with(args ...string) []string {
	return append(p.argv[:len(p.argv):len(p.argv)], args...)
}

func (p program) Version(s *session) string { return p.run(s, "version") }

func (p program) MakeBucket(s *session) { p.run(s, "make-bucket", s.bucket) }

func (p program) Upload(s *session) []string {
	p.run(s, "put-tree", s.bucket, "tree", s.fixture.tree)
	p.run(s, "put-file", s.bucket, "large.bin", s.fixture.large)
	return nil
}

func (p program) List(s *session) ([]string, error) {
	out, stderr, err := s.try(nil, p.with("list", s.bucket)...)
	if err != nil {
		return nil, fmt.Errorf("%s list: %w\n%s", p.argv[0], err, tail(stderr, 20))
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == '\n' }), nil
}

func (p program) Download(s *session, tree string, files map[string]string) {
	p.run(s, "get-tree", s.bucket, "tree", tree)
	for key, path := range files {
		p.run(s, "get-file", s.bucket, key, path)
	}
}

func (p program) Remove(s *session) { p.run(s, "remove", s.bucket) }

// findSDKGo builds the program into dir.
func findSDKGo(dir string) (client, error) {
	binary := filepath.Join(dir, "bin", "sdkgo")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "sdkgo"
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building sdkgo: %w\n%s", err, out)
	}
	return program{[]string{binary}}, nil
}

func findSDKJS() (client, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("no node on this machine: %w", err)
	}
	if _, err := os.Stat(filepath.Join("sdkjs", "node_modules", "@aws-sdk", "client-s3")); err != nil {
		return nil, fmt.Errorf("the AWS SDK for JavaScript is not installed: %w", err)
	}
	script, err := filepath.Abs(filepath.Join("sdkjs", "client.js"))
	if err != nil {
		return nil, err
	}
	return program{[]string{node, script}}, nil
}

// findBoto3 takes the python3 that has boto3: the one on PATH, or setup.sh's.
func findBoto3() (client, error) {
	script, err := filepath.Abs("boto3client.py")
	if err != nil {
		return nil, err
	}
	for _, python := range []string{"python3", filepath.Join(toolDirectory(), "python3")} {
		if err = exec.Command(python, script, "version").Run(); err == nil {
			return program{[]string{python, script}}, nil
		}
	}
	return nil, fmt.Errorf("no python3 with boto3 on this machine: %w", err)
}
