package s3api

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"coffer/internal/caller"
	"coffer/object"
	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// maxHeaderBytes bounds request line and headers together. S3 allows 8 KiB of headers; a presigned URL comes on top.
const maxHeaderBytes = 16 << 10

// call is one request, copied out of fasthttp's memory, and what has been found out about it.
type call struct {
	id     string // x-amz-request-id
	began  time.Time
	remote string
	peer   netip.Addr // whoever opened the connection; zero when it was not TCP
	secure bool       // came over TLS

	method   string
	rawPath  string // as sent, without the query
	rawQuery string
	host     string
	header   sigv4.Header      // as sent, in order: what the signature covers
	fields   map[string]string // by lower-case name; repeated ones joined by a comma; hoisted parameters included
	query    sigv4.Query

	kind   kind
	bucket string
	key    string

	route *route
	ver   *sigv4.Verification
	body  *requestBody
	conn  *conn
	resp  *fasthttp.Response

	sealing object.Sealing // what the fields ask for; of a read: the client's key
	source  object.Sealing // the client's key of a copy's source
	keyMD5  string         // of the client's key in sealing, base64; "" without one
	pairs   []caller.Pair  // for the audit log

	failure error      // found before any handler ran
	proof   *proofBody // of a request that its body proves; nil until the body is asked for
	code    s3err.Code // of a failed answer
	cause   error      // of a failed answer
	stream  *download  // the answer's body, when it streams
}

// newCall copies a request. Its failure is set when it cannot be served.
func newCall(fh *fasthttp.RequestCtx, d domains, now time.Time) *call {
	h := &fh.Request.Header
	c := &call{
		id:     newRequestID(),
		began:  now,
		remote: fh.RemoteAddr().String(),
		secure: fh.IsTLS(),
		method: string(h.Method()),
		host:   string(h.Host()),
		conn:   connOf(fh.Conn()),
		resp:   &fh.Response,
	}
	if a, ok := fh.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = a.AddrPort().Addr().Unmap().WithZone("")
	}
	for name, value := range h.AllInOrder() {
		c.header = append(c.header, sigv4.Field{Name: string(name), Value: string(value)})
	}
	c.fields = fieldsOf(c.header)
	c.body = newRequestBody(fh, c)
	c.failure = c.parseTarget(string(h.Peek(targetField)), d)
	return c
}

// newRequestID gives 16 upper-case hex digits, as S3's ids look.
func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

func fieldsOf(header sigv4.Header) map[string]string {
	fields := make(map[string]string, len(header))
	for _, f := range header {
		name, value := strings.ToLower(f.Name), strings.Trim(f.Value, " \t")
		if before, ok := fields[name]; ok {
			value = before + "," + value
		}
		fields[name] = value
	}
	return fields
}

// get gives the value of a header field, "" when it is absent.
func (c *call) get(name string) string { return c.fields[name] }

func (c *call) has(name string) bool {
	_, ok := c.fields[name]
	return ok
}

// param gives the value of a query parameter, "" when it is absent.
func (c *call) param(name string) string {
	v, _ := c.query.Get(name)
	return v
}

// resource names what the request is about, for error answers.
func (c *call) resource() string {
	switch {
	case c.bucket == "":
		return "/"
	case c.key == "":
		return "/" + c.bucket
	default:
		return "/" + c.bucket + "/" + c.key
	}
}

// parseTarget splits the request target, as sent, and finds out which bucket and key it means.
func (c *call) parseTarget(target string, d domains) error {
	target, err := originForm(target, c.host)
	if err != nil {
		return err
	}
	c.rawPath, c.rawQuery, _ = strings.Cut(target, "?")
	c.query = sigv4.ParseQuery(c.rawQuery)
	c.hoist()
	if c.has("content-length") && c.has("transfer-encoding") {
		c.body.poison()
		return s3err.Newf(s3err.BadRequest, "Content-Length and Transfer-Encoding must not stand together.")
	}
	path, ok := sigv4.UnescapePath(c.rawPath)
	if !ok || !utf8.ValidString(path) { // keys are Unicode
		return s3err.New(s3err.InvalidURI)
	}
	return c.resolve(path, d)
}

// originForm takes scheme and authority off a target in absolute form, which must name the host it was sent to.
func originForm(target, host string) (string, error) {
	if strings.HasPrefix(target, "/") {
		return target, nil
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return "", s3err.New(s3err.InvalidURI)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		rest, end = rest+"/", len(rest)
	}
	if !strings.EqualFold(rest[:end], host) {
		return "", s3err.Newf(s3err.InvalidURI, "The host of the request target differs from the Host header.")
	}
	if rest[end] == '?' {
		return "/" + rest[end:], nil
	}
	return rest[end:], nil
}

// resolve finds bucket and key in the decoded path and the host.
func (c *call) resolve(path string, d domains) error {
	path = strings.TrimPrefix(path, "/")
	if bucket, ok := d.bucketOf(c.host); ok {
		c.bucket, c.key = bucket, path
	} else {
		c.bucket, c.key, _ = strings.Cut(path, "/")
		if c.bucket == "" && path != "" {
			return s3err.New(s3err.InvalidURI)
		}
	}
	switch {
	case c.bucket == "":
		c.kind = service
	case c.key == "":
		c.kind = bucketKind
	default:
		c.kind = objectKind
	}
	return nil
}

// hoist takes x-amz-* parameters of a presigned URL as the header fields that they stand for: SDKs move headers there
// when they presign. A field that was sent wins.
func (c *call) hoist() {
	if !c.query.Has("X-Amz-Signature") {
		return
	}
	for _, p := range c.query {
		name := strings.ToLower(p.Name)
		if !strings.HasPrefix(name, "x-amz-") || presignParameter(name) || c.has(name) {
			continue
		}
		c.fields[name] = strings.Trim(p.Value, " \t")
	}
}

// presignParameter reports whether a parameter belongs to the signature itself.
func presignParameter(lowerName string) bool {
	switch lowerName {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
		"x-amz-content-sha256", "x-amz-security-token":
		return true
	default:
		return false
	}
}
