package s3api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"coffer/s3api"
)

// TestPresigned uses URLs that the SDK presigned, with what it moves from headers into the query.
func TestPresigned(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	ctx := context.Background()
	p := s3.NewPresignClient(s.sdk())
	put, err := p.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/ä b"),
		Metadata: map[string]string{"name": "value"}, ContentType: aws.String("text/plain")})
	if err != nil {
		t.Fatal(err)
	}
	send := func(p *v4.PresignedHTTPRequest, body string) *answer {
		req, err := http.NewRequest(p.Method, p.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range p.SignedHeader {
			if name != "Host" {
				req.Header[name] = values
			}
		}
		return s.send(req)
	}
	put.SignedHeader.Del("Content-Length")
	if a := send(put, "hello"); a.status != 200 {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	get, err := p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/ä b"),
		ResponseContentType: aws.String("text/html"), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Fatal(err)
	}
	a := send(get, "")
	if a.status != 200 || string(a.body) != "hello" || a.header.Get("Content-Type") != "text/html" || a.header.Get("x-amz-meta-name") != "value" {
		t.Fatalf("get: %d %v %s", a.status, a.header, a.body)
	}
	forged := *get
	forged.URL = strings.Replace(get.URL, "text%2Fhtml", "text%2Fplain", 1)
	wantError(t, send(&forged, ""), 403, "SignatureDoesNotMatch")
	forged = *get
	forged.Method = "DELETE"
	wantError(t, send(&forged, ""), 403, "SignatureDoesNotMatch")
	late := start(t, func(o *s3api.Options) { o.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	get.URL = strings.Replace(get.URL, s.addr, late.addr, 1)
	a = send(get, "")
	wantError(t, a, 403, "AccessDenied")
	if !strings.Contains(string(a.body), "expired") {
		t.Errorf("late: %s", a.body)
	}
}

// TestHoistedParametersAreFields: a copy that was presigned with its source in the query is a copy, and a header that is
// not built is not built in the query either.
func TestHoistedParametersAreFields(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "hello")
	presign := func(method, target string) *answer {
		req, err := http.NewRequest(method, "http://"+s.addr+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := req.URL.Query()
		q.Set("X-Amz-Expires", "60")
		req.URL.RawQuery = q.Encode()
		creds := aws.Credentials{AccessKeyID: testAccessKey, SecretAccessKey: testSecret}
		uri, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
			PresignHTTP(context.Background(), creds, req, "UNSIGNED-PAYLOAD", "s3", testRegion, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if req, err = http.NewRequest(method, uri, nil); err != nil {
			t.Fatal(err)
		}
		return s.send(req)
	}
	if a := presign("PUT", "/bucket/copy?x-amz-copy-source=bucket%2Fkey"); a.status != 200 || !strings.Contains(string(a.body), "CopyObjectResult") {
		t.Fatalf("copy: %d %s", a.status, a.body)
	}
	wantError(t, presign("PUT", "/bucket/key?x-amz-tagging=a%3Db"), 501, "NotImplemented")
	wantError(t, presign("PUT", "/bucket/key?x-amz-meta-a=line%0Abreak"), 400, "InvalidArgument")
	if a := s.must(request{method: "GET", target: "/bucket/key"}); string(a.body) != "hello" {
		t.Errorf("the object is now %q", a.body)
	}
}

func TestVirtualHosts(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *s3api.Options) { o.Domains = []string{"S3.example.com", "example.com"} })
	s.bucket("bucket")
	s.bucket("dotted.name")
	s.put("/bucket/key", "in bucket")
	s.put("/dotted.name/key", "in dotted")
	for _, tc := range []struct{ host, target, want string }{
		{"bucket.s3.example.com", "/key", "in bucket"},
		{"BUCKET.S3.example.com:9000", "/key", "in bucket"},
		{"dotted.name.s3.example.com", "/key", "in dotted"},
		{"bucket.localhost", "/key", "in bucket"},
		{"bucket.localhost.:80", "/key", "in bucket"},
		{"s3.example.com", "/bucket/key", "in bucket"},
		{"localhost:9000", "/bucket/key", "in bucket"},
		{"[::1]:9000", "/bucket/key", "in bucket"},
	} {
		a := s.do(request{method: "GET", target: tc.target, host: tc.host})
		if a.status != 200 || string(a.body) != tc.want {
			t.Errorf("%s%s: %d %s", tc.host, tc.target, a.status, a.body)
		}
	}
	a := s.do(request{method: "GET", target: "/key", host: "bucket.s3.other.org"})
	wantError(t, a, 404, "NoSuchBucket")
	if !strings.Contains(a.err(t).Message, "virtual-host") {
		t.Errorf("no hint: %s", a.body)
	}
	// A forwarded host is not signed, so it names no bucket.
	a = s.do(request{method: "GET", target: "/bucket/key", host: "localhost", header: map[string]string{"X-Forwarded-Host": "dotted.name.s3.example.com"}})
	if string(a.body) != "in bucket" {
		t.Errorf("forwarded host: %d %s", a.status, a.body)
	}
	wantError(t, s.do(request{method: "PUT", target: "/", host: "minio.localhost"}), 400, "InvalidBucketName")
}
