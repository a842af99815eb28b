package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

var errOutput = errors.New("the output is not as expected")

// measureDisk has fio append to a file that grows: nothing is preallocated, and
// every 4 KiB are followed by fdatasync.
func measureDisk(ctx context.Context, r *recorder, p *part) error {
	out, err := r.run(ctx, p, nil, "fio", "--name=append", "--directory="+r.dir, "--rw=write", "--bs=4k", "--size=8g",
		"--fallocate=none", "--ioengine=psync", "--fdatasync=1", "--time_based",
		"--runtime="+strconv.Itoa(r.seconds(10)), "--unlink=1", "--output-format=json")
	if err != nil {
		return err
	}
	rate, err := parseFio(out)
	if err != nil {
		return err
	}
	r.figures.add("disk appends/s", rate)
	p.output = fmt.Sprintf("%.0f appends/s\n", rate)
	return nil
}

// parseFio gives the writes per second of the only job.
func parseFio(out string) (float64, error) {
	var report struct {
		Jobs []struct {
			Error int `json:"error"`
			Write struct {
				IOPS float64 `json:"iops"`
			} `json:"write"`
		} `json:"jobs"`
	}
	// Warnings may come before the document.
	start := max(strings.Index(out, "{"), 0)
	if err := json.Unmarshal([]byte(out[start:]), &report); err != nil {
		return 0, fmt.Errorf("fio: %w: %w", errOutput, err)
	}
	if len(report.Jobs) != 1 || report.Jobs[0].Error != 0 || report.Jobs[0].Write.IOPS == 0 {
		return 0, fmt.Errorf("fio: %w: %d jobs", errOutput, len(report.Jobs))
	}
	return report.Jobs[0].Write.IOPS, nil
}

func measureSealing(ctx context.Context, r *recorder, p *part) error {
	iterations, count := "16x", "5"
	if r.flags.Quick {
		iterations, count = "2x", "1"
	}
	return r.benchmark(ctx, p, "-bench=^Benchmark(Ratio|Raw|Seal|Open|Read)$", "-cpu=1", "-benchtime="+iterations, "-count="+count, "./cipher")
}

func measureMetastore(ctx context.Context, r *recorder, p *part) error {
	return r.benchmark(ctx, p, "-bench=^BenchmarkPut$", fmt.Sprintf("-benchtime=%ds", r.seconds(5)), "./metastore/badgerdb")
}

// measureStore runs a benchmark whose goroutines are 32 for each processor that
// -cpu tells it of: 64.
func measureStore(ctx context.Context, r *recorder, p *part) error {
	count := "3"
	if r.flags.Quick {
		count = "1"
	}
	return r.benchmark(ctx, p, "-bench=^BenchmarkDurablePut$", "-cpu=2", fmt.Sprintf("-benchtime=%ds", r.seconds(10)), "-count="+count, "./object")
}

// benchmark runs go test, with the temporary directories of benchmarks on the
// file system that is measured, and keeps every figure as "name unit".
func (r *recorder) benchmark(ctx context.Context, p *part, args ...string) error {
	argv := append([]string{"go", "test", "-run=^$"}, args...)
	out, err := r.run(ctx, p, []string{"TMPDIR=" + r.dir}, argv...)
	p.output += r.hide(out)
	if err != nil {
		return err
	}
	results, err := parseBenchmarks(out)
	for _, result := range results {
		r.figures.add(result.name+" "+result.unit, result.value)
	}
	return err
}

// benchmarkResult is one figure of one line of go test -bench.
type benchmarkResult struct {
	name  string // without the prefix Benchmark and the number of processors
	unit  string
	value float64
}

func parseBenchmarks(out string) ([]benchmarkResult, error) {
	var results []benchmarkResult
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if base, procs, found := cutLast(name, "-"); found {
			if _, err := strconv.Atoi(procs); err == nil {
				name = base
			}
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return results, fmt.Errorf("go test: %w: %q", errOutput, lines.Text())
			}
			results = append(results, benchmarkResult{name, fields[i+1], value})
		}
	}
	if err := lines.Err(); err != nil {
		return results, fmt.Errorf("go test: %w: %w", errOutput, err)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("go test: %w: no benchmark ran", errOutput)
	}
	return results, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// measureProfiles runs each benchmark with a processor profile and keeps its top.
func measureProfiles(ctx context.Context, r *recorder, p *part) error {
	for _, name := range []string{"DurablePut", "PutLarge", "GetLarge"} {
		profile, binary := filepath.Join(r.dir, name+".prof"), filepath.Join(r.dir, "object.test")
		_, err := r.run(ctx, p, []string{"TMPDIR=" + r.dir}, "go", "test", "-run=^$", "-bench=^Benchmark"+name+"$",
			fmt.Sprintf("-benchtime=%ds", r.seconds(5)), "-cpuprofile="+profile, "-o="+binary, "./object")
		if err != nil {
			return err
		}
		out, err := r.run(ctx, p, nil, "go", "tool", "pprof", "-top", "-nodecount=22", binary, profile)
		if err != nil {
			return err
		}
		p.output += name + "\n" + r.hide(trimProfile(out)) + "\n"
	}
	return nil
}

// trimProfile leaves out the lines that only name files and times.
func trimProfile(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "File:") && !strings.HasPrefix(line, "Build ID:") && !strings.HasPrefix(line, "Time:") {
			b.WriteString(line)
		}
	}
	return b.String()
}
