//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// knownClient is a client that may or may not be on this machine.
type knownClient struct {
	name string
	find func(dir string) (client, error)
}

func knownClients() []knownClient {
	return []knownClient{
		{"aws-pip", func(string) (client, error) { return findPipAWS() }},
		{"aws-debian", func(string) (client, error) {
			return findProgram("/usr/bin/aws", func(p string) client { return awsCLI{p} })
		}},
		{"boto3", func(string) (client, error) { return findBoto3() }},
		{"s3cmd", func(string) (client, error) { return findProgram("s3cmd", func(p string) client { return s3cmd{p} }) }},
		{"rclone", func(string) (client, error) { return findProgram("rclone", func(p string) client { return rclone{p} }) }},
		{"mc", func(string) (client, error) { return findMC() }},
		{"curl", func(string) (client, error) { return findProgram("curl", func(p string) client { return curl{p} }) }},
		{"sdkgo", findSDKGo},
		{"sdkjs", func(string) (client, error) { return findSDKJS() }},
	}
}

func findProgram(name string, make func(path string) client) (client, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("no %s on this machine: %w", name, err)
	}
	return make(path), nil
}

// findPipAWS looks for an aws other than Debian's.
func findPipAWS() (client, error) {
	places := append(filepath.SplitList(os.Getenv("PATH")), toolDirectory())
	for _, place := range places {
		if place == "/usr/bin" || place == "/bin" {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(place, "aws")); err == nil {
			return awsCLI{path}, nil
		}
	}
	return nil, fmt.Errorf("no aws of pip's on this machine: %w", exec.ErrNotFound)
}

// toolDirectory is where setup.sh puts Python's programs.
func toolDirectory() string {
	dir, err := filepath.Abs(filepath.Join(".tools", "venv", "bin"))
	if err != nil {
		return ""
	}
	return dir
}

// awsCLI is the command line of AWS, version 1 or 2.
type awsCLI struct{ program string }

func (c awsCLI) run(s *session, args ...string) string {
	s.Helper()
	return s.run(append([]string{c.program, "--endpoint-url", s.server.URL}, args...)...)
}

func (c awsCLI) Version(s *session) string { return s.run(c.program, "--version") }

func (c awsCLI) MakeBucket(s *session) { c.run(s, "s3", "mb", "s3://"+s.bucket) }

func (c awsCLI) Upload(s *session) []string {
	c.run(s, "s3", "sync", s.fixture.tree, "s3://"+s.bucket+"/tree")
	c.run(s, "s3", "cp", s.fixture.large, "s3://"+s.bucket+"/large.bin")
	return nil
}

func (c awsCLI) Again(s *session) string {
	return c.run(s, "s3", "sync", s.fixture.tree, "s3://"+s.bucket+"/tree")
}

func (c awsCLI) List(s *session) ([]string, error) {
	out, stderr, err := s.try(nil, c.program, "--endpoint-url", s.server.URL, "s3", "ls", "--recursive", "s3://"+s.bucket)
	if err != nil {
		return nil, fmt.Errorf("aws s3 ls: %w\n%s", err, stderr)
	}
	return lastColumn(out, regexp.MustCompile(`^\S+ \S+ +\d+ (.*)$`))
}

func (c awsCLI) Download(s *session, tree string, files map[string]string) {
	c.run(s, "s3", "sync", "s3://"+s.bucket+"/tree", tree)
	for key, path := range files {
		c.run(s, "s3", "cp", "s3://"+s.bucket+"/"+key, path)
	}
}

func (c awsCLI) Remove(s *session) { c.run(s, "s3", "rb", "--force", "s3://"+s.bucket) }

// lastColumn gives the first group of each line's match; a line without one is
// an error.
func lastColumn(out string, line *regexp.Regexp) ([]string, error) {
	var keys []string
	for text := range strings.Lines(out) {
		match := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if match == nil {
			return nil, fmt.Errorf("not a line of a listing: %q", text)
		}
		keys = append(keys, match[1])
	}
	return keys, nil
}

// s3cmd is Debian's.
type s3cmd struct{ program string }

// command is told the endpoint by four flags: it has no variables, and without
// the second one it puts the bucket into the host name.
func (c s3cmd) command(s *session, args ...string) []string {
	return append([]string{
		c.program, "--host=" + s.authority(), "--host-bucket=" + s.authority(), "--no-ssl", "--region=us-east-1",
		"--access_key=" + s.server.AccessKey, "--secret_key=" + s.server.SecretKey,
	}, args...)
}

func (c s3cmd) run(s *session, args ...string) string {
	s.Helper()
	return s.run(c.command(s, args...)...)
}

func (c s3cmd) Version(s *session) string { return s.run(c.program, "--version") }

func (c s3cmd) MakeBucket(s *session) { c.run(s, "mb", "s3://"+s.bucket) }

func (c s3cmd) Upload(s *session) []string {
	c.run(s, "sync", s.fixture.tree+"/", "s3://"+s.bucket+"/tree/")
	c.run(s, "put", s.fixture.large, "s3://"+s.bucket+"/large.bin")
	return nil
}

func (c s3cmd) Again(s *session) string {
	return c.run(s, "sync", s.fixture.tree+"/", "s3://"+s.bucket+"/tree/")
}

func (c s3cmd) List(s *session) ([]string, error) {
	out, stderr, err := s.try(nil, c.command(s, "ls", "--recursive", "s3://"+s.bucket)...)
	if err != nil {
		return nil, fmt.Errorf("s3cmd ls: %w\n%s", err, stderr)
	}
	return lastColumn(out, regexp.MustCompile(`^\S+ \S+ +\d+ +s3://[^/]+/(.*)$`))
}

func (c s3cmd) Download(s *session, tree string, files map[string]string) {
	c.run(s, "sync", "s3://"+s.bucket+"/tree/", tree+"/")
	for key, path := range files {
		c.run(s, "get", "s3://"+s.bucket+"/"+key, path)
	}
}

func (c s3cmd) Remove(s *session) { c.run(s, "rb", "--recursive", "--force", "s3://"+s.bucket) }

// rclone is Debian's.
type rclone struct{ program string }

// environ describes a remote by variables.
func (c rclone) environ(s *session) {
	const remote = "RCLONE_CONFIG_COFFER_"
	s.environ = append(s.environ,
		remote+"TYPE=s3", remote+"PROVIDER=Other", remote+"ENDPOINT="+s.server.URL, remote+"REGION=us-east-1",
		remote+"ACCESS_KEY_ID="+s.server.AccessKey, remote+"SECRET_ACCESS_KEY="+s.server.SecretKey)
}

func (c rclone) Version(s *session) string {
	first, _, _ := strings.Cut(s.run(c.program, "version"), "\n")
	return first
}

func (c rclone) MakeBucket(s *session) {
	c.environ(s)
	s.run(c.program, "mkdir", "coffer:"+s.bucket)
}

// Upload also sends the large file as a stream of unknown length, which rclone
// does in parts whatever its length; a file it sends whole below 200 MiB.
func (c rclone) Upload(s *session) []string {
	s.run(c.program, "copy", s.fixture.tree, "coffer:"+s.bucket+"/tree")
	s.run(c.program, "copyto", s.fixture.large, "coffer:"+s.bucket+"/large.bin")
	file, err := os.Open(s.fixture.large)
	if err != nil {
		s.Fatal(err)
	}
	defer file.Close()
	if _, stderr, err := s.try(file, c.program, "rcat", "coffer:"+s.bucket+"/streamed.bin"); err != nil {
		s.Fatalf("rclone rcat: %v\n%s\nthe server's log:\n%s", err, tail(stderr, 40), s.refusals())
	}
	return []string{"streamed.bin"}
}

// Again asks for the log of files that move, which is all that -v prints beside
// totals.
func (c rclone) Again(s *session) string {
	_, stderr, err := s.try(nil, c.program, "copy", "-v", s.fixture.tree, "coffer:"+s.bucket+"/tree")
	if err != nil {
		s.Fatalf("rclone copy: %v\n%s", err, tail(stderr, 40))
	}
	lines := slices.DeleteFunc(strings.Split(stderr, "\n"), func(line string) bool { return !strings.Contains(line, "Copied") })
	return strings.Join(lines, "\n")
}

func (c rclone) List(s *session) ([]string, error) {
	out, stderr, err := s.try(nil, c.program, "lsf", "--recursive", "--files-only", "coffer:"+s.bucket)
	if err != nil {
		return nil, fmt.Errorf("rclone lsf: %w\n%s", err, stderr)
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == '\n' }), nil
}

func (c rclone) Download(s *session, tree string, files map[string]string) {
	s.run(c.program, "sync", "coffer:"+s.bucket+"/tree", tree)
	for key, path := range files {
		s.run(c.program, "copyto", "coffer:"+s.bucket+"/"+key, path)
	}
}

func (c rclone) Remove(s *session) { s.run(c.program, "purge", "coffer:"+s.bucket) }
