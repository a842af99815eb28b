package object

import (
	"context"
	"io"
)

// Reader streams the selected bytes of one version, which stays readable until Close, whatever happens to its name.
// It belongs to one goroutine. A read error means that stored bytes do not authenticate or cannot be read: what came
// before is right, and nothing wrong was handed out.
type Reader struct {
	ctx       context.Context // of the request, as with http.Request.Body
	selection Selection
	body      *bodyReader // nil when nothing is selected
	unpin     func()

	off  int64 // next byte to decrypt
	end  int64
	unit *unit  // decrypted and being read
	rest []byte // of unit
	err  error
}

// Selection describes what is read.
func (r *Reader) Selection() Selection { return r.selection }

// Read reads the next bytes.
func (r *Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next decrypts the next unit in place of the one that has been read.
func (r *Reader) next() error {
	if r.err != nil {
		return r.err
	}
	if r.off == r.end {
		return io.EOF
	}
	if r.unit == nil {
		r.unit = r.body.store.units.take(r.end - r.off)
	}
	if r.err = r.fill(r.unit); r.err != nil {
		return r.err
	}
	r.rest = r.unit.bytes
	return nil
}

// fill decrypts the next bytes into a unit.
func (r *Reader) fill(u *unit) error {
	n := min(int64(cap(u.bytes)), r.end-r.off)
	u.bytes = u.bytes[:n]
	if err := r.body.readAt(r.ctx, u.bytes, r.off); err != nil {
		return r.body.store.wrap("get", r.selection.Info.Bucket, r.selection.Info.Key, err)
	}
	r.off += n
	return nil
}

// WriteTo writes everything that is left to w; the next unit is decrypted while one is written.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.rest)
	written := int64(n)
	r.rest = r.rest[n:]
	if err != nil || r.off == r.end {
		return written, err
	}
	ahead := make(chan *unit, 1)
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(ahead)
		failed <- r.readAhead(ahead, stop)
	}()
	for u := range ahead {
		if err == nil {
			n, err = w.Write(u.bytes)
			written += int64(n)
			if err != nil {
				close(stop)
			}
		}
		r.body.store.units.put(u)
	}
	if readErr := <-failed; err == nil {
		err, r.err = readErr, readErr
	}
	return written, err
}

// readAhead decrypts unit after unit until the end or until stop is closed.
func (r *Reader) readAhead(to chan<- *unit, stop <-chan struct{}) error {
	for r.off < r.end {
		u := r.body.store.units.take(-1)
		if err := r.fill(u); err != nil {
			r.body.store.units.put(u)
			return err
		}
		select {
		case to <- u:
		case <-stop:
			r.body.store.units.put(u)
			return nil
		}
	}
	return nil
}

// Close releases the version and wipes its keys. A second call does nothing.
func (r *Reader) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body, r.off, r.rest = nil, r.end, nil
	if r.unit != nil {
		body.store.units.put(r.unit)
		r.unit = nil
	}
	r.unpin()
	return body.close()
}
