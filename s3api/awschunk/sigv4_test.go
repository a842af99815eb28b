package awschunk_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"coffer/s3api/awschunk"
	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// documented signs nothing: it verifies the seed of AWS's example for a body with
// a trailer and gives the verifier of its chunks.
func documented(t testing.TB) *sigv4.ChunkVerifier {
	t.Helper()
	lookup := func(string) (sigv4.Secret, bool) {
		return sigv4.NewSecret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), true
	}
	now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	v := sigv4.New(lookup, sigv4.Options{Now: func() time.Time { return now }})
	ver, err := v.Begin(&sigv4.Request{
		Method: "PUT", RawPath: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", Header: sigv4.Header{
			{Name: "Authorization", Value: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
				"SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer," +
				"Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"},
			{Name: "x-amz-date", Value: "20130524T000000Z"},
			{Name: "x-amz-storage-class", Value: "REDUCED_REDUNDANCY"},
			{Name: "x-amz-content-sha256", Value: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"},
			{Name: "Content-Encoding", Value: "aws-chunked"},
			{Name: "x-amz-decoded-content-length", Value: "66560"},
			{Name: "x-amz-trailer", Value: "x-amz-checksum-crc32c"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ver.Chunks()
}

const (
	documentedHead = "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
	documentedNext = "\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
	documentedEnd  = "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
		"x-amz-checksum-crc32c:sOO8/Q==\r\n" +
		"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)

// TestDocumentedBody is the example of the Amazon S3 API Reference, "Signature
// Calculations for the Authorization Header: Including Trailing Headers".
func TestDocumentedBody(t *testing.T) {
	t.Parallel()
	wire := documentedHead + strings.Repeat("a", 65536) + documentedNext + strings.Repeat("a", 1024) + documentedEnd
	options := func() awschunk.Options {
		return awschunk.Options{Mode: awschunk.SignedTrailer, DecodedLength: 66560, Chunks: documented(t), Trailers: []string{"x-amz-checksum-crc32c"}}
	}
	got, r, err := decode(strings.NewReader(wire), options(), 4096)
	if err != nil || got != strings.Repeat("a", 66560) {
		t.Fatalf("decode: %d bytes, %v", len(got), err)
	}
	if v, _ := r.Trailer("x-amz-checksum-crc32c"); v != "sOO8/Q==" {
		t.Errorf("trailer %q", v)
	}
	bad := strings.Replace(wire, "sOO8", "sOO9", 1)
	if _, _, err := decode(strings.NewReader(bad), options(), 4096); !errors.Is(err, s3err.SignatureDoesNotMatch) {
		t.Errorf("changed trailer: %v", err)
	}
}
