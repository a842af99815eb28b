package s3api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/object"
)

// forged is a value that no server gives to a name of internalNames by itself.
const forged = "Zm9yZ2Vk"

// internalNames are the names under which this server, or one of its kind, keeps or shows how an object is sealed.
func internalNames() []string {
	return []string{
		sse + "-key", sse + "-iv", sse + "-tag", sse + "-context-bucket", sse + "-context-key", sse + "-context-tenant",
		"x-amz-meta-sse-kms-encrypted-key", "x-amz-meta-sse-kms-iv", "X-Amz-Meta-Sse-Kms-Iv",
		"x-amz-meta-x-rustfs-encryption-key", "x-amz-meta-x-rustfs-encryption-iv", "x-amz-meta-x-rustfs-internal-sse-key",
		"x-rustfs-encryption-key", "x-rustfs-encryption-iv", "x-rustfs-encryption-tag", "x-rustfs-internal-sse-key",
		"x-minio-internal-server-side-encryption-iv", "x-minio-internal-server-side-encryption-seal-algorithm",
		"x-minio-internal-server-side-encryption-sealed-key", "x-minio-internal-server-side-encryption-s3-sealed-key",
		"x-minio-internal-server-side-encryption-kms-sealed-key", "x-minio-internal-server-side-encryption-s3-kms-key-id",
		"x-minio-internal-server-side-encryption-s3-kms-sealed-key", "x-minio-internal-server-side-encryption-context",
		"x-minio-internal-encrypted-multipart", "x-amz-meta-x-minio-internal-server-side-encryption-iv",
	}
}

// TestInternalNames sends every internal name on every verb: as a header field, as a parameter of the URL, as a trailer, and
// as a field of a browser's form. What is sealed stays as it is, and nothing that was sent is ever read back.
func TestInternalNames(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.put("/bucket/source", "source")
	s.must(request{method: "PUT", target: "/bucket/kept", body: []byte("kept"), header: fields{sse: "aws:kms", sseKeyID: "app", sseContext: `{"tenant":"t1"}`}})
	before := s.inspect("kept")
	for _, verb := range s.everyVerb() {
		t.Run(verb.method+" "+verb.target, func(t *testing.T) {
			for _, name := range internalNames() {
				for _, r := range carryForged(verb, name) {
					wantNotForged(t, name, s.in(t).do(r))
					(&sealed{s.in(t), s.fake}).nothingForged() // the next request may write over it
				}
			}
		})
	}
	for _, name := range internalNames() {
		wantNotForged(t, name, s.do(formUpload(name)))
	}
	if diff := cmp.Diff(before, s.inspect("kept")); diff != "" {
		t.Errorf("the object changed:\n%s", diff)
	}
}

// everyVerb is a request of every operation, with an object kept that none of them writes.
func (s *sealed) everyVerb() []request {
	up := "uploadId=" + s.begin("/bucket/upload", fields{sse: "aws:kms", sseKeyID: "app"})
	copyOf := fields{"x-amz-copy-source": "bucket/source"}
	return []request{
		{method: "PUT", target: "/bucket/put", body: []byte("x")},
		{method: "PUT", target: "/bucket/copy", header: copyOf},
		{method: "PUT", target: "/bucket/replaced", header: join(copyOf, fields{"x-amz-metadata-directive": "REPLACE"})},
		{method: "PUT", target: "/bucket/kept?acl="},
		{method: "POST", target: "/bucket/begun?uploads="},
		{method: "PUT", target: "/bucket/upload?partNumber=1&" + up, body: []byte("x")},
		{method: "PUT", target: "/bucket/upload?partNumber=2&" + up, header: copyOf},
		{method: "POST", target: "/bucket/upload?" + up, body: []byte("<CompleteMultipartUpload/>")},
		{method: "GET", target: "/bucket/upload?" + up},
		{method: "DELETE", target: "/bucket/upload?uploadId=0123456789abcdef0123456789abcdef"},
		{method: "GET", target: "/bucket/kept"}, {method: "HEAD", target: "/bucket/kept"},
		{method: "GET", target: "/bucket/kept?attributes=", header: fields{"x-amz-object-attributes": "ETag"}},
		{method: "GET", target: "/bucket/kept?acl="}, {method: "GET", target: "/bucket/kept?tagging="},
		{method: "DELETE", target: "/bucket/none"},
		{method: "GET", target: "/"}, {method: "GET", target: "/bucket"}, {method: "GET", target: "/bucket?list-type=2"},
		{method: "GET", target: "/bucket?uploads="}, {method: "HEAD", target: "/bucket"}, {method: "PUT", target: "/second"},
		{method: "GET", target: "/bucket?encryption="}, {method: "PUT", target: "/bucket?encryption=", body: []byte("<x/>")},
		{method: "DELETE", target: "/bucket"}, {method: "POST", target: "/bucket?delete=", body: []byte("<Delete/>")},
		{method: "OPTIONS", target: "/bucket/kept"}, {method: "PATCH", target: "/bucket/kept"},
	}
}

// carryForged gives a request with a name and the forged value, in every place that has names.
func carryForged(r request, name string) []request {
	inField, inQuery := r, r
	inField.header = join(r.header, fields{name: forged})
	separator := "?"
	if strings.Contains(r.target, "?") {
		separator = "&"
	}
	inQuery.target += separator + name + "=" + forged
	all := []request{inField, inQuery}
	if r.method == "PUT" && len(r.body) == 1 {
		trailer := r
		trailer.hash, trailer.body = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", unsignedChunks(r.body, 1, strings.ToLower(name)+":"+forged)
		trailer.header = join(r.header, fields{"x-amz-trailer": name, "x-amz-decoded-content-length": "1", "content-encoding": "aws-chunked"})
		all = append(all, trailer)
	}
	return all
}

// formUpload is a browser's upload with a field of a name.
func formUpload(name string) request {
	var b strings.Builder
	for _, field := range [][2]string{{"key", "form"}, {name, forged}, {"file", "x"}} {
		b.WriteString("--edge\r\nContent-Disposition: form-data; name=\"" + field[0] + "\"\r\n\r\n" + field[1] + "\r\n")
	}
	b.WriteString("--edge--\r\n")
	return request{method: "POST", target: "/bucket", body: []byte(b.String()), header: fields{"content-type": "multipart/form-data; boundary=edge"}}
}

// wantNotForged fails when an answer repeats the forged value, or is a failure of the server.
func wantNotForged(t *testing.T, name string, a *answer) {
	t.Helper()
	if a.status >= 500 && a.status != http.StatusNotImplemented {
		t.Errorf("%s: status %d\n%s", name, a.status, a.body)
	}
	for field, values := range a.header {
		if slices.Contains(values, forged) {
			t.Errorf("%s comes back as %s", name, field)
		}
	}
	if strings.Contains(string(a.body), forged) {
		t.Errorf("%s comes back:\n%s", name, a.body)
	}
}

// nothingForged looks at everything that is there.
func (s *sealed) nothingForged() {
	s.t.Helper()
	list, err := s.store.List(context.Background(), listAll("bucket"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range list.Objects {
		wantNotForged(s.t, o.Key, s.must(request{method: "HEAD", target: "/bucket/" + o.Key}))
		in := s.inspect(o.Key)
		for name, value := range in.Info.Meta.User {
			s.t.Errorf("%s was stored with %s: %s", o.Key, name, value)
		}
	}
}

func (s *sealed) inspect(key string) object.Inspection {
	s.t.Helper()
	in, err := s.store.Inspect(context.Background(), "bucket", key, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return in
}
