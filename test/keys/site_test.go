package keys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"coffer/test/e2e/daemon"
)

// site is a running server and its clients.
type site struct {
	t      *testing.T
	dir    string
	start  daemon.Options
	daemon *daemon.Daemon // nil while it is stopped
	log    *lockedBuffer
	client *http.Client
}

// newSite starts a server that ends with the test.
func newSite(t *testing.T, environ []string, args ...string) *site {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1100}
	s := &site{t: t, dir: t.TempDir(), log: &lockedBuffer{}, client: &http.Client{Transport: transport, Timeout: time.Minute}}
	s.start = daemon.Options{
		Binary: binary, Dir: s.dir, Log: s.log, Environ: environ, Args: append([]string{"--log-level", "debug"}, args...),
		AccessKey: "root", SecretKey: "root-password-canary-5d0c",
	}
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(s.stop)
	s.serve()
	return s
}

// serve starts the server, which was stopped.
func (s *site) serve() {
	s.t.Helper()
	var err error
	if s.daemon, err = daemon.Start(s.t.Context(), s.start); err != nil {
		s.t.Fatalf("%v\n%s", err, s.log.String())
	}
}

func (s *site) stop() {
	s.t.Helper()
	if s.daemon == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // that of the test may have ended
	defer cancel()
	if err := s.daemon.Stop(ctx); err != nil {
		s.t.Errorf("%v\n%s", err, s.log.String())
	}
	s.daemon = nil
}

type fields = map[string]string

// request is a request before it is signed.
type request struct {
	method string
	target string // path and query, encoded
	header fields
	body   string
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration
	err    error // of the connection
}

// code is that of an S3 or an admin error.
func (a answer) code() string {
	var x struct{ Code string }
	if xml.Unmarshal([]byte(a.body), &x) == nil {
		return x.Code
	}
	var j struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal([]byte(a.body), &j) // of anything else there is no code
	return j.Code
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.600s", a.status, a.body)
}

// do sends a request. It may be called from any goroutine.
func (s *site) do(ctx context.Context, r request) (a answer) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	q, err := s.sign(ctx, r)
	if err != nil {
		return answer{err: err}
	}
	response, err := s.client.Do(q)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: string(body), err: err}
}

// sign makes the signed request.
func (s *site) sign(ctx context.Context, r request) (*http.Request, error) {
	q, err := http.NewRequestWithContext(ctx, r.method, s.daemon.URL+r.target, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	sum := sha256.Sum256([]byte(r.body))
	hash := hex.EncodeToString(sum[:])
	q.Header.Set("x-amz-content-sha256", hash)
	credentials := aws.Credentials{AccessKeyID: s.daemon.AccessKey, SecretAccessKey: s.daemon.SecretKey}
	plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	return q, v4.NewSigner(plain).SignHTTP(ctx, credentials, q, hash, "s3", "us-east-1", time.Now())
}

// must sends a request that has to succeed.
func (s *site) must(r request) answer {
	s.t.Helper()
	a := s.do(s.t.Context(), r)
	if a.err != nil || a.status/100 != 2 {
		s.t.Fatalf("%s %s: %v", r.method, r.target, a)
	}
	return a
}

// admin calls a route below /rustfs/admin/v3/ that has to succeed, and decodes its
// answer.
func (s *site) admin(method, route, body string) map[string]any {
	s.t.Helper()
	a := s.must(request{method: method, target: "/rustfs/admin/v3/" + route, body: body})
	doc := map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, route, err, a.body)
	}
	return doc
}

// useVault configures a Vault by the first of the two forms.
func (s *site) useVault(address, mount, token, defaultKey string) {
	s.t.Helper()
	s.admin("POST", "kms/configure", toJSON(map[string]any{
		"kms_type": "vault", "vault_address": address, "vault_token": token, "vault_mount_path": mount, "default_key_id": defaultKey,
	}))
}

func toJSON(v any) string {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err) // a test gave what has no form
	}
	return b.String()
}

// kmsMode asks for SSE-KMS under a key, or under the default one.
func kmsMode(key string) fields {
	f := fields{"x-amz-server-side-encryption": "aws:kms"}
	if key != "" {
		f["x-amz-server-side-encryption-aws-kms-key-id"] = key
	}
	return f
}

func (s *site) put(target, body string, header fields) {
	s.t.Helper()
	s.must(request{method: "PUT", target: target, header: header, body: body})
}

// wantBody reads an object and compares.
func (s *site) wantBody(target, want string) {
	s.t.Helper()
	if got := s.must(request{method: "GET", target: target}); got.body != want {
		s.t.Errorf("%s: %d other bytes came back", target, len(got.body))
	}
}

// wantError sends a request that has to fail.
func (s *site) wantError(r request, status int, code string) answer {
	s.t.Helper()
	a := s.do(s.t.Context(), r)
	if a.err != nil || a.status != status || r.method != "HEAD" && a.code() != code {
		s.t.Errorf("%s %s: %v, want %d %s", r.method, r.target, a, status, code)
	}
	return a
}

// clearCache wipes the KEKs that the server keeps.
func (s *site) clearCache() {
	s.t.Helper()
	s.must(request{method: "POST", target: "/rustfs/admin/v3/kms/clear-cache"})
}
