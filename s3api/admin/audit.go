package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"coffer/kms"
	"coffer/kms/audit"
)

// Auditor keeps the record of what was asked for, as *audit.Guard does. Its errors say that nothing can be recorded, and
// that this forbids going on.
type Auditor interface {
	// Ready is asked before anything is done.
	Ready() error
	// Record keeps a line, RecordNow returns when the line is durable.
	Record(ctx context.Context, e audit.Event) error
	RecordNow(ctx context.Context, e audit.Event) error
	// Status tells how the log is.
	Status() audit.GuardStatus
}

// operations are the names under which the log knows the operations that are called otherwise here. It is never written
// to.
var operations = map[string]audit.Operation{
	"KeyStatus": audit.DescribeKey, "CancelDeletion": audit.CancelKeyDeletion, "TagKey": audit.TagResource, "UntagKey": audit.UntagResource,
	"ConfigureKMS": audit.Configure, "ReconfigureKMS": audit.Reconfigure, "StartKMS": audit.Start, "StopKMS": audit.Stop,
	"DeleteKey": audit.ScheduleKeyDeletion, "Rewrap": audit.ReEncrypt, "": audit.Unknown,
}

// auditable refuses to do what could not be recorded.
func (a *API) auditable() error {
	if a.o.Audit == nil {
		return nil
	}
	if err := a.o.Audit.Ready(); err != nil {
		return unrecorded(err, "Nothing was done.")
	}
	return nil
}

const codeUnrecorded = "AuditUnavailable"

// unrecorded is the answer where there is no record of a request.
func unrecorded(err error, done string) error {
	return refuse(http.StatusServiceUnavailable, codeUnrecorded, "The audit log cannot be written.", "%s %v.", done, err)
}

// audit records a request, what it was about and what came of it. What changes something is durable in the log before it is
// answered.
func (a *API) audit(ctx context.Context, c *call, op string, err error) error {
	if a.o.Audit == nil {
		return nil
	}
	e := audit.Event{Operation: audit.Operation(op), Outcome: audit.Success, KeyID: c.keyID, KeyVersion: c.version, Instance: c.instance, Bucket: c.bucket, Object: c.object}
	if known, ok := operations[op]; ok {
		e.Operation = known
	}
	if op == "DeleteKey" && c.destroys {
		e.Operation = audit.DeleteKey
	}
	if err == nil {
		err = c.partial
	}
	if err != nil {
		e.Outcome = outcomeOf(err, a.errorOf(c, err).Status)
	}
	record := a.o.Audit.RecordNow
	if c.Method == http.MethodGet {
		record = a.o.Audit.Record
	}
	unwritten := record(ctx, e)
	if refused, ok := errors.AsType[*Error](err); unwritten == nil || ok && refused.Code == codeUnrecorded {
		return nil
	}
	return unrecorded(unwritten, "What was asked for may have been done.")
}

// outcomeOf is the class of an error: of its own, else that of the status it is answered with.
func outcomeOf(err error, status int) audit.Outcome {
	if class := audit.OutcomeOf(err); class != audit.Internal {
		return class
	}
	switch status {
	case http.StatusForbidden:
		return audit.AccessDenied
	case http.StatusConflict:
		if e, ok := errors.AsType[*Error](err); ok && e.Use != nil {
			return audit.KeyStillReferenced
		}
		return audit.InvalidOperation
	case http.StatusNotImplemented:
		return audit.UnsupportedCapability
	case http.StatusServiceUnavailable:
		return audit.ServiceUnavailable
	}
	if status < http.StatusInternalServerError {
		return audit.Validation
	}
	return audit.Internal
}

// about notes which version of which key a request was about.
func (c *call) about(instance kms.InstanceID, version uint32) {
	c.instance, c.version = instance, version
}

// errPartly says that some of what was asked for was not done.
var errPartly = errors.New("not everything was done")

// failedPartly notes an error that the answer tells with a status of success.
func (c *call) failedPartly(err error) { c.partial = fmt.Errorf("%w: %w", errPartly, err) }

// auditDoc tells how the audit log is.
type auditDoc struct {
	Enabled  bool   `json:"enabled"`
	Required bool   `json:"required"`
	Healthy  bool   `json:"healthy"`
	Failure  string `json:"failure"`
	Lines    uint64 `json:"lines"`
	Lost     uint64 `json:"lost"`
	Head     string `json:"head"`
}

func (a *API) auditDoc() auditDoc {
	if a.o.Audit == nil {
		return auditDoc{Healthy: true}
	}
	s := a.o.Audit.Status()
	doc := auditDoc{Enabled: true, Required: s.Required, Healthy: s.Err == nil, Lines: s.Lines, Lost: s.Lost, Head: s.Head.String()}
	if s.Err != nil {
		doc.Failure = s.Err.Error()
	}
	return doc
}
