package main

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"coffer/kms/audit"
)

// lose takes the directory of the audit log away, so that nothing can be made durable in it; the function puts it back. It
// returns when the server has noticed.
func (r *residence) lose() (restore func()) {
	r.t.Helper()
	dir := r.cfg.Audit.Dir
	if err := os.Rename(dir, dir+".lost"); err != nil {
		r.t.Fatal(err)
	}
	r.must(message{method: "GET", target: "/bucket/key"}) // its line fits into the memory, and no more
	r.until("the loss is noticed", func() bool { return r.house.audit.Status().Err != nil })
	return func() {
		r.t.Helper()
		if err := os.Rename(dir+".lost", dir); err != nil {
			r.t.Fatal(err)
		}
		r.until("the log is written again", func() bool { return r.house.audit.Status().Err == nil })
	}
}

func (r *residence) until(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// whole verifies the log.
func (r *residence) whole() {
	r.t.Helper()
	volume, dir := auditVolume(r.cfg.Audit.Dir)
	if _, err := audit.Verify(r.t.Context(), volume, dir, r.auditKey()); err != nil {
		r.t.Error(err)
	}
}

// TestAuditRequired lets nobody use a key while the log cannot be written, and serves what uses none.
func TestAuditRequired(t *testing.T) {
	t.Parallel()
	r := inhabit(t, t.TempDir())
	r.must(message{method: "PUT", target: "/bucket"})
	r.must(message{method: "PUT", target: "/bucket/key", body: []byte("x")})
	restore := r.lose()
	for _, step := range []struct {
		m      message
		status int
	}{
		{message{method: "GET", target: "/bucket/key"}, 503},
		{message{method: "PUT", target: "/bucket/other", body: []byte("x")}, 503},
		{message{method: "HEAD", target: "/bucket/key"}, 200},
		{message{method: "GET", target: "/bucket"}, 200},
		{message{method: "GET", target: "/health/live", unsigned: true}, 200},
		{message{method: "GET", target: "/health/ready", unsigned: true}, 503},
		{message{method: "POST", target: "/rustfs/admin/v3/kms/key/create?keyName=mine"}, 503},
	} {
		got := r.do(step.m)
		if got.status != step.status {
			t.Errorf("%s %s: status %d, want %d: %s", step.m.method, step.m.target, got.status, step.status, got.body)
		}
		if again := got.header.Get("Retry-After"); step.status == 503 && !step.m.unsigned && again == "" {
			t.Errorf("%s %s: no Retry-After", step.m.method, step.m.target)
		}
	}
	restore()
	r.must(message{method: "GET", target: "/bucket/key"})
	r.must(message{method: "GET", target: "/health/ready", unsigned: true})
	if got := r.do(message{method: "GET", target: "/bucket/other"}); got.status != http.StatusNotFound {
		t.Errorf("what was refused was done: %d", got.status)
	}
	r.must(message{method: "POST", target: "/rustfs/admin/v3/kms/key/create?keyName=mine"}) // there is none yet
	r.whole()
}

// TestAuditNotRequired serves on, and tells.
func TestAuditNotRequired(t *testing.T) {
	t.Parallel()
	r := inhabit(t, t.TempDir(), "COFFER_AUDIT_REQUIRED=false")
	r.must(message{method: "PUT", target: "/bucket"})
	r.must(message{method: "PUT", target: "/bucket/key", body: []byte("x")})
	restore := r.lose()
	r.must(message{method: "GET", target: "/bucket/key"})
	r.must(message{method: "PUT", target: "/bucket/other", body: []byte("x")})
	r.must(message{method: "GET", target: "/health/ready", unsigned: true})
	got := r.must(message{method: "GET", target: "/rustfs/admin/v3/kms/status"})
	var doc struct {
		Audit struct {
			Enabled, Required, Healthy bool
			Failure                    string
		}
	}
	if err := json.Unmarshal(got.body, &doc); err != nil || !doc.Audit.Enabled || doc.Audit.Required || doc.Audit.Healthy || doc.Audit.Failure == "" {
		t.Errorf("status %+v, %v", doc, err)
	}
	restore()
	if lines := r.since(); len(lines) < 5 {
		t.Errorf("%d lines", len(lines))
	}
	r.whole()
}
