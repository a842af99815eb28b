package vaulttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// process is a running vaultd.
type process struct {
	command *exec.Cmd
	stdin   io.WriteCloser // vaultd ends when this does
	log     *tail
	exited  chan struct{} // closed when the process has ended
}

// readyLine is what vaultd writes when it serves.
type readyLine struct {
	Address    string   `json:"address"`
	RootToken  string   `json:"root_token"`
	UnsealKeys []string `json:"unseal_keys"`
}

// startProcess returns when the process serves.
func startProcess(ctx context.Context, binary string, args []string) (*process, readyLine, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	p := &process{log: &tail{}, exited: make(chan struct{})}
	p.command = exec.Command(binary, args...)
	p.command.Env = []string{} // none, and so nothing that Vault would read
	p.command.Stderr = p.log
	stdin, err := p.command.StdinPipe()
	if err != nil {
		return nil, readyLine{}, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, readyLine{}, err
	}
	p.stdin = stdin
	if err := p.command.Start(); err != nil {
		return nil, readyLine{}, fmt.Errorf("starting vaultd: %w", err)
	}
	line := make(chan []byte, 1)
	go func() {
		r := bufio.NewReader(stdout)
		first, _ := r.ReadBytes('\n') // an early end shows as a line that does not parse
		line <- first
		_, _ = io.Copy(io.Discard, r)
		_ = p.command.Wait() // how it ends is known from its log
		close(p.exited)
	}()
	var ready readyLine
	select {
	case first := <-line:
		err = json.Unmarshal(first, &ready)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.kill()
		return nil, readyLine{}, fmt.Errorf("vaultd does not serve: %w\n%s", err, p.log.String())
	}
	return p, ready, nil
}

// stop ends the process in order.
func (p *process) stop() error {
	_ = p.stdin.Close() // a process that has ended has closed it
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopWithin):
		p.kill()
		return errors.New("vaultd did not end when asked to")
	}
}

// kill ends the process at once.
func (p *process) kill() {
	_ = p.command.Process.Kill() // one that has ended is as good
	<-p.exited
	_ = p.stdin.Close()
}

// tailSize is how much of a log a failed test shows.
const tailSize = 16 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
}

// Write implements io.Writer.
func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, b...)
	if n := len(l.end) - tailSize; n > 0 {
		l.end = bytes.Clone(l.end[n:])
	}
	return len(b), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.end)
}
