package admin_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/kms"
	"coffer/kms/audit"
	"coffer/kms/manager"
	"coffer/s3api/admin"
)

// scribe is an Auditor that keeps what it is told.
type scribe struct {
	full    error // of Ready and of records
	fails   error // of records alone
	events  []audit.Event
	durable int
}

func (s *scribe) Ready() error { return s.full }

func (s *scribe) Record(_ context.Context, e audit.Event) error {
	s.events = append(s.events, e)
	if s.full != nil {
		return s.full
	}
	return s.fails
}

func (s *scribe) RecordNow(ctx context.Context, e audit.Event) error {
	s.durable++
	return s.Record(ctx, e)
}

func (s *scribe) Status() audit.GuardStatus {
	return audit.GuardStatus{Required: true, Err: s.full, Lost: 7, Stats: audit.Stats{Lines: 9, Head: audit.Head{Seq: 9}}}
}

func newScribed(t *testing.T) (*world, *scribe) {
	t.Helper()
	s := &scribe{}
	return newWorld(t, func(_ *manager.Options, o *admin.Options) { o.Audit, o.AuditDir = s, "/var/log/audit" }), s
}

// TestAuditEvents names what was done, to which version of which key of which backend, and how it went.
func TestAuditEvents(t *testing.T) {
	t.Parallel()
	w, s := newScribed(t)
	in := w.keys.Status().Instance
	w.want(200, "POST kms/key/create?keyName=used", "")
	w.put("box", "o", "used")
	key := func(op audit.Operation, outcome audit.Outcome, version uint32) audit.Event {
		return audit.Event{Operation: op, Outcome: outcome, KeyID: "k", KeyVersion: version, Instance: in}
	}
	for _, step := range []struct {
		request, body string
		want          audit.Event
	}{
		{"POST kms/key/create?keyName=k", "", key(audit.CreateKey, audit.Success, 1)},
		{"POST kms/key/create?keyName=k", "", key(audit.CreateKey, audit.KeyAlreadyExists, 0)},
		{"GET kms/key/status?keyName=k", "", key(audit.DescribeKey, audit.Success, 1)},
		{"POST kms/keys/rotate", `{"key_id":"k"}`, key(audit.RotateKey, audit.Success, 2)},
		{"POST kms/keys/tag", `{"key_id":"k","tags":{"a":"b"}}`, key(audit.TagResource, audit.Success, 2)},
		{"POST kms/keys/generate-data-key", `{"key_id":"k"}`, key(audit.GenerateDataKey, audit.Success, 2)},
		{"GET /minio/kms/v1/key/status?key-id=k", "", key(audit.DescribeKey, audit.Success, 2)},
		{"POST kms/keys/disable", `{"key_id":"k"}`, key(audit.DisableKey, audit.Success, 2)},
		{"GET /minio/kms/v1/key/status?key-id=k", "", audit.Event{Operation: audit.DescribeKey, Outcome: audit.InvalidOperation, KeyID: "k"}},
		{"POST kms/keys/generate-data-key", `{"key_id":"k"}`, audit.Event{Operation: audit.GenerateDataKey, Outcome: audit.InvalidOperation, KeyID: "k"}},
		{"DELETE kms/keys/delete", `{"key_id":"k"}`, key(audit.ScheduleKeyDeletion, audit.Success, 2)},
		{"POST kms/keys/cancel-deletion", `{"key_id":"k"}`, key(audit.CancelKeyDeletion, audit.Success, 2)},
		{"DELETE kms/keys/delete", `{"key_id":"k","force_immediate":true,"confirm_key_id":"k"}`, key(audit.DeleteKey, audit.Success, 2)},
		{"DELETE kms/keys/delete", `{"key_id":"used"}`, audit.Event{Operation: audit.ScheduleKeyDeletion, Outcome: audit.KeyStillReferenced, KeyID: "used", KeyVersion: 1, Instance: in}},
		{"GET kms/keys/none", "", audit.Event{Operation: audit.DescribeKey, Outcome: audit.KeyNotFound, KeyID: "none", Instance: in}},
		{"POST kms/rewrap-bucket", `{"bucket":"box"}`, audit.Event{Operation: "RewrapBucket", Outcome: audit.Success, Bucket: "box"}},
		{"POST kms/rewrap-bucket", `{"bucket":"none"}`, audit.Event{Operation: "RewrapBucket", Outcome: audit.Validation, Bucket: "none"}},
		{"POST kms/configure", `{"kms_type":"aws"}`, audit.Event{Operation: audit.Configure, Outcome: audit.Validation}},
		{"POST kms/start", "{", audit.Event{Operation: audit.Start, Outcome: audit.Validation}},
		{"GET kms/nothing", "", audit.Event{Operation: audit.Unknown, Outcome: audit.Validation}},
	} {
		s.events = nil
		r := w.raw(step.request, step.body)
		if diff := cmp.Diff([]audit.Event{step.want}, s.events); diff != "" {
			t.Errorf("%s, answered %d (-want +got):\n%s", step.request, r.Status, diff)
		}
	}
}

// TestAuditDurable wants changes to be durable in the log before they are answered, and does not wait for the rest.
func TestAuditDurable(t *testing.T) {
	t.Parallel()
	w, s := newScribed(t)
	w.want(200, "GET kms/status", "")
	w.want(200, "GET kms/key/list", "")
	if s.durable != 0 || len(s.events) != 2 {
		t.Errorf("%d of %d are durable", s.durable, len(s.events))
	}
	w.want(200, "POST kms/key/create?keyName=k", "")
	if s.durable != 1 {
		t.Error("the creation of a key is not durable")
	}
}

// TestAuditUnavailable does nothing that cannot be recorded, and tells no success of which there is no record.
func TestAuditUnavailable(t *testing.T) {
	t.Parallel()
	w, s := newScribed(t)
	s.full = fmt.Errorf("%w: the disk is full", kms.Unavailable)
	d := w.refused(503, "AuditUnavailable", "POST kms/key/create?keyName=k", "")
	if text := d["description"].(string); !strings.Contains(text, "Nothing was done.") || !strings.Contains(text, "the disk is full") {
		t.Errorf("refusal %v", d)
	}
	if r := w.raw("POST kms/key/create?keyName=k", ""); r.RetryAfter == 0 {
		t.Error("the client is not told to come again")
	}
	s.full = nil
	w.refused(404, "NotFound", "GET kms/keys/k", "")
	s.fails = fmt.Errorf("%w: the disk is full", kms.Unavailable)
	d = w.refused(503, "AuditUnavailable", "POST kms/key/create?keyName=k", "")
	if text := d["description"].(string); !strings.Contains(text, "may have been done") {
		t.Errorf("refusal %v", d)
	}
	s.fails = nil
	w.want(200, "GET kms/keys/k", "")
}

// TestAuditStatus tells how the log is.
func TestAuditStatus(t *testing.T) {
	t.Parallel()
	w, _ := newScribed(t)
	head := "9:" + strings.Repeat("0", 64)
	w.has(w.want(200, "GET kms/status", "").sub("audit"), map[string]any{
		"enabled": true, "required": true, "healthy": true, "failure": "", "lines": 9, "lost": 7, "head": head,
	})
	w.has(w.want(200, "GET kms/config", ""), map[string]any{"enable_audit": true, "audit_log_path": "/var/log/audit"})
	off := newWorld(t, nil)
	off.has(off.want(200, "GET kms/status", "").sub("audit"), map[string]any{"enabled": false})
	off.has(off.want(200, "GET kms/config", ""), map[string]any{"enable_audit": false, "audit_log_path": ""})
}
