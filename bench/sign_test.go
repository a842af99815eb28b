package bench

import (
	"strings"
	"testing"
	"time"
)

// TestSignExamples holds the signer against the examples of "Authenticating
// Requests: Using the Authorization Header" in the Amazon S3 API reference.
func TestSignExamples(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query, signature string
	}{
		{"get bucket lifecycle", "lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"list objects", "max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	}
	s := newSigner(&Endpoint{
		AccessKey: "AKIAIOSFODNN7EXAMPLE",
		SecretKey: NewSecret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
	})
	now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	for _, test := range tests { // in sequence: one signer, whose key of the day is kept
		got, date := s.sign("GET", "examplebucket.s3.amazonaws.com", "/", test.query, emptyPayload, now)
		want := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
			"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" + test.signature
		if got != want || date != "20130524T000000Z" {
			t.Errorf("%s:\n got %s (%s)\nwant %s", test.name, got, date, want)
		}
	}
}

func TestSignChangesKeyWithTheDay(t *testing.T) {
	t.Parallel()
	endpoint := &Endpoint{AccessKey: "a", SecretKey: NewSecret("s"), Region: "r"}
	day := time.Date(2026, 1, 1, 23, 59, 59, 0, time.UTC)
	kept := newSigner(endpoint)
	kept.sign("GET", "h", "/", "", emptyPayload, day)
	got, _ := kept.sign("GET", "h", "/", "", emptyPayload, day.Add(time.Second))
	want, _ := newSigner(endpoint).sign("GET", "h", "/", "", emptyPayload, day.Add(time.Second))
	if got != want || !strings.Contains(got, "/20260102/r/") {
		t.Errorf("got %s, want %s", got, want)
	}
}
