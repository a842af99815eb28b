package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleReport() *Report {
	half := 0.5
	one := 1.0
	return &Report{
		Cores: 2, Rounds: 3,
		Results: []Result{
			{
				Workload: Put, Operation: "put", ObjectBytes: 4096, Concurrency: 64, Endpoint: "coffer", Succeeded: 1000,
				OpsPerSecond: 1234.56, MiBPerSecond: 4.82, Milliseconds: Latencies{1, 2.25, 3.125, 10}, Ratio: &one,
			},
			{
				Workload: Mixed, Operation: "all", ObjectBytes: 10 << 20, Concurrency: 1, Endpoint: "a long label", Succeeded: 7,
				OpsPerSecond: 0.5, MiBPerSecond: 5, Milliseconds: Latencies{1000, 2000, 2000, 2000}, Ratio: &half,
				Errors: 2, FirstError: "PUT: status 503 SlowDown",
			},
			{Workload: Mixed, Operation: "put", Endpoint: "a long label", Errors: 2},
		},
	}
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	want := strings.TrimPrefix(`
   workload   size  workers      endpoint   ops/s  MiB/s  median ms   p90 ms   p99 ms   max ms  errors  ratio
        put   4KiB       64        coffer  1234.6    4.8       1.00     2.25     3.12    10.00       0   1.00
  mixed/all  10MiB        1  a long label     0.5    5.0    1000.00  2000.00  2000.00  2000.00       2   0.50
  mixed/put     0B        0  a long label     0.0    0.0       0.00     0.00     0.00     0.00       2      -
mixed/all at a long label: first error: PUT: status 503 SlowDown
`, "\n")
	var b bytes.Buffer
	if err := exampleReport().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	report := exampleReport()
	var b bytes.Buffer
	if err := report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, &back); diff != "" {
		t.Error(diff)
	}
	for _, field := range []string{`"opsPerSecond": 1234.56`, `"p99": 3.125`, `"ratio": null`, `"firstError": "PUT: status 503 SlowDown"`} {
		if !strings.Contains(b.String(), field) {
			t.Errorf("no %s in %s", field, &b)
		}
	}
}

func TestReportCountsErrorsOnce(t *testing.T) {
	t.Parallel()
	if got := exampleReport().Errors(); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}
