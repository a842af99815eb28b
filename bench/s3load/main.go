package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"coffer/bench"
)

// commands are the command line; run is what happens without a verb.
type commands struct {
	Run         runCommand         `cmd:"" default:"withargs" help:"Measure endpoints in turn."`
	ServeMemory serveMemoryCommand `cmd:"" help:"Serve the baseline until standard input ends."`
}

// streams are the process's own, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

type runCommand struct {
	Endpoint    []string         `required:"" sep:"none" placeholder:"SPEC" help:"label=,url=,access=,secret= or secret-file=,region= separated by commas; or http-memory. May be repeated; the first is the base of ratios."`
	Workload    []bench.Workload `default:"put,get" help:"put, get, mixed, list."`
	Size        []bench.Size     `default:"4KiB" help:"Object sizes, such as 4KiB,10MiB."`
	Concurrency []int            `short:"c" default:"16" help:"Numbers of workers."`
	Rounds      int              `default:"3" help:"Turns that every endpoint gets in every case."`
	Duration    time.Duration    `short:"d" help:"Time for all rounds of a case at one endpoint (default 15s unless --count is given)."`
	Count       int64            `short:"n" help:"Requests for all rounds of a case at one endpoint."`
	Objects     int              `default:"64" help:"Objects put beforehand for get, mixed and list."`
	GetShare    int              `default:"70" help:"Per cent of gets in mixed."`
	Bucket      string           `default:"coffer-bench" help:"Made if absent, and then removed at the end."`
	Timeout     time.Duration    `default:"60s" help:"Of one request."`
	Seed        uint64           `default:"1" help:"Of the choice of keys."`
	Unsigned    bool             `help:"Send UNSIGNED-PAYLOAD in place of the body's SHA-256."`
	Verify      bool             `help:"Compare the SHA-256 of what comes back."`
	Keep        bool             `help:"Leave objects and bucket."`
	AllowRemote bool             `help:"Also measure endpoints that are not on this machine."`
	JSON        string           `placeholder:"FILE" help:"Also write the results as JSON."`
	Quiet       bool             `short:"q" help:"Say nothing about progress."`
}

// errRequests makes the exit status tell what the table says.
var errRequests = errors.New("requests failed")

func (r *runCommand) plan() (bench.Plan, error) {
	plan := bench.Plan{
		Workloads: r.Workload, Sizes: r.Size, Concurrency: r.Concurrency, Rounds: r.Rounds,
		Duration: r.Duration, Count: r.Count, Objects: r.Objects, GetShare: r.GetShare, Bucket: r.Bucket,
		Timeout: r.Timeout, Seed: r.Seed, Unsigned: r.Unsigned, Verify: r.Verify, Keep: r.Keep,
		AllowRemote: r.AllowRemote,
	}
	if r.GetShare == 0 {
		plan.GetShare = -1
	}
	var faults []error
	for _, text := range r.Endpoint {
		endpoint, err := bench.ParseEndpoint(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--endpoint: %w", err))
			continue
		}
		plan.Endpoints = append(plan.Endpoints, endpoint)
	}
	return plan, errors.Join(faults...)
}

// Run measures and prints.
func (r *runCommand) Run(ctx context.Context, s streams) error {
	plan, err := r.plan()
	if err != nil {
		return err
	}
	stop, err := serveMemory(ctx, &plan)
	if err != nil {
		return err
	}
	defer stop()
	level := slog.LevelInfo
	if r.Quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
	report, err := bench.Run(ctx, plan, log)
	if report == nil {
		return err
	}
	err = errors.Join(err, report.WriteTable(s.out), r.writeJSON(report))
	if n := report.Errors(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d %w", n, errRequests))
	}
	return err
}

func (r *runCommand) writeJSON(report *bench.Report) error {
	if r.JSON == "" {
		return nil
	}
	file, err := os.Create(r.JSON)
	if err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return errors.Join(report.WriteJSON(file), file.Close())
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "s3load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, s streams) error {
	var cli commands
	parser, err := kong.New(&cli, kong.Name("s3load"), kong.Description("Measure S3 endpoints side by side."),
		kong.Writers(s.out, s.err), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s))
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	return command.Run()
}
