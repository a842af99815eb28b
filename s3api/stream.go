package s3api

import (
	"fmt"
	"io"

	"coffer/object"
)

// download is an object on its way to a client, as fasthttp sees it: read after the handler has returned, and closed
// at the end, whatever happens. The version stays pinned until then.
//
// An error after the status line cannot be told any more. The connection is reset, so that nobody takes the part that
// arrived for the whole.
type download struct {
	src    *object.Reader
	conn   *conn
	length int64
	sent   int64
	err    error
	after  []func()
	closed bool
}

// onClose adds what is to happen when the answer has been sent; in the order added.
func (d *download) onClose(fn func()) { d.after = append(d.after, fn) }

// WriteTo is what fasthttp calls; it copies from the engine's buffers straight to the connection.
func (d *download) WriteTo(w io.Writer) (int64, error) {
	n, err := d.src.WriteTo(w)
	d.sent += n
	return n, d.note(err)
}

// Read serves fasthttp where it does not use WriteTo.
func (d *download) Read(p []byte) (int, error) {
	n, err := d.src.Read(p)
	d.sent += int64(n)
	switch err {
	case nil:
		return n, nil
	case io.EOF:
		if err = d.note(nil); err == nil {
			err = io.EOF
		}
		return n, err
	default:
		return n, d.note(err)
	}
}

// note records the first error and condemns the connection. The end of the source too early is one.
func (d *download) note(err error) error {
	if err == nil && d.sent != d.length {
		err = fmt.Errorf("sent %d of %d bytes: %w", d.sent, d.length, io.ErrUnexpectedEOF)
	}
	if err != nil {
		if d.err == nil {
			d.err = err
		}
		if d.conn != nil {
			d.conn.abort.Store(true)
		}
	}
	return err
}

// Close releases the version.
func (d *download) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	err := d.src.Close()
	for _, fn := range d.after {
		fn()
	}
	return err
}
