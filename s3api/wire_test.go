package s3api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"
)

// wire is a signed request as bytes; framing and body can then be anything.
func (s *server) wire(r request, framing string) []byte {
	s.t.Helper()
	req := s.build(r)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, req.Host)
	var names []string
	for name := range req.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range req.Header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	b.WriteString(framing)
	b.WriteString("\r\n")
	return b.Bytes()
}

// rawConn is a connection on which a test writes what it likes.
type rawConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *server) dial() *rawConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return &rawConn{t: s.t, Conn: c, r: bufio.NewReader(c)}
}

func (c *rawConn) write(p []byte) {
	c.t.Helper()
	if _, err := c.Write(p); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// closeWrite ends the sending side.
func (c *rawConn) closeWrite() {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// read reads one answer.
func (c *rawConn) read(method string) *answer {
	c.t.Helper()
	a, err := c.tryRead(method)
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	return a
}

func (c *rawConn) tryRead(method string) (*answer, error) {
	req, err := http.NewRequest(method, "/", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.r, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &answer{status: resp.StatusCode, header: resp.Header, body: body, closes: resp.Close}, err
}

// rest reads whatever comes until the connection ends.
func (c *rawConn) rest() string {
	b, _ := io.ReadAll(c.r) // a reset is an end as well
	return string(b)
}

func chunkedBody(body []byte, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}
