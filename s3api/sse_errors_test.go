package s3api_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
)

func failing(context.Context, kmstest.Op, string) error { return kms.Unavailable }

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestSealingFaults sends each fault of the fields that ask for encryption with every operation that takes them. Nothing
// is stored, and no answer or log line tells a key. It is as long as the list of faults.
func TestSealingFaults(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.put("/bucket/source", "x")
	s.fake.SetState("other", kms.StateDisabled)
	c := customer(sseCustomer, 'k')
	short := base64.StdEncoding.EncodeToString([]byte("sixteen bytes..."))
	shortSum := md5.Sum([]byte("sixteen bytes..."))
	context8K := `{"a":"` + strings.Repeat("x", 8<<10-len(`{"a":""}`)) + `"}`
	for _, tc := range []struct {
		name   string
		header fields
		status int
		code   string
	}{
		{"unknown mode", fields{sse: "ROT13"}, 400, "InvalidArgument"},
		{"empty mode", fields{sse: ""}, 400, "InvalidArgument"},
		{"mode in another case", fields{sse: "aes256"}, 400, "InvalidArgument"},
		{"key id alone", fields{sseKeyID: "app"}, 400, "InvalidArgument"},
		{"key id with AES256", fields{sse: "AES256", sseKeyID: "app"}, 400, "InvalidArgument"},
		{"context alone", fields{sseContext: "{}"}, 400, "InvalidArgument"},
		{"context with AES256", fields{sse: "AES256", sseContext: "{}"}, 400, "InvalidArgument"},
		{"edge space of a key id", fields{sse: "aws:kms", sseKeyID: "arn:aws:kms:us-east-1:1:key/ app"}, 400, "InvalidRequest"},
		{"no-break space of a key id", fields{sse: "aws:kms", sseKeyID: "arn:aws:kms:us-east-1:1:key/\u00a0app"}, 400, "InvalidRequest"},
		{"ARN without a key", fields{sse: "aws:kms", sseKeyID: "arn:aws:kms:us-east-1:1:key/"}, 400, "InvalidArgument"},
		{"long key id", fields{sse: "aws:kms", sseKeyID: strings.Repeat("k", 257)}, 400, "InvalidArgument"},
		{"key id of no text", fields{sse: "aws:kms", sseKeyID: "a\xff"}, 400, "InvalidArgument"},
		{"key id with a control character", fields{sse: "aws:kms", sseKeyID: "a\u0085b"}, 400, "InvalidArgument"},
		{"unknown key", fields{sse: "aws:kms", sseKeyID: "none"}, 400, "KMS.NotFoundException"},
		{"unknown key of the bucket", fields{sse: "aws:kms", sseKeyID: "none", sseBucket: "true"}, 400, "KMS.NotFoundException"},
		{"disabled key", fields{sse: "aws:kms", sseKeyID: "other"}, 400, "KMS.DisabledException"},
		{"bucket key of neither", fields{sse: "aws:kms", sseBucket: "maybe"}, 400, "InvalidArgument"},

		{"context of no object", fields{sse: "aws:kms", sseContext: "WyJhIl0="}, 400, "InvalidArgument"},
		{"context of no JSON", fields{sse: "aws:kms", sseContext: "{a:1}"}, 400, "InvalidArgument"},
		{"context of nothing", fields{sse: "aws:kms", sseContext: ""}, 400, "InvalidArgument"},
		{"context of numbers", fields{sse: "aws:kms", sseContext: `{"a":1}`}, 400, "InvalidArgument"},
		{"context of equal names", fields{sse: "aws:kms", sseContext: `{"a":"1","\u0061":"2"}`}, 400, "InvalidArgument"},
		{"context of the bucket", fields{sse: "aws:kms", sseContext: `{"bucket":"x"}`}, 400, "InvalidArgument"},
		{"context of the key", fields{sse: "aws:kms", sseContext: base64.StdEncoding.EncodeToString([]byte(`{"key":"x"}`))}, 400, "InvalidArgument"},
		{"context in base64 twice", fields{sse: "aws:kms", sseContext: "ZTMwPQ=="}, 400, "InvalidArgument"},
		{"context over 8 KiB", fields{sse: "aws:kms", sseContext: context8K + "}"}, 400, "InvalidArgument"},
		{"longer context", fields{sse: "aws:kms", sseContext: strings.Replace(context8K, "x", "xx", 1)}, 400, "InvalidArgument"},

		{"SSE-C and a mode", join(c, fields{sse: "AES256"}), 400, "InvalidArgument"},
		{"SSE-C and SSE-KMS", join(c, fields{sse: "aws:kms", sseKeyID: "app"}), 400, "InvalidArgument"},
		{"SSE-C and a bucket key", join(c, fields{sseBucket: "true"}), 400, "InvalidArgument"},
		{"SSE-C by another algorithm", join(c, fields{sseCustomer + "algorithm": "AES192"}), 400, "InvalidArgument"},
		{"SSE-C without algorithm", without(c, sseCustomer+"algorithm"), 400, "InvalidArgument"},
		{"SSE-C without key", without(c, sseCustomer+"key"), 400, "InvalidArgument"},
		{"SSE-C without MD5", without(c, sseCustomer+"key-MD5"), 400, "InvalidArgument"},
		{"algorithm alone", fields{sseCustomer + "algorithm": "AES256"}, 400, "InvalidArgument"},
		{"key not in base64", join(c, fields{sseCustomer + "key": "not base64!"}), 400, "InvalidArgument"},
		{"short key", join(c, fields{sseCustomer + "key": short, sseCustomer + "key-MD5": base64.StdEncoding.EncodeToString(shortSum[:])}), 400, "InvalidArgument"},
		{"empty key", join(c, fields{sseCustomer + "key": ""}), 400, "InvalidArgument"},
		{"MD5 of another key", join(c, fields{sseCustomer + "key-MD5": customer(sseCustomer, 'o')[sseCustomer+"key-MD5"]}), 400, "InvalidArgument"},
		{"MD5 not in base64", join(c, fields{sseCustomer + "key-MD5": "?"}), 400, "InvalidArgument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			target := "/bucket/" + escape(tc.name)
			for _, r := range []request{
				{method: "PUT", target: target, body: []byte("x"), header: tc.header},
				{method: "POST", target: target + "?uploads=", header: tc.header},
				{method: "PUT", target: target, header: join(tc.header, fields{"x-amz-copy-source": "bucket/source"})},
			} {
				a := s.do(r)
				wantError(t, a, tc.status, tc.code)
				wantNoKey(t, "answer", string(a.body), tc.header)
			}
			if a := s.do(request{method: "HEAD", target: target}); a.status != 404 {
				t.Errorf("something was stored: %d", a.status)
			}
		})
	}
	base := base64.StdEncoding.EncodeToString([]byte(context8K))
	for target, text := range map[string]string{"/bucket/long": context8K, "/bucket/long64": base} {
		s.must(request{method: "PUT", target: target, header: fields{sse: "aws:kms", sseContext: text}})
		if a := s.must(request{method: "HEAD", target: target}); a.header.Get(sseContext) != base {
			t.Errorf("%s: the context came back differently", target)
		}
	}
	t.Cleanup(func() {
		if up := s.must(request{method: "GET", target: "/bucket?uploads="}); strings.Contains(string(up.body), "<UploadId>") {
			t.Errorf("an upload was begun: %s", up.body)
		}
		wantNoKey(t, "log", s.logs.String(), c)
	})
}

// wantNoKey fails when a text has the client's key that a header has, or its MD5.
func wantNoKey(t *testing.T, what, text string, header fields) {
	t.Helper()
	for name, value := range header {
		if strings.Contains(name, "-customer-key") && value != "" && value != "?" && strings.Contains(text, value) {
			t.Errorf("the %s tells %s:\n%s", what, name, text)
		}
	}
}

// TestFieldsOfOtherOperations: fields of encryption that an operation does not take are never passed over.
func TestFieldsOfOtherOperations(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.put("/bucket/key", "x")
	c, source := customer(sseCustomer, 'k'), customer(sseSource, 'k')
	s.must(request{method: "PUT", target: "/bucket/client", header: c})
	up := s.begin("/bucket/upload", nil)
	attributes := fields{"x-amz-object-attributes": "ETag"}
	managed := []fields{{sse: "AES256"}, {sse: "aws:kms"}, {sse: "nonsense"}, {sseKeyID: "app"}, {sseContext: "{}"}, {sseBucket: "true"}}
	for _, tc := range []struct {
		op, method, target string
		header             fields
		refused            []fields
	}{
		{"GetObject", "GET", "/bucket/key", nil, append(managed, source)},
		{"GetObject of SSE-C", "GET", "/bucket/client", c, append(managed, source)},
		{"GetObjectAttributes", "GET", "/bucket/key?attributes=", attributes, append(managed, source)},
		{"UploadPart", "PUT", "/bucket/upload?partNumber=1&uploadId=" + up, nil, append(managed, source)},
		{"UploadPartCopy", "PUT", "/bucket/upload?partNumber=1&uploadId=" + up, fields{"x-amz-copy-source": "bucket/key"}, managed},
		{"PutObject", "PUT", "/bucket/put", nil, []fields{source}},
		{"CreateMultipartUpload", "POST", "/bucket/put?uploads=", nil, []fields{source}},
		{"AbortMultipartUpload", "DELETE", "/bucket/upload?uploadId=" + up, nil, append(managed, c)},
		{"DeleteObject", "DELETE", "/bucket/key", nil, append(managed, c)},
		{"ListObjectsV2", "GET", "/bucket?list-type=2", nil, append(managed, c)},
		{"GetObjectTagging", "GET", "/bucket/key?tagging=", nil, append(managed, c)},
		{"CreateBucket", "PUT", "/second", nil, append(managed, c)},
	} {
		for _, header := range tc.refused {
			a := s.do(request{method: tc.method, target: tc.target, header: join(tc.header, header)})
			wantError(t, a, 400, "InvalidArgument")
			wantNoKey(t, "answer of "+tc.op, string(a.body), header)
		}
	}
	for _, header := range managed {
		if a := s.do(request{method: "HEAD", target: "/bucket/key", header: header}); a.status != 400 || len(a.body) != 0 {
			t.Errorf("HEAD with %v: %d", header, a.status)
		}
	}
	s.must(request{method: "DELETE", target: "/bucket/upload?uploadId=" + up})
	s.must(request{method: "GET", target: "/bucket/key"})
}

// TestClientKeys reads and copies with the right key, a wrong one, none, and one that is not wanted. It is as long as the
// list of these.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	right, wrong := customer(sseCustomer, 'k'), customer(sseCustomer, 'w')
	s.must(request{method: "PUT", target: "/bucket/client", body: []byte("hello"), header: right})
	s.must(request{method: "PUT", target: "/bucket/empty", header: right})
	s.put("/bucket/plain", "hello")
	s.must(request{method: "PUT", target: "/bucket/kms", body: []byte("hello"), header: fields{sse: "aws:kms", sseKeyID: "app"}})
	up, plain := s.begin("/bucket/upload", right), s.begin("/bucket/plain-upload", nil)
	part, plainPart := "/bucket/upload?partNumber=1&uploadId="+up, "/bucket/plain-upload?partNumber=1&uploadId="+plain
	attributes := fields{"x-amz-object-attributes": "ETag"}
	copyOf := func(key string, header ...fields) fields {
		return join(append(header, fields{"x-amz-copy-source": "bucket/" + key})...)
	}
	sourceRight, sourceWrong := customer(sseSource, 'k'), customer(sseSource, 'w')
	const denied, invalid = "AccessDenied", "InvalidRequest"
	for _, tc := range []struct {
		name, method, target string
		header               fields
		status               int
		code                 string
	}{
		{"read", "GET", "/bucket/client", right, 200, ""},
		{"read, wrong", "GET", "/bucket/client", wrong, 403, denied},
		{"read, none", "GET", "/bucket/client", nil, 400, invalid},
		{"read range, wrong", "GET", "/bucket/client", join(wrong, fields{"Range": "bytes=1-2"}), 403, denied},
		{"read empty, wrong", "GET", "/bucket/empty", wrong, 403, denied},
		{"read empty, none", "GET", "/bucket/empty", nil, 400, invalid},
		{"read plain", "GET", "/bucket/plain", right, 400, invalid},
		{"read KMS", "GET", "/bucket/kms", right, 400, invalid},
		{"read with MD5 of another", "GET", "/bucket/client", join(right, fields{sseCustomer + "key-MD5": wrong[sseCustomer+"key-MD5"]}), 400, "InvalidArgument"},
		{"read without MD5", "GET", "/bucket/client", without(right, sseCustomer+"key-MD5"), 400, "InvalidArgument"},
		{"attributes", "GET", "/bucket/client?attributes=", join(attributes, right), 200, ""},
		{"attributes, wrong", "GET", "/bucket/client?attributes=", join(attributes, wrong), 403, denied},
		{"attributes, none", "GET", "/bucket/client?attributes=", attributes, 400, invalid},
		{"attributes of plain", "GET", "/bucket/plain?attributes=", join(attributes, right), 400, invalid},
		{"key that is not there", "GET", "/bucket/none", right, 404, "NoSuchKey"},

		{"part", "PUT", part, right, 200, ""},
		{"part, wrong", "PUT", part, wrong, 400, invalid},
		{"part, none", "PUT", part, nil, 400, invalid},
		{"part of plain", "PUT", plainPart, right, 400, invalid},
		{"part copy", "PUT", part, copyOf("client", right, sourceRight), 200, ""},
		{"part copy, source wrong", "PUT", part, copyOf("client", right, sourceWrong), 403, denied},
		{"part copy, source none", "PUT", part, copyOf("client", right), 400, invalid},
		{"part copy, source plain", "PUT", part, copyOf("plain", right, sourceRight), 400, invalid},
		{"part copy, upload wrong", "PUT", part, copyOf("client", wrong, sourceRight), 400, invalid},
		{"part copy, upload none", "PUT", part, copyOf("client", sourceRight), 400, invalid},
		{"part copy, upload plain", "PUT", plainPart, copyOf("client", right, sourceRight), 400, invalid},
		{"part copy to plain", "PUT", plainPart, copyOf("client", sourceRight), 200, ""},

		{"copy", "PUT", "/bucket/copy", copyOf("client", sourceRight), 200, ""},
		{"copy, wrong", "PUT", "/bucket/copy2", copyOf("client", sourceWrong), 403, denied},
		{"copy, none", "PUT", "/bucket/copy2", copyOf("client", right), 400, invalid},
		{"copy of plain", "PUT", "/bucket/copy2", copyOf("plain", sourceRight), 400, invalid},
		{"copy, source without MD5", "PUT", "/bucket/copy2", copyOf("client", without(sourceRight, sseSource+"key-MD5")), 400, "InvalidArgument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := request{method: tc.method, target: tc.target, header: tc.header}
			if strings.HasPrefix(tc.name, "part") && !strings.Contains(tc.name, "copy") {
				r.body = []byte("x")
			}
			a := s.in(t).do(r)
			wantNoKey(t, "answer", string(a.body), tc.header)
			if tc.code != "" {
				wantError(t, a, tc.status, tc.code)
			} else if a.status != tc.status {
				t.Fatalf("status %d, want %d\n%s", a.status, tc.status, a.body)
			}
		})
	}
	for header, want := range map[*fields]int{&right: 200, &wrong: 403, {}: 400} {
		if a := s.do(request{method: "HEAD", target: "/bucket/client", header: *header}); a.status != want || len(a.body) != 0 {
			t.Errorf("HEAD: %d, want %d", a.status, want)
		}
	}
	s.must(request{method: "DELETE", target: "/bucket/client"})
	for _, header := range []fields{right, wrong, sourceRight} {
		wantNoKey(t, "log", s.logs.String(), header)
	}
}

// TestClientKeyIsNotInURLs: presigned URLs may carry other fields, and never a key.
func TestClientKeyIsNotInURLs(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	for name, value := range customer("X-Amz-Server-Side-Encryption-Customer-", 'k') {
		a := s.do(request{method: "PUT", target: "/bucket/key?" + name + "=" + strings.ReplaceAll(escape(value), "/", "%2F")})
		wantError(t, a, 400, "InvalidRequest")
		wantNoKey(t, "answer", string(a.body), fields{strings.ToLower(name): value})
		a = s.do(request{method: "PUT", target: "/bucket/key?" + name + "=" + strings.ReplaceAll(escape(value), "/", "%2F"), secret: "wrong"})
		wantError(t, a, 403, "SignatureDoesNotMatch")
		wantNoKey(t, "answer", string(a.body), fields{strings.ToLower(name): escape(value), strings.ToLower(name) + "-key": value})
		a = s.do(request{method: "PUT", target: "/bucket/key", header: fields{name: value}, secret: "wrong"})
		wantError(t, a, 403, "SignatureDoesNotMatch")
		wantNoKey(t, "answer", string(a.body), fields{strings.ToLower(name): value})
	}
	wantNoKey(t, "log", s.logs.String(), customer(sseCustomer, 'k'))
}

// TestInternalMetadata: names under which servers of this kind keep sealed keys are nothing that clients set.
func TestInternalMetadata(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.put("/bucket/source", "x")
	for _, name := range []string{
		"x-amz-meta-x-rustfs-encryption-key", "X-Amz-Meta-X-Rustfs-Internal-Sse-Key", "x-amz-meta-x-rustfs-anything",
		"X-Amz-Meta-X-Minio-Internal-Server-Side-Encryption-Sealed-Key", "x-amz-meta-x-minio-internal-encrypted-multipart",
	} {
		header := fields{name: "forged"}
		for _, r := range []request{
			{method: "PUT", target: "/bucket/key", header: header},
			{method: "POST", target: "/bucket/key?uploads=", header: header},
			{method: "PUT", target: "/bucket/key", header: join(header, fields{"x-amz-copy-source": "bucket/source", "x-amz-metadata-directive": "REPLACE"})},
		} {
			wantError(t, s.do(r), 400, "InvalidArgument")
		}
	}
	bare := fields{"X-Minio-Internal-Server-Side-Encryption-Iv": "forged", "x-rustfs-internal-sse-key": "forged", "x-minio-internal-x": "forged",
		"x-rustfs-encryption-iv": "forged", "x-amz-meta-x-amz-key": "of a client that encrypts itself"}
	s.must(request{method: "PUT", target: "/bucket/key", header: bare})
	_, err := s.store.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: "inside", Body: strings.NewReader(""), Meta: object.Metadata{
		User: map[string]string{"x-rustfs-encryption-key": "sealed", "X-Minio-Internal-Iv": "sealed", "mine": "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	wantFields(t, "GET", s.must(request{method: "GET", target: "/bucket/inside"}).header,
		fields{"x-amz-meta-mine": "1", "x-amz-meta-x-rustfs-encryption-key": "", "x-amz-meta-x-minio-internal-iv": ""})
	for _, method := range []string{"GET", "HEAD"} {
		for name, values := range s.must(request{method: method, target: "/bucket/key"}).header {
			if strings.Contains(strings.Join(values, ""), "forged") {
				t.Errorf("%s: a client set %s", method, name)
			}
		}
	}
}

// TestKeyServiceFailures has the key service fail in every way there is, and holds the answers against the one table of
// them. Nothing is stored.
func TestKeyServiceFailures(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	sealed := fields{sse: "aws:kms", sseKeyID: "app"}
	s.must(request{method: "PUT", target: "/bucket/old", body: []byte("x"), header: sealed})
	for _, kind := range kms.Kinds() {
		want := kind.Codes().S3
		s.fake.SetRule(func(context.Context, kmstest.Op, string) error { return fmt.Errorf("%w: PUT transit/the/path", kind) })
		for _, r := range []request{
			{method: "PUT", target: "/bucket/new", body: []byte("x"), header: sealed},
			{method: "POST", target: "/bucket/new?uploads=", header: sealed},
			{method: "PUT", target: "/bucket/new", header: join(sealed, fields{"x-amz-copy-source": "/bucket/old"})},
			{method: "GET", target: "/bucket/old"},
		} {
			a := s.do(r)
			doc := a.err(t)
			if doc.Code != want.Name || a.status != want.Status {
				t.Errorf("%v, %s %s: %d %s, want %+v", kind, r.method, r.target, a.status, doc.Code, want)
			}
			if retry := a.header.Get("Retry-After") != ""; retry != (want.Status == 503) {
				t.Errorf("%v, %s %s: Retry-After %v", kind, r.method, r.target, retry)
			}
			if tells := strings.Contains(doc.Message, "transit/the/path"); tells != (kind == kms.Denied || kind == kms.Invalid) {
				t.Errorf("%v, %s %s: the message is %q", kind, r.method, r.target, doc.Message)
			}
		}
		if a := s.do(request{method: "HEAD", target: "/bucket/new"}); a.status != 404 {
			t.Errorf("%v: something was stored: %d", kind, a.status)
		}
	}
	s.fake.SetRule(nil)
	s.must(request{method: "GET", target: "/bucket/old"})
}
