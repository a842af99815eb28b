package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/manager"
	"coffer/object"
)

// MaxBody is the longest body of a request in bytes.
const MaxBody = 1 << 20

// Request is one request, proven to come from its Caller.
type Request struct {
	Method string
	Path   string // as sent, percent-encoded, without the query
	Query  url.Values
	Body   []byte // at most MaxBody
	Caller Caller
}

// Caller is who asks, for the audit.
type Caller struct {
	AccessKey string // "" while it is not proven
	Remote    string
	UserAgent string
	RequestID string
}

// Response is an answer. ContentType is "" when there is no body.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
	RetryAfter  int // seconds; 0: the client is not told
}

// Event is a request that was answered.
type Event struct {
	Op     string // the route's name, "" where there is none
	KeyID  string // "" where the route is about none
	Caller Caller
	Status int
	Code   string // of a refusal
}

// Engine is what the API needs of the object engine.
type Engine interface {
	Counter
	Jobs
	Retirer
	Rewrap(ctx context.Context, req object.RewrapRequest) (object.RewrapReport, error)
	Inspect(ctx context.Context, bucket, key, versionID string) (object.Inspection, error)
	BucketsEncryptedBy(ctx context.Context, keyID string) ([]string, error)
	ListBuckets(ctx context.Context) ([]object.BucketInfo, error)
}

// Counter counts what depends on keys.
type Counter interface {
	Census(ctx context.Context) ([]object.CensusEntry, error)
	BucketCensus(ctx context.Context, bucket string) ([]object.CensusEntry, error)
	CheckCensus(ctx context.Context) (object.CensusCheck, error)
	Dependents(ctx context.Context, of kms.KeyRef) (object.Dependents, error)
}

// Jobs are the rewraps in the background.
type Jobs interface {
	StartRewrap(ctx context.Context, req object.RewrapJobRequest) (object.RewrapJob, error)
	StartRewraps(ctx context.Context, req object.RewrapJobRequest) ([]object.RewrapJob, error)
	RewrapJobs(ctx context.Context) ([]object.RewrapJob, error)
	PauseRewrap(ctx context.Context, bucket string) (object.RewrapJob, error)
	ResumeRewrap(ctx context.Context, bucket string) (object.RewrapJob, error)
	CancelRewrap(ctx context.Context, bucket string) (object.RewrapJob, error)
}

// Retirer gives up older versions of keys.
type Retirer interface {
	Retire(ctx context.Context, version kms.KeyRef) (object.Retirement, error)
	Retirements(ctx context.Context) ([]object.Retirement, error)
	CancelRetirement(ctx context.Context, key kms.KeyRef) error
}

// Options of an API. Keys and Engine are required.
type Options struct {
	Keys   *manager.Manager
	Engine Engine

	// DefaultKeyID and LocalMasterKey complete configurations that name none.
	DefaultKeyID   string
	LocalMasterKey secret.Value

	// Server is what info tells about the process.
	Server ServerInfo

	// Observe is told of every request, also of those that Deny refuses; may be nil.
	Observe  func(ctx context.Context, e Event)
	Audit    Auditor          // records every request, also those that Deny and Refuse answer; may be nil
	AuditDir string           // tells clients where the record is
	Logger   *slog.Logger     // is told the causes of answers of 500; none when nil
	Now      func() time.Time // time.Now when nil
}

// ServerInfo describes the process to clients.
type ServerInfo struct {
	Version      string
	Endpoint     string // host and port of the listener
	Scheme       string // http when empty
	Region       string
	DeploymentID string
	Started      time.Time
}

// Validate reports all faults of o at once.
func (o *Options) Validate() error {
	var faults []error
	if o.Keys == nil {
		faults = append(faults, errors.New("admin: no key manager"))
	}
	if o.Engine == nil {
		faults = append(faults, errors.New("admin: no engine"))
	}
	if o.DefaultKeyID != "" {
		faults = append(faults, kms.CheckKeyID(o.DefaultKeyID))
	}
	return errors.Join(faults...)
}

// API serves the administration.
type API struct {
	o    Options
	keys *manager.Manager
}

// New makes an API.
func New(o Options) (*API, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Server.Scheme == "" {
		o.Server.Scheme = "http"
	}
	return &API{o: o, keys: o.Keys}, nil
}

// call is a request on its way.
type call struct {
	*Request
	door    door
	segment string // what {…} of the route's path stands for
	keyID   string // that the request is about, as far as it is known

	// What the audit log is told besides.
	instance kms.InstanceID
	version  uint32
	bucket   string
	object   string
	destroys bool  // the request is for the destruction of the key, not for a waiting time
	partial  error // that is told in an answer with a status of success
}

// Serve answers a request.
func (a *API) Serve(ctx context.Context, r *Request) Response {
	c := &call{Request: r}
	rt, err := c.find()
	op := ""
	var doc any
	if err == nil {
		op = rt.op
		err = a.auditable()
	}
	if err == nil {
		doc, err = rt.handle(a, ctx, c)
	}
	return a.finish(ctx, c, op, doc, err)
}

// finish records what came of a request, and answers it.
func (a *API) finish(ctx context.Context, c *call, op string, doc any, err error) Response {
	if unrecorded := a.audit(ctx, c, op, err); unrecorded != nil {
		doc, err = nil, unrecorded
	}
	resp, code := a.render(c, doc, err)
	if a.o.Observe != nil {
		a.o.Observe(ctx, Event{Op: op, KeyID: c.keyID, Caller: c.Caller, Status: resp.Status, Code: code})
	}
	return resp
}

// Deny answers a request whose signature was refused; nothing of its body is looked at. The reason is told to the client.
func (a *API) Deny(ctx context.Context, r *Request, reason string) Response {
	return a.Refuse(ctx, r, &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied.", Description: reason})
}

// Refuse answers a request that did not get as far as a handler. Nothing of its body is looked at.
func (a *API) Refuse(ctx context.Context, r *Request, refusal *Error) Response {
	c := &call{Request: r}
	op := ""
	if rt, err := c.find(); err == nil {
		op = rt.op
	}
	if id, _ := c.queryKey(); id == "" && op == "DescribeKey" {
		c.keyID = c.segment
	}
	return a.finish(ctx, c, op, nil, refusal)
}
