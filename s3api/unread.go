package s3api

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"coffer/s3api/s3err"
)

// Bounds of what is read of a body that nobody wants, so that its connection can be used again.
const (
	maxDrainBytes = 256 << 10
	maxDrainTime  = 2 * time.Second
)

// requestBody is the body of a request as it stands on the wire, without its transfer coding. It knows whether it has
// been read to its true end, which decides what may happen to the connection.
type requestBody struct {
	stream io.Reader // fasthttp's; nil when there is no body
	conn   *conn
	length int64 // declared, or -1 when chunked
	read   int64
	ended  bool  // read to its true end: the next byte on the wire is a new request
	err    error // final
}

func newRequestBody(fh *fasthttp.RequestCtx, c *call) *requestBody {
	b := &requestBody{stream: fh.RequestBodyStream(), conn: c.conn, length: int64(fh.Request.Header.ContentLength())}
	switch {
	case fh.Request.MayContinue() && b.stream == nil: // not asked for yet
	case b.stream == nil || b.length == 0:
		b.ended = true
	}
	return b
}

// none reports whether the request has no body at all.
func (b *requestBody) none() bool { return b.ended && b.read == 0 }

// poison makes sure that the connection is not used again.
func (b *requestBody) poison() {
	b.ended = false
	b.err = s3err.New(s3err.BadRequest)
}

// Read gives io.EOF at the true end only. fasthttp gives it as well when the client has gone: for a declared length
// that is found by counting, for a chunked body by whether the connection has ended, because its own reader stops
// exactly behind the last chunk.
func (b *requestBody) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.ended || b.stream == nil:
		return 0, io.EOF
	}
	n, err := b.stream.Read(p)
	b.read += int64(n)
	if err != nil {
		b.end(err)
		err = io.EOF
		if b.err != nil {
			err = b.err
		}
	}
	return n, err
}

func (b *requestBody) end(err error) {
	var timeout net.Error
	switch {
	case err == io.EOF && b.complete():
		b.ended = true
	case errors.As(err, &timeout) && timeout.Timeout():
		b.err = s3err.Wrap(s3err.RequestTimeout, err)
	default:
		b.err = s3err.Wrap(s3err.IncompleteBody, errBodyCut)
	}
}

var errBodyCut = errors.New("the request body ended early or was not well-formed")

func (b *requestBody) complete() bool {
	if b.length >= 0 {
		return b.read == b.length
	}
	return b.conn == nil || !b.conn.ended
}

// settle is the one place that decides what becomes of a connection, and every answer passes it before it is
// rendered: fasthttp takes what is left of a body for the next request. Either the rest is small and is drained, or
// the connection closes behind the answer.
func (s *Server) settle(fh *fasthttp.RequestCtx, c *call) {
	if !c.body.drain() {
		fh.SetConnectionClose()
		if c.conn != nil {
			c.conn.linger.Store(true)
		}
	}
	if s.draining.Load() {
		fh.SetConnectionClose()
	}
}

// drain reads a bounded rest, and reports whether the body's true end has been reached.
func (b *requestBody) drain() bool {
	switch {
	case b.ended:
		return true
	case b.err != nil, b.stream == nil, b.length >= 0 && b.length-b.read > maxDrainBytes:
		return false
	}
	if b.conn != nil {
		b.conn.boundReads(maxDrainTime)
	}
	_, _ = io.CopyN(io.Discard, b, maxDrainBytes+1) // what counts is whether it came to the end
	return b.ended
}
