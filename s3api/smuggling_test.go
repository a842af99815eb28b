package s3api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestUnreadBodyIsNeverTheNextRequest sends refused requests whose body is itself a signed request that would create
// an object. The server must not serve it, whatever the refusal, the framing and the length.
func TestUnreadBodyIsNeverTheNextRequest(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/exists", "x")
	refusals := []struct {
		name   string
		status int
		req    request
	}{
		{"403", 403, request{method: "PUT", target: "/bucket/k", secret: "wrong"}},
		{"403 anonymous", 403, request{method: "PUT", target: "/bucket/k", anonymous: true}},
		{"404", 404, request{method: "PUT", target: "/missing/k", hash: "UNSIGNED-PAYLOAD"}},
		{"412", 412, request{method: "PUT", target: "/bucket/exists", hash: "UNSIGNED-PAYLOAD", header: map[string]string{"If-None-Match": "*"}}},
		{"405", 405, request{method: "PUT", target: "/", hash: "UNSIGNED-PAYLOAD"}},
		{"501", 501, request{method: "PUT", target: "/bucket/k?tagging=", hash: "UNSIGNED-PAYLOAD"}},
		{"GET with a body", 200, request{method: "GET", target: "/bucket/exists", hash: "UNSIGNED-PAYLOAD"}},
		{"GET 404 with a body", 404, request{method: "GET", target: "/bucket/none", hash: "UNSIGNED-PAYLOAD"}},
		{"DELETE with a body", 204, request{method: "DELETE", target: "/bucket/none", hash: "UNSIGNED-PAYLOAD"}},
		{"HEAD with a body", 200, request{method: "HEAD", target: "/bucket", hash: "UNSIGNED-PAYLOAD"}},
		{"health with a body", 200, request{method: "GET", target: "/health/live", anonymous: true}},
	}
	for _, refusal := range refusals {
		for _, size := range []int{1, 1 << 10, 100 << 10, 300 << 10, 2 << 20} {
			for _, framing := range []string{"fixed", "chunked"} {
				t.Run(fmt.Sprintf("%s/%s/%d", refusal.name, framing, size), func(t *testing.T) {
					t.Parallel()
					smuggle(t, s.in(t), refusal.req, refusal.status, framing, size)
				})
			}
		}
	}
}

// smuggle sends req with a body that begins with a filler and then repeats a whole request for another key.
func smuggle(t *testing.T, s *server, req request, status int, framing string, size int) {
	victim := "/bucket/smuggled-" + fmt.Sprint(time.Now().UnixNano())
	hidden := s.wire(request{method: "PUT", target: victim}, "Content-Length: 0\r\n")
	body := bytes.Repeat(hidden, size/len(hidden)+1)
	head, sent := "", string(body)
	if framing == "fixed" {
		head = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	} else {
		if status == 404 && req.method == "PUT" || status == 412 {
			status = 501 // a plain chunked body is refused before the bucket is looked at
		}
		head, sent = "Transfer-Encoding: chunked\r\n", chunkedBody(body, 8000)
	}
	c := s.dial()
	c.write(append(s.wire(req, head), sent...))
	first := c.read(req.method)
	if first.status != status {
		t.Fatalf("status %d, want %d\n%s", first.status, status, first.body)
	}
	if !first.closes {
		// The connection lives: the next request on it must be ours.
		c.write(s.wire(request{method: "GET", target: "/bucket/exists"}, ""))
		if next := c.read("GET"); next.status != 200 || string(next.body) != "x" {
			t.Fatalf("next answer on the connection: %d %q", next.status, next.body)
		}
	} else if more := c.rest(); more != "" {
		t.Fatalf("more after Connection: close: %q", more)
	}
	if len(body) > 256<<10 && !first.closes {
		t.Error("connection survived a large unread body")
	}
	if a := s.do(request{method: "HEAD", target: victim}); a.status != 404 {
		t.Fatalf("smuggled request was served: HEAD answers %d", a.status)
	}
}

// TestTooLargeIsRefusedUnread declares more than an object may have, and sends requests behind it.
func TestTooLargeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	for _, tc := range []struct {
		name    string
		header  map[string]string
		hash    string
		framing string
	}{
		{"fixed", nil, "UNSIGNED-PAYLOAD", "Content-Length: 5368709121\r\n"},
		{"chunked", map[string]string{"x-amz-decoded-content-length": "5368709121"},
			"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Transfer-Encoding: chunked\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			c := s.dial()
			victim := "/bucket/after-" + tc.name
			hidden := s.wire(request{method: "PUT", target: victim}, "Content-Length: 0\r\n")
			head := s.wire(request{method: "PUT", target: "/bucket/k", hash: tc.hash, header: tc.header}, tc.framing)
			c.write(append(head, bytes.Repeat(hidden, 3)...))
			a := c.read("PUT")
			wantError(t, a, 400, "EntityTooLarge")
			if !a.closes {
				t.Error("connection stays open")
			}
			if more := c.rest(); more != "" {
				t.Errorf("more: %q", more)
			}
			if a := s.do(request{method: "HEAD", target: victim}); a.status != 404 {
				t.Errorf("smuggled request was served: %d", a.status)
			}
		})
	}
}

func TestAmbiguousFramingIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	hidden := s.wire(request{method: "PUT", target: "/bucket/hidden"}, "Content-Length: 0\r\n")
	for name, framing := range map[string]string{
		"length then chunked": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"chunked then length": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"two lengths":         "Content-Length: 5\r\nContent-Length: 0\r\n",
		"chunked twice":       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"other coding":        "Transfer-Encoding: gzip, chunked\r\n",
		"signed length":       "Content-Length: +0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			c := s.dial()
			c.write(append(s.wire(request{method: "PUT", target: "/bucket/k", hash: "UNSIGNED-PAYLOAD"}, framing), "0\r\n\r\n"...))
			c.write(hidden)
			a := c.read("PUT")
			wantError(t, a, 400, "BadRequest")
			if more := c.rest(); more != "" {
				t.Errorf("more: %q", more)
			}
			if a := s.do(request{method: "HEAD", target: "/bucket/hidden"}); a.status != 404 {
				t.Errorf("smuggled request was served: %d", a.status)
			}
		})
	}
}

// TestRefusalIsSeenBySlowReader sends a body that is much larger than what is drained before it looks for the answer:
// without a linger the kernel would reset the connection and the answer would be lost.
func TestRefusalIsSeenBySlowReader(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial()
	body := bytes.Repeat([]byte("x"), 8<<20)
	c.write(s.wire(request{method: "PUT", target: "/bucket/k", secret: "wrong"}, fmt.Sprintf("Content-Length: %d\r\n", len(body))))
	for off := 0; off < len(body); off += 64 << 10 {
		if _, err := c.Write(body[off : off+64<<10]); err != nil {
			t.Fatalf("write at %d: %v", off, err)
		}
	}
	wantError(t, c.read("PUT"), http.StatusForbidden, "SignatureDoesNotMatch")
}

// TestKeepAliveAfterDrainedBody checks that small refusals do not cost a connection.
func TestKeepAliveAfterDrainedBody(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	c := s.dial()
	for range 3 {
		body := bytes.Repeat([]byte("y"), 200<<10)
		c.write(append(s.wire(request{method: "PUT", target: "/missing/k", hash: "UNSIGNED-PAYLOAD"},
			fmt.Sprintf("Content-Length: %d\r\n", len(body))), body...))
		a := c.read("PUT")
		wantError(t, a, 404, "NoSuchBucket")
		if a.closes {
			t.Fatal("the connection closes")
		}
	}
}
