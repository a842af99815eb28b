//go:build e2e

package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDocumentedLines runs the lines of each document in both worlds. The lines of a document build on those before, so one
// that fails ends its document.
func TestDocumentedLines(t *testing.T) {
	t.Parallel()
	for _, document := range documents() {
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			for _, name := range worlds() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					tab, err := readTable(document)
					if err != nil {
						t.Fatal(err)
					}
					w := newWorld(t, name)
					w.serve(tab.Environ)
					for i := range tab.Rows {
						w.runRow(&tab.Rows[i], name)
					}
				})
			}
		})
	}
}

// command is what runs.
func (r *row) command() string {
	if r.Run == "" {
		return r.Line
	}
	return r.Run
}

func (w *world) runRow(r *row, world string) {
	w.Helper()
	want := r.want(world)
	switch {
	case r.Not != "":
		return
	case r.Line == "" && want == nil:
		want = &answer{}
	}
	var got outcome
	if r.Serve {
		got = w.serveRow(r, want)
	} else {
		got = w.run(r.command())
	}
	faults := got.compare(want)
	if faults == nil && want.Check != "" {
		if check := w.run(want.Check); check.exit != 0 {
			faults = append(faults, fmt.Sprintf("%s fails: %s%s", want.Check, check.stdout, check.stderr))
		}
	}
	if faults != nil {
		w.Fatalf("line %d: %s\n%s\nanswers %d (exit %d)\n%s%s\nthe server's log:\n%s", r.At, strings.Join(faults, "; "),
			w.hide(r.command()), got.status, got.exit, got.stdout, got.stderr, w.logTail())
	}
}

// serveRow starts a server with what a line exports. It answers while the backend is still being started, so it is asked
// until it says what it should.
func (w *world) serveRow(r *row, want *answer) outcome {
	w.Helper()
	before := w.run("env -0")
	after := w.run(r.command() + "\nenv -0")
	if after.exit != 0 {
		return after
	}
	known := strings.Split(before.stdout, "\x00")
	var exported []string
	for variable := range strings.SplitSeq(after.stdout, "\x00") {
		if strings.Contains(variable, "KMS_") && !slices.Contains(known, variable) {
			exported = append(exported, variable)
		}
	}
	if exported == nil {
		w.Fatalf("line %d exports nothing", r.At)
	}
	w.serve(exported)
	for end := time.Now().Add(lineTime); ; time.Sleep(20 * time.Millisecond) {
		got := w.run(`curl $SIGN "$URL/rustfs/admin/v3/kms/status"`)
		if got.compare(want) == nil || time.Now().After(end) {
			return got
		}
	}
}

func (o *outcome) compare(want *answer) (faults []string) {
	fault := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	fault(o.exit != want.Exit, "exit %d, not %d", o.exit, want.Exit)
	fault(want.Status != 0 && o.status != want.Status, "status %d, not %d", o.status, want.Status)
	fault(!strings.Contains(o.stdout+o.stderr, want.Text), "it does not print %q", want.Text)
	for name, value := range want.Headers {
		fault(o.headers[name] != value, "the field %s is %q, not %q", name, o.headers[name], value)
	}
	if want.Body == nil {
		return faults
	}
	var doc any
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil {
		return append(faults, err.Error())
	}
	return append(faults, match(want.Body, doc, "")...)
}

// hide leaves the credentials out of what is printed. No line holds them: it names variables.
func (w *world) hide(line string) string {
	return strings.ReplaceAll(line, w.server.SecretKey, "…")
}

func (w *world) logTail() string {
	lines := strings.SplitAfter(w.read("server.log"), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "")
}
