package sigv4

import (
	"encoding/hex"

	"coffer/s3api/s3err"
)

// Payload says what a request declares about its body.
type Payload uint8

// What x-amz-content-sha256 can declare.
const (
	PayloadAbsent          Payload = iota // no declaration; the signature covers the body's SHA-256
	PayloadSHA256                         // hex SHA-256 of the body
	PayloadUnsigned                       // UNSIGNED-PAYLOAD
	PayloadSigned                         // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	PayloadSignedTrailer                  // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	PayloadUnsignedTrailer                // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

const (
	unsignedPayload        = "UNSIGNED-PAYLOAD"
	streamingSigned        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingUnsigned      = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// Chunked reports whether the body is aws-chunked.
func (p Payload) Chunked() bool {
	return p == PayloadSigned || p == PayloadSignedTrailer || p == PayloadUnsignedTrailer
}

// ParsePayload reads a value of x-amz-content-sha256; sum is set for
// PayloadSHA256. It serves anonymous requests too, whose body may be chunked.
func ParsePayload(s string) (p Payload, sum [32]byte, err error) {
	switch s {
	case "":
		return PayloadAbsent, sum, nil
	case unsignedPayload:
		return PayloadUnsigned, sum, nil
	case streamingSigned:
		return PayloadSigned, sum, nil
	case streamingSignedTrailer:
		return PayloadSignedTrailer, sum, nil
	case streamingUnsigned:
		return PayloadUnsignedTrailer, sum, nil
	}
	if len(s) == 2*len(sum) {
		if _, err := hex.Decode(sum[:], []byte(s)); err == nil {
			return PayloadSHA256, sum, nil
		}
	}
	return 0, sum, s3err.Newf(s3err.InvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "+
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "+
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.").
		With("ArgumentName", headerSHA256)
}
