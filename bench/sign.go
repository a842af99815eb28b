package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// The values of x-amz-content-sha256 that are not a digest, and the digest of
// an empty body.
const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyPayload    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

const (
	timeFormat    = "20060102T150405Z"
	signedHeaders = "host;x-amz-content-sha256;x-amz-date"
)

// signer makes Signature Version 4 authorization headers. It keeps the key of
// the day and its buffers, so each worker has one of its own; it is not safe for
// concurrent use.
type signer struct {
	accessKey string
	secret    Secret
	region    string
	day       string // of key
	key       []byte
	buf       []byte
}

func newSigner(e *Endpoint) *signer {
	region := e.Region
	if region == "" {
		region = "us-east-1"
	}
	return &signer{accessKey: e.AccessKey, secret: e.SecretKey, region: region}
}

// sign gives the Authorization header of a request whose signed headers are
// host, x-amz-content-sha256 and x-amz-date. The path must be encoded as it is
// sent; the query must be encoded, sorted, and have a '=' in every field.
func (s *signer) sign(method, host, path, query, payload string, now time.Time) (authorization, amzDate string) {
	amzDate = now.UTC().Format(timeFormat)
	scope := amzDate[:8] + "/" + s.region + "/s3/aws4_request"

	b := s.buf[:0]
	for _, part := range [...]string{
		method, "\n", path, "\n", query, "\n",
		"host:", host, "\nx-amz-content-sha256:", payload, "\nx-amz-date:", amzDate, "\n\n",
		signedHeaders, "\n", payload,
	} {
		b = append(b, part...)
	}
	digest := sha256.Sum256(b)

	b = append(b[:0], "AWS4-HMAC-SHA256\n"...)
	b = append(b, amzDate...)
	b = append(b, '\n')
	b = append(b, scope...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, digest[:])
	signature := mac(s.dayKey(amzDate[:8]), b)

	b = append(b[:0], "AWS4-HMAC-SHA256 Credential="...)
	b = append(b, s.accessKey...)
	b = append(b, '/')
	b = append(b, scope...)
	b = append(b, ",SignedHeaders="+signedHeaders+",Signature="...)
	b = hex.AppendEncode(b, signature)
	s.buf = b
	return string(b), amzDate
}

func (s *signer) dayKey(day string) []byte {
	if s.day != day {
		key := mac([]byte("AWS4"+s.secret.value), []byte(day))
		key = mac(key, []byte(s.region))
		key = mac(key, []byte("s3"))
		s.key = mac(key, []byte("aws4_request"))
		s.day = day
	}
	return s.key
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
