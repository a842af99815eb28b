package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// flags are the command line.
type flags struct {
	Name   string   `default:"run" help:"Last part of the page's name."`
	Out    string   `default:"bench/results" help:"Directory of the page."`
	Coffer string   `default:"bin/coffer" help:"Binary of the server."`
	Dir    string   `help:"Where data is written (default: the system's directory for temporary files)."`
	Quick  bool     `help:"A second or so for each measurement: to try the tool, not to record."`
	Rounds int      `default:"5" help:"Rounds of the measurements over mounts, each of which takes some minutes."`
	Only   []string `enum:"disk,seal,metastore,store,http,mount,profile" help:"Measure only these: disk, seal, metastore, store, http, mount, profile."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var f flags
	parser, err := kong.New(&f, kong.Name("record"), kong.Description("Run the fixed set of measurements and write a page of it."))
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if _, err := parser.Parse(args); err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	now := time.Now().UTC()
	page := filepath.Join(f.Out, now.Format(time.DateOnly)+"-"+f.Name+".md")
	if _, err := os.Stat(page); err == nil {
		return fmt.Errorf("%s exists; choose another --name", page)
	}
	dir, err := os.MkdirTemp(f.Dir, "coffer-bench-")
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	r := newRecorder(f, dir, execute)
	r.machine = describe(ctx, r, now)
	failed := r.measureAll(ctx)
	if err := os.RemoveAll(dir); err != nil {
		failed = errors.Join(failed, err)
	}
	if err := ctx.Err(); err != nil {
		return err // half a set is no record
	}
	if err := r.write(page); err != nil {
		return errors.Join(failed, err)
	}
	fmt.Fprintln(os.Stderr, "wrote", page)
	return failed
}

// executor runs a command and gives its output.
type executor func(ctx context.Context, environ []string, argv ...string) (stdout string, err error)

// execute is the executor of the real thing. Standard error is part of the error.
func execute(ctx context.Context, environ []string, argv ...string) (string, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = append(command.Environ(), environ...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = time.Minute
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, strings.TrimSpace(stderr.String()))
	}
	return string(out), err
}
