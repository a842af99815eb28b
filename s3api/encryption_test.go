package s3api_test

import (
	"fmt"
	"strings"
	"testing"

	"coffer/kms/kmstest"
	"coffer/object"
)

// encryptionRule is the body of PutBucketEncryption.
func encryptionRule(algorithm, keyID, more string) []byte {
	if keyID != "" {
		keyID = "<KMSMasterKeyID>" + keyID + "</KMSMasterKeyID>"
	}
	return fmt.Appendf(nil, `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault>`+
		`<SSEAlgorithm>%s</SSEAlgorithm>%s</ApplyServerSideEncryptionByDefault>%s</Rule></ServerSideEncryptionConfiguration>`, algorithm, keyID, more)
}

const (
	withBucketKey = "<BucketKeyEnabled>true</BucketKeyEnabled>"
	withoutSSEC   = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"
)

// TestBucketEncryption sets, reads and removes a bucket's encryption.
func TestBucketEncryption(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	unset := string(s.must(request{method: "GET", target: "/bucket?encryption="}).body)
	if !strings.Contains(unset, "<SSEAlgorithm>AES256</SSEAlgorithm>") || !strings.Contains(unset, "<BucketKeyEnabled>false</BucketKeyEnabled>") {
		t.Errorf("never set: %s", unset)
	}
	for _, tc := range []struct {
		name string
		body []byte
		want []byte // what is read back
	}{
		{"SSE-S3", encryptionRule("AES256", "", ""), encryptionRule("AES256", "", "<BucketKeyEnabled>false</BucketKeyEnabled>")},
		{"SSE-S3 with bucket key", encryptionRule("AES256", "", withBucketKey), encryptionRule("AES256", "", "<BucketKeyEnabled>false</BucketKeyEnabled>")},
		{"SSE-KMS", encryptionRule("aws:kms", "app", ""), encryptionRule("aws:kms", "app", "<BucketKeyEnabled>false</BucketKeyEnabled>")},
		{"SSE-KMS of the default key", encryptionRule("aws:kms", "", ""), encryptionRule("aws:kms", "", "<BucketKeyEnabled>false</BucketKeyEnabled>")},
		{"SSE-KMS with bucket key", encryptionRule("aws:kms", "arn:aws:kms:us-east-1:1:key/app", withBucketKey), encryptionRule("aws:kms", "app", withBucketKey)},
		{"two layers, blocking", encryptionRule("aws:kms:dsse", "app", withoutSSEC), encryptionRule("aws:kms", "app", "<BucketKeyEnabled>false</BucketKeyEnabled>"+withoutSSEC)},
		{"blocking", []byte("<ServerSideEncryptionConfiguration><Rule>" + withoutSSEC + "</Rule></ServerSideEncryptionConfiguration>"),
			encryptionRule("AES256", "", "<BucketKeyEnabled>false</BucketKeyEnabled>"+withoutSSEC)},
	} {
		if a := s.must(request{method: "PUT", target: "/bucket?encryption=", body: tc.body}); a.status != 200 || len(a.body) != 0 {
			t.Errorf("%s: %d %q", tc.name, a.status, a.body)
		}
		if got := string(s.must(request{method: "GET", target: "/bucket?encryption="}).body); !strings.HasSuffix(got, string(tc.want)) {
			t.Errorf("%s: reads back as\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
	for range 2 {
		if a := s.must(request{method: "DELETE", target: "/bucket?encryption="}); a.status != 204 {
			t.Errorf("DELETE: %d", a.status)
		}
	}
	if got := string(s.must(request{method: "GET", target: "/bucket?encryption="}).body); got != unset {
		t.Errorf("removed: %s", got)
	}
	s.must(request{method: "PUT", target: "/bucket/key", body: []byte("x"), header: customer(sseCustomer, 'k')})
}

// TestBucketEncryptionFaults: what is refused leaves the bucket's encryption as it was.
func TestBucketEncryptionFaults(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.must(request{method: "PUT", target: "/bucket?encryption=", body: encryptionRule("aws:kms", "app", "")})
	before := string(s.must(request{method: "GET", target: "/bucket?encryption="}).body)
	rule := string(encryptionRule("AES256", "", ""))
	for _, tc := range []struct {
		name   string
		body   []byte
		status int
		code   string
	}{
		{"key of SSE-S3", encryptionRule("AES256", "app", ""), 400, "InvalidArgument"},
		{"unknown key", encryptionRule("aws:kms", "none", ""), 400, "KMS.NotFoundException"},
		{"edge space", encryptionRule("aws:kms", " app", ""), 400, "InvalidRequest"},
		{"edge space behind", encryptionRule("aws:kms", "app\n", ""), 400, "InvalidRequest"},
		{"control character", encryptionRule("aws:kms", "a&#1;b", ""), 400, "InvalidArgument"},
		{"unknown algorithm", encryptionRule("ROT13", "", ""), 400, "MalformedXML"},
		{"two rules", []byte(strings.Replace(rule, "</Rule>", "</Rule><Rule></Rule>", 1)), 400, "MalformedXML"},
		{"not XML", []byte("AES256"), 400, "MalformedXML"},
		{"no body", nil, 400, "MissingRequestBodyError"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantError(t, s.in(t).do(request{method: "PUT", target: "/bucket?encryption=", body: tc.body}), tc.status, tc.code)
			if now := string(s.must(request{method: "GET", target: "/bucket?encryption="}).body); now != before {
				t.Errorf("the encryption is now %s", now)
			}
		})
	}
	s.fake.SetRule(failing)
	wantError(t, s.do(request{method: "PUT", target: "/bucket?encryption=", body: encryptionRule("aws:kms", "other", "")}), 503, "KMS.Unavailable")
	for _, r := range []request{
		{method: "PUT", body: encryptionRule("AES256", "", "")}, {method: "GET"}, {method: "DELETE"},
	} {
		r.target = "/missing?encryption="
		wantError(t, s.do(r), 404, "NoSuchBucket")
		r.target, r.anonymous = "/bucket?encryption=", true
		wantError(t, s.do(r), 403, "AccessDenied")
	}
}

// TestPrecedence: a client's key before a mode that was asked for, before the bucket's default, before SSE-S3; and the
// default of the target's bucket for a copy, never the source's.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.put("/bucket/before", "x")
	c := customer(sseCustomer, 'k')
	s.must(request{method: "PUT", target: "/bucket/source", body: []byte("x"), header: fields{sse: "aws:kms", sseKeyID: "other"}})
	s.bucket("second")
	s.must(request{method: "PUT", target: "/bucket?encryption=", body: encryptionRule("aws:kms", "app", withBucketKey)})
	app, other := fields{sse: "aws:kms", sseKeyID: "app", sseBucket: "true"}, fields{sse: "aws:kms", sseKeyID: "other", sseBucket: "true"}
	for _, tc := range []struct {
		name, bucket string
		send, want   fields
	}{
		{"default", "bucket", nil, app},
		{"asked for SSE-S3", "bucket", fields{sse: "AES256"}, fields{sse: "AES256", sseKeyID: ""}},
		{"asked for SSE-KMS", "bucket", fields{sse: "aws:kms"}, app},
		{"asked for a key", "bucket", fields{sse: "aws:kms", sseKeyID: "other"}, other},
		{"asked for no bucket key", "bucket", fields{sse: "aws:kms", sseBucket: "false"}, fields{sse: "aws:kms", sseKeyID: "app", sseBucket: ""}},
		{"asked for no bucket key alone", "bucket", fields{sseBucket: "false"}, fields{sse: "aws:kms", sseKeyID: "app", sseBucket: ""}},
		{"client's key", "bucket", c, fields{sse: "", sseKeyID: "", sseBucket: "", sseCustomer + "algorithm": "AES256"}},
		{"no default", "second", nil, fields{sse: "AES256", sseKeyID: ""}},
		{"no default, SSE-KMS", "second", fields{sse: "aws:kms"}, fields{sse: "aws:kms", sseKeyID: object.DefaultKeyID, sseBucket: ""}},
	} {
		target := "/" + tc.bucket + "/" + escape(tc.name)
		wantFields(t, tc.name, s.must(request{method: "PUT", target: target, body: []byte("x"), header: tc.send}).header, tc.want)
		wantFields(t, tc.name+", upload", s.must(request{method: "POST", target: target + "?uploads=", header: tc.send}).header, tc.want)
		wantFields(t, tc.name+", copy", s.must(request{method: "PUT", target: target, header: join(tc.send, fields{"x-amz-copy-source": "bucket/source"})}).header, tc.want)
	}
	wantFields(t, "object from before", s.must(request{method: "HEAD", target: "/bucket/before"}).header, fields{sse: "AES256"})
}

// TestBlockedClientKeys: a bucket that blocks SSE-C takes no client's key for what is written, and still reads.
func TestBlockedClientKeys(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	c := customer(sseCustomer, 'k')
	s.must(request{method: "PUT", target: "/bucket/client", body: []byte("x"), header: c})
	s.bucket("open")
	s.must(request{method: "PUT", target: "/bucket?encryption=", body: encryptionRule("AES256", "", withoutSSEC)})
	for _, r := range []request{
		{method: "PUT", target: "/bucket/key", body: []byte("x"), header: c},
		{method: "POST", target: "/bucket/key?uploads=", header: c},
		{method: "PUT", target: "/bucket/key", header: join(c, customer(sseSource, 'k'), fields{"x-amz-copy-source": "bucket/client"})},
	} {
		wantError(t, s.do(r), 403, "AccessDenied")
	}
	s.must(request{method: "GET", target: "/bucket/client", header: c})
	s.must(request{method: "PUT", target: "/bucket/key", header: join(customer(sseSource, 'k'), fields{"x-amz-copy-source": "bucket/client"})})
	s.must(request{method: "PUT", target: "/open/key", header: join(c, customer(sseSource, 'k'), fields{"x-amz-copy-source": "bucket/client"})})
	s.put("/bucket/key", "x")
}

// TestBucketKeyAsksOnce: objects under the bucket's KEK cost one call together.
func TestBucketKeyAsksOnce(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	s.must(request{method: "PUT", target: "/bucket?encryption=", body: encryptionRule("aws:kms", "app", withBucketKey)})
	before := s.fake.Calls(kmstest.OpGenerateKEK)
	for i := range 20 {
		s.put(fmt.Sprint("/bucket/", i), "x")
		s.must(request{method: "GET", target: fmt.Sprint("/bucket/", i)})
	}
	if n := s.fake.Calls(kmstest.OpGenerateKEK) - before; n != 1 {
		t.Errorf("%d calls for 20 objects", n)
	}
}
