package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/bench"
)

// TestMain lets the test binary be the child process that serves http-memory.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve-memory" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestPlanOfFlags(t *testing.T) {
	t.Parallel()
	command := runCommand{
		Endpoint: []string{"label=a,url=http://127.0.0.1:1,access=k,secret=s", "http-memory"},
		Workload: []bench.Workload{bench.Mixed}, Size: []bench.Size{bench.MiB}, Concurrency: []int{2, 4}, Rounds: 5,
		Duration: time.Second, Count: 7, Objects: 8, GetShare: 0, Bucket: "b", Timeout: time.Minute, Seed: 9,
		Unsigned: true, Verify: true, Keep: true, AllowRemote: true,
	}
	got, err := command.plan()
	if err != nil {
		t.Fatal(err)
	}
	want := bench.Plan{
		Endpoints: []bench.Endpoint{
			{Label: "a", URL: "http://127.0.0.1:1", AccessKey: "k", SecretKey: bench.NewSecret("s"), Region: "us-east-1"},
			{Label: "http-memory", Memory: true},
		},
		Workloads: []bench.Workload{bench.Mixed}, Sizes: []bench.Size{bench.MiB}, Concurrency: []int{2, 4}, Rounds: 5,
		Duration: time.Second, Count: 7, Objects: 8, GetShare: -1, Bucket: "b", Timeout: time.Minute, Seed: 9,
		Unsigned: true, Verify: true, Keep: true, AllowRemote: true,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(bench.Secret{})); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedCommandLines(t *testing.T) {
	t.Parallel()
	const good = "--endpoint=label=a,url=http://127.0.0.1:1,access=k,secret=s"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no endpoint", nil, "--endpoint"},
		{"an unknown flag", []string{good, "--speed=1"}, "speed"},
		{"a size", []string{good, "--size=4K"}, "not a size"},
		{"a number", []string{good, "--concurrency=x"}, "concurrency"},
		{"a workload", []string{good, "--workload=delete"}, `unknown workload "delete"`},
		{"two bad endpoints", []string{"--endpoint=url=x,access=k", "--endpoint=pass=y"}, "unknown field"},
		{"a remote endpoint", []string{"--endpoint=url=http://192.0.2.7,access=k,secret=s"}, "not on this machine"},
		{"a list of the baseline", []string{good, "--endpoint=http-memory", "--workload=list"}, "does not list"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), test.args, streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestRunBesideMemory measures a stub and the baseline, as a child process.
func TestRunBesideMemory(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodGet {
			_, _ = w.Write(make([]byte, 4096))
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "out.json")
	var out, progress bytes.Buffer
	err := run(t.Context(), []string{
		"--endpoint", fmt.Sprintf("label=stub,url=%s,access=AK,secret=HIDDEN", server.URL), "--endpoint", "http-memory",
		"--workload", "put,get", "--size", "4KiB", "-c", "2", "--rounds", "2", "-n", "10", "--json", file,
	}, streams{in: strings.NewReader(""), out: &out, err: &progress})
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 5 {
		t.Errorf("a heading and four results are wanted:\n%s", &out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report bench.Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Results) != 4 || report.Results[3].Endpoint != "http-memory" || report.Results[3].Succeeded != 10 {
		t.Errorf("got %+v", report.Results)
	}
	if strings.Contains(out.String()+progress.String()+string(data), "HIDDEN") {
		t.Error("the secret was printed")
	}
}

func TestRunFailsWhenRequestsFail(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.Contains(r.URL.Path, "/new-") {
			w.WriteHeader(http.StatusInsufficientStorage)
		}
	}))
	t.Cleanup(server.Close)
	var out bytes.Buffer
	err := run(t.Context(), []string{
		"--endpoint", fmt.Sprintf("url=%s,access=AK,secret=SK", server.URL), "--workload", "put", "-n", "3", "-q",
	}, streams{in: strings.NewReader(""), out: &out, err: io.Discard})
	if !errors.Is(err, errRequests) || !strings.Contains(out.String(), "status 507") {
		t.Errorf("got %v and\n%s", err, &out)
	}
}

func TestServeMemoryEndsWithItsInput(t *testing.T) {
	t.Parallel()
	in, parent := io.Pipe()
	ended := make(chan error, 1)
	out, child := io.Pipe()
	go func() {
		ended <- (&serveMemoryCommand{Listen: "127.0.0.1:0", MaxSize: bench.KiB}).Run(context.Background(), streams{in: in, out: child})
	}()
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "http://127.0.0.1:") {
		t.Fatalf("got %q, %v", line[:n], err)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended early: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
