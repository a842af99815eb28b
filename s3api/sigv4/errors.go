package sigv4

import (
	"errors"
	"strconv"
	"time"

	"coffer/s3api/s3err"
)

// ErrAnonymous is wrapped by the AccessDenied that Begin gives for a request
// that carries no signature at all.
var ErrAnonymous = errors.New("sigv4: the request is not signed")

const (
	msgUnsigned     = "There were headers present in the request which were not signed"
	s3TimeFormat    = "2006-01-02T15:04:05Z"
	maxSkew         = 15 * time.Minute
	unsupportedAuth = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
)

func errOneMechanism() *s3err.Error {
	return s3err.Newf(s3err.InvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
		"Signature query string parameter or the Authorization header should be specified").
		With("ArgumentName", "Authorization")
}

func errNoDate() *s3err.Error {
	return s3err.Newf(s3err.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
}

func errSkewed(c *claim, now time.Time) *s3err.Error {
	return s3err.New(s3err.RequestTimeTooSkewed).
		With("RequestTime", c.time.Format(timeFormat)).
		With("ServerTime", now.UTC().Format(s3TimeFormat)).
		With("MaxAllowedSkewMilliseconds", strconv.FormatInt(maxSkew.Milliseconds(), 10))
}

func errExpired(c *claim, now time.Time) *s3err.Error {
	return s3err.Newf(s3err.AccessDenied, "Request has expired").
		With("X-Amz-Expires", strconv.Itoa(int(c.expires/time.Second))).
		With("Expires", c.time.Add(c.expires).Format(s3TimeFormat)).
		With("ServerTime", now.UTC().Format(s3TimeFormat))
}

// errSignature carries what the client needs to find its mistake, as S3 does.
// canonical is nil where it would repeat a key or a token.
func errSignature(c *claim, toSign, canonical []byte) *s3err.Error {
	e := s3err.New(s3err.SignatureDoesNotMatch).
		With("AWSAccessKeyId", c.accessKey).
		With("StringToSign", string(toSign)).
		With("SignatureProvided", c.signature)
	if canonical != nil {
		e = e.With("CanonicalRequest", string(canonical))
	}
	return e
}
