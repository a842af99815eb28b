package s3api

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"strconv"
	"strings"

	"coffer/object"
	"coffer/object/checksum"
	"coffer/s3api/awschunk"
	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// payload is the content of a request's body: decoded, and proven when it has been read to io.EOF.
type payload struct {
	io.Reader
	size    int64            // -1 when not declared
	chunked *awschunk.Reader // nil unless aws-chunked
}

// openPayload decodes the body according to x-amz-content-sha256. Nothing is read yet.
func (c *call) openPayload() (*payload, error) {
	raw := c.rawBody()
	if !c.ver.Payload.Chunked() {
		return &payload{Reader: raw, size: c.declaredLength()}, nil
	}
	size, err := c.decodedLength()
	if err != nil {
		return nil, err
	}
	o := awschunk.Options{Mode: chunkMode(c.ver.Payload), DecodedLength: size}
	if c.ver.Payload != sigv4.PayloadUnsignedTrailer {
		o.Chunks = c.ver.Chunks()
	}
	if v := c.get("x-amz-trailer"); v != "" {
		o.Trailers = []string{v}
	}
	r, err := awschunk.NewReader(raw, o)
	if err != nil {
		return nil, err
	}
	return &payload{Reader: r, size: size, chunked: r}, nil
}

func chunkMode(p sigv4.Payload) awschunk.Mode {
	switch p {
	case sigv4.PayloadSigned:
		return awschunk.Signed
	case sigv4.PayloadSignedTrailer:
		return awschunk.SignedTrailer
	default:
		return awschunk.UnsignedTrailer
	}
}

// declaredLength is Content-Length, or -1.
func (c *call) declaredLength() int64 {
	if !c.has("content-length") {
		return -1
	}
	return c.body.length
}

// decodedLength is x-amz-decoded-content-length, which every aws-chunked body must have.
func (c *call) decodedLength() (int64, error) {
	v := c.get("x-amz-decoded-content-length")
	if v == "" {
		return 0, s3err.New(s3err.MissingContentLength)
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, invalidArgument("x-amz-decoded-content-length", v, "The decoded content length is not a number.")
	}
	return n, nil
}

// openObject is openPayload for the data of an object or part, whose length S3 wants to know beforehand.
func (c *call) openObject() (*payload, object.Digests, error) {
	p, err := c.openPayload()
	if err != nil {
		return nil, object.Digests{}, err
	}
	if p.size < 0 {
		if c.has("transfer-encoding") {
			return nil, object.Digests{}, s3err.New(s3err.NotImplemented).With("Header", "Transfer-Encoding")
		}
		return nil, object.Digests{}, s3err.New(s3err.MissingContentLength)
	}
	d, err := c.digests(p)
	return p, d, err
}

// digests reads what the request says about the digests of its content.
func (c *call) digests(p *payload) (object.Digests, error) {
	var d object.Digests
	var err error
	if d.MD5, err = c.contentMD5(); err != nil {
		return d, err
	}
	header, err := c.checksumHeader()
	if err != nil {
		return d, err
	}
	trailer, err := c.checksumTrailer()
	if err != nil {
		return d, err
	}
	switch {
	case header != 0 && trailer != 0:
		return d, errManyChecksums()
	case header != 0:
		d.Algorithm = header
		d.Value, err = decodeChecksum(header, c.get(checksumField(header)))
	case trailer != 0:
		d.Algorithm = trailer
		d.Trailer = func() ([]byte, error) {
			value, _ := p.chunked.Trailer(checksumField(trailer)) // its absence is an error of the reader's
			return decodeChecksum(trailer, value)
		}
	}
	if err != nil {
		return d, err
	}
	return d, c.checkSDKAlgorithm(d.Algorithm)
}

func errManyChecksums() error {
	return s3err.Newf(s3err.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// contentMD5 is Content-MD5, nil when it was not sent.
func (c *call) contentMD5() ([]byte, error) {
	if !c.has("content-md5") {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(c.get("content-md5"))
	if err != nil || len(sum) != md5.Size {
		return nil, s3err.New(s3err.InvalidDigest).With("Content-MD5", c.get("content-md5"))
	}
	return sum, nil
}

func checksumField(a checksum.Algorithm) string {
	return "x-amz-checksum-" + strings.ToLower(a.String())
}

// checksumHeader finds the one checksum that stands in a header; 0 when there is none.
func (c *call) checksumHeader() (checksum.Algorithm, error) {
	var found checksum.Algorithm
	for name := range c.fields {
		suffix, ok := strings.CutPrefix(name, "x-amz-checksum-")
		if !ok || suffix == "algorithm" || suffix == "type" || suffix == "mode" {
			continue
		}
		a, err := checksum.Parse(suffix)
		if err != nil {
			return 0, s3err.Newf(s3err.InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if found != 0 {
			return 0, errManyChecksums()
		}
		found = a
	}
	return found, nil
}

// checksumTrailer finds the one checksum that x-amz-trailer announces; 0 when there is none.
func (c *call) checksumTrailer() (checksum.Algorithm, error) {
	var found checksum.Algorithm
	for name := range strings.SplitSeq(c.get("x-amz-trailer"), ",") {
		suffix, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), "x-amz-checksum-")
		if !ok {
			continue
		}
		a, err := checksum.Parse(suffix)
		if err != nil || found != 0 && found != a {
			return 0, invalidArgument("x-amz-trailer", c.get("x-amz-trailer"),
				"The value specified in the x-amz-trailer header is not supported")
		}
		found = a
	}
	if found != 0 && !c.ver.Payload.Chunked() {
		return 0, s3err.Newf(s3err.InvalidRequest, "x-amz-trailer was sent with a payload that has no trailer")
	}
	return found, nil
}

func decodeChecksum(a checksum.Algorithm, value string) ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(sum) != a.Size() {
		return nil, s3err.Newf(s3err.InvalidRequest, "Value for %s header is invalid.", checksumField(a))
	}
	return sum, nil
}

// checkSDKAlgorithm holds what an SDK announces against what it sent.
func (c *call) checkSDKAlgorithm(sent checksum.Algorithm) error {
	v := c.get("x-amz-sdk-checksum-algorithm")
	if v == "" || c.has("content-md5") && sent == 0 {
		return nil
	}
	a, err := checksum.Parse(v)
	switch {
	case err != nil:
		return s3err.Newf(s3err.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case sent == 0:
		return s3err.Newf(s3err.InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding "+
			"x-amz-checksum-* or x-amz-trailer headers were found.")
	case a != sent:
		return s3err.Newf(s3err.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

// Bounds of request documents, in bytes. Their parsers have limits of their own; these bound what is kept in memory.
const (
	maxDeleteDocument   = 8 << 20 // 1,000 keys of 1,024 bytes, escaped
	maxCompleteDocument = 4 << 20 // 10,000 parts
	maxConfigDocument   = 64 << 10
	maxUnprovenDocument = 1 << 20 // of whoever has not proven to be anybody
)

// documentDigest says what the digests of a request with a document are about.
type documentDigest uint8

const (
	digestOptional documentDigest = iota
	digestRequired
	digestOfObject // x-amz-checksum-* is that of an object; only Content-MD5 is the document's
)

// document reads the whole body of a request that carries XML, so that it is proven and its digests are checked
// before a word of it is acted on.
func (c *call) document(about documentDigest, limit int64) (*bytes.Reader, error) {
	p, err := c.openPayload()
	if err != nil {
		return nil, err
	}
	var d object.Digests
	if about == digestOfObject {
		d.MD5, err = c.contentMD5()
	} else {
		d, err = c.digests(p)
	}
	if err != nil {
		return nil, err
	}
	if about == digestRequired && d.MD5 == nil && d.Algorithm == 0 {
		return nil, s3err.Newf(s3err.InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	if !c.ver.Proven() {
		limit = min(limit, maxUnprovenDocument)
	}
	b, err := io.ReadAll(io.LimitReader(p, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(b)) > limit:
		return nil, s3err.New(s3err.MaxMessageLengthExceeded).With("MaxMessageLengthBytes", strconv.FormatInt(limit, 10))
	case p.size >= 0 && int64(len(b)) != p.size:
		return nil, s3err.New(s3err.IncompleteBody)
	}
	return bytes.NewReader(b), verifyDocument(b, d)
}

func verifyDocument(b []byte, d object.Digests) error {
	if sum := md5.Sum(b); d.MD5 != nil && subtle.ConstantTimeCompare(sum[:], d.MD5) != 1 {
		return s3err.New(s3err.BadDigest)
	}
	if d.Algorithm == 0 {
		return nil
	}
	want := d.Value
	if d.Trailer != nil {
		var err error
		if want, err = d.Trailer(); err != nil {
			return err
		}
	}
	h := d.Algorithm.New()
	h.Write(b)
	if subtle.ConstantTimeCompare(h.Sum(nil), want) != 1 {
		return s3err.New(s3err.BadDigest)
	}
	return nil
}
