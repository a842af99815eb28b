package s3api_test

import (
	"context"
	"fmt"
	"testing"

	"coffer/kms"
	"coffer/kms/kmstest"
)

// TestNoKeyNoWrite lets the key service fail in every way for everything that writes under its keys. The answer tells
// which; what was there stays as it was; nothing is stored in the clear, or in another mode.
func TestNoKeyNoWrite(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind   kms.Kind
		status int
		code   string
	}{
		{kms.Unavailable, 503, "KMS.Unavailable"},
		{kms.Throttled, 503, "SlowDown"},
		{kms.Denied, 403, "AccessDenied"},
		{kms.NotFound, 400, "KMS.NotFoundException"},
		{kms.Disabled, 400, "KMS.DisabledException"},
		{kms.InvalidState, 400, "KMS.KMSInvalidStateException"},
		{kms.NotConfigured, 501, "NotImplemented"},
		{kms.BackendFailure, 500, "InternalError"},
		{kms.Configuration, 500, "InternalError"},
	} {
		t.Run(tc.kind.Error(), func(t *testing.T) {
			t.Parallel()
			s := startSealed(t, nil)
			for _, bucket := range []string{"default", "shared"} {
				s.bucket(bucket)
				rule := encryptionRule("aws:kms", "app", map[string]string{"shared": withBucketKey}[bucket])
				s.must(request{method: "PUT", target: "/" + bucket + "?encryption=", body: rule})
			}
			s.put("/bucket/source", "source")
			app := fields{sse: "aws:kms", sseKeyID: "app"}
			up := s.begin("/bucket/upload", app)
			part := fmt.Sprintf("/bucket/upload?partNumber=1&uploadId=%s", up)
			s3 := fields{sse: "AES256"}
			from := fields{"x-amz-copy-source": "bucket/source"}
			for _, r := range []request{
				{method: "PUT", target: "/bucket/key", body: []byte("new"), header: app},
				{method: "PUT", target: "/bucket/key", body: []byte("new"), header: fields{sse: "aws:kms"}},
				{method: "PUT", target: "/bucket/key", body: []byte("new"), header: join(app, fields{sseBucket: "true"})},
				{method: "PUT", target: "/bucket/key", header: join(app, from)},
				{method: "POST", target: "/bucket/key?uploads=", header: app},
				{method: "PUT", target: "/default/key", body: []byte("new")},
				{method: "PUT", target: "/default/key", header: from},
				{method: "POST", target: "/default/key?uploads="},
				{method: "PUT", target: "/shared/key", body: []byte("new")},
				{method: "PUT", target: part, body: []byte("new")},
				{method: "PUT", target: part, header: from},
			} {
				target := r.target
				if r.method == "POST" {
					target = target[:len(target)-len("?uploads=")]
				}
				if target != part {
					s.must(request{method: "PUT", target: target, body: []byte("before"), header: s3})
				}
				s.fake.SetRule(func(_ context.Context, _ kmstest.Op, keyID string) error {
					if keyID == "app" || r.header[sse] == "aws:kms" {
						return tc.kind
					}
					return nil // the bucket's KEK of SSE-S3, which reads the source
				})
				a := s.do(r)
				s.fake.SetRule(nil)
				wantError(t, a, tc.status, tc.code)
				if (tc.status == 503) != (a.header.Get("Retry-After") != "") && tc.kind != kms.Throttled {
					t.Errorf("%s %s: Retry-After %q", r.method, r.target, a.header.Get("Retry-After"))
				}
				if target == part {
					continue
				}
				got := s.must(request{method: "GET", target: target})
				wantFields(t, target, got.header, s3)
				if string(got.body) != "before" {
					t.Errorf("%s %s: the object is now %q", r.method, r.target, got.body)
				}
			}
			parts := string(s.must(request{method: "GET", target: "/bucket/upload?uploadId=" + up}).body)
			if between(parts, "<PartNumber>", "</PartNumber>") != "" {
				t.Errorf("a part was stored: %s", parts)
			}
		})
	}
}
