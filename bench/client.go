package bench

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// StatusError is an answer other than the expected one.
type StatusError struct {
	Status int
	Code   string // the S3 error code, if the answer had one
}

func (e *StatusError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("status %d", e.Status)
	}
	return fmt.Sprintf("status %d %s", e.Status, e.Code)
}

// ErrBody means that an answer's body is not what was put, by its length, its
// digest or its number of keys.
var ErrBody = errors.New("the body is not what was put")

const (
	readBufferSize = 256 << 10
	maxErrorBody   = 4 << 10
	maxSmallAnswer = 4 << 20 // a listing of 1,000 keys of 1 KiB, with room
)

// client holds the connections to one endpoint; safe for concurrent use.
type client struct {
	host      *fasthttp.HostClient
	endpoint  Endpoint
	authority string // host and port, as signed
	base      string // the bucket's path
	timeout   time.Duration
}

func newClient(e Endpoint, bucket string, connections int, timeout time.Duration) (*client, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEndpoint, err)
	}
	host := &fasthttp.HostClient{
		Addr:                      fasthttp.AddMissingPort(u.Host, u.Scheme == "https"),
		IsTLS:                     u.Scheme == "https",
		DialDualStack:             true,
		MaxConns:                  connections,
		MaxIdemponentCallAttempts: 1,
		ReadBufferSize:            16 << 10,
		WriteBufferSize:           16 << 10,
		StreamResponseBody:        true,
		DisablePathNormalizing:    true,
		NoDefaultUserAgentHeader:  true,
		TLSConfig:                 &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return &client{host: host, endpoint: e, authority: u.Host, base: "/" + bucket, timeout: timeout}, nil
}

// caller sends one request at a time; it belongs to one goroutine.
type caller struct {
	*client
	signer *signer // nil at a MemoryServer
	req    fasthttp.Request
	resp   fasthttp.Response
	buf    []byte
	hash   hash.Hash
}

func newCaller(c *client) *caller {
	caller := &caller{client: c, buf: make([]byte, readBufferSize), hash: sha256.New()}
	if !c.endpoint.Memory {
		caller.signer = newSigner(&c.endpoint)
	}
	return caller
}

// request is what send needs to know. Path and query are encoded as the signer
// wants them.
type request struct {
	method, path, query string
	body                []byte
	payload             string // the value of x-amz-content-sha256
	contentMD5          string
}

// send leaves the answer in c.resp, whose body stream the caller must close if
// the error is nil. Every status of 300 and above is a StatusError.
func (c *caller) send(r request) error {
	c.req.Reset()
	c.req.Header.SetMethod(r.method)
	uri := c.endpoint.URL + r.path
	if r.query != "" {
		uri += "?" + r.query
	}
	c.req.SetRequestURI(uri)
	c.req.SetTimeout(c.timeout)
	c.req.Header.SetNoDefaultContentType(true)
	if r.body != nil {
		c.req.SetBodyRaw(r.body)
	}
	if r.contentMD5 != "" {
		c.req.Header.Set("Content-Md5", r.contentMD5)
	}
	if c.signer != nil {
		authorization, date := c.signer.sign(r.method, c.authority, r.path, r.query, r.payload, time.Now())
		c.req.Header.Set("Authorization", authorization)
		c.req.Header.Set("X-Amz-Date", date)
		c.req.Header.Set("X-Amz-Content-Sha256", r.payload)
	}
	if err := c.host.Do(&c.req, &c.resp); err != nil {
		return fmt.Errorf("%s: %w", r.method, err)
	}
	if status := c.resp.StatusCode(); status >= 300 {
		body, _ := c.answer(maxErrorBody) // the status says enough
		return &StatusError{Status: status, Code: element(body, "Code")}
	}
	return nil
}

// answer reads and closes a small body.
func (c *caller) answer(limit int64) ([]byte, error) {
	stream := c.resp.BodyStream()
	if stream == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(stream, limit+1))
	if int64(len(body)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrBody, limit)
	}
	return body, errors.Join(err, c.resp.CloseBodyStream())
}

// finish reads an answer of no interest.
func (c *caller) finish() error {
	_, err := c.answer(maxErrorBody)
	return err
}

func (c *caller) put(key string, body []byte, payload string) error {
	err := c.send(request{method: "PUT", path: c.base + "/" + key, body: body, payload: payload})
	if err != nil {
		return err
	}
	return c.finish()
}

// get reads an object of the given size. It compares its digest with want
// unless that is empty.
func (c *caller) get(key string, size Size, want string) error {
	err := c.send(request{method: "GET", path: c.base + "/" + key, payload: emptyPayload})
	if err != nil {
		return err
	}
	read, err := c.drain(want != "")
	if err = errors.Join(err, c.resp.CloseBodyStream()); err != nil {
		return fmt.Errorf("GET: after %d bytes: %w", read, err)
	}
	if read != int64(size) {
		return fmt.Errorf("GET: %w: %d bytes for %d", ErrBody, read, size)
	}
	if want != "" && hex.EncodeToString(c.hash.Sum(nil)) != want {
		return fmt.Errorf("GET: %w: SHA-256 differs", ErrBody)
	}
	return nil
}

// drain reads the body to its end, and into c.hash if hashed.
func (c *caller) drain(hashed bool) (int64, error) {
	c.hash.Reset()
	stream := c.resp.BodyStream()
	if stream == nil {
		return 0, nil
	}
	var read int64
	for {
		n, err := stream.Read(c.buf)
		read += int64(n)
		if hashed {
			c.hash.Write(c.buf[:n])
		}
		if errors.Is(err, io.EOF) {
			return read, nil
		}
		if err != nil {
			return read, err
		}
	}
}

// list asks for the first page of keys below prefix, and gives the size of the
// answer. It counts the keys unless want is negative.
func (c *caller) list(prefix string, want int) (int64, error) {
	query := "list-type=2&max-keys=1000&prefix=" + url.QueryEscape(prefix)
	if err := c.send(request{method: "GET", path: c.base, query: query, payload: emptyPayload}); err != nil {
		return 0, err
	}
	body, err := c.answer(maxSmallAnswer)
	if err != nil {
		return 0, fmt.Errorf("GET: %w", err)
	}
	if keys := strings.Count(string(body), "<Key>"); want >= 0 && keys != want {
		return 0, fmt.Errorf("GET: %w: %d keys for %d", ErrBody, keys, want)
	}
	return int64(len(body)), nil
}

// createBucket tells whether the bucket is new.
func (c *caller) createBucket() (bool, error) {
	err := c.send(request{method: "PUT", path: c.base, payload: emptyPayload})
	var status *StatusError
	if errors.As(err, &status) && (status.Code == "BucketAlreadyOwnedByYou" || status.Code == "BucketAlreadyExists") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.finish()
}

func (c *caller) deleteBucket() error {
	if err := c.send(request{method: "DELETE", path: c.base, payload: emptyPayload}); err != nil {
		return err
	}
	return c.finish()
}

// deleteObjects removes up to 1,000 keys, which must need no escaping in XML.
func (c *caller) deleteObjects(keys []string) error {
	var b strings.Builder
	b.WriteString("<Delete><Quiet>true</Quiet>")
	for _, key := range keys {
		b.WriteString("<Object><Key>" + key + "</Key></Object>")
	}
	b.WriteString("</Delete>")
	body := []byte(b.String())
	sum, digest := md5.Sum(body), sha256.Sum256(body)
	err := c.send(request{
		method: "POST", path: c.base, query: "delete=", body: body,
		payload:    hex.EncodeToString(digest[:]),
		contentMD5: base64.StdEncoding.EncodeToString(sum[:]),
	})
	if err != nil {
		return err
	}
	answer, err := c.answer(maxSmallAnswer)
	if err != nil {
		return fmt.Errorf("POST: %w", err)
	}
	if code := element(answer, "Code"); code != "" {
		return fmt.Errorf("POST: %w", &StatusError{Status: c.resp.StatusCode(), Code: code})
	}
	return nil
}

// element gives the text of the first element of that name, or nothing.
func element(xml []byte, name string) string {
	_, rest, found := strings.Cut(string(xml), "<"+name+">")
	if !found {
		return ""
	}
	text, _, found := strings.Cut(rest, "</"+name+">")
	if !found {
		return ""
	}
	return text
}
