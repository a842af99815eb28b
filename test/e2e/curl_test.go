//go:build e2e

package e2e

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// curl is Debian's, signing by --aws-sigv4. It has no directories and no
// multipart of its own, so this file says what to send where, in curl's words.
type curl struct{ program string }

const (
	curlPart = 16 << 20 // bytes of a part, doubled until 1,000 parts suffice
	sigv4    = "aws:amz:us-east-1:s3"
	// unsigned goes with files that curl streams: it signs before it reads them,
	// as if they were empty, unless told what to sign.
	unsigned = "x-amz-content-sha256: UNSIGNED-PAYLOAD"
)

// command asks curl to fail, and to say why, when the server refuses.
func (c curl) command(s *session, args ...string) []string {
	return append([]string{
		c.program, "--silent", "--show-error", "--fail-with-body", "--fail-early",
		"--aws-sigv4", sigv4, "--user", s.server.AccessKey + ":" + s.server.SecretKey,
	}, args...)
}

func (c curl) run(s *session, args ...string) string {
	s.Helper()
	return s.run(c.command(s, args...)...)
}

// url is that of a key of the bucket, or of the bucket itself.
func (c curl) url(s *session, key string) string {
	return s.server.URL + "/" + s.bucket + strings.TrimSuffix("/"+escape(key), "/")
}

// escape encodes everything that a signature wants encoded in a path.
func escape(key string) string {
	var b strings.Builder
	for _, char := range []byte(key) {
		switch {
		case char >= 'a' && char <= 'z', char >= 'A' && char <= 'Z', char >= '0' && char <= '9', strings.IndexByte("-._~/", char) >= 0:
			b.WriteByte(char)
		default:
			fmt.Fprintf(&b, "%%%02X", char)
		}
	}
	return b.String()
}

// escapeQuery encodes a value in a query.
func escapeQuery(value string) string { return strings.ReplaceAll(escape(value), "/", "%2F") }

// many sends one request for each name over one connection, by a configuration
// file for curl: request gives the pairs of an option and its value.
func (c curl) many(s *session, names []string, request func(name string) []string) {
	s.Helper()
	var b strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, name := range names {
		if i > 0 {
			b.WriteString("next\n")
		}
		options := append([]string{
			"fail-with-body", "", "aws-sigv4", sigv4, "user", s.server.AccessKey + ":" + s.server.SecretKey,
		}, request(name)...)
		for i := 0; i < len(options); i += 2 {
			fmt.Fprintf(&b, "%s = \"%s\"\n", options[i], quote.Replace(options[i+1]))
		}
	}
	config := s.path("curl.config")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		s.Fatal(err)
	}
	s.run(c.program, "--silent", "--show-error", "--fail-early", "--config", config)
}

func (c curl) Version(s *session) string {
	first, _, _ := strings.Cut(s.run(c.program, "--version"), "\n")
	return first
}

func (c curl) MakeBucket(s *session) { c.run(s, "-X", "PUT", c.url(s, "")) }

// Upload sends small files as data, whose digest curl signs and does not send;
// the large file as one request, in parts, and to the bucket as a host name.
func (c curl) Upload(s *session) []string {
	c.many(s, s.fixture.names(), func(name string) []string {
		return []string{"request", "PUT", "data-binary", "@" + path.Join(s.fixture.tree, name), "url", c.url(s, "tree/"+name)}
	})
	c.run(s, "-H", unsigned, "-T", s.fixture.large, c.url(s, "large.bin"))
	c.multipart(s, "parts.bin")
	host := strings.Replace(s.authority(), "127.0.0.1", s.bucket+".localhost", 1)
	c.run(s, "-H", unsigned, "-T", s.fixture.large, "http://"+host+"/virtual-host.bin")
	return []string{"parts.bin", "virtual-host.bin"}
}

func (c curl) multipart(s *session, key string) {
	var upload struct{ UploadId string }
	c.decode(s, &upload, c.run(s, "-X", "POST", c.url(s, key)+"?uploads="))
	id := escapeQuery(upload.UploadId)
	type part struct {
		PartNumber int
		ETag       string
	}
	var complete struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []part
	}
	for number, file := range c.split(s) {
		headers := c.run(s, "-H", unsigned, "-T", file, "--dump-header", "-", fmt.Sprintf("%s?partNumber=%d&uploadId=%s", c.url(s, key), number+1, id))
		complete.Part = append(complete.Part, part{number + 1, header(headers, "ETag")})
		if err := os.Remove(file); err != nil {
			s.Fatal(err)
		}
	}
	body, err := xml.Marshal(complete)
	if err != nil {
		s.Fatal(err)
	}
	answer := c.run(s, "--data-binary", string(body), c.url(s, key)+"?uploadId="+id)
	if !strings.Contains(answer, "<CompleteMultipartUploadResult") {
		s.Fatalf("completing the upload: %s", answer)
	}
}

// split cuts the large file into files.
func (c curl) split(s *session) []string {
	in, err := os.Open(s.fixture.large)
	if err != nil {
		s.Fatal(err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		s.Fatal(err)
	}
	size := int64(curlPart)
	for info.Size() > 1000*size {
		size *= 2
	}
	var files []string
	for off := int64(0); off < info.Size(); off += size {
		name := s.path(fmt.Sprintf("part-%04d", len(files)))
		out, err := os.Create(name)
		if err != nil {
			s.Fatal(err)
		}
		if _, err := io.Copy(out, io.NewSectionReader(in, off, size)); err != nil {
			s.Fatal(err)
		}
		if err := out.Close(); err != nil {
			s.Fatal(err)
		}
		files = append(files, name)
	}
	return files
}

// header gives the value of the last header of that name.
func header(text, name string) string {
	value := ""
	for line := range strings.Lines(text) {
		if field, rest, found := strings.Cut(line, ":"); found && strings.EqualFold(field, name) {
			value = strings.TrimSpace(rest)
		}
	}
	return value
}

func (c curl) decode(s *session, into any, text string) {
	s.Helper()
	if err := xml.Unmarshal([]byte(text), into); err != nil {
		s.Fatalf("%v in %s", err, text)
	}
}

func (c curl) List(s *session) ([]string, error) {
	var keys []string
	query := "?list-type=2"
	for {
		out, stderr, err := s.try(nil, c.command(s, c.url(s, "")+query)...)
		if err != nil {
			return nil, fmt.Errorf("curl: %w\n%s%s", err, out, stderr)
		}
		var page struct {
			Contents []struct {
				Key string
			}
			NextContinuationToken string
		}
		c.decode(s, &page, out)
		for _, object := range page.Contents {
			keys = append(keys, object.Key)
		}
		if page.NextContinuationToken == "" {
			return keys, nil
		}
		// Sorted by name, because curl signs a query as it finds it.
		query = "?continuation-token=" + escapeQuery(page.NextContinuationToken) + "&list-type=2"
	}
}

func (c curl) Download(s *session, tree string, files map[string]string) {
	c.many(s, s.fixture.names(), func(name string) []string {
		return []string{"create-dirs", "", "output", path.Join(tree, name), "url", c.url(s, "tree/"+name)}
	})
	for key, file := range files {
		c.run(s, "-o", file, c.url(s, key))
	}
}

func (c curl) Remove(s *session) {
	keys, err := c.List(s)
	if err != nil {
		s.Fatal(err)
	}
	c.many(s, keys, func(key string) []string { return []string{"request", "DELETE", "url", c.url(s, key)} })
	c.run(s, "-X", "DELETE", c.url(s, ""))
}
