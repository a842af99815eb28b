package sigv4_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

func TestErrorDetails(t *testing.T) {
	t.Parallel()
	detail := func(err error, name string) string {
		for _, d := range s3err.From(err).Details {
			if d.Name == name {
				return d.Value
			}
		}
		return ""
	}
	r := base().sign(t)
	r.Method = "GET"
	_, err := verifier().Begin(r)
	want := "GET\n/b/a%20key\npartNumber=1\nhost:" + host + "\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20260301T120000Z\n" +
		"x-amz-meta-k:v\n\nhost;x-amz-content-sha256;x-amz-date;x-amz-meta-k\nUNSIGNED-PAYLOAD"
	if diff := cmp.Diff(want, detail(err, "CanonicalRequest")); diff != "" {
		t.Errorf("canonical request (-want +got):\n%s", diff)
	}
	if got := detail(err, "StringToSign"); !strings.HasPrefix(got, "AWS4-HMAC-SHA256\n20260301T120000Z\n20260301/eu-west-1/s3/aws4_request\n") {
		t.Errorf("string to sign %q", got)
	}
	if strings.Contains(err.Error(), "a%20key") {
		t.Error("the log form repeats the request")
	}

	p := base()
	p.header = append(p.header, sigv4.Field{Name: "X-Amz-Server-Side-Encryption-Customer-Key", Value: "c2VjcmV0"})
	r = p.sign(t)
	r.Method = "GET"
	_, err = verifier().Begin(r)
	if !errors.Is(err, s3err.SignatureDoesNotMatch) || detail(err, "CanonicalRequest") != "" {
		t.Errorf("with an SSE-C key: %v, details %v", err, s3err.From(err).Details)
	}

	r = base().sign(t)
	addField("X-Amz-Tagging", "a=b")(r)
	addField("x-amz-acl", "private")(r)
	_, err = verifier().Begin(r)
	if got := detail(err, "HeadersNotSigned"); got != "x-amz-tagging, x-amz-acl" {
		t.Errorf("HeadersNotSigned %q", got)
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request sigv4.Request
		want    sigv4.Kind
	}{
		{"nothing", sigv4.Request{Method: "GET", RawPath: "/"}, sigv4.Anonymous},
		{"a parameter called Signature alone", sigv4.Request{Method: "GET", RawPath: "/", RawQuery: "Signature=x"}, sigv4.Anonymous},
		{"presigned", sigv4.Request{RawQuery: "X-Amz-Signature=x"}, sigv4.QueryV4},
		{"header", sigv4.Request{Header: sigv4.Header{{Name: "authorization", Value: "AWS4-HMAC-SHA256 x"}}}, sigv4.HeaderV4},
		{"basic", sigv4.Request{Header: sigv4.Header{{Name: "Authorization", Value: "Basic x"}}}, sigv4.Unsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sigv4.Detect(&tt.request); got != tt.want {
				t.Errorf("Detect: %v, want %v", got, tt.want)
			}
			_, err := verifier().Begin(&tt.request)
			if anonymous := tt.want == sigv4.Anonymous; errors.Is(err, sigv4.ErrAnonymous) != anonymous {
				t.Errorf("Begin: %v", err)
			}
		})
	}
}
