package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const fioOutput = `fio: this is a warning
{"fio version": "fio-3.33", "jobs": [{"jobname": "append", "error": 0, "read": {"iops": 0.0}, "write": {"iops": 1234.567}}]}
`

const benchOutput = `goos: linux
goarch: amd64
pkg: coffer/object
BenchmarkDurablePut-2   	   13533	    133616 ns/op	  30.65 MB/s	      12000 puts/s	        35.5 tx/flush
BenchmarkPut/goroutines=64-2         	   17522	     79241 ns/op
BenchmarkRatio         	   2	   59237463 ns/op	        89.79 %open/raw	        97.23 %seal/raw
PASS
ok  	coffer/object	3.608s
`

func TestParseFio(t *testing.T) {
	t.Parallel()
	if got, err := parseFio(fioOutput); err != nil || got != 1234.567 {
		t.Errorf("got %v, %v", got, err)
	}
	for name, out := range map[string]string{
		"nothing":      "",
		"no job":       `{"jobs": []}`,
		"a failed job": `{"jobs": [{"error": 28, "write": {"iops": 5}}]}`,
		"no write":     `{"jobs": [{"error": 0, "write": {"iops": 0}}]}`,
		"two jobs":     `{"jobs": [{"write": {"iops": 5}}, {"write": {"iops": 5}}]}`,
	} {
		if got, err := parseFio(out); !errors.Is(err, errOutput) {
			t.Errorf("%s: got %v, %v, want errOutput", name, got, err)
		}
	}
}

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	got, err := parseBenchmarks(benchOutput)
	if err != nil {
		t.Fatal(err)
	}
	want := []benchmarkResult{
		{"DurablePut", "ns/op", 133616}, {"DurablePut", "MB/s", 30.65}, {"DurablePut", "puts/s", 12000}, {"DurablePut", "tx/flush", 35.5},
		{"Put/goroutines=64", "ns/op", 79241},
		{"Ratio", "ns/op", 59237463}, {"Ratio", "%open/raw", 89.79}, {"Ratio", "%seal/raw", 97.23},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(benchmarkResult{})); diff != "" {
		t.Error(diff)
	}
	for name, out := range map[string]string{
		"no benchmark": "PASS\nok  \tcoffer/object\t3.608s\n",
		"not a number": "BenchmarkX-2 \t 10 \t many ns/op\n",
	} {
		if _, err := parseBenchmarks(out); !errors.Is(err, errOutput) {
			t.Errorf("%s: got %v, want errOutput", name, err)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	f := figures{"one": {4}, "three": {9, 1, 5}, "two": {1, 2}, "zero": {0}}
	for name, want := range map[string]float64{"one": 4, "three": 5, "two": 1.5} {
		if got, found := f.median(name); !found || got != want {
			t.Errorf("%s: got %v, %v, want %v", name, got, found, want)
		}
	}
	if got, found := f.ratio("one", "two"); !found || got != 4/1.5 {
		t.Errorf("ratio: got %v, %v", got, found)
	}
	for _, pair := range [][2]string{{"one", "none"}, {"none", "one"}, {"one", "zero"}} {
		if got, found := f.ratio(pair[0], pair[1]); found {
			t.Errorf("ratio of %v: got %v, want none", pair, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	l := line{text: "x", want: 10, format: "%.1f times", measured: func(f figures) (float64, bool) { return f.ratio("a", "b") }}
	tests := []struct {
		name          string
		figures       figures
		measured, met string
	}{
		{"met exactly", figures{"a": {100}, "b": {10}}, "10.0 times", "yes"},
		{"missed narrowly", figures{"a": {99.99}, "b": {10}}, "10.0 times", "no"},
		{"not measured", figures{"a": {100}}, "not measured", "-"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			measured, met := l.verdict(test.figures)
			if measured != test.measured || met != test.met {
				t.Errorf("got %s, %s, want %s, %s", measured, met, test.measured, test.met)
			}
		})
	}
}

// TestLinesAreMeasured names the figure that each line rests on as the
// measurements name it, and sees that one figure decides one line.
func TestLinesAreMeasured(t *testing.T) {
	t.Parallel()
	names := []string{
		"Ratio %seal/raw", "Ratio %open/raw", "DurablePut tx/flush", "DurablePut puts/s", "put put 4KiB x64 ops/s",
		"get get 10MiB x4 of memory", "get get 10MiB x1 of memory",
	}
	all := lines()
	if len(all) != len(names) {
		t.Fatalf("%d lines, %d figures", len(all), len(names))
	}
	for i, l := range all {
		f := figures{"disk appends/s": {1}, names[i]: {l.want}}
		if measured, met := l.verdict(f); met != "yes" {
			t.Errorf("%s: %s %s", l.text, measured, met)
		}
		f[names[i]] = []float64{l.want * 0.999}
		if measured, met := l.verdict(f); met != "no" {
			t.Errorf("%s, a little less: %s %s", l.text, measured, met)
		}
	}
}

// fake answers as the real commands do, and fails where told to.
func fake(fails string) executor {
	return func(_ context.Context, _ []string, argv ...string) (string, error) {
		line := strings.Join(argv, " ")
		switch {
		case fails != "" && strings.Contains(line, fails):
			return "half an output\n", errors.New("exit status 1\nit broke")
		case argv[0] == "fio":
			return fioOutput, nil
		case argv[0] == "go" && argv[1] == "test":
			return benchOutput, nil
		case strings.Contains(line, "pprof"):
			return "File: object.test\nType: cpu\n  190ms 22.62% Syscall\n", nil
		default:
			return "", errors.New("not expected: " + line)
		}
	}
}

func TestRecordAPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRecorder(flags{Name: "n", Only: []string{"disk", "seal", "store", "profile"}}, dir, fake(""))
	r.machine = []fact{{"cores", "2"}}
	if err := r.measureAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "results", "page.md")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Measurements: n\n", "| cores | 2 |\n",
		"| Durable 4 KiB puts of 64 goroutines: transactions in a flush | 30.0 | 35.5 | yes |\n",
		"| Durable 4 KiB puts of 64 goroutines, of single synced appends | 10.0 times | 9.7 times | no |\n",
		"| Durable 4 KiB puts over HTTP, of single synced appends | 2.0 times | not measured | - |\n",
		"TMPDIR=$DIR go test '-run=^$' '-bench=^BenchmarkDurablePut$' -cpu=2 -benchtime=10s -count=3 ./object\n",
		"fio --name=append --directory=$DIR ", "1235 appends/s\n", "  190ms 22.62% Syscall\n",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for _, unwanted := range []string{dir, "failed", "File: "} {
		if strings.Contains(string(page), unwanted) {
			t.Errorf("%q in\n%s", unwanted, page)
		}
	}
	if got := strings.Count(string(page), "## Single synced appends"); got != 3 {
		t.Errorf("the disk was measured %d times, want 3", got)
	}
	if err := r.write(file); !errors.Is(err, os.ErrExist) {
		t.Errorf("a page was replaced: %v", err)
	}
}

func TestRecordAFailure(t *testing.T) {
	t.Parallel()
	r := newRecorder(flags{Only: []string{"disk", "store"}}, t.TempDir(), fake("DurablePut"))
	err := r.measureAll(t.Context())
	if err == nil || !strings.Contains(err.Error(), "it broke") {
		t.Fatalf("got %v", err)
	}
	page := r.page()
	for _, want := range []string{
		"This measurement failed:\n\n```\ngo: exit status 1\nit broke\n", "half an output\n", "1235 appends/s",
		"| Durable 4 KiB puts of 64 goroutines: transactions in a flush | 30.0 | not measured | - |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

func TestRefusedCommandLines(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	taken := filepath.Join(out, time.Now().UTC().Format(time.DateOnly)+"-taken.md")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"a taken name", []string{"--out=" + out, "--name=taken"}, "exists"},
		{"an unknown measurement", []string{"--only=weather"}, "weather"},
		{"an absent directory", []string{"--out=" + out, "--dir=/nonexistent/dir"}, "--dir"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := run(t.Context(), test.args); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestCommandLineQuotes(t *testing.T) {
	t.Parallel()
	got := commandLine([]string{"A=b"}, []string{"go", "-run=^$", "it's", "plain"})
	if want := `A=b go '-run=^$' 'it'\''s' plain`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
