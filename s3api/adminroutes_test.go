package s3api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"coffer/s3api"
	"coffer/s3api/admin"
)

// recorder is an Admin that notes what reaches it.
type recorder struct {
	mu     sync.Mutex
	served []admin.Request
	denied []admin.Request

	refused []admin.Request
}

func (r *recorder) Serve(_ context.Context, req *admin.Request) admin.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served = append(r.served, *req)
	return admin.Response{Status: 200, ContentType: "application/json", Body: []byte("{}\n")}
}

func (r *recorder) Deny(_ context.Context, req *admin.Request, reason string) admin.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied = append(r.denied, *req)
	return admin.Refusal(&admin.Error{Status: 403, Code: "AccessDenied", Message: reason})
}

func (r *recorder) Refuse(_ context.Context, req *admin.Request, refusal *admin.Error) admin.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, *req)
	return admin.Refusal(refusal)
}

func (r *recorder) take() (served, denied []admin.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	served, denied = r.served, r.denied
	r.served, r.denied = nil, nil
	return served, denied
}

func startAdmin(t *testing.T) (*server, *recorder) {
	t.Helper()
	r := &recorder{}
	return start(t, func(o *s3api.Options) { o.Admin = r }), r
}

// adminTarget is a route's path with its parameter filled in.
func adminTarget(path string) string {
	before, _, open := strings.Cut(path, "{")
	if open {
		return before + "x"
	}
	return path
}

// TestAdminDenied asks every route as those who may not: nothing reaches a handler, not even the body.
func TestAdminDenied(t *testing.T) {
	t.Parallel()
	s, r := startAdmin(t)
	for name, bad := range map[string]request{
		"unsigned":        {anonymous: true},
		"unknown key":     {accessKey: "NOBODY"},
		"wrong signature": {secret: "wrong"},
		"skewed clock":    {at: time.Now().Add(-20 * time.Minute)},
		"another body":    {hash: strings.Repeat("0", 64)},
		"unproven body":   {secret: "wrong", hash: "none"},
		"other region":    {region: "eu-west-7"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			for _, route := range admin.Routes() {
				bad.method, bad.target, bad.body = route.Method, adminTarget(route.Path), []byte(`{"broken`)
				a := s.do(bad)
				var doc struct{ Code, Message, Description string }
				if err := json.Unmarshal(a.body, &doc); err != nil || a.status != 403 || doc.Code != "AccessDenied" || strings.HasSuffix(doc.Message, ": ") || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s: status %d %s", route.Method, route.Path, a.status, a.body)
				}
				served, denied := r.take()
				if len(served) != 0 || len(denied) != 1 || denied[0].Body != nil || name != "another body" && denied[0].Caller.AccessKey != "" {
					t.Errorf("%s %s: served %v, denied %v", route.Method, route.Path, served, denied)
				}
			}
		})
	}
}

func TestAdminServed(t *testing.T) {
	t.Parallel()
	s, r := startAdmin(t)
	for _, route := range admin.Routes() {
		body := []byte(nil)
		if route.Method != "GET" {
			body = []byte(`{"a":1}`)
		}
		target := adminTarget(route.Path) + "?a=b%20c&keyName=k"
		for _, hash := range []string{"", "none"} {
			s.must(request{method: route.Method, target: target, body: body, hash: hash, header: map[string]string{"User-Agent": "ua"}})
			served, denied := r.take()
			if len(served) != 1 || len(denied) != 0 {
				t.Fatalf("%s: served %v, denied %v", route.Path, served, denied)
			}
			got := served[0]
			want := url.Values{"a": {"b c"}, "keyName": {"k"}}
			if got.Method != route.Method || got.Path != adminTarget(route.Path) || got.Query.Encode() != want.Encode() || !bytes.Equal(got.Body, body) {
				t.Errorf("%s: got %+v", route.Path, got)
			}
			if c := got.Caller; c.AccessKey != testAccessKey || c.UserAgent != "ua" || c.Remote == "" || c.RequestID == "" {
				t.Errorf("%s: caller %+v", route.Path, c)
			}
		}
	}
	if logged := s.logs.String(); strings.Contains(logged, `"bucket"`) || !strings.Contains(logged, `"operation":"Admin"`) {
		t.Errorf("the log takes a path for a bucket:\n%s", logged)
	}
}

// TestAdminEmptyRegion signs as madmin does. Elsewhere such a scope is refused.
func TestAdminEmptyRegion(t *testing.T) {
	t.Parallel()
	s, _ := startAdmin(t)
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for target, want := range map[string]int{"/minio/kms/v1/key/list?pattern=%2A": 200, "/rustfs/admin/v3/info": 200, "/bucket": 400} {
		req := s.build(request{method: "GET", target: target, anonymous: true})
		req.Header.Set("x-amz-content-sha256", empty)
		creds := aws.Credentials{AccessKeyID: testAccessKey, SecretAccessKey: testSecret}
		if err := v4.NewSigner().SignHTTP(t.Context(), creds, req, empty, "s3", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(req.Header.Get("Authorization"), "//s3/aws4_request") {
			t.Fatalf("the scope has a region: %s", req.Header.Get("Authorization"))
		}
		if a := s.send(req); a.status != want {
			t.Errorf("%s: status %d, want %d: %s", target, a.status, want, a.body)
		}
	}
}

func TestAdminBodies(t *testing.T) {
	t.Parallel()
	s, r := startAdmin(t)
	for name, tt := range map[string]struct {
		req  request
		want int
	}{
		"longest":        {request{body: make([]byte, admin.MaxBody)}, 200},
		"too long":       {request{body: make([]byte, admin.MaxBody+1)}, 400},
		"of no length":   {request{body: []byte("{}"), length: -1}, 200},
		"too long, none": {request{body: make([]byte, admin.MaxBody+1), length: -1}, 400},
	} {
		tt.req.method, tt.req.target = "POST", "/rustfs/admin/v3/kms/configure"
		a := s.do(tt.req)
		if served, _ := r.take(); a.status != tt.want || (len(served) == 1) != (tt.want == 200) || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, want %d, served %d: %s", name, a.status, tt.want, len(served), a.body)
		}
	}
}

// TestAdminPaths shows what is no administration, and a server without one.
func TestAdminPaths(t *testing.T) {
	t.Parallel()
	s, r := startAdmin(t)
	for _, target := range []string{"/minio/adminx/v3/info", "/minio/administrator", "/rustfs/kms/v1/status", "/bucket/rustfs/admin/v3/info"} {
		s.do(request{method: "GET", target: target})
		if served, denied := r.take(); len(served)+len(denied) != 0 {
			t.Errorf("%s is served as administration", target)
		}
	}
	none := start(t, nil)
	for _, anonymous := range []bool{false, true} {
		a := none.do(request{method: "GET", target: "/rustfs/admin/v3/info", anonymous: anonymous})
		want := map[bool]int{false: http.StatusNotImplemented, true: http.StatusForbidden}[anonymous]
		if a.status != want || !strings.HasPrefix(string(a.body), "{") {
			t.Errorf("status %d, want %d: %s", a.status, want, a.body)
		}
	}
}
