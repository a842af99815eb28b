package s3api_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"coffer/s3api"
)

// fixture is what the requests of TestErrorCodes find.
type fixture struct {
	*server
	upload  string // upload of /bucket/big with parts 1 (5 MiB), 2 and 3 (1 byte)
	partTag string // of parts 2 and 3
	bigTag  string // of part 1
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{server: start(t, nil)}
	f.bucket("bucket")
	f.put("/bucket/key", "hello")
	f.upload = between(string(f.must(request{method: "POST", target: "/bucket/big?uploads="}).body), "<UploadId>", "</UploadId>")
	f.bigTag = f.part(1, bytes.Repeat([]byte("p"), 5<<20))
	f.part(2, []byte("q"))
	f.partTag = f.part(3, []byte("q"))
	return f
}

func (f *fixture) part(number int, body []byte) string {
	a := f.must(request{method: "PUT", target: fmt.Sprintf("/bucket/big?partNumber=%d&uploadId=%s", number, f.upload), body: body})
	return a.header.Get("ETag")
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func (f *fixture) complete(parts ...string) []byte {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>", parts[i], parts[i+1])
	}
	b.WriteString("</CompleteMultipartUpload>")
	return []byte(b.String())
}

// TestErrorCodes provokes each error by a request, and compares status, code and resource. It is as long as the list of
// errors.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wrongMD5 := base64.StdEncoding.EncodeToString(make([]byte, md5.Size))
	type h = map[string]string
	for _, tc := range []struct {
		name     string
		req      request
		framing  string // not "": written raw, with the sending side closed behind it
		status   int
		code     string
		resource string
	}{
		{"GET from no bucket", request{method: "GET", target: "/missing/key"}, "", 404, "NoSuchBucket", "/missing"},
		{"PUT to no bucket", request{method: "PUT", target: "/missing/key", body: []byte("x")}, "", 404, "NoSuchBucket", "/missing"},
		{"list no bucket", request{method: "GET", target: "/missing?list-type=2"}, "", 404, "NoSuchBucket", "/missing"},
		{"delete from no bucket", request{method: "DELETE", target: "/missing/key"}, "", 404, "NoSuchBucket", "/missing"},
		{"copy from no bucket", request{method: "PUT", target: "/bucket/copy", header: h{"x-amz-copy-source": "missing/key"}}, "", 404, "NoSuchBucket", "/missing"},
		{"no key", request{method: "GET", target: "/bucket/none"}, "", 404, "NoSuchKey", "/bucket/none"},
		{"copy no key", request{method: "PUT", target: "/bucket/copy", header: h{"x-amz-copy-source": "/bucket/none"}}, "", 404, "NoSuchKey", "/bucket/none"},
		{"If-Match on no key", request{method: "PUT", target: "/bucket/none", header: h{"If-Match": `"x"`}}, "", 404, "NoSuchKey", "/bucket/none"},
		{"no version", request{method: "GET", target: "/bucket/key?versionId=0123456789abcdef0123456789abcdef"}, "", 404, "NoSuchVersion", "/bucket/key"},
		{"no version id", request{method: "GET", target: "/bucket/key?versionId=0123"}, "", 400, "InvalidArgument", "/bucket/key"},
		{"no upload", request{method: "PUT", target: "/bucket/big?partNumber=1&uploadId=none", body: []byte("x")}, "", 404, "NoSuchUpload", "/bucket/big"},
		{"abort no upload", request{method: "DELETE", target: "/bucket/big?uploadId=0123456789abcdef0123456789abcdef"}, "", 404, "NoSuchUpload", "/bucket/big"},
		{"complete no upload", request{method: "POST", target: "/bucket/big?uploadId=none", body: f.complete("1", "x")}, "", 404, "NoSuchUpload", "/bucket/big"},
		{"list parts of no upload", request{method: "GET", target: "/bucket/big?uploadId=none"}, "", 404, "NoSuchUpload", "/bucket/big"},
		{"part missing", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: f.complete("7", f.partTag)}, "", 400, "InvalidPart", "/bucket/big"},
		{"part differs", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: f.complete("1", `"00"`)}, "", 400, "InvalidPart", "/bucket/big"},
		{"part order", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: f.complete("2", f.partTag, "1", f.bigTag)}, "", 400, "InvalidPartOrder", "/bucket/big"},
		{"part twice", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: f.complete("2", f.partTag, "2", f.partTag)}, "", 400, "InvalidPartOrder", "/bucket/big"},
		{"small part", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: f.complete("2", f.partTag, "3", f.partTag)}, "", 400, "EntityTooSmall", "/bucket/big"},
		{"too large", request{method: "PUT", target: "/bucket/k", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 5368709121\r\n\r\nx", 400, "EntityTooLarge", "/bucket/k"},
		{"part too large", request{method: "PUT", target: "/bucket/big?partNumber=4&uploadId=" + f.upload, hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 5368709121\r\n\r\nx", 400, "EntityTooLarge", "/bucket/big"},
		{"MD5 differs", request{method: "PUT", target: "/bucket/k", body: []byte("x"), header: h{"Content-MD5": wrongMD5}}, "", 400, "BadDigest", "/bucket/k"},
		{"checksum differs", request{method: "PUT", target: "/bucket/k", body: []byte("x"), header: h{"x-amz-checksum-crc32": "AAAAAA=="}}, "", 400, "BadDigest", "/bucket/k"},
		{"part's checksum differs", request{method: "PUT", target: "/bucket/big?partNumber=4&uploadId=" + f.upload, body: []byte("x"), header: h{"x-amz-checksum-crc32c": "AAAAAA=="}}, "", 400, "BadDigest", "/bucket/big"},
		{"document's MD5 differs", request{method: "POST", target: "/bucket?delete=", body: deleteDoc("a"), header: h{"Content-MD5": wrongMD5}}, "", 400, "BadDigest", "/bucket"},
		{"SHA-256 differs", request{method: "PUT", target: "/bucket/k", body: []byte("x"), hash: strings.Repeat("0", 64)}, "", 400, "XAmzContentSHA256Mismatch", "/bucket/k"},
		{"large SHA-256 differs", request{method: "PUT", target: "/bucket/k", body: bytes.Repeat([]byte("x"), 1<<20), hash: strings.Repeat("0", 64)}, "", 400, "XAmzContentSHA256Mismatch", "/bucket/k"},
		{"document's SHA-256 differs", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: f.complete("1", f.bigTag), hash: strings.Repeat("0", 64)}, "", 400, "XAmzContentSHA256Mismatch", "/bucket/big"},
		{"body ends early", request{method: "PUT", target: "/bucket/k", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 10\r\n\r\nhello", 400, "IncompleteBody", "/bucket/k"},
		{"large body ends early", request{method: "PUT", target: "/bucket/k", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 1000000\r\n\r\n" + strings.Repeat("x", 900_000), 400, "IncompleteBody", "/bucket/k"},
		{"body that is to prove the request ends early", request{method: "PUT", target: "/bucket/k", hash: "none"}, "Content-Length: 10\r\n\r\nhello", 400, "IncompleteBody", "/bucket/k"},
		{"chunked document ends between chunks", request{method: "PUT", target: "/cut-off", hash: "UNSIGNED-PAYLOAD"}, "Transfer-Encoding: chunked\r\n\r\n", 400, "IncompleteBody", "/cut-off"},
		{"document ends early", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 300\r\n\r\n" + string(f.complete("1", f.bigTag)), 400, "IncompleteBody", "/bucket/big"},
		{"aws-chunked ends early", request{method: "PUT", target: "/bucket/k", hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header: h{"x-amz-decoded-content-length": "10"}}, "Transfer-Encoding: chunked\r\n\r\na\r\n5\r\nhello\r\n\r\n", 400, "IncompleteBody", "/bucket/k"},
		{"decoded length is wrong", request{method: "PUT", target: "/bucket/k", hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header: h{"x-amz-decoded-content-length": "6"}, body: []byte("5\r\nhello\r\n0\r\n\r\n")}, "", 400, "IncompleteBody", "/bucket/k"},
		{"MD5 is none", request{method: "PUT", target: "/bucket/k", body: []byte("x"), header: h{"Content-MD5": "hello"}}, "", 400, "InvalidDigest", "/bucket/k"},
		{"max-keys", request{method: "GET", target: "/bucket?max-keys=-1"}, "", 400, "InvalidArgument", "/bucket"},
		{"max-keys is none", request{method: "GET", target: "/bucket?list-type=2&max-keys=many"}, "", 400, "InvalidArgument", "/bucket"},
		{"part number", request{method: "PUT", target: "/bucket/big?partNumber=10001&uploadId=" + f.upload, body: []byte("x")}, "", 400, "InvalidArgument", "/bucket/big"},
		{"encoding type", request{method: "GET", target: "/bucket?encoding-type=base64"}, "", 400, "InvalidArgument", "/bucket"},
		{"continuation token", request{method: "GET", target: "/bucket?continuation-token=%21&list-type=2"}, "", 400, "InvalidArgument", "/bucket"},
		{"copy source", request{method: "PUT", target: "/bucket/k", header: h{"x-amz-copy-source": "bucket"}}, "", 400, "InvalidArgument", "/bucket/k"},
		{"two authentications", request{method: "GET", target: "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"}, "", 400, "InvalidArgument", "/bucket/key"},
		{"range", request{method: "GET", target: "/bucket/key", header: h{"Range": "bytes=5-"}}, "", 416, "InvalidRange", "/bucket/key"},
		{"part of an object", request{method: "GET", target: "/bucket/key?partNumber=2"}, "", 416, "InvalidPartNumber", "/bucket/key"},
		{"condition of a read", request{method: "GET", target: "/bucket/key", header: h{"If-Match": `"other"`}}, "", 412, "PreconditionFailed", "/bucket/key"},
		{"condition of a write", request{method: "PUT", target: "/bucket/key", body: []byte("y"), header: h{"If-None-Match": "*"}}, "", 412, "PreconditionFailed", "/bucket/key"},
		{"condition of a delete", request{method: "DELETE", target: "/bucket/key", header: h{"If-Match": `"other"`}}, "", 412, "PreconditionFailed", "/bucket/key"},
		{"condition of a copy", request{method: "PUT", target: "/bucket/k", header: h{"x-amz-copy-source": "bucket/key", "x-amz-copy-source-if-none-match": "*"}}, "", 412, "PreconditionFailed", "/bucket/k"},
		{"delete document", request{method: "POST", target: "/bucket?delete=", body: []byte("<Delete>"), header: h{"Content-MD5": md5Of("<Delete>")}}, "", 400, "MalformedXML", "/bucket"},
		{"complete document", request{method: "POST", target: "/bucket/big?uploadId=" + f.upload, body: []byte("no XML")}, "", 400, "MalformedXML", "/bucket/big"},
		{"too many keys", request{method: "POST", target: "/bucket?delete=", body: deleteDoc(make([]string, 1001)...), header: h{"Content-MD5": md5Of(string(deleteDoc(make([]string, 1001)...)))}}, "", 400, "MalformedXML", "/bucket"},
		{"key too long", request{method: "PUT", target: "/bucket/" + strings.Repeat("k", 1025), body: []byte("x")}, "", 400, "KeyTooLongError", "/bucket/" + strings.Repeat("k", 1025)},
		{"bucket name", request{method: "PUT", target: "/Bucket"}, "", 400, "InvalidBucketName", "/Bucket"},
		{"bucket minio", request{method: "PUT", target: "/minio"}, "", 400, "InvalidBucketName", "/minio"},
		{"bucket rustfs", request{method: "PUT", target: "/rustfs"}, "", 400, "InvalidBucketName", "/rustfs"},
		{"bucket health", request{method: "PUT", target: "/health"}, "", 400, "InvalidBucketName", "/health"},
		{"bucket metrics", request{method: "GET", target: "/metrics/x"}, "", 400, "InvalidBucketName", "/metrics/x"},
		{"bucket not empty", request{method: "DELETE", target: "/bucket"}, "", 409, "BucketNotEmpty", "/bucket"},
		{"bucket exists", request{method: "PUT", target: "/bucket"}, "", 409, "BucketAlreadyOwnedByYou", "/bucket"},
		{"signature", request{method: "GET", target: "/bucket/key", secret: "wrong"}, "", 403, "SignatureDoesNotMatch", "/bucket/key"},
		{"access key", request{method: "GET", target: "/bucket/key", accessKey: "AKIDOTHER"}, "", 403, "InvalidAccessKeyId", "/bucket/key"},
		{"clock", request{method: "GET", target: "/bucket/key", at: time.Now().Add(-16 * time.Minute)}, "", 403, "RequestTimeTooSkewed", "/bucket/key"},
		{"region", request{method: "GET", target: "/bucket/key", region: "eu-west-1"}, "", 400, "AuthorizationHeaderMalformed", "/bucket/key"},
		{"anonymous", request{method: "GET", target: "/bucket/key", anonymous: true}, "", 403, "AccessDenied", "/bucket/key"},
		{"anonymous to no bucket", request{method: "GET", target: "/missing/key", anonymous: true}, "", 403, "AccessDenied", "/missing/key"},
		{"method of the service", request{method: "PUT", target: "/"}, "", 405, "MethodNotAllowed", "/"},
		{"method of a bucket", request{method: "PATCH", target: "/bucket"}, "", 405, "MethodNotAllowed", "/bucket"},
		{"method of an object", request{method: "OPTIONS", target: "/bucket/key"}, "", 405, "MethodNotAllowed", "/bucket/key"},
		{"not built", request{method: "PUT", target: "/bucket?versioning=", body: []byte("<VersioningConfiguration/>")}, "", 501, "NotImplemented", "/bucket"},
		{"plain chunked body", request{method: "PUT", target: "/bucket/k", hash: "UNSIGNED-PAYLOAD"}, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 501, "NotImplemented", "/bucket/k"},
		{"no length", request{method: "PUT", target: "/bucket/k", hash: "UNSIGNED-PAYLOAD"}, "X-None: 1\r\n", 411, "MissingContentLength", "/bucket/k"},
		{"no decoded length", request{method: "PUT", target: "/bucket/k", hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", body: []byte("0\r\n\r\n")}, "", 411, "MissingContentLength", "/bucket/k"},
		{"no digest", request{method: "POST", target: "/bucket?delete=", body: deleteDoc("a")}, "", 400, "InvalidRequest", "/bucket"},
		{"metadata", request{method: "PUT", target: "/bucket/k", header: h{"x-amz-meta-big": strings.Repeat("m", 2048)}}, "", 400, "MetadataTooLarge", "/bucket/k"},
		{"storage class", request{method: "PUT", target: "/bucket/k", header: h{"x-amz-storage-class": "GLACIER"}}, "", 400, "InvalidStorageClass", "/bucket/k"},
		{"ACL", request{method: "PUT", target: "/bucket/k", header: h{"x-amz-acl": "public-read"}}, "", 400, "AccessControlListNotSupported", "/bucket/k"},
		{"location", request{method: "PUT", target: "/other", body: []byte("<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>")}, "", 400, "InvalidLocationConstraint", "/other"},
		{"encoding of the path", request{method: "GET", target: "/bucket/%zz", anonymous: true}, "X-None: 1\r\n", 400, "InvalidURI", "/"},
		{"headers too large", request{method: "GET", target: "/bucket/key", header: h{"X-Large": strings.Repeat("x", 40<<10)}}, "X-None: 1\r\n", 400, "RequestHeaderSectionTooLarge", "/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := f.in(t)
			var a *answer
			if tc.framing == "" {
				a = s.do(tc.req)
			} else {
				framing, body, hasBody := strings.Cut(tc.framing, "\r\n\r\n")
				if hasBody {
					framing += "\r\n"
				}
				c := s.dial()
				c.write(append(s.wire(tc.req, framing), body...))
				if hasBody {
					c.closeWrite()
				}
				a = c.read(tc.req.method)
			}
			wantError(t, a, tc.status, tc.code)
			doc := a.err(t)
			if doc.Resource != tc.resource {
				t.Errorf("resource %q, want %q", doc.Resource, tc.resource)
			}
			if id := a.header.Get("x-amz-request-id"); len(id) != 16 || doc.RequestID != id {
				t.Errorf("request id %q in the header, %q in the document", id, doc.RequestID)
			}
			if a.header.Get("Content-Type") != "application/xml" || a.header.Get("x-amz-id-2") == "" || a.header.Get("Date") == "" ||
				a.header.Get("Server") != "Coffer" {
				t.Errorf("header %v", a.header)
			}
		})
	}
	t.Cleanup(func() { // nothing refused has left anything behind
		list := string(f.must(request{method: "GET", target: "/bucket?list-type=2"}).body)
		if n := strings.Count(list, "<Key>"); n != 1 || !strings.Contains(list, "<Key>key</Key>") {
			t.Errorf("the bucket holds something else than the one key:\n%s", list)
		}
		if a := f.must(request{method: "GET", target: "/bucket/key"}); string(a.body) != "hello" {
			t.Errorf("the key holds %q", a.body)
		}
		if a := f.must(request{method: "GET", target: "/"}); strings.Count(string(a.body), "<Name>") != 1 {
			t.Errorf("there are other buckets:\n%s", a.body)
		}
	})
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// deleteDoc names keys to delete; an empty one is given a name.
func deleteDoc(keys ...string) []byte {
	var b strings.Builder
	b.WriteString("<Delete>")
	for i, k := range keys {
		if k == "" {
			k = fmt.Sprint("key-", i)
		}
		fmt.Fprintf(&b, "<Object><Key>%s</Key></Object>", k)
	}
	b.WriteString("</Delete>")
	return []byte(b.String())
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	tag := s.put("/bucket/key", "hello").header.Get("ETag")
	for _, method := range []string{"GET", "HEAD"} {
		a := s.do(request{method: method, target: "/bucket/key", header: map[string]string{"If-None-Match": tag}})
		if a.status != 304 || len(a.body) != 0 || a.header.Get("ETag") != tag || a.header.Get("Last-Modified") == "" {
			t.Errorf("%s: %d %v %q", method, a.status, a.header, a.body)
		}
	}
}

func TestOptionsReportAllFaults(t *testing.T) {
	t.Parallel()
	_, err := s3api.New(s3api.Options{Region: "a b", Domains: []string{"x:1"}, TrustedProxies: make([]netip.Prefix, 1), TLSCertFile: "c", StallTimeout: -1, MaxRequests: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, fault := range []string{"no store", "no secrets", "region", "domain", "TLS", "trusted proxy", "timeout", "limit"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q is not in %q", fault, err)
		}
	}
}
