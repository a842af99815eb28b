package adminclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"coffer/internal/caller"
	"coffer/internal/secret"
)

const (
	prefix      = "/rustfs/admin/v3/"
	dialTimeout = 10 * time.Second
	maxAnswer   = 64 << 20 // bytes of an answer
)

// Options of a Client. Endpoint, AccessKey and SecretKey are required.
type Options struct {
	Endpoint  string // http://HOST:PORT or https://HOST:PORT
	AccessKey string
	SecretKey secret.Value
	TLS       *tls.Config // nil: the system's certificates
	UserAgent string
	Audit     map[string]string // pairs that the audit log keeps of each request
}

// Client calls one server.
type Client struct {
	o    Options
	base url.URL
	http *http.Client
}

// New makes a Client. It calls nobody.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("the endpoint is not of the form http://HOST:PORT")
	}
	if o.AccessKey == "" || o.SecretKey.IsZero() {
		return nil, errors.New("no credentials")
	}
	return &Client{o: o, base: url.URL{Scheme: u.Scheme, Host: u.Host}, http: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is the document of an answer as it came, and what this package knows of it.
type Answer[T any] struct {
	Raw json.RawMessage
	Doc T
}

// ask calls a route and decodes its answer. body is nil, or encoded as JSON.
func ask[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (Answer[T], error) {
	var a Answer[T]
	raw, err := c.call(ctx, method, path, query, body)
	if err != nil {
		return a, err
	}
	a.Raw = raw
	if err := json.Unmarshal(raw, &a.Doc); err != nil {
		return a, fmt.Errorf("the answer of %s is none of this API: %w", c.o.Endpoint, err)
	}
	return a, nil
}

// call sends one request and reads the answer to its end.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body any) (json.RawMessage, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return nil, err
		}
		defer clear(payload) // it may hold a secret
	}
	req, err := c.request(ctx, method, path, query, payload)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", c.o.Endpoint, maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, newError(resp, answer)
	}
	return answer, nil
}

// request makes a signed request. The path is encoded already.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, payload []byte) (*http.Request, error) {
	u := c.base
	u.RawPath = prefix + path
	var err error
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return nil, err
	}
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // sorted, and encoded as it is signed
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	if c.o.UserAgent != "" {
		req.Header.Set("User-Agent", c.o.UserAgent)
	}
	for name, value := range c.o.Audit {
		req.Header.Set(caller.HeaderPrefix+name, value)
	}
	if len(payload) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	sum := sha256.Sum256(payload)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	// A slash within a segment is signed as it is, and sent encoded.
	sent := req.URL.RawPath
	req.URL.RawPath = strings.ReplaceAll(u.RawPath, "%2F", "/")
	credentials := aws.Credentials{AccessKeyID: c.o.AccessKey, SecretAccessKey: string(c.o.SecretKey.Expose())}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(ctx, credentials, req, hash, "s3", "", time.Now())
	req.URL.RawPath = sent
	return req, err
}

// segment encodes one segment of a path as AWS does it.
func segment(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
