package s3api_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"testing"

	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

type fields = map[string]string

// join merges header fields; of a name that is in several the last one counts.
func join(sets ...fields) fields {
	all := fields{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

const (
	sse         = "x-amz-server-side-encryption"
	sseKeyID    = sse + "-aws-kms-key-id"
	sseContext  = sse + "-context"
	sseBucket   = sse + "-bucket-key-enabled"
	sseCustomer = sse + "-customer-"
	sseSource   = "x-amz-copy-source-server-side-encryption-customer-"
)

// customer gives the three fields of the client's key whose bytes are all b.
func customer(prefix string, b byte) fields {
	key := []byte(strings.Repeat(string(rune(b)), 32))
	sum := md5.Sum(key)
	return fields{
		prefix + "algorithm": "AES256", prefix + "key": base64.StdEncoding.EncodeToString(key),
		prefix + "key-MD5": base64.StdEncoding.EncodeToString(sum[:]),
	}
}

// without gives a copy of fields that lacks one.
func without(f fields, name string) fields {
	f = maps.Clone(f)
	delete(f, name)
	return f
}

// sealMode is a way of asking for encryption.
type sealMode struct {
	name   string
	write  fields // of PutObject, CopyObject and CreateMultipartUpload
	read   fields // of reads and parts
	source fields // of copies from it
	answer fields // in the answer of a write or read; "" means absent
}

// sealModes are all of them. The client's key of SSE-C is made of b.
func sealModes(b byte) []sealMode {
	c := customer(sseCustomer, b)
	s3 := fields{sse: "AES256", sseKeyID: "", sseContext: "", sseBucket: "", sseCustomer + "algorithm": ""}
	kms := fields{sse: "aws:kms", sseKeyID: "app", sseContext: "", sseBucket: "", sseCustomer + "algorithm": ""}
	text := base64.StdEncoding.EncodeToString([]byte(`{"b":"2", "a":"1"}`))
	return []sealMode{
		{name: "no header", answer: s3},
		{name: "SSE-S3", write: fields{sse: "AES256"}, answer: s3},
		{name: "SSE-KMS", write: fields{sse: "aws:kms", sseKeyID: "app", sseContext: `{"b":"2", "a":"1"}`}, answer: join(kms, fields{sseContext: text})},
		{name: "SSE-KMS with bucket key", write: fields{sse: "aws:kms", sseKeyID: "app", sseBucket: "true"}, answer: join(kms, fields{sseBucket: "true"})},
		{name: "SSE-C", write: c, read: c, source: customer(sseSource, b),
			answer: fields{sse: "", sseKeyID: "", sseCustomer + "algorithm": "AES256", sseCustomer + "key-MD5": c[sseCustomer+"key-MD5"], sseCustomer + "key": ""}},
	}
}

// sealed is a server over a key service with the keys app and other.
type sealed struct {
	*server
	fake *kmstest.Fake
}

func startSealed(t *testing.T, layout func(*object.Options)) *sealed {
	t.Helper()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	for _, id := range []string{"app", "other"} {
		if _, err := fake.CreateKey(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	s := &sealed{startOver(t, env.Open(t, layout), nil), fake}
	s.bucket("bucket")
	return s
}

// keyCalls counts the calls that need the key service's keys.
func (s *sealed) keyCalls() int {
	return s.fake.Calls(kmstest.OpGenerateKEK) + s.fake.Calls(kmstest.OpUnwrap) + s.fake.Calls(kmstest.OpDescribeKey)
}

// begin starts an upload and gives its id.
func (s *server) begin(target string, header fields) string {
	s.t.Helper()
	return between(string(s.must(request{method: "POST", target: target + "?uploads=", header: header}).body), "<UploadId>", "</UploadId>")
}

// wantFields compares fields of an answer; "" wants one to be absent.
func wantFields(t *testing.T, what string, h http.Header, want fields) {
	t.Helper()
	for name, value := range want {
		if got := h.Values(name); value == "" && len(got) != 0 || value != "" && (len(got) != 1 || got[0] != value) {
			t.Errorf("%s: %s is %q, want %q", what, name, got, value)
		}
	}
}

// TestEncryptionInAnswers looks at the fields of every operation's answer.
func TestEncryptionInAnswers(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.put("/bucket/source", "0123456789")
	for _, m := range sealModes('k') {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			target := "/bucket/" + escape(m.name)
			noContext := join(m.answer, fields{sseContext: ""})
			see := func(what string, want fields, r request) *answer {
				t.Helper()
				a := s.must(r)
				wantFields(t, what, a.header, want)
				return a
			}
			see("PutObject", m.answer, request{method: "PUT", target: target, body: []byte("x"), header: m.write})
			see("GetObject", m.answer, request{method: "GET", target: target, header: m.read})
			see("HeadObject", m.answer, request{method: "HEAD", target: target, header: m.read})
			see("GetObjectAttributes", noContext, request{method: "GET", target: target + "?attributes=",
				header: join(m.read, fields{"x-amz-object-attributes": "ETag"})})
			see("CopyObject", m.answer, request{method: "PUT", target: target + "-copy", header: join(m.write, fields{"x-amz-copy-source": "bucket/source"})})
			a := see("CreateMultipartUpload", m.answer, request{method: "POST", target: target + "?uploads=", header: m.write})
			query := "uploadId=" + between(string(a.body), "<UploadId>", "</UploadId>")
			a = see("UploadPart", noContext, request{method: "PUT", target: target + "?partNumber=1&" + query, body: []byte("x"), header: m.read})
			see("UploadPartCopy", noContext, request{method: "PUT", target: target + "?partNumber=2&" + query,
				header: join(m.read, fields{"x-amz-copy-source": "bucket/source"})})
			see("ListParts", fields{sse: ""}, request{method: "GET", target: target + "?" + query, header: m.read})
			see("CompleteMultipartUpload", join(noContext, fields{sseCustomer + "key-MD5": ""}), request{method: "POST", target: target + "?" + query,
				body: (&fixture{}).complete("1", a.header.Get("ETag"))})
			see("GetObject after Complete", m.answer, request{method: "GET", target: target, header: m.read})
		})
	}
}

// TestCompleteTakesTheFieldsOfTheUpload: minio-go sends them again, and they change nothing.
func TestCompleteTakesTheFieldsOfTheUpload(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	for _, m := range sealModes('k') {
		target := "/bucket/" + escape(m.name)
		up := s.begin(target, m.write)
		tag := s.must(request{method: "PUT", target: target + "?partNumber=1&uploadId=" + up, body: []byte("x"), header: m.read}).header.Get("ETag")
		a := s.must(request{method: "POST", target: target + "?uploadId=" + up, body: (&fixture{}).complete("1", tag), header: m.write})
		wantFields(t, m.name, a.header, join(m.answer, fields{sseContext: ""}))
	}
}

// TestModesOfKeyServices: how a mode and a key may be named, and what is stored of the context.
func TestModesOfKeyServices(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	text := `{"z":"ü", "a":"1"}`
	base := base64.StdEncoding.EncodeToString([]byte(text))
	for _, tc := range []struct {
		name string
		send fields
		want fields
	}{
		{"two layers", fields{sse: "aws:kms:dsse", sseKeyID: "app"}, fields{sse: "aws:kms", sseKeyID: "app"}},
		{"default key", fields{sse: "aws:kms"}, fields{sse: "aws:kms", sseKeyID: object.DefaultKeyID}},
		{"default key, empty", fields{sse: "aws:kms", sseKeyID: ""}, fields{sseKeyID: object.DefaultKeyID}},
		{"ARN", fields{sse: "aws:kms", sseKeyID: "arn:aws:kms:us-east-1:123456789012:key/other"}, fields{sseKeyID: "other"}},
		{"ARN without region", fields{sse: "aws:kms", sseKeyID: "arn:aws:kms:key/other"}, fields{sseKeyID: "other"}},
		{"ARN of MinIO", fields{sse: "aws:kms", sseKeyID: "arn:aws:kms:other"}, fields{sseKeyID: "other"}},
		{"context", fields{sse: "aws:kms", sseContext: text}, fields{sseContext: base}},
		{"context in base64", fields{sse: "aws:kms", sseContext: base}, fields{sseContext: base}},
		{"empty context", fields{sse: "aws:kms", sseContext: "{}"}, fields{sseContext: "e30="}},
		{"no bucket key", fields{sse: "aws:kms", sseBucket: "False"}, fields{sse: "aws:kms", sseBucket: ""}},
		{"bucket key of SSE-S3", fields{sse: "AES256", sseBucket: "true"}, fields{sse: "AES256", sseBucket: ""}},
		{"bucket key alone", fields{sseBucket: "true"}, fields{sse: "AES256", sseBucket: ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			target := "/bucket/" + escape(tc.name)
			wantFields(t, "PUT", s.must(request{method: "PUT", target: target, body: []byte("x"), header: tc.send}).header, tc.want)
			a := s.must(request{method: "HEAD", target: target})
			wantFields(t, "HEAD", a.header, tc.want)
			if tc.send[sseContext] != "" {
				info, err := s.store.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: tc.name})
				want, _ := base64.StdEncoding.DecodeString(tc.want[sseContext])
				if err != nil || string(info.Info.Encryption.Context) != string(want) {
					t.Errorf("stored context %q, want %q: %v", info.Info.Encryption.Context, want, err)
				}
			}
		})
	}
}

// TestETagsOfModes: only under SSE-S3 do equal plaintexts have equal tags, which are their MD5.
func TestETagsOfModes(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	const body = "the same bytes"
	sum := md5.Sum([]byte(body))
	for _, m := range sealModes('k') {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			target := "/bucket/" + escape(m.name)
			var tags []string
			for range 2 {
				a := s.must(request{method: "PUT", target: target, body: []byte(body), header: join(m.write, fields{
					"Content-MD5": base64.StdEncoding.EncodeToString(sum[:])})})
				tags = append(tags, a.header.Get("ETag"))
				up := s.begin(target+"-parts", m.write)
				a = s.must(request{method: "PUT", target: target + "-parts?partNumber=1&uploadId=" + up, body: []byte(body), header: m.read})
				tags = append(tags, a.header.Get("ETag"))
			}
			plain := m.answer[sse] == "AES256"
			for i, tag := range tags {
				if len(tag) != 34 || (tag == `"`+md5Hex(body)+`"`) != plain {
					t.Errorf("tag %s", tag)
				}
				for _, other := range tags[:i] {
					if (tag == other) != plain {
						t.Errorf("tags %s and %s of equal plaintexts", tag, other)
					}
				}
			}
			a := s.must(request{method: "GET", target: target, header: join(m.read, fields{"If-Match": tags[2]})})
			if a.header.Get("ETag") != tags[2] {
				t.Errorf("GET has tag %s, PUT had %s", a.header.Get("ETag"), tags[2])
			}
			wrong := join(m.write, fields{"Content-MD5": base64.StdEncoding.EncodeToString(make([]byte, md5.Size))})
			wantError(t, s.do(request{method: "PUT", target: target, body: []byte(body), header: wrong}), 400, "BadDigest")
		})
	}
}

// TestKeyServiceIsNotAsked: HEAD, listings and what is asked for by name only make no call, even when the service is
// gone; reads of what it wrapped then fail in a way that can be tried again.
func TestKeyServiceIsNotAsked(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	modes := sealModes('k')
	for _, m := range modes {
		s.must(request{method: "PUT", target: "/bucket/" + escape(m.name), body: []byte("x"), header: m.write})
	}
	up := s.begin("/bucket/upload", modes[2].write)
	before := s.keyCalls()
	s.fake.SetRule(failing)
	for _, m := range modes {
		target := "/bucket/" + escape(m.name)
		s.must(request{method: "HEAD", target: target, header: m.read})
		s.must(request{method: "HEAD", target: target, header: join(m.read, fields{"Range": "bytes=0-0"})})
		s.must(request{method: "GET", target: target + "?attributes=", header: join(m.read, fields{"x-amz-object-attributes": "ETag,ObjectSize"})})
		s.must(request{method: "GET", target: target + "?tagging="})
		s.must(request{method: "GET", target: target + "?acl="})
	}
	for _, target := range []string{"/", "/bucket", "/bucket?list-type=2", "/bucket?uploads=", "/bucket?encryption=", "/bucket/upload?uploadId=" + up} {
		s.must(request{method: "GET", target: target})
	}
	if n := s.keyCalls() - before; n != 0 {
		t.Errorf("%d calls of the key service", n)
	}
	a := s.do(request{method: "GET", target: "/bucket/SSE-KMS"})
	wantError(t, a, 503, "KMS.Unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	wantError(t, s.do(request{method: "PUT", target: "/bucket/new", body: []byte("x"), header: modes[2].write}), 503, "KMS.Unavailable")
	if a := s.do(request{method: "HEAD", target: "/bucket/new"}); a.status != 404 {
		t.Errorf("without a key something was stored: %d", a.status)
	}
	s.must(request{method: "DELETE", target: "/bucket/SSE-KMS"})
}
