package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// MemoryServer is the baseline of a comparison: the HTTP server that the
// product uses, doing nothing but HTTP. It reads and discards the bodies of
// PUTs, keeping their lengths, and answers GETs from memory with what Run would
// have put there. It checks no signature and knows no buckets.
type MemoryServer struct {
	server  *fasthttp.Server
	limit   Size
	payload *payload
	mu      sync.RWMutex // guards sizes
	sizes   map[string]Size
}

// NewMemoryServer makes a server for objects of up to limit bytes.
func NewMemoryServer(limit Size) *MemoryServer {
	m := &MemoryServer{limit: limit, payload: newPayload(limit), sizes: make(map[string]Size)}
	m.server = &fasthttp.Server{
		Handler:               m.handle,
		Name:                  MemoryLabel,
		ReadTimeout:           5 * time.Minute,
		IdleTimeout:           time.Minute,
		MaxRequestBodySize:    int(limit),
		StreamRequestBody:     true,
		NoDefaultContentType:  true,
		NoDefaultServerHeader: true,
	}
	return m
}

// Serve answers requests until ctx ends and requests under way are answered. It
// closes the listener.
func (m *MemoryServer) Serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- m.server.Serve(ln) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		err = m.server.Shutdown()
		// A Shutdown that comes before fasthttp has taken the listener over does
		// not see it. Otherwise it is closed already.
		_ = ln.Close()
		err = errors.Join(err, <-served)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", MemoryLabel, err)
	}
	return nil
}

func (m *MemoryServer) handle(ctx *fasthttp.RequestCtx) {
	switch {
	case ctx.IsPut():
		m.put(ctx)
	case ctx.IsGet():
		m.get(ctx)
	default:
		ctx.SetConnectionClose()
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
	}
}

func (m *MemoryServer) put(ctx *fasthttp.RequestCtx) {
	n, err := discard(ctx.RequestBodyStream())
	if err != nil || Size(n) > m.limit {
		ctx.SetConnectionClose()
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sizes[string(ctx.Path())] = Size(n)
}

// discard reads a body to its end, which fasthttp needs before the next request.
func discard(body io.Reader) (int64, error) {
	if body == nil {
		return 0, nil
	}
	n, err := io.Copy(io.Discard, body)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("reading a body: %w", err)
	}
	return n, nil
}

func (m *MemoryServer) get(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	m.mu.RLock()
	size, found := m.sizes[path]
	m.mu.RUnlock()
	if !found {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	ctx.SetContentType("application/octet-stream")
	ctx.Response.SetBodyRaw(m.payload.body(objectKey(path), size))
}

// objectKey cuts "/bucket/" off a path.
func objectKey(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return ""
}
