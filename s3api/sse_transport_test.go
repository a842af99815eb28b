package s3api_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"coffer/s3api"
)

// afar lets the connections of a listener look as if they came from another machine.
type afar struct {
	net.Listener
	peer string
}

type afarConn struct {
	net.Conn
	peer net.Addr
}

func (c afarConn) RemoteAddr() net.Addr { return c.peer }

func (l afar) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return afarConn{c, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(l.peer), 40_000))}, nil
}

// seenFrom lets the server serve a second port, whose clients seem to be at an address.
func (s *server) seenFrom(t *testing.T, peer string) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.api.Serve(afar{ln, peer}) //nolint:errcheck // ends with Shutdown, which the test's end checks
	other := s.in(t)
	other.addr = ln.Addr().String()
	return other
}

// TestClientKeysNeedPrivacy: a client's key is taken where nobody on the way could read it, and nowhere else.
func TestClientKeysNeedPrivacy(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *s3api.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/64")}
	})
	s.bucket("bucket")
	s.put("/bucket/plain", "x")
	c := customer(sseCustomer, 'k')
	s.must(request{method: "PUT", target: "/bucket/client", header: c})
	up := s.begin("/bucket/upload", c)
	for _, tc := range []struct {
		name, peer, proto string
		private           bool
	}{
		{"this machine", "127.0.0.1", "", true},
		{"this machine by IPv6", "::1", "", true},
		{"this machine by IPv4 in IPv6", "::ffff:127.0.0.1", "", true},
		{"proxy here for TLS", "127.0.0.1", "https", true},
		{"proxy here for plain", "127.0.0.1", "http", false},
		{"another machine", "192.0.2.8", "", false},
		{"another machine that says TLS", "192.0.2.8", "https", false},
		{"trusted", "192.0.2.7", "https", true},
		{"trusted, by IPv4 in IPv6", "::ffff:192.0.2.7", "HTTPS", true},
		{"trusted network", "2001:db8::5", "https", true},
		{"beside the trusted network", "2001:db8:1::5", "https", false},
		{"trusted, says plain", "192.0.2.7", "http", false},
		{"trusted, says nothing", "192.0.2.7", "", false},
		{"trusted, two hops", "192.0.2.7", "https, https", true},
		{"trusted, plain before TLS", "192.0.2.7", "http, https", false},
		{"trusted, plain behind TLS", "192.0.2.7", "https,http", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := s.seenFrom(t, tc.peer)
			forwarded := fields{}
			if tc.proto != "" {
				forwarded["X-Forwarded-Proto"] = tc.proto
			}
			from := customer(sseSource, 'k')
			for _, r := range []request{
				{method: "PUT", target: "/bucket/" + escape(tc.name), header: c},
				{method: "GET", target: "/bucket/client", header: c},
				{method: "GET", target: "/bucket/client?attributes=", header: join(c, fields{"x-amz-object-attributes": "ETag"})},
				{method: "POST", target: "/bucket/" + escape(tc.name) + "?uploads=", header: c},
				{method: "PUT", target: "/bucket/upload?partNumber=1&uploadId=" + up, header: c},
				{method: "GET", target: "/bucket/upload?uploadId=" + up, header: c},
				{method: "PUT", target: "/bucket/copy-" + escape(tc.name), header: join(from, fields{"x-amz-copy-source": "bucket/client"})},
				{method: "PUT", target: "/bucket/upload?partNumber=2&uploadId=" + up, header: join(c, from, fields{"x-amz-copy-source": "bucket/client"})},
			} {
				r.header = join(r.header, forwarded)
				if a := s.do(r); tc.private && a.status != 200 {
					t.Errorf("%s %s: %d %s", r.method, r.target, a.status, a.body)
				} else if !tc.private {
					wantError(t, a, 400, "InvalidRequest")
				}
			}
			s.must(request{method: "GET", target: "/bucket/plain", header: forwarded})
		})
	}
}

// TestClientKeysOverTLS: TLS to this server is enough, whoever comes, and whatever the client says about it.
func TestClientKeysOverTLS(t *testing.T) {
	t.Parallel()
	cert, key, roots := certificate(t)
	s := start(t, func(o *s3api.Options) { o.TLSCertFile, o.TLSKeyFile = cert, key })
	s.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	remote := s.seenFrom(t, "192.0.2.8")
	send := func(r request) *answer {
		req := remote.build(r)
		req.URL.Scheme = "https"
		return remote.send(req)
	}
	send(request{method: "PUT", target: "/bucket"})
	a := send(request{method: "PUT", target: "/bucket/key", body: []byte("x"), header: join(customer(sseCustomer, 'k'), fields{"X-Forwarded-Proto": "http"})})
	if a.status != 200 {
		t.Errorf("over TLS: %d %s", a.status, a.body)
	}
}
