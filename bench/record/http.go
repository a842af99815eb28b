package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coffer/bench"
	"coffer/test/e2e/daemon"
)

// load is one run of the load generator.
type load struct {
	title  string
	memory bool // also the baseline, first
	args   []string
}

func loads(r *recorder) []load {
	duration := fmt.Sprintf("--duration=%ds", r.seconds(5)*3)
	rounds := "--rounds=5"
	if r.flags.Quick {
		rounds = "--rounds=1"
	}
	return []load{
		{"4 KiB", false, []string{"--workload=put,get", "--size=4KiB", "--concurrency=64", "--objects=1000", rounds, duration}},
		{"10 MiB beside the same HTTP server sending from memory", true, []string{
			"--workload=get,put", "--size=10MiB", "--concurrency=1,4", "--objects=8", rounds, duration,
		}},
		{"mixed 64 KiB and listing", false, []string{
			"--workload=mixed,list", "--size=64KiB", "--concurrency=16", "--objects=1000", rounds, duration,
		}},
	}
}

func measureHTTP(ctx context.Context, r *recorder, p *part) (err error) {
	generator := filepath.Join(r.dir, "s3load")
	if _, err := r.run(ctx, p, nil, "go", "build", "-o="+generator, "./bench/s3load"); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(r.dir, "coffer.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	server, err := daemon.Start(ctx, daemon.Options{Binary: r.flags.Coffer, Dir: filepath.Join(r.dir, "coffer"), Log: log})
	if err != nil {
		return err
	}
	defer func() {
		// Also after an interrupt.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, server.Stop(bounded))
	}()
	r.hidden = append(r.hidden, server.URL, "$URL", strings.TrimPrefix(server.URL, "http://"), "$ADDRESS", server.AccessKey, "$ACCESS_KEY")
	p.commands = append(p.commands, r.hide(commandLine(nil, append([]string{r.flags.Coffer}, server.Args...))))
	secret := filepath.Join(r.dir, "secret")
	if err := os.WriteFile(secret, []byte(server.SecretKey), 0o600); err != nil {
		return err
	}
	endpoint := fmt.Sprintf("label=coffer,url=%s,access=%s,secret-file=%s", server.URL, server.AccessKey, secret)
	for _, l := range loads(r) {
		if err := r.load(ctx, p, generator, endpoint, l); err != nil {
			return fmt.Errorf("%s: %w", l.title, err)
		}
	}
	return nil
}

// load runs the generator and keeps its rates, ratios and median latencies.
func (r *recorder) load(ctx context.Context, p *part, generator, endpoint string, l load) error {
	file := filepath.Join(r.dir, "load.json")
	argv := []string{generator, "--quiet", "--json=" + file}
	if l.memory {
		argv = append(argv, "--endpoint="+bench.MemoryLabel)
	}
	argv = append(append(argv, "--endpoint="+endpoint), l.args...)
	out, err := r.run(ctx, p, nil, argv...)
	p.output += l.title + "\n" + out + "\n"
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var report bench.Report
	if err := json.Unmarshal(data, &report); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, result := range report.Results {
		if result.Endpoint != "coffer" {
			continue
		}
		name := strings.Join([]string{
			string(result.Workload), result.Operation, bench.Size(result.ObjectBytes).String(), fmt.Sprintf("x%d", result.Concurrency),
		}, " ")
		r.figures.add(name+" ops/s", result.OpsPerSecond)
		if l.memory && result.Ratio != nil {
			r.figures.add(name+" of memory", *result.Ratio)
		}
	}
	return nil
}
