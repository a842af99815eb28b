package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"coffer/bench"
)

type serveMemoryCommand struct {
	Listen  string     `default:"127.0.0.1:0" help:"HOST:PORT."`
	MaxSize bench.Size `default:"16MiB" help:"Of an object."`
}

// Run serves until standard input ends, so that it cannot outlive its parent.
// The first line of output is the URL.
func (c *serveMemoryCommand) Run(ctx context.Context, s streams) error {
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if _, err = fmt.Fprintf(s.out, "http://%s\n", ln.Addr()); err != nil {
		return errors.Join(err, ln.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		// Whatever ends the reading ends the service. The reading itself ends
		// with the process at the latest.
		_, _ = io.Copy(io.Discard, s.in)
		stop()
	}()
	return bench.NewMemoryServer(c.MaxSize).Serve(ctx, ln)
}

// serveMemory starts one baseline process for each endpoint of the plan that
// wants one, and fills in its URL. stop ends them and waits.
func serveMemory(ctx context.Context, plan *bench.Plan) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for i := range plan.Endpoints {
		if !plan.Endpoints[i].Memory || plan.Endpoints[i].URL != "" {
			continue
		}
		url, end, err := startMemory(ctx, plan.Sizes)
		if err != nil {
			stop()
			return nil, fmt.Errorf("starting %s: %w", bench.MemoryLabel, err)
		}
		plan.Endpoints[i].URL = url
		stops = append(stops, end)
	}
	return stop, nil
}

func startMemory(ctx context.Context, sizes []bench.Size) (url string, stop func(), err error) {
	limit := bench.KiB
	for _, size := range sizes {
		limit = max(limit, size)
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	child := exec.CommandContext(context.WithoutCancel(ctx), self, "serve-memory", "--max-size", limit.String())
	child.Stderr = os.Stderr
	// An interrupt at the terminal must not end the child before the last round.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := child.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := child.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()   // its end is the signal
		_ = child.Wait() // how it ended says nothing about the measurement
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("its address: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
