package sigv4_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/s3api/sigv4"
)

// The credentials and the time of the examples in the Amazon S3 API Reference,
// "Authenticating Requests (AWS Signature Version 4)".
const (
	docAccessKey = "AKIAIOSFODNN7EXAMPLE"
	docSecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	emptySHA256  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func docVerifier() *sigv4.Verifier {
	lookup := func(accessKey string) (sigv4.Secret, bool) {
		return sigv4.NewSecret(docSecretKey), accessKey == docAccessKey
	}
	now := time.Date(2013, 5, 24, 0, 5, 0, 0, time.UTC)
	return sigv4.New(lookup, sigv4.Options{Region: "us-east-1", Now: func() time.Time { return now }})
}

func docAuthorization(signed, signature string) sigv4.Field {
	return sigv4.Field{Name: "Authorization", Value: "AWS4-HMAC-SHA256 Credential=" + docAccessKey +
		"/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed + ",Signature=" + signature}
}

// example is a request as the reference prints it.
type example struct {
	name    string
	request sigv4.Request
	payload sigv4.Payload
	body    string
}

func documentedExamples() []example {
	const host = "examplebucket.s3.amazonaws.com"
	date := sigv4.Field{Name: "x-amz-date", Value: "20130524T000000Z"}
	empty := sigv4.Field{Name: "x-amz-content-sha256", Value: emptySHA256}
	basic := "host;x-amz-content-sha256;x-amz-date"
	return []example{
		{
			name: "GET object with Range",
			request: sigv4.Request{Method: "GET", RawPath: "/test.txt", Host: host, NoBody: true, Header: sigv4.Header{
				docAuthorization("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
				{Name: "Range", Value: "bytes=0-9"}, empty, date,
			}},
			payload: sigv4.PayloadSHA256,
		},
		{
			name: "PUT object",
			request: sigv4.Request{Method: "PUT", RawPath: "/test$file.text", Host: host, Header: sigv4.Header{
				{Name: "Date", Value: "Fri, 24 May 2013 00:00:00 GMT"},
				docAuthorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
				date, {Name: "x-amz-storage-class", Value: "REDUCED_REDUNDANCY"},
				{Name: "x-amz-content-sha256", Value: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
			}},
			payload: sigv4.PayloadSHA256,
			body:    "Welcome to Amazon S3.",
		},
		{
			name: "GET bucket lifecycle",
			request: sigv4.Request{Method: "GET", RawPath: "/", RawQuery: "lifecycle", Host: host, NoBody: true, Header: sigv4.Header{
				docAuthorization(basic, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"), date, empty,
			}},
			payload: sigv4.PayloadSHA256,
		},
		{
			name: "GET bucket, list objects",
			request: sigv4.Request{Method: "GET", RawPath: "/", RawQuery: "max-keys=2&prefix=J", Host: host, NoBody: true, Header: sigv4.Header{
				docAuthorization(basic, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), date, empty,
			}},
			payload: sigv4.PayloadSHA256,
		},
		{
			name: "presigned GET",
			request: sigv4.Request{Method: "GET", RawPath: "/test.txt", Host: host, NoBody: true,
				RawQuery: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
					"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
					"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"},
			payload: sigv4.PayloadUnsigned,
		},
	}
}

func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	for _, tt := range documentedExamples() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ver, err := docVerifier().Begin(&tt.request)
			if err != nil {
				t.Fatalf("Begin: %v", err)
			}
			if err := ver.Finish(sha256.Sum256([]byte(tt.body))); err != nil {
				t.Fatalf("Finish: %v", err)
			}
			if !ver.Proven() || ver.AccessKey != docAccessKey || ver.Payload != tt.payload {
				t.Errorf("proven %v, access key %q, payload %v", ver.Proven(), ver.AccessKey, ver.Payload)
			}
			want := sigv4.Scope{Date: "20130524", Region: "us-east-1", Service: "s3"}
			if diff := cmp.Diff(want, ver.Scope); diff != "" {
				t.Errorf("scope (-want +got):\n%s", diff)
			}
		})
	}
}

func chunkSums() (big, small, none [32]byte) {
	return sha256.Sum256([]byte(strings.Repeat("a", 65536))), sha256.Sum256([]byte(strings.Repeat("a", 1024))), sha256.Sum256(nil)
}

func TestDocumentedChunks(t *testing.T) {
	t.Parallel()
	ver, err := docVerifier().Begin(&sigv4.Request{
		Method: "PUT", RawPath: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", Header: sigv4.Header{
			docAuthorization("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
				"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
			{Name: "x-amz-date", Value: "20130524T000000Z"},
			{Name: "x-amz-storage-class", Value: "REDUCED_REDUNDANCY"},
			{Name: "x-amz-content-sha256", Value: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
			{Name: "Content-Encoding", Value: "aws-chunked"},
			{Name: "x-amz-decoded-content-length", Value: "66560"},
			{Name: "Content-Length", Value: "66824"},
		},
	})
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	if ver.Payload != sigv4.PayloadSigned || !ver.Proven() || ver.NeedsBodySHA256() {
		t.Fatalf("payload %v, proven %v, needs body %v", ver.Payload, ver.Proven(), ver.NeedsBodySHA256())
	}
	big, small, none := chunkSums()
	c := ver.Chunks()
	if c.VerifyChunk(big, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497") {
		t.Error("the second chunk's signature passed for the first")
	}
	for i, step := range []struct {
		sum       [32]byte
		signature string
	}{
		{big, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
		{small, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
		{none, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
	} {
		if !c.VerifyChunk(step.sum, step.signature) {
			t.Fatalf("chunk %d does not verify", i+1)
		}
	}
	if !ver.Chunks().VerifyChunk(big, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648") {
		t.Error("a second chain does not start at the seed")
	}
}

func TestDocumentedTrailer(t *testing.T) {
	t.Parallel()
	ver, err := docVerifier().Begin(&sigv4.Request{
		Method: "PUT", RawPath: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", Header: sigv4.Header{
			docAuthorization("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
				"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"),
			{Name: "x-amz-date", Value: "20130524T000000Z"},
			{Name: "x-amz-storage-class", Value: "REDUCED_REDUNDANCY"},
			{Name: "x-amz-content-sha256", Value: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"},
			{Name: "Content-Encoding", Value: "aws-chunked"},
			{Name: "x-amz-decoded-content-length", Value: "66560"},
			{Name: "x-amz-trailer", Value: "x-amz-checksum-crc32c"},
			{Name: "Content-Length", Value: "66946"},
		},
	})
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	big, small, none := chunkSums()
	c := ver.Chunks()
	ok := c.VerifyChunk(big, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2") &&
		c.VerifyChunk(small, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7") &&
		c.VerifyChunk(none, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992")
	if !ok {
		t.Fatal("a chunk does not verify")
	}
	trailer := sha256.Sum256([]byte("x-amz-checksum-crc32c:sOO8/Q==\n"))
	if !c.VerifyTrailer(trailer, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435") {
		t.Error("the trailer does not verify")
	}
}
