package sigv4_test

import (
	"strings"
	"testing"
	"time"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

func TestPresignedQuery(t *testing.T) {
	t.Parallel()
	const code = s3err.AuthorizationQueryParametersError
	nop := func(*sigv4.Request) {}
	tests := []mutation{
		{"as signed", nop, "", ""},
		{"unsigned Range", addField("Range", "bytes=0-1"), "", ""},
		{"content hash again in a header", addField("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), "", ""},
		{"no signature", func(r *sigv4.Request) { r.RawQuery = r.RawQuery[:strings.LastIndexByte(r.RawQuery, '&')] }, code, "requires the X-Amz-Algorithm"},
		{"no algorithm", editQuery("X-Amz-Algorithm", "X-Amz-Algorithms"), code, "requires the X-Amz-Algorithm"},
		{"no expiry", editQuery("X-Amz-Expires", "X-Amz-Expire"), code, "requires the X-Amz-Algorithm"},
		{"empty date", editQuery("X-Amz-Date=20260301T120000Z", "X-Amz-Date="), code, "requires the X-Amz-Algorithm"},
		{"parameter twice", func(r *sigv4.Request) { r.RawQuery += "&X-Amz-Date=20260301T120000Z" }, code, "requires the X-Amz-Algorithm"},
		{"signature twice", func(r *sigv4.Request) { r.RawQuery += "&X-Amz-Signature=00" }, code, "requires the X-Amz-Algorithm"},
		{"other algorithm", editQuery("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), code, "X-Amz-Algorithm only supports"},
		{"malformed date", editQuery("20260301T120000Z", "2026-03-01"), code, "ISO8601 Long Format"},
		{"date of another day", editQuery("20260301T120000Z", "20260302T120000Z"), code, "Invalid credential date"},
		{"short credential", editQuery("%2Fs3%2F", "%2F"), code, "the Credential is mal-formed"},
		{"wrong region", editQuery("eu-west-1", "us-east-1"), code, "the region"},
		{"expiry no number", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=1h"), code, "should be a number"},
		{"expiry with a sign", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=%2B3600"), code, "should be a number"},
		{"expiry negative", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=-1"), code, "must be non-negative"},
		{"expiry far negative", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=-99999999999999999999"), code, "must be non-negative"},
		{"expiry zero", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=0"), code, "at least 1"},
		{"expiry above a week", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=604801"), code, "less than a week"},
		{"expiry beyond 64 bits", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=99999999999999999999"), code, "less than a week"},
		{"expiry changed", editQuery("X-Amz-Expires=3600", "X-Amz-Expires=604800"), s3err.SignatureDoesNotMatch, ""},
		{"host not signed", editQuery("SignedHeaders=host%3B", "SignedHeaders="), s3err.AccessDenied, "not signed"},
		{"unsigned x-amz header", addField("X-Amz-Acl", "public-read"), s3err.AccessDenied, "not signed"},
		{"another hash in a header", addField("X-Amz-Content-Sha256", emptySHA256), s3err.SignatureDoesNotMatch, ""},
		{"chunked declared in a header", addField("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), s3err.SignatureDoesNotMatch, ""},
		{"another hash as a parameter", func(r *sigv4.Request) { r.RawQuery += "&X-Amz-Content-Sha256=" + emptySHA256 }, s3err.SignatureDoesNotMatch, ""},
		{"hash in two places that differ", func(r *sigv4.Request) {
			r.RawQuery += "&X-Amz-Content-Sha256=" + emptySHA256
			addField("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")(r)
		}, code, "given twice"},
		{"session token", func(r *sigv4.Request) { r.RawQuery += "&X-Amz-Security-Token=t" }, s3err.InvalidToken, ""},
		{"version 2", func(r *sigv4.Request) { r.RawQuery = "AWSAccessKeyId=a&Signature=b&Expires=1" }, s3err.InvalidRequest, "Please use AWS4-HMAC-SHA256"},
		{"both versions", func(r *sigv4.Request) { r.RawQuery += "&AWSAccessKeyId=a&Signature=b" }, s3err.InvalidArgument, "Only one"},
	}
	p := base()
	p.header = dropField(p.header, "X-Amz-Content-Sha256")
	runMutations(t, tests, func(t *testing.T) *sigv4.Request { return p.presign(t, time.Hour) })
}
