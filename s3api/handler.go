package s3api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"

	"coffer/internal/caller"
	"coffer/object"
	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

// targetField carries the request target past fasthttp, which would parse and normalise it. No client can send a
// field of this name.
const targetField = ":target"

// callKey is where a call waits between the headers' check and the body, when the client waits for "100 Continue".
const callKey = "call"

// slotWait is how long a request waits for its turn when MaxRequests are being served.
const slotWait = 5 * time.Second

// headerReceived runs between headers and body. The timeout it returns is for the one byte of the body that fasthttp
// reads before the handler runs.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	h.Add(targetField, string(h.RequestURI()))
	h.SetRequestURI("/")
	switch expect := h.Peek(fasthttp.HeaderExpect); {
	case len(expect) == 0:
	case !h.IsHTTP11(): // RFC 9110 section 10.1.1: to be ignored
		h.Del(fasthttp.HeaderExpect)
	case bytes.EqualFold(expect, []byte("100-continue")):
		h.Set(fasthttp.HeaderExpect, "100-continue") // fasthttp knows this spelling only
	}
	return fasthttp.RequestConfig{ReadTimeout: s.opts.StallTimeout}
}

// begin copies the request, finds its route and verifies what can be verified without its body.
func (s *Server) begin(fh *fasthttp.RequestCtx) *call {
	fh.Response.Header.DisableNormalizing() // S3 writes ETag, not Etag
	c := newCall(fh, s.domains, s.opts.Now())
	c.resp.Header.Set("x-amz-request-id", c.id)
	c.resp.Header.Set("x-amz-id-2", s.hostID)
	if c.failure != nil {
		return c
	}
	c.route = findRoute(c)
	if !c.route.open {
		if c.failure = s.authenticate(c); c.failure == nil {
			c.failure = c.readPairs()
		}
	}
	return c
}

// handleExpect decides whether to ask for the body of a client that waits for "100 Continue": when the headers are
// authentic. fasthttp sends what it finds in the response when the answer is another status, and closes.
func (s *Server) handleExpect(fh *fasthttp.RequestCtx) int {
	c := s.begin(fh)
	if c.failure == nil {
		fh.SetUserValue(callKey, c)
		return fasthttp.StatusContinue
	}
	s.fail(c, c.failure)
	s.settle(fh, c)
	s.logRequest(c)
	return c.resp.StatusCode()
}

// handle serves one request.
func (s *Server) handle(fh *fasthttp.RequestCtx) {
	c, continued := fh.UserValue(callKey).(*call)
	if continued {
		c.body = newRequestBody(fh, c)
	} else {
		c = s.begin(fh)
	}
	if c.conn != nil {
		c.conn.rollReads()
	}
	c.beginTransfer()
	ctx, cancel := s.requestContext(c)
	s.run(caller.With(ctx, s.callerOf(c)), c)
	s.settle(fh, c)
	end := func() {
		cancel()
		c.endTransfer()
		s.logRequest(c)
	}
	if c.stream != nil {
		c.stream.onClose(end)
		return
	}
	end()
}

// beginTransfer marks the connection of a request that carries object data, until endTransfer.
func (c *call) beginTransfer() {
	if c.conn != nil && c.route != nil && c.route.transfers && !c.route.admin {
		c.conn.transfer.Store(true)
	}
}

func (c *call) endTransfer() {
	if c.conn != nil {
		c.conn.transfer.Store(false)
	}
}

// requestContext bounds a request. Transfers of object data have no deadline: they may take as long as they move.
func (s *Server) requestContext(c *call) (context.Context, context.CancelFunc) {
	if c.route == nil || c.route.transfers {
		return context.WithCancel(s.base)
	}
	return context.WithTimeout(s.base, s.opts.RequestTimeout)
}

// run lets the route's handler fill the response, or fills it with an error.
func (s *Server) run(ctx context.Context, c *call) {
	defer func() {
		if p := recover(); p != nil {
			c.body.poison()
			s.log.Error("handler failed", "request_id", c.id, "panic", p, "stack", string(debug.Stack()))
			s.fail(c, s3err.New(s3err.InternalError))
		}
	}()
	err := c.failure
	if err == nil {
		err = s.dispatch(ctx, c)
	}
	if err != nil {
		s.fail(c, c.proveOrHide(err))
	}
}

// dispatch waits for a slot and calls the handler. A streamed answer takes the slot with it.
func (s *Server) dispatch(ctx context.Context, c *call) error {
	if c.route.open {
		return c.route.handle(s, ctx, c)
	}
	if err := s.takeSlot(ctx); err != nil {
		return err
	}
	defer func() { // after a panic too
		if c.stream != nil {
			c.stream.onClose(s.freeSlot)
		} else {
			s.freeSlot()
		}
	}()
	return s.checkAndHandle(ctx, c)
}

func (s *Server) takeSlot(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(slotWait)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return s3err.New(s3err.SlowDown)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) freeSlot() { <-s.slots }

func (s *Server) checkAndHandle(ctx context.Context, c *call) error {
	if c.route.admin {
		return c.route.handle(s, ctx, c)
	}
	if reservedName(c.bucket) {
		return s3err.New(s3err.InvalidBucketName).With("BucketName", c.bucket)
	}
	if err := s.checkFields(c); err != nil {
		return err
	}
	defer c.wipeKeys()
	if err := s.readSealing(c); err != nil {
		return err
	}
	if !c.route.body {
		if err := c.proveUnwanted(); err != nil {
			return err
		}
	}
	return c.route.handle(s, ctx, c)
}

// fail fills the response with an error.
func (s *Server) fail(c *call, err error) {
	e := answerOf(err, c)
	c.code, c.cause = e.Code, err
	if c.route != nil && c.route.admin {
		s.failAdmin(c, e)
		return
	}
	c.resp.ResetBody()
	if e.Status() == fasthttp.StatusServiceUnavailable {
		c.set("Retry-After", "1")
	}
	c.resp.SetStatusCode(e.Status())
	if e.Code == s3err.NotModified {
		return
	}
	doc := s3xml.NewError(e, c.resource(), c.id)
	doc.HostID = s.hostID
	if s.mayMeanVirtualHost(c, e) {
		doc.Message += " The host " + c.host + " is not in this server's list of domains: add its domain there if the" +
			" request was meant in virtual-host style."
	}
	c.resp.Header.SetContentType("application/xml")
	c.resp.SetBodyRaw(doc.AppendXML(nil))
}

// mayMeanVirtualHost recognises requests that make no sense in path style, on a host that could carry a bucket.
func (s *Server) mayMeanVirtualHost(c *call, e *s3err.Error) bool {
	odd := e.Code == s3err.MethodNotAllowed && c.kind == service || e.Code == s3err.NoSuchBucket ||
		e.Code == s3err.InvalidBucketName
	return odd && s.domains.looksVirtual(c.host)
}

// handleBroken answers what fasthttp could not take for a request, or a body that ended before its first byte.
func (s *Server) handleBroken(fh *fasthttp.RequestCtx, err error) {
	fh.Response.Header.DisableNormalizing()
	c := &call{id: newRequestID(), began: s.opts.Now(), remote: fh.RemoteAddr().String(), resp: &fh.Response,
		conn: connOf(fh.Conn()), body: &requestBody{}}
	c.resp.Header.Set("x-amz-request-id", c.id)
	c.resp.Header.Set("x-amz-id-2", s.hostID)
	s.fail(c, brokenRequest(err))
	s.settle(fh, c)
	s.logRequest(c)
}

// brokenRequest finds the code for an error of fasthttp's parser. Its text may quote the request: it is not kept.
func brokenRequest(err error) error {
	var tooLarge *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		return s3err.New(s3err.RequestHeaderSectionTooLarge)
	case errors.As(err, &timeout) && timeout.Timeout():
		return s3err.New(s3err.RequestTimeout)
	case errors.Is(err, io.ErrUnexpectedEOF): // how fasthttp reports a client that went away
		return s3err.New(s3err.IncompleteBody)
	default:
		return s3err.New(s3err.BadRequest)
	}
}

// logRequest writes the one line of a request. Keys are names that are sealed at rest, so they are not in it.
func (s *Server) logRequest(c *call) {
	s.observe(c)
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("request_id", c.id), slog.String("remote", c.remote), slog.String("method", c.method),
		slog.Int("status", c.resp.StatusCode()), slog.Float64("took_ms", float64(s.opts.Now().Sub(c.began).Microseconds())/1000),
		slog.Int64("received", c.body.read),
	}
	if c.route != nil {
		attrs = append(attrs, slog.String("operation", c.route.op))
		if !c.route.open && !c.route.admin { // health and the administration have no bucket
			attrs = append(attrs, slog.String("bucket", c.bucket))
		}
	}
	if c.stream != nil {
		attrs = append(attrs, slog.Int64("sent", c.stream.sent))
		if c.stream.err != nil {
			level = slog.LevelWarn
			attrs = append(attrs, slog.String("aborted", describe(c.stream.err)))
		}
	}
	if c.code != "" {
		attrs = append(attrs, slog.String("code", string(c.code)))
	}
	if status := c.resp.StatusCode(); status >= 500 && status != fasthttp.StatusNotImplemented {
		level = slog.LevelError
		if c.cause != nil { // package admin logs its own
			attrs = append(attrs, slog.String("cause", describe(c.cause)))
		}
	}
	s.log.LogAttrs(s.base, level, "request", attrs...)
}

// describe is an error for the log, without the key that an engine error names.
func describe(err error) string {
	var e *object.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s: %s: %v", e.Op, e.Kind, e.Err)
	}
	return fmt.Sprint(err)
}
