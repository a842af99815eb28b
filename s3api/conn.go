package s3api

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
	writePiece  = 64 << 10 // bytes that must move within one stall timeout
)

// conn is a client's connection with the deadlines that fasthttp does not have: one that each read or write of a body
// renews, so that long transfers live as long as they move, and a way of closing for each end of a request.
//
// Its methods are called by the connection's own goroutine, except kill and Close, which Shutdown calls too.
type conn struct {
	net.Conn // what fasthttp reads and writes: raw, or TLS over it
	raw      net.Conn
	stall    time.Duration
	accepted time.Time

	idle     atomic.Bool // between requests
	transfer atomic.Bool // carries object data, and so holds a DataKey
	requests atomic.Bool // has begun one

	rolling bool        // each read renews the deadline
	ended   bool        // a read reported the end of input
	linger  atomic.Bool // the client may still be sending: close with patience
	abort   atomic.Bool // an answer was cut short: reset instead of a clean end
	closed  atomic.Bool
}

// secureConn is a conn over TLS, which fasthttp recognises by these two methods.
type secureConn struct {
	*conn
	tls *tls.Conn
}

func (c secureConn) Handshake() error                     { return c.tls.Handshake() }
func (c secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// connOf gives the conn behind what fasthttp holds, nil when it is another kind.
func connOf(c net.Conn) *conn {
	switch c := c.(type) {
	case *conn:
		return c
	case secureConn:
		return c.conn
	default:
		return nil
	}
}

// Read reports the end of input only in a read that gives no bytes, so that ended means: more was wanted and there
// was none.
func (c *conn) Read(p []byte) (int, error) {
	if c.rolling {
		if err := c.Conn.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	if err == io.EOF {
		if n > 0 {
			return n, nil
		}
		c.ended = true
	}
	return n, err
}

// SetReadDeadline ends the reading of a body: fasthttp calls it before each request.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.rolling = false
	return c.Conn.SetReadDeadline(t)
}

// Write renews the deadline for each piece, so that it bounds the pause and not the whole.
func (c *conn) Write(p []byte) (int, error) {
	written := 0
	for {
		piece := p[written:min(len(p), written+writePiece)]
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(piece)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// rollReads lets each read from now on renew the deadline.
func (c *conn) rollReads() { c.rolling = true }

// boundReads lets all reads from now on end after d.
func (c *conn) boundReads(d time.Duration) {
	_ = c.SetReadDeadline(time.Now().Add(d)) // fails on a closed connection, as the reads will
}

// Close ends the connection as the requests on it have asked.
func (c *conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return nil
	}
	switch {
	case c.abort.Load():
		c.reset()
		return c.raw.Close()
	case c.linger.Load():
		c.finishLingering()
	}
	return c.Conn.Close()
}

// kill ends the connection at once, whatever goes on on it.
func (c *conn) kill() {
	if c.closed.CompareAndSwap(false, true) {
		c.reset()
	}
	_ = c.raw.Close() // ends a lingering Close, too; the connection's goroutine sees it
}

// hangUp ends a connection on which nothing goes on.
func (c *conn) hangUp() { _ = c.raw.Close() }

func (c *conn) reset() {
	if t, ok := c.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // best effort: a plain close follows either way
	}
}

// finishLingering tells the client that no more will come and swallows what it still sends, for a while. Without it
// the unread bytes would make the kernel reset the connection, and the client might never see the answer.
func (c *conn) finishLingering() {
	deadline := time.Now().Add(lingerTime)
	if err := c.raw.SetDeadline(deadline); err != nil {
		return
	}
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		if err := w.CloseWrite(); err != nil {
			return
		}
	}
	if w, ok := c.raw.(interface{ CloseWrite() error }); ok && c.raw != c.Conn {
		if err := w.CloseWrite(); err != nil {
			return
		}
	}
	_, _ = io.CopyN(io.Discard, c.raw, lingerBytes) // ends at the client's close or the deadline
}
