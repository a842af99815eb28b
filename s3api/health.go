package s3api

import (
	"context"
	"strings"
)

// healthRoute serves the health endpoints, which need no signature and ask no key service. Only path style has them:
// in a bucket's own host they are keys.
func healthRoute(c *call) *route {
	if c.method != "GET" && c.method != "HEAD" {
		return nil
	}
	switch path, _ := strings.CutPrefix(c.rawPath, "/minio"); {
	case c.bucket != "health" && c.bucket != "minio":
		return nil
	case path == "/health/live":
		return &route{op: "Live", open: true, handle: (*Server).live}
	case path == "/health/ready", path == "/health/cluster" && c.bucket == "minio":
		return &route{op: "Ready", open: true, handle: (*Server).ready}
	default:
		return nil
	}
}

// live says that the process serves requests.
func (s *Server) live(_ context.Context, c *call) error {
	c.empty(200)
	return nil
}

// ready says that the store can be used, and that the server is not about to stop.
func (s *Server) ready(_ context.Context, c *call) error {
	if s.draining.Load() || s.opts.Ready() != nil {
		c.empty(503)
		return nil
	}
	c.empty(200)
	return nil
}
