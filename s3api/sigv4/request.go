package sigv4

import "strings"

// Field is one header field as received.
type Field struct {
	Name, Value string
}

// Header is the list of header fields in the order received. Names compare
// without regard to case.
type Header []Field

// Get gives the first value of name.
func (h Header) Get(name string) (string, bool) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// count gives the number of fields called name.
func (h Header) count(name string) int {
	n := 0
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// Request is what a signature covers, as it was on the wire.
type Request struct {
	Method   string
	RawPath  string // still percent-encoded, without the query
	RawQuery string // what follows '?', still encoded
	Host     string // value of the Host field; Host entries of Header are ignored
	Header   Header

	// NoBody says that no body follows (no Content-Length or 0, not chunked).
	NoBody bool

	// EmptyRegion allows a scope without region (<date>//s3/aws4_request), as
	// MinIO's administration clients send it. For admin routes only.
	EmptyRegion bool
	// AnyRegion switches the region check off, for GetBucketLocation and
	// ListBuckets, which clients call before they know the region.
	AnyRegion bool
}

// Kind says how a request claims to be authenticated.
type Kind uint8

// Kinds of authentication.
const (
	Anonymous   Kind = iota // no claim
	HeaderV4                // Authorization: AWS4-HMAC-SHA256 …
	QueryV4                 // presigned URL, X-Amz-Algorithm=AWS4-HMAC-SHA256
	Unsupported             // Signature Version 2 or 4A, Basic, Bearer, …
	Ambiguous               // more than one of them
)

const (
	algorithm     = "AWS4-HMAC-SHA256"
	terminator    = "aws4_request"
	service       = "s3"
	timeFormat    = "20060102T150405Z"
	dateFormat    = "20060102"
	headerAuth    = "authorization"
	headerDate    = "x-amz-date"
	headerSHA256  = "x-amz-content-sha256"
	headerToken   = "x-amz-security-token"
	queryAlgo     = "X-Amz-Algorithm"
	queryCred     = "X-Amz-Credential"
	queryDate     = "X-Amz-Date"
	queryExpires  = "X-Amz-Expires"
	querySigned   = "X-Amz-SignedHeaders"
	querySig      = "X-Amz-Signature"
	querySHA256   = "X-Amz-Content-Sha256"
	queryToken    = "X-Amz-Security-Token"
	querySigV2    = "Signature"
	queryAccessV2 = "AWSAccessKeyId"
)

// Detect says how the request claims to be authenticated. q is the parsed
// query of the request.
func (r *Request) detect(q Query) Kind {
	_, hasQuery := q.Get(queryAlgo)
	if _, ok := q.Get(querySig); ok {
		hasQuery = true
	}
	_, sigV2 := q.Get(querySigV2)
	_, keyV2 := q.Get(queryAccessV2)
	auth, hasHeader := r.Header.Get(headerAuth)
	switch {
	case hasHeader && (hasQuery || sigV2 && keyV2), hasQuery && sigV2 && keyV2:
		return Ambiguous
	case hasHeader && isV4(auth):
		return HeaderV4
	case hasHeader, sigV2 && keyV2:
		return Unsupported
	case hasQuery:
		return QueryV4
	}
	return Anonymous
}

// Detect says how the request claims to be authenticated, without checking it.
func Detect(r *Request) Kind { return r.detect(ParseQuery(r.RawQuery)) }

func isV4(auth string) bool {
	rest, ok := strings.CutPrefix(auth, algorithm)
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
}
