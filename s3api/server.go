package s3api

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"coffer/object"
	"coffer/s3api/s3xml"
	"coffer/s3api/sigv4"
)

// ErrClosed is what Serve returns when Shutdown has been called before.
var ErrClosed = errors.New("s3api: server is closed")

// Server serves S3 on any number of listeners.
type Server struct {
	opts     Options
	store    *object.Store
	verifier *sigv4.Verifier
	domains  domains
	owner    s3xml.Owner
	hostID   string // x-amz-id-2 of this process
	tls      *tls.Config
	http     *fasthttp.Server
	log      *slog.Logger
	slots    chan struct{} // requests being served

	base   context.Context // of every request
	cancel context.CancelFunc

	draining atomic.Bool
	mu       sync.Mutex // guards the fields below; no other lock is taken under it
	lns      map[net.Listener]struct{}
	conns    map[*conn]struct{}
	wg       sync.WaitGroup // one for each connection
}

// New makes a server. It does not listen: give Serve a listener.
func New(o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	tlsConfig, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:     o,
		store:    o.Store,
		verifier: sigv4.New(o.Secrets, sigv4.Options{Region: o.Region, Now: o.Now}),
		domains:  newDomains(o.Domains),
		owner:    s3xml.Owner{ID: o.Owner.ID, DisplayName: o.Owner.DisplayName},
		hostID:   base64.StdEncoding.EncodeToString([]byte(rand.Text())),
		tls:      tlsConfig,
		log:      o.Logger,
		slots:    make(chan struct{}, o.MaxRequests),
		lns:      map[net.Listener]struct{}{},
		conns:    map[*conn]struct{}{},
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.http = s.newHTTP()
	return s, nil
}

// newHTTP sets fasthttp up. It only ever serves connections that this server accepted.
//
// MaxRequestBodySize does not limit anything when bodies stream: it is how much of a body is read before the handler
// runs, and that has to be as little as possible, because the signature is not verified yet.
func (s *Server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.handleBroken,
		HeaderReceived:               s.headerReceived,
		ExpectHandler:                s.handleExpect,
		ConnState:                    connState,
		Name:                         s.opts.ServerName,
		Concurrency:                  s.opts.MaxConnections,
		ReadBufferSize:               maxHeaderBytes,
		ReadTimeout:                  s.opts.HeaderTimeout,
		IdleTimeout:                  s.opts.IdleTimeout,
		MaxRequestBodySize:           1,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		Logger:                       discardLogger{},
	}
}

// discardLogger drops fasthttp's own lines: they quote what clients sent.
type discardLogger struct{}

func (discardLogger) Printf(string, ...any) {}

// connState notes what a connection does, for Shutdown.
func connState(nc net.Conn, state fasthttp.ConnState) {
	c := connOf(nc)
	if c == nil {
		return
	}
	switch state {
	case fasthttp.StateActive:
		c.idle.Store(false)
		c.requests.Store(true)
	case fasthttp.StateIdle:
		c.idle.Store(true)
	}
}

// Serve accepts connections until Shutdown, and then returns nil. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	if !s.addListener(ln) {
		_ = ln.Close()
		return ErrClosed
	}
	defer s.dropListener(ln)
	for pause := time.Duration(0); ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.serveConn(nc)
		case s.draining.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("s3api: accept: %w", err)
		default: // no file descriptors left, most likely
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Warn("accept failed, trying again", "error", err, "pause", pause)
			time.Sleep(pause)
		}
	}
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.lns[ln] = struct{}{}
	return true
}

func (s *Server) dropListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lns, ln)
	_ = ln.Close() // closed already when Shutdown did it
}

// CutTransfers ends the connections on which object data moves, or waits to be moved: the engine has revoked the keys.
func (s *Server) CutTransfers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.transfer.Load() {
			c.kill()
		}
	}
}

// Load is what a server is doing.
type Load struct {
	Requests    int // being served
	Connections int // open
}

// Load tells what the server is doing.
func (s *Server) Load() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Load{Requests: len(s.slots), Connections: len(s.conns)}
}

// serveConn serves one connection on a goroutine of its own.
func (s *Server) serveConn(raw net.Conn) {
	c := &conn{Conn: raw, raw: raw, stall: s.opts.StallTimeout, accepted: time.Now()}
	var served net.Conn = c
	if s.tls != nil {
		secured := tls.Server(raw, s.tls)
		c.Conn = secured
		served = secureConn{conn: c, tls: secured}
	}
	if !s.addConn(c) {
		c.kill()
		return
	}
	go func() {
		defer s.wg.Done()
		defer s.dropConn(c)
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("connection failed", "panic", p, "stack", string(debug.Stack()))
				c.kill()
			}
		}()
		if err := s.http.ServeConn(served); err != nil {
			s.log.Debug("connection ended", "kind", fmt.Sprintf("%T", err)) // its text may quote the request
		}
	}()
}

func (s *Server) addConn(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) dropConn(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Shutdown stops accepting, lets requests under way finish, and returns when the last connection is closed. When ctx
// ends first it cancels what is left, closes its connections, waits for their goroutines and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.startDraining()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	defer s.cancel()
	for {
		s.closeIdle()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			s.cancel()
			s.killAll()
			<-done
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *Server) startDraining() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	for ln := range s.lns {
		_ = ln.Close() // Serve sees it
	}
}

// newConnGrace is how long a connection may take to send its first request once the server drains.
const newConnGrace = time.Second

func (s *Server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.idle.Load() || !c.requests.Load() && time.Since(c.accepted) > newConnGrace {
			c.hangUp()
		}
	}
}

func (s *Server) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.kill()
	}
}
