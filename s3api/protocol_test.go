package s3api_test

import (
	"bytes"
	"strings"
	"testing"
)

// TestProtocolVersions: HTTP/1.0, and several requests in one write.
func TestProtocolVersions(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "hello")
	old := s.dial()
	old.write(bytes.Replace(s.wire(request{method: "GET", target: "/bucket/key"}, ""), []byte("HTTP/1.1"), []byte("HTTP/1.0"), 1))
	if a := old.read("GET"); a.status != 200 || string(a.body) != "hello" || !a.closes {
		t.Errorf("HTTP/1.0: %d %q closes %v", a.status, a.body, a.closes)
	}
	c := s.dial()
	put := append(s.wire(request{method: "PUT", target: "/bucket/piped", body: []byte("piped")}, "Content-Length: 5\r\n"), "piped"...)
	get := s.wire(request{method: "GET", target: "/bucket/piped"}, "")
	c.write(append(append(put, get...), get...))
	if a := c.read("PUT"); a.status != 200 {
		t.Errorf("piped put: %d %s", a.status, a.body)
	}
	for range 2 {
		if a := c.read("GET"); a.status != 200 || string(a.body) != "piped" {
			t.Errorf("piped get: %d %q", a.status, a.body)
		}
	}
}

// TestGarbage: what is not a request is refused with a document, and the connection closed.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, in := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET\r\n\r\n", "GET / HTTP/9\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
		"GET x HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c := s.dial()
		c.write([]byte(in))
		c.closeWrite()
		a, err := c.tryRead("GET")
		if err != nil {
			if !strings.HasPrefix(in, "\x16") {
				t.Errorf("%q: %v", in, err)
			}
			continue
		}
		if doc := a.err(t); a.status != 400 || doc.Code != "BadRequest" && doc.Code != "InvalidURI" {
			t.Errorf("%q: %d %s", in, a.status, doc.Code)
		}
	}
}
