package s3api

import (
	"maps"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"coffer/object"
	"coffer/s3api/s3err"
)

// checkFields refuses header fields that ask for what this server does not do, wherever they stand, and those whose
// value is not one that S3 knows. It is one place, so that no operation can forget it.
func (s *Server) checkFields(c *call) error {
	for _, name := range slices.Sorted(maps.Keys(c.fields)) { // the same fault first each time
		value := c.fields[name]
		if !printable(value) {
			return invalidArgument(name, "", "The value of %s has control characters.", name)
		}
		if which := sseFieldOf(name); which != 0 {
			if err := checkSSEField(c, name, which); err != nil {
				return err
			}
			continue
		}
		if err := s.checkField(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) checkField(name, value string) error {
	switch {
	case strings.HasPrefix(name, sseField), strings.HasPrefix(name, sourcePrefix+"server-side-encryption"), // what sseFieldOf does not know
		strings.HasPrefix(name, "x-amz-object-lock-"),
		name == "x-amz-tagging",
		name == "x-amz-write-offset-bytes",
		name == "x-amz-if-match-last-modified-time", name == "x-amz-if-match-size",
		name == "x-amz-bucket-object-lock-enabled" && !strings.EqualFold(value, "false"),
		name == "x-amz-object-ownership" && value != "BucketOwnerEnforced":
		return s3err.New(s3err.NotImplemented).With("Header", name)
	case name == "x-amz-acl" && value != "private" && value != "bucket-owner-full-control",
		strings.HasPrefix(name, "x-amz-grant-"):
		return s3err.New(s3err.AccessControlListNotSupported)
	case name == "x-amz-storage-class" && value != "STANDARD":
		return s3err.New(s3err.InvalidStorageClass).With("StorageClassRequested", value)
	case (name == "x-amz-expected-bucket-owner" || name == "x-amz-source-expected-bucket-owner") && value != s.owner.ID:
		return s3err.New(s3err.AccessDenied)
	}
	return nil
}

// printable reports whether a value can stand in a header field. What arrived in one always can; a parameter that was
// hoisted from a presigned URL need not.
func printable(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' && value[i] != '\t' || value[i] == 0x7f {
			return false
		}
	}
	return true
}

const metaPrefix = "x-amz-meta-"

// metadata reads what the client says about its object.
func (c *call) metadata() (object.Metadata, error) {
	m := object.Metadata{
		ContentType:        c.get("content-type"),
		CacheControl:       c.get("cache-control"),
		ContentDisposition: c.get("content-disposition"),
		ContentEncoding:    withoutChunked(c.get("content-encoding")),
		ContentLanguage:    c.get("content-language"),
		Expires:            c.get("expires"),
		WebsiteRedirect:    c.get("x-amz-website-redirect-location"),
	}
	if r := m.WebsiteRedirect; r != "" && !validRedirect(r) {
		return m, invalidArgument("x-amz-website-redirect-location", r,
			"The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
	}
	for name, value := range c.fields {
		key, ok := strings.CutPrefix(name, metaPrefix)
		if !ok {
			continue
		}
		if key == "" {
			return m, invalidArgument(name, value, "User metadata must have a name.")
		}
		if reservedMetadata(key) {
			return m, s3err.Newf(s3err.InvalidArgument, "Your metadata headers are not supported.").With("ArgumentName", name)
		}
		if m.User == nil {
			m.User = map[string]string{}
		}
		m.User[key] = decodeWords(value)
	}
	return m, nil
}

// reservedMetadata reports whether a name of user metadata is one under which servers of this kind keep, or show an
// administrator, how an object is sealed. A client neither sets such a name nor reads it.
func reservedMetadata(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "x-rustfs-") || strings.HasPrefix(name, "x-minio-internal-") ||
		name == "sse-kms-encrypted-key" || name == "sse-kms-iv"
}

func validRedirect(r string) bool {
	return strings.HasPrefix(r, "/") || strings.HasPrefix(r, "http://") || strings.HasPrefix(r, "https://")
}

// withoutChunked takes aws-chunked off Content-Encoding: it is about the request, not about the object.
func withoutChunked(encoding string) string {
	if !strings.Contains(encoding, "aws-chunked") {
		return encoding
	}
	var kept []string
	for coding := range strings.SplitSeq(encoding, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			kept = append(kept, coding)
		}
	}
	return strings.Join(kept, ",")
}

// decodeWords decodes RFC 2047, as S3 does with the values of user metadata.
func decodeWords(value string) string {
	if !strings.Contains(value, "=?") {
		return value
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil || !printable(decoded) {
		return value
	}
	return decoded
}

// encodeWords makes a value safe for a header: S3 sends what is not US-ASCII as RFC 2047.
func encodeWords(value string) string {
	for i := range len(value) {
		if value[i] >= utf8.RuneSelf {
			return mime.BEncoding.Encode("UTF-8", value)
		}
	}
	return value
}

// setMetadata writes an object's metadata into the answer.
func (c *call) setMetadata(m *object.Metadata) {
	c.set("Content-Type", orDefault(m.ContentType, "binary/octet-stream"))
	c.set("Cache-Control", m.CacheControl)
	c.set("Content-Disposition", m.ContentDisposition)
	c.set("Content-Encoding", m.ContentEncoding)
	c.set("Content-Language", m.ContentLanguage)
	c.set("Expires", m.Expires)
	c.set("x-amz-website-redirect-location", m.WebsiteRedirect)
	if m.StorageClass != "" && m.StorageClass != "STANDARD" {
		c.set("x-amz-storage-class", m.StorageClass)
	}
	for name, value := range m.User {
		if reservedMetadata(name) {
			continue
		}
		c.resp.Header.Set(metaPrefix+name, encodeWords(value)) // may be empty
	}
}

// overrides are the parameters by which a signed read replaces header fields of its answer.
var overrides = [...]struct{ param, field string }{
	{"response-content-type", "Content-Type"},
	{"response-cache-control", "Cache-Control"},
	{"response-content-disposition", "Content-Disposition"},
	{"response-content-encoding", "Content-Encoding"},
	{"response-content-language", "Content-Language"},
	{"response-expires", "Expires"},
}

func (c *call) checkOverrides() error {
	for _, o := range overrides {
		if v := c.param(o.param); !printable(v) {
			return invalidArgument(o.param, "", "The value of %s has control characters.", o.param)
		}
	}
	return nil
}

func (c *call) setOverrides() {
	for _, o := range overrides {
		c.set(o.field, c.param(o.param))
	}
}

func orDefault(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}
