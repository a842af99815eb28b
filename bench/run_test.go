package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRunAllWorkloads(t *testing.T) {
	t.Parallel()
	a, b := newStub(t, "a"), newStub(t, "b")
	var log bytes.Buffer
	report, err := Run(t.Context(), Plan{
		Endpoints: []Endpoint{a.endpoint, b.endpoint},
		Workloads: []Workload{Put, Get, Mixed, List},
		Sizes:     []Size{0, 5000}, Concurrency: []int{3}, Rounds: 2, Count: 40, Objects: 7, Verify: true,
	}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.expectClean(t)
	b.expectClean(t)
	var got []string
	for _, r := range report.Results {
		got = append(got, fmt.Sprintf("%s/%s %s %s", r.Workload, r.Operation, Size(r.ObjectBytes), r.Endpoint))
		if r.Errors != 0 || r.FirstError != "" || r.Ratio == nil || len(r.RoundRates) != 2 {
			t.Errorf("%s: %+v", got[len(got)-1], r)
		}
		if r.Endpoint == "a" && *r.Ratio != 1 {
			t.Errorf("%s: ratio to itself is %v", got[len(got)-1], *r.Ratio)
		}
		if (r.Workload != Mixed || r.Operation == "all") && r.Succeeded != 40 {
			t.Errorf("%s: %d requests, want 40", got[len(got)-1], r.Succeeded)
		}
	}
	want := []string{
		"put/put 0B a", "put/put 0B b", "get/get 0B a", "get/get 0B b",
		"mixed/all 0B a", "mixed/all 0B b", "mixed/put 0B a", "mixed/put 0B b", "mixed/get 0B a", "mixed/get 0B b",
		"list/list 0B a", "list/list 0B b",
		"put/put 5000B a", "put/put 5000B b", "get/get 5000B a", "get/get 5000B b",
		"mixed/all 5000B a", "mixed/all 5000B b", "mixed/put 5000B a", "mixed/put 5000B b", "mixed/get 5000B a", "mixed/get 5000B b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a.puts != b.puts {
		t.Errorf("a got %d puts, b %d: not the same load", a.puts, b.puts)
	}
}

func TestRunTakesTurns(t *testing.T) {
	t.Parallel()
	a, b := newStub(t, "a"), newStub(t, "b")
	var log bytes.Buffer
	_, err := Run(t.Context(), Plan{
		Endpoints: []Endpoint{a.endpoint, b.endpoint}, Workloads: []Workload{Put}, Rounds: 3, Count: 3, Unsigned: true,
	}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var order strings.Builder
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, "endpoint=")
		order.WriteString(rest[:1])
	}
	if got, want := order.String(), "abbaab"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if a.unsigned != 3 {
		t.Errorf("%d unsigned payloads, want 3", a.unsigned)
	}
}

func TestRunCountsFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(key string, body []byte) ([]byte, int)
		verify bool
		want   string // of the first error, none if empty
	}{
		{"a flipped bit", func(_ string, body []byte) ([]byte, int) { return flip(body), 200 }, true, "SHA-256 differs"},
		{"a flipped bit, not verified", func(_ string, body []byte) ([]byte, int) { return flip(body), 200 }, false, ""},
		{"a short body", func(_ string, body []byte) ([]byte, int) { return body[1:], 200 }, false, "8191 bytes for 8192"},
		{"a long body", func(_ string, body []byte) ([]byte, int) { return append(flip(body), 1), 200 }, false, "8193 bytes for 8192"},
		{"an S3 error", func(string, []byte) ([]byte, int) {
			return []byte("<Error><Code>SlowDown</Code></Error>"), 503
		}, false, "status 503 SlowDown"},
		{"another error", func(string, []byte) ([]byte, int) { return nil, 500 }, false, "status 500"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t, "s")
			s.spoil = test.spoil
			report, err := Run(t.Context(), Plan{
				Endpoints: []Endpoint{s.endpoint}, Workloads: []Workload{Get}, Sizes: []Size{8192},
				Concurrency: []int{2}, Rounds: 1, Count: 6, Objects: 3, Verify: test.verify,
			}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			s.expectClean(t)
			result := report.Results[0]
			if test.want == "" {
				if report.Errors() != 0 || result.Succeeded != 6 {
					t.Errorf("got %+v, want six successes", result)
				}
				return
			}
			if report.Errors() != 6 || result.Succeeded != 0 || result.OpsPerSecond != 0 || result.Ratio != nil {
				t.Errorf("got %+v, want six errors and nothing else", result)
			}
			if !strings.Contains(result.FirstError, test.want) {
				t.Errorf("first error %q, want %q", result.FirstError, test.want)
			}
		})
	}
}

func flip(body []byte) []byte {
	changed := bytes.Clone(body)
	changed[len(changed)/2] ^= 1
	return changed
}

// TestRunNoticesAnotherObject: bodies of the same size differ from key to key.
func TestRunNoticesAnotherObject(t *testing.T) {
	t.Parallel()
	s := newStub(t, "s")
	var first []byte
	s.spoil = func(_ string, body []byte) ([]byte, int) {
		if first == nil {
			first = body
		}
		return first, 200
	}
	report, err := Run(t.Context(), Plan{
		Endpoints: []Endpoint{s.endpoint}, Workloads: []Workload{Get}, Rounds: 1, Count: 60, Objects: 30, Verify: true,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if report.Errors() < 30 {
		t.Errorf("%d errors of 60, want most", report.Errors())
	}
}

func TestRunClearsAfterInterrupt(t *testing.T) {
	t.Parallel()
	s := newStub(t, "s")
	ctx, cancel := context.WithCancel(t.Context())
	s.spoil = func(_ string, body []byte) ([]byte, int) {
		cancel()
		return body, 200
	}
	report, err := Run(ctx, Plan{
		Endpoints: []Endpoint{s.endpoint}, Workloads: []Workload{Mixed}, Duration: time.Minute,
	}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, context.Canceled) || report == nil {
		t.Errorf("got %v, want Canceled and a report", err)
	}
	s.expectClean(t)
}

func TestRunKeeps(t *testing.T) {
	t.Parallel()
	s := newStub(t, "s")
	s.bucket = true
	plan := Plan{Endpoints: []Endpoint{s.endpoint}, Workloads: []Workload{Put}, Rounds: 1, Count: 5}
	if _, err := Run(t.Context(), plan, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if !s.bucket || len(s.objects) != 0 {
		t.Errorf("bucket %v, %d objects: a bucket that was there must stay, empty", s.bucket, len(s.objects))
	}
	plan.Keep = true
	if _, err := Run(t.Context(), plan, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if len(s.objects) != 5 {
		t.Errorf("%d objects, want 5", len(s.objects))
	}
}

func TestRunWithoutServer(t *testing.T) {
	t.Parallel()
	s := newStub(t, "gone")
	s.Close()
	_, err := Run(t.Context(), Plan{Endpoints: []Endpoint{s.endpoint}, Count: 1}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "gone: make bucket") {
		t.Errorf("got %v", err)
	}
}

func TestRunAgainstMemoryServer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewMemoryServer(64 * KiB)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()
	s := newStub(t, "s")
	report, err := Run(t.Context(), Plan{
		Endpoints: []Endpoint{{Label: MemoryLabel, Memory: true, URL: "http://" + ln.Addr().String()}, s.endpoint},
		Workloads: []Workload{Put, Get, Mixed}, Sizes: []Size{0, 64 * KiB}, Count: 30, Verify: true,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if n := report.Errors(); n != 0 {
		t.Errorf("%d errors: %+v", n, report.Results)
	}
	s.expectClean(t)
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestMemoryServerStopsBeforeItBegins: a stop at once must not be lost.
func TestMemoryServerStopsBeforeItBegins(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 50 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := NewMemoryServer(KiB).Serve(ctx, ln); err != nil {
			t.Fatal(err)
		}
	}
}
