package s3api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"coffer/object"
	"coffer/object/objecttest"
	"coffer/s3api"
	"coffer/s3api/sigv4"
)

const (
	testAccessKey = "AKIDTEST"
	testSecret    = "not-a-secret-at-all"
	testRegion    = "us-east-1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")) // the library's clock, one for the process
}

// server is a Server under test on a port of its own, over an engine in memory.
type server struct {
	t      *testing.T
	api    *s3api.Server
	store  *object.Store
	addr   string
	client *http.Client
	logs   *logBuffer
}

// logBuffer keeps what the server logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start serves until the test ends; change, which may be nil, adjusts the options.
func start(t *testing.T, change func(*s3api.Options)) *server {
	t.Helper()
	return startOver(t, objecttest.New().Open(t, nil), change)
}

func startOver(t *testing.T, store *object.Store, change func(*s3api.Options)) *server {
	t.Helper()
	s := &server{t: t, store: store, logs: &logBuffer{}}
	opts := s3api.Options{
		Store:   s.store,
		Secrets: secrets,
		Logger:  slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&opts)
	}
	var err error
	if s.api, err = s3api.New(opts); err != nil {
		t.Fatalf("new server: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.api.Serve(ln) }()
	transport := &http.Transport{DisableCompression: true}
	s.client = &http.Client{Transport: transport, Timeout: time.Minute}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.api.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// in gives the server to a subtest.
func (s *server) in(t *testing.T) *server {
	other := *s
	other.t = t
	return &other
}

func secrets(accessKey string) (sigv4.Secret, bool) {
	if accessKey != testAccessKey {
		return sigv4.Secret{}, false
	}
	return sigv4.NewSecret(testSecret), true
}

// sdk is the AWS SDK's client in its default configuration, but for the endpoint.
func (s *server) sdk(change ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		Region:       testRegion,
		BaseEndpoint: aws.String("http://" + s.addr),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(testAccessKey, testSecret, ""),
		HTTPClient:   s.client,
		Retryer:      aws.NopRetryer{},

		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // the defaults of a loaded configuration
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, change...)
}

// request is a request before it is signed. Target is what stands in the request line, and must be encoded as AWS does
// it where it is to be signed.
type request struct {
	method string
	target string
	host   string // default: the server's address
	header map[string]string
	body   []byte
	hash   string // x-amz-content-sha256; "" is that of the body, "none" leaves the field out

	accessKey, secret string    // default: the right ones
	at                time.Time // of signing; default now
	region            string
	anonymous         bool
	length            int64 // Content-Length when it is not that of body; -1 is Transfer-Encoding: chunked
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
	closes bool // Connection: close
}

// errorDoc is what clients read of an error.
type errorDoc struct {
	Code, Message, Resource, RequestID, BucketName, Key string
}

func (a *answer) err(t *testing.T) errorDoc {
	t.Helper()
	var doc struct {
		XMLName                                             xml.Name `xml:"Error"`
		Code, Message, Resource, RequestId, BucketName, Key string
	}
	if err := xml.Unmarshal(a.body, &doc); err != nil {
		t.Fatalf("status %d: body is not an error document: %v\n%s", a.status, err, a.body)
	}
	return errorDoc{Code: doc.Code, Message: doc.Message, Resource: doc.Resource, RequestID: doc.RequestId,
		BucketName: doc.BucketName, Key: doc.Key}
}

// build makes the signed HTTP request.
func (s *server) build(r request) *http.Request {
	s.t.Helper()
	path, query, _ := strings.Cut(r.target, "?")
	req, err := http.NewRequest(r.method, "http://"+s.addr+"/", bytes.NewReader(r.body))
	if err != nil {
		s.t.Fatal(err)
	}
	if r.body == nil {
		req.Body = http.NoBody
	}
	req.Host = r.host
	if r.host == "" {
		req.Host = s.addr
	}
	req.URL = &url.URL{Scheme: "http", Host: s.addr, Opaque: path, RawQuery: query}
	if strings.HasPrefix(path, "//") {
		req.URL.Opaque = "//" + req.Host + path
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	switch {
	case r.length == -1:
		req.ContentLength = -1
	case r.length != 0:
		req.ContentLength = r.length
	}
	if !r.anonymous {
		s.sign(req, r)
	}
	return req
}

func (s *server) sign(req *http.Request, r request) {
	s.t.Helper()
	hash := r.hash
	sum := sha256.Sum256(r.body)
	if hash == "" || hash == "none" {
		hash = hex.EncodeToString(sum[:])
	}
	if r.hash != "none" {
		req.Header.Set("x-amz-content-sha256", hash)
	}
	creds := aws.Credentials{AccessKeyID: orDefault(r.accessKey, testAccessKey), SecretAccessKey: orDefault(r.secret, testSecret)}
	at := r.at
	if at.IsZero() {
		at = time.Now()
	}
	err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		SignHTTP(context.Background(), creds, req, hash, "s3", orDefault(r.region, testRegion), at)
	if err != nil {
		s.t.Fatal(err)
	}
}

func orDefault(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

// do sends a request and reads the answer.
func (s *server) do(r request) *answer {
	s.t.Helper()
	return s.send(s.build(r))
}

func (s *server) send(req *http.Request) *answer {
	s.t.Helper()
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	body.Grow(int(max(resp.ContentLength, 0)) + bytes.MinRead)
	if _, err := body.ReadFrom(resp.Body); err != nil {
		s.t.Fatalf("%s %s: read answer: %v", req.Method, req.URL, err)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body.Bytes(), closes: resp.Close}
}

// must sends a request that has to succeed.
func (s *server) must(r request) *answer {
	s.t.Helper()
	a := s.do(r)
	if a.status/100 != 2 {
		s.t.Fatalf("%s %s: status %d\n%s", r.method, r.target, a.status, a.body)
	}
	return a
}

// bucket makes a bucket.
func (s *server) bucket(name string) {
	s.t.Helper()
	s.must(request{method: "PUT", target: "/" + name})
}

// put stores an object.
func (s *server) put(target, body string) *answer {
	s.t.Helper()
	return s.must(request{method: "PUT", target: target, body: []byte(body)})
}

// wantError checks an error's status and code.
func wantError(t *testing.T, a *answer, status int, code string) {
	t.Helper()
	if doc := a.err(t); a.status != status || doc.Code != code {
		t.Fatalf("answer %d %s, want %d %s\n%s", a.status, doc.Code, status, code, a.body)
	}
}

// escape encodes a path as AWS does.
func escape(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func listAll(bucket string) object.ListRequest {
	return object.ListRequest{Bucket: bucket, Max: object.MaxListKeys}
}
