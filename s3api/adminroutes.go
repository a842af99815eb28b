package s3api

import (
	"context"
	"io"
	"net/url"
	"strconv"

	"coffer/internal/caller"
	"coffer/s3api/admin"
	"coffer/s3api/s3err"
)

// Admin serves the routes below /rustfs/admin/, /minio/admin/ and /minio/kms/, as *admin.API does.
type Admin interface {
	// Serve answers a request whose signature and body are proven.
	Serve(ctx context.Context, r *admin.Request) admin.Response
	// Deny answers one whose signature was refused; its body was not looked at.
	Deny(ctx context.Context, r *admin.Request, reason string) admin.Response
	// Refuse answers one that cannot be served for another reason; its body was not looked at.
	Refuse(ctx context.Context, r *admin.Request, refusal *admin.Error) admin.Response
}

// adminRoute gives the route of the administration; nil for the S3 API. There is no deadline for the whole: rewrapping a
// bucket takes as long as it takes, and ends with the client's connection at the latest when the server stops.
func adminRoute(c *call) *route {
	if !admin.Reserved(c.rawPath) || c.bucket != "rustfs" && c.bucket != "minio" {
		return nil
	}
	return &route{op: "Admin", admin: true, body: true, transfers: true, handle: (*Server).serveAdmin}
}

// serveAdmin reads the body to its end, which proves it, and hands the request on.
func (s *Server) serveAdmin(ctx context.Context, c *call) error {
	if s.opts.Admin == nil {
		return s3err.New(s3err.NotImplemented)
	}
	if c.ver.Payload.Chunked() {
		return s3err.Newf(s3err.InvalidRequest, "The body of an administration request is sent as it is, not aws-chunked.")
	}
	if c.body.length > admin.MaxBody {
		return s3err.New(s3err.EntityTooLarge)
	}
	body, err := io.ReadAll(io.LimitReader(c.rawBody(), admin.MaxBody+1))
	switch {
	case err != nil:
		return err
	case len(body) > admin.MaxBody:
		return s3err.New(s3err.EntityTooLarge)
	}
	who := s.callerOf(c) // the body has proven it
	c.adminAnswer(s.opts.Admin.Serve(caller.With(ctx, who), c.adminRequest(who, body)))
	return nil
}

// adminRequest is the request as package admin sees it. Who asks is told only when it is proven.
func (c *call) adminRequest(who caller.Caller, body []byte) *admin.Request {
	r := &admin.Request{Method: c.method, Path: c.rawPath, Query: url.Values{}, Body: body, Caller: admin.Caller{
		Remote: who.Source, UserAgent: who.UserAgent, RequestID: who.RequestID,
	}}
	for _, p := range c.query {
		r.Query.Add(p.Name, p.Value)
	}
	if c.ver != nil && c.ver.Proven() {
		r.Caller.AccessKey = c.ver.AccessKey
	}
	return r
}

func (c *call) adminAnswer(r admin.Response) {
	c.resp.ResetBody()
	c.resp.SetStatusCode(r.Status)
	if r.RetryAfter > 0 {
		c.set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	if r.ContentType != "" {
		c.resp.Header.SetContentType(r.ContentType)
	}
	c.resp.SetBodyRaw(r.Body)
}

// failAdmin answers an error of the administration as JSON. Whatever is wrong with a signature is AccessDenied.
func (s *Server) failAdmin(c *call, e *s3err.Error) {
	refusal := &admin.Error{Status: e.Status(), Code: string(e.Code), Message: e.Message}
	if s.opts.Admin == nil {
		c.adminAnswer(admin.Refusal(refusal))
		return
	}
	who := s.callerOf(c)
	ctx, r := caller.With(s.base, who), c.adminRequest(who, nil)
	refused := c.ver == nil || !c.ver.Proven() || e.Code == s3err.XAmzContentSHA256Mismatch
	if refused && e.Status() < 500 {
		c.adminAnswer(s.opts.Admin.Deny(ctx, r, string(e.Code)+": "+e.Text()))
		return
	}
	c.adminAnswer(s.opts.Admin.Refuse(ctx, r, refusal))
}
