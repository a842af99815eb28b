//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mc is MinIO's client. It knows the server by an alias.
type mc struct{ program string }

const mcAlias = "coffer"

// findMC takes setup.sh's, else the one on PATH. Midnight Commander has the same name there.
func findMC() (client, error) {
	own, err := filepath.Abs(filepath.Join(".tools", "bin", "mc"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{own, "mc"} {
		if path, err := exec.LookPath(name); err == nil {
			if out, err := exec.Command(path, "--version").Output(); err == nil && strings.HasPrefix(string(out), "mc version") {
				return mc{path}, nil
			}
		}
	}
	return nil, fmt.Errorf("no mc of MinIO's on this machine: %w", exec.ErrNotFound)
}

// at is a place on the server.
func (c mc) at(s *session, key string) string { return mcAlias + "/" + s.bucket + "/" + key }

func (c mc) Version(s *session) string {
	first, _, _ := strings.Cut(s.run(c.program, "--version"), "\n")
	return first
}

func (c mc) MakeBucket(s *session) {
	c.setAlias(s)
	s.run(c.program, "mb", mcAlias+"/"+s.bucket)
}

func (c mc) setAlias(s *session) {
	s.run(c.program, "alias", "set", mcAlias, s.server.URL, s.server.AccessKey, s.server.SecretKey)
}

func (c mc) Upload(s *session) []string {
	s.run(c.program, "--quiet", "mirror", s.fixture.tree, c.at(s, "tree"))
	s.run(c.program, "--quiet", "cp", s.fixture.large, c.at(s, "large.bin"))
	file, err := os.Open(s.fixture.large)
	if err != nil {
		s.Fatal(err)
	}
	defer file.Close()
	if _, stderr, err := s.try(file, c.program, "--quiet", "pipe", c.at(s, "piped.bin")); err != nil {
		s.Fatalf("mc pipe: %v\n%s\nthe server's log:\n%s", err, tail(stderr, 40), s.refusals())
	}
	return []string{"piped.bin"}
}

// Again leaves out the line of totals, which has no key.
func (c mc) Again(s *session) string {
	var moved []string
	for _, d := range c.json(s, "mirror", s.fixture.tree, c.at(s, "tree")) {
		if key, ok := d["target"].(string); ok {
			moved = append(moved, key)
		}
	}
	return strings.Join(moved, "\n")
}

func (c mc) List(s *session) ([]string, error) {
	docs, err := c.tryJSON(s, "ls", "--recursive", mcAlias+"/"+s.bucket)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, d := range docs {
		key, _ := d["key"].(string)
		keys = append(keys, key)
	}
	return keys, nil
}

func (c mc) Download(s *session, tree string, files map[string]string) {
	s.run(c.program, "--quiet", "mirror", "--overwrite", c.at(s, "tree"), tree)
	for key, path := range files {
		s.run(c.program, "--quiet", "cp", c.at(s, key), path)
	}
}

func (c mc) Remove(s *session) { s.run(c.program, "rb", "--force", mcAlias+"/"+s.bucket) }

// mcDoc is a document that mc prints under --json.
type mcDoc map[string]any

// get follows names down a document.
func (d mcDoc) get(names ...string) any {
	var v any = map[string]any(d)
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// tryJSON runs a command, which may fail, and gives the documents that it prints.
func (c mc) tryJSON(s *session, args ...string) ([]mcDoc, error) {
	s.Helper()
	out, stderr, err := s.try(nil, append([]string{c.program, "--json"}, args...)...)
	if err != nil {
		err = fmt.Errorf("mc %s: %w\n%s%s", s.hide(args), err, tail(out, 20), tail(stderr, 20))
	}
	var docs []mcDoc
	for line := range strings.Lines(out) {
		var d mcDoc
		if fault := json.Unmarshal([]byte(line), &d); fault != nil {
			return docs, errors.Join(err, fmt.Errorf("mc %s prints no JSON: %q: %w", s.hide(args), line, fault))
		}
		docs = append(docs, d)
	}
	return docs, err
}

// json runs a command that must succeed, by its exit code and by every document.
func (c mc) json(s *session, args ...string) []mcDoc {
	s.Helper()
	docs, err := c.tryJSON(s, args...)
	if err != nil {
		s.Fatalf("%v\nthe server's log:\n%s", err, s.refusals())
	}
	for _, d := range docs {
		if status, is := d["status"]; is && status != "success" {
			s.Fatalf("mc %s: %v", s.hide(args), d)
		}
	}
	return docs
}

// one is json for a command that prints one document.
func (c mc) one(s *session, args ...string) mcDoc {
	s.Helper()
	docs := c.json(s, args...)
	if len(docs) != 1 {
		s.Fatalf("mc %s: %d documents: %v", s.hide(args), len(docs), docs)
	}
	return docs[0]
}

// refused runs a command that must fail, by its exit code and by a document with an error of the code.
func (c mc) refused(s *session, code string, args ...string) {
	s.Helper()
	docs, err := c.tryJSON(s, args...)
	if err == nil || len(docs) == 0 {
		s.Fatalf("mc %s succeeded: %v", s.hide(args), docs)
	}
	last := docs[len(docs)-1]
	if last["status"] != "error" || code != "" && last.get("error", "cause", "error", "Code") != code {
		s.Errorf("mc %s: %v, want code %s", s.hide(args), last, code)
	}
}

// startMC gives a session of mc with an alias and a bucket.
func startMC(t *testing.T) (mc, *session) {
	t.Helper()
	dir := workDirectory(t)
	found, err := findMC()
	if err != nil && inCI() {
		t.Fatalf("%v; test/e2e/setup.sh installs it", err)
	}
	if err != nil {
		t.Skipf("%v; test/e2e/setup.sh installs it", err)
	}
	c := found.(mc)
	server, log := startServer(t, dir)
	s := newSession(t, server, log, newFixture(t, dir), dir, "mc-keys")
	// With a region in the environment mc asks for no location, and takes a wrong password for a right one.
	s.environ = slices.DeleteFunc(s.environ, func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	if d := c.one(s, "alias", "set", mcAlias, server.URL, server.AccessKey, server.SecretKey); d["api"] != "s3v4" {
		t.Errorf("alias: %v", d)
	}
	c.json(s, "mb", mcAlias+"/"+s.bucket)
	return c, s
}

// TestMCAdmin runs what mc has to administer keys.
func TestMCAdmin(t *testing.T) {
	c, s := startMC(t)
	c.refused(s, "SignatureDoesNotMatch", "alias", "set", "wrong", s.server.URL, s.server.AccessKey, "not-the-password")

	info := c.one(s, "admin", "info", mcAlias)
	servers, _ := info.get("info", "servers").([]any)
	if len(servers) != 1 || mcDoc(servers[0].(map[string]any))["state"] != "online" {
		t.Errorf("servers: %v", servers)
	}
	if got := info.get("info", "buckets", "count"); got != float64(1) {
		t.Errorf("%v buckets", got)
	}
	if got := info.get("info", "services", "kms", "status"); got != "online" {
		t.Errorf("kms %v", got)
	}
	if out := s.run(c.program, "admin", "info", mcAlias); !strings.Contains(out, s.authority()) {
		t.Errorf("mc admin info: %s", out)
	}

	if d := c.one(s, "admin", "kms", "key", "status", mcAlias); d["keyId"] != "rustfs-default-key" {
		t.Errorf("the default key: %v", d)
	}
	s.run(c.program, "admin", "kms", "key", "create", mcAlias, "app")
	c.refused(s, "kms:KeyAlreadyExists", "admin", "kms", "key", "create", mcAlias, "app")
	if d := c.one(s, "admin", "kms", "key", "status", mcAlias, "app"); d["keyId"] != "app" || d["encryptionErr"] != nil || d["decryptionErr"] != nil {
		t.Errorf("status: %v", d)
	}
	c.refused(s, "kms:KeyNotFound", "admin", "kms", "key", "status", mcAlias, "none")
	list := fmt.Sprint(c.one(s, "admin", "kms", "key", "list", mcAlias)["keys"])
	if !strings.Contains(list, "app") || !strings.Contains(list, "rustfs-default-key") {
		t.Errorf("list: %s", list)
	}

	bucket := mcAlias + "/" + s.bucket
	encryption := func(algorithm string, key any) {
		t.Helper()
		e, _ := c.one(s, "encrypt", "info", bucket)["encryption"].(map[string]any)
		if e["algorithm"] != algorithm || e["keyId"] != key {
			t.Errorf("encryption %v, want %s by %v", e, algorithm, key)
		}
	}
	c.one(s, "encrypt", "set", "sse-kms", "app", bucket)
	encryption("aws:kms", "app")
	c.json(s, "cp", s.fixture.large, c.at(s, "by-default"))
	c.sealed(s, "by-default", "aws:kms", "app")
	c.one(s, "encrypt", "set", "sse-s3", bucket)
	encryption("AES256", nil)
	c.one(s, "encrypt", "clear", bucket)
	encryption("AES256", nil)
	c.refused(s, "KMS.NotFoundException", "encrypt", "set", "sse-kms", "none", bucket)
}

// sealed looks at what mc stat tells of an object's encryption.
func (c mc) sealed(s *session, key, mode string, keyID any, flags ...string) {
	s.Helper()
	d := c.one(s, append(append([]string{"stat"}, flags...), c.at(s, key))...)
	m, _ := d["metadata"].(map[string]any)
	if mode == "SSE-C" {
		if m["X-Amz-Server-Side-Encryption-Customer-Algorithm"] != "AES256" || m["X-Amz-Server-Side-Encryption"] != nil {
			s.Errorf("%s: %v", key, m)
		}
		return
	}
	if m["X-Amz-Server-Side-Encryption"] != mode || m["X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"] != keyID {
		s.Errorf("%s: %v, want %s by %v", key, m, mode, keyID)
	}
}

// TestMCEncryption copies in every mode, whole and in parts, to the server, back, and from mode to mode on the server.
func TestMCEncryption(t *testing.T) {
	c, s := startMC(t)
	s.run(c.program, "admin", "kms", "key", "create", mcAlias, "app")
	small := s.path("small")
	if err := os.WriteFile(small, []byte("small\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const clientKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE" // 32 bytes
	prefix := mcAlias + "/" + s.bucket + "/"
	modes := []struct {
		name, mode string
		keyID      any
		write      func(key string) []string
		read       func(key string) []string
	}{
		{"kms", "aws:kms", "app", func(key string) []string { return []string{"--enc-kms", prefix + key + "=app"} }, nil},
		{"s3", "AES256", nil, func(key string) []string { return []string{"--enc-s3", prefix + key} }, nil},
		{"c", "SSE-C", nil, func(key string) []string { return []string{"--enc-c", prefix + key + "=" + clientKey} },
			func(key string) []string { return []string{"--enc-c", prefix + key + "=" + clientKey} }},
	}
	for _, m := range modes {
		for kind, file := range map[string]string{"small": small, "large": s.fixture.large} {
			key := m.name + "-" + kind
			c.json(s, append(append([]string{"cp"}, m.write(key)...), file, prefix+key)...)
			var read []string
			if m.read != nil {
				read = m.read(key)
				c.refused(s, "", "cp", prefix+key, s.path("without-key"))
			}
			c.sealed(s, key, m.mode, m.keyID, read...)
			back := s.path("back-" + key)
			c.json(s, append(append([]string{"cp"}, read...), prefix+key, back)...)
			if hashFile(t, back) != hashFile(t, file) {
				t.Errorf("%s came back differently", key)
			}
			if out := s.run(append(append([]string{c.program, "cat"}, read...), prefix+key)...); kind == "small" && out != "small\n" {
				t.Errorf("mc cat: %q", out)
			}
		}
	}
	for _, from := range modes {
		for _, to := range modes {
			source, target := from.name+"-large", from.name+"-to-"+to.name
			flags := to.write(target)
			if from.read != nil {
				flags = append(flags, from.read(source)...)
			}
			c.json(s, append(append([]string{"cp"}, flags...), prefix+source, prefix+target)...)
			var read []string
			if to.read != nil {
				read = to.read(target)
			}
			c.sealed(s, target, to.mode, to.keyID, read...)
			back := s.path("copy")
			c.json(s, append(append([]string{"cp"}, read...), prefix+target, back)...)
			if hashFile(t, back) != s.fixture.largeSum {
				t.Errorf("%s came back differently", target)
			}
		}
	}
}

// TestMCCommands runs the other commands that people use daily.
func TestMCCommands(t *testing.T) {
	c, s := startMC(t)
	c.json(s, "cp", s.fixture.large, c.at(s, "a/one"))
	c.json(s, "cp", c.at(s, "a/one"), c.at(s, "a/two"))
	c.json(s, "mv", c.at(s, "a/two"), c.at(s, "a/three"))
	if docs := c.json(s, "find", mcAlias+"/"+s.bucket, "--name", "three"); len(docs) != 1 {
		t.Errorf("find: %v", docs)
	}
	if d := c.one(s, "du", mcAlias+"/"+s.bucket); d["objects"] != float64(2) {
		t.Errorf("du: %v", d)
	}
	if d := c.one(s, "stat", c.at(s, "a/three")); d["name"] != "three" {
		t.Errorf("stat: %v", d)
	}
	s.run(c.program, "stat", mcAlias+"/"+s.bucket)
	s.run(c.program, "tree", mcAlias+"/"+s.bucket)
	if d := c.one(s, "ready", mcAlias); d["healthy"] != true {
		t.Errorf("ready: %v", d)
	}
	link, _ := c.one(s, "share", "download", c.at(s, "a/three"))["share"].(string)
	s.run("curl", "--silent", "--show-error", "--fail", "--output", s.path("shared"), link)
	if hashFile(t, s.path("shared")) != s.fixture.largeSum {
		t.Error("the shared object differs")
	}
	c.json(s, "rm", c.at(s, "a/one"))
	c.refused(s, "", "stat", c.at(s, "a/one"))
	c.json(s, "rm", "--recursive", "--force", c.at(s, "a/"))
	c.json(s, "rb", mcAlias+"/"+s.bucket)
	c.refused(s, "", "ls", mcAlias+"/"+s.bucket)
}
