package s3api_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/kms"
	"coffer/object"
	"coffer/object/objecttest"
	"coffer/s3api"
)

// doorman is a KeyService that notes for whom it is asked.
type doorman struct {
	object.KeyService
	mu   sync.Mutex
	seen []caller.Caller
}

func (d *doorman) note(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	who, _ := caller.From(ctx)
	d.seen = append(d.seen, who)
}

// take gives the callers since the last time.
func (d *doorman) take() []caller.Caller {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.seen
	d.seen = nil
	return seen
}

func (d *doorman) GenerateKEK(ctx context.Context, mode cipher.Mode, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	d.note(ctx)
	return d.KeyService.GenerateKEK(ctx, mode, keyID, keyContext)
}

func (d *doorman) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	d.note(ctx)
	return d.KeyService.Unwrap(ctx, w, keyContext)
}

func startDoorman(t *testing.T) (*server, *doorman) {
	t.Helper()
	d := &doorman{}
	store := objecttest.New().Open(t, func(o *object.Options) {
		d.KeyService = o.Keys
		o.Keys = d
	})
	return startOver(t, store, func(o *s3api.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/64")}
	}), d
}

// TestCaller follows who asks from the request to the key service.
func TestCaller(t *testing.T) {
	t.Parallel()
	s, d := startDoorman(t)
	a := s.must(request{method: "PUT", target: "/bucket", header: fields{"User-Agent": "agent/1", "X-Coffer-Audit-Ticket": " T-1 ", "x-coffer-audit-app": "ä"}})
	seen := d.take()
	if len(seen) != 1 || !strings.HasPrefix(seen[0].Source, "127.0.0.1:") {
		t.Fatalf("seen %+v", seen)
	}
	seen[0].Source = ""
	want := []caller.Caller{{
		Principal: testAccessKey, UserAgent: "agent/1", RequestID: a.header.Get("x-amz-request-id"),
		Pairs: []caller.Pair{{Name: "ticket", Value: "T-1"}, {Name: "app", Value: "ä"}},
	}}
	if diff := cmp.Diff(want, seen, anyOrder()); diff != "" {
		t.Errorf("caller (-want +got):\n%s", diff)
	}

	s.must(request{method: "PUT", target: "/bucket/key", body: []byte("x")})
	s.must(request{method: "PUT", target: "/bucket/unproven", body: []byte("x"), hash: "none"})
	s.must(request{method: "GET", target: "/bucket/key"})
	for i, principal := range []string{testAccessKey, caller.Unproven + testAccessKey, testAccessKey} {
		if seen := d.seen[i]; seen.Principal != principal || seen.Pairs != nil {
			t.Errorf("use %d is for %+v, want %s", i, seen, principal)
		}
	}
}

// anyOrder compares pairs in whatever order a client has sent them.
func anyOrder() cmp.Option {
	return cmp.Transformer("byName", func(pairs []caller.Pair) map[string]string {
		m := map[string]string{}
		for _, p := range pairs {
			m[p.Name] = p.Value
		}
		return m
	})
}

// TestBadPairs refuses pairs before anything is done.
func TestBadPairs(t *testing.T) {
	t.Parallel()
	s, d := startDoorman(t)
	nine := fields{}
	for _, name := range strings.Split("a b c d e f g h i", " ") {
		nine[caller.HeaderPrefix+name] = "v"
	}
	for name, header := range map[string]fields{
		"nine":       nine,
		"no name":    {caller.HeaderPrefix: "v"},
		"odd name":   {caller.HeaderPrefix + "a!": "v"},
		"long name":  {caller.HeaderPrefix + strings.Repeat("n", 65): "v"},
		"long value": {caller.HeaderPrefix + "n": strings.Repeat("v", 257)},
		"not UTF-8":  {caller.HeaderPrefix + "n": "\xff"},
	} {
		for _, hash := range []string{"", "none"} {
			a := s.do(request{method: "PUT", target: "/bucket", header: header, hash: hash})
			if doc := a.err(t); a.status != 400 || doc.Code != "InvalidArgument" || !strings.Contains(doc.Message, caller.HeaderPrefix) {
				t.Errorf("%s: status %d, %+v", name, a.status, doc)
			}
		}
		if a := s.do(request{method: "PUT", target: "/bucket", header: header, secret: "wrong"}); a.status != 403 {
			t.Errorf("%s: a stranger is told more than that he is one: %d", name, a.status)
		}
	}
	req := s.build(request{method: "PUT", target: "/bucket"})
	req.Header["X-Coffer-Audit-Twice"] = []string{"1", "2"}
	wantError(t, s.send(req), 400, "InvalidArgument")
	if seen := d.take(); len(seen) != 0 {
		t.Errorf("keys were used for %+v", seen)
	}
	eight := nine
	delete(eight, caller.HeaderPrefix+"i")
	s.must(request{method: "PUT", target: "/bucket", header: eight})
}

// TestSource believes proxies that are trusted, and nobody else.
func TestSource(t *testing.T) {
	t.Parallel()
	s, d := startDoorman(t)
	s.bucket("bucket")
	s.put("/bucket/key", "x")
	d.take()
	for _, tc := range []struct{ name, peer, forwarded, want string }{
		{"a client", "198.51.100.1", "", "198.51.100.1:40000"},
		{"a client that lies", "198.51.100.1", "203.0.113.9", "198.51.100.1:40000"},
		{"a proxy that says nothing", "192.0.2.7", "", "192.0.2.7:40000"},
		{"a proxy", "192.0.2.7", "203.0.113.9", "203.0.113.9"},
		{"a client that lies to a proxy", "192.0.2.7", "10.0.0.1, 203.0.113.9", "203.0.113.9"},
		{"two proxies", "192.0.2.7", "10.0.0.1,203.0.113.9, 2001:db8::5", "203.0.113.9"},
		{"with ports", "192.0.2.7", "203.0.113.9:7, [2001:db8::5]:8", "203.0.113.9"},
		{"in brackets", "192.0.2.7", "[2001:db8:1::9]", "2001:db8:1::9"},
		{"no address", "192.0.2.7", "unknown", "192.0.2.7"},
		{"no address before a proxy", "192.0.2.7", "unknown, 2001:db8::5", "2001:db8::5"},
		{"proxies only", "192.0.2.7", "2001:db8::6, 2001:db8::5", "2001:db8::6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			from := s.seenFrom(t, tc.peer)
			header := fields{}
			if tc.forwarded != "" {
				header["X-Forwarded-For"] = tc.forwarded
			}
			from.must(request{method: "GET", target: "/bucket/key", header: header})
			if seen := d.take(); len(seen) != 1 || seen[0].Source != tc.want {
				t.Errorf("seen %+v, want %s", seen, tc.want)
			}
		})
	}
}
