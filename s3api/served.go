package s3api

import (
	"time"

	"coffer/s3api/s3err"
)

// Served is a request that was answered. It names neither bucket nor key.
type Served struct {
	Operation string // as in the S3 API Reference; "none" for what is none
	Status    int
	Code      s3err.Code    // of an error, else ""
	Took      time.Duration // to the end of the answer
	Received  int64         // bytes of the body
	Sent      int64         // bytes of the answer's body
	Aborted   bool          // the answer was cut off
}

// observe tells Options.Observe.
func (s *Server) observe(c *call) {
	served := Served{
		Operation: "none", Status: c.resp.StatusCode(), Code: c.code, Took: s.opts.Now().Sub(c.began), Received: c.body.read,
	}
	if c.route != nil {
		served.Operation = c.route.op
	}
	switch {
	case c.stream != nil:
		served.Sent, served.Aborted = c.stream.sent, c.stream.err != nil
	case c.method != "HEAD":
		served.Sent = int64(len(c.resp.Body()))
	}
	s.opts.Observe(served)
}
