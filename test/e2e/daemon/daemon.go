package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Options say what to start. Binary and Dir are required.
type Options struct {
	Binary string
	// Dir holds the directories data and config, made at the first start and
	// used again by the next.
	Dir       string
	AccessKey string    // random if empty
	SecretKey string    // random if empty
	Args      []string  // of serve, after those that this package gives
	Environ   []string  // variables beside those of this process
	Log       io.Writer // standard output and error of the process; none if nil
	// ReadyWithin bounds the start; 30 s if zero.
	ReadyWithin time.Duration
}

// Build builds the binary into dir, out of the module that the working directory is
// in. It looks at every source itself: called by a test, and not by TestMain, it lets
// the go command see that an earlier result of the test does not count any more.
func Build(ctx context.Context, dir string) (binary string, err error) {
	if err := lookAtSources(); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "coffer")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "coffer/cmd/coffer").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building coffer: %w\n%s", err, out)
	}
	return binary, nil
}

func lookAtSources() error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return errors.New("no go.mod above the working directory")
		}
		root = filepath.Dir(root)
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch ext := filepath.Ext(path); {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || ext != ".go" && ext != ".mod" && ext != ".sum" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}

// Daemon is a running server.
type Daemon struct {
	URL       string // http://127.0.0.1:PORT
	AccessKey string
	SecretKey string
	Args      []string // of the binary

	command *exec.Cmd
	exited  chan error // receives once, then is closed
}

// ErrExited means that the process ended before it was ready.
var ErrExited = errors.New("the server exited")

// attempts to find a port that nobody takes between looking and listening.
const attempts = 3

// Start returns when the server answers that it is ready.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	var faults []error
	for range attempts {
		d, err := start(ctx, o)
		if err == nil {
			return d, nil
		}
		faults = append(faults, err)
		if !errors.Is(err, ErrExited) {
			break
		}
	}
	return nil, errors.Join(faults...)
}

func start(ctx context.Context, o Options) (*Daemon, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding a free port: %w", err)
	}
	d := &Daemon{
		URL: "http://" + address, AccessKey: o.AccessKey, SecretKey: o.SecretKey,
		Args: append([]string{
			"serve", "--data", filepath.Join(o.Dir, "data"), "--config-dir", filepath.Join(o.Dir, "config"),
			"--listen", address,
		}, o.Args...),
		exited: make(chan error, 1),
	}
	if d.AccessKey == "" {
		d.AccessKey = rand.Text()[:20]
	}
	if d.SecretKey == "" {
		d.SecretKey = rand.Text() + rand.Text()[:14]
	}
	// The process ends by Stop, in order, and not with the context of the start.
	d.command = exec.CommandContext(context.WithoutCancel(ctx), o.Binary, d.Args...)
	d.command.Env = append(append(os.Environ(), "COFFER_METRICS_LISTEN=127.0.0.1:0"), o.Environ...)
	d.command.Env = append(d.command.Env, "COFFER_ROOT_USER="+d.AccessKey, "COFFER_ROOT_PASSWORD="+d.SecretKey)
	d.command.Stdout, d.command.Stderr = o.Log, o.Log
	// An interrupt at the terminal is for the caller, who stops the server then.
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	go func() {
		d.exited <- d.command.Wait()
		close(d.exited)
	}()
	if err := d.waitReady(ctx, o.ReadyWithin); err != nil {
		_ = d.command.Process.Kill() // it may have ended already
		<-d.exited
		return nil, err
	}
	return d, nil
}

func freeAddress(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func (d *Daemon) waitReady(ctx context.Context, within time.Duration) error {
	if within == 0 {
		within = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := d.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case exit, running := <-d.exited:
			if running {
				return fmt.Errorf("%w before it was ready: %w", ErrExited, errors.Join(exit, err))
			}
			return ErrExited
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func (d *Daemon) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/health/ready", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/health/ready: %s", response.Status)
	}
	return nil
}

// PID is the process's id.
func (d *Daemon) PID() int { return d.command.Process.Pid }

// Kill ends the server as a power cut does, and waits.
func (d *Daemon) Kill() {
	_ = d.command.Process.Kill() // it may have ended already
	<-d.exited
}

// Stop asks the server to end and waits. Ending with another status than 0 is
// an error. When ctx ends first, the server is killed.
func (d *Daemon) Stop(ctx context.Context) error {
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the server: %w", err)
	}
	select {
	case err := <-d.exited:
		if err != nil {
			return fmt.Errorf("the server ended badly: %w", err)
		}
		return nil
	case <-ctx.Done():
		_ = d.command.Process.Kill() // nothing better is left to do
		<-d.exited
		return fmt.Errorf("the server did not end when asked to: %w", ctx.Err())
	}
}
